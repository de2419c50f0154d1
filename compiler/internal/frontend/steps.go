package frontend

import (
	"fmt"
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// What quantising leaves of a sum whose terms lie far apart. Exporters mask scores by the least float, and a quantiser chooses steps of 10^36
// for the sum: of the scores none is left, in single precision or in any other.

// faint is up to which part of a step a term makes no difference to what is rounded to steps. Beside 0 it is rounded to 0, and beside a number
// that is near to a half step, as single precision has it, it is less than half a unit of its last place.
const faint = 0x1p-30

func init() {
	handlers[ownDomain+".InSteps"] = inSteps
	folders[ownDomain+".InSteps"] = func(_ *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) { return in[:1], need(in, 2) }
}

// inSteps is a sum that is to be rounded to steps, without the terms that make no difference to that; the sum itself where none is so small
// by what the file says of its operands.
func inSteps(c *call) ([]*val, error) {
	if err := c.args(2); err != nil {
		return nil, err
	}
	x, scale := c.in[0], c.in[1]
	if x.inputFree() || x.id == none || scale.c == nil || scale.mark != nil || scale.c.Len() == 0 {
		return []*val{x}, nil
	}
	step := math.Inf(1)
	for _, s := range floats(scale.c) {
		step = math.Min(step, math.Abs(s))
	}
	budget := maxFlat
	left, all := c.shown(x.id, float64(step*faint), &budget)
	if all {
		return []*val{x}, nil
	}
	if y, err := c.known(x, left); y != nil || err != nil {
		return one(y, err)
	}
	y := c.einsum(x.shape, left...)
	y.dtype = x.dtype
	return []*val{y}, nil
}

// maxFlat bounds the terms that are looked at in sums of sums.
const maxFlat = 64

// shown are the terms of a value whose magnitudes may be more than a bound, and whether it has no others. Sums that are its terms lose what is that
// small in them, and stay sums: taken apart, x + (1−m)·(−1e30) would be x − 1e30 + m·1e30, of which nothing of x is left.
func (c *call) shown(id ir.ValueID, bound float64, budget *int) (out []ir.Term, all bool) {
	all = true
	for _, t := range c.b.terms(id) {
		*budget--
		if c.b.mostOf(t) <= bound {
			all = false
			continue
		}
		if *budget < 0 || len(t.In) != 1 || !slices.EqualFunc(t.Axes[0], t.Out, slices.Equal[[]int]) {
			out = append(out, t)
			continue
		}
		inner, whole := c.shown(ir.ValueID(t.In[0]), float64(bound/math.Abs(t.Coef)), budget)
		switch {
		case whole:
			out = append(out, t)
			continue
		case len(inner) == 1:
			inner[0].Coef = float64(inner[0].Coef * t.Coef)
			out = append(out, inner[0])
		case len(inner) > 1:
			t.In[0] = int(c.einsum(c.b.g.Value(ir.ValueID(t.In[0])).Shape, inner...).id)
			out = append(out, t)
		}
		all = false
	}
	return out, all
}

// terms are those of a sum, of values of the graph; none of another value.
func (b *builder) terms(id ir.ValueID) (out []ir.Term) {
	v := b.g.Value(id)
	if a, is := v.Def.Attr.(*ir.EinsumAttr); is {
		for _, t := range a.Terms {
			t = t.Clone()
			for k, i := range t.In {
				t.In[k] = int(v.Def.In[i])
			}
			out = append(out, t)
		}
	}
	return out
}

// mostOf bounds the magnitudes of a term, of values of the graph, by what is public of them.
func (b *builder) mostOf(t ir.Term) float64 {
	most, out := math.Abs(t.Coef), t.InOut()
	for l, e := range t.Extents {
		if !out[l] {
			most = float64(most * float64(e))
		}
	}
	for _, id := range t.In {
		if most = float64(most * b.most(ir.ValueID(id))); math.IsNaN(most) {
			return math.Inf(1)
		}
	}
	return most
}

// most bounds the magnitudes of a value's cells; infinity where nothing says how large they are.
func (b *builder) most(id ir.ValueID) float64 {
	if m, ok := b.mosts[id]; ok {
		return m
	}
	if b.mosts == nil {
		b.mosts = map[ir.ValueID]float64{}
	}
	b.mosts[id] = b.bounded(b.g.Value(id))
	return b.mosts[id]
}

// bounded is most of a value of which it is not known yet.
func (b *builder) bounded(v *ir.Value) float64 {
	if i := b.integers(v.ID); i != nil {
		return math.Ldexp(1, i.BitLen())
	}
	most := 0.0
	switch v.Def.Op {
	case ir.OpConst:
		for _, x := range v.Data {
			most = math.Max(most, math.Abs(x))
		}
		return most
	case ir.OpSoftmax:
		return 1
	case ir.OpEinsum:
		for _, t := range b.terms(v.ID) {
			most += b.mostOf(t)
		}
		return most
	case ir.OpUnary:
		switch v.Def.Attr.(*ir.UnaryAttr).Fn {
		case "sigmoid", "tanh", "erf", "sin", "cos":
			return 1
		case "relu":
			return b.most(v.Def.In[0])
		}
	}
	return math.Inf(1)
}

// known is a sum of public constants as one; nil where it is not that.
func (c *call) known(x *val, terms []ir.Term) (*val, error) {
	cells := make([]float64, ir.Size(x.shape))
	for _, t := range terms {
		if err := c.charge(2, x.shape...); err != nil {
			return nil, err
		}
		data, shape := []float64{1}, []int(nil)
		if len(t.In) == 1 {
			v := c.b.g.Value(ir.ValueID(t.In[0]))
			if v.Def.Op != ir.OpConst || !slices.EqualFunc(t.Axes[0], broadcastAxes(v.Shape, t.Out), slices.Equal[[]int]) {
				return nil, nil
			}
			data, shape = v.Data, v.Shape
		}
		if len(t.In) > 1 || len(data) == 0 {
			return nil, nil
		}
		for i, y := range spread(c, data, shape, x.shape) {
			if y != 0 {
				cells[i] += float64(t.Coef * y)
			}
		}
	}
	return constant(fmt.Sprintf("%s.known", c.n.Name), &onnx.Tensor{DType: x.dtype, Shape: x.shape, F: cells}), nil
}

// coarse is from which steps on scores differ by nothing or by more than any exponential shows: e^-128 is 0 in single precision.
const coarse = 128

// coarsened are scores in steps of at least coarse, whole numbers of them, in steps of that: a softmax is equal weights for the greatest of a row
// either way. Other scores stay as they are.
func (c *call) coarsened(x *val) *val {
	step := math.Abs(c.b.stepOf(x.id))
	if x.id == none || step <= coarse || math.IsInf(step, 1) {
		return x
	}
	y := c.einsum(x.shape, product(x.shape, coarse/step, only(x)))
	y.dtype, y.emptied = x.dtype, x.emptied
	return y
}

// stepOf is a number of which all cells of a value are multiples by integers; 0 where none is known.
func (b *builder) stepOf(id ir.ValueID) float64 {
	step := 1.0
	for id != none && b.integers(id) == nil {
		ts := b.terms(id)
		if len(ts) != 1 || len(ts[0].In) != 1 {
			return 0
		}
		step, id = float64(step*ts[0].Coef), ir.ValueID(ts[0].In[0])
	}
	return step
}
