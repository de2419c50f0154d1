package interval

import "testing"

// TestTerm bounds products, squares, coefficients of both signs, summed labels, and labels of which
// factors choose one. TestBoundsHold of package circuit compares with all values.
func TestTerm(t *testing.T) {
	x, y := Factor{Tensor: 1, Axes: [][]int{{0}}, Bounds: Of(-3, 2)}, Factor{Tensor: 2, Axes: [][]int{{0}}, Bounds: Of(1, 4)}
	turned := Factor{Tensor: 1, Axes: [][]int{{1}}, Bounds: x.Bounds}
	bit := Of(0, 1)
	chosen := Factor{Tensor: 3, Axes: [][]int{{1}, {0}}, Bounds: bit, Single: []bool{false, true}}
	either := Factor{Tensor: 4, Axes: [][]int{{1}, {0}}, Bounds: bit, Single: []bool{true, true}}
	alone := Factor{Tensor: 5, Axes: [][]int{{1}}, Bounds: bit, Single: []bool{true}}
	both := Factor{Tensor: 6, Axes: [][]int{{0, 1}}, Bounds: bit, Single: []bool{true}}
	for name, c := range map[string]struct {
		coef    int64
		out     [][]int
		factors []Factor
		lo, hi  int64
	}{
		"constant":                {coef: -7, out: [][]int{{0}, {1}}, lo: -7, hi: -7},
		"one":                     {coef: 2, out: [][]int{{0}, {1}}, factors: []Factor{x}, lo: -6, hi: 4},
		"negated":                 {coef: -2, out: [][]int{{0}, {1}}, factors: []Factor{x}, lo: -4, hi: 6},
		"product":                 {coef: 1, out: [][]int{{0}, {1}}, factors: []Factor{x, y}, lo: -12, hi: 8},
		"square":                  {coef: 1, out: [][]int{{0}, {1}}, factors: []Factor{x, x}, lo: 0, hi: 9},
		"square of positives":     {coef: -1, out: [][]int{{0}, {1}}, factors: []Factor{y, y}, lo: -16, hi: -1},
		"another axis, no square": {coef: 1, out: [][]int{{0}, {1}}, factors: []Factor{x, turned}, lo: -6, hi: 9},
		"not adjacent, no square": {coef: 1, out: [][]int{{0}, {1}}, factors: []Factor{x, y, x}, lo: -24, hi: 36},
		"summed":                  {coef: 1, out: [][]int{{1}}, factors: []Factor{x}, lo: -15, hi: 10},
		"chosen":                  {coef: 1, out: [][]int{{1}}, factors: []Factor{x, chosen}, lo: -3, hi: 2},
		"chosen of two summed":    {coef: 1, factors: []Factor{x, chosen}, lo: -9, hi: 6},
		"chosen both ways":        {coef: 1, factors: []Factor{x, either, either}, lo: -9, hi: 6}, // not one cell: the equations may be one
		"chosen, then another":    {coef: 1, factors: []Factor{x, alone, chosen}, lo: -3, hi: 2},
		"chosen with another":     {coef: 1, out: [][]int{}, factors: []Factor{x, both}, lo: -3, hi: 2},
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
