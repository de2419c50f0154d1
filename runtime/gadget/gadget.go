// Package gadget lowers the integer operations of the program to tensors, lookups and zero-checks of a circuit: rescale, clamp, table
// functions, reciprocal, inverse square root, embedding and what a statement reveals.
//
// Every gadget states why its result is unique. The arguments share one pattern and one lemma.
//
// The attacker chooses every committed cell freely in F and is stopped by lookups and zero-checks alone. A looked-up cell is
// the small integer of a table line, whatever kind of tensor it belongs to. So an input v with bounds [lo, hi] is an integer,
// by induction over the circuit.
//
// Lemma (no wrap). If an equation over F has on both sides integers that are sums and products of looked-up or bounded integers,
// and both sides are below p/4 in absolute value, it holds over the integers. In the equations of this package bounds and
// coefficients are below 2^62, a product has two factors that are not coefficients, or three of which two are below 2^31, and the
// digits of a value cover at most 78 bits, so that all sides stay below 2^140 (p is about 2^254). A wide tensor, of up to 124 bits, enters
// equations as itself alone, in Rescale and what is made of it. Whoever declares a bound by an
// argument (VirtualBound) must see to the same: the interval before the argument has to stay below p/4 as well.
//
// Wide values are cut into limbs of at most 16 bits (LimbBits), all of one width; see limbWidths.
package gadget

import (
	"fmt"
	"math/big"
	"math/bits"

	"github.com/zkllmc/zkllmc/internal/circuit"
)

// LimbBits is the largest width of the limbs that wide values are cut into. A table of the circuit has at most 2^LimbBits indices.
const LimbBits = 16

// excessBits is the largest width of the limbs of a clamp's excess: their table has twice as many lines as values, and the cells
// are nearly always zero, which costs little to commit and to look up.
const excessBits = 12

// None stands for a tensor that is not there.
const None = circuit.ID(-1)

// bitsOf is the number of bits that hold every integer in [0, v].
func bitsOf(v int64) int { return bits.Len64(uint64(max(v, 0))) }

// signedBits is bitsOf of any integer.
func signedBits(v *big.Int) int { return max(0, v.Sign()) * v.BitLen() }

// Range returns the one-column table of the integers in [lo, hi], shared by name.
func Range(b *circuit.Builder, lo, hi int64) int {
	if lo > hi || hi-lo >= 1<<LimbBits {
		b.Fail("range [%d, %d] has not between 1 and 2^%d values", lo, hi, LimbBits)
		return -1
	}
	return b.TableOf(rangeName(lo, hi), func() [][]int64 { return [][]int64{count(lo, hi)} })
}

// rangeName says what a range holds, with powers of two written as such. Different ranges have different names.
func rangeName(lo, hi int64) string {
	n := hi + 1
	switch {
	case n < 1 || n&(n-1) != 0 || lo != 0 && lo != -n:
		return fmt.Sprintf("range [%d,%d]", lo, hi)
	case lo == 0:
		return fmt.Sprintf("range [0,2^%d)", bitsOf(hi))
	default:
		return fmt.Sprintf("range [-2^%d,2^%d)", bitsOf(hi), bitsOf(hi))
	}
}

// count returns lo, lo+1, …, hi.
func count(lo, hi int64) []int64 {
	v := make([]int64, hi-lo+1)
	for i := range v {
		v[i] = lo + int64(i)
	}
	return v
}

// limbWidths cuts a value of n bits into as few limbs of at most the given width as suffice, all of one width, the radix, but for a
// narrower top one; at least one. Equal widths keep the tables small: two of 2^13 lines serve 26 bits, not one of 2^16 and one of 2^10.
func limbWidths(n, most int) (radix int, widths []int) {
	k := max(1, (n+most-1)/most)
	radix = (n + k - 1) / k
	for ; k > 1; k-- {
		widths = append(widths, radix)
		n -= radix
	}
	return radix, append(widths, n)
}

// Limbs proves that every cell of v is an integer in [0, 2^n). Up to 16 bits v itself is looked up. A wider v is cut: the limbs
// above the lowest are committed and looked up, and the lowest is defined as v − Σ_{l≥1} 2^(wl)·limb_l, w the radix, virtual, and
// looked up too. It returns the committed limbs.
//
// Unique and sound for any v ∈ F: v equals Σ 2^(wl)·limb_l by definition of the lowest limb, every limb is an integer of its
// width, so v is the integer in [0, 2^n) with these digits; base-2^w digits are unique.
func Limbs(b *circuit.Builder, name string, v circuit.ID, n int) []circuit.ID {
	if n < 0 || n > 62 {
		b.Fail("%s: a value of %d bits", name, n)
		return nil
	}
	radix, widths := limbWidths(n, LimbBits)
	if len(widths) == 1 {
		b.Lookup(Range(b, 0, 1<<n-1), v)
		return nil
	}
	var high []circuit.ID
	def := []circuit.Term{circuit.Scaled(b, 1, v)}
	for l, w := range widths[1:] {
		limb := digit(b, name, l+1, w, b.Shape(v))
		high = append(high, limb)
		def = append(def, circuit.Scaled(b, -1<<(radix*(l+1)), limb))
	}
	low := b.VirtualBound(name+".limb0", b.Shape(v), 0, 1<<radix-1, "looked up in this range", def...)
	b.Lookup(Range(b, 0, 1<<radix-1), low)
	b.Hint(circuit.LimbsHint{Radix: int64(radix)}.Hint(v, high))
	return high
}

// digit commits limb l of a value and looks it up in [0, 2^width).
func digit(b *circuit.Builder, name string, l, width int, shape []int) circuit.ID {
	d := b.Witness(fmt.Sprintf("%s.limb%d", name, l), 0, 1<<width-1, shape...)
	b.Lookup(Range(b, 0, 1<<width-1), d)
	return d
}

// Digits commits a value in [0, 2^n) of the given shape as limbs, all looked up, and returns them with the terms of their sum
// Σ 2^(wl)·limb_l, scaled by coef. The value is the integer with these digits. The caller adds the hint, with the radix w.
func Digits(b *circuit.Builder, name string, coef int64, n int, shape []int) (limbs []circuit.ID, sum []circuit.Term, radix int64) {
	w, widths := limbWidths(n, LimbBits)
	for l, width := range widths {
		d := digit(b, name, l, width, shape)
		limbs = append(limbs, d)
		sum = append(sum, circuit.Scaled(b, coef<<(w*l), d))
	}
	return limbs, sum, int64(w)
}
