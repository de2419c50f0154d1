package frontend

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
)

// Division, remainders and powers of integers that depend on an input, exactly.

// sized is an integer as a magnitude and whether it is negative.
type sized struct {
	size, below factor // below is 1 where it is negative, a zero scalar where it never is
	least, most int64  // magnitudes
}

// onIntegers says that an operator's operands are integers of which one depends on an input.
func (c *call) onIntegers() bool {
	for _, v := range c.in {
		if v != nil && !v.inputFree() && !v.dtype.IsFloat() && v.dtype != onnx.Bool {
			return true
		}
	}
	return false
}

// sized takes an operand apart.
func (c *call) sized(v *val) (s sized, err error) {
	zero := factor{id: none}
	if v.private {
		return s, c.hiddenIntegers(v)
	}
	if v.c != nil {
		c.b.commit(v)
		return c.sizedCells(v)
	}
	i, err := c.within(v)
	if err != nil {
		return s, err
	}
	lo, hi := i.Lo.Int64(), i.Hi.Int64()
	switch {
	case lo >= 0:
		return sized{only(v), zero, lo, hi}, nil
	case hi <= 0:
		minus := c.assert(c.einsum(v.shape, product(v.shape, -1, only(v))), -hi, -lo)
		return sized{only(minus), only(c.greater(v.shape, zero, only(v))), -hi, -lo}, nil
	}
	below := only(c.greater(v.shape, zero, only(v)))
	size := c.assert(c.einsum(v.shape, product(v.shape, 1, only(v)), product(v.shape, -2, below, only(v))), 0, max(-lo, hi))
	return sized{only(size), below, 0, max(-lo, hi)}, nil
}

// sizedCells takes constants apart.
func (c *call) sizedCells(v *val) (s sized, err error) {
	if err := c.charge(2, v.shape...); err != nil {
		return s, err
	}
	size, below := make([]float64, v.c.Len()), make([]float64, v.c.Len())
	s.least = math.MaxInt64
	for k, x := range floats(v.c) {
		if !isInteger(x) || math.Abs(x) > maxInteger {
			return s, c.unsupported("computes with the integer %g; those below 2^31 are supported", x)
		}
		if size[k] = math.Abs(x); x < 0 {
			below[k] = 1
		}
		s.least, s.most = min(s.least, portable.Clamp(size[k])), max(s.most, portable.Clamp(size[k]))
	}
	part := func(name string, cells []float64) factor {
		f, err2 := c.factor(constant(c.n.Name+name, &onnx.Tensor{DType: onnx.Float64, Shape: v.shape, F: cells}))
		if f.shape == nil {
			f.shape = v.shape
		}
		if err == nil {
			err = err2
		}
		return f
	}
	s.size, s.below = part(".size", size), part(".below", below)
	return s, err
}

// never says that a factor is zero.
func never(f factor) bool { return f.id == none && f.coef == 0 }

// times is a product that broadcasts to a shape, as a value.
func (c *call) times(shape []int, coef float64, fs ...factor) factor {
	return only(c.einsum(shape, product(shape, coef, fs...)))
}

// longDivision is |x| / |y| and what it leaves, digit by digit in base 2 from the top: a digit is 1 where y times its weight is no more than
// what is left. A divisor of 0 gives all digits 1.
func (c *call) longDivision(shape []int, x, y sized) (quotient, rest *val) {
	least := max(y.least, 1)
	digits := max(1, bits.Len64(uint64(x.most/least)))
	rest = c.assert(c.einsum(shape, product(shape, 1, x.size)), 0, x.most)
	var terms []ir.Term
	for i := digits - 1; i >= 0; i-- {
		weight := math.Ldexp(1, i)
		// rest − weight·y + 1 > 0
		over := c.einsum(shape, product(shape, 1, only(rest)), product(shape, -weight, y.size), product(shape, 1))
		digit := only(c.positive(over))
		terms = append(terms, product(shape, weight, digit))
		rest = c.assert(c.einsum(shape, product(shape, 1, only(rest)), product(shape, -weight, digit, y.size)), 0, x.most)
	}
	return c.assert(c.einsum(shape, terms...), 0, int64(1)<<digits-1), rest
}

// signed is v where below is 0, and −v where it is 1.
func (c *call) signed(v *val, below factor) *val {
	if never(below) {
		return v
	}
	i := c.b.integers(v.id)
	y := c.einsum(v.shape, product(v.shape, 1, only(v)), product(v.shape, -2, below, only(v)))
	if i != nil && i.In(-1<<62, 1<<62) {
		most := max(i.Hi.Int64(), -i.Lo.Int64())
		c.assert(y, -most, most)
	}
	return y
}

// differ is 1 where just one of two is.
func (c *call) differ(shape []int, x, y factor) factor {
	switch {
	case never(x):
		return y
	case never(y):
		return x
	}
	v := c.einsum(shape, product(shape, 1, x), product(shape, 1, y), product(shape, -2, x, y))
	return only(c.assert(v, 0, 1))
}

// divideIntegers is Div, which rounds towards zero, or Mod, whose result has the sign of the divisor, or of the dividend with fmod.
func (c *call) divideIntegers() ([]*val, error) {
	if err := c.args(2); err != nil {
		return nil, err
	}
	x, err := c.sized(c.in[0])
	if err != nil {
		return nil, err
	}
	y, err := c.sized(c.in[1])
	if err != nil {
		return nil, err
	}
	shape, err := broadcast(c.in[0].shape, c.in[1].shape)
	if err != nil {
		return nil, err
	}
	switch {
	case y.most == 0 || c.in[1].c != nil && y.least == 0:
		return nil, fmt.Errorf("a division by zero")
	case y.least == 0:
		c.b.divided = append(c.b.divided, c)
	}
	quotient, rest := c.longDivision(shape, x, y)
	if c.n.Op == "Div" {
		return []*val{c.signed(quotient, c.differ(shape, x.below, y.below))}, nil
	}
	r := c.assert(c.einsum(shape, product(shape, 1, only(rest))), 0, min(x.most, max(y.most-1, 0)))
	if y.least == 0 { // what a divisor of 0 leaves
		c.assert(r, 0, x.most)
	}
	if c.attrInt("fmod", 0) != 0 {
		return []*val{c.signed(r, x.below)}, nil
	}
	// Where the signs differ and something is left, |y| − r has the sign of y.
	d := c.differ(shape, x.below, y.below)
	if !never(d) {
		other := c.times(shape, 1, d, only(c.positive(r)))
		flipped := c.einsum(shape, product(shape, 1, only(r)), product(shape, 1, other, y.size), product(shape, -2, other, only(r)))
		hi, lo := c.b.integers(r.id).Hi.Int64(), int64(0)
		if y.least == 0 {
			lo = -hi
		}
		r = c.assert(flipped, lo, max(hi, y.most-1))
	}
	return []*val{c.signed(r, y.below)}, nil
}

// noteDivisions tells of the first division by what may be zero.
func (b *builder) noteDivisions() {
	for _, c := range b.divided[:min(1, len(b.divided))] {
		b.g.Notes = append(b.g.Notes, fmt.Sprintf("node %q (%s) divides by integers that may be 0, of which ONNX does not say what comes out: a quotient is then all ones in binary", c.n.Name, c.key()))
	}
}

// maxExponent bounds exponents of integers.
const maxExponent = 30

// powerOfIntegers is x to the power of whole numbers of at least 0: of each that there may be, x to it where the exponent is that one.
func (c *call) powerOfIntegers() ([]*val, error) {
	if err := c.args(2); err != nil {
		return nil, err
	}
	x, e := c.in[0], c.in[1]
	if x.private || e.private {
		return nil, c.unsupported("computes with private integers; make them public: --public NAME")
	}
	shape, err := broadcast(x.shape, e.shape)
	if err != nil {
		return nil, err
	}
	base, err := c.factor(x)
	if err != nil {
		return nil, err
	}
	whole := !x.dtype.IsFloat()
	if whole && !c.wholeFactor(base) {
		return nil, c.unsupported("a power of %s that may be any; integers below 2^31 are supported", x.dtype)
	}
	where, err := c.exponents(e)
	if err != nil {
		return nil, err
	}
	var terms []ir.Term
	power, bounds, may := factor{coef: 1, id: none}, interval.Of(1, 1), interval.Of(0, 0)
	for k := range int64(maxExponent + 1) {
		if w, ok := where[k]; ok {
			terms = append(terms, product(shape, 1, w, power))
			delete(where, k)
			may = may.Or(bounds)
		}
		if len(where) == 0 {
			break
		}
		next := c.einsum(x.shape, product(x.shape, 1, power, base))
		if power = only(next); !whole {
			continue
		}
		i := c.b.integers(next.id)
		if i == nil || !i.In(-maxInteger, maxInteger) {
			return nil, c.unsupported("a power whose integers may be %s, and those beyond 2^31 may wrap around; give a narrower range: --range NAME=LO:HI", anyOf(i))
		}
		if bounds = *i; k%2 == 1 && i.Lo.Sign() < 0 && base.id != none { // an even power
			bounds = *c.b.integers(c.assert(next, 0, max(-i.Lo.Int64(), i.Hi.Int64())).id)
		}
	}
	y := c.einsum(shape, terms...)
	if whole {
		c.b.intervals[y.id] = &may
	}
	return []*val{y}, nil
}

// exponents are, for each exponent that there may be, where it is that.
func (c *call) exponents(e *val) (map[int64]factor, error) {
	where := map[int64]factor{}
	refuse := func(x any) error {
		return c.unsupported("an exponent of integers may be %v; 0 to %d are supported", x, maxExponent)
	}
	if e.c != nil {
		c.b.commit(e)
		cells := floats(e.c)
		for _, x := range cells {
			if x != math.Trunc(x) || x < 0 || x > maxExponent {
				return nil, refuse(x)
			}
			k := portable.Clamp(x)
			if _, ok := where[k]; ok {
				continue
			}
			is := make([]float64, len(cells))
			for i := range cells {
				if cells[i] == x {
					is[i] = 1
				}
			}
			f, err := c.factor(constant(fmt.Sprintf("%s.exponent%d", c.n.Name, k), &onnx.Tensor{DType: onnx.Float64, Shape: e.shape, F: is}))
			if err != nil {
				return nil, err
			}
			where[k] = f
		}
		return where, nil
	}
	i, err := c.within(e)
	if err != nil {
		return nil, err
	}
	if !i.In(0, maxExponent) {
		return nil, refuse(i)
	}
	n := int(i.Hi.Int64()) + 1
	hot, err := c.rows(e, n)
	if err != nil {
		return nil, err
	}
	for k := i.Lo.Int64(); k < int64(n); k++ {
		v, err := c.selectAxis(hot, len(e.shape), []int{int(k)})
		if err != nil {
			return nil, err
		}
		if v, err = c.reshapeTo(v, e.shape); err != nil {
			return nil, err
		}
		where[k] = only(c.assert(v, 0, 1))
	}
	return where, nil
}

// bounds are those of a factor of integers, nil of another one.
func (c *call) bounds(f factor) *interval.Interval {
	if f.id != none {
		return c.b.integers(f.id)
	}
	if !isInteger(f.coef) {
		return nil
	}
	i := between(f.coef, f.coef)
	return &i
}

// largest is the greater of two integers of any number of bits: x + step(y − x)·(y − x).
func (c *call) largest(shape []int, x, y factor) *val {
	d := c.einsum(shape, product(shape, 1, y), product(shape, -1, x))
	v := c.einsum(shape, product(shape, 1, x), product(shape, 1, only(c.positive(d)), only(d)))
	if a, b := c.bounds(x), c.bounds(y); a != nil && b != nil {
		i := a.Larger(*b)
		c.b.intervals[v.id] = &i
	}
	return v
}

func modulo(c *call) ([]*val, error) {
	if c.onIntegers() {
		return c.divideIntegers()
	}
	return c.fmod()
}

// fmod is the remainder of real numbers, that of the integers that the circuit holds of both.
func (c *call) fmod() ([]*val, error) {
	fs, shape, err := c.operands()
	if err != nil || len(fs) != 2 {
		return nil, orCount(err, len(fs))
	}
	if c.attrInt("fmod", 0) == 0 {
		return nil, c.unsupported("of real numbers without fmod")
	}
	x, y := c.einsum(shape, product(shape, 1, fs[0])), c.einsum(shape, product(shape, 1, fs[1]))
	v := c.add(ir.OpFmod, "", shape, []ir.ValueID{x.id, y.id}, nil)
	return []*val{{shape: v.Shape, dtype: c.in[0].dtype, id: v.ID}}, nil
}
