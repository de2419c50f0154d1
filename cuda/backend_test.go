package cuda_test

import (
	"testing"

	"github.com/zkllmc/zkllmc/cuda"
	"github.com/zkllmc/zkllmc/cuda/internal/test/emulator"
	"github.com/zkllmc/zkllmc/cuda/internal/test/kerneltest"
	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/test/conformance"
)

// The device computes what the definition says.
func TestConformance(t *testing.T) {
	conformance.Run(t, reference.New(), cuda.Over(kerneltest.OpenQuick(t, emulator.Config{Seed: 1})))
}
