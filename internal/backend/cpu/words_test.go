package cpu

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/test/conformance"
)

// TestWithoutVectors runs the suite on the ways taken where the processor has no wide vectors.
func TestWithoutVectors(t *testing.T) {
	defer func(was bool) { wideVectors = was }(wideVectors)
	wideVectors = false
	conformance.Run(t, reference.New(), New())
}

// TestSumsAtTheirBounds adds as many of the greatest products as a kernel's sums take, and more, of integers that just fit and of such that
// just do not.
func TestSumsAtTheirBounds(t *testing.T) {
	most := field.Element{math.MaxUint64, math.MaxUint64, math.MaxUint64, 0x30644e72e131a028} // the limbs of its Montgomery form are as great as can be
	for _, n := range []int{1, 3, 4, 9, sumTerms - 1, sumTerms, sumTerms + 1, 2*sumTerms + 5} {
		coef := make(vec, n)
		fill(coef, most)
		for _, v := range []int64{1<<shortBits - 1, -1 << shortBits, 1 << shortBits, -1<<shortBits - 1, math.MaxInt64, math.MinInt64, math.MaxInt32, math.MinInt32} {
			cells, short := make([]int64, n), make([]int32, n)
			rows, shortRows := make([][]int64, n), make([][]int32, n)
			for i := range cells {
				cells[i], short[i] = v, int32(v)
				rows[i], shortRows[i] = cells[i:i+1], short[i:i+1]
			}
			for _, test := range []struct {
				v    int64
				dot  func(*weights) field.Element
				fold func(vec)
			}{
				{v, func(w *weights) field.Element { return dotInts(cells, w) }, func(dst vec) { foldColumns(&foldScratch[int64]{}, dst, rows, 0, coef) }},
				{int64(int32(v)), func(w *weights) field.Element { return dotInts(short, w) }, func(dst vec) { foldColumns(&foldScratch[int32]{}, dst, shortRows, 0, coef) }},
			} {
				want := mul(mul(most, field.FromInt64(test.v)), field.FromInt64(int64(n)))
				w := newWeights(coef)
				require.Equal(t, want, test.dot(&w), "%d times %d", n, test.v)
				dst := vec{one(), one()} // what was there does not count; the second column is behind the end of all rows
				test.fold(dst)
				require.Equal(t, vec{want, {}}, dst, "%d rows of %d", n, test.v)
			}
		}
	}
}

// Sums of so many rows that the words of a sum are full, in several tasks of several workers, where all limbs are as great as can be.
func TestRowsAtTheirBounds(t *testing.T) {
	const width, n = foldWidth + 88, 3*sumTerms + 5 // in two tasks
	require.Greater(t, width*n, foldedAtOnce)
	cells := &integer.Tensor{Shape: []int{width}, V: make([]int64, width)}
	for i := range cells.V {
		cells.V[i] = []int64{math.MaxInt32, math.MinInt32, 0, -1}[i%4]
	}
	sum := backend.RowSum{Rows: make([]backend.Row, n), Coefs: make(vec, n)}
	for i := range sum.Rows {
		sum.Rows[i] = backend.Row{{T: cells, Shape: cells.Shape}}
		sum.Coefs[i] = field.Element{math.MaxUint64, math.MaxUint64, math.MaxUint64, 0x30644e72e131a028}
	}
	session, err := New(Threads(3)).Open()
	require.NoError(t, err)
	r := session.Begin(t.Context())
	got := r.Values(r.FoldRows([]backend.RowSum{sum, {Rows: sum.Rows[:foldRows], Coefs: sum.Coefs[:foldRows]}}, width)[0])
	for i, v := range cells.V {
		require.Equal(t, mul(mul(sum.Coefs[0], field.FromInt64(v)), field.FromInt64(n)), got[i], i)
	}
}
