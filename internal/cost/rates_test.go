package cost_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/cost"
)

// of are rates of a machine that takes so many times as long as the reference for everything, and nothing for what is small.
func of(times float64) *cost.Rates {
	pace := cost.Pace{{Work: 0, Seconds: 0}, {Work: 1, Seconds: times}}
	r := &cost.Rates{Phases: map[string]cost.Pace{}, Decoding: pace, Setup: pace}
	for _, p := range (&cost.Work{}).Phases() {
		r.Phases[p.Name] = pace
	}
	return r
}

// A machine takes what its points say: the first at the least, between two of them in proportion, and beyond the last as between the last two.
func TestRates(t *testing.T) {
	w := cost.Work{Part: cost.Part{Weights: 1e6, Witness: 2e6, Virtual: 1e6, Products: 1e9, Leaves: 1e6, Padded: 2e6, Columns: 3e6, Factors: 1e5}}
	var whole float64
	for _, p := range w.Phases() {
		whole += p.Seconds
	}
	require.InEpsilon(t, 3*whole, of(3).Seconds(&w), 1e-9)
	require.InEpsilon(t, 3*whole, of(3).Part(&w.Part), 1e-9)
	require.InEpsilon(t, whole+0.09, cost.Reference().Seconds(&w), 1e-9, "and what all that is small takes")
	require.InEpsilon(t, whole, cost.Reference().Part(&w.Part), 1e-9)

	r := of(1)
	r.Setup = cost.Pace{{Work: cost.SetupWork(100), Seconds: 3}, {Work: cost.SetupWork(200), Seconds: 5}, {Work: cost.SetupWork(400), Seconds: 6}}
	for weights, want := range map[int64]float64{0: 3, 100: 3, 150: 4, 200: 5, 300: 5.5, 400: 6, 1400: 11} {
		require.InDelta(t, want, r.Keys(weights), 1e-9, "%d", weights)
	}
}

// Rates that were measured are found again on this machine, and on no other: what is stored of another processor, other threads or for work by
// another reference is as good as nothing, and so is what is no rate.
func TestStored(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new")
	require.Nil(t, cost.Stored(folder))
	require.Nil(t, cost.Stored(""))
	name, err := of(2).Store(t.Context(), folder)
	require.NoError(t, err)
	require.Equal(t, of(2), cost.Stored(folder))
	data, err := os.ReadFile(name)
	require.NoError(t, err)

	for what, change := range map[string]func(map[string]any){
		"processor": func(s map[string]any) { s["cpu"] = "another" },
		"threads":   func(s map[string]any) { s["threads"] = 1000 },
		"reference": func(s map[string]any) { s["reference"] = "another" },
		"no rates":  func(s map[string]any) { s["rates"] = nil },
		"no phase":  func(s map[string]any) { delete(s["rates"].(map[string]any)["phases"].(map[string]any), "lookups") },
		"one point": func(s map[string]any) {
			s["rates"].(map[string]any)["setup"] = []any{map[string]any{"work": 1, "seconds": 1}}
		},
		"no seconds": func(s map[string]any) {
			s["rates"].(map[string]any)["decoding"] = []any{map[string]any{"work": 0, "seconds": 0}, map[string]any{"work": 1, "seconds": 0}}
		},
	} {
		var s map[string]any
		require.NoError(t, json.Unmarshal(data, &s))
		change(s)
		changed, err := json.Marshal(s)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(name, changed, 0o600))
		require.Nil(t, cost.Stored(folder), what)
	}
	require.NoError(t, os.WriteFile(name, data[:len(data)-3], 0o600))
	require.Nil(t, cost.Stored(folder), "cut off")
	require.NoError(t, os.WriteFile(name, data, 0o600))
	require.NotNil(t, cost.Stored(folder))
}
