package ir

import (
	"math/big"
	"slices"

	"github.com/zkllmc/zkllmc/internal/budget"
)

// The loops of one term of an Einsum, for reals and for integers.

// number is a cell: a real in StageFloat, an integer in StageInt.
type number interface{ int64 | float64 }

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

// indicator is an operand of zeros and ones with at most one 1 for every choice of the indices on all axes but one.
type indicator[T number] struct {
	shape []int
	axis  int                        // that one, -1 if there is none
	find  func(at []int) (int, bool) // the index on it where the cell is 1; at holds the others, its entry for the axis may be anything
	cells func() []T                 // all cells, for products with other such operands
}

// solvedAxes are the axes of indicators, -1 for other operands.
func solvedAxes[T number](known []*indicator[T]) []int {
	out := make([]int, len(known))
	for k, x := range known {
		if out[k] = -1; x != nil {
			out[k] = x.axis
		}
	}
	return out
}

// operation is what a term takes and gives in one run: its operands, those of them that are indicators, nil for others, and what the products
// are added to.
type operation[T number] struct {
	in    [][]T
	known []*indicator[T]
	out   []T
}

// addTerm adds a term to the results of runs side by side, in steps of two operands where that is cheaper. Operands need not have the cells of
// indicators, nor those that from reads for all runs. Integer callers have checked that no result overflows; what is in between may, since int64
// is a ring.
func addTerm[T number](b *budget.Budget, t *Term, runs []operation[T], from []*reader[T]) error {
	known := runs[0].known
	solved := solvedAxes(known)
	steps := t.Pairwise(solved)
	in, now := make([][][]T, len(runs)), make([]operation[T], len(runs))
	for r := range runs {
		in[r] = slices.Clone(runs[r].in)
	}
	for i := range steps {
		s := &steps[i]
		first, parts := s.Solved(solved), make([]*reader[T], len(s.In))
		for k, x := range s.In {
			if k != first && x < len(known) && known[x] != nil && in[0][x] == nil {
				cells := known[x].cells() // the same in all runs, as the cells of a map of indices are
				for r := range in {
					in[r][x] = cells
				}
			}
			if x < len(from) && in[0][x] == nil {
				parts[k] = from[x]
			}
		}
		for r := range runs {
			now[r] = operation[T]{in: operands(s, in[r]), out: runs[r].out}
			if i < len(steps)-1 {
				now[r].out = make([]T, result(s))
			}
			in[r] = append(in[r], now[r].out)
		}
		if first < 0 {
			if err := addProducts(b, s, now, parts); err != nil {
				return err
			}
			continue
		}
		for r := range now {
			w := newWalker(b, s, &now[r])
			w.from = slices.Clone(parts)
			w.gather(s, first, runs[r].known[s.In[first]])
			if w.err != nil {
				return w.err
			}
		}
	}
	return nil
}

// addProducts adds a term without indicators to the results of runs side by side.
func addProducts[T number](b *budget.Budget, t *Term, runs []operation[T], from []*reader[T]) error {
	if _, integers := any(runs).([]operation[int64]); integers { // of reals it would be another order of sums
		if sum, copies := t.spread(); sum != nil {
			sums, spread := make([]operation[T], len(runs)), make([]operation[T], len(runs))
			for r := range runs {
				once := make([]T, result(sum))
				sums[r], spread[r] = operation[T]{in: runs[r].in, out: once}, operation[T]{in: [][]T{once}, out: runs[r].out}
			}
			if err := addProducts(b, sum, sums, from); err != nil {
				return err
			}
			return addProducts(b, copies, spread, nil)
		}
	}
	if slices.ContainsFunc(from, func(r *reader[T]) bool { return r != nil }) {
		return addStored(b, t, runs, from, partCells)
	}
	for r := range runs {
		if m := matricesOf(t, runs[r:r+1], -1, nil); m != nil {
			if err := m.add(b, wholeSpans(t), nil); err != nil {
				return err
			}
			continue
		}
		w := newWalker(b, t, &runs[r])
		if w.all(t); w.err != nil {
			return w.err
		}
	}
	return nil
}

// spread splits a term that sums, and whose sums stand in several cells of the result, into the sums and their copies; nil if it is not such.
func (t *Term) spread() (sum, copies *Term) {
	out, operands := t.InOut(), make([]bool, len(t.Extents))
	for k := range t.In {
		for l, has := range t.InOperand(k) {
			operands[l] = operands[l] || has
		}
	}
	first, second := t.Clone(), t.Clone()
	var kept []int
	sums, spreads := false, false
	for l, e := range t.Extents {
		switch {
		case out[l] && operands[l]:
			kept = append(kept, l)
		case out[l]:
			first.Extents[l], spreads = 1, spreads || e > 1
		default:
			second.Extents[l], sums = 1, sums || e > 1
		}
	}
	if !sums || !spreads {
		return nil, nil
	}
	first.Out = [][]int{kept}
	second.Coef, second.ICoef, second.In, second.Axes = 1, 1, []int{0}, [][][]int{{kept}}
	return &first, &second
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
	from    []*reader[T]
	fetched []int // where the cells of an operand that is elsewhere were read last, plus 1
	done    int   // multiplications since the context was looked at
	err     error
}

func newWalker[T number](b *budget.Budget, t *Term, run *operation[T]) *walker[T] {
	labels := len(t.Extents)
	w := &walker[T]{left: b, extents: t.Extents, dst: operand[T]{run.out, strides(t.Out, t.Extents, labels)}}
	for i, x := range run.in {
		w.ops = append(w.ops, operand[T]{x, strides(t.Axes[i], t.Extents, labels)})
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

// gather runs over the cells of operand h that are 1, and over the labels that it does not have.
func (w *walker[T]) gather(t *Term, h int, known *indicator[T]) {
	w.nest(t.InOperand(h))
	w.ops[h] = operand[T]{[]T{1}, make([]int, len(t.Extents))}
	w.reach(t, h)
	at, off := make([]int, len(known.shape)), make([]int, len(w.ops))
	rest := slices.Clone(known.shape)
	rest[known.axis] = 1
	for n := Size(rest); n > 0 && w.err == nil; n-- {
		if x, ok := known.find(at); ok {
			at[known.axis] = x
			clear(off)
			dst := w.place(t, h, at, off)
			for k := range w.from {
				if w.from[k] != nil {
					w.fetch(k, off)
				}
			}
			if w.err == nil {
				w.walk(0, dst, off, coefficient[T](t))
			}
			at[known.axis] = 0
		}
		for a := len(rest) - 1; a >= 0; a-- {
			if at[a]++; at[a] < rest[a] {
				break
			}
			at[a] = 0
		}
	}
}

// place returns the offset into the result of indices on the axes of operand h, and adds those into the operands to off.
func (w *walker[T]) place(t *Term, h int, at, off []int) (dst int) {
	for a, labels := range t.Axes[h] {
		x := at[a]
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
	return dst
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

// magnitudes are the largest of each input of a node. An operand without cells is an indicator, or elsewhere.
func (r *Run) magnitudes(n *Node, in [][]int64) []*big.Int {
	largest := make([]*big.Int, len(in))
	for i, id := range n.In {
		switch v := r.Graph.Value(id); {
		case in[i] != nil:
			largest[i] = magnitude(in[i])
		case v.Elsewhere():
			largest[i] = big.NewInt(mostOf(v))
		default:
			largest[i] = big.NewInt(1)
		}
	}
	return largest
}

// fits says whether no partial sum of an integer Einsum can leave int64, from the operands' largest magnitudes.
func fits(e *EinsumAttr, largest []*big.Int) bool {
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

// termCost is what addTerm costs, given the axes of indicators and how many cells each takes where it is not the first of its step.
func termCost(t Term, solved, cells []int) (work, extra int) {
	steps := t.Pairwise(solved)
	for i := range steps {
		s := &steps[i]
		work = budget.Sum(work, s.Work(solved))
		if i < len(steps)-1 {
			extra = budget.Sum(extra, result(s))
		}
		first := s.Solved(solved)
		for k, from := range s.In {
			if k != first && from < len(cells) {
				work, extra = budget.Sum(work, cells[from]), budget.Sum(extra, cells[from])
			}
		}
	}
	return work, extra
}
