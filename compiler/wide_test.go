package compiler

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// fifthPowers is a language model whose hidden cells are x⁵ + 3·x of an embedding, one sum of products of up to 80 bits.
func fifthPowers(length, vocab, width int) *ir.Graph {
	rng := rand.New(rand.NewPCG(5, 5))
	g := &ir.Graph{Stage: ir.StageFloat, Causal: true}
	weight := func(name string, shape ...int) ir.ValueID {
		w := g.Add(ir.OpWeight, name, name, shape, nil, nil)
		for range ir.Size(shape) {
			w.Data = append(w.Data, math.Round(2000*rng.Float64()-1000)/500)
		}
		return w.ID
	}
	ids := g.AddIDs("ids", length, vocab)
	hot := g.Add(ir.OpOneHot, "hot", "hot", []int{length, vocab}, []ir.ValueID{ids.ID}, nil)
	product := func(a, b ir.ValueID, n, m int) ir.ValueID {
		t := ir.Term{Coef: 1, Extents: []int{length, n, m}, In: []int{0, 1}, Axes: [][][]int{{{0}, {1}}, {{1}, {2}}}, Out: [][]int{{0}, {2}}}
		return g.Add(ir.OpEinsum, "product", "product", []int{length, m}, []ir.ValueID{a, b}, &ir.EinsumAttr{Terms: []ir.Term{t}}).ID
	}
	x := product(hot.ID, weight("table", vocab, width), vocab, width)
	axes, extents := ir.IdentityAxes([]int{length, width})
	fifth := ir.Term{Coef: 1, Extents: extents, In: make([]int, 5), Axes: slices.Repeat([][][]int{axes}, 5), Out: axes}
	p := g.Add(ir.OpEinsum, "powers", "powers", []int{length, width}, []ir.ValueID{x}, &ir.EinsumAttr{Terms: []ir.Term{fifth}})
	sum := func(coef float64, in int) ir.Term {
		return ir.Term{Coef: coef, Extents: extents, In: []int{in}, Axes: [][][]int{axes}, Out: axes}
	}
	s := g.Add(ir.OpEinsum, "sum", "sum", []int{length, width}, []ir.ValueID{p.ID, x}, &ir.EinsumAttr{Terms: []ir.Term{sum(1, 0), sum(3, 1)}})
	g.Return(product(s.ID, weight("head", width, vocab), width, vocab))
	return g
}

// TestWideSumsAreProved takes a model with sums that leave 62 bits from floats to a verified proof, whose logits are as precise as any.
func TestWideSumsAreProved(t *testing.T) {
	ctx := context.Background()
	r := compileGraph(t, fifthPowers(3, 7, 5), Config{})
	require.True(t, slices.ContainsFunc(r.Circuit.Tensors, func(c circuit.Tensor) bool { return c.Wide() }))
	require.NotNil(t, r.Circuit.Generation)
	report, err := r.Check(ctx, randomInputs(r, 8))
	require.NoError(t, err)
	require.Less(t, report.MaxError, report.MaxLogit/256)
	require.NoError(t, r.Prove(ctx, Tokens(2, 6, 0)))
}

// TestScalesOfInputs proves functions of inputs of tiny and huge magnitudes, which have the scales that they need. Beyond what a port can
// say an input is refused by its name.
func TestScalesOfInputs(t *testing.T) {
	ctx := context.Background()
	scaled := func(top, factor float64) *ir.Graph {
		g := &ir.Graph{Stage: ir.StageFloat}
		x := g.AddInput(ir.Port{Name: "x", Kind: plan.Reals, Lo: -top, Hi: top, Shape: []int{4}})
		w := g.Add(ir.OpWeight, "w", "w", []int{4}, nil, nil)
		w.Data = []float64{factor, factor / 3, -factor, factor / 7}
		t := ir.Term{Coef: 1, Extents: []int{4}, In: []int{0, 1}, Axes: [][][]int{{{0}}, {{0}}}, Out: [][]int{{0}}}
		y := g.Add(ir.OpEinsum, "y", "y", []int{4}, []ir.ValueID{x.ID, w.ID}, &ir.EinsumAttr{Terms: []ir.Term{t}})
		g.Return(g.Add(ir.OpUnary, "z", "z", []int{4}, []ir.ValueID{y.ID}, &ir.UnaryAttr{Fn: "tanh"}).ID)
		return g
	}
	for _, top := range []float64{0x1p-100, 1e-20, 1e-9, 1e9, 1e20, 0x1p99} {
		r := compileGraph(t, scaled(top, 1/top), Config{})
		in := Input{Elements: []Data{{Values: []float64{top, -top / 2, top / 5, 0}}}}
		report, err := r.Check(ctx, []Input{in})
		require.NoError(t, err, top)
		require.Less(t, report.Error(), 1.0/2048, top)
		if top < 1e-20 || top > 1e20 {
			require.NoError(t, r.Prove(ctx, in), top)
		}
	}
	for _, top := range []float64{0x1p-101, 0x1p100} {
		g := scaled(top, 1)
		_, err := fromGraph(ctx, g, Config{})
		require.ErrorContains(t, err, `the input "x" has the range`, top)
	}
}
