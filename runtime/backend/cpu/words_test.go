package cpu

import (
	"testing"

	"github.com/zkllmc/zkllmc/runtime/backend/conformance"
	"github.com/zkllmc/zkllmc/runtime/backend/reference"
)

// TestWithoutVectors runs the suite on the ways taken where the processor has no wide vectors.
func TestWithoutVectors(t *testing.T) {
	defer func(was bool) { wideVectors = was }(wideVectors)
	wideVectors = false
	conformance.Run(t, reference.New(), New())
}
