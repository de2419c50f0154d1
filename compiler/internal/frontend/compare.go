package frontend

import (
	"fmt"
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/ir"
)

// Comparisons of what depends on an input are steps of differences. Of integers a difference is exact. Of real numbers it is that of what
// the circuit holds of both, at their common scale: numbers that are less apart than its steps may compare as equal, or the other way
// round, and compile says so.

func init() {
	register(handlers, map[string]handler{"Equal": equal, "Greater": compared, "Less": compared, "GreaterOrEqual": compared, "LessOrEqual": compared, "Sign": signOf})
}

// positive is 1 where x is positive, else 0.
func (c *call) positive(x *val) *val {
	v := c.add(ir.OpStep, "", x.shape, []ir.ValueID{x.id}, nil)
	return &val{shape: v.Shape, dtype: onnx.Bool, id: v.ID}
}

// differing is x − y as factors and the shape that they broadcast to, and whether it is one of integers.
func (c *call) differing() (x, y factor, shape []int, whole bool, err error) {
	if err = c.args(2); err != nil {
		return x, y, nil, false, err
	}
	vs := [2]*val{c.in[0], c.in[1]}
	for i, v := range vs {
		if vs[i], err = c.comparable(v, vs[1-i]); err != nil {
			return x, y, nil, false, err
		}
	}
	if x, err = c.factor(vs[0]); err == nil {
		y, err = c.factor(vs[1])
	}
	if err != nil {
		return x, y, nil, false, err
	}
	shape, err = broadcast(vs[0].shape, vs[1].shape)
	whole = c.wholeFactor(x) && c.wholeFactor(y)
	if err == nil && !whole {
		c.b.compared = append(c.b.compared, c)
	}
	return x, y, shape, whole, err
}

func (c *call) wholeFactor(f factor) bool {
	if f.id == none {
		return isInteger(f.coef)
	}
	return c.b.integers(f.id) != nil
}

// comparable is a constant that is compared with x, with integers beyond all that x may be brought next to those: a circuit holds no more.
func (c *call) comparable(v, x *val) (*val, error) {
	if v.private && !v.dtype.IsFloat() {
		return nil, c.hiddenIntegers(v)
	}
	if v.c == nil {
		return v, nil
	}
	if v.dtype.IsFloat() {
		for _, f := range floats(v.c) {
			if notFinite(f) {
				return nil, c.unsupported("compares with %g; export the model without that comparison", f)
			}
		}
		return v, nil
	}
	if x.inputFree() {
		return v, nil
	}
	i := c.b.integers(x.id)
	if i == nil && !slices.ContainsFunc(floats(v.c), func(n float64) bool { return math.Abs(n) > maxInteger }) {
		return v, nil // with what is left of real numbers without their fractions
	}
	if i == nil || !i.In(-maxInteger, maxInteger) {
		return nil, c.unsupported("compares integers that may be %s; those below 2^31 are supported", anyOf(i))
	}
	if err := c.charge(2, v.shape...); err != nil {
		return nil, err
	}
	lo, hi := i.Lo.Int64()-1, i.Hi.Int64()+1
	t := *v.c
	t.I = make([]int64, len(v.c.I))
	for k, n := range v.c.I {
		if t.I[k] = min(max(n, lo), hi); v.dtype == onnx.Uint64 && n < 0 { // at least 2^63
			t.I[k] = hi
		}
	}
	w := *v
	w.c = &t
	return &w, nil
}

// greater is the indicator of x > y, factors that broadcast to a shape.
func (c *call) greater(shape []int, x, y factor) *val {
	return c.positive(c.einsum(shape, product(shape, 1, x), product(shape, -1, y)))
}

// only is a value as a factor.
func only(v *val) factor { return factor{coef: 1, id: v.id, shape: v.shape} }

func compared(c *call) ([]*val, error) {
	x, y, shape, _, err := c.differing()
	if err != nil {
		return nil, err
	}
	switch c.n.Op {
	case "Greater":
		return c.boolean(shape, product(shape, 1, only(c.greater(shape, x, y))))
	case "Less":
		return c.boolean(shape, product(shape, 1, only(c.greater(shape, y, x))))
	case "GreaterOrEqual":
		return c.boolean(shape, product(shape, 1), product(shape, -1, only(c.greater(shape, y, x))))
	}
	return c.boolean(shape, product(shape, 1), product(shape, -1, only(c.greater(shape, x, y))))
}

// equal is neither above nor below; of booleans, and integers that are 0 and 1, 1 − x − y + 2·x·y.
func equal(c *call) ([]*val, error) {
	if c.areBits() {
		fs, shape, err := c.bits(2)
		if err != nil {
			return nil, err
		}
		return c.boolean(shape, product(shape, 1), product(shape, -1, fs[0]), product(shape, -1, fs[1]), product(shape, 2, fs...))
	}
	x, y, shape, whole, err := c.differing()
	if err != nil {
		return nil, err
	}
	return c.boolean(shape, append(c.unequal(shape, x, y, whole, -1), product(shape, 1))...)
}

// unequal is the terms of coef times the indicator of x ≠ y. What integers cannot be is not asked.
func (c *call) unequal(shape []int, x, y factor, whole bool, coef float64) []ir.Term {
	d := c.einsum(shape, product(shape, 1, x), product(shape, -1, y))
	var terms []ir.Term
	i := c.b.integers(d.id)
	if !whole || i == nil || i.Hi.Sign() > 0 {
		terms = append(terms, product(shape, coef, only(c.positive(d))))
	}
	if !whole || i == nil || i.Lo.Sign() < 0 {
		terms = append(terms, product(shape, coef, only(c.greater(shape, y, x))))
	}
	return terms
}

// areBits says that both operands are booleans.
func (c *call) areBits() bool {
	for _, v := range c.in {
		if v == nil || v.dtype.IsFloat() {
			return false
		}
		if v.dtype == onnx.Bool {
			continue
		}
		f, err := c.factor(v)
		if err != nil || f.id == none && f.coef != 0 && f.coef != 1 || f.id != none && !c.b.isBit(f.id) {
			return false
		}
	}
	return true
}

// nonzero is a cast to booleans.
func (c *call) nonzero(x *val) (*val, error) {
	f, err := c.factor(x)
	if err != nil {
		return nil, err
	}
	whole := c.wholeFactor(f)
	if !whole {
		c.b.compared = append(c.b.compared, c)
	}
	return one1(c.boolean(x.shape, c.unequal(x.shape, f, factor{id: none}, whole, 1)...))
}

// one1 is the only result of a lowering.
func one1(vs []*val, err error) (*val, error) {
	if err != nil {
		return nil, err
	}
	return vs[0], nil
}

// signOf is −1, 0 or 1.
func signOf(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	f, err := c.factor(x)
	if err != nil {
		return nil, err
	}
	if !c.wholeFactor(f) {
		c.b.compared = append(c.b.compared, c)
	}
	zero := factor{id: none}
	v := c.einsum(x.shape, product(x.shape, 1, only(c.greater(x.shape, f, zero))), product(x.shape, -1, only(c.greater(x.shape, zero, f))))
	signs := interval.Of(-1, 1)
	c.b.intervals[v.id] = &signs
	return []*val{v}, nil
}

// noteComparisons tells of the first comparison of real numbers.
func (b *builder) noteComparisons() {
	for _, c := range b.compared[:min(1, len(b.compared))] {
		b.g.Notes = append(b.g.Notes, fmt.Sprintf("node %q (%s) compares real numbers as the circuit holds them: those that are less apart than its steps may compare as equal, "+
			"and equal ones that are computed in two ways as unequal", c.n.Name, c.key()))
	}
}
