package commit

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// Rows that are cut alike are opened by what they are cut into: four rows in two halves are two products. A row with a claim of its own is
// one by itself. Either way the products add up to the claims.
func TestRegularRows(t *testing.T) {
	at := func(v int64) []field.Element {
		return []field.Element{field.FromInt64(v), field.FromInt64(v + 5), field.FromInt64(v * 3)}
	}
	set, cellsOf := &Set{}, [][]int64{}
	k := &class{bits: 4, sets: []*Set{set}}
	var want field.Element
	claim := func(row, offset int, point []field.Element) {
		alpha := field.FromInt64(int64(len(k.claims) + 2))
		cols := columns{bits: 4, offset: offset, used: 3, axes: []axis{{point, 8}}}
		k.claims, k.of, k.alphas = append(k.claims, Bound{}), append(k.of, set), append(k.alphas, alpha)
		k.parts = append(k.parts, []part{{rows: []int{row}, coefs: []field.Element{field.One()}, cols: cols}})
		for i, w := range cols.weights() {
			w.Mul(&w, &alpha)
			cell := field.FromInt64(cellsOf[row][offset+i])
			want.Add(&want, cell.Mul(&cell, &w))
		}
	}
	for row := range 5 {
		cells := make([]int64, 16)
		for i := range cells {
			cells[i] = int64(7*i*i - 31*row)
		}
		cellsOf = append(cellsOf, cells)
		set.Rows = append(set.Rows, backend.Row{{T: &integer.Tensor{V: cells}, Shape: []int{16}}})
		claim(row, 0, at(2))
		claim(row, 8, at(4))
	}
	claim(3, 8, at(9))

	all := k.combinations()
	require.Len(t, all, 3, "two halves of four rows, and a row")
	var sum field.Element
	for _, g := range all {
		weights := make(field.Vector, 16)
		for i := range g.columns {
			w := g.columns[i].weights()
			w.ScalarMul(w, &g.weights[i])
			at := weights[g.columns[i].offset:][:len(w)]
			at.Add(at, w)
		}
		require.Len(t, g.columnWeights(4).Terms, len(g.columns))
		for i, row := range g.rows[0] {
			for c, cell := range cellsOf[row] {
				v := field.FromInt64(cell)
				v.Mul(&v, &g.coefs[0][i])
				sum.Add(&sum, v.Mul(&v, &weights[c]))
			}
		}
	}
	require.Equal(t, want, sum)
}
