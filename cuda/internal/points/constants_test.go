package points

import (
	"testing"

	"github.com/zkllmc/zkllmc/cuda/internal/test/kerneltest"
)

// What stands here and in the kernels is the same there.
func TestConstants(t *testing.T) {
	kerneltest.Constants(t, map[string]int{
		"affine_run": affineRun,
	})
}
