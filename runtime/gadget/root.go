package gadget

import (
	"math/big"

	"github.com/zkllmc/zkllmc/internal/circuit"
)

// isqrt is ⌊√v⌋.
func isqrt(v *big.Int) *big.Int { return new(big.Int).Sqrt(v) }

// Rsqrt returns r with r²·S ≤ num < (r+1)²·S, S = s + eps, cell by cell: r = ⌊√(num/S)⌋. r is a virtual sum of committed limbs.
//
// Two slacks, virtual and looked up (as limbs where wide), say so:
//
//	num − r²·S ≥ 0        (r+1)²·S − num − 1 ≥ 0
//
// Unique: s ≥ 0 and eps ≥ 1 keep S an integer in [1, 2^62), the limbs keep r one in [0, 2^31), so r²·S is below 2^125 and the
// equations hold over the integers (no wrap; without the range of r there would be dozens of solutions mod p). x ↦ x²·S is
// strictly increasing for x ≥ 0, so one r satisfies both. It exists for every S: r ≤ √(num/eps) fits its limbs, and both slacks
// are at most (2r+1)·S − 1 ≤ 2·√(num·S) + S − 1, which the limbs cover for every S up to its bound.
func Rsqrt(b *circuit.Builder, name string, s circuit.ID, num, eps int64) circuit.ID {
	slo, shi := b.Bounds(s)
	if slo < 0 || eps < 1 || num < 1 || num >= circuit.MaxBound || eps >= circuit.MaxBound-shi {
		b.Fail("%s: inverse square root of [%d, %d] + %d with numerator %d", name, slo, shi, eps, num)
		return s
	}
	shape := b.Shape(s)
	sum := b.Virtual(name+".radicand", shape, circuit.Scaled(b, 1, s), circuit.Ones(eps, shape))
	rmax := isqrt(big.NewInt(num / (slo + eps))).Int64()
	limbs, def, radix := Digits(b, name, 1, bitsOf(rmax), shape)
	r := b.VirtualBound(name, shape, 0, rmax, "r²·S ≤ num and S is at least its lower bound", def...)
	b.Hint(circuit.QuotientHint{Num: num, Radix: radix}.Hint(circuit.HintRsqrt, sum, limbs))

	above := new(big.Int).Mul(big.NewInt(4), new(big.Int).Mul(big.NewInt(num), big.NewInt(shi+eps)))
	above = isqrt(above)
	above.Add(above, big.NewInt(shi+eps))
	if !above.IsInt64() || above.Int64() >= circuit.MaxBound/2 {
		b.Fail("%s: slacks may reach %v; use coarser scales", name, above)
		return r
	}
	over, under := above.Int64(), min(num, above.Int64())
	slack(b, name+".below", under, shape, circuit.Ones(num, shape), circuit.Product(b, -1, r, r, sum))
	slack(b, name+".above", over, shape,
		circuit.Product(b, 1, r, r, sum), circuit.Product(b, 2, r, sum), circuit.Scaled(b, 1, sum), circuit.Ones(-num-1, shape))
	return r
}

// Reciprocal returns r with r·s ≤ num < (r+1)·s, cell by cell: r = ⌊num/s⌋, a virtual sum of committed limbs. The bounds of s
// must say s ≥ 1.
//
// Two slacks, virtual and looked up: low = num − r·s and s − 1 − low. Unique: s is an integer in [1, 2^62) and the limbs keep r
// one in [0, 2^62), so the equations hold over the integers (no wrap), low is in [0, s) and division with remainder is unique. It
// exists for every s: r ≤ num/s fits its limbs and both slacks lie in [0, s), which their limbs cover.
//
// Where s = max(d², 1), d an integer, d·r is the quotient num/d of a d of either sign, and |d·r| ≤ num, as VirtualBound says of it: r·d² ≤
// r·s ≤ num, and |d·r| ≤ r·d² unless d is 0.
func Reciprocal(b *circuit.Builder, name string, s circuit.ID, num int64) circuit.ID {
	slo, shi := b.Bounds(s)
	if slo < 1 || num < 1 || num >= circuit.MaxBound {
		b.Fail("%s: reciprocal of [%d, %d] with numerator %d", name, slo, shi, num)
		return s
	}
	shape := b.Shape(s)
	rmax := num / slo
	limbs, def, radix := Digits(b, name, 1, bitsOf(rmax), shape)
	r := b.VirtualBound(name, shape, 0, rmax, "r·s ≤ num and s is at least its lower bound", def...)
	b.Hint(circuit.QuotientHint{Num: num, Radix: radix}.Hint(circuit.HintRecip, s, limbs))
	low := slack(b, name+".below", min(num, shi-1), shape, circuit.Ones(num, shape), circuit.Product(b, -1, r, s))
	slack(b, name+".above", shi-1, shape, circuit.Scaled(b, 1, s), circuit.Ones(-1, shape), circuit.Scaled(b, -1, low))
	return r
}

// slack defines a virtual tensor and proves that its cells are integers in [0, 2^k) for the least 2^k > bound.
func slack(b *circuit.Builder, name string, bound int64, shape []int, terms ...circuit.Term) circuit.ID {
	n := bitsOf(bound)
	v := b.VirtualBound(name, shape, 0, 1<<n-1, "looked up in this range", terms...)
	Limbs(b, name, v, n)
	return v
}

// NormBound bounds |x·r| where x is one of the terms of a sum of squares s = Σ x² + c, c ≥ 0, and r = Rsqrt(s, num, eps), shift being 0, or
// r = Rsqrt(u, num, 1) of the quotient u = ⌊s/2^shift⌋. All are exact integers. Without a quotient r²·x² ≤ r²·S ≤ num, S = s + eps. With
// one x² ≤ s < 2^shift·(u + 1), hence r²·x² < 2^shift·r²·(u + 1) ≤ 2^shift·num. So |x·r| ≤ ⌊√(2^shift·num)⌋. With it the product x·r·γ of a
// normalisation is declared by VirtualBound, far below what interval arithmetic sees; why is the argument.
func NormBound(num int64, shift int) (bound int64, why string) {
	bound = isqrt(new(big.Int).Lsh(big.NewInt(max(num, 0)), uint(max(shift, 0)))).Int64()
	if shift > 0 {
		return bound, "|x·r| ≤ √(num·2^t) since x² ≤ S + 2^(t-1) < 2^t·(u + 1), x² being a term of the sum of squares in S, and r²·(u + 1) ≤ num"
	}
	return bound, "|x·r| ≤ √num since r²·x² ≤ r²·S ≤ num, x² being a term of the sum of squares in S"
}
