package quant

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/tables"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// massive gives a model what trained ones have: activations that are far larger at one token than at all others. Either the embeddings have
// few bits, so that 16 serve the table, and what is left are the roundings of activations, or they are what they are.
func massive(g *ir.Graph, by float64, few bool) *ir.Graph {
	for _, n := range g.Nodes {
		v := g.Value(n.Out[0])
		if n.Op != ir.OpWeight || !strings.Contains(v.Name, "embed") {
			continue
		}
		for i, x := range v.Data {
			if few {
				v.Data[i] = math.Round(x*4) / 4
			}
		}
		for i := range v.Shape[1] {
			v.Data[i] *= by
		}
	}
	return g
}

// errorOf is the error of the outputs on the calibration runs, as part of their largest magnitude, root mean square; and the largest.
func errorOf(t *testing.T, p *Program, cal *Calibration) (rms, most float64) {
	t.Helper()
	out := p.Float.Out()
	cells := 0
	for _, in := range cal.Samples {
		want, err := eval.Float(p.Float, in.Elements...)
		require.NoError(t, err)
		elements, err := p.Elements(in.Elements)
		require.NoError(t, err)
		got, err := eval.Int(p.Int, elements...)
		require.NoError(t, err)
		for i, w := range want[out] {
			d := math.Abs(float64(got[p.Int.Out()][i])*p.Units[0]-w) / cal.Max[out]
			rms, most, cells = rms+d*d, max(most, d), cells+1
		}
	}
	return math.Sqrt(rms / float64(cells)), most
}

// What is predicted is what is measured, up to a factor that estimates from a few directions have; where one activation is far larger than
// all others, 16 bits are not enough, more are chosen, and the error falls below the target.
func TestPrecision(t *testing.T) {
	for name, build := range models {
		for _, by := range []float64{1, 1024} {
			f := prepared(massive(build(), by, true))
			cal, err := Calibrate(nil, f, nil, nil)
			require.NoError(t, err)
			p, err := Quantise(nil, f, cal)
			require.NoError(t, err)
			require.NoError(t, ir.Verify(p.Int))
			r := p.Report.Precision
			plain, err := quantise(nil, f, cal, nil, nil, false, false)
			require.NoError(t, err)
			was, _ := errorOf(t, plain, cal)
			is, most := errorOf(t, p, cal)
			t.Logf("%s, outlier of %g: predicted %.2e, with 16 bits %.2e; measured %.2e (at most %.2e), with 16 bits %.2e", name, by, r.Error, r.Plain, is, most, was)
			require.Less(t, is, 4*r.Error)
			require.Greater(t, is, r.Error/8)
			require.Less(t, was, 4*r.Plain)
			require.Greater(t, was, r.Plain/4)
			require.Less(t, most, 1.0/256)
			if by == 1 {
				require.Equal(t, plain.Int.String(), p.Int.String(), "16 bits are enough")
				require.Len(t, r.Lines(), 1+shownPlaces)
				last := is
				for cal.Finer < MostFiner {
					cal.Finer++
					finer, err := Quantise(nil, f, cal)
					require.NoError(t, err)
					require.NoError(t, ir.Verify(finer.Int))
					now, _ := errorOf(t, finer, cal)
					t.Logf("%s, %d steps finer: predicted %.2e, measured %.2e", name, cal.Finer, finer.Report.Precision.Error, now)
					require.LessOrEqual(t, finer.Report.Precision.Error, 1.25*cal.enough())
					require.LessOrEqual(t, now, last)
					last = now
				}
				require.Less(t, last, is/2)
				continue
			}
			require.Greater(t, was, 4*is)
			require.Contains(t, strings.Join(r.Lines(), "\n"), "input")
			wide := 0
			for _, n := range p.Int.Nodes {
				if a, is := n.Attr.(*ir.RescaleAttr); is && a.Hi-a.Lo >= 1<<ActBits && a.Lo < 0 {
					wide++
				}
			}
			require.Positive(t, wide)
		}
	}
}

// A gate with outliers in one channel gets a function in linear pieces: its table's step would be that of the outliers, for all channels.
// The product with the other branch stays exact, so that nothing else is rounded for it, and functions of models without outliers stay
// tables.
func TestGatesWithOutliers(t *testing.T) {
	for _, fn := range []string{"silu", "gelu", "sigmoid", "relu"} {
		for _, by := range []float64{1, 40, 400} {
			f := prepared(gated(fn, by))
			cal, err := Calibrate(nil, f, nil, nil)
			require.NoError(t, err)
			p, err := Quantise(nil, f, cal)
			require.NoError(t, err)
			require.NoError(t, ir.Verify(p.Int))
			plain, err := quantise(nil, f, cal, nil, nil, false, false)
			require.NoError(t, err)
			was, _ := errorOf(t, plain, cal)
			is, most := errorOf(t, p, cal)
			pieces, roundings := 0, [2]int{}
			for i, g := range []*ir.Graph{p.Int, plain.Int} {
				for _, n := range g.Nodes {
					switch n.Op {
					case ir.OpPiecewiseLinear:
						pieces++
						require.Equal(t, p.Int, g)
					case ir.OpRescale:
						roundings[i]++
					}
				}
			}
			t.Logf("%s, outliers of %g: error %.2e, at most %.2e, with a table %.2e; %d in pieces, predicted %.2e", fn, by, is, most, was, pieces, p.Report.Precision.Error)
			require.Less(t, most, 1.0/1024)
			require.Less(t, is, 4*p.Report.Precision.Error)
			if p.Report.Precision.Plain < enough {
				require.Zero(t, pieces)
				continue
			}
			require.Equal(t, 1, pieces)
			require.Less(t, is, was/2)
			if by == 40 {
				require.Equal(t, roundings[1]-1, roundings[0], "no more roundings than before: the argument's is the function's own")
			}
		}
	}
}

// gated is W·(fn(G·x) * (U·x)), the first rows of G larger than the others.
func gated(fn string, by float64) *ir.Graph {
	const width, hidden = 12, 24
	g := &ir.Graph{Name: "gated", Stage: ir.StageFloat}
	rng := rand.New(rand.NewPCG(3, 5))
	x := g.AddInput(ir.Port{Name: "x", Kind: plan.Reals, Lo: -1, Hi: 1, Shape: []int{4, width}})
	linear := func(name string, x *ir.Value, rows int, size func(row int) float64) *ir.Value {
		from := x.Shape[1]
		w := g.Add(ir.OpWeight, name+".weight", "", []int{rows, from}, nil, nil)
		for r := range rows {
			for range from {
				w.Data = append(w.Data, size(r)*rng.NormFloat64()/math.Sqrt(float64(from)))
			}
		}
		return g.Add(ir.OpEinsum, name, "", []int{4, rows}, []ir.ValueID{x.ID, w.ID}, &ir.EinsumAttr{Terms: []ir.Term{
			{Coef: 1, Extents: []int{4, rows, from}, In: []int{0, 1}, Axes: [][][]int{{{0}, {2}}, {{1}, {2}}}, Out: [][]int{{0}, {1}}}}})
	}
	outlier := func(r int) float64 {
		if r == 0 {
			return by
		}
		return 1
	}
	gate := linear("gate", x, hidden, outlier)
	up := linear("up", x, hidden, func(int) float64 { return 1 })
	act := g.Add(ir.OpUnary, "act", "", gate.Shape, []ir.ValueID{gate.ID}, &ir.UnaryAttr{Fn: fn})
	axes := [][]int{{0}, {1}}
	product := g.Add(ir.OpEinsum, "product", "", act.Shape, []ir.ValueID{act.ID, up.ID}, &ir.EinsumAttr{Terms: []ir.Term{
		{Coef: 1, Extents: []int{4, hidden}, In: []int{0, 1}, Axes: [][][]int{axes, axes}, Out: axes}}})
	down := linear("down", product, width, func(int) float64 { return 1 })
	for i := range g.Value(down.Def.In[1]).Data { // what the outliers give is taken back where they go
		if i%hidden == 0 {
			g.Value(down.Def.In[1]).Data[i] /= by
		}
	}
	g.Return(down.ID)
	return g
}

// The squares of a tensor's rows, however its labels are spread over axes.
func TestRowSquares(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 200 {
		extents := []int{1 + rng.IntN(3), 1 + rng.IntN(3), 1 + rng.IntN(3), 1 + rng.IntN(3)}
		labels := rng.Perm(4)[:1+rng.IntN(4)]
		var axes [][]int
		for i := 0; i < len(labels); {
			n := 1 + rng.IntN(len(labels)-i)
			axes, i = append(axes, labels[i:i+n]), i+n
		}
		rows := slices.DeleteFunc(slices.Sorted(slices.Values(labels)), func(int) bool { return rng.IntN(2) == 0 })
		size := 1
		for _, l := range labels {
			size *= extents[l]
		}
		x, want := make([]float64, size), map[string]float64{}
		for i := range x {
			x[i] = float64(1 + rng.IntN(9))
			at, rest := map[int]int{}, i
			for _, l := range slices.Backward(labels) {
				at[l], rest = rest%extents[l], rest/extents[l]
			}
			key := ""
			for _, l := range rows {
				key += fmt.Sprint(at[l], " ")
			}
			want[key] += x[i] * x[i]
		}
		var list []float64
		for _, key := range slices.Sorted(maps.Keys(want)) {
			list = append(list, want[key])
		}
		require.Equal(t, list, rowSquares(x, axes, extents, rows), "%v %v %v", axes, extents, rows)
	}
}

// A table with a row that is far larger than all others is two weights, of which the second holds what the first rounds away; so the other
// rows are what they were.
func TestOutliersOfWeights(t *testing.T) {
	for name, build := range models {
		f := prepared(massive(build(), 3000, false))
		cal, err := Calibrate(nil, f, nil, nil)
		require.NoError(t, err)
		p, err := Quantise(nil, f, cal)
		require.NoError(t, err)
		require.NoError(t, ir.Verify(p.Int))
		rms, most := errorOf(t, p, cal)
		t.Logf("%s: %.2e, at most %.2e", name, rms, most)
		require.Less(t, most, 1.0/256)
		low := 0
		for _, v := range p.Int.Values {
			if v.Def.Op == ir.OpWeight && strings.HasSuffix(v.Name, ".low") {
				low++
				require.Equal(t, [2]int64{-1 << 15, 1<<15 - 1}, [2]int64{v.Lo, v.Hi})
			}
		}
		require.Positive(t, low)
	}
}

// Cells of any size are kept where they matter: x·w, far too small or too large for usual scales, through a rectifier and back to what it
// was.
func TestSizes(t *testing.T) {
	for _, size := range []float64{1e-30, 1e-9, 1e-5, 1, 1e5, 1e12} {
		g := &ir.Graph{Name: "sized", Stage: ir.StageFloat}
		x := g.AddInput(ir.Port{Name: "x", Kind: plan.Reals, Lo: -4, Hi: 4, Shape: []int{8}})
		w := g.Add(ir.OpWeight, "w", "w", []int{8, 8}, nil, nil)
		back := g.Add(ir.OpWeight, "back", "back", []int{8, 8}, nil, nil)
		rng := rand.New(rand.NewPCG(1, 2))
		for range 64 {
			w.Data = append(w.Data, size*rng.NormFloat64())
			back.Data = append(back.Data, rng.NormFloat64()/size)
		}
		term := func() *ir.EinsumAttr {
			return &ir.EinsumAttr{Terms: []ir.Term{{Coef: 1, Extents: []int{8, 8}, In: []int{0, 1}, Axes: [][][]int{{{0}}, {{0}, {1}}}, Out: [][]int{{1}}}}}
		}
		h := g.Add(ir.OpEinsum, "h", "h", []int{8}, []ir.ValueID{x.ID, w.ID}, term())
		r := g.Add(ir.OpUnary, "r", "r", []int{8}, []ir.ValueID{h.ID}, &ir.UnaryAttr{Fn: "relu"})
		g.Return(g.Add(ir.OpEinsum, "y", "y", []int{8}, []ir.ValueID{r.ID, back.ID}, term()).ID)
		f := prepared(g)
		cal, err := Calibrate(nil, f, nil, nil)
		require.NoError(t, err)
		p, err := Quantise(nil, f, cal)
		require.NoError(t, err, "%g", size)
		rms, most := errorOf(t, p, cal)
		t.Logf("%g: %.2e, at most %.2e", size, rms, most)
		require.Less(t, most, 1.0/1024, "%g", size)
	}
}

// Widths are raised where that takes most error per cell away, until what is left is below the target or cannot be changed, and no further
// than a place allows.
func TestWiden(t *testing.T) {
	unit := float64(target * target)
	places := func(fixed float64) map[string]*place {
		return map[string]*place{
			"much":  {bits: 16, cells: 10, variance: 1000 * unit, free: true},
			"more":  {bits: 16, cells: 1000, variance: 20 * unit, free: true},
			"less":  {bits: 16, cells: 1000, variance: unit / 8, free: true},
			"fixed": {bits: 15, cells: 1, variance: fixed * unit},
		}
	}
	require.Equal(t, map[string]int{"much": 24, "more": 20}, new(Calibration).widen(places(0), map[string]int{}, nil))
	require.Equal(t, map[string]int{"much": 20}, new(Calibration).widen(places(100), map[string]int{}, nil), "the rest is below what cannot be changed")
	require.Nil(t, new(Calibration).widen(places(0), map[string]int{}, map[string]int{"much": 16}), "what cannot be changed is larger than the rest")
	require.Equal(t, map[string]int{"much": 20}, new(Calibration).widen(places(0), map[string]int{}, map[string]int{"more": 16}))
	small := map[string]*place{"less": {bits: 16, cells: 1, variance: 10 * unit, free: true}}
	require.Nil(t, new(Calibration).widen(small, map[string]int{}, nil), "it is enough")
	require.Equal(t, map[string]int{"less": 20, "other": 20}, new(Calibration).widen(small, map[string]int{"other": 20}, nil), "it is above the target")
	require.Nil(t, new(Calibration).widen(map[string]*place{"most": {bits: maxBits, cells: 1, variance: 1000 * unit, free: true}}, map[string]int{}, nil))
}

// Widths of one place may leave nothing to round at another, which then has a width and no place.
func TestPlaceThatVanishes(t *testing.T) {
	left := &place{bits: 28, cells: 4, variance: 1e-4, free: true}
	c := chooser{now: &Program{places: map[string]*place{"left": left}}, widths: map[string]int{"left": 28, "gone": 32}, limits: map[string]int{}}
	c.one(map[string]int{"left": 32, "gone": 32}, func(widths map[string]int) (*Program, error) {
		return &Program{places: map[string]*place{"left": {bits: widths["left"], cells: 4, variance: 1e-6, free: true}}}, nil
	})
	require.Equal(t, map[string]int{"left": 32, "gone": 32}, c.widths)
	require.Empty(t, c.dear)
}

// Scores that are all but alike, far smaller than what is exponentiated, weigh all positions alike, also where a double no longer holds
// their unit.
func TestScoresAlike(t *testing.T) {
	for _, scale := range []float64{1, 1e-290, 1e-300, math.SmallestNonzeroFloat64} {
		scoresAlike(t, scale)
	}
}

// scoresAlike quantises a softmax of scores around 1e-12 times the scale.
func scoresAlike(t *testing.T, scale float64) {
	g := &ir.Graph{Name: "alike", Stage: ir.StageFloat}
	x := g.AddInput(ir.Port{Name: "x", Kind: plan.Reals, Lo: -4, Hi: 4, Shape: []int{4, 4}})
	w := g.Add(ir.OpWeight, "w", "w", []int{4, 4}, nil, nil)
	for i := range 16 {
		w.Data = append(w.Data, 1e-12*float64(i%5-2))
	}
	axes := [][][]int{{{0}, {2}}, {{2}, {1}}}
	s := g.Add(ir.OpEinsum, "s", "s", []int{4, 4}, []ir.ValueID{x.ID, w.ID}, &ir.EinsumAttr{Terms: []ir.Term{
		{Coef: 1, Extents: []int{4, 4, 4}, In: []int{0, 1}, Axes: axes, Out: [][]int{{0}, {1}}}}})
	mask := g.Add(ir.OpConst, "mask", "mask", []int{4, 4}, nil, nil)
	mask.Data = []float64{0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0}
	g.Return(g.Add(ir.OpSoftmax, "a", "a", []int{4, 4}, []ir.ValueID{s.ID, mask.ID}, &ir.SoftmaxAttr{Scale: scale, HasMask: true}).ID)
	f := prepared(g)
	cal, err := Calibrate(nil, f, nil, nil)
	require.NoError(t, err)
	p, err := Quantise(nil, f, cal)
	require.NoError(t, err)
	require.NoError(t, ir.Verify(p.Int))
	for _, n := range p.Int.Nodes {
		if a, is := n.Attr.(*ir.ZkAttnAttr); is {
			require.Equal(t, maxScoreShift, a.Shift)
			require.GreaterOrEqual(t, a.Unit, tables.LeastUnit)
		}
	}
	_, most := errorOf(t, p, cal)
	require.Less(t, most, 1.0/1024)
}

// Ends of ranges have three significant bits, whatever calibration saw: outwards, on either side of 0.
func TestRough(t *testing.T) {
	for x, want := range map[float64]float64{0: 0, 1: 1, 1.01: 1.25, 3.3: 3.5, 8.01: 10, 14.07: 16, 13.9: 14, 0.26: 0.3125, -3.3: -3, -8: -8, -0.3: -0.25} {
		require.Equal(t, want, rough(x), "%g", x)
	}
}
