package frontend

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
)

// Powers. Whole exponents up to mostFactors are products, halves of them products with a root, and negative ones the reciprocals of those: all of
// them as precise as their bases. Any other constant exponent is a function of one number, by a table; constants of several exponents choose
// among the powers; and what depends on an input on both sides is exp(y·log x), for x > 0.

const (
	mostFactors   = 4
	mostExponents = 8
)

func pow(c *call) ([]*val, error) {
	if err := c.args(2); err != nil {
		return nil, err
	}
	x, e := c.in[0], c.in[1]
	if c.onIntegers() {
		return c.powerOfIntegers()
	}
	if e.c == nil {
		if e.private {
			return nil, c.secret(e, "an exponent")
		}
		return c.powerOf(x, e)
	}
	if e.dtype.IsFloat() { // integers are exponents as they are axes
		c.b.commit(e)
	}
	exponents := floats(e.c)
	distinct := slices.Compact(slices.Sorted(slices.Values(exponents)))
	if shape, err := broadcast(x.shape, e.shape); err != nil || len(distinct) == 0 || !slices.Equal(shape, x.shape) && len(distinct) == 1 {
		if err != nil {
			return nil, err
		}
		if x, err = c.broadcastTo(x, shape); err != nil {
			return nil, err
		}
	}
	if len(distinct) == 1 {
		return one(c.power(x, distinct[0]))
	}
	if len(distinct) > mostExponents {
		return nil, c.unsupported("%d different exponents; at most %d are supported", len(distinct), mostExponents)
	}
	return c.powers(x, e, distinct)
}

// broadcastTo repeats a value along the axes that it lacks.
func (c *call) broadcastTo(x *val, shape []int) (*val, error) {
	f, err := c.factor(x)
	if err != nil {
		return nil, err
	}
	return c.einsum(shape, product(shape, 1, f)), nil
}

// powers takes each cell to the exponent of its own: the sum of all powers, each where its exponent stands.
func (c *call) powers(x, e *val, distinct []float64) ([]*val, error) {
	shape, err := broadcast(x.shape, e.shape)
	if err != nil {
		return nil, err
	}
	if err := c.charge(len(distinct), e.shape...); err != nil {
		return nil, err
	}
	var ts []ir.Term
	for _, p := range distinct {
		at := make([]float64, e.c.Len())
		for i, y := range floats(e.c) {
			if y == p {
				at[i] = 1
			}
		}
		y, err := c.power(x, p)
		if err != nil {
			return nil, err
		}
		f, err := c.factor(y)
		if err != nil {
			return nil, err
		}
		ts = append(ts, product(shape, 1, f, factor{1, c.public(fmt.Sprintf("%s.at %g", c.n.Name, p), e.shape, at), e.shape}))
	}
	return []*val{c.einsum(shape, ts...)}, nil
}

// power is x^p.
func (c *call) power(x *val, p float64) (*val, error) {
	n := math.Abs(p)
	switch {
	case p != p || math.IsInf(p, 0):
		return nil, c.unsupported("the exponent %g", p)
	case p == 0:
		return c.filled(x, 1)
	case p == -0.5:
		return c.unary("rsqrt", x)
	case p < 0 && n <= mostFactors && float64(2*n) == math.Trunc(float64(2*n)):
		y, err := c.power(x, n)
		if err != nil {
			return nil, err
		}
		return c.unary("reciprocal", y)
	case n <= mostFactors && float64(2*n) == math.Trunc(float64(2*n)):
		f, err := c.factor(x)
		if err != nil {
			return nil, err
		}
		var fs []factor
		for range portable.Clamp(n) {
			fs = append(fs, f)
		}
		if n != math.Trunc(n) {
			root, err := c.unary("sqrt", x)
			if err != nil || n < 1 {
				return root, err
			}
			fs = append(fs, factor{1, root.id, root.shape})
		}
		return c.einsum(x.shape, product(x.shape, 1, fs...)), nil
	}
	return c.unary("pow(x,"+strconv.FormatFloat(p, 'g', -1, 64)+")", x)
}

// powerOf is x^y with a y that depends on an input: of a constant base c^y = exp(y·log c), else exp(y·log x).
func (c *call) powerOf(x, e *val) ([]*val, error) {
	if !x.dtype.IsFloat() {
		return nil, c.unsupported("of %s with a real exponent that depends on an input, which is to be an integer again; cast the base to a floating-point type", x.dtype)
	}
	s := c.speller("x", "y")
	log := s.add("Log", "x")
	if x.inputFree() {
		t, err := x.force()
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(floats(t), func(b float64) bool { return !(b > 0) }); i >= 0 {
			return nil, c.unsupported("its base has the cell %d, which is not positive, and an exponent that depends on an input; such powers are supported of positive bases", i)
		}
	}
	f, err := s.function(s.add("Exp", s.add("Mul", "y", log)))
	if err != nil {
		return nil, err
	}
	return c.inline(f)
}
