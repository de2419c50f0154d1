package quant

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/test/synthetic"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// maximum adds max(logits, factor·logits) behind a model: operands whose magnitudes differ by the factor.
func maximum(factor float64) *ir.Graph {
	g := synthetic.Graph(1, 16, 2, 6, 20, 3)
	v := g.Value(g.Out())
	axes, extents := ir.IdentityAxes(v.Shape)
	scale := func(x *ir.Value, c float64) *ir.Value {
		t := ir.Term{Coef: c, Extents: extents, In: []int{0}, Axes: [][][]int{axes}, Out: axes}
		return g.Add(ir.OpEinsum, "scale", "", x.Shape, []ir.ValueID{x.ID}, &ir.EinsumAttr{Terms: []ir.Term{t}})
	}
	m := g.Add(ir.OpMax, "max", "", v.Shape, []ir.ValueID{v.ID, scale(v, factor).ID}, nil)
	g.Return(scale(m, 1.5).ID)
	return g
}

// TestMaxOfScales says that operands of different scales are brought to one, at which the larger of them loses nothing that counts, and
// that the table of their differences fits.
func TestMaxOfScales(t *testing.T) {
	for _, factor := range []float64{1, -1, 0.001, -300, 1e5} {
		p := program(t, maximum(factor))
		ids := randomIDs(p.Int, 5)
		want, err := eval.Float(p.Float, eval.Reals(ids))
		require.NoError(t, err)
		got, err := eval.Int(p.Int, ids)
		require.NoError(t, err)
		top := 0.0
		for _, x := range want[p.Float.Out()] {
			top = math.Max(top, math.Abs(x))
		}
		for i, x := range want[p.Float.Out()] {
			require.InDelta(t, x, float64(got[p.Int.Out()][i])*p.Units[0], 0.01*top, "factor %g, cell %d", factor, i)
		}
		for _, n := range p.Int.Nodes {
			if n.Op == ir.OpMax {
				x, y := p.Int.Value(n.In[0]), p.Int.Value(n.In[1])
				require.Equal(t, x.Scale, y.Scale)
				require.LessOrEqual(t, x.Hi-y.Lo-(x.Lo-y.Hi), int64(1)<<16, "a line per difference")
			}
		}
	}
}
