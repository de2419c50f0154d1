package ir

import (
	"math/big"

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

// span is a range of a label's indices.
type span struct{ lo, hi int }

func wholeSpans(t *Term) []span {
	out := make([]span, len(t.Extents))
	for l, e := range t.Extents {
		out[l].hi = e
	}
	return out
}

// offsets lists the places of all choices of some labels, the last one changing fastest, in a tensor of the given strides.
func offsets(spans []span, labels, strides []int) []int {
	out := []int{0}
	for _, l := range labels {
		next := make([]int, 0, len(out)*(spans[l].hi-spans[l].lo))
		for _, o := range out {
			for i := spans[l].lo; i < spans[l].hi; i++ {
				next = append(next, o+i*strides[l])
			}
		}
		out = next
	}
	return out
}

// matrices is a term of two operands as matrix products, in runs side by side.
type matrices[T number] struct {
	t       *Term
	r       roles
	p       matrix.Product[T]
	a, b    int      // operands
	common  int      // the one that is the same in all runs, -1 if there is only one run
	strides [3][]int // of a, b and the result
}

// matricesOf is a term as matrix products, where that is faster than the loops of a walker; else nil. The order of each cell's sum of reals
// follows from the term alone. An operand that is common to all runs may be elsewhere.
func matricesOf[T number](t *Term, runs []operation[T], common int, from []*reader[T]) *matrices[T] {
	if len(t.In) != 2 {
		return nil
	}
	m := &matrices[T]{t: t, r: rolesOf(t), common: common}
	if !m.r.worthwhile(t) {
		return nil
	}
	m.a, m.b = m.r.first, 1-m.r.first
	m.p = matrix.Product[T]{Coef: coefficient[T](t), A: operandOf(runs, m.a, common), B: operandOf(runs, m.b, common)}
	for r := range runs {
		m.p.C = append(m.p.C, runs[r].out)
	}
	if p, integers := any(&m.p).(*matrix.Product[int64]); integers {
		a, b := most(p.A, from, m.a), most(p.B, from, m.b)
		if !a.IsInt64() || !b.IsInt64() || !m.p.Exact(a.Int64(), b.Int64()) {
			return nil
		}
	}
	labels := len(t.Extents)
	m.strides = [3][]int{strides(t.Axes[m.a], t.Extents, labels), strides(t.Axes[m.b], t.Extents, labels), strides(t.Out, t.Extents, labels)}
	return m
}

// operandOf are the cells of an operand in all runs, once if it is common to them.
func operandOf[T number](runs []operation[T], k, common int) (cells [][]T) {
	if k == common {
		runs = runs[:1]
	}
	for r := range runs {
		cells = append(cells, runs[r].in[k])
	}
	return cells
}

// most is the largest magnitude of an operand.
func most[T number](cells [][]int64, from []*reader[T], k int) *big.Int {
	if from != nil && from[k] != nil {
		return big.NewInt(from[k].most)
	}
	top := new(big.Int)
	for _, x := range cells {
		if m := magnitude(x); m.Cmp(top) > 0 {
			top = m
		}
	}
	return top
}

// add adds the products of the indices in spans to the results. cells are those that the common operand has for them, in place of the whole
// operand; nil where that is in memory.
func (m *matrices[T]) add(b *budget.Budget, spans []span, cells []T) error {
	p, r, of := m.p, &m.r, [3][]span{spans, spans, spans}
	if cells != nil {
		begin := make([]span, len(spans))
		for l, s := range spans {
			begin[l].hi = s.hi - s.lo
		}
		if m.common == m.a {
			of[0], p.A = begin, [][]T{cells}
		} else {
			of[1], p.B = begin, [][]T{cells}
		}
	}
	p.Batch.A, p.Batch.B, p.Batch.C = offsets(of[0], r.batch, m.strides[0]), offsets(of[1], r.batch, m.strides[1]), offsets(of[2], r.batch, m.strides[2])
	p.Rows.A, p.Rows.C = offsets(of[0], r.rows, m.strides[0]), offsets(of[2], r.rows, m.strides[2])
	p.Cols.B, p.Cols.C = offsets(of[1], r.cols, m.strides[1]), offsets(of[2], r.cols, m.strides[2])
	p.Sum.A, p.Sum.B = offsets(of[0], r.sum, m.strides[0]), offsets(of[1], r.sum, m.strides[1])
	return p.Add(b.Poll)
}
