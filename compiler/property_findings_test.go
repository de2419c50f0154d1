package compiler

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/ir"
)

// What the random programs found, each as small as it gets.

// tiny is a graph of 4 positions and 4 tokens with an embedding of width 4; every label has extent 4.
type tiny struct {
	g      *ir.Graph
	hot, x ir.ValueID
}

func newTiny() *tiny {
	y := &tiny{g: &ir.Graph{Name: "tiny", Stage: ir.StageFloat, Causal: true}}
	ids := y.g.AddIDs("ids", 4, 4)
	y.hot = y.g.Add(ir.OpOneHot, "onehot", "onehot", []int{4, 4}, []ir.ValueID{ids.ID}, nil).ID
	y.x = y.sum("tv,vd->td", y.hot, y.weight(4, 4))
	return y
}

// weight makes a weight of distinct cells.
func (y *tiny) weight(shape ...int) ir.ValueID { return y.leaf(ir.OpWeight, 0, shape...) }

// leaf makes a weight or constant of one value, or of distinct cells for 0.
func (y *tiny) leaf(op ir.Op, value float64, shape ...int) ir.ValueID {
	v := y.g.Add(op, "leaf", fmt.Sprintf("w%d", len(y.g.Values)), shape, nil, nil)
	for i := range ir.Size(shape) {
		v.Data = append(v.Data, cmp.Or(value, math.Sin(float64(i+len(y.g.Values)))))
	}
	return v.ID
}

// sum adds one term; labels are letters.
func (y *tiny) sum(spec string, in ...ir.ValueID) ir.ValueID {
	from, to, _ := strings.Cut(spec, "->")
	t := ir.Term{Coef: 1, ICoef: 1}
	labels := map[rune]int{}
	axes := func(s string) (list [][]int) {
		for _, c := range s {
			if _, ok := labels[c]; !ok {
				labels[c] = len(labels)
				t.Extents = append(t.Extents, 4)
			}
			list = append(list, []int{labels[c]})
		}
		return list
	}
	for i, s := range strings.Split(from, ",") {
		t.In, t.Axes = append(t.In, int(in[i])), append(t.Axes, axes(s))
	}
	t.Out = axes(to)
	ids, attr := ir.Bind([]ir.Term{t})
	return y.g.Add(ir.OpEinsum, spec, "sum", slices.Repeat([]int{4}, len(t.Out)), ids, attr).ID
}

func (y *tiny) norm(x ir.ValueID, gamma, beta ir.ValueID) ir.ValueID {
	a := &ir.NormAttr{Eps: 1e-5, HasGamma: true, HasBeta: true}
	return y.g.Add(ir.OpNorm, "norm", "norm", []int{4, 4}, []ir.ValueID{x, gamma, beta}, a).ID
}

// findings are the logits of graphs that failed once.
var findings = map[string]func(y *tiny) ir.ValueID{
	// Exporters store equal initializers once: the zeros of untrained biases, say.
	"two normalisations share beta": func(y *tiny) ir.ValueID {
		beta := y.leaf(ir.OpWeight, 1e-6, 4)
		first := y.norm(y.x, y.weight(4), beta)
		return y.sum("td,vd->tv", y.norm(first, y.leaf(ir.OpWeight, 1e6, 4), beta), y.weight(4, 4))
	},
	"gamma is tiny, beta is large": func(y *tiny) ir.ValueID {
		return y.sum("td,vd->tv", y.norm(y.x, y.leaf(ir.OpWeight, 1e-6, 4), y.leaf(ir.OpWeight, 100, 4)), y.weight(4, 4))
	},
	"constant gamma of one magnitude": func(y *tiny) ir.ValueID {
		return y.sum("td,vd->tv", y.norm(y.x, y.leaf(ir.OpConst, 0.5, 4), y.weight(4)), y.weight(4, 4))
	},
	"constant beta of one magnitude": func(y *tiny) ir.ValueID {
		return y.sum("td,vd->tv", y.norm(y.x, y.weight(4), y.leaf(ir.OpConst, 0.25, 4)), y.weight(4, 4))
	},
	"a table over positions and tokens": func(y *tiny) ir.ValueID {
		s := y.sum("tv,vt->t", y.hot, y.weight(4, 4))
		return y.sum("t,td,vd->tv", s, y.x, y.weight(4, 4))
	},
	"three factors share the token": func(y *tiny) ir.ValueID {
		s := y.sum("tv,vd,v->td", y.hot, y.weight(4, 4), y.weight(4))
		return y.sum("td,td,vd->tv", s, y.x, y.weight(4, 4))
	},
	"the token stays": func(y *tiny) ir.ValueID {
		s := y.sum("tv,vd->tdv", y.hot, y.weight(4, 4))
		return y.sum("tdv,td,vd->tv", s, y.x, y.weight(4, 4))
	},
	"token ids as numbers": func(y *tiny) ir.ValueID {
		return y.sum("t,td,td,vd->tv", y.g.In(), y.x, y.x, y.weight(4, 4))
	},
}

// TestOnePosition: what sums over the one position of a model looks at none that is later.
func TestOnePosition(t *testing.T) {
	g := &ir.Graph{Name: "one", Stage: ir.StageFloat}
	in := g.AddIDs("ids", 1, 2)
	y := &tiny{g: g}
	add := func(shape []int, t ir.Term) ir.ValueID {
		ids, attr := ir.Bind([]ir.Term{t})
		return g.Add(ir.OpEinsum, "sum", "sum", shape, ids, attr).ID
	}
	hot := g.Add(ir.OpOneHot, "onehot", "onehot", []int{1, 2}, []ir.ValueID{in.ID}, nil).ID
	x := add([]int{1, 7}, ir.Term{Coef: 1, Extents: []int{2, 7}, In: []int{int(hot), int(y.weight(2, 7))}, Axes: [][][]int{{{}, {0}}, {{0}, {1}}}, Out: [][]int{{}, {1}}})
	sum := add([]int{7}, ir.Term{Coef: 1, Extents: []int{1, 7}, In: []int{int(x), int(y.weight(7))}, Axes: [][][]int{{{0}, {1}}, {{1}}}, Out: [][]int{{1}}})
	g.Return(add([]int{1, 2}, ir.Term{Coef: 1, Extents: []int{7, 2}, In: []int{int(sum), int(y.weight(7, 2))}, Axes: [][][]int{{{0}}, {{0}, {1}}}, Out: [][]int{{}, {1}}}))
	_, err := tryGraph(g, 5091, &coverage{counts: map[string]int{}})
	require.NoError(t, err)
	require.True(t, g.Causal)
}

// TestNormOfWhatIsRounded: a graph as it was drawn, whose sums of squares left 62 bits since bounds of what is rounded are wide.
func TestNormOfWhatIsRounded(t *testing.T) {
	seen := &coverage{counts: map[string]int{}}
	require.NoError(t, guarded(checkGraph, 5106, 7, seen))
	require.Equal(t, 1, seen.counts["op Unary round"])
	require.Equal(t, 1, seen.counts["proofs accepted"])
}

// TestPropertyFindings takes them through the checks of all graphs.
func TestPropertyFindings(t *testing.T) {
	for name, logits := range findings {
		t.Run(name, func(t *testing.T) {
			y := newTiny()
			y.g.Return(logits(y))
			err := guarded(func(seed uint64, _ int, seen *coverage) error {
				_, err := tryGraph(y.g, seed, seen)
				return err
			}, 1, 0, &coverage{counts: map[string]int{}})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// normed projects a normalisation to logits, one without parameters or one with gamma = 1 and a random beta.
func (y *tiny) normed(x ir.ValueID, center bool, eps float64) ir.ValueID {
	a, in := &ir.NormAttr{Center: center, Eps: eps, HasGamma: center, HasBeta: center}, []ir.ValueID{x}
	if center {
		in = append(in, y.leaf(ir.OpWeight, 1, 4), y.weight(4))
	}
	n := y.g.Add(ir.OpNorm, "norm", "norm", []int{4, 4}, in, a)
	return y.sum("td,vd->tv", n.ID, y.weight(4, 4))
}

// inaccurate are normalisations whose integer programs were far from the float graphs on the very inputs of calibration.
var inaccurate = map[string]func(y *tiny) ir.ValueID{
	"rows of equal cells": func(y *tiny) ir.ValueID {
		equal := y.sum("tv,v->t", y.hot, y.weight(4))
		return y.normed(y.sum("t,d->td", equal, y.leaf(ir.OpConst, 1, 4)), true, 1e-5)
	},
	"cells of magnitude one": func(y *tiny) ir.ValueID {
		return y.normed(y.sum("tv,vd->td", y.hot, y.leaf(ir.OpWeight, 1, 4, 4)), false, 1e-5)
	},
}

// TestPropertyAccuracy compares the integer programs with the float graphs.
func TestPropertyAccuracy(t *testing.T) {
	for name, logits := range inaccurate {
		t.Run(name, func(t *testing.T) {
			y := newTiny()
			y.g.Return(logits(y))
			report, err := compileGraph(t, y.g, Config{}).Check(context.Background(), nil)
			require.NoError(t, err)
			require.Less(t, report.MaxError, 0.01*report.MaxLogit)
		})
	}
}

// found are seeds of graphs that failed once and do not get small: a clamp's excess of three limbs behind a wide shift, a shift by more
// bits than a number has, and a norm over the small differences of large numbers.
var found = []uint64{101907, 100517, 102473}

// TestPropertyFound tries them again.
func TestPropertyFound(t *testing.T) {
	for _, seed := range found {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			require.NoError(t, checkGraph(seed, 0, &coverage{counts: map[string]int{}}))
		})
	}
}
