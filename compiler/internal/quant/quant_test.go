package quant

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler/internal/synthetic"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

var models = map[string]func() *ir.Graph{
	"llama": func() *ir.Graph { return synthetic.Graph(3, 32, 4, 12, 40, 7) },
	"gpt":   func() *ir.Graph { return synthetic.GPT(3, 32, 4, 12, 40, 7) },
}

func program(t *testing.T, g *ir.Graph) *Program {
	ctx := context.Background()
	f := Prepare(g)
	samples, err := DefaultSamples(ctx, f)
	require.NoError(t, err)
	cal, err := Calibrate(ctx, f, samples)
	require.NoError(t, err)
	require.NoError(t, ir.Verify(f))
	p, err := Quantise(f, cal)
	require.NoError(t, err)
	require.NoError(t, ir.Verify(p.Int))
	return p
}

func randomIDs(g *ir.Graph, seed uint64) []int64 {
	rng := rand.New(rand.NewPCG(seed, 99))
	ids := make([]int64, g.Value(g.Input).Shape[0])
	for i := range ids {
		ids[i] = rng.Int64N(int64(g.Vocab))
	}
	return ids
}

func TestPrepareKeepsTheFunction(t *testing.T) {
	for name, make := range models {
		g := make()
		ids := randomIDs(g, 1)
		want, err := eval.Float(g, ids)
		require.NoError(t, err)
		f := Prepare(make())
		got, err := eval.Float(f, ids)
		require.NoError(t, err)
		for i, w := range want[g.Output] {
			require.InDelta(t, w, got[f.Output][i], 1e-9, name)
		}
	}
}

func TestAgreesWithFloat(t *testing.T) {
	for name, make := range models {
		p := program(t, make())
		var inputs []Input
		for seed := range uint64(8) {
			inputs = append(inputs, Input{IDs: randomIDs(p.Int, 100+seed)})
		}
		r, err := Check(context.Background(), p, inputs)
		require.NoError(t, err)
		require.True(t, r.OK(), "%s: %+v", name, r)
		require.Less(t, r.MeanError, 0.01, name)
	}
}

// TestValuesStayInRange runs the integer program and compares every cell with the declared range of its value.
func TestValuesStayInRange(t *testing.T) {
	for name, make := range models {
		p := program(t, make())
		for seed := range uint64(4) {
			vals, err := eval.Int(p.Int, randomIDs(p.Int, seed))
			require.NoError(t, err)
			for _, v := range p.Int.Values {
				for _, x := range vals[v.ID] {
					require.True(t, v.Lo <= x && x <= v.Hi, "%s: %s = %d is not in [%d, %d]", name, v.Name, x, v.Lo, v.Hi)
				}
				require.Less(t, max(v.Hi, -v.Lo), int64(1)<<62)
			}
		}
	}
}

// TestResidualStreamIsExact says that sums of increments are not rounded: every residual is an Einsum of coefficients 2^k.
func TestResidualStreamIsExact(t *testing.T) {
	p := program(t, models["llama"]())
	found := 0
	for _, n := range p.Int.Nodes {
		if n.Op != ir.OpEinsum || p.Int.Value(n.Out[0]).Name != "residual" {
			continue
		}
		found++
		for _, term := range n.Attr.(*ir.EinsumAttr).Terms {
			require.Len(t, term.In, 1)
			require.Zero(t, term.ICoef&(term.ICoef-1), "coefficient %d", term.ICoef)
		}
	}
	require.Equal(t, 6, found)
}

func TestDeterministic(t *testing.T) {
	require.Equal(t, program(t, models["gpt"]()).Int.String(), program(t, models["gpt"]()).Int.String())
}

func TestScaleFor(t *testing.T) {
	for _, top := range []float64{1e-9, 0.3, 1, 32767.0 / 32768, 1.5, 1000, 32767, 1e6} {
		s := scaleFor(top, 16)
		require.LessOrEqual(t, math.RoundToEven(math.Ldexp(top, s)), 32767.0, "%g", top)
		if s < maxScale {
			require.Greater(t, math.RoundToEven(math.Ldexp(top, s+1)), 32767.0, "%g: scale %d wastes a bit", top, s)
		}
	}
	require.Equal(t, maxScale, scaleFor(0, 16))
}

// TestRefusesWideSums names the node of a value that would leave 2^62.
func TestRefusesWideSums(t *testing.T) {
	g := &ir.Graph{Stage: ir.StageFloat, Vocab: 2}
	ids := g.Add(ir.OpInput, "ids", "ids", []int{2}, nil, nil)
	hot := g.Add(ir.OpOneHot, "hot", "hot", []int{2, 2}, []ir.ValueID{ids.ID}, nil)
	w := g.Add(ir.OpWeight, "w", "w", []int{2, 2}, nil, nil)
	w.Data = []float64{1, 2, 3, 4}
	e := g.Add(ir.OpEinsum, "embed", "x", []int{2, 2}, []ir.ValueID{hot.ID, w.ID}, &ir.EinsumAttr{Terms: []ir.Term{
		{Coef: 1, Extents: []int{2, 2, 2}, In: []int{0, 1}, Axes: [][][]int{{{0}, {1}}, {{1}, {2}}}, Out: [][]int{{0}, {2}}}}})
	same := [][]int{{0}, {1}}
	cube := g.Add(ir.OpEinsum, "cube", "x^5", []int{2, 2}, []ir.ValueID{e.ID}, &ir.EinsumAttr{Terms: []ir.Term{
		{Coef: 1, Extents: []int{2, 2}, In: []int{0, 0, 0, 0, 0}, Axes: [][][]int{same, same, same, same, same}, Out: same}}})
	g.Input, g.Output = ids.ID, cube.ID
	f := Prepare(g)
	cal, err := Calibrate(context.Background(), f, [][]int64{{0, 1}})
	require.NoError(t, err)
	_, err = Quantise(f, cal)
	require.ErrorContains(t, err, `node "cube"`)
	require.ErrorContains(t, err, "2^62")
}
