package ir

import (
	"math/big"

	"github.com/zkllmc/zkllmc/internal/budget"
)

// The loops of one term of an Einsum, for reals and for integers.

// number is a cell: a real in StageFloat, an integer in StageInt.
type number interface{ ~int64 | ~float64 }

// operand is one tensor of a term with its stride per label; 0 for a label that it does not have.
type operand[T number] struct {
	data    []T
	strides []int
}

// coefficient is that of a term, in the meaning of the stage.
func coefficient[T number](t *Term) T {
	var zero T
	if _, real := any(zero).(float64); real {
		return T(t.Coef)
	}
	return T(t.ICoef)
}

// addTerm adds a term to out, in steps of two operands where that is cheaper. hot says which operands are the one-hot vectors of ids.
// Integer callers have checked that the result does not overflow; what is in between may, since int64 is a ring.
func addTerm[T number](b *budget.Budget, out []T, t *Term, in [][]T, hot []bool, ids []int64) error {
	steps := t.Pairwise(hot)
	for i := range steps {
		s, dst := &steps[i], out
		if i < len(steps)-1 {
			dst = make([]T, result(s))
		}
		w := newWalker(b, dst, s, operands(s, in))
		if h := s.OneHot(hot); h >= 0 {
			w.gather(s, h, ids)
		} else {
			w.all(s)
		}
		if w.err != nil {
			return w.err
		}
		in = append(in[:len(in):len(in)], dst)
	}
	return nil
}

// result is the number of cells of a term's result.
func result(t *Term) int {
	n := 1
	for _, a := range t.Out {
		n *= t.AxisExtent(a)
	}
	return n
}

// strides returns the distance in cells that a step of each label makes in a tensor of the given axes.
func strides(axes [][]int, extents []int, labels int) []int {
	s := make([]int, labels)
	step := 1
	for a := len(axes) - 1; a >= 0; a-- {
		for j := len(axes[a]) - 1; j >= 0; j-- {
			l := axes[a][j]
			s[l] = step
			step *= extents[l]
		}
	}
	return s
}

// innerLabel chooses the label of the innermost loop: of those that are not done, the one with the smallest steps through memory.
func (w *walker[T]) innerLabel(done []bool) int {
	best, bestCost := -1, 0
	for l, e := range w.extents {
		if done[l] {
			continue
		}
		cost := min(w.dst.strides[l], 64)
		for _, o := range w.ops {
			cost += min(o.strides[l], 64)
		}
		// A long loop pays for the loops around it.
		cost = cost*1024/e + 64/e
		if best < 0 || cost < bestCost {
			best, bestCost = l, cost
		}
	}
	return best
}

// walker runs the nested loops of one term.
type walker[T number] struct {
	left    *budget.Budget
	extents []int
	order   []int
	inner   int
	dst     operand[T]
	ops     []operand[T]
	moving  []int // scratch of run
	done    int   // multiplications since the context was looked at
	err     error
}

func newWalker[T number](b *budget.Budget, out []T, t *Term, in [][]T) *walker[T] {
	labels := len(t.Extents)
	w := &walker[T]{left: b, extents: t.Extents, dst: operand[T]{out, strides(t.Out, t.Extents, labels)}}
	for i := range in {
		w.ops = append(w.ops, operand[T]{in[i], strides(t.Axes[i], t.Extents, labels)})
	}
	return w
}

// nest orders the loops over the labels that are not done.
func (w *walker[T]) nest(done []bool) {
	w.inner = w.innerLabel(done)
	for l := range w.extents {
		if l != w.inner && !done[l] {
			w.order = append(w.order, l)
		}
	}
}

// all runs over all labels.
func (w *walker[T]) all(t *Term) {
	w.nest(make([]bool, len(t.Extents)))
	w.walk(0, 0, make([]int, len(w.ops)), coefficient[T](t))
}

// gather runs over the cells of operand h that are 1, one per row, and over the labels that it does not have.
func (w *walker[T]) gather(t *Term, h int, ids []int64) {
	w.nest(t.InOperand(h))
	off := make([]int, len(w.ops))
	for row, id := range ids {
		dst := 0
		clear(off)
		at := func(labels []int, x int) {
			for j := len(labels) - 1; j >= 0; j-- {
				l := labels[j]
				i := x % t.Extents[l]
				x /= t.Extents[l]
				dst += i * w.dst.strides[l]
				for k := range w.ops {
					off[k] += i * w.ops[k].strides[l]
				}
			}
		}
		at(t.Axes[h][0], row)
		at(t.Axes[h][1], int(id))
		w.walk(0, dst, off, coefficient[T](t))
	}
}

// pollAfter is the number of multiplications, some milliseconds of them, after which the context is looked at.
const pollAfter = 1 << 22

// walk runs the loops from level on. Offsets are into the tensors; prod is the product of the coefficient and of the operands
// that no further loop moves through.
func (w *walker[T]) walk(level, dst int, off []int, coef T) {
	if level == len(w.order) {
		w.run(dst, off, coef)
		return
	}
	l := w.order[level]
	next := make([]int, len(off))
	for i := 0; i < w.extents[l] && w.err == nil; i++ {
		for k, o := range w.ops {
			next[k] = off[k] + i*o.strides[l]
		}
		w.walk(level+1, dst+i*w.dst.strides[l], next, coef)
	}
}

// run is the innermost loop.
func (w *walker[T]) run(dst int, off []int, coef T) {
	if w.inner < 0 { // no labels are left
		for k, o := range w.ops {
			coef = T(coef * o.data[off[k]])
		}
		w.dst.data[dst] += coef
		return
	}
	n, ds := w.extents[w.inner], w.dst.strides[w.inner]
	if w.done += n; w.done >= pollAfter {
		w.done, w.err = 0, w.left.Poll()
	}
	moving := w.moving[:0]
	for k, o := range w.ops {
		if o.strides[w.inner] != 0 {
			moving = append(moving, k)
		} else if coef = T(coef * o.data[off[k]]); coef == 0 {
			return
		}
	}
	w.moving = moving
	switch len(moving) {
	case 1:
		o := w.ops[moving[0]]
		linear(w.dst.data[dst:], ds, coef, o.data[off[moving[0]]:], o.strides[w.inner], n)
	case 2:
		a, b := w.ops[moving[0]], w.ops[moving[1]]
		bilinear(w.dst.data[dst:], ds, coef, a.data[off[moving[0]]:], a.strides[w.inner],
			b.data[off[moving[1]]:], b.strides[w.inner], n)
	default:
		for i := 0; i < n; i++ {
			p := coef
			for _, k := range moving {
				p = T(p * w.ops[k].data[off[k]+i*w.ops[k].strides[w.inner]])
			}
			w.dst.data[dst+i*ds] += p
		}
	}
}

// linear adds coef·a to dst.
func linear[T number](dst []T, ds int, coef T, a []T, as, n int) {
	if ds == 0 {
		var sum T
		for i := 0; i < n; i++ {
			sum += a[i*as]
		}
		dst[0] += T(coef * sum)
		return
	}
	for i := 0; i < n; i++ {
		dst[i*ds] += T(coef * a[i*as])
	}
}

// bilinear adds coef·a·b to dst.
func bilinear[T number](dst []T, ds int, coef T, a []T, as int, b []T, bs, n int) {
	switch {
	case ds == 0 && as == 1 && bs == 1:
		var sum T
		b = b[:n]
		for i, x := range a[:n] {
			sum += T(x * b[i])
		}
		dst[0] += T(coef * sum)
	case ds == 0:
		var sum T
		for i := 0; i < n; i++ {
			sum += T(a[i*as] * b[i*bs])
		}
		dst[0] += T(coef * sum)
	default:
		for i := 0; i < n; i++ {
			dst[i*ds] += T(coef * a[i*as] * b[i*bs])
		}
	}
}

// fits says whether no partial sum of an integer Einsum can leave int64, from the operands' largest magnitudes.
func fits(e *EinsumAttr, in [][]int64) bool {
	largest := make([]*big.Int, len(in))
	for i := range in {
		largest[i] = magnitude(in[i])
	}
	total := new(big.Int)
	for i := range e.Terms {
		t := &e.Terms[i]
		b := new(big.Int).Abs(big.NewInt(t.ICoef))
		for _, k := range t.In {
			b.Mul(b, largest[k])
		}
		out := t.InOut()
		for l, x := range t.Extents {
			if !out[l] {
				b.Mul(b, big.NewInt(int64(x)))
			}
		}
		total.Add(total, b)
	}
	return total.BitLen() <= 63
}

func magnitude(data []int64) *big.Int {
	var lo, hi int64
	for _, v := range data {
		lo, hi = min(lo, v), max(hi, v)
	}
	m := new(big.Int).Neg(big.NewInt(lo))
	if h := big.NewInt(hi); h.Cmp(m) > 0 {
		return h
	}
	return m
}

// termCost is what addTerm costs. A gather does not run over the columns of the one-hot vectors.
func termCost(t Term, hot []bool) (work, extra int) {
	steps := t.Pairwise(hot)
	for i := range steps {
		work = budget.Sum(work, steps[i].Work(hot))
		if i < len(steps)-1 {
			extra = budget.Sum(extra, result(&steps[i]))
		}
	}
	return work, extra
}
