package eval

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/ir"
)

// moved is a graph of one term over tensors, each a weight or a map of indices. Where dense, maps are constants with the same cells.
func moved(stage ir.Stage, t ir.Term, tensors []any, dense bool) *ir.Graph {
	g := &ir.Graph{Name: "g", Stage: stage}
	var in []ir.ValueID
	for k, x := range tensors {
		var shape []int
		for _, labels := range t.Axes[k] {
			shape = append(shape, t.AxisExtent(labels))
		}
		a, isMap := x.(*ir.AffineAttr)
		if isMap && !dense {
			in = append(in, g.Add(ir.OpAffine, "", "map", shape, nil, a).ID)
			continue
		}
		v := g.Add(ir.OpConst, "", "x", shape, nil, nil)
		if v.Ints, _ = x.([]int64); isMap {
			v.Ints = poly.AffineCells(a.Offset, a.Strides, shape)
		}
		for _, c := range v.Ints {
			v.Data = append(v.Data, float64(c))
		}
		in = append(in, v.ID)
	}
	var shape []int
	for _, labels := range t.Out {
		shape = append(shape, t.AxisExtent(labels))
	}
	g.Return(g.Add(ir.OpEinsum, "moved", "", shape, in, &ir.EinsumAttr{Terms: []ir.Term{t}}).ID)
	return g
}

// TestMapsOfIndices computes windows, slices and random products with maps and compares with those of the maps' cells, over reals, over
// integers, and over integers that need more than 64 bits on the way.
func TestMapsOfIndices(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 300 {
		term := ir.Term{Coef: 1, ICoef: 1}
		for range 2 + rng.IntN(4) {
			term.Extents = append(term.Extents, 1+rng.IntN(5))
		}
		var tensors []any
		for k := range 1 + rng.IntN(4) {
			term.In, term.Axes = append(term.In, k), append(term.Axes, axes(rng, len(term.Extents)))
			if k > 0 && rng.IntN(3) > 0 {
				a := &ir.AffineAttr{Offset: rng.Int64N(7) - 3}
				for range term.Axes[k] {
					a.Strides = append(a.Strides, rng.Int64N(5)-2)
				}
				tensors = append(tensors, a)
				continue
			}
			n := 1
			for _, labels := range term.Axes[k] {
				n *= term.AxisExtent(labels)
			}
			x := make([]int64, n)
			for i := range x {
				if x[i] = rng.Int64N(9) - 4; round%5 == 0 {
					x[i] <<= 18
				}
			}
			tensors = append(tensors, x)
		}
		term.Out = axes(rng, len(term.Extents))
		term.Normalise()
		for _, stage := range []ir.Stage{ir.StageFloat, ir.StageInt} {
			got, want := moved(stage, term, tensors, false), moved(stage, term, tensors, true)
			if err := ir.Verify(got); err != nil {
				t.Fatal(err)
			}
			if a, b := evaluated(got), evaluated(want); a != b {
				t.Fatalf("%s%v\n%s\nwant %s", got, tensors, a, b)
			}
		}
	}
}

func axes(rng *rand.Rand, labels int) (out [][]int) {
	for _, l := range rng.Perm(labels)[:rng.IntN(labels+1)] {
		if len(out) > 0 && rng.IntN(4) == 0 {
			out[len(out)-1] = append(out[len(out)-1], l)
		} else {
			out = append(out, []int{l})
		}
	}
	return out
}

// evaluated is what a graph computes, or its error.
func evaluated(g *ir.Graph) string {
	if g.Stage == ir.StageInt {
		v, err := Int(g)
		return fmt.Sprint(v[g.Out()], err)
	}
	v, err := Float(g)
	return fmt.Sprint(v[g.Out()], err)
}

// A window over a long tensor costs what its cells cost and not what the map's would, and nothing but terms takes a map.
func TestWindowsCostTheirCells(t *testing.T) {
	const n, k, c = 1 << 12, 3, 2
	window := &ir.AffineAttr{Offset: -1, Strides: []int64{-1, 1, 1}} // i = o + k − 1
	term := ir.Term{Coef: 1, ICoef: 1, Extents: []int{c, n, k, n}, In: []int{0, 1}, Axes: [][][]int{{{0}, {3}}, {{3}, {1}, {2}}}, Out: [][]int{{1}, {2}, {0}}}
	x := slices.Repeat([]int64{5, 7}, n)
	g := moved(ir.StageInt, term, []any{x, window}, false)
	if work, extra := ir.Cost(g, g.Value(g.Out()).Def); work != 2*c*n*k || extra != 0 {
		t.Errorf("%d multiplications and %d cells", work, extra)
	}
	v, err := Int(g)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range v[g.Out()] {
		o, tap, ch := i/(k*c), i/c%k, i%c
		want := int64(0)
		if at := o + tap - 1; at >= 0 && at < n {
			want = x[ch*n+at]
		}
		if got != want {
			t.Fatalf("cell %d is %d, want %d", i, got, want)
		}
	}
	m := g.Value(1)
	m.Def.Attr = &ir.AffineAttr{Strides: []int64{1}}
	if err := ir.Verify(g); err == nil {
		t.Error("one stride for three axes")
	}
	m.Def.Attr = window
	g.Return(g.Add(ir.OpRescale, "", "", m.Shape, []ir.ValueID{m.ID}, &ir.RescaleAttr{Shift: 1, Lo: -1, Hi: 1}).ID)
	if err := ir.Verify(g); err == nil {
		t.Error("a map is rescaled")
	}
}
