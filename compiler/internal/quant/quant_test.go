package quant

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/test/synthetic"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
	"github.com/zkllmc/zkllmc/ir/plan"
	"github.com/zkllmc/zkllmc/runtime/gadget/attention"
)

// prepared is Prepare of a graph whose weights are in memory.
func prepared(g *ir.Graph) *ir.Graph {
	f, err := Prepare(nil, g)
	if err != nil {
		panic(err)
	}
	return f
}

var models = map[string]func() *ir.Graph{
	"llama": func() *ir.Graph { return synthetic.Graph(3, 32, 4, 12, 40, 7) },
	"gpt":   func() *ir.Graph { return synthetic.GPT(3, 32, 4, 12, 40, 7) },
}

func program(t *testing.T, g *ir.Graph) *Program {
	f := prepared(g)
	cal, err := Calibrate(nil, f, nil, nil)
	require.NoError(t, err)
	require.NoError(t, ir.Verify(f))
	p, err := Quantise(nil, f, cal)
	require.NoError(t, err)
	require.NoError(t, ir.Verify(p.Int))
	return p
}

func randomIDs(g *ir.Graph, seed uint64) []int64 {
	rng := rand.New(rand.NewPCG(seed, 99))
	ids := make([]int64, g.Value(g.In()).Shape[0])
	for i := range ids {
		ids[i] = rng.Int64N(int64(g.Vocab()))
	}
	return ids
}

func TestPrepareKeepsTheFunction(t *testing.T) {
	for name, make := range models {
		g := make()
		ids := randomIDs(g, 1)
		want, err := eval.Float(g, eval.Reals(ids))
		require.NoError(t, err)
		f := prepared(make())
		got, err := eval.Float(f, eval.Reals(ids))
		require.NoError(t, err)
		for i, w := range want[g.Out()] {
			require.InDelta(t, w, got[f.Out()][i], 1e-9, name)
		}
	}
}

func TestAgreesWithFloat(t *testing.T) {
	for name, make := range models {
		p := program(t, make())
		var inputs []Input
		for seed := range uint64(8) {
			inputs = append(inputs, Input{Elements: [][]float64{eval.Reals(randomIDs(p.Int, 100+seed))}})
		}
		r, err := Check(nil, p, nil, inputs, CheckOptions{})
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
	for _, top := range []float64{1e-200, 1e-9, 0.3, 1, 32767.0 / 32768, 1.5, 1000, 32767, 1e6, 1e300} {
		s := scaleFor(top, 16)
		require.LessOrEqual(t, math.RoundToEven(math.Ldexp(top, s)), 32767.0, "%g", top)
		require.Greater(t, math.RoundToEven(math.Ldexp(top, s+1)), 32767.0, "%g: scale %d wastes a bit", top, s)
	}
	require.Equal(t, maxScale, scaleFor(0, 16))
}

// power is a graph of the power of an embedding, as one product.
func power(n int) *ir.Graph {
	g := &ir.Graph{Stage: ir.StageFloat}
	ids := g.AddIDs("ids", 2, 2)
	hot := g.Add(ir.OpOneHot, "hot", "hot", []int{2, 2}, []ir.ValueID{ids.ID}, nil)
	w := g.Add(ir.OpWeight, "w", "w", []int{2, 2}, nil, nil)
	w.Data = []float64{1, 2, 3, 4}
	e := g.Add(ir.OpEinsum, "embed", "x", []int{2, 2}, []ir.ValueID{hot.ID, w.ID}, &ir.EinsumAttr{Terms: []ir.Term{
		{Coef: 1, Extents: []int{2, 2, 2}, In: []int{0, 1}, Axes: [][][]int{{{0}, {1}}, {{1}, {2}}}, Out: [][]int{{0}, {2}}}}})
	same := [][]int{{0}, {1}}
	p := ir.Term{Coef: 1, Extents: []int{2, 2}, In: make([]int, n), Out: same}
	for range n {
		p.Axes = append(p.Axes, same)
	}
	g.Return(g.Add(ir.OpEinsum, "power", "power", []int{2, 2}, []ir.ValueID{e.ID}, &ir.EinsumAttr{Terms: []ir.Term{p}}).ID)
	return g
}

// A product of up to 92 bits is a wide sum, which is rounded to what an output holds; one of fewer than 62 is not. Beyond 2^92 the node is
// refused by its name.
func TestWideSums(t *testing.T) {
	for n, bits := range map[int]int{3: 61, 4: 61, 5: 91, 6: 91, 7: 0, 8: 0} {
		f := prepared(power(n))
		cal, err := Calibrate(nil, f, []Input{{Elements: [][]float64{{0, 1}}}}, nil)
		require.NoError(t, err)
		p, err := Quantise(nil, f, cal)
		if bits == 0 {
			require.ErrorContains(t, err, `node "power"`, n)
			require.ErrorContains(t, err, "beyond 2^92", n)
			continue
		}
		require.NoError(t, err, n)
		wide, most := 0, 0
		for _, v := range p.Int.Values {
			if most = max(most, v.Bounds().BitLen()); v.Wide() {
				wide++
			}
		}
		require.LessOrEqual(t, most, bits, n)
		require.Equal(t, bits > 61, wide > 0, n)
		require.Equal(t, bits > 61, p.Report.Precision.Wide, n)
		in, err := p.Elements([][]float64{{0, 1}})
		require.NoError(t, err)
		out, err := Outputs(nil, p, in)
		require.NoError(t, err)
		for i, x := range []float64{1, 2, 3, 4} {
			want := math.Pow(x, float64(n))
			require.InDelta(t, want, float64(out[0][i])*p.Units[0], want/2048+math.Pow(4, float64(n))/8192, "%v to the power of %d", x, n)
		}
	}
}

// leafOf quantises a weight of a graph of its own, at a scale of at most limit and times a factor.
func leafOf(t *testing.T, cells []float64, limit int, factor float64) *ir.Value {
	f := &ir.Graph{Stage: ir.StageFloat}
	w := f.Add(ir.OpWeight, "w", "w", []int{len(cells)}, nil, nil)
	w.Data = cells
	m, err := newMeasure(nil, f)
	require.NoError(t, err)
	q := &quantiser{f: f, cal: &m.Calibration, o: &ir.Graph{Stage: ir.StageInt}, reps: make([]*rep, 1), report: &Report{}}
	return q.o.Value(q.leaf(w.ID, limit, factor).id)
}

// TestScaleAndRangeOfWeights: what is public of a weight, its scale and its range, is the same for ones, signs, zeros and whatever else
// has cells of that magnitude; what they tell is a power of two, and few of those.
func TestScaleAndRangeOfWeights(t *testing.T) {
	alike := map[string][]float64{"ones": {1, 1, 1}, "signs": {1, -1, 1}, "minus ones": {-1, -1, -1}, "zeros and ones": {0, 1, 0}, "zeros and minus ones": {0, -1, 0},
		"zeros": {0, 0, 0}, "near one": {1.001, 0.999, 1}, "others": {0.3, -1.7, 0.01}, "one and a half": {-1.5, 1.5, 1.5}}
	public := func(cells []float64, limit int, factor float64) [3]int64 {
		w := leafOf(t, cells, limit, factor)
		return [3]int64{int64(w.Scale), w.Lo, w.Hi}
	}
	for name, cells := range alike {
		require.Equal(t, [3]int64{14, -1 << 15, 1<<15 - 1}, public(cells, maxScale, 1), name)
		for _, limit := range []int{maxScale, 20, 14, 9, 3, 0} {
			require.Equal(t, public([]float64{1.2, 0.1, -0.7}, limit, 0.125), public(cells, limit, 0.125), "%s, limit %d", name, limit)
		}
	}
	require.Equal(t, public([]float64{1, 0.2}, maxScale, 0.3), public([]float64{0, 0}, maxScale, -0.3))
	// Where the scale is bounded, cells below 128 have one range.
	for _, cells := range [][]float64{{0, 0}, {1, 1}, {-1, 0}, {5, -3}, {127, -127}} {
		w := leafOf(t, cells, 0, 1)
		require.Equal(t, [2]int64{-128, 127}, [2]int64{w.Lo, w.Hi}, "%v", cells)
	}
	w := leafOf(t, []float64{128, 0}, 0, 1)
	require.Equal(t, [2]int64{-256, 255}, [2]int64{w.Lo, w.Hi})
}

// TestScaleOfConstants: constants are public, so that those of zeros and signs stay exact and narrow.
func TestScaleOfConstants(t *testing.T) {
	f := &ir.Graph{Stage: ir.StageFloat}
	c := f.Add(ir.OpConst, "c", "c", []int{3}, nil, nil)
	c.Data = []float64{0, 1, -1}
	m, err := newMeasure(nil, f)
	require.NoError(t, err)
	q := &quantiser{f: f, cal: &m.Calibration, o: &ir.Graph{Stage: ir.StageInt}, reps: make([]*rep, 1), report: &Report{}}
	v := q.o.Value(q.leaf(c.ID, maxScale, 1).id)
	require.Equal(t, [3]int64{0, -1, 1}, [3]int64{int64(v.Scale), v.Lo, v.Hi})
	require.Equal(t, []int64{0, 1, -1}, v.Ints)
}

// TestNegatedWeightedSum subtracts a sum weighted by a softmax from nothing: its bounds are those of the weighted cells, negated. The
// cells reach further up than down, so that bounds which forget the sign are false.
func TestNegatedWeightedSum(t *testing.T) {
	for _, coef := range []float64{1, -1, -3} {
		g := &ir.Graph{Stage: ir.StageFloat}
		ids := g.AddIDs("ids", 8, 2)
		hot := g.Add(ir.OpOneHot, "hot", "hot", []int{8, 2}, []ir.ValueID{ids.ID}, nil)
		c := g.Add(ir.OpConst, "c", "c", []int{2, 2}, nil, nil)
		c.Data = []float64{-1, 3, 3, -0.5}
		sum := func(name string, coef float64, extents []int, axes [][][]int, out [][]int, in ...ir.ValueID) ir.ValueID {
			term := ir.Term{Coef: coef, Extents: extents, In: []int{0, 1}, Axes: axes, Out: out}
			shape := []int{extents[out[0][0]], extents[out[1][0]]}
			return g.Add(ir.OpEinsum, name, name, shape, in, &ir.EinsumAttr{Terms: []ir.Term{term}}).ID
		}
		x := sum("x", 1, []int{8, 2, 2}, [][][]int{{{0}, {1}}, {{1}, {2}}}, [][]int{{0}, {2}}, hot.ID, c.ID)
		w := g.Add(ir.OpWeight, "w", "w", []int{8, 2}, nil, nil)
		for i := range 16 {
			w.Data = append(w.Data, math.Sin(float64(i)))
		}
		s := sum("s", 1, []int{8, 8, 2}, [][][]int{{{0}, {2}}, {{1}, {2}}}, [][]int{{0}, {1}}, x, w.ID)
		p := g.Add(ir.OpSoftmax, "p", "p", []int{8, 8}, []ir.ValueID{s}, &ir.SoftmaxAttr{Scale: 1})
		y := sum("y", coef, []int{8, 2, 8}, [][][]int{{{0}, {2}}, {{2}, {1}}}, [][]int{{0}, {1}}, p.ID, x)
		g.Return(y)
		f := prepared(g)
		cal, err := Calibrate(nil, f, []Input{{Elements: [][]float64{{0, 1, 0, 1, 1, 0, 0, 1}}}}, nil)
		require.NoError(t, err)
		q, err := Quantise(nil, f, cal)
		require.NoError(t, err)
		out := q.Int.Value(q.Int.Out())
		for _, ids := range [][]int64{{0, 0, 0, 0, 0, 0, 0, 0}, {1, 1, 1, 1, 1, 1, 1, 1}} {
			vals, err := eval.Int(q.Int, ids)
			require.NoError(t, err)
			for _, v := range vals[out.ID] {
				require.True(t, out.Lo <= v && v <= out.Hi, "%g times the sum: %d is not in [%d, %d]", coef, v, out.Lo, out.Hi)
			}
		}
		require.Equal(t, coef > 0, q.Why[out.ID] == attention.ContextWhy, "the bound that is stated for %g", coef)
	}
}

// Runs of a program side by side have the integers that each has alone, the wide ones too.
func TestProgramsSideBySide(t *testing.T) {
	p := program(t, synthetic.GPT(1, 16, 2, 9, 20, 7))
	var in [][][]int64
	got := make([]map[ir.ValueID][]int64, 3)
	for r := range got {
		in, got[r] = append(in, [][]int64{randomIDs(p.Int, uint64(r))}), map[ir.ValueID][]int64{}
	}
	require.NoError(t, eval.EachInt(nil, p.Int, in, func(r int, v *ir.Value, cells []int64) error { got[r][v.ID] = cells; return nil }))
	for r := range got {
		want, err := eval.Int(p.Int, in[r]...)
		require.NoError(t, err)
		require.Equal(t, want, got[r])
	}
	require.NotEqual(t, got[0][p.Int.Out()], got[1][p.Int.Out()])
	require.True(t, slices.ContainsFunc(p.Int.Nodes, func(n *ir.Node) bool { return ir.Common(p.Int, n) }))
}

// What keeps a divisor from being 0, 1e-20, is lost beside it in single precision and in the integer program, and 0 divided by 0 is 0 there;
// one that single precision keeps is kept or refused.
func TestLostConstant(t *testing.T) {
	quotient := func(more float64) *ir.Graph {
		g := &ir.Graph{Name: "quotient", Stage: ir.StageFloat}
		x := g.AddInput(ir.Port{Name: "x", Kind: plan.Reals, Lo: 0, Hi: 4, Shape: []int{2, 4}})
		axes, extents := ir.IdentityAxes(x.Shape)
		row := g.Add(ir.OpEinsum, "row", "row", []int{2}, []ir.ValueID{x.ID}, &ir.EinsumAttr{Terms: []ir.Term{
			{Coef: 1, Extents: extents, In: []int{0}, Axes: [][][]int{axes}, Out: axes[:1]},
			{Coef: more, Extents: extents[:1], In: []int{}, Axes: [][][]int{}, Out: axes[:1]}}})
		r := g.Add(ir.OpUnary, "r", "r", row.Shape, []ir.ValueID{row.ID}, &ir.UnaryAttr{Fn: "reciprocal"})
		g.Return(g.Add(ir.OpEinsum, "y", "y", x.Shape, []ir.ValueID{x.ID, r.ID}, &ir.EinsumAttr{Terms: []ir.Term{
			{Coef: 1, Extents: extents, In: []int{0, 1}, Axes: [][][]int{axes, axes[:1]}, Out: axes}}}).ID)
		return g
	}
	p := program(t, quotient(1e-20))
	rows, err := p.Elements([][]float64{{1, 2, 3, 0, 0, 0, 0, 0}})
	require.NoError(t, err)
	got, err := eval.Int(p.Int, rows...)
	require.NoError(t, err)
	for i, want := range []float64{1.0 / 6, 1.0 / 3, 0.5, 0, 0, 0, 0, 0} {
		require.InDelta(t, want, float64(got[p.Int.Out()][i])*p.Units[0], 1e-3, "cell %d", i)
	}
	p = program(t, quotient(1))
	got, err = eval.Int(p.Int, rows...)
	require.NoError(t, err)
	require.InDelta(t, 1.0/7, float64(got[p.Int.Out()][0])*p.Units[0], 1e-3)

	// Of a step, a sum of 0 and the constant is 1: there it is not left out, and refused.
	g := quotient(1e-20)
	for _, n := range g.Nodes {
		if n.Op == ir.OpUnary {
			n.Attr = &ir.UnaryAttr{Fn: "step"}
		}
	}
	f := prepared(g)
	cal, err := Calibrate(nil, f, nil, nil)
	require.NoError(t, err)
	_, err = Quantise(nil, f, cal)
	require.ErrorContains(t, err, "apart")

}
