// Package interval is the interval arithmetic of integer programs, exact in big integers: the compiler chooses scales with it and a
// circuit's builder derives the bounds that its equations rest on, so it exists once; what the frontend knows of integers that inputs make
// is computed with it too.
package interval

import (
	"cmp"
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

// Quotients bounds ⌊(x + h)/2^shift⌋, h = ⌊2^(shift−1)⌋: what a rescale makes of x.
func (a Interval) Quotients(shift int) Interval {
	half := new(big.Int).Rsh(new(big.Int).Lsh(big.NewInt(1), uint(shift)), 1)
	of := func(x *big.Int) *big.Int {
		q := new(big.Int).Add(x, half)
		return q.Rsh(q, uint(shift))
	}
	return Interval{of(a.Lo), of(a.Hi)}
}

// Factor is one factor of a term: a tensor, by any number that tells it from the others, the labels of its axes, the bounds of its cells,
// and which axes others determine, nil being none.
type Factor struct {
	Tensor int
	Axes   [][]int
	Bounds Interval
	Single Single
}

// Single says of a tensor whether at most one choice of the indices on the axes [from, to) has a cell that is not zero, for every choice of
// the indices on the other axes.
type Single func(from, to int) bool

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
// determines the labels of one run of its axes (what is one axis of a program may be stored as several, one behind the other), that with
// the most cells to sum. Factors are taken in their order, and none determines a label that one before it has: then the labels that an
// earlier one determines are known when a later one is asked, and no two determine each other in a circle.
func determined(extents []int, inOut []bool, factors []Factor) []bool {
	once, taken := make([]bool, len(inOut)), make([]bool, len(inOut))
	for _, f := range factors {
		from, to := f.longest(extents, inOut, taken)
		if from == to {
			continue
		}
		for a, labels := range f.Axes {
			for _, l := range labels {
				taken[l] = true
				once[l] = once[l] || from <= a && a < to && !inOut[l]
			}
		}
	}
	return once
}

// longest is the run of axes with the most cells to sum that the other axes determine, of equal ones the shortest and first; it has no label
// that is taken. It is empty where there is none of more than one cell.
func (f *Factor) longest(extents []int, inOut, taken []bool) (from, to int) {
	if f.Single == nil {
		return 0, 0
	}
	most := 1
	for width := 1; width <= len(f.Axes); width++ {
		for a := 0; a+width <= len(f.Axes); a++ {
			summed, free := 1, true
			for _, labels := range f.Axes[a : a+width] {
				for _, l := range labels {
					free = free && !taken[l]
					if !inOut[l] {
						summed *= extents[l]
					}
				}
			}
			if free && summed > most && f.Single(a, a+width) {
				from, to, most = a, a+width, summed
			}
		}
	}
	return from, to
}

// OneHot is Factor.Single of rows of which each has one 1 and zeros.
func OneHot(from, _ int) bool { return from == 1 }

// SolvedBy is Factor.Single of the indicator of a linear equation between indices. It can be solved for indices whose multiples by their
// strides have different sums: each stride is larger than all that smaller ones reach.
func SolvedBy(strides []int64, shape []int) Single {
	return func(from, to int) bool {
		var axes []int
		for a := from; a < to; a++ {
			if shape[a] > 1 {
				axes = append(axes, a)
			}
		}
		size := func(a int) int64 { return max(strides[a], -strides[a]) }
		slices.SortFunc(axes, func(a, b int) int { return cmp.Compare(size(a), size(b)) })
		reach := int64(0)
		for _, a := range axes {
			if size(a) <= reach {
				return false
			}
			reach += size(a) * int64(shape[a]-1)
		}
		return true
	}
}

// SingleCells is Factor.Single of a tensor with the given cells, row-major. Cells are looked at when they are asked for, and once.
func SingleCells[T int64 | float64](values []T, shape []int) Single {
	known := map[[2]int]bool{}
	return func(from, to int) bool {
		run := [2]int{from, to}
		if _, ok := known[run]; !ok {
			known[run] = oneOfEach(values, size(shape[to:]), size(shape[from:to]))
		}
		return known[run]
	}
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// oneOfEach says whether of every n cells that are stride apart at most one is not zero.
func oneOfEach[T int64 | float64](values []T, stride, n int) bool {
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
