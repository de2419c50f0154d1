package prover

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/cost"
)

// A proof that fits is made as it is fastest, one that would not is made in less memory, and one that would not even then is refused.
func TestAfford(t *testing.T) {
	b := circuit.NewBuilder(circuit.Config{Name: "large", WitnessBits: 12, WeightBits: 12})
	b.Lookup(b.TableOf("bit", func() [][]int64 { return [][]int64{{0, 1}} }), b.Witness("x", 0, 1, 1<<24))
	c, err := b.Finish()
	require.NoError(t, err)
	w := cost.Of(c)
	require.Greater(t, w.Bytes(), 1.3*w.FrugalBytes())
	for _, test := range []struct {
		budget  float64
		frugal  bool
		refused bool
	}{
		{budget: 0}, {budget: w.Bytes() + 1}, {budget: w.Bytes() - 1, frugal: true}, {budget: w.FrugalBytes() + 1, frugal: true},
		{budget: w.FrugalBytes() - 1, refused: true},
	} {
		var says bytes.Buffer
		a := &app{stderr: &says, progress: newProgress(&says)}
		ctx, err := a.afford(t.Context(), c, uint64(test.budget))
		require.Equal(t, test.frugal, says.Len() > 0)
		if test.refused {
			require.ErrorContains(t, err, "the proof would take about "+size(w.FrugalBytes()))
		} else {
			require.NoError(t, err)
			require.Equal(t, uint64(test.budget), backend.Budget(ctx))
		}
	}
}
