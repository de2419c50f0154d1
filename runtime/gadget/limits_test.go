package gadget_test

import (
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// bounded declares a tensor of one cell with the given bounds, which are far from each other.
func bounded(b *circuit.Builder, lo, hi int64) circuit.ID {
	x := b.Witness("bounded", 0, 1, 1)
	b.Lookup(gadget.Range(b, 0, 1), x)
	return b.VirtualBound("b", []int{1}, lo, hi, "given", circuit.Scaled(b, 1, x))
}

// most is the largest bound of a tensor.
const most = circuit.MaxBound

// limits are gadgets at the limits of their arguments and beyond, and what is said of the latter.
var limits = []struct {
	name, want string
	build      func(b *circuit.Builder)
}{
	{"spread from axis -1", "cannot be spread", func(b *circuit.Builder) { circuit.Spread(b, 1, b.Weight("x", 4, 2), []int{2, 2}, -1) }},
	{"spread beyond the last axis", "cannot be spread", func(b *circuit.Builder) { circuit.Spread(b, 1, b.Weight("x", 4, 2), []int{2, 2}, 2) }},
	{"spread to the last axis", "", func(b *circuit.Builder) { circuit.Spread(b, 1, b.Weight("x", 4, 2), []int{2, 2}, 1) }},

	{"empty range", "has not between", func(b *circuit.Builder) { gadget.Range(b, 1, 0) }},
	{"range of 2^16", "", func(b *circuit.Builder) { gadget.Range(b, 5, 5+1<<16-1) }},
	{"range of 2^16+1", "has not between", func(b *circuit.Builder) { gadget.Range(b, 5, 5+1<<16) }},

	{"limbs of -1 bits", "a value of -1 bits", func(b *circuit.Builder) { gadget.Limbs(b, "l", b.Weight("x", 4, 2), -1) }},
	{"limbs of 62 bits", "", func(b *circuit.Builder) { gadget.Limbs(b, "l", b.Weight("x", 4, 2), 62) }},
	{"limbs of 63 bits", "a value of 63 bits", func(b *circuit.Builder) { gadget.Limbs(b, "l", b.Weight("x", 4, 2), 63) }},

	{"table of 2^16+1", "needs a table of more than", func(b *circuit.Builder) { gadget.Table(b, "t", bounded(b, 0, 1<<16), "silu", 2, 2) }},
	{"table of 2^16", "", func(b *circuit.Builder) { gadget.Table(b, "t", bounded(b, 1, 1<<16), "silu", 2, 2) }},
	{"table of no function", "unknown function", func(b *circuit.Builder) { gadget.Table(b, "t", bounded(b, 0, 1), "cosine", 2, 2) }},

	{"shift of -1", "y: a shift by -1 bits", rescale1(-1, 0, 1)},
	{"shift of 61", "", rescale1(61, 0, 1)},
	{"shift of 62", "y: a shift by 62 bits", rescale1(62, 0, 1)},
	{"rescale to nothing", "the range [1, 0]", rescale1(1, 1, 0)},
	{"rescale below -2^31", "the range [-2147483649,", rescale1(1, -1<<31-1, -1<<31)},
	{"rescale to -2^31", "", rescale1(1, -1<<31, -1<<31+1)},
	{"rescale to 2^31-1", "", rescale1(1, 1<<31-2, 1<<31-1)},
	{"rescale to 2^31", "the range [2147483647, 2147483648]", rescale1(1, 1<<31-1, 1<<31)},
	{"rescale to 2^16 values", "", rescale1(1, 0, 1<<16-1)},
	{"rescale to 2^16+1 values", "the range [0, 65536] is not one of whole multiples of 2^9", rescale1(1, 0, 1<<16)},
	{"rescale to 17 bits", "", rescale1(1, 0, 1<<17-1)},
	{"rescale to 17 bits from 1 on", "is not one of whole multiples", rescale1(1, 1, 1<<17-1)},
	{"rescale to 61 bits and sign", "", rescale1(1, -1<<60, 1<<60-1)},
	{"rescale to 62 bits and sign", "leaves 61 bits", rescale1(1, -1<<61, 1<<61-1)},
	{"rescale to 61 bits", "", rescale1(1, 0, 1<<61-1)},
	{"rescale to 2^61", "leaves 61 bits", rescale1(1, 0, 1<<61)},
	{"rescale and table to 2^16 values", "", rescaleTable(1, 0, 1<<16-1)},
	{"rescale and table to 2^16+1 values", "the range [0, 65536] has not between", rescaleTable(1, 0, 1<<16)},
	{"rescale and table by 62", "y: a shift by 62 bits", rescaleTable(62, 0, 1)},
	{"pieces of 2^16 arguments", "", pieces(-1<<16, 1<<16-1, 16)},
	{"pieces of 2^17 arguments", "pieces of 2^17 arguments in", pieces(-1<<17, 1<<17-1, 17)},
	{"2^16 pieces", "", pieces(-1<<16, 1<<16-1, 1)},
	{"2^16+1 pieces", "at most 2^16 pieces", pieces(-1<<16, 1<<16+1, 1)},
	{"no piece", "pieces of 2^1 arguments in [2, 1]", pieces(2, 1, 1)},
	{"wide rescale by -1", "y: a shift by -1 bits", rescale1(-1, 0, 1<<17-1)},
	{"wide rescale by 61", "has the weight 2^9 after a shift by 61", rescale1(61, 0, 1<<17-1)},
	{"wide rescale by 62", "y: a shift by 62 bits", rescale1(62, 0, 1<<17-1)},
	{"wide rescale by 52", "", rescale1(52, 0, 1<<17-1)}, // the highest limb's weight is 2^61
	{"wide rescale by 53", "has the weight 2^9 after a shift by 53", rescale1(53, 0, 1<<17-1)},
	// A range far from all quotients: the excess of 30 bits has three limbs of 10, the highest of weight 2^(shift+20).
	{"excess just within", "", rescale1(41, 1<<30, 1<<30+1)},
	{"excess too far", "are too far from", rescale1(42, 1<<30, 1<<30+1)},
	{"excess of a wide tensor, of 72 bits", "", rescaleWide(72)}, // the highest limb's weight is 2^60, and more together with the shift
	{"excess of a wide tensor, of 73 bits", "are too far from", rescaleWide(73)},

	{"values of one axis", "", output(circuit.Values, 2)},
	{"values of three axes", "", output(circuit.Values, 2, 3, 1)},
	{"arg-max of one axis", "an axis of rows", output(circuit.Argmax, 2)},
	{"arg-max of two axes", "", output(circuit.Argmax, 2, 3)},
	{"arg-max of three axes", "", output(circuit.Argmax, 2, 3, 1)},

	{"flat one-hot", "do not choose lines", embed([]int{3}, []int{3, 2})},
	{"flat table", "do not choose lines", embed([]int{2, 3}, []int{3})},
	{"one-hot of another table", "do not choose lines", embed([]int{2, 3}, []int{4, 2})},
	{"one-hot of a table", "", embed([]int{2, 3}, []int{3, 2})},

	{"root of -1", "inverse square root of", rsqrt(-1, 1, 10, 2)},
	{"root without an offset", "inverse square root of", rsqrt(1, 2, 10, 0)},
	{"root of nothing", "inverse square root of", rsqrt(0, 1, 0, 1)},
	{"root with a numerator of 2^62", "inverse square root of", rsqrt(0, 1, most, 1)},
	{"root with a radicand of 2^62", "inverse square root of", rsqrt(0, most-2, 1, 2)},
	{"root at the least", "", rsqrt(0, 0, 1, 1)},
	{"slacks just within", "", rsqrt(0, 1<<60-1, 1<<58-1, 1)}, // 2·√(num·S) + S is 2^61 − 1
	{"slacks of 2^61", "slacks may reach", rsqrt(0, 1<<60-1, 1<<58, 1)},
	{"slacks beyond 64 bits", "slacks may reach", rsqrt(0, most-2, most-1, 1)},

	{"reciprocal of 0", "reciprocal of", reciprocal(0, 5, 10)},
	{"reciprocal of nothing", "reciprocal of", reciprocal(1, 5, 0)},
	{"reciprocal with a numerator of 2^62", "reciprocal of", reciprocal(1, 5, most)},
	{"reciprocal at the least and the most", "", reciprocal(1, most-1, most-1)},
}

// What gadgets refuse at a limit, next to what they take just within.
func TestLimits(t *testing.T) {
	for _, test := range limits {
		t.Run(test.name, func(t *testing.T) {
			b := witnesstest.Builder()
			b.Lookup(gadget.Range(b, -1, 0), b.Weight("w", 1, 1))
			test.build(b)
			_, err := b.Finish()
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
			} else if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func rescale1(shift int, lo, hi int64) func(b *circuit.Builder) {
	return func(b *circuit.Builder) { gadget.Rescale(b, "y", b.Weight("x", 4, 2), shift, lo, hi) }
}

// rescaleWide rescales a wide tensor, of which quotients exceed [0, 1] by so many bits.
func rescaleWide(bits int) func(b *circuit.Builder) {
	return func(b *circuit.Builder) {
		c := b.Const("c", []int64{1 << 61}, 1) // c²·2^k
		gadget.Rescale(b, "y", b.Virtual("v", []int{1}, b.Times(1<<(bits-72), "i,i->i i=1", c, c)), 50, 0, 1)
	}
}

func rescaleTable(shift int, lo, hi int64) func(b *circuit.Builder) {
	return func(b *circuit.Builder) {
		gadget.RescaleTable(b, "y", b.Weight("x", 4, 2), shift, lo, hi, "relu", 0, 0)
	}
}

func pieces(lo, hi int64, low int) func(b *circuit.Builder) {
	return func(b *circuit.Builder) {
		gadget.PiecewiseLinear(b, "y", b.Weight("x", 4, 2), 1, lo, hi, low, "relu", 0, 0)
	}
}

func output(what circuit.Reveal, shape ...int) func(b *circuit.Builder) {
	return func(b *circuit.Builder) {
		gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: what}, b.Weight("x", 4, shape...))
	}
}

func embed(onehot, table []int) func(b *circuit.Builder) {
	return func(b *circuit.Builder) {
		gadget.Embed(b, "e", b.Weight("h", 1, onehot...), b.Weight("x", 4, table...))
	}
}

func rsqrt(lo, hi, num, eps int64) func(b *circuit.Builder) {
	return func(b *circuit.Builder) { gadget.Rsqrt(b, "r", bounded(b, lo, hi), num, eps) }
}

func reciprocal(lo, hi, num int64) func(b *circuit.Builder) {
	return func(b *circuit.Builder) { gadget.Reciprocal(b, "r", bounded(b, lo, hi), num) }
}
