package ir

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/matrix"
)

// roles are the labels of a term of two operands, as the indices of a batch of matrix products.
type roles struct {
	first                  int // the operand whose free labels number the rows
	batch, rows, cols, sum []int
}

// rolesOf sorts the labels of a term of two operands. The columns are those next to each other in the result.
func rolesOf(t *Term) roles {
	r, out := roles{}, t.InOut()
	in := [2][]bool{t.InOperand(0), t.InOperand(1)}
	if n := len(t.Out); n > 0 && len(t.Out[n-1]) > 0 {
		last := t.Out[n-1][len(t.Out[n-1])-1]
		r.first = btoi(in[0][last] && !in[1][last])
	}
	a, b := in[r.first], in[1-r.first]
	for l := range t.Extents {
		switch {
		case !out[l]:
			r.sum = append(r.sum, l)
		case a[l] == b[l]:
			r.batch = append(r.batch, l)
		case a[l]:
			r.rows = append(r.rows, l)
		default:
			r.cols = append(r.cols, l)
		}
	}
	return r
}

// worthwhile says that matrix products of that form take less time than loops over the labels: sums of some length, and matrices of which
// the tiles, into which they are cut, are no more than four times as large.
func (r *roles) worthwhile(t *Term) bool {
	const tileRows, tileCols, least = 4, 16, 8
	rows, cols := t.AxisExtent(r.rows), t.AxisExtent(r.cols)
	up := func(x, unit int) int { return (x + unit - 1) / unit * unit }
	return t.AxisExtent(r.sum) >= least && up(rows, tileRows)*up(cols, tileCols) <= 4*rows*cols
}

// offsets lists the places of all choices of some labels, the last one changing fastest, in a tensor of the given strides.
func offsets(t *Term, labels, strides []int) []int {
	out := []int{0}
	for _, l := range labels {
		next := make([]int, 0, len(out)*t.Extents[l])
		for _, o := range out {
			for i := range t.Extents[l] {
				next = append(next, o+i*strides[l])
			}
		}
		out = next
	}
	return out
}

// addMatrices adds a term of two operands to out as matrix products, where that is faster than the loops of a walker; else it says false.
// The order of each cell's sum of reals follows from the term alone.
func addMatrices[T float64 | int64](b *budget.Budget, out []T, t *Term, in [][]T) (bool, error) {
	if len(in) != 2 {
		return false, nil
	}
	r := rolesOf(t)
	if !r.worthwhile(t) {
		return false, nil
	}
	in, axes := slices.Clone(in), slices.Clone(t.Axes)
	if r.first == 1 {
		in[0], in[1], axes[0], axes[1] = in[1], in[0], axes[1], axes[0]
	}
	p := matrix.Product[T]{Coef: coefficient[T](t), A: in[0], B: in[1], C: out}
	if x, integers := any(in).([][]int64); integers {
		if m, n := magnitude(x[0]), magnitude(x[1]); !m.IsInt64() || !n.IsInt64() || !p.Exact(m.Int64(), n.Int64()) {
			return false, nil
		}
	}
	labels := len(t.Extents)
	sa, sb, sc := strides(axes[0], t.Extents, labels), strides(axes[1], t.Extents, labels), strides(t.Out, t.Extents, labels)
	p.Batch.A, p.Batch.B, p.Batch.C = offsets(t, r.batch, sa), offsets(t, r.batch, sb), offsets(t, r.batch, sc)
	p.Rows.A, p.Rows.C = offsets(t, r.rows, sa), offsets(t, r.rows, sc)
	p.Cols.B, p.Cols.C = offsets(t, r.cols, sb), offsets(t, r.cols, sc)
	p.Sum.A, p.Sum.B = offsets(t, r.sum, sa), offsets(t, r.sum, sb)
	return true, p.Add(b.Poll)
}
