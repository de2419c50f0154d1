package interval

import (
	"slices"
	"testing"
)

// TestTerm bounds products, squares, coefficients of both signs, summed labels, and labels of which
// factors choose one. TestBoundsHold of package circuit compares with all values.
// only says that each of some axes by itself has one cell at most that is not zero.
func only(axes ...int) Single {
	return func(from, to int) bool { return to == from+1 && slices.Contains(axes, from) }
}

func TestTerm(t *testing.T) {
	x, y := Factor{Tensor: 1, Axes: [][]int{{0}}, Bounds: Of(-3, 2)}, Factor{Tensor: 2, Axes: [][]int{{0}}, Bounds: Of(1, 4)}
	turned := Factor{Tensor: 1, Axes: [][]int{{1}}, Bounds: x.Bounds}
	bit := Of(0, 1)
	chosen := Factor{Tensor: 3, Axes: [][]int{{1}, {0}}, Bounds: bit, Single: only(1)}
	either := Factor{Tensor: 4, Axes: [][]int{{1}, {0}}, Bounds: bit, Single: only(0, 1)}
	alone := Factor{Tensor: 5, Axes: [][]int{{1}}, Bounds: bit, Single: only(0)}
	first := Factor{Tensor: 7, Axes: [][]int{{0}, {1}}, Bounds: bit, Single: only(0)}
	last := Factor{Tensor: 8, Axes: [][]int{{0}, {1}}, Bounds: bit, Single: only(1)}
	rows := Factor{Tensor: 9, Axes: [][]int{{1}, {0}}, Bounds: bit, Single: OneHot}
	both := Factor{Tensor: 6, Axes: [][]int{{0, 1}}, Bounds: bit, Single: only(0)}
	for name, c := range map[string]struct {
		coef    int64
		out     [][]int
		factors []Factor
		lo, hi  int64
	}{
		"constant":                 {coef: -7, out: [][]int{{0}, {1}}, lo: -7, hi: -7},
		"one":                      {coef: 2, out: [][]int{{0}, {1}}, factors: []Factor{x}, lo: -6, hi: 4},
		"negated":                  {coef: -2, out: [][]int{{0}, {1}}, factors: []Factor{x}, lo: -4, hi: 6},
		"product":                  {coef: 1, out: [][]int{{0}, {1}}, factors: []Factor{x, y}, lo: -12, hi: 8},
		"square":                   {coef: 1, out: [][]int{{0}, {1}}, factors: []Factor{x, x}, lo: 0, hi: 9},
		"square of positives":      {coef: -1, out: [][]int{{0}, {1}}, factors: []Factor{y, y}, lo: -16, hi: -1},
		"another axis, no square":  {coef: 1, out: [][]int{{0}, {1}}, factors: []Factor{x, turned}, lo: -6, hi: 9},
		"not adjacent, no square":  {coef: 1, out: [][]int{{0}, {1}}, factors: []Factor{x, y, x}, lo: -24, hi: 36},
		"summed":                   {coef: 1, out: [][]int{{1}}, factors: []Factor{x}, lo: -15, hi: 10},
		"chosen":                   {coef: 1, out: [][]int{{1}}, factors: []Factor{x, chosen}, lo: -3, hi: 2},
		"chosen of two summed":     {coef: 1, factors: []Factor{x, chosen}, lo: -9, hi: 6},
		"chosen both ways":         {coef: 1, factors: []Factor{x, either, either}, lo: -9, hi: 6}, // not one cell: the equations may be one
		"chosen, then another":     {coef: 1, factors: []Factor{x, alone, chosen}, lo: -3, hi: 2},
		"chosen by its first axis": {coef: 1, factors: []Factor{x, first}, lo: -9, hi: 6},
		"in a circle":              {coef: 1, factors: []Factor{x, chosen, last}, lo: -9, hi: 6}, // each chooses what the other one asks for
		"rows with one 1":          {coef: 1, factors: []Factor{x, rows}, lo: -9, hi: 6},
		"chosen with another":      {coef: 1, out: [][]int{}, factors: []Factor{x, both}, lo: -3, hi: 2},
	} {
		got := Term(c.coef, []int{5, 3}, c.out, c.factors)
		if want := Of(c.lo, c.hi); got.Lo.Cmp(want.Lo) != 0 || got.Hi.Cmp(want.Hi) != 0 {
			t.Errorf("%s: [%v, %v], want [%v, %v]", name, got.Lo, got.Hi, want.Lo, want.Hi)
		}
	}
	if s := Of(-8, 3).Plus(Of(1, 2)); s.Lo.Int64() != -7 || s.Hi.Int64() != 5 || s.BitLen() != 3 {
		t.Errorf("[%v, %v] of %d bits", s.Lo, s.Hi, s.BitLen())
	}
}

// A map of indices of which an axis is stored as several has one 1 at most, as before: as an equation and as a matrix. Where the parts leave a
// choice it has as many as there are.
func TestStoredInParts(t *testing.T) {
	shape := []int{2, 3, 7}
	for name, c := range map[string]struct {
		strides []int64
		most    int64
	}{
		"an axis of 6 as 2 times 3":       {[]int64{3, 1, -1}, 1},
		"backwards":                       {[]int64{-3, -1, 1}, 1},
		"with a stride of 2 for the last": {[]int64{6, 2, -1}, 1},
		"columns behind each other":       {[]int64{1, 2, -1}, 1},
		"overlapping windows":             {[]int64{2, 1, -1}, 2},
		"without the first":               {[]int64{0, 1, -1}, 2},
	} {
		cells := make([]float64, 2*3*7)
		for i := range cells {
			if at := int64(i); c.strides[0]*(at/21)+c.strides[1]*(at/7%3)+c.strides[2]*(at%7) == 0 {
				cells[i] = 1
			}
		}
		for kind, single := range map[string]Single{"equation": SolvedBy(c.strides, shape), "matrix": SingleCells(cells, shape)} {
			x := Factor{Tensor: 1, Axes: [][]int{{0}, {1}}, Bounds: Of(-5, 4)}
			m := Factor{Tensor: 2, Axes: [][]int{{0}, {1}, {2}}, Bounds: Of(0, 1), Single: single}
			got := Term(1, shape, [][]int{{2}}, []Factor{x, m})
			if want := Of(-5*c.most, 4*c.most); got.Lo.Cmp(want.Lo) != 0 || got.Hi.Cmp(want.Hi) != 0 {
				t.Errorf("%s, %s: %v, want %v", name, kind, got, want)
			}
		}
	}
}
