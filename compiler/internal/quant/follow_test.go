package quant

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/test/randgraph"
	"github.com/zkllmc/zkllmc/internal/test/synthetic"
	"github.com/zkllmc/zkllmc/internal/weights"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// ninePositions are models with an axis of 9 for positions alone.
var ninePositions = map[string]func() *ir.Graph{
	"llama":    func() *ir.Graph { return synthetic.Graph(2, 16, 2, 9, 20, 7) },
	"gpt":      func() *ir.Graph { return synthetic.GPT(2, 16, 2, 9, 20, 7) },
	"outliers": func() *ir.Graph { return massive(synthetic.GPT(2, 16, 2, 9, 20, 7), 4096, true) },
	"channels apart": func() *ir.Graph { // which balance moves
		g := synthetic.Graph(1, 16, 2, 9, 20, 7)
		for _, n := range g.Nodes {
			v := g.Value(n.Out[0])
			for i := 3; i < len(v.Data); i += 16 {
				switch v.Name {
				case "layers.0.input_norm.weight":
					v.Data[i] *= 4096
				case "layers.0.q_proj.weight", "layers.0.k_proj.weight", "layers.0.v_proj.weight":
					v.Data[i] /= 4096
				}
			}
		}
		return g
	},
	"weights without names": func() *ir.Graph { // whose roundings are told apart by shapes
		g := synthetic.Graph(2, 16, 2, 9, 20, 7)
		for i, n := range g.Nodes {
			if n.Op == ir.OpWeight {
				g.Value(n.Out[0]).Name = fmt.Sprintf("val_%d", 100+i)
			}
		}
		return g
	},
}

// widened is a program with more bits for all roundings that have a choice of them.
func widened(t *testing.T, p *Program) *Program {
	widths := map[string]int{}
	for key, place := range p.places {
		if place.free {
			widths[key] = 20
		}
	}
	require.NotEmpty(t, widths)
	p, err := quantise(nil, p.Float, p.choices.cal, nil, widths, false, false)
	require.NoError(t, err)
	return p
}

// A program that follows another one at a shorter length gives the same integer logits on the beginning of every input, out of the same
// weights with the same ranges; one that chooses for itself does not, which is the control.
func TestFollow(t *testing.T) {
	for name, make := range ninePositions {
		long := program(t, make())
		if name == "weights without names" {
			long = widened(t, long)
		}
		for _, n := range []int{2, 5} {
			short, err := Follow(nil, long, make(), synthetic.Shorter(make(), n))
			require.NoError(t, err, name)
			require.Equal(t, weightsOf(long.Int), weightsOf(short.Int), name)
			require.Equal(t, long.Units, short.Units)
			for seed := range uint64(6) {
				differs, err := Disagreement(nil, long, []*Program{short}, [][]float64{eval.Reals(randomIDs(long.Int, seed))})
				require.NoError(t, err)
				require.Empty(t, differs, name)
			}
		}
		differs, err := Disagreement(nil, long, []*Program{program(t, synthetic.Shorter(make(), 2))}, [][]float64{eval.Reals(randomIDs(long.Int, 1))})
		require.NoError(t, err)
		require.Contains(t, differs, "position 0 of 2 has for token 0 the logit", name)
	}
}

// Random decoders, whose activations and weights have magnitudes from 1e-9 to 1e5, are followed at a shorter length, whatever was chosen
// for them: more bits, weights in two parts, functions in pieces, powers of two that moved.
func TestFollowRandomDecoders(t *testing.T) {
	tried, widths, parts, pieces := 0, 0, 0, 0
	for seed := uint64(1); seed <= 90; seed++ {
		draw := func() *ir.Graph { _, g := randgraph.Scaled(seed); return g }
		g := draw()
		T := g.Value(g.In()).Shape[0]
		if T < 3 || slices.ContainsFunc(g.Values, func(v *ir.Value) bool { return v.Def.Op == ir.OpWeight && slices.Contains(v.Shape, T) }) {
			continue // of T positions and as many channels
		}
		f := prepared(g)
		cal, err := Calibrate(nil, f, nil, nil)
		require.NoError(t, err)
		long, err := Quantise(nil, f, cal)
		if err != nil {
			continue // its bounds leave 2^62
		}
		short, err := Follow(nil, long, draw(), synthetic.Shorter(draw(), T-1))
		require.NoError(t, err, "seed %d", seed)
		differs, err := Disagreement(nil, long, []*Program{short}, [][]float64{eval.Reals(randomIDs(long.Int, seed))})
		require.NoError(t, err)
		require.Empty(t, differs, "seed %d", seed)
		tried++
		if len(long.choices.widths) > 0 {
			widths++
		}
		if slices.ContainsFunc(long.Int.Values, func(v *ir.Value) bool { return v.Def.Op == ir.OpWeight && strings.HasSuffix(v.Name, ".low") }) {
			parts++
		}
		if slices.ContainsFunc(long.Int.Nodes, func(n *ir.Node) bool { return n.Op == ir.OpPiecewiseLinear }) {
			pieces++
		}
	}
	require.Greater(t, tried, 15)
	require.Greater(t, widths, 5)
	require.Greater(t, parts, 0)
	require.Greater(t, pieces, 0)
}

// Each text is checked with the shortest program that holds it, as it is proved, and gives there what it gives at the longest; where places
// are compared, and of what has no positions, all run with the longest.
func TestCheckAtTheShortestLength(t *testing.T) {
	whole := func() *ir.Graph { return synthetic.GPT(1, 16, 2, 9, 20, 7) }
	long := program(t, whole())
	var shorter []*Program
	for _, n := range []int{3, 6} {
		s, err := Follow(nil, long, whole(), synthetic.Shorter(whole(), n))
		require.NoError(t, err)
		shorter = append(shorter, s)
	}
	c := checker{p: long, shorter: shorter}
	var inputs []Input
	for positions, want := range map[int]*Program{0: long, 1: shorter[0], 3: shorter[0], 4: shorter[1], 6: shorter[1], 7: long, 9: long} {
		in := Input{Elements: [][]float64{eval.Reals(randomIDs(long.Int, uint64(positions)))}, Positions: positions}
		r := c.fitting(&in)
		require.Same(t, want, r.p, "%d positions", positions)
		require.Equal(t, in.Elements[0][:want.Float.Inputs[0].Shape[0]], r.given[0])
		inputs = append(inputs, in)
	}
	slices.SortFunc(inputs, func(a, b Input) int { return a.Positions - b.Positions })
	r, err := Check(nil, long, shorter, inputs, CheckOptions{Perplexed: true})
	require.NoError(t, err)
	require.Equal(t, 9+1+3+4+6+7+9, r.Positions)
	alone, err := Check(nil, long, nil, inputs, CheckOptions{Perplexed: true})
	require.NoError(t, err)
	require.Equal(t, alone, r)

	c.places = newPlaces(long)
	placed := c.fitting(&inputs[1])
	require.Same(t, long, placed.p)
	require.Len(t, placed.given[0], 9)
	with, err := Check(nil, long, shorter, inputs, CheckOptions{Perplexed: true, Places: true})
	require.NoError(t, err)
	require.NotEmpty(t, with.Places)
	require.Equal(t, alone.Comparison, with.Comparison)
}

// weight is what circuits of several lengths must have alike of one.
type weight struct {
	Name   string
	Shape  []int
	Lo, Hi int64
	Cells  []int16
}

func weightsOf(g *ir.Graph) (out []weight) {
	for _, n := range g.Nodes {
		if v := g.Value(n.Out[0]); n.Op == ir.OpWeight {
			cells, err := weights.All(v.Short)
			if err != nil {
				panic(err)
			}
			out = append(out, weight{v.Name, v.Shape, v.Lo, v.Hi, cells})
		}
	}
	return out
}

// What depends on the length in more than extents is refused with its node: other cells of a weight, rows that are not the first of a
// table, another operation, another factor, a constant beyond the range of the longest length's.
func TestFollowRefuses(t *testing.T) {
	long := program(t, synthetic.GPT(1, 16, 2, 9, 20, 7))
	node := func(g *ir.Graph, op ir.Op, name string) *ir.Node {
		i := slices.IndexFunc(g.Nodes, func(n *ir.Node) bool { return n.Op == op && g.Value(n.Out[0]).Name == name })
		require.GreaterOrEqual(t, i, 0, name)
		return g.Nodes[i]
	}
	data := func(g *ir.Graph, op ir.Op, name string) []float64 { return g.Value(node(g, op, name).Out[0]).Data }
	for name, c := range map[string]struct {
		change func(g *ir.Graph)
		want   string
	}{
		"a weight": {func(g *ir.Graph) { data(g, ir.OpWeight, "layers.0.q_proj.weight")[3] *= 2 },
			`node "layers.0.q_proj.weight" (Weight): the cells of its weight "q_proj.weight" depend on the length`},
		"the last rows": {func(g *ir.Graph) { slices.Reverse(data(g, ir.OpWeight, "positions.weight")) },
			`the cells of its weight "positions.weight" depend on the length`},
		"an operation": {func(g *ir.Graph) { node(g, ir.OpUnary, "layers.0.gelu").Attr = &ir.UnaryAttr{Fn: "silu"} },
			`node "layers.0.gelu" (Unary): computes something else at the longest length`},
		"a factor": {func(g *ir.Graph) { node(g, ir.OpEinsum, "layers.0.scores").Attr.(*ir.EinsumAttr).Terms[0].Coef = 0.5 },
			`node "layers.0.scores" (Einsum): computes something else`},
		"another output": {func(g *ir.Graph) { g.Return(node(g, ir.OpNorm, "norm").Out[0]) },
			`node "norm" (Norm): gives an output, and at the longest length another node does`},
		"a node more": {func(g *ir.Graph) {
			v := g.Value(g.Out())
			g.Return(g.Add(ir.OpUnary, "more", "more", v.Shape, []ir.ValueID{v.ID}, &ir.UnaryAttr{Fn: "gelu"}).ID)
		}, `node "more" (Unary): has no counterpart at the longest length`},
		"a node less": {func(g *ir.Graph) { g.Return(g.Nodes[len(g.Nodes)-2].Out[0]); g.Nodes = g.Nodes[:len(g.Nodes)-1] },
			`node "logits" (Einsum): has no counterpart at a shorter length`},
		"fewer summands": {func(g *ir.Graph) { a := node(g, ir.OpEinsum, "positions").Attr.(*ir.EinsumAttr); a.Terms = a.Terms[:1] },
			`stands where the longest length has node "positions" (Einsum)`},
		"another epsilon": {func(g *ir.Graph) { node(g, ir.OpNorm, "norm").Attr.(*ir.NormAttr).Eps = 1e-3 },
			`node "norm" (Norm): computes something else`},
	} {
		g := synthetic.Shorter(synthetic.GPT(1, 16, 2, 9, 20, 7), 4)
		c.change(g)
		_, err := Follow(nil, long, synthetic.GPT(1, 16, 2, 9, 20, 7), g)
		require.ErrorContains(t, err, c.want, name)
	}
	rotated := program(t, synthetic.Graph(1, 16, 2, 9, 20, 7))
	g := synthetic.Shorter(synthetic.Graph(1, 16, 2, 9, 20, 7), 4)
	data(g, ir.OpConst, "cos")[0] = 3
	_, err := Follow(nil, rotated, synthetic.Graph(1, 16, 2, 9, 20, 7), g)
	require.ErrorContains(t, err, "at the longest length; what it computes depends on the length in more than how many positions there are: "+
		"compile the lengths one by one")
}

// The corner of a box has the least indices on every axis.
func TestBegins(t *testing.T) {
	begin := func(shape []int, cells ...float64) bool {
		is, err := begins(weights.Held[float64]{0, 1, 2, 10, 11, 12, 20, 21, 22}, []int{3, 3}, weights.Held[float64](cells), shape)
		require.NoError(t, err)
		return is
	}
	require.True(t, begin([]int{2, 3}, 0, 1, 2, 10, 11, 12))
	require.True(t, begin([]int{3, 2}, 0, 1, 10, 11, 20, 21))
	require.True(t, begin([]int{3, 3}, 0, 1, 2, 10, 11, 12, 20, 21, 22))
	require.False(t, begin([]int{3, 3}, 0, 1, 2, 10, 11, 12, 20, 21, 23))
	require.False(t, begin([]int{2, 3}, 10, 11, 12, 20, 21, 22))
	require.False(t, begin([]int{4, 3}, make([]float64, 12)...), "it is longer")
	require.False(t, begin([]int{3}, 0, 1, 2), "it has other axes")
}
