package frontend

import (
	"math"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Functions of one activation that are linear in pieces: what they are made of is relu.

func init() {
	register(handlers, map[string]handler{"Clip": clip, "LeakyRelu": leaky, "PRelu": leaky, "HardSigmoid": hardSigmoid, "HardSwish": hardSwish})
}

// far is from which magnitude on a bound of Clip is taken for a guard against overflow, that cuts off nothing a model computes with.
const far = 1e3

// clip is x where that lies between two bounds. A bound that is met is what is added to: lo + relu(x − lo) is never below it. One that
// guards against overflow would leave nothing of the digits of x, which is added to then.
func clip(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	if !x.dtype.IsFloat() {
		return spelling(clipIntegers).handle(c)
	}
	lo, hi := math.Inf(-1), math.Inf(1)
	for i, b := range []*float64{&lo, &hi} {
		if c.has(i + 1) {
			v := c.in[i+1]
			if v.private {
				return nil, c.secret(v, "a bound")
			}
			if v.c == nil || v.c.Len() != 1 {
				return nil, c.unsupported("a bound that is computed; bounds that the file gives are supported")
			}
			c.b.commit(v)
			*b = floats(v.c)[0]
		} else if a := c.attr([]string{"min", "max"}[i]); a != nil {
			*b = a.F
		}
	}
	if math.IsNaN(lo) || math.IsNaN(hi) || math.IsInf(lo, 1) || math.IsInf(hi, -1) {
		return nil, c.unsupported("between %g and %g; bounds that are numbers are supported", lo, hi)
	}
	if lo > hi { // then nothing of x is left
		return one(c.filled(x, hi))
	}
	if x, err = c.above(x, 1, lo); err == nil {
		x, err = c.above(x, -1, -hi)
	}
	return one(x, err)
}

// clipIntegers is min(max(x, lo), hi).
func clipIntegers(c *call) (*onnx.Function, error) {
	s, y := c.speller("x", "lo", "hi"), "x"
	for i, op := range []string{"Max", "Min"} {
		if c.has(i + 1) {
			y = s.add(op, y, s.f.Inputs[i+1])
		}
	}
	return s.function(s.add("Identity", y))
}

// above is sign·max(sign·x, bound).
func (c *call) above(x *val, sign, bound float64) (*val, error) {
	if bound <= -math.MaxFloat32 {
		return x, nil
	}
	guard := math.Abs(bound) >= far
	self, err := c.factor(x)
	if err != nil {
		return nil, err
	}
	if guard && c.b.greatest(self.id) > maxChosen { // of which x + relu(bound − x) leaves nothing of the bound
		in := []ir.ValueID{c.einsum(x.shape, product(x.shape, sign, self)).id, c.einsum(x.shape, product(x.shape, bound)).id}
		most := factor{coef: 1, id: c.add(ir.OpMax, "", x.shape, in, nil).ID, shape: x.shape}
		return c.einsum(x.shape, product(x.shape, sign, most)), nil
	}
	over := c.einsum(x.shape, product(x.shape, sign, self), product(x.shape, -bound))
	if guard {
		over = c.einsum(x.shape, product(x.shape, -sign, self), product(x.shape, bound))
	}
	over, err = c.unary("relu", over)
	if err != nil {
		return nil, err
	}
	more := product(x.shape, sign, factor{coef: 1, id: over.id, shape: x.shape})
	if guard {
		return c.einsum(x.shape, product(x.shape, 1, self), more), nil
	}
	return c.einsum(x.shape, more, product(x.shape, float64(sign*bound))), nil
}

// greatest is ir.Graph's Greatest.
func (b *builder) greatest(id ir.ValueID) float64 {
	if id == none {
		return 0
	}
	if b.greats == nil {
		b.greats = map[ir.ValueID]float64{}
	}
	return b.g.Greatest(id, b.greats)
}

// leaky is x, below zero times a slope: that of the node, or of an operand.
func leaky(c *call) ([]*val, error) {
	fs, shape, err := c.operands()
	slope, prelu := factor{coef: c.attrFloat("alpha", 0.01), id: none}, c.n.Op == "PRelu"
	switch {
	case err == nil && prelu && len(fs) == 2:
		slope = fs[1]
	case err != nil || prelu || len(fs) != 1:
		return nil, orCount(err, len(fs))
	}
	x := c.einsum(shape, product(shape, 1, fs[0]))
	up, err := c.unary("relu", x)
	if err != nil {
		return nil, err
	}
	self, over := factor{coef: 1, id: x.id, shape: shape}, factor{coef: 1, id: up.id, shape: shape}
	below := c.einsum(shape, product(shape, 1, self), product(shape, -1, over))
	return []*val{c.einsum(shape, product(shape, 1, over), product(shape, 1, slope, factor{coef: 1, id: below.id, shape: shape}))}, nil
}

// step is αx + β cut off at 0 and 1.
func (c *call) step(x *val, alpha, beta float64) (*val, error) {
	self, err := c.factor(x)
	if err != nil {
		return nil, err
	}
	line := func(beta float64) (*val, error) {
		return c.unary("relu", c.einsum(x.shape, product(x.shape, alpha, self), product(x.shape, beta)))
	}
	from, err := line(beta)
	if err != nil {
		return nil, err
	}
	to, err := line(beta - 1)
	if err != nil {
		return nil, err
	}
	ones := func(v *val, sign float64) ir.Term {
		return product(x.shape, sign, factor{coef: 1, id: v.id, shape: x.shape})
	}
	return c.einsum(x.shape, ones(from, 1), ones(to, -1)), nil
}

func hardSigmoid(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	return one(c.step(x, c.attrFloat("alpha", 0.2), c.attrFloat("beta", 0.5)))
}

func hardSwish(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	s, err := c.step(x, 1.0/6, 0.5)
	if err != nil {
		return nil, err
	}
	self, err := c.factor(x)
	if err != nil {
		return nil, err
	}
	return []*val{c.einsum(x.shape, product(x.shape, 1, self, factor{coef: 1, id: s.id, shape: x.shape}))}, nil
}
