package gadget

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/circuit"
)

// wide is Rescale to a range of more than 2^LimbBits values. It commits the limbs of y and returns y, virtual:
//
//	y = Σ_l 2^(wl)·y_l        y_l ∈ [0, 2^w) below the top        y_top ∈ [lo/2^(w·top), ⌊hi/2^(w·top)⌋]
//
// w the radix. lo and hi + 1 are multiples of 2^(w·top), as those of integers of some bits are, with sign or without, so that the sums of
// limbs are the integers in [lo, hi]. Each is the sum of one choice of limbs: the lower ones are its digits, the top one what is left.
//
// Where the bounds of v keep the quotient inside [lo, hi] the limbs are looked up in their ranges and y is proved to be the quotient as in
// Rescale, with y for the committed cell. Otherwise with the class κ and the excess of clamp, whose equation is the same, and
//
//	(y_l, κ) ∈ {(d, 0): d in the range of limb l} ∪ {(limb l of hi, 1), (limb l of lo, −1)}
//
// for every limb: the limbs of hi are the greatest of their ranges, those of lo the least.
//
// Unique: the limbs are integers, hence y is one in [lo, hi]. One κ stands in all the lookups: κ = 0 forces e = 0 and q = y; κ = 1 forces
// every limb to that of hi, y = hi and q ≥ hi + 1; κ = −1 forces y = lo and q ≤ lo − 1. The cases exclude each other, so q determines κ and
// y, y its limbs, and the rest is as in clamp. The weights of the limbs, 2^(shift+wl), are below 2^62: the equation holds over the integers.
func wide(b *circuit.Builder, name string, v circuit.ID, shift int, lo, hi int64) circuit.ID {
	d, ok := newDigits(b, name, shift, lo, hi)
	if !ok {
		return v
	}
	hint := circuit.WideHint{Shift: int64(shift), Lo: lo, Hi: hi, Width: int64(d.radix)}
	if !clamps(b, v, shift, lo, hi) {
		limbs, y, minus := d.commit(b, name, v, func(l int, limb circuit.ID) { b.Lookup(Range(b, d.least(l), d.most(l)), limb) })
		b.Hint(hint.Hint(v, limbs))
		remainder(b, name, v, shift, minus...)
		return y
	}
	x, ok := newExcess(b, name, v, shift, lo, hi)
	if !ok {
		return v
	}
	limbs, y, minus := d.commit(b, name, v, func(int, circuit.ID) {})
	class, excess, minus := x.commit(b, name, v, minus...)
	for l, limb := range limbs {
		b.Lookup(clampTable(b, d.least(l), d.most(l)), limb, class)
	}
	hint.First, hint.Radix = int64(x.first), int64(x.radix)
	b.Hint(hint.Hint(v, limbs, append([]circuit.ID{class}, excess...)...))
	x.prove(b, name, v, class, minus)
	return y
}

// wideDigits is how the integers in [lo, hi] are cut into limbs.
type wideDigits struct {
	shift, radix, top int
	lo, hi            int64
}

func newDigits(b *circuit.Builder, name string, shift int, lo, hi int64) (d wideDigits, ok bool) {
	if shift < 0 || shift > MaxShift {
		b.Fail("%s: a shift by %d bits, want 0 to %d", name, shift, MaxShift)
		return d, false
	}
	if lo <= -circuit.MaxBound/2 || hi >= circuit.MaxBound/2 {
		b.Fail("%s: the range [%d, %d] leaves 61 bits", name, lo, hi)
		return d, false
	}
	radix, widths := limbWidths(bitsOf(hi-lo), LimbBits)
	d = wideDigits{shift: shift, radix: radix, top: len(widths) - 1, lo: lo, hi: hi}
	switch block := int64(1) << (radix * d.top); {
	case lo&(block-1) != 0 || (hi+1)&(block-1) != 0:
		b.Fail("%s: the range [%d, %d] is not one of whole multiples of 2^%d, as integers of some bits are", name, lo, hi, radix*d.top)
	case shift+radix*d.top > MaxShift:
		b.Fail("%s: the highest limb of [%d, %d] has the weight 2^%d after a shift by %d bits, beyond 2^%d", name, lo, hi, radix*d.top, shift, MaxShift)
	default:
		return d, true
	}
	return d, false
}

// least and most are the ends of the range of limb l.
func (d wideDigits) least(l int) int64 {
	if l < d.top {
		return 0
	}
	return d.lo >> (d.radix * d.top)
}

func (d wideDigits) most(l int) int64 {
	if l < d.top {
		return 1<<d.radix - 1
	}
	return d.hi >> (d.radix * d.top)
}

// commit commits the limbs and returns them, their sum y and the terms of −2^shift·y.
func (d wideDigits) commit(b *circuit.Builder, name string, v circuit.ID, lookup func(l int, limb circuit.ID)) (limbs []circuit.ID, y circuit.ID, minus []circuit.Term) {
	var sum []circuit.Term
	for l := range d.top + 1 {
		limb := b.Witness(fmt.Sprintf("%s.digit%d", name, l), d.least(l), d.most(l), b.Shape(v)...)
		lookup(l, limb)
		limbs = append(limbs, limb)
		sum = append(sum, Scaled(b, 1<<(d.radix*l), limb))
		minus = append(minus, Scaled(b, -1<<(d.shift+d.radix*l), limb))
	}
	return limbs, b.Virtual(name, b.Shape(v), sum...), minus
}
