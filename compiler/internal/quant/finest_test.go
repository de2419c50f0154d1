package quant

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/test/synthetic"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// exacted quantises a graph as precisely as programs are made, or by so many steps finer than usual.
func exacted(t *testing.T, g *ir.Graph, finer int) (*Program, *Calibration) {
	t.Helper()
	f := prepared(g)
	cal, err := Calibrate(nil, f, nil, nil)
	require.NoError(t, err)
	cal.Finer = finer
	p, err := Quantise(nil, f, cal)
	require.NoError(t, err)
	require.NoError(t, ir.Verify(p.Int))
	return p, cal
}

// Softmaxes, normalisations and gates have errors of some 2^-24 in an exacting program, where 16 bits of each leave more.
func TestExacting(t *testing.T) {
	for name, build := range models {
		p, cal := exacted(t, build(), MostFiner)
		cal.Samples = cal.Samples[:3]
		is, most := errorOf(t, p, cal)
		t.Logf("%s: error %.2e, at most %.2e", name, is, most)
		require.Less(t, is, 2e-6)
	}
}

// What is rounded to few bits is rounded alike, and is compared alike: integers behind a normalisation, a softmax, a gate and a maximum are
// those of the float model, all of them, where usual precision misses some.
func TestRoundedAlike(t *testing.T) {
	differ := func(finer int) (cells int) {
		p, cal := exacted(t, roundings(), finer)
		_, most := errorOf(t, p, cal)
		top := cal.Max[p.Float.Out()]
		return int(math.Round(float64(most * top)))
	}
	require.Positive(t, differ(0), "by a whole step")
	require.Zero(t, differ(MostFiner))
}

// roundings are integers that several kinds of operations have computed.
func roundings() *ir.Graph {
	const rows, width = 16, 24
	g := &ir.Graph{Name: "roundings", Stage: ir.StageFloat}
	rng := rand.New(rand.NewPCG(7, 7))
	ids := g.AddInput(ir.Port{Name: "ids", Kind: plan.Integers, Lo: -100, Hi: 100, Shape: []int{rows, width}})
	weight := func(name string, shape ...int) *ir.Value {
		w := g.Add(ir.OpWeight, name, name, shape, nil, nil)
		for range ir.Size(shape) {
			w.Data = append(w.Data, rng.NormFloat64()/math.Sqrt(width))
		}
		return w
	}
	axes, extents := ir.IdentityAxes([]int{rows, width})
	linear := func(name string, x *ir.Value) *ir.Value {
		return g.Add(ir.OpEinsum, name, name, x.Shape, []ir.ValueID{x.ID, weight(name+".weight", width, width).ID}, &ir.EinsumAttr{Terms: []ir.Term{
			{Coef: 1, Extents: []int{rows, width, width}, In: []int{0, 1}, Axes: [][][]int{{{0}, {2}}, {{2}, {1}}}, Out: [][]int{{0}, {1}}}}})
	}
	quantised := func(x *ir.Value, steps float64) *ir.Value {
		y := g.Add(ir.OpEinsum, x.Name+".steps", "", x.Shape, []ir.ValueID{x.ID}, &ir.EinsumAttr{Terms: []ir.Term{{Coef: steps, Extents: extents, In: []int{0}, Axes: [][][]int{axes}, Out: axes}}})
		return g.Add(ir.OpUnary, x.Name+".rounded", "", x.Shape, []ir.ValueID{y.ID}, &ir.UnaryAttr{Fn: "round"})
	}
	n := g.Add(ir.OpNorm, "norm", "norm", ids.Shape, []ir.ValueID{ids.ID, weight("gamma", width).ID, weight("beta", width).ID}, &ir.NormAttr{Center: true, Eps: 1e-5, HasGamma: true, HasBeta: true})
	a := linear("a", quantised(n, 61.7))
	s := quantised(g.Add(ir.OpSoftmax, "softmax", "softmax", a.Shape, []ir.ValueID{a.ID}, &ir.SoftmaxAttr{Scale: 0.07}), 255.3)
	b := g.Add(ir.OpUnary, "gelu", "gelu", a.Shape, []ir.ValueID{linear("b", s).ID}, &ir.UnaryAttr{Fn: "gelu"})
	c := g.Add(ir.OpUnary, "relu", "relu", a.Shape, []ir.ValueID{linear("c", s).ID}, &ir.UnaryAttr{Fn: "relu"})
	g.Return(quantised(g.Add(ir.OpMax, "max", "max", a.Shape, []ir.ValueID{b.ID, c.ID}, nil), 3.3).ID)
	return g
}

// An exacting program is followed at a shorter length, which gives the same integers.
func TestExactingFollowed(t *testing.T) {
	for name, build := range models {
		long, _ := exacted(t, build(), MostFiner)
		require.True(t, slices.ContainsFunc(long.Int.Values, func(v *ir.Value) bool { return strings.HasSuffix(v.Name, ".fine") }), name)
		short, err := Follow(nil, long, build(), synthetic.Shorter(build(), build().Inputs[0].Shape[0]-3))
		require.NoError(t, err, name)
		differs, err := Disagreement(nil, long, []*Program{short}, [][]float64{eval.Reals(randomIDs(long.Int, 3))})
		require.NoError(t, err)
		require.Empty(t, differs, name)
	}
}

// A softmax of scores that count negatively, as those that are cut off from above by a relu do: their shift does not count.
func TestNegatedScores(t *testing.T) {
	for _, finer := range []int{0, MostFiner} {
		g := &ir.Graph{Name: "negated", Stage: ir.StageFloat}
		x := g.AddInput(ir.Port{Name: "x", Kind: plan.Reals, Lo: -4, Hi: 4, Shape: []int{4, 6}})
		r := g.Add(ir.OpUnary, "relu", "relu", x.Shape, []ir.ValueID{x.ID}, &ir.UnaryAttr{Fn: "relu"})
		g.Return(g.Add(ir.OpSoftmax, "softmax", "softmax", x.Shape, []ir.ValueID{r.ID}, &ir.SoftmaxAttr{Scale: -0.7}).ID)
		p, cal := exacted(t, g, finer)
		_, most := errorOf(t, p, cal)
		require.Less(t, most, 1.0/1024)
	}
}
