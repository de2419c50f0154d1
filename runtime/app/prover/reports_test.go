package prover

import (
	"testing"

	"github.com/zkllmc/zkllmc/internal/test/reports"
)

// REPORTS.md has every member of what --json prints, and no other.
func TestReportsAreDocumented(t *testing.T) {
	reports.Check(t, "prover setup, run, prove", report{})
}
