package cpu

import (
	"testing"

	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/test/conformance"
)

// TestWithoutVectors runs the suite on the ways taken where the processor has no wide vectors.
func TestWithoutVectors(t *testing.T) {
	defer func(was bool) { wideVectors = was }(wideVectors)
	wideVectors = false
	conformance.Run(t, reference.New(), New())
}
