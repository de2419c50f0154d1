package points

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/internal/kernels"
)

// What stands here and in the kernels is the same there.
func TestConstants(t *testing.T) {
	for name, want := range map[string]int{
		"affine_run": affineRun,
	} {
		got, err := kernels.Constant(name)
		require.NoError(t, err)
		require.Equal(t, want, got, name)
	}
}
