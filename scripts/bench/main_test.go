package main

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// measured is a row with known numbers.
func measured() Report {
	return Report{
		Machine: Machine{CPU: "a processor", Go: "go1", Commit: "abc", Threads: 2, Runs: 3, Mul: 20},
		Rows: []Measured{{
			Name: "tiny", What: "a model", ProofBytes: 1000, KeyBytes: 500,
			Compile: cost{CPU: 2, Peak: 3e9}, Setup: cost{CPU: 1, Peak: 2e9}, Accept: cost{CPU: 0.5},
			Prove:     []cost{{CPU: 9, Wall: 5, Peak: 3e8}, {CPU: 8, Wall: 4, Peak: 1e8}, {CPU: 12, Wall: 6, Peak: 2e8}},
			Phases:    []map[string]float64{{"total": 5, "lookups": 2, "final_argument": 1}, {"total": 4, "lookups": 1, "final_argument": 2}},
			Verify:    []float64{0.03, 0.01, 0.02},
			Inference: []float64{0.005, 0.001, 0.003},
			Work:      map[string]float64{"lookups": 3e7, "weights": 1e7, "witness": 1e6, "products": 5},
		}},
	}
}

// The report says medians with their spread, and ratios of the medians: 9 seconds are 450 million multiplications of 20 ns, 15 for each
// of 30 million lookups.
func TestReport(t *testing.T) {
	r := measured()
	text := r.markdown()
	require.Contains(t, text, "a processor, 2 threads, go1, commit abc; a multiplication in the field takes 20.00 ns.")
	require.Equal(t, [][]string{{"tiny", "9.00 (8.00–12.00)", "5.00 (4.00–6.00)", "0.20 (0.10–0.30)", "1000", "20 (10–30)", "500", "0.50", "1.00", "2.00", "2.00", "3.00"}}, r.costs())
	require.Equal(t, [][]string{{"tiny", "30000000", "10000000", "1000000", "5", "15.0", "45.0", "200.0", "20.0", "3.00 (1.00–5.00)", "1667"}}, r.ratios())
	require.Contains(t, text, "- tiny: total 4.500, final argument 1.500, lookups 1.500\n")
	var widths []int
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "|") {
			widths = append(widths, len([]rune(line)))
		}
	}
	require.Len(t, widths, 6, "two tables with a head, a rule and a line")
	require.Equal(t, widths[0], widths[2])

	r.Rows[0].Inference = nil
	require.Equal(t, []string{"not here", ""}, r.ratios()[0][9:])
}

// Half of the positions are asked, with ids of the vocabulary.
func TestPrompt(t *testing.T) {
	r := reported{Ports: []port{{Side: "output", Shape: []int{1, 6, 9}}, {Side: "input", Shape: []int{6}, Hi: 10}}}
	require.Equal(t, "1,0,10", prompt(r)) // 1, 7920, 15839 modulo 11
}

// What cannot be measured is refused before anything is built.
func TestRefusals(t *testing.T) {
	for args, want := range map[string]string{
		"--rows nano,nothing": `there is no row "nothing"`,
		"--runs 0":            "at least one",
		"leftover":            "leftover",
	} {
		cmd := command(io.Discard, io.Discard)
		cmd.SetArgs(strings.Fields(args))
		require.ErrorContains(t, cmd.ExecuteContext(context.Background()), want)
	}
	require.Equal(t, []string{"stories260K", "nano"}, light())
	for _, r := range rows {
		require.Contains(t, describeRows(), r.name)
	}
}
