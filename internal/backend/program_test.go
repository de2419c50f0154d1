package backend_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
)

func TestProducts(t *testing.T) {
	of := func(axes ...[]int) backend.Operand { return backend.Operand{Axes: axes} }
	rows := backend.Term{Extents: []int{3, 5, 7}, Out: [][]int{{0}, {2}}, Factors: []backend.Operand{of([]int{0}, []int{1}), of([]int{1}, []int{2})}}
	spread := backend.Term{Extents: []int{3, 5, 7}, Out: [][]int{{0}, {2}}, Factors: []backend.Operand{of([]int{0, 1})}}
	scaled := backend.Term{Extents: []int{3, 5, 7}, Out: [][]int{{0}, {2}}, Factors: []backend.Operand{of([]int{0, 1}), of([]int{0}, []int{2})}}
	summed := backend.Term{Extents: []int{3, 5}, Out: [][]int{{0}}, Factors: []backend.Operand{of([]int{0}, []int{1})}}
	for i, c := range []struct {
		terms []backend.Term
		box   []backend.Range
		want  int64
	}{
		{[]backend.Term{rows}, nil, 3 * 5 * 7},
		{[]backend.Term{rows}, []backend.Range{{Lo: 1, Hi: 2}, {Hi: 7}}, 5 * 7},
		{[]backend.Term{spread}, nil, 3 * 7},
		{[]backend.Term{scaled}, nil, 3 * 7},
		{[]backend.Term{summed}, nil, 3 * 5},
		{[]backend.Term{rows, summed}, nil, 3*5*7 + 3*5},
	} {
		require.Equal(t, c.want, backend.Products(c.terms, c.box), "case %d", i)
	}
}
