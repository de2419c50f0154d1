// Package attention lowers zkAttn, the softmax of attention rows (Sun, Li, Zhang, CCS'24, section "zkAttn"), to
// tensors and lookups of a circuit.
//
// For a row of scores s_j, some of them masked, the integer program is
//
//	σ_j = ⌊(s_j + 2^(Shift-1)) / 2^Shift⌋        M = max of σ_j over unmasked j        d_j = M − σ_j
//	e_j = round(2^EBits·exp(−d_j·Unit)) where unmasked and d_j < 2^DBits, else 0
//	inv = ⌊2^InvBits / Σ_j e_j⌋
//
// and softmax ≈ e·inv·2^-InvBits. As in the paper a score is cut into segments: the low one is dropped (a remainder), the middle
// one, d_lo, is exponentiated by a table, and of the high one, u, only matters whether it is zero. Shift invariance is an integer
// maximum that is attained instead of a rounded logarithm in a band, so that the result is one exact integer.
package attention

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/tables"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// Params are the constants of zkAttn, as in ir.ZkAttnAttr.
type Params struct {
	Shift   int     // low bits of a score that are dropped
	DBits   int     // bits of the distance to the maximum that are exponentiated; e = 0 beyond
	EBits   int     // e = 2^EBits at the maximum
	InvBits int     // the weights e·inv of a row sum to at most 2^InvBits
	Unit    float64 // exp(−Unit) is the ratio of neighbouring table lines
}

func (p Params) check() error {
	switch {
	case p.Shift < 0 || p.Shift > gadget.MaxShift:
		return fmt.Errorf("shift %d is not in 0..%d", p.Shift, gadget.MaxShift)
	case p.DBits < 1 || p.DBits >= gadget.LimbBits:
		return fmt.Errorf("%d bits of distance are not in 1..%d", p.DBits, gadget.LimbBits-1)
	case p.EBits < 0 || p.EBits > 30:
		return fmt.Errorf("%d bits of exponential are not in 0..30", p.EBits)
	case !(p.Unit >= tables.LeastUnit) || math.IsInf(p.Unit, 0):
		return fmt.Errorf("unit %v is not a finite number from %v on", p.Unit, tables.LeastUnit)
	case p.InvBits < p.EBits || p.InvBits > 61:
		return fmt.Errorf("%d bits of reciprocal are not in %d..61", p.InvBits, p.EBits)
	}
	return nil
}

// scores describes the tensor that a row maximum is taken of.
type scores struct {
	shape  []int // […, rows, n]
	lo, hi int64 // bounds of σ
	offset int64 // what a mask adds to a distance; 0 without a mask
	top    int64 // the largest distance
}

// ZkAttn lowers the softmax over the last axis of s, shape […, i, j], and returns e, of that shape and committed, and inv,
// without the last axis and virtual. mask is a public or constant tensor of zeros and ones, 1 where masked, whose axes are the last
// axes of s (Mask makes one); gadget.None for none. Every row needs an unmasked position: without one there is no witness.
//
// Committed per score: d_lo, u, e, z_u, z_d; per row: M and the limbs of inv. With k = Shift, b = DBits, B' = σ_max − σ_min + 2^b + 1
// (σ_min, σ_max the bounds of σ) the constraints are
//
//	s + 2^(k-1) − 2^k·B'·mask − 2^k·(M − d_lo − 2^b·u) = rem, virtual, looked up in [0, 2^k)      (zero-checked for k = 0)
//	(d_lo, e, z_u, z_d) ∈ {(d, exp(d), 1, [d=0])} ∪ {(d, 0, 0, 0)}, 0 ≤ d < 2^b
//	(u, z_u) ∈ {(0, 1)} ∪ {(u, 0): u ≥ 1}
//	M ∈ [σ_min, σ_min + 2^m), looked up (as limbs where wide)
//	Σ_j z_d − 1, virtual, looked up in [0, 2^⌈log2 n⌉)
//	inv by gadget.Reciprocal of S = Σ_j e
//
// Unique: all of it is integers and nothing wraps (package gadget). The two tables share z_u, so z_u = [u = 0], e = exp(d_lo) or 0,
// z_d = [u = 0 and d_lo = 0]. Let d = d_lo + 2^b·u ≥ 0, σ' = σ − B'·mask. The first equation is a division with remainder:
// M − d = σ'. So M ≥ σ'_j for every j. The sum of at most n ones minus one is not negative, so some z_d is 1: M = σ'_j for a j,
// and M is the maximum of σ'. That j is not masked: M ≥ σ_min, and a masked σ' is at most σ_max − B' < σ_min. So M is the
// maximum of the unmasked σ. M determines d, d its segments, they determine e, z_u, z_d. At a masked position d ≥ M − σ_max + B' ≥
// 2^b + 1, hence u ≥ 1 and e = 0. Without the range M might be fractional or too small, without z_d too large.
//
// A witness exists for every row with an unmasked position: the range of M covers [σ_min, σ_max] and the u-table the largest
// distance, σ_max − σ_min + B'. The maximum itself has e = 2^EBits, so S ∈ [2^EBits, n·2^EBits] and S ≥ 1 needs no ε.
func ZkAttn(b *circuit.Builder, name string, s, mask circuit.ID, p Params) (e, inv circuit.ID) {
	sc, ok := newScores(b, name, s, mask, p)
	if !ok {
		return s, s
	}
	exp := expTable(b, name, p)
	if exp < 0 {
		return s, s
	}
	rows, n := sc.shape[:len(sc.shape)-1], sc.shape[len(sc.shape)-1]
	limbs, sum, radix := gadget.Digits(b, name+".max", 1, bits.Len64(uint64(sc.hi-sc.lo)), rows)
	m := b.Virtual(name+".max", rows, append(sum, circuit.Ones(sc.lo, rows))...)
	dlo := b.Witness(name+".dlo", 0, 1<<p.DBits-1, sc.shape...)
	ubits := bits.Len64(uint64(sc.top >> p.DBits))
	u := b.Witness(name+".u", 0, 1<<ubits-1, sc.shape...)
	e = b.Witness(name+".exp", 0, 1<<p.EBits, sc.shape...)
	zu := b.Witness(name+".zu", 0, 1, sc.shape...)
	zd := b.Witness(name+".zd", 0, 1, sc.shape...)
	hint := circuit.AttnHint{Shift: int64(p.Shift), DBits: int64(p.DBits), Offset: sc.offset, Lo: sc.lo, Radix: radix}
	b.Hint(hint.Hint(exp, s, mask, limbs, dlo, u, e, zu, zd))
	b.Lookup(exp, dlo, e, zu, zd)
	b.Lookup(highTable(b, ubits), u, zu)
	sc.quotient(b, name, p, s, mask, m, dlo, u)

	attained := b.VirtualBound(name+".attained", rows, 0, int64(n)-1, "looked up, and a sum of n cells in {0, 1} minus 1", circuit.SumLast(b, 1, zd), circuit.Ones(-1, rows))
	gadget.Limbs(b, name+".attained", attained, circuit.Bits(n))
	total := b.VirtualBound(name+".sum", rows, 1<<p.EBits, int64(n)<<p.EBits,
		"e = 2^EBits where the maximum is attained, and 0 ≤ e ≤ 2^EBits", circuit.SumLast(b, 1, e))
	return e, gadget.Reciprocal(b, name+".inv", total, 1<<p.InvBits)
}

// newScores checks the operands and derives the bounds.
func newScores(b *circuit.Builder, name string, s, mask circuit.ID, p Params) (sc scores, ok bool) {
	sc.shape = b.Shape(s)
	if err := p.check(); err != nil {
		b.Fail("%s: %v", name, err)
		return sc, false
	}
	if len(sc.shape) < 2 {
		b.Fail("%s: scores of shape %v have no rows", name, sc.shape)
		return sc, false
	}
	lo, hi := b.Bounds(s)
	half := int64(1) << p.Shift >> 1
	sc.lo, sc.hi = (lo+half)>>p.Shift, (hi+half)>>p.Shift
	width := sc.hi - sc.lo
	if mask != gadget.None {
		if mlo, mhi := b.Bounds(mask); mlo < 0 || mhi > 1 {
			b.Fail("%s: the mask has cells in [%d, %d], want 0 and 1", name, mlo, mhi)
			return sc, false
		}
		sc.offset = width + 1<<p.DBits + 1
	}
	sc.top = width + sc.offset
	if sc.top>>p.DBits >= 1<<gadget.LimbBits {
		b.Fail("%s: distances up to %d need a table of more than 2^%d lines above the lowest %d bits; drop more bits of the scores (shift %d) or exponentiate more",
			name, sc.top, gadget.LimbBits, p.DBits, p.Shift)
		return sc, false
	}
	if p.Shift+bits.Len64(uint64(sc.top)) > 61 {
		b.Fail("%s: distances up to %d at shift %d leave 62 bits", name, sc.top, p.Shift)
		return sc, false
	}
	return sc, true
}

// quotient proves M − d = ⌊(s + 2^(k-1))/2^k⌋ − B'·mask.
func (sc scores) quotient(b *circuit.Builder, name string, p Params, s, mask, m, dlo, u circuit.ID) {
	one := int64(1) << p.Shift
	terms := []circuit.Term{
		circuit.Scaled(b, 1, s),
		circuit.Spread(b, -one, m, sc.shape, 0),
		circuit.Scaled(b, one, dlo),
		circuit.Scaled(b, one<<p.DBits, u),
	}
	if mask != gadget.None {
		terms = append(terms, circuit.Spread(b, -one*sc.offset, mask, sc.shape, len(sc.shape)-len(b.Shape(mask))))
	}
	gadget.Remainder(b, name, p.Shift, sc.shape, terms...)
}

// expTable holds (d, exp(d), 1, [d=0]) for 0 ≤ d < 2^DBits, then (d, 0, 0, 0). It returns -1 where the exponentials are not what
// the bounds rest on.
func expTable(b *circuit.Builder, name string, p Params) int {
	exp, err := tables.Exp(p.DBits, p.EBits, p.Unit)
	if err != nil {
		b.Fail("%s: %v", name, err)
		return -1
	}
	if len(exp) != 1<<p.DBits || exp[0] != 1<<p.EBits {
		b.Fail("%s: the exponential table for %+v does not start at 2^%d", name, p, p.EBits)
		return -1
	}
	for _, v := range exp {
		if v < 0 || v > 1<<p.EBits {
			b.Fail("%s: the exponential table for %+v leaves [0, 2^%d]", name, p, p.EBits)
			return -1
		}
	}
	unit := strconv.FormatFloat(p.Unit, 'x', -1, 64) // exact: the name identifies the content
	return b.TableOf(fmt.Sprintf("exp of %d bits to %d bits, unit %s", p.DBits, p.EBits, unit), func() [][]int64 {
		n := len(exp)
		d, e, zu, zd := make([]int64, 2*n), make([]int64, 2*n), make([]int64, 2*n), make([]int64, 2*n)
		for i := range n {
			d[i], d[n+i] = int64(i), int64(i)
			e[i], zu[i] = exp[i], 1
		}
		zd[0] = 1
		return [][]int64{d, e, zu, zd}
	})
}

// highTable holds (u, [u=0]) for 0 ≤ u < 2^n.
func highTable(b *circuit.Builder, n int) int {
	return b.TableOf(fmt.Sprintf("zero indicator on [0,2^%d)", n), func() [][]int64 {
		u, z := make([]int64, 1<<n), make([]int64, 1<<n)
		for i := range u {
			u[i] = int64(i)
		}
		z[0] = 1
		return [][]int64{u, z}
	})
}

// Mask declares the constant mask of the given values, 1 where masked, and refuses a row that is all masked.
func Mask(b *circuit.Builder, name string, values []int64, shape ...int) circuit.ID {
	if err := checkMask(values, shape); err != nil {
		b.Fail("%s: %v", name, err)
	}
	return b.Const(name, values, shape...)
}

// checkMask says whether the values, row-major, are a mask: zeros and ones, and a zero in every row.
func checkMask(values []int64, shape []int) error {
	if len(shape) == 0 || len(values) != circuit.Size(shape) {
		return fmt.Errorf("mask: %d values for shape %v", len(values), shape)
	}
	n := shape[len(shape)-1]
	for i := 0; i < len(values); i += n {
		open := false
		for _, v := range values[i : i+n] {
			if v != 0 && v != 1 {
				return fmt.Errorf("mask: row %d holds %d, want 0 and 1", i/n, v)
			}
			open = open || v == 0
		}
		if !open {
			return fmt.Errorf("mask: row %d has no unmasked position", i/n)
		}
	}
	return nil
}

// ContextBound bounds Σ_j inv_i·e_ij·v_jd for v within [lo, hi]: the weights inv·e of a row are not negative and sum to inv·S ≤
// 2^InvBits, so the sum lies in 2^InvBits·[min(lo, 0), max(hi, 0)]. Callers declare the product with V by VirtualBound with it.
func (p Params) ContextBound(lo, hi int64) (clo, chi int64, err error) {
	clo, chi = min(lo, 0), max(hi, 0)
	if limit := (circuit.MaxBound - 1) >> p.InvBits; clo < -limit || chi > limit {
		return 0, 0, fmt.Errorf("values in [%d, %d] with %d bits of reciprocal leave 62 bits", lo, hi, p.InvBits)
	}
	return clo << p.InvBits, chi << p.InvBits, nil
}

// ContextWhy is the argument of ContextBound, for VirtualBound.
const ContextWhy = "inv·e ≥ 0 and Σ_j inv·e = inv·S ≤ 2^InvBits"
