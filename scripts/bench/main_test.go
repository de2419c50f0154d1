package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/export"
)

// measured is a row with known numbers.
func measured() Report {
	return Report{Rows: []Measured{{
		Machine: Machine{CPU: "a processor", Go: "go1", Commit: "abc", Threads: 2, Mul: 20, Ceiling: &Ceiling{1, 0.99, 0.98, 0.9, 0.5}},
		Name:    "nano", What: "a model", Runs: 3, Load: "0.12", ProofBytes: 1000, KeyBytes: 500, Threads: 2,
		Compile: expense{CPU: 2, Peak: 3e9}, Setup: expense{CPU: 1, Peak: 2e9}, Accept: expense{CPU: 0.5},
		Prove:  []expense{{CPU: 9, Wall: 5, Peak: 3e8}, {CPU: 8, Wall: 4, Peak: 1e8}, {CPU: 12, Wall: 6, Peak: 2e8}},
		Phases: []map[string]float64{{"total": 5, "lookups": 2, "final_argument": 1}, {"total": 4, "lookups": 1, "final_argument": 2}},
		Ratios: []map[string]float64{{"multiplications_per_lookup": 6, "other_share": 0.25}, {"multiplications_per_lookup": 7, "other_share": 0.35}},
		Stages: []map[string]float64{{"decoding": 9, "lookups": 3, "self-check": 1}, {"lookups": 2, "openings": 2}},
		Alone:  map[string]float64{"total": 7.2, "lookups": 3, "final_argument": 1.2}, AloneStages: map[string]float64{"lookups": 2.5, "openings": 3},
		Predicted: expense{CPU: 12.5, Peak: 4e9},
		Verify:    []float64{0.03, 0.01, 0.02},
		Inference: []float64{0.005, 0.001, 0.003},
		Work:      map[string]float64{"lookups": 3e7, "weights": 1e7, "witness": 1e6, "products": 5},
		EZKL:      &steps{Version: "9", Took: map[string]step{"settings": {Rows: 12}, "setup": {Seconds: 2, CPU: 3, Peak: 4e9}}, Ended: "no memory, exit status 1"},
	}}}
}

// What is predicted of an answer counts its tokens one by one, and the witness for the prompt alone.
func TestPredicted(t *testing.T) {
	var r reported
	require.NoError(t, json.Unmarshal([]byte(`{"statement_kind": "generation", "ports": [{"side": "input", "shape": [7]}], "predicted":
		{"prove_seconds": 10, "prove_peak_bytes": 5, "token_seconds": 0.5, "phases": [{"name": "lookups", "seconds": 6}, {"name": "witness", "seconds": 3}]}}`), &r))
	require.Equal(t, expense{CPU: 10 - 1.5 + 4*0.5, Peak: 5}, r.predicted())
	r.Statement = "function"
	require.Equal(t, expense{CPU: 10, Peak: 5}, r.predicted())
}

// The report says medians with their spread, the ratios that proofs told, and what EZKL came to.
func TestReport(t *testing.T) {
	r := measured()
	text := r.markdown()
	require.Contains(t, text, "- nano: a model. Commit abc, a processor, 2 threads, go1, 3 runs; a multiplication in the field takes 20.00 ns; load before it 0.12\n")
	require.Equal(t, [][]string{{"nano", "9.00 (8.00–12.00)", "5.00 (4.00–6.00)", "0.20 (0.10–0.30)", "1000", "20 (10–30)", "500", "0.50", "1.00", "2.00", "2.00", "3.00"}}, r.costs())
	require.Equal(t, [][]string{{"nano", "30000000", "10000000", "1000000", "5", "6.5", "0.00", "0.00", "30 %", "80 %", "200.0", "20.0"}}, r.ratios())
	require.Equal(t, [][]string{{"nano", "3.00 (1.00–5.00)", "1667"}}, r.inference())
	require.Equal(t, [][]string{{"nano", "12.50", "8.00", "4.00", "0.20"}}, r.predicted())
	require.Contains(t, text, "| nano | 80 %      | 100 %                | 99 %    | 98 %        | 90 %           | 50 %         |\n")
	require.Contains(t, text, "- nano: total 4.500, final argument 1.500, lookups 1.500\n")
	require.Contains(t, text, "- nano: final argument 1.80 of 3.00 (40 %), total 1.80 of 9.00 (80 %), lookups 0.00 of 3.00 (100 %); processors' seconds 8.50, on one thread 5.50\n")
	require.Contains(t, text, "| nano | 12   | 3.0 CPU-s, 2.0 s, 4.0 GB | not reached | not reached | 0        |\n\n- nano ended early: no memory, exit status 1\n")
	var widths []int
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "|") {
			widths = append(widths, len([]rune(line)))
		}
	}
	require.Len(t, widths, 18, "six tables with a head, a rule and a line")
	require.Equal(t, widths[0], widths[2])

	r.Rows[0].Inference, r.Rows[0].EZKL, r.Rows[0].Alone = nil, nil, nil
	require.Equal(t, [][]string{{"nano", "not here", ""}}, r.inference())
	require.NotContains(t, r.markdown(), "EZKL")
	require.NotContains(t, r.markdown(), "What threads lose")
}

// A row that is measured again replaces the older one; others are kept, in the order of the list. What is written is read again, and
// tables are made of it without measuring anything.
func TestRowsAreKept(t *testing.T) {
	o := options{stored: filepath.Join(t.TempDir(), "rows"), doc: filepath.Join(t.TempDir(), "doc.md")}
	r, err := o.report()
	require.NoError(t, err)
	require.Empty(t, r.Rows)
	want := measured().Rows[0]
	want.Name = "gpt2"
	for _, m := range []Measured{{Name: "gpt2", Runs: 1}, measured().Rows[0], want} {
		require.NoError(t, o.store(t.Context(), &m))
	}
	r, err = o.report()
	require.NoError(t, err)
	require.Equal(t, []Measured{measured().Rows[0], want}, r.Rows)
	var out strings.Builder
	cmd := command(&out, io.Discard)
	cmd.SetArgs([]string{"--tables", "--stored", o.stored, "--doc", o.doc})
	require.NoError(t, cmd.ExecuteContext(t.Context()))
	require.Equal(t, r.markdown(), out.String())
	data, err := os.ReadFile(o.doc)
	require.NoError(t, err)
	require.Equal(t, r.markdown(), string(data))
	require.NoError(t, os.WriteFile(filepath.Join(o.stored, "nano.json"), []byte("{"), 0o644))
	_, err = o.report()
	require.ErrorContains(t, err, "nano.json")
}

// BENCH.md is what the stored rows give, and no line of it is written by hand.
func TestDocument(t *testing.T) {
	o := options{stored: "rows"}
	r, err := o.report()
	require.NoError(t, err)
	require.NotEmpty(t, r.Rows)
	data, err := os.ReadFile(filepath.Join("..", "..", "BENCH.md"))
	require.NoError(t, err)
	require.Equal(t, r.markdown(), string(data))
	files, err := filepath.Glob(filepath.Join("rows", "*.json"))
	require.NoError(t, err)
	require.Len(t, files, len(r.Rows), "each file is a row")
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

// A function is asked numbers of its input's shape and range, everything else that is no prompt is refused.
func TestQuestion(t *testing.T) {
	l := &lab{options: options{dir: t.TempDir()}}
	require.NoError(t, os.Mkdir(l.file("block"), 0o755))
	r := reported{Statement: "function", Ports: []port{{Name: "x", Side: "input", Elements: "reals", Shape: []int{1, 2, 300}, Lo: -3, Hi: 2, Scale: 1}, {Side: "output"}}}
	flags, err := l.question(t.Context(), "block", r)
	require.NoError(t, err)
	require.Equal(t, []string{"--input", "x=" + l.file("block", "x.json")}, flags)
	data, err := os.ReadFile(l.file("block", "x.json"))
	require.NoError(t, err)
	var x [][][]float64
	require.NoError(t, json.Unmarshal(data, &x))
	require.Len(t, x, 1)
	require.Len(t, x[0], 2)
	require.Len(t, x[0][1], 300)
	all := slices.Concat(x[0][0], x[0][1])
	require.Equal(t, -1.5, slices.Min(all))
	require.Equal(t, 1.0, slices.Max(all))
	require.NotEqual(t, x[0][0], x[0][1])

	r.Ports[0].Elements = "ids"
	_, err = l.question(t.Context(), "block", r)
	require.ErrorContains(t, err, "the input x is one of ids")
	r.Statement, r.Ports[0].Shape = "generation", []int{4}
	flags, err = l.question(t.Context(), "block", r)
	require.NoError(t, err)
	require.Equal(t, []string{"--tokens", "1,0"}, flags)
}

// What cannot be measured is refused before anything is built.
func TestRefusals(t *testing.T) {
	for args, want := range map[string]string{
		"--rows nano,nothing": `there is no row "nothing"`,
		"--rows all,nano":     `there is no row "all"`,
		"--runs 0":            "at least one",
		"leftover":            "leftover",
	} {
		cmd := command(io.Discard, io.Discard)
		cmd.SetArgs(strings.Fields(args))
		require.ErrorContains(t, cmd.ExecuteContext(context.Background()), want)
	}
	require.Equal(t, []string{"stories260K", "tiny", "nano"}, light())
	every := command(io.Discard, io.Discard)
	every.SetArgs([]string{"--rows", "all", "--tables", "--stored", t.TempDir()})
	require.NoError(t, every.ExecuteContext(t.Context()))
	for _, r := range rows {
		require.Contains(t, describeRows(), r.name)
	}
}

// Every thread does its work once, all at the same time, and one that has to wait for others at the work counts as slower.
func TestGained(t *testing.T) {
	var calls atomic.Int64
	var one sync.Mutex
	share := gained(2, func() func() {
		return func() {
			one.Lock()
			defer one.Unlock()
			calls.Add(1)
			time.Sleep(20 * time.Microsecond)
		}
	})
	require.EqualValues(t, 3*ceilingRounds, calls.Load())
	require.Less(t, share, 0.7)
}
