// Package interval is the interval arithmetic of integer programs, exact in big integers: the compiler chooses scales with it and a
// circuit's builder derives the bounds that its equations rest on, so it exists once.
package interval

import (
	"math/big"
	"slices"
)

// Interval is the set of the integers x with Lo ≤ x ≤ Hi. Functions share the numbers of their arguments; nobody may change them.
type Interval struct{ Lo, Hi *big.Int }

// Of is [lo, hi].
func Of(lo, hi int64) Interval { return Interval{big.NewInt(lo), big.NewInt(hi)} }

// BitLen is the number of bits of the largest magnitude.
func (a Interval) BitLen() int { return max(a.Lo.BitLen(), a.Hi.BitLen()) }

// Plus bounds the sums of a number of each.
func (a Interval) Plus(b Interval) Interval {
	return Interval{new(big.Int).Add(a.Lo, b.Lo), new(big.Int).Add(a.Hi, b.Hi)}
}

// Times bounds the products of a number of each.
func (a Interval) Times(b Interval) Interval {
	var r Interval
	for i, p := range [...]*big.Int{
		new(big.Int).Mul(a.Lo, b.Lo), new(big.Int).Mul(a.Lo, b.Hi), new(big.Int).Mul(a.Hi, b.Lo), new(big.Int).Mul(a.Hi, b.Hi),
	} {
		if i == 0 || p.Cmp(r.Lo) < 0 {
			r.Lo = p
		}
		if i == 0 || p.Cmp(r.Hi) > 0 {
			r.Hi = p
		}
	}
	return r
}

// Square bounds the squares of its numbers: none is negative.
func (a Interval) Square() Interval {
	lo, hi := new(big.Int).Mul(a.Lo, a.Lo), new(big.Int).Mul(a.Hi, a.Hi)
	if lo.Cmp(hi) > 0 {
		lo, hi = hi, lo
	}
	if a.Lo.Sign() <= 0 && a.Hi.Sign() >= 0 {
		lo = new(big.Int)
	}
	return Interval{lo, hi}
}

// Factor is one factor of a term: a tensor, by any number that tells it from the others, the labels of its axes, and the bounds of its
// cells.
type Factor struct {
	Tensor int
	Axes   [][]int
	Bounds Interval
}

// Term bounds coef·Σ Π factors over all cells of the factors within their bounds; labels have the given extents, those not in out are
// summed over. A factor next to itself with equal axes is a square. Labels for which once is true contribute at most one cell that is
// not zero; once may be nil.
func Term(coef int64, extents []int, out [][]int, factors []Factor, once []bool) Interval {
	r := Of(1, 1)
	for i := 0; i < len(factors); i++ {
		f := factors[i].Bounds
		if i+1 < len(factors) && sameFactor(factors[i], factors[i+1]) {
			f = f.Square()
			i++
		}
		r = r.Times(f)
	}
	n := big.NewInt(coef) // times the number of summed cells: a label outside out repeats the product
	inOut := make([]bool, len(extents))
	for _, a := range out {
		for _, l := range a {
			inOut[l] = true
		}
	}
	for l, e := range extents {
		if !inOut[l] && (once == nil || !once[l]) {
			n.Mul(n, big.NewInt(int64(e)))
		}
	}
	return r.Times(Interval{n, n})
}

// sameFactor says whether two factors are one tensor, indexed alike.
func sameFactor(a, b Factor) bool {
	return a.Tensor == b.Tensor && slices.EqualFunc(a.Axes, b.Axes, slices.Equal[[]int])
}
