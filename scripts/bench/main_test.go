package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/cost"
	"github.com/zkllmc/zkllmc/internal/export"
)

// measured is a row with known numbers.
func measured() Report {
	return Report{Rows: []Measured{{
		Machine: Machine{CPU: "a processor", Go: "go1", Commit: "abc", Threads: 2, Mul: 20},
		Name:    "nano", What: "a model", Runs: 3, Load: "0.12", ProofBytes: 1000, KeyBytes: 500, Threads: 2,
		Compile: expense{CPU: 2, Peak: 3e9}, Setup: expense{CPU: 1, Peak: 2e9}, Accept: expense{CPU: 0.5},
		Prove:     []expense{{CPU: 9, Wall: 5, Peak: 3e8}, {CPU: 8, Wall: 4, Peak: 1e8}, {CPU: 12, Wall: 6, Peak: 2e8}},
		Phases:    []map[string]float64{{"total": 5, "lookups": 2, "final_argument": 1}, {"total": 4, "lookups": 1, "final_argument": 2}},
		Ratios:    []map[string]float64{{"multiplications_per_lookup": 6, "other_share": 0.25}, {"multiplications_per_lookup": 7, "other_share": 0.35}},
		Stages:    []map[string]float64{{"decoding": 9, "lookups": 3, "self-check": 1}, {"lookups": 2, "openings": 2}},
		OneThread: 7.2,
		Verify:    []float64{0.03, 0.01, 0.02},
		Inference: []float64{0.005, 0.001, 0.003},
		Work:      map[string]float64{"lookups": 3e7, "weights": 1e7, "witness": 1e6, "products": 5},
		EZKL:      &steps{Version: "9", Took: map[string]step{"setup": {Seconds: 2, CPU: 3, Peak: 4e9}}, Ended: "no memory, exit status 1"},
	}}}
}

// The report says medians with their spread, the ratios that proofs told, and what EZKL came to.
func TestReport(t *testing.T) {
	r := measured()
	text := r.markdown()
	require.Contains(t, text, "- nano: a model. Commit abc, a processor, 2 threads, go1, 3 runs; a multiplication in the field takes 20.00 ns; load before it 0.12\n")
	require.Equal(t, [][]string{{"nano", "9.00 (8.00–12.00)", "5.00 (4.00–6.00)", "0.20 (0.10–0.30)", "1000", "20 (10–30)", "500", "0.50", "1.00", "2.00", "2.00", "3.00"}}, r.costs())
	require.Equal(t, [][]string{{"nano", "30000000", "10000000", "1000000", "5", "6.5", "0.00", "0.00", "30 %", "80 %", "200.0", "20.0"}}, r.ratios())
	require.Equal(t, [][]string{{"nano", "3.00 (1.00–5.00)", "1667"}}, r.inference())
	work := cost.Work{Weights: 1e7, Witness: 1e6, Products: 5, Lookups: 3e7}
	require.Equal(t, [][]string{{"nano", fmt.Sprintf("%.2f", work.Seconds()), "3.50", fmt.Sprintf("%.2f", 1e-9*work.Bytes()), "0.20"}}, r.predicted())
	require.Contains(t, text, "- nano: total 4.500, final argument 1.500, lookups 1.500\n")
	require.Contains(t, text, "| nano | 3.0 CPU-s, 2.0 s, 4.0 GB | not reached | not reached | 0        |\n\n- nano ended early: no memory, exit status 1\n")
	var widths []int
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "|") {
			widths = append(widths, len([]rune(line)))
		}
	}
	require.Len(t, widths, 15, "five tables with a head, a rule and a line")
	require.Equal(t, widths[0], widths[2])

	r.Rows[0].Inference, r.Rows[0].EZKL = nil, nil
	require.Equal(t, [][]string{{"nano", "not here", ""}}, r.inference())
	require.NotContains(t, r.markdown(), "EZKL")
}

// A row that is measured again replaces the older one; others are kept, in the order of the list. What is written is read again.
func TestRowsAreKept(t *testing.T) {
	l := &lab{options: options{dir: t.TempDir()}}
	l.doc = filepath.Join(l.dir, "doc.md")
	r, err := l.stored()
	require.NoError(t, err)
	require.Empty(t, r.Rows)
	for _, m := range []Measured{{Name: "gpt2", Runs: 1}, {Name: "nano", Runs: 1}, {Name: "gpt2", Runs: 2}} {
		r.put(m)
	}
	require.NoError(t, l.write(t.Context(), r, "text", "bench"))
	again, err := l.stored()
	require.NoError(t, err)
	require.Equal(t, []Measured{{Name: "nano", Runs: 1}, {Name: "gpt2", Runs: 2}}, again.Rows)
	for _, file := range []string{l.file("bench.md"), l.doc} {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, "text", string(data))
	}
}

// What grows as the square of an extent has the exponent 2, small extents aside.
func TestFits(t *testing.T) {
	var points []Point
	for _, n := range []int{1, 8, 16, 32} {
		costs := map[string]float64{}
		for _, q := range quantities {
			costs[q] = 3 * float64(n*n)
		}
		if n == 1 {
			costs["lookups"] = 1e6
		}
		points = append(points, Point{n, costs})
	}
	f := fits(points)
	require.Len(t, f, len(quantities))
	for _, q := range quantities {
		require.InDelta(t, 2, f[q].Exponent, 1e-9, q)
		require.InDelta(t, 3, f[q].Factor, 1e-6, q)
	}
	require.Empty(t, fits(points[:1]))
	c := Curves{Machine: Machine{Commit: "abc"}, Curves: []Curve{{Name: "layers", What: "a model", Points: points, Fits: f}}}
	require.Contains(t, c.markdown(), "## Against layers: a model\n\n| layers   | prove, CPU-s |")
	require.Contains(t, c.markdown(), "\n| exponent | 2.00 ")
	for _, name := range []string{"positions", "layers"} {
		at, config := sizes(name)
		for _, n := range at {
			model, err := export.GPT2(config(n))
			require.NoError(t, err)
			require.Positive(t, model.Weights())
		}
	}
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
	require.Equal(t, []string{"stories260K", "tiny", "nano"}, light())
	for _, r := range rows {
		require.Contains(t, describeRows(), r.name)
	}
}
