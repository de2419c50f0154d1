package verifier

import (
	"testing"

	"github.com/zkllmc/zkllmc/internal/test/reports"
)

// REPORTS.md has every member of what --json prints, and no other.
func TestReportsAreDocumented(t *testing.T) {
	reports.Check(t, "verifier accept", acceptReport{})
	reports.Check(t, "verifier verify", verifyReport{})
}
