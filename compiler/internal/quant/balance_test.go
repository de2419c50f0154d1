package quant

import (
	"context"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/test/randgraph"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// cellsOf are the cells of all weights.
func cellsOf(g *ir.Graph) map[ir.ValueID][]float64 {
	before := map[ir.ValueID][]float64{}
	for _, v := range g.Values {
		if v.Def.Op == ir.OpWeight {
			before[v.ID] = v.Data
		}
	}
	return before
}

// Moving powers of two between weights changes no bit of what a model computes, whatever the model: what is normalised, exponentiated, used
// twice, split, or an output is left alone. It never writes into the cells that it was given, and changes those of many models.
func TestBalanceKeepsTheFunction(t *testing.T) {
	moved := 0
	for seed := uint64(1); seed <= 300; seed++ {
		g := randgraph.Graph(seed, 0)
		if seed%3 == 0 {
			_, g = randgraph.Scaled(seed)
		}
		ids := eval.Reals(randomIDs(g, seed))
		want, err := eval.Float(g, ids)
		require.NoError(t, err)
		given := cellsOf(g)
		require.NoError(t, balanceAll(nil, g, 1))
		for id, cells := range given {
			if now := g.Value(id).Data; &now[0] != &cells[0] {
				moved++
				require.NotEqual(t, cells, now, "a weight of seed %d was copied for nothing", seed)
			}
		}
		got, err := eval.Float(g, ids)
		require.NoError(t, err)
		require.Equal(t, want[g.Out()], got[g.Out()], "seed %d: %s", seed, g)
	}
	require.Greater(t, moved, 300)
}

// A model and the same with scales moved come out alike: the channels of every normalisation stand in about the same ratios, whatever they
// were multiplied with. A model of channels of about one size stays as it is.
func TestBalance(t *testing.T) {
	apart := func(a, b *ir.Graph) (most float64) { // the largest ratio between channels' factors
		for _, n := range a.Nodes {
			if n.Op != ir.OpNorm {
				continue
			}
			least, top := math.Inf(1), 0.0
			for c, x := range b.Value(n.In[1]).Data {
				by := math.Abs(x / a.Value(n.In[1]).Data[c])
				least, top = min(least, by), max(top, by)
			}
			most = max(most, top/least)
		}
		return most
	}
	far := 0
	for seed := uint64(1); seed <= 40; seed++ {
		plain, scaled := randgraph.Scaled(seed)
		if apart(plain, scaled) > 1<<10 {
			far++
		}
		require.NoError(t, balance(nil, plain))
		require.NoError(t, balance(nil, scaled))
		require.LessOrEqual(t, apart(plain, scaled), float64(1<<(balanceFrom+2)), "seed %d", seed)
	}
	require.Greater(t, far, 10)
	g := models["llama"]()
	before := cellsOf(g)
	require.NoError(t, balance(nil, g))
	require.Equal(t, before, cellsOf(g))
}

// What reads all weights ends when nobody waits any more, and when a weight cannot be read.
func TestReadingWeightsEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Prepare(budget.New(ctx, 1), models["llama"]())
	require.ErrorIs(t, err, context.Canceled)
	_, err = newMeasure(budget.New(ctx, 1), prepared(models["llama"]()))
	require.ErrorIs(t, err, context.Canceled)

	g := models["llama"]()
	for _, v := range g.Values {
		if v.Def.Op == ir.OpWeight {
			v.Stored, v.Data = unread(len(v.Data)), nil
		}
	}
	_, err = Prepare(nil, g)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = newMeasure(nil, g)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// unread are so many cells that cannot be read.
type unread int

func (u unread) Len() int                  { return int(u) }
func (u unread) Read([]float64, int) error { return io.ErrUnexpectedEOF }
