package cuda_test

import (
	"fmt"
	"testing"

	"github.com/zkllmc/zkllmc/cuda"
	"github.com/zkllmc/zkllmc/cuda/internal/test/emulator"
	"github.com/zkllmc/zkllmc/cuda/internal/test/kerneltest"
	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/test/conformance"
)

// The device computes what the definition says, whatever it leaves to the processor.
func TestConformance(t *testing.T) {
	d := kerneltest.OpenQuick(t, emulator.Config{Seed: 1})
	for _, tail := range []int{cuda.AllOnDevice, cuda.UsualTail} {
		t.Run(fmt.Sprintf("tail %d", tail), func(t *testing.T) { conformance.Run(t, reference.New(), cuda.Over(d, tail)) })
	}
}
