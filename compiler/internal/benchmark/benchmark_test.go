package benchmark

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/cost"
)

// What is predicted at the rates of two models is what these took.
func TestMeasure(t *testing.T) {
	var models []*sized
	for _, c := range sizes[:2] {
		m, err := c[0].measure(t.Context())
		require.NoError(t, err)
		require.Positive(t, m.setup)
		require.Positive(t, m.token)
		for _, p := range m.stats.Work.Phases() {
			require.Contains(t, m.phases, p.Name, "every phase that is predicted is measured")
		}
		models = append(models, m)
	}
	for i, name := range []string{"lookups", "final argument", "openings", "einsum waves", "commit witness", "witness"} { // whatever the clock says
		models[0].phases[name], models[1].phases[name] = float64(i+1), float64(2*i+7)
	}
	models[0].setup, models[1].setup = 3, 5
	models[1].stats.Work.Points *= 2 // the smallest models have rows of one width
	r := rates([][]*sized{models[:1], models[1:]})
	for _, m := range models {
		require.InEpsilon(t, m.setup, r.Keys(m.stats.WeightCells), 1e-9)
		for _, p := range r.Proof(&m.stats.Work) {
			require.InEpsilon(t, m.phases[p.Name], p.Seconds, 1e-9, p.Name)
		}
	}
}

// A larger model that took no longer than a smaller one counts in its place.
func TestAdd(t *testing.T) {
	var p cost.Pace
	add(&p, cost.Point{Work: 1, Seconds: 2})
	add(&p, cost.Point{Work: 2, Seconds: 1})
	require.Equal(t, cost.Pace{{Work: 2, Seconds: 1}}, p)
	add(&p, cost.Point{Work: 4, Seconds: 3})
	require.Equal(t, cost.Pace{{Work: 2, Seconds: 1}, {Work: 4, Seconds: 3}}, p)
	add(&p, cost.Point{Work: 8, Seconds: 3})
	require.Equal(t, cost.Pace{{Work: 2, Seconds: 1}, {Work: 8, Seconds: 3}}, p)
}

// What is cancelled measures nothing and leaves nothing behind.
func TestCancelled(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Measure(ctx, func(string) {})
	require.ErrorIs(t, err, context.Canceled)
}
