package quant

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// inputsOf draws inputs of a language model.
func inputsOf(p *Program, n int) (out []Input) {
	for seed := range n {
		out = append(out, Input{Elements: [][]float64{eval.Reals(randomIDs(p.Int, 300+uint64(seed)))}})
	}
	return out
}

// A program whose scales were chosen from what is too small clamps, and the report says so: it is not precise enough, at a place whose
// cells lie beyond its range. With the scales of its own inputs it is precise, and less of it with a smaller tolerance.
func TestImprecise(t *testing.T) {
	f := prepared(models["llama"]())
	cal, err := Calibrate(nil, f, nil, nil)
	require.NoError(t, err)
	good, err := Quantise(nil, f, cal)
	require.NoError(t, err)
	r, err := Check(nil, good, nil, inputsOf(good, 3), CheckOptions{})
	require.NoError(t, err)
	require.NoError(t, r.Err())
	require.Equal(t, Tolerance, r.Tolerance)
	require.Nil(t, r.Worst)

	r, err = Check(nil, good, nil, inputsOf(good, 3), CheckOptions{Tolerance: r.Error() / 2})
	require.NoError(t, err)
	require.ErrorIs(t, r.Err(), ErrImprecise)
	require.ErrorContains(t, r.Err(), "a logit differs by")

	small := *cal
	small.Max = slices.Clone(cal.Max)
	for i := range small.Max {
		if v := f.Value(ir.ValueID(i)); v.Name == "silu" || v.Name == "product" {
			small.Max[i] /= 64
		}
	}
	bad, err := Quantise(nil, f, &small)
	require.NoError(t, err)
	r, err = Check(nil, bad, nil, inputsOf(bad, 3), CheckOptions{})
	require.NoError(t, err)
	require.ErrorIs(t, r.Err(), ErrImprecise)
	require.NotErrorIs(t, r.Err(), ErrUnexpected)
	require.Positive(t, r.Worst.Beyond)
	require.Contains(t, r.Worst.Tensor, "product")
	require.ErrorContains(t, r.Err(), "cells lie beyond the range that calibration chose")
	require.Empty(t, r.Places)
}

// What is expected is compared with both programs: where the float model differs the fault is not of precision, and a difference within the
// tolerance is none. Logits may be expected of the first positions only, and what comes of padding is not compared.
func TestExpected(t *testing.T) {
	p := program(t, models["gpt"]())
	in := inputsOf(p, 1)
	vals, err := eval.Float(p.Float, in[0].Elements...)
	require.NoError(t, err)
	logits, width := vals[p.Float.Out()], p.Float.Vocab()
	top := 0.0
	for _, x := range logits {
		top = math.Max(top, math.Abs(x))
	}
	for _, c := range []struct {
		off  float64 // of a cell, in parts of the largest magnitude
		n    int     // positions
		want error
	}{{0, 12, nil}, {Tolerance / 2, 12, nil}, {2 * Tolerance, 12, ErrUnexpected}, {0, 3, nil}} {
		want := slices.Clone(logits[:c.n*width])
		worst := 0 // the least likely token, so that the best stays it
		for i, x := range want[:width] {
			if x < want[worst] {
				worst = i
			}
		}
		want[worst] -= float64(c.off * top)
		in[0].Expected = [][]float64{want}
		r, err := Check(nil, p, nil, in, CheckOptions{})
		require.NoError(t, err)
		require.ErrorIs(t, r.Err(), c.want, "%+v", c)
		require.Equal(t, c.n, r.Expected.Positions)
		require.Equal(t, c.n, r.FloatExpected.Positions)
		require.Equal(t, 12, r.Positions)
		require.NoError(t, (&CheckReport{Tolerance: Tolerance, Comparison: r.Comparison}).Err())
		if c.want != nil { // where activations are rounded, digits may decide
			require.NotContains(t, r.Err().Error(), "digits")
			node := &ir.Node{Op: ir.OpUnary, Attr: &ir.UnaryAttr{Fn: "round"}, Origin: "q", Operator: "QuantizeLinear"}
			r.rounding = (&Program{Float: &ir.Graph{Nodes: []*ir.Node{{}, node}}}).rounding()
			require.ErrorContains(t, r.Err(), `node "q" (QuantizeLinear)`)
		}
	}
	for _, x := range []float64{math.NaN(), math.Inf(-1)} {
		want := slices.Clone(logits)
		want[7] = x
		in[0].Expected = [][]float64{want}
		_, err = Check(nil, p, nil, in, CheckOptions{})
		require.ErrorContains(t, err, "cell 7 of the expected output \"logits\" is")
	}
	in[0].Expected, in[0].Positions = nil, 5
	r, err := Check(nil, p, nil, in, CheckOptions{})
	require.NoError(t, err)
	require.Equal(t, 5, r.Positions)
	require.Nil(t, r.Expected)
}

// levels are integers times a factor as integers, in steps of an eighth.
func levels(n int, factor float64, fn string) *ir.Graph {
	g := &ir.Graph{Name: "levels", Stage: ir.StageFloat}
	x := g.AddInput(ir.Port{Name: "x", Kind: plan.Integers, Lo: -100, Hi: 100, Shape: []int{n}})
	axes, extents := ir.IdentityAxes(x.Shape)
	scaled := func(x *ir.Value, by float64) *ir.Value {
		return g.Add(ir.OpEinsum, "scale", "", x.Shape, []ir.ValueID{x.ID}, &ir.EinsumAttr{Terms: []ir.Term{{Coef: by, Extents: extents, In: []int{0}, Axes: [][][]int{axes}, Out: axes}}})
	}
	q := g.Add(ir.OpUnary, "levels", "", x.Shape, []ir.ValueID{scaled(x, factor).ID}, &ir.UnaryAttr{Fn: fn})
	q.Def.Operator = "QuantizeLinear"
	g.Return(scaled(q, 0.125).ID)
	return g
}

// Integers times a factor are rounded as the float model rounds them, whatever the factor is.
func TestIntegersTimesFactor(t *testing.T) {
	in := Input{Elements: [][]float64{nil}}
	for x := -100; x <= 100; x++ {
		in.Elements[0] = append(in.Elements[0], float64(x))
	}
	for _, fn := range ir.Roundings {
		for _, factor := range []float64{2.5, 1.7, 0.33, 7.25, -0.75} {
			p, _ := exacted(t, levels(len(in.Elements[0]), factor, fn), MostFiner)
			r, err := Check(nil, p, nil, []Input{in}, CheckOptions{})
			require.NoError(t, err)
			require.Zero(t, r.Outputs[0].MaxError, "%s of %g times integers", fn, factor)
		}
	}
}

// Where an expected output lies on the other side of a tie, single precision decided, and neither model nor program is wrong; where anything
// else differs besides, it is.
func TestTied(t *testing.T) {
	p, _ := exacted(t, levels(4, 2.5, "round"), MostFiner)
	for _, c := range []struct {
		levels []float64
		want   error
	}{{[]float64{2, -2, 8, 10}, nil}, {[]float64{3, -3, 8, 10}, ErrImprecise}, {[]float64{3, -2, 8, 10}, ErrImprecise}, {[]float64{2, -3, 8, 10}, ErrUnexpected}, {[]float64{3, -3, 7, 10}, ErrUnexpected}, {[]float64{2, -2, 8, 11}, ErrUnexpected}} {
		in := Input{Elements: [][]float64{{1, -1, 3, 4}}, Expected: [][]float64{slices.Clone(c.levels)}}
		for i := range c.levels {
			in.Expected[0][i] = c.levels[i] / 8
		}
		r, err := Check(nil, p, nil, []Input{in}, CheckOptions{})
		require.NoError(t, err)
		require.ErrorIs(t, r.Err(), c.want, "%v", c.levels)
		if c.want == ErrImprecise {
			require.NotErrorIs(t, r.Err(), ErrUnexpected)
			require.ErrorContains(t, r.Err(), `node "levels" (QuantizeLinear)`)
			require.False(t, r.Coarse(), "finer steps do not help")
		}
	}
}

// Places stand in the order of the program, each for a value of the float model, up to the logits. What a place adds is found apart from
// what it inherits: behind a clamp that is too narrow the noise is large everywhere, and arises at the clamp.
func TestPlaces(t *testing.T) {
	p := program(t, models["llama"]())
	r, err := Check(nil, p, nil, inputsOf(p, 2), CheckOptions{Places: true})
	require.NoError(t, err)
	require.Greater(t, len(r.Places), 50)
	require.Equal(t, p.Int.Out(), r.Places[len(r.Places)-1].Value)
	lost := map[ir.ValueID]float64{}
	for i, x := range r.Places {
		require.True(t, i == 0 || x.Value > r.Places[i-1].Value)
		require.LessOrEqual(t, x.MaxError, 0.02*x.MaxValue+1e-3, "%+v", x)
		require.LessOrEqual(t, x.Lost, r.Worst.Lost)
		require.Zero(t, x.Beyond, "%+v", x)
		lost[x.Value] = x.Lost
	}
	require.Equal(t, r.MaxError, r.Places[len(r.Places)-1].MaxError)

	var coarse ir.ValueID
	for _, n := range p.Int.Nodes {
		if _, ok := p.Approximates[n.Out[0]]; ok && n.Op == ir.OpRescale && coarse == 0 && lost[n.Out[0]] > 0 {
			a, v := *n.Attr.(*ir.RescaleAttr), p.Int.Value(n.Out[0])
			a.Lo, a.Hi, coarse = v.Lo/1024, v.Hi/1024, v.ID // nearly every cell lies beyond
			n.Attr = &a
		}
	}
	r, err = Check(nil, p, nil, inputsOf(p, 2), CheckOptions{Places: true})
	require.NoError(t, err)
	require.Equal(t, coarse, r.Worst.Value)
	for _, x := range r.Places {
		if x.Value != coarse {
			require.Less(t, x.Lost, max(100*lost[x.Value], 0.05), "%+v", x)
		}
	}
	require.Greater(t, r.Places[len(r.Places)-1].Noise, 0.1)
}

// skip is logits of an embedding to which a product of itself is added: the sum takes the embedding as it is, the product a rounded one.
func skip() *ir.Graph {
	g := &ir.Graph{Name: "skip", Stage: ir.StageFloat, Causal: true}
	ids := g.AddIDs("ids", 4, 6)
	product := func(x ir.ValueID, out int) ir.ValueID {
		in := g.Value(x).Shape
		w := g.Add(ir.OpWeight, "w", fmt.Sprintf("w%d", len(g.Values)), []int{in[1], out}, nil, nil)
		for i := range in[1] * out {
			w.Data = append(w.Data, math.Sin(float64(i+len(g.Values))))
		}
		t := ir.Term{Coef: 1, Extents: []int{in[0], in[1], out}, In: []int{0, 1}, Axes: [][][]int{{{0}, {1}}, {{1}, {2}}}, Out: [][]int{{0}, {2}}}
		return g.Add(ir.OpEinsum, "product", "", []int{in[0], out}, []ir.ValueID{x, w.ID}, &ir.EinsumAttr{Terms: []ir.Term{t}}).ID
	}
	x := product(g.Add(ir.OpOneHot, "hot", "", []int{4, 6}, []ir.ValueID{ids.ID}, nil).ID, 8)
	table := g.Value(g.Value(x).Def.In[1]).Data
	for i := 4 * 8; i < len(table); i++ { // tokens 4 and 5
		table[i] *= 500
	}
	axes, extents := ir.IdentityAxes([]int{4, 8})
	var ts []ir.Term
	for k := range 2 {
		ts = append(ts, ir.Term{Coef: 1, Extents: extents, In: []int{k}, Axes: [][][]int{axes}, Out: axes})
	}
	sum := g.Add(ir.OpEinsum, "sum", "", []int{4, 8}, []ir.ValueID{x, product(x, 8)}, &ir.EinsumAttr{Terms: ts})
	g.Return(product(sum.ID, 6))
	return g
}

// A value that is cut off where products take it, and taken as it is by a sum, is to blame where it is cut off: the sum loses nothing.
func TestWhatIsTakenTwice(t *testing.T) {
	f := prepared(skip())
	cal, err := Calibrate(nil, f, []Input{{Elements: [][]float64{{0, 1, 2, 3}}}}, nil)
	require.NoError(t, err)
	p, err := Quantise(nil, f, cal)
	require.NoError(t, err)
	r, err := Check(nil, p, nil, []Input{{Elements: [][]float64{{4, 0, 5, 1}}}}, CheckOptions{Places: true})
	require.NoError(t, err)
	require.Positive(t, r.Worst.Beyond, "%+v", r.Places)
	require.ErrorContains(t, r.Err(), "cells lie beyond the range that calibration chose")
	for _, x := range r.Places {
		if x.Beyond == 0 {
			require.Less(t, x.Lost, 0.01, "%+v", x)
		}
	}
}

// The noise of rows is the mean of the error's length in parts of the row's; rows of nothing do not count.
func TestNoise(t *testing.T) {
	var n rowNoise
	n.add([]float64{6, 8, 0, 0, 16, -16}, []float64{6, 8.5, 1e-9, 0, 40, -16}, 2)
	require.InDelta(t, 0.5/math.Hypot(6, 8.5)+24/math.Hypot(40, 16), n.sum, 1e-15)
	require.Equal(t, 2, n.rows)
}

// Perplexity is that of the tokens that an input goes on with, each after those before it.
func TestPerplexity(t *testing.T) {
	p := program(t, models["gpt"]())
	in := inputsOf(p, 3)
	in[1].Positions = 4
	r, err := Check(nil, p, nil, in, CheckOptions{Perplexed: true})
	require.NoError(t, err)
	sum, n := 0.0, 0
	for i := range in {
		vals, err := eval.Float(p.Float, in[i].Elements...)
		require.NoError(t, err)
		logits, ids, width := vals[p.Float.Out()], in[i].Elements[0], p.Float.Vocab()
		for at := range []int{len(ids), 4, len(ids)}[i] - 1 {
			all := 0.0
			for _, x := range logits[at*width : (at+1)*width] {
				all += math.Exp(x)
			}
			sum, n = sum+math.Log(all)-logits[at*width+int(ids[at+1])], n+1
		}
	}
	require.InEpsilon(t, math.Exp(sum/float64(n)), r.ReferencePerplexity, 1e-12)
	require.InEpsilon(t, r.ReferencePerplexity, r.Perplexity, 0.01)
	require.NotEqual(t, r.ReferencePerplexity, r.Perplexity)
	r, err = Check(nil, p, nil, in, CheckOptions{})
	require.NoError(t, err)
	require.Zero(t, r.Perplexity)
}

// A perplexity beyond what a number holds is none: a report of it could not be printed. Neither could one about an output that is no
// number, which names the node.
func TestWhatIsNoNumber(t *testing.T) {
	loud := func(by float64) *Program {
		g := models["gpt"]()
		for _, id := range g.Value(g.Out()).Def.In {
			if v := g.Value(id); v.Def.Op == ir.OpWeight {
				for i := range v.Data {
					v.Data[i] *= by
				}
			}
		}
		return program(t, g)
	}
	p := loud(1e5)
	r, err := Check(nil, p, nil, inputsOf(p, 1), CheckOptions{Perplexed: true})
	require.NoError(t, err)
	require.Greater(t, r.MaxLogit, 1e4)
	require.Zero(t, r.Perplexity)
	require.Zero(t, r.ReferencePerplexity)
	_, err = json.Marshal(r)
	require.NoError(t, err)

	p = loud(1)
	for _, v := range p.Float.Values {
		if v.Def.Op == ir.OpWeight {
			v.Data[0] = math.MaxFloat64
		}
	}
	_, err = Check(nil, p, nil, inputsOf(p, 1), CheckOptions{})
	require.ErrorContains(t, err, "its result is not finite on an input that is checked; look for a division by zero or an overflow")
}

// An output of zeros has no magnitude that an error could be a part of.
func TestErrorsOfZeros(t *testing.T) {
	if got := parts(0.5, 0, 0.1); got != "0.5 where all cells should be 0" {
		t.Error(got)
	}
}

// A clamp on the way to a place counts there, too: what a LayerNorm centres is no value of the float model.
func TestClampsOnTheWay(t *testing.T) {
	f := prepared(models["gpt"]())
	cal, err := Calibrate(nil, f, nil, nil)
	require.NoError(t, err)
	cal.rows = slices.Clone(cal.rows)
	for _, n := range f.Nodes {
		if n.Op == ir.OpNorm {
			cal.rows[n.In[0]].centredMax /= 32
		}
	}
	p, err := Quantise(nil, f, cal)
	require.NoError(t, err)
	r, err := Check(nil, p, nil, inputsOf(p, 2), CheckOptions{})
	require.NoError(t, err)
	require.ErrorContains(t, r.Err(), "most is lost at input_norm, node")
	require.ErrorContains(t, r.Err(), "cells lie beyond the range that calibration chose")
}

// Rows are compared as directions and by their greatest cells; rows that are zero in both count for nothing, in one for a right angle.
func TestRows(t *testing.T) {
	r := compareRows([]float64{3, 4, 0, 0, 1, 0.97, 0, 2}, []float64{6, 8, 0, 0, 0.97, 1, 0, 2}, 2)
	require.Equal(t, 3, r.Rows)
	require.InDelta(t, (0.97+0.97)/(1+0.97*0.97), r.Cosine, 1e-12)
	require.Equal(t, [3]int{2, 2, 2}, [3]int{r.Agree, r.Clear, r.ClearAgree})
	r.merge(compareRows([]float64{0, 0, 1, 0}, []float64{0, 1e-9, -1, 0}, 2))
	require.Equal(t, RowReport{Rows: 5, Cosine: -1, Agree: 2, Clear: 3, ClearAgree: 2}, *r)
}
