package cli

import (
	"testing"

	"github.com/zkllmc/zkllmc/internal/bundle"
	"github.com/zkllmc/zkllmc/internal/test/reports"
)

// REPORTS.md has every member of what --json prints, and no other.
func TestReportsAreDocumented(t *testing.T) {
	reports.Check(t, "zkllmc compile, inspect", compileReport{})
	reports.Check(t, "zkllmc benchmark", benchmarkReport{})
	reports.Check(t, "zkllmc compile, inspect: a model that is refused", refusalReport{})
	reports.Check(t, "zkllmc check", checkReport{})
	reports.Check(t, "zkllmc conformance", conformanceReport{})
	reports.Check(t, "zkllmc bundle, card", bundle.Card{})
}
