package eval

import (
	"math/big"

	"github.com/zkllmc/zkllmc/ir"
)

// number is a cell: a real in StageFloat, an integer in StageInt.
type number interface{ ~int64 | ~float64 }

// operand is one tensor of a term with its stride per label; 0 for a label that it does not have.
type operand[T number] struct {
	data    []T
	strides []int
}

// addTerm adds coef·Σ Π operands to out. Integer callers have checked that nothing overflows.
func addTerm[T number](out []T, t *ir.Term, coef T, in [][]T) {
	labels := len(t.Extents)
	dst := operand[T]{out, strides(t.Out, t.Extents, labels)}
	ops := make([]operand[T], len(t.In))
	for i := range t.In {
		ops[i] = operand[T]{in[i], strides(t.Axes[i], t.Extents, labels)}
	}
	inner := innerLabel(t, dst, ops)
	order := make([]int, 0, labels)
	for l := range t.Extents {
		if l != inner {
			order = append(order, l)
		}
	}
	w := walker[T]{extents: t.Extents, order: order, inner: inner, dst: dst, ops: ops}
	w.walk(0, 0, make([]int, len(ops)), coef)
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

// innerLabel chooses the label of the innermost loop: the one with the smallest steps through memory.
func innerLabel[T number](t *ir.Term, dst operand[T], ops []operand[T]) int {
	best, bestCost := -1, 0
	for l := range t.Extents {
		cost := min(dst.strides[l], 64)
		for _, o := range ops {
			cost += min(o.strides[l], 64)
		}
		// A long loop pays for the loops around it.
		cost = cost*1024/t.Extents[l] + 64/t.Extents[l]
		if best < 0 || cost < bestCost {
			best, bestCost = l, cost
		}
	}
	return best
}

// walker runs the nested loops of one term.
type walker[T number] struct {
	extents []int
	order   []int
	inner   int
	dst     operand[T]
	ops     []operand[T]
}

// walk runs the loops from level on. Offsets are into the tensors; prod is the product of the coefficient and of the operands
// that no further loop moves through.
func (w *walker[T]) walk(level, dst int, off []int, coef T) {
	if level == len(w.order) {
		w.run(dst, off, coef)
		return
	}
	l := w.order[level]
	next := make([]int, len(off))
	for i := 0; i < w.extents[l]; i++ {
		for k, o := range w.ops {
			next[k] = off[k] + i*o.strides[l]
		}
		w.walk(level+1, dst+i*w.dst.strides[l], next, coef)
	}
}

// run is the innermost loop.
func (w *walker[T]) run(dst int, off []int, coef T) {
	if w.inner < 0 { // no labels at all
		for k, o := range w.ops {
			coef *= o.data[off[k]]
		}
		w.dst.data[dst] += coef
		return
	}
	var moving [8]int
	m := 0
	for k, o := range w.ops {
		if o.strides[w.inner] != 0 && m < len(moving) {
			moving[m] = k
			m++
		} else if coef *= o.data[off[k]]; coef == 0 {
			return
		}
	}
	n, ds := w.extents[w.inner], w.dst.strides[w.inner]
	switch m {
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
			for _, k := range moving[:m] {
				p *= w.ops[k].data[off[k]+i*w.ops[k].strides[w.inner]]
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
		dst[0] += coef * sum
		return
	}
	for i := 0; i < n; i++ {
		dst[i*ds] += coef * a[i*as]
	}
}

// bilinear adds coef·a·b to dst.
func bilinear[T number](dst []T, ds int, coef T, a []T, as int, b []T, bs, n int) {
	switch {
	case ds == 0 && as == 1 && bs == 1:
		var sum T
		b = b[:n]
		for i, x := range a[:n] {
			sum += x * b[i]
		}
		dst[0] += coef * sum
	case ds == 0:
		var sum T
		for i := 0; i < n; i++ {
			sum += a[i*as] * b[i*bs]
		}
		dst[0] += coef * sum
	default:
		for i := 0; i < n; i++ {
			dst[i*ds] += coef * a[i*as] * b[i*bs]
		}
	}
}

// fits says whether no partial sum of an integer Einsum can leave int64, from the operands' largest magnitudes.
func fits(e *ir.EinsumAttr, in [][]int64) bool {
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
