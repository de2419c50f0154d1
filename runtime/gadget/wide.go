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
// y, y its limbs, and the rest is as in clamp. The weights of the limbs, 2^(shift+wl), are below 2^62, or, of a wide v, the limbs are summed
// up to y and that is taken 2^shift times, as of a clamp's excess: the equation holds over the integers.
func wide(b *circuit.Builder, name string, v circuit.ID, shift int, lo, hi int64) circuit.ID {
	radix, widths := limbWidths(bitsOf(hi-lo), LimbBits)
	d := wideDigits{shift: shift, radix: radix, top: len(widths) - 1, lo: lo, hi: hi, apart: apart(b, v, shift+radix*(len(widths)-1))}
	limbs, ok := d.rescale(b, name, v, d.lookup)
	if !ok {
		return v
	}
	return d.sum(b, name, b.Shape(v), limbs)
}

// wideDigits is how the integers in [lo, hi] are cut into limbs: top of radix bits, and one above.
type wideDigits struct {
	shift, radix, top int
	lo, hi            int64
	apart             bool // they are summed up before they are shifted
}

// apart says that the limbs of a quotient of v, the highest of weight 2^top, are to be summed up before they are shifted.
func apart(b *circuit.Builder, v circuit.ID, top int) bool { return b.IsWide(v) && top > MaxShift }

// ok refuses what cannot be cut so.
func (d wideDigits) ok(b *circuit.Builder, name string) bool {
	switch block := int64(1) << (d.radix * d.top); {
	case d.shift < 0 || d.shift > MaxShift:
		b.Fail("%s: a shift by %d bits, want 0 to %d", name, d.shift, MaxShift)
	case d.lo <= -circuit.MaxBound/2 || d.hi >= circuit.MaxBound/2:
		b.Fail("%s: the range [%d, %d] leaves 61 bits", name, d.lo, d.hi)
	case d.lo&(block-1) != 0 || (d.hi+1)&(block-1) != 0:
		b.Fail("%s: the range [%d, %d] is not one of whole multiples of 2^%d, as integers of some bits are", name, d.lo, d.hi, d.radix*d.top)
	case d.shift+d.radix*d.top > MaxShift && !d.apart || d.radix*d.top > MaxShift:
		b.Fail("%s: the highest limb of [%d, %d] has the weight 2^%d after a shift by %d bits, beyond 2^%d", name, d.lo, d.hi, d.radix*d.top, d.shift, MaxShift)
	default:
		return true
	}
	return false
}

// rescale commits the limbs of a value's quotient, clamped to [lo, hi], and proves everything but that each is in its range, which lookup
// does: with the class where the rescale clamps, else with None. False if the circuit is refused.
func (d wideDigits) rescale(b *circuit.Builder, name string, v circuit.ID, lookup func(b *circuit.Builder, l int, limb, class circuit.ID)) (limbs []circuit.ID, ok bool) {
	if !d.ok(b, name) {
		return nil, false
	}
	hint := circuit.WideHint{Shift: int64(d.shift), Lo: d.lo, Hi: d.hi, Width: int64(d.radix)}
	if !clamps(b, v, d.shift, d.lo, d.hi) {
		limbs, minus := d.commit(b, name, b.Shape(v))
		b.Hint(hint.Hint(v, limbs))
		for l, limb := range limbs {
			lookup(b, l, limb, None)
		}
		remainder(b, name, v, d.shift, minus...)
		return limbs, true
	}
	x, ok := newExcess(b, name, v, d.shift, d.lo, d.hi)
	if !ok {
		return nil, false
	}
	limbs, minus := d.commit(b, name, b.Shape(v))
	class, excess, minus := x.commit(b, name, v, minus...)
	hint.First, hint.Radix = int64(x.first), int64(x.radix)
	b.Hint(hint.Hint(v, limbs, append([]circuit.ID{class}, excess...)...))
	for l, limb := range limbs {
		lookup(b, l, limb, class)
	}
	x.prove(b, name, v, class, minus)
	return limbs, true
}

// lookup looks limb l up in its range, with the class of a clamp.
func (d wideDigits) lookup(b *circuit.Builder, l int, limb, class circuit.ID) {
	if class == None {
		b.Lookup(Range(b, d.least(l), d.most(l)), limb)
		return
	}
	b.Lookup(clampTable(b, d.least(l), d.most(l)), limb, class)
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

// commit commits the limbs and returns them with the terms of −2^shift·y, y being their sum.
func (d wideDigits) commit(b *circuit.Builder, name string, shape []int) (limbs []circuit.ID, minus []circuit.Term) {
	for l := range d.top + 1 {
		limb := b.Witness(fmt.Sprintf("%s.digit%d", name, l), d.least(l), d.most(l), shape...)
		limbs = append(limbs, limb)
		if !d.apart {
			minus = append(minus, circuit.Scaled(b, -1<<(d.shift+d.radix*l), limb))
		}
	}
	if d.apart {
		minus = []circuit.Term{circuit.Scaled(b, -1<<d.shift, d.sum(b, name+".quotient", shape, limbs))}
	}
	return limbs, minus
}

// sum is the integer with the given limbs.
func (d wideDigits) sum(b *circuit.Builder, name string, shape []int, limbs []circuit.ID) circuit.ID {
	var sum []circuit.Term
	for l, limb := range limbs {
		sum = append(sum, circuit.Scaled(b, 1<<(d.radix*l), limb))
	}
	return b.Virtual(name, shape, sum...)
}
