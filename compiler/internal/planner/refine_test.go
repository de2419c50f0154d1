package planner

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// ints is an integer program by hand: 2 tokens of a vocabulary of 3.
type intGraph struct {
	*ir.Graph
	hot ir.ValueID
}

func newIntGraph() intGraph {
	g := &ir.Graph{Name: "g", Stage: ir.StageInt}
	ids := g.AddIDs("ids", 2, 3)
	ids.Hi = 2
	hot := g.Add(ir.OpOneHot, "hot", "hot", []int{2, 3}, []ir.ValueID{ids.ID}, nil)
	hot.Hi = 1
	return intGraph{g, hot.ID}
}

// weight has the cells 1, 2, ….
func (g intGraph) weight(name string, shape ...int) ir.ValueID {
	v := g.Add(ir.OpWeight, name, name, shape, nil, nil)
	v.Lo, v.Hi = -128, 127
	for i := range ir.Size(shape) {
		v.Ints = append(v.Ints, int64(i%7)-2)
	}
	return v.ID
}

// sum adds one term: axes as lists of labels, per operand and for the result.
func (g intGraph) sum(name string, extents []int, in []ir.ValueID, axes [][][]int, out [][]int) ir.ValueID {
	t := ir.Term{ICoef: 1, Coef: 1, Extents: extents, Axes: axes, Out: out}
	shape := make([]int, len(out))
	for i := range in {
		t.In = append(t.In, i)
	}
	for a, labels := range out {
		shape[a] = t.AxisExtent(labels)
	}
	v := g.Add(ir.OpEinsum, name, name, shape, in, &ir.EinsumAttr{Terms: []ir.Term{t}})
	v.Lo, v.Hi = -1<<40, 1<<40
	return v.ID
}

func (g intGraph) rescale(name string, x ir.ValueID) ir.ValueID {
	v := g.Add(ir.OpRescale, name, name, g.Value(x).Shape, []ir.ValueID{x}, &ir.RescaleAttr{Shift: 2, Lo: -64, Hi: 63})
	v.Lo, v.Hi = -64, 63
	return v.ID
}

// embed is the [2, n] embedding.
func (g intGraph) embed(n int) ir.ValueID {
	return g.sum("embedding", []int{2, 3, n}, []ir.ValueID{g.hot, g.weight("table", 3, n)}, [][][]int{{{0}, {1}}, {{1}, {2}}}, [][]int{{0}, {2}})
}

// logits sums a value over all but its first axis.
func (g intGraph) logits(x ir.ValueID) {
	shape := g.Value(x).Shape
	ext, axes := []int{2, 3}, [][]int{{0}}
	for _, d := range shape[1:] {
		axes = append(axes, []int{len(ext)})
		ext = append(ext, d)
	}
	w := g.weight("head", append([]int{3}, shape[1:]...)...)
	g.Return(g.sum("logits", ext, []ir.ValueID{x, w}, [][][]int{axes, append([][]int{{1}}, axes[1:]...)}, [][]int{{0}, {1}}))
}

// heads splits the last axis of [2, n·d] into n and d, d ahead.
func (g intGraph) heads(name string, x ir.ValueID, n, d int) ir.ValueID {
	return g.sum(name, []int{2, n, d}, []ir.ValueID{x}, [][][]int{{{0}, {1, 2}}}, [][]int{{1}, {0}, {2}})
}

// What is stored in parts is so wherever the axis goes: through roundings, into weights, through labels that are split on the way.
func TestRefine(t *testing.T) {
	for name, c := range map[string]struct {
		build func(g intGraph)
		want  map[string][]int // shapes
		err   string
	}{
		"power of two": {build: func(g intGraph) {
			g.logits(g.sum("back", []int{2, 3, 4}, []ir.ValueID{g.heads("h", g.rescale("x", g.embed(12)), 3, 4)}, [][][]int{{{1}, {0}, {2}}}, [][]int{{0}, {1, 2}}))
		}, want: map[string][]int{"x": {2, 12}, "table": {3, 12}, "h": {3, 2, 4}, "back": {2, 12}, "head": {3, 12}}},
		"heads of three": {build: func(g intGraph) {
			g.logits(g.sum("back", []int{2, 4, 3}, []ir.ValueID{g.heads("h", g.rescale("x", g.embed(12)), 4, 3)}, [][][]int{{{1}, {0}, {2}}}, [][]int{{0}, {1, 2}}))
		}, want: map[string][]int{"x": {2, 4, 3}, "embedding": {2, 4, 3}, "table": {3, 4, 3}, "h": {4, 2, 3}, "back": {2, 4, 3}, "head": {3, 4, 3}, "logits": {2, 3}}},
		"heads of six, in halves": {build: func(g intGraph) { // 12 = 2·6, and 6 = 3·2, which is a split at a power of two
			h := g.heads("h", g.rescale("x", g.embed(12)), 2, 6)
			g.logits(g.rescale("y", g.sum("turned", []int{2, 2, 3, 2}, []ir.ValueID{h}, [][][]int{{{1}, {0}, {2, 3}}}, [][]int{{0}, {1}, {3, 2}})))
		}, want: map[string][]int{"x": {2, 2, 6}, "h": {2, 2, 6}, "y": {2, 2, 2, 3}}},
		"three and six": {build: func(g intGraph) {
			x := g.rescale("x", g.embed(12))
			g.logits(g.sum("pair", []int{2, 2, 6, 4, 3}, []ir.ValueID{g.heads("a", x, 2, 6), g.heads("b", x, 4, 3)},
				[][][]int{{{1}, {0}, {2}}, {{3}, {0}, {4}}}, [][]int{{0}, {1}, {2}, {3}, {4}}))
		}, want: map[string][]int{"x": {2, 2, 2, 3}, "a": {2, 2, 2, 3}, "b": {4, 2, 3}}},
		"two ways that do not fit": {build: func(g intGraph) {
			x := g.rescale("x", g.embed(15))
			g.logits(g.sum("pair", []int{2, 5, 3, 3, 5}, []ir.ValueID{g.heads("a", x, 5, 3), g.heads("b", x, 3, 5)},
				[][][]int{{{1}, {0}, {2}}, {{3}, {0}, {4}}}, [][]int{{0}, {1}, {2}, {3}, {4}}))
		}, want: map[string][]int{"x": {2, 5, 3}, "table": {3, 5, 3}, "x.again": {2, 3, 5}, "parts": {5, 3, 3, 5}, "a": {5, 2, 3}, "b": {3, 2, 5}}},
		"the vocabulary": {build: func(g intGraph) {
			x := g.embed(12)
			g.sum("logits", []int{2, 3, 12}, []ir.ValueID{x, g.weight("w", 3, 12)}, [][][]int{{{0}, {2}}, {{1}, {2}}}, [][]int{{0}, {1}})
			g.Inputs[0].Hi = 8
			g.Value(g.hot).Shape = []int{2, 9}
			g.Nodes = g.Nodes[:1]
			hot := g.Add(ir.OpOneHot, "hot", "hot", []int{2, 9}, []ir.ValueID{g.In()}, nil).ID
			g.Return(g.sum("split", []int{2, 3, 3}, []ir.ValueID{hot}, [][][]int{{{0}, {1, 2}}}, [][]int{{0}, {2, 1}}))
		}, want: map[string][]int{"hot": {2, 9}, "split": {2, 9}}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newIntGraph()
			c.build(g)
			before := g.String()
			r, err := refine(g.Graph)
			require.Equal(t, before, g.String(), "the program itself is changed")
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.NoError(t, ir.Verify(r.Graph))
			for _, v := range r.Values {
				if want, ok := c.want[v.Name]; ok {
					require.Equal(t, want, v.Shape, v.Name)
				}
				if strings.HasSuffix(v.Name, ".again") {
					bounds, _, err := ir.Bounds(r.Graph, v.Def)
					require.NoError(t, err)
					require.Equal(t, v.Bounds(), bounds[0], "what is stored in parts reaches no further: %s", v.Name)
				}
			}
			for ids := range int64(9) {
				want, err := eval.Int(g.Graph, []int64{ids / 3, ids % 3})
				require.NoError(t, err)
				got, err := eval.Int(r.Graph, []int64{ids / 3, ids % 3})
				require.NoError(t, err)
				for id := range want {
					require.Equal(t, want[id], got[id], "every cell of every value, in the same order: %s", g.Value(id).Name)
				}
			}
			again, err := refine(r.Graph)
			require.NoError(t, err)
			require.Same(t, r.Graph, again.Graph, "nothing is left to refine")
		})
	}
}

// A long axis that is split in two ways is looked at through an equation, one that is so long that nobody could evaluate it is refused, and
// an argument for bounds stays with what it is about.
func TestTwoStorages(t *testing.T) {
	build := func(n, d int) *quant.Program {
		g := newIntGraph()
		x := g.rescale("x", g.embed(n*d))
		a, b := g.heads("a", x, n, d), g.heads("b", x, d, n)
		g.logits(g.sum("pair", []int{2, n, d}, []ir.ValueID{a, b}, [][][]int{{{1}, {0}, {2}}, {{2}, {0}, {1}}}, [][]int{{0}, {1}, {2}}))
		return &quant.Program{Int: g.Graph}
	}
	p, err := Plan(build(9, 80), Options{})
	require.NoError(t, err)
	found := false
	for _, s := range p.Prologue {
		if where, ok := s.Arg("where"); ok && s.Op == plan.Affine {
			found = found || where.Text == "9i + j - 80k - l" || where.Text == "80i + j - 9k - l"
		}
	}
	require.True(t, found)
	_, err = Plan(build(1023, 1025), Options{})
	require.ErrorContains(t, err, "it is too long to be looked at in two ways: split it alike")
	r := &refined{moved: map[ir.ValueID]ir.ValueID{7: 3, 9: 7}}
	require.Equal(t, map[ir.ValueID]string{2: "other", 9: "argument"}, r.why(map[ir.ValueID]string{2: "other", 3: "argument"}))
}
