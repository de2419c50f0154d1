package prover_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/cost"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/meter"
)

// --stats tells the stages of a proof, what was computed, as many lookups as are predicted of the circuit, and ratios of the two. A proof is
// the same with it: it is made of what an unmetered backend gives. Without --json it stands on the standard error.
func TestStats(t *testing.T) {
	b := proved(t, configs["argmax"])
	var report struct {
		Stats struct {
			Stages []struct {
				Name    string  `json:"name"`
				Seconds float64 `json:"seconds"`
				CPU     float64 `json:"cpu_seconds"`
				Peak    uint64  `json:"peak_rss"`
			} `json:"stages"`
			Operations     []meter.Operation  `json:"operations"`
			Work           cost.Work          `json:"work"`
			Multiplication float64            `json:"multiplication_ns"`
			Ratios         map[string]float64 `json:"ratios"`
		} `json:"stats"`
	}
	out, _ := b.prover(0, "prove --stats --json --force --key @keys/prover.key --prompt a -o @p.bin --statement-out @s.bin")
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	b.verifier(0, verifyLine)

	s := report.Stats
	var names []string
	for _, x := range s.Stages {
		names = append(names, x.Name)
		require.GreaterOrEqual(t, x.CPU, 0.0)
		require.Positive(t, x.Peak)
	}
	require.Equal(t, []string{"read key", "decoding", "witness", "commit witness", "lookups", "einsum waves", "openings", "final argument", "self-check", "write"}, names)
	require.Equal(t, cost.Of(b.c), s.Work)
	ops := map[string]meter.Operation{}
	for i, o := range s.Operations {
		ops[o.Name] = o
		require.True(t, i == 0 || o.Seconds <= s.Operations[i-1].Seconds, "the longest first")
	}
	require.Equal(t, s.Work.Lookups, ops[meter.Fractions].Items)
	require.Equal(t, s.Work.Witness, ops[meter.Commit].Items)
	require.LessOrEqual(t, ops[meter.Products].Items, s.Work.Products, "what a position cannot depend on is left out")
	require.Positive(t, ops[meter.Products].Items)
	require.Positive(t, ops[meter.Argument].Points)
	require.Positive(t, s.Multiplication)
	require.InDelta(t, 0.5, s.Ratios["other_share"], 0.5)
	require.Positive(t, s.Ratios["multiplications_per_lookup"])

	_, said := b.prover(0, "prove --stats --force --key @keys/prover.key --prompt a -o @p.bin --statement-out @s.bin")
	require.Regexp(t, `\nstage +seconds +CPU-s +peak MB\nread key `, said)
	require.Contains(t, said, "multiplications per lookup")
	_, said = b.prover(0, "setup --stats --weights @weights.zkw -o @stats")
	require.Contains(t, said, "commit weights")
	require.NotContains(t, said, "per lookup", "that is of proofs")
	_, said = b.prover(0, "prove --force --key @keys/prover.key --prompt a -o @p.bin --statement-out @s.bin")
	require.NotContains(t, said, "stage ", "nobody asked")
}

// verify --stats tells what the proof holds: its elements, 32 bytes each, behind a header and the model's ID.
func TestVerifierStats(t *testing.T) {
	b := proved(t, configs["argmax"])
	var report struct {
		ProofBytes int `json:"proof_bytes"`
		Stats      struct {
			Points      int `json:"points"`
			Scalars     int `json:"scalars"`
			Evaluations int `json:"evaluations"`
			Generators  int `json:"generators"`
		} `json:"stats"`
	}
	out, _ := b.verifier(0, verifyLine+" --stats --json")
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Equal(t, report.ProofBytes, format.HeaderSize+32+32*(report.Stats.Points+report.Stats.Scalars))
	require.Equal(t, b.c.Requests().Evaluations, report.Stats.Evaluations)
	require.Greater(t, report.Stats.Generators, 1<<b.c.WitnessBits)
	out, _ = b.verifier(0, verifyLine+" --stats")
	require.Contains(t, out, fmt.Sprintf("counts    %d points and %d scalars in the proof", report.Stats.Points, report.Stats.Scalars))
	out, _ = b.verifier(0, verifyLine)
	require.NotContains(t, out, "counts")
}
