package reference_test

import (
	"testing"

	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/test/conformance"
)

// TestConformance runs the suite for its own checks: the protocol's equations hold for the definition.
func TestConformance(t *testing.T) {
	conformance.Run(t, reference.New(), reference.New())
}
