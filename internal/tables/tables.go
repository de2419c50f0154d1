// Package tables computes the function tables of a circuit from integers, so that every platform gets the same bits: the
// verifier evaluates the MLE of a table itself, and one entry that differed would be a rejected proof. The functions of package
// math are out of question, since their assembly differs between platforms and a compiler may fuse a product and a sum. Of erf, sin, cos,
// softplus and composed functions an entry is package portable's value, in doubles, which has the same bits everywhere, too: these need no more digits than an entry
// has, and integers would be a second implementation.
//
// An entry is the function's value, evaluated with an absolute error below 2^-52 (in doubles: of some units in their last place), scaled and rounded half away from zero. Where the
// true value lies closer than that error to the middle between two integers, the entry may be the other neighbour; it is
// the same on every platform all the same, and the table is what the circuit means.
package tables

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/zkllmc/zkllmc/internal/portable"
)

// Entries are clamped to 16 bits, those of linear pieces to 31.
const (
	MinEntry = -1 << 15
	MaxEntry = 1<<15 - 1

	maxEnd = 1<<30 - 1
)

// Limits of Eval's arguments.
const (
	maxInput    = 1 << 40
	maxEntries  = 1 << 24
	minInScale  = -32
	maxInScale  = 60
	minOutScale = -32
	maxOutScale = 48
)

// sample is an input x = ±abs·2^-scale; t is |x| with 64 fractional bits, saturated.
type sample struct {
	abs   uint64
	neg   bool
	scale int
	t     u128
}

// functions, in the order of Functions. Each returns the magnitude and sign of Fn(x)·2^out before clamping.
var functions = []struct {
	name string
	eval func(x sample, out int) (abs uint64, neg bool)
}{
	{"silu", func(x sample, out int) (uint64, bool) { return gated(x, sigmoid(x.t, x.neg), out) }},
	{"sigmoid", func(x sample, out int) (uint64, bool) { return unit(sigmoid(x.t, x.neg), out), false }},
	{"gelu", func(x sample, out int) (uint64, bool) { return gated(x, normal(x.t, x.neg), out) }},
	{"gelu_tanh", func(x sample, out int) (uint64, bool) { return gated(x, sigmoid(geluTanhArg(x), x.neg), out) }},
	{"tanh", func(x sample, out int) (uint64, bool) { return unit(tanh(x.t), out), x.neg }},
	{"relu", func(x sample, out int) (uint64, bool) {
		if x.neg {
			return 0, false
		}
		return gated(x, one62, out)
	}},
	{"exp", func(x sample, out int) (uint64, bool) {
		if x.neg {
			return unit(expNeg(x.t), out), false
		}
		return expPos(x.t, out), false
	}},
	{"erf", rounded(portable.Erf)},
	{"sin", rounded(portable.Sin)},
	{"cos", rounded(portable.Cos)},
	{"softplus", rounded(portable.Softplus)},
	{"step", func(x sample, out int) (uint64, bool) { // 1 of what is positive
		if x.neg || x.abs == 0 {
			return 0, false
		}
		return unit(one62, out), false
	}},
}

// rounded is a function of package portable, whose arguments, of at most 41 bits, doubles hold.
func rounded(f func(float64) float64) func(x sample, out int) (abs uint64, neg bool) {
	return func(x sample, out int) (uint64, bool) {
		v := math.Ldexp(float64(x.abs), -x.scale)
		if x.neg {
			v = -v
		}
		y := math.Ldexp(f(v), out)
		abs, _ := portable.Int64(math.Round(math.Min(math.Abs(y), 1<<62)))
		return uint64(abs), y < 0
	}
}

// Eval returns, not to be written to, Fn(x·2^-inScale)·2^outScale for x = lo, …, hi, rounded half away from zero and clamped to [MinEntry, MaxEntry].
func Eval(fn string, lo, hi int64, inScale, outScale int) ([]int64, error) {
	return eval(fn, lo, hi, inScale, outScale, MinEntry, MaxEntry)
}

// Pieces approximates Fn(x·2^-inScale)·2^outScale by linear pieces of 2^low arguments each, low from 1 to 30. Piece i, for lo ≤ i ≤ hi, is
// values[i−lo] + slopes[i−lo]·l at x = 2^low·i + l. The slope is the rounded one between the function's values at the ends of the piece,
// which are rounded and clamped to 31 bits; and the value is such that both ends are missed by as much.
func Pieces(fn string, lo, hi int64, inScale, low, outScale int) (values, slopes []int64, err error) {
	if low < 1 || low > 30 || lo > hi || fn == "step" { // which jumps
		return nil, nil, fmt.Errorf("tables: bad pieces [%d, %d] of 2^%d arguments", lo, hi, low)
	}
	ends, err := eval(fn, lo, hi+1, inScale-low, outScale, -maxEnd-1, maxEnd)
	if err != nil {
		return nil, nil, err
	}
	values, slopes = make([]int64, hi-lo+1), make([]int64, hi-lo+1)
	for i := range values {
		slopes[i] = (ends[i+1] - ends[i] + 1<<(low-1)) >> low
		values[i] = (ends[i]+ends[i+1]+1)>>1 - slopes[i]<<(low-1)
	}
	return values, slopes, nil
}

func eval(fn string, lo, hi int64, inScale, outScale int, least, most int64) ([]int64, error) {
	if lo < -maxInput || hi > maxInput || lo > hi || hi-lo >= maxEntries {
		return nil, fmt.Errorf("tables: bad input range [%d, %d]", lo, hi)
	}
	if inScale < minInScale || inScale > maxInScale || outScale < minOutScale || outScale > maxOutScale {
		way := "down"
		if inScale > maxInScale || outScale > maxOutScale {
			way = "up"
		}
		return nil, fmt.Errorf("tables: %s has no table with arguments in steps of 2^%d and values in steps of 2^%d; scale its argument %s", fn, -inScale, -outScale, way)
	}
	f, ok := evaluator(fn)
	if !ok {
		return nil, fmt.Errorf("tables: unknown function %q", fn)
	}
	return kept(evalKey{fn, lo, hi, inScale, outScale, most}, func() []int64 {
		out := make([]int64, hi-lo+1)
		for i := range out {
			out[i] = clamp(f, newSample(lo+int64(i), inScale), outScale, least, most)
		}
		return out
	}), nil
}

func newSample(v int64, scale int) sample {
	x := sample{abs: uint64(v), neg: v < 0, scale: scale}
	if v < 0 {
		x.abs = uint64(-v)
	}
	x.t = u128{lo: x.abs}.shl(64 - scale)
	return x
}

// clamp evaluates a function and clamps its value to [least, most], least < 0.
func clamp(f func(sample, int) (uint64, bool), x sample, out int, least, most int64) int64 {
	abs, neg := f(x, out)
	if neg {
		return -int64(min(abs, uint64(-least)))
	}
	return int64(min(abs, uint64(most)))
}

// gated returns |x|·g·2^out, rounded, with the sign of x; g has 62 fractional bits.
func gated(x sample, g uint64, out int) (uint64, bool) {
	hi, lo := bits.Mul64(x.abs, g)
	return u128{hi, lo}.round(62 + x.scale - out), x.neg
}

// unit returns g·2^out, rounded.
func unit(g uint64, out int) uint64 { return u128{lo: g}.round(62 - out) }

// LeastUnit is the least unit of exponentials: the least number that a double holds with all its bits.
const LeastUnit = 0x1p-1022

// Exp returns, not to be written to, e[d] = 2^ebits·exp(−d·unit), rounded half up, for d = 0, …, 2^dbits − 1; e[0] = 2^ebits. unit is taken exactly as the
// binary fraction that it is. Refused unless 0 ≤ dbits ≤ 24, 0 ≤ ebits ≤ 48 and LeastUnit ≤ unit < ∞.
func Exp(dbits, ebits int, unit float64) ([]int64, error) {
	if dbits < 0 || dbits > 24 || ebits < 0 || ebits > 48 {
		return nil, fmt.Errorf("tables: bad exponentials of %d bits to %d bits", dbits, ebits)
	}
	b := math.Float64bits(unit)
	mantissa, exponent := b&(1<<52-1), int(b>>52)
	if exponent == 0 || exponent >= 0x7ff { // zero, subnormal; negative, infinite, not a number
		return nil, fmt.Errorf("tables: bad unit %v of exponentials", unit)
	}
	mantissa |= 1 << 52
	exponent -= 1023 + 52
	return kept(expKey{dbits, ebits, unit}, func() []int64 {
		out := make([]int64, 1<<dbits)
		for d := range out {
			hi, lo := bits.Mul64(uint64(d), mantissa)
			t := u128{hi, lo}.shl(64 + exponent)
			out[d] = int64(u128{lo: expNeg(t)}.round(62 - ebits))
		}
		return out
	}), nil
}
