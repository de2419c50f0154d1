// Package interval is the interval arithmetic of integer programs, exact in big integers: the compiler chooses scales with it and a
// circuit's builder derives the bounds that its equations rest on, so it exists once; what the frontend knows of integers that inputs make
// is computed with it too.
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

// Larger bounds the larger of a number of each.
func (a Interval) Larger(b Interval) Interval {
	r := a
	if b.Lo.Cmp(r.Lo) > 0 {
		r.Lo = b.Lo
	}
	if b.Hi.Cmp(r.Hi) > 0 {
		r.Hi = b.Hi
	}
	return r
}

// Or is the least interval that holds the numbers of both.
func (a Interval) Or(b Interval) Interval {
	r := a.Larger(b)
	r.Lo = a.Lo
	if b.Lo.Cmp(r.Lo) < 0 {
		r.Lo = b.Lo
	}
	return r
}

// In says whether all its numbers lie in [lo, hi].
func (a Interval) In(lo, hi int64) bool {
	return a.Lo.Cmp(big.NewInt(lo)) >= 0 && a.Hi.Cmp(big.NewInt(hi)) <= 0
}

// String is [lo, hi].
func (a Interval) String() string { return "[" + a.Lo.String() + ", " + a.Hi.String() + "]" }

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
// cells. Single says of which axes at most one index has a cell that is not zero, for every choice of the indices on the other axes; nil:
// of none.
type Factor struct {
	Tensor int
	Axes   [][]int
	Bounds Interval
	Single []bool
}

// Term bounds coef·Σ Π factors over all cells of the factors within their bounds; labels have the given extents, those not in out are
// summed over. A factor next to itself with equal axes is a square.
func Term(coef int64, extents []int, out [][]int, factors []Factor) Interval {
	r := Of(1, 1)
	for i := 0; i < len(factors); i++ {
		f := factors[i].Bounds
		if i+1 < len(factors) && sameFactor(factors[i], factors[i+1]) {
			f = f.Square()
			i++
		}
		r = r.Times(f)
	}
	inOut := make([]bool, len(extents))
	for _, a := range out {
		for _, l := range a {
			inOut[l] = true
		}
	}
	n, once := big.NewInt(coef), determined(extents, inOut, factors) // times the number of summed cells: a label outside out repeats the product
	for l, e := range extents {
		if !inOut[l] && !once[l] {
			n.Mul(n, big.NewInt(int64(e)))
		}
	}
	return r.Times(Interval{n, n})
}

// determined marks summed labels of which, all other labels being chosen, at most one choice has a product that is not zero. A factor
// determines the labels of one of its axes, that with the most cells to sum. Factors are taken in their order, and none determines a label
// that one before it has: then the labels that an earlier one determines are known when a later one is asked, and no two determine each
// other in a circle.
func determined(extents []int, inOut []bool, factors []Factor) []bool {
	once, taken := make([]bool, len(inOut)), make([]bool, len(inOut))
	for _, f := range factors {
		best, most := -1, 1
		for a, single := range f.Single {
			summed := 1
			for _, l := range f.Axes[a] {
				single = single && !taken[l]
				if !inOut[l] {
					summed *= extents[l]
				}
			}
			if single && summed > most {
				best, most = a, summed
			}
		}
		if best < 0 {
			continue
		}
		for a, labels := range f.Axes {
			for _, l := range labels {
				taken[l] = true
				once[l] = once[l] || a == best && !inOut[l]
			}
		}
	}
	return once
}

// SolvedBy says which axes a linear equation between indices can be solved for: those with a stride.
func SolvedBy(strides []int64) []bool {
	out := make([]bool, len(strides))
	for a, s := range strides {
		out[a] = s != 0
	}
	return out
}

// SingleCells is Factor.Single of a tensor with the given cells, row-major.
func SingleCells(values []int64, shape []int) []bool {
	out := make([]bool, len(shape))
	stride := 1
	for a := len(shape) - 1; a >= 0; a-- {
		out[a] = oneOfEach(values, stride, shape[a])
		stride *= shape[a]
	}
	return out
}

// oneOfEach says whether of every n cells that are stride apart at most one is not zero.
func oneOfEach(values []int64, stride, n int) bool {
	seen := make([]bool, stride)
	for block := 0; block < len(values); block += stride * n {
		clear(seen)
		for i, v := range values[block : block+stride*n] {
			if v == 0 {
				continue
			}
			if seen[i%stride] {
				return false
			}
			seen[i%stride] = true
		}
	}
	return true
}

// sameFactor says whether two factors are one tensor, indexed alike.
func sameFactor(a, b Factor) bool {
	return a.Tensor == b.Tensor && slices.EqualFunc(a.Axes, b.Axes, slices.Equal[[]int])
}
