package cuda_test

import (
	"testing"

	"github.com/zkllmc/zkllmc/cuda"
	"github.com/zkllmc/zkllmc/cuda/emulator"
	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/test/conformance"
	"github.com/zkllmc/zkllmc/internal/test/kernels"
)

// The device computes what the definition says.
func TestConformance(t *testing.T) {
	conformance.Run(t, reference.New(), cuda.New(kernels.OpenQuick(t, emulator.Config{Seed: 1})))
}
