package gadget

import (
	"fmt"
	"math/big"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/internal/tables"
)

// MaxShift is the largest right shift of a rescale.
const MaxShift = 61

// half is the rounding offset of a shift: 2^(shift-1), or 0 for no shift.
func half(shift int) int64 {
	if shift == 0 {
		return 0
	}
	return 1 << (shift - 1)
}

// Rescale commits y = min(max(⌊(v + 2^(shift-1)) / 2^shift⌋, lo), hi); with shift 0 nothing is added to v.
//
// v may be wide. Write q for the quotient before the clamp. Where the bounds of v keep q inside [lo, hi], y is q: y is looked up in [lo, hi] and
// rem = v + 2^(shift-1) − 2^shift·y, virtual, in [0, 2^shift). Both are integers, the equation holds over the integers (no wrap),
// and division with remainder is unique. The range of y alone, or of rem alone, would prove nothing mod p. It exists for every v
// within its bounds. All of that is as true of a wide v, whose bounds are below 2^124: y is below 2^61 and shift at most 61, so that
// both sides stay below 2^125.
//
// Otherwise see clamp, and for a range of more than 2^LimbBits values, of which y is virtual, see wide.
func Rescale(b *circuit.Builder, name string, v circuit.ID, shift int, lo, hi int64) circuit.ID {
	if lo <= hi && hi-lo >= 1<<LimbBits {
		return wide(b, name, v, shift, lo, hi)
	}
	if !checkRescale(b, name, shift, lo, hi) {
		return v
	}
	if !clamps(b, v, shift, lo, hi) {
		y := b.Witness(name, lo, hi, b.Shape(v)...)
		b.Lookup(Range(b, lo, hi), y)
		quotient(b, name, v, shift, y)
		return y
	}
	t := clampTable(b, lo, hi)
	y, class := clamp(b, name, v, shift, lo, hi)
	b.Lookup(t, y, class)
	return y
}

// RescaleTable commits x = Rescale(v) and y = Table(x) with one lookup for both: the lines are (x, f(x)), or (x, κ, f(x)) where
// the rescale clamps.
//
// Unique: the lookup contains the one of Rescale, so x is (and κ), and f(x) is the only value next to x in the table; the lines of
// the saturation branches (hi, 1) and (lo, −1) carry f(hi) and f(lo).
func RescaleTable(b *circuit.Builder, name string, v circuit.ID, shift int, lo, hi int64, fn string, inScale, outScale int) (x, y circuit.ID) {
	if !checkRescale(b, name, shift, lo, hi) {
		return v, v
	}
	f := evaluate(b, name, fn, lo, hi, inScale, outScale)
	if f == nil {
		return v, v
	}
	if !clamps(b, v, shift, lo, hi) {
		x = b.Witness(name+".in", lo, hi, b.Shape(v)...)
		quotient(b, name+".in", v, shift, x)
		return x, function(b, name, x, fn, lo, hi, inScale, outScale, f)
	}
	t := b.TableOf("clamp and "+functionName(fn, lo, hi, inScale, outScale), func() [][]int64 {
		lines := clampLines(lo, hi)
		return append(lines, append(append([]int64(nil), f...), f[len(f)-1], f[0]))
	})
	x, class := clamp(b, name+".in", v, shift, lo, hi)
	y = output(b, name, f, b.Shape(v))
	b.Lookup(t, x, class, y)
	b.Hint(circuit.TableHint{First: lo, Column: 2}.Hint(t, x, y))
	return x, y
}

// Table commits y with (x, y) in the table of fn over the bounds of x: y = fn(x·2^-inScale)·2^outScale, rounded as package
// tables computes it. Unique: x occurs in one line. Total: the table has a line for every x within its bounds.
func Table(b *circuit.Builder, name string, x circuit.ID, fn string, inScale, outScale int) circuit.ID {
	lo, hi := b.Bounds(x)
	if hi-lo >= 1<<LimbBits {
		b.Fail("%s: %s over [%d, %d] needs a table of more than 2^%d lines", name, fn, lo, hi, LimbBits)
		return x
	}
	f := evaluate(b, name, fn, lo, hi, inScale, outScale)
	if f == nil {
		return x
	}
	return function(b, name, x, fn, lo, hi, inScale, outScale, f)
}

// function looks (x, y) up in the table of fn over [lo, hi], whose values are f.
func function(b *circuit.Builder, name string, x circuit.ID, fn string, lo, hi int64, inScale, outScale int, f []int64) circuit.ID {
	t := b.TableOf(functionName(fn, lo, hi, inScale, outScale), func() [][]int64 { return [][]int64{count(lo, hi), f} })
	y := output(b, name, f, b.Shape(x))
	b.Lookup(t, x, y)
	b.Hint(circuit.TableHint{First: lo, Column: 1}.Hint(t, x, y))
	return y
}

func functionName(fn string, lo, hi int64, inScale, outScale int) string {
	return fmt.Sprintf("%s on [%d,%d], scale %d to %d", fn, lo, hi, inScale, outScale)
}

// output declares the tensor of a function's values.
func output(b *circuit.Builder, name string, f []int64, shape []int) circuit.ID {
	lo, hi := f[0], f[0]
	for _, v := range f {
		lo, hi = min(lo, v), max(hi, v)
	}
	return b.Witness(name, lo, hi, shape...)
}

func evaluate(b *circuit.Builder, name, fn string, lo, hi int64, inScale, outScale int) []int64 {
	f, err := tables.Eval(fn, lo, hi, inScale, outScale)
	if err != nil {
		b.Fail("%s: %v", name, err)
		return nil
	}
	if int64(len(f)) != hi-lo+1 {
		b.Fail("%s: %s has %d values over [%d, %d]", name, fn, len(f), lo, hi)
		return nil
	}
	return f
}

func checkRescale(b *circuit.Builder, name string, shift int, lo, hi int64) bool {
	if shift < 0 || shift > MaxShift {
		b.Fail("%s: a shift by %d bits, want 0 to %d", name, shift, MaxShift)
		return false
	}
	if lo > hi || hi-lo >= 1<<LimbBits || lo < -1<<31 || hi >= 1<<31 {
		b.Fail("%s: the range [%d, %d] has not between 1 and 2^%d values", name, lo, hi, LimbBits)
		return false
	}
	return true
}

// quotients bounds what a rescale of v makes.
func quotients(b *circuit.Builder, v circuit.ID, shift int) interval.Interval {
	return b.Interval(v).Quotients(shift)
}

// clamps says whether a rescale of v to [lo, hi] needs the clamp.
func clamps(b *circuit.Builder, v circuit.ID, shift int, lo, hi int64) bool {
	return !quotients(b, v, shift).In(lo, hi)
}

// quotient adds the hint and the remainder of the rescale without clamp; the caller looks y up.
func quotient(b *circuit.Builder, name string, v circuit.ID, shift int, y circuit.ID) {
	b.Hint(circuit.RescaleHint{Shift: int64(shift)}.Hint(v, y))
	remainder(b, name, v, shift, circuit.Scaled(b, -1<<shift, y))
}

// remainder proves that v + 2^(shift-1) plus the given terms, minus 2^shift times the quotient, lies in [0, 2^shift): by limbs
// if it has bits, by a zero-check if shift is 0.
func remainder(b *circuit.Builder, name string, v circuit.ID, shift int, minus ...circuit.Term) {
	Remainder(b, name, shift, b.Shape(v), append([]circuit.Term{circuit.Scaled(b, 1, v)}, minus...)...)
}

// Remainder proves that 2^(shift-1)·valid plus the terms is an integer in [0, 2^shift); for shift 0, that the terms are zero.
func Remainder(b *circuit.Builder, name string, shift int, shape []int, terms ...circuit.Term) {
	if shift == 0 {
		b.Zero(b.VirtualBound(name+".rem", shape, 0, 0, "zero-checked", terms...))
		return
	}
	terms = append(terms, circuit.Ones(half(shift), shape))
	rem := b.VirtualBound(name+".rem", shape, 0, 1<<shift-1, "looked up in this range", terms...)
	Limbs(b, name+".rem", rem, shift)
}

// clamp commits y, the class κ and the limbs e_l of the excess, and proves everything but the pair (y, κ), which the caller looks
// up in clampLines (with a function's column, perhaps):
//
//	(y, κ) ∈ {(y, 0): lo ≤ y ≤ hi} ∪ {(hi, 1), (lo, −1)}
//	(e_l, κ) ∈ {(0, 0)} ∪ [0, 2^w)×{1} ∪ (−2^w, 0]×{−1}
//	q = y + κ + Σ_l 2^(wl)·e_l
//
// where q is the quotient of v: for shift 0 the equation defines e_0, virtual; after a shift all e_l are committed and the equation
// v + 2^(shift-1) − 2^shift·(y + κ + Σ_l 2^(wl)·e_l) = rem ∈ [0, 2^shift) determines q as in Rescale.
//
// Of a wide v the weights of limbs may not fit an integer of 64 bits; then κ and the limbs, all committed, make one virtual tensor
// κ + Σ_l 2^(wl)·e_l, with weights 2^(wl) below 2^62, which the equation takes 2^shift times.
//
// Unique: all columns are integers and the weights 2^(shift+wl) of the limbs are below 2^62, or the product of two such, so that both sides
// stay below 2^140 and the equation holds over the integers (no wrap). κ = 0 forces e = 0 and q = y ∈ [lo, hi]; κ = 1 forces y = hi and q ≥ hi + 1; κ = −1 forces y = lo and q ≤ lo − 1. The
// cases exclude each other, so q determines κ and y, and |q − y − κ| determines the limbs, its base-2^w digits, all with the sign of
// κ. The limbs cover the bounds of q, so that a witness exists.
func clamp(b *circuit.Builder, name string, v circuit.ID, shift int, lo, hi int64) (y, class circuit.ID) {
	x, ok := newExcess(b, name, v, shift, lo, hi)
	if !ok {
		return v, v
	}
	y = b.Witness(name, lo, hi, b.Shape(v)...)
	class, limbs, minus := x.commit(b, name, v, circuit.Scaled(b, -1<<shift, y))
	b.Hint(circuit.ClampHint{Shift: int64(shift), Lo: lo, Hi: hi, First: int64(x.first), Radix: int64(x.radix)}.Hint(v, y, class, limbs))
	x.prove(b, name, v, class, minus)
	return y, class
}

// clampExcess is how the excess of a clamp is cut into limbs, of which those from first on are committed.
type clampExcess struct {
	shift, first, radix int
	widths              []int
	apart               bool // κ and the limbs are summed up before they are shifted
}

func newExcess(b *circuit.Builder, name string, v circuit.ID, shift int, lo, hi int64) (x clampExcess, ok bool) {
	q := quotients(b, v, shift)
	x.shift = shift
	above := new(big.Int).Sub(q.Hi, big.NewInt(hi+1))
	below := new(big.Int).Sub(big.NewInt(lo-1), q.Lo)
	// One bit at least: with shift 0 the lowest limb is where the equation is checked.
	x.radix, x.widths = limbWidths(max(1, signedBits(above), signedBits(below)), excessBits)
	top := x.radix * (len(x.widths) - 1)
	x.apart = b.IsWide(v) && shift+top > MaxShift
	if weight := shift + top; weight > MaxShift && !x.apart || top > MaxShift { // the highest limb's; [lo, hi] may lie far from all quotients
		b.Fail("%s: quotients of [%d, %d] by 2^%d are too far from [%d, %d]", name, q.Lo, q.Hi, shift, lo, hi)
		return x, false
	}
	if shift == 0 {
		x.first = 1
	}
	return x, true
}

// commit commits class and limbs. minus are the terms of −2^shift·y, and come back with those of κ and of the limbs.
func (x clampExcess) commit(b *circuit.Builder, name string, v circuit.ID, minus ...circuit.Term) (class circuit.ID, limbs []circuit.ID, all []circuit.Term) {
	shape := b.Shape(v)
	class = b.Witness(name+".class", -1, 1, shape...)
	up := x.shift
	if x.apart {
		up = 0
	}
	sum := []circuit.Term{circuit.Scaled(b, 1<<up, class)}
	for l := x.first; l < len(x.widths); l++ {
		e := excess(b, name, l, x.widths[l], shape, class)
		limbs = append(limbs, e)
		sum = append(sum, circuit.Scaled(b, 1<<(up+x.radix*l), e))
	}
	if x.apart {
		sum = []circuit.Term{circuit.Scaled(b, 1<<x.shift, b.Virtual(name+".excess", shape, sum...))}
	}
	for _, t := range sum {
		t.Coef = -t.Coef
		minus = append(minus, t)
	}
	return class, limbs, minus
}

// prove proves the equation of clamp.
func (x clampExcess) prove(b *circuit.Builder, name string, v, class circuit.ID, minus []circuit.Term) {
	if x.shift > 0 {
		remainder(b, name, v, x.shift, minus...)
		return
	}
	top := int64(1)<<x.widths[0] - 1
	e0 := b.VirtualBound(name+".excess0", b.Shape(v), -top, top, "looked up in this range", append(minus, circuit.Scaled(b, 1, v))...)
	b.Lookup(excessTable(b, x.widths[0]), e0, class)
}

// excess commits limb l of a clamp's excess.
func excess(b *circuit.Builder, name string, l, width int, shape []int, class circuit.ID) circuit.ID {
	top := int64(1)<<width - 1
	e := b.Witness(fmt.Sprintf("%s.excess%d", name, l), -top, top, shape...)
	b.Lookup(excessTable(b, width), e, class)
	return e
}

// excessTable holds (0, 0), [0, 2^width)×{1} and (−2^width, 0]×{−1}.
func excessTable(b *circuit.Builder, width int) int {
	return b.TableOf(fmt.Sprintf("excess 2^%d", width), func() [][]int64 {
		n := int64(1) << width
		e, class := []int64{0}, []int64{0}
		for i := range n {
			e, class = append(e, i), append(class, 1)
		}
		for i := range n {
			e, class = append(e, -i), append(class, -1)
		}
		return [][]int64{e, class}
	})
}

func clampTable(b *circuit.Builder, lo, hi int64) int {
	return b.TableOf(fmt.Sprintf("clamp [%d,%d]", lo, hi), func() [][]int64 { return clampLines(lo, hi) })
}

// clampLines holds (y, 0) for y in [lo, hi], then (hi, 1) and (lo, −1).
func clampLines(lo, hi int64) [][]int64 {
	y := append(count(lo, hi), hi, lo)
	class := make([]int64, len(y))
	class[len(y)-2], class[len(y)-1] = 1, -1
	return [][]int64{y, class}
}
