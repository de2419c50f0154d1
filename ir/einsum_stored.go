package ir

import (
	"math"
	"slices"
	"sync"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/weights"
)

// Weights as operands of terms while their cells are elsewhere. Products take a part of them at a time. The products that make a cell are
// added in the order in which they are added where all is in memory, so that results have the same bits.

// Elsewhere says that an evaluation has no cells of a value, a weight's: who needs them reads them.
func (v *Value) Elsewhere() bool { return v.Stored != nil || v.Short != nil }

// reader reads the cells of an operand that is elsewhere.
type reader[T number] struct {
	read func(dst []T, from int) error
	most int64 // no magnitude of integers is larger
}

// readers are those of a term's operands, nil for operands that are in memory.
func readers[T number](g *Graph, n *Node, t *Term, in [][]T) []*reader[T] {
	out := make([]*reader[T], len(t.In))
	for i, k := range t.In {
		if v := g.Value(n.In[k]); in[k] == nil && v.Elsewhere() {
			out[i] = readerOf[T](v)
		}
	}
	return out
}

func readerOf[T number](v *Value) *reader[T] {
	var r any
	if v.Stored != nil {
		r = &reader[float64]{read: v.Stored.Read}
	} else {
		r = &reader[int64]{most: mostOf(v), read: func(dst []int64, from int) error { return readLong(v.Short, dst, from) }}
	}
	return r.(*reader[T])
}

// mostOf is the largest magnitude that a weight of integers may have.
func mostOf(v *Value) int64 {
	if v.Lo == 0 && v.Hi == 0 {
		return -math.MinInt16
	}
	return max(v.Hi, -v.Lo)
}

// readLong reads integers of 16 bits into 64.
func readLong(from weights.Integers, dst []int64, at int) error {
	short := make([]int16, min(len(dst), 1<<15))
	for len(dst) > 0 {
		short := short[:min(len(short), len(dst))]
		if err := from.Read(short, at); err != nil {
			return err
		}
		for i, x := range short {
			dst[i] = int64(x)
		}
		dst, at = dst[len(short):], at+len(short)
	}
	return nil
}

// whole reads all cells of an operand.
func (r *reader[T]) whole(n int) ([]T, error) {
	cells := make([]T, n)
	return cells, r.read(cells, 0)
}

// here are the operands of a node in memory, those too that are elsewhere.
func here[T number](g *Graph, n *Node, in [][]T) ([][]T, error) {
	for k, id := range n.In {
		if v := g.Value(id); in[k] == nil && v.Elsewhere() {
			cells, err := readerOf[T](v).whole(Size(v.Shape))
			if err != nil {
				return nil, err
			}
			in = slices.Clone(in)
			in[k] = cells
		}
	}
	return in, nil
}

// partCells is how many cells of an operand that is elsewhere are in memory at one time, at least one for every index of its first axes.
const partCells = 1 << 22

// partOf is how many cells of a value a term has in memory at one time.
func partOf(v *Value) int { return min(partCells, budget.Product(v.Shape...)) }

// addStored adds a term without indicators, some of whose operands are elsewhere, to the results of runs side by side: matrix products take the
// largest of those in parts, each for all runs.
func addStored[T number](b *budget.Budget, t *Term, runs []operation[T], from []*reader[T], part int) error {
	runs, from = slices.Clone(runs), slices.Clone(from)
	for r := range runs {
		runs[r].in = slices.Clone(runs[r].in)
	}
	most := -1
	for k := range from {
		if from[k] != nil && (most < 0 || sizeOf(t, t.Axes[k]) > sizeOf(t, t.Axes[most])) {
			most = k
		}
	}
	read := func(k int) error {
		cells, err := from[k].whole(sizeOf(t, t.Axes[k]))
		for r := range runs {
			runs[r].in[k] = cells
		}
		return err
	}
	for k := range from {
		if k != most && from[k] != nil {
			if err := read(k); err != nil {
				return err
			}
		}
	}
	m := matricesOf(t, runs, most, from)
	if m != nil {
		if cut := m.cut(most, part); cut != nil {
			return m.addParts(b, cut, from[most])
		}
	}
	if err := read(most); err != nil {
		return err
	}
	if m != nil {
		return m.add(b, wholeSpans(t), runs[0].in[most])
	}
	return addProducts(b, t, runs, nil)
}

func sizeOf(t *Term, axes [][]int) int { return result(&Term{Extents: t.Extents, Out: axes}) }

// cut says how an operand is read: for every choice of indices of the labels of fixed, so many indices at a time of the next one.
type cut struct {
	operand     int
	fixed       []int
	label, step int
	inner       int // cells for each index of it
}

// cut cuts an operand along the labels that its cells are ordered by. It is nil where that would change the order of a sum: where the labels
// that are summed over are not the first of those, in their order.
func (m *matrices[T]) cut(operand, part int) *cut {
	labels := slices.Concat(m.t.Axes[operand]...)
	c := &cut{operand: operand, label: -1, inner: sizeOf(m.t, m.t.Axes[operand])}
	for _, l := range labels {
		if c.label >= 0 {
			c.fixed = append(c.fixed, c.label)
		}
		c.label, c.inner = l, c.inner/m.t.Extents[l]
		if c.inner <= part {
			break
		}
	}
	if c.label < 0 {
		return nil
	}
	c.step = min(max(part/c.inner, 1), m.t.Extents[c.label])
	moving := c.fixed
	if c.step < m.t.Extents[c.label] {
		moving = append(slices.Clone(moving), c.label)
	}
	summed := 0
	for _, l := range moving {
		if m.t.Extents[l] == 1 || !slices.Contains(m.r.sum, l) {
			continue
		}
		for m.r.sum[summed] != l && m.t.Extents[m.r.sum[summed]] == 1 {
			summed++
		}
		if m.r.sum[summed] != l {
			return nil
		}
		summed++
	}
	return c
}

// Memory for parts is used again: it would be cleared each time.
var realParts, integerParts sync.Pool

func partsOf[T number]() *sync.Pool {
	if _, real := any(*new(T)).(float64); real {
		return &realParts
	}
	return &integerParts
}

func partOfMemory[T number](n int) *[]T {
	if buf, ok := partsOf[T]().Get().(*[]T); ok && cap(*buf) >= n {
		return buf
	}
	buf := make([]T, n)
	return &buf
}

// addParts adds the products of all parts of an operand.
func (m *matrices[T]) addParts(b *budget.Budget, c *cut, from *reader[T]) error {
	buf := partOfMemory[T](c.step * c.inner)
	defer partsOf[T]().Put(buf)
	spans := wholeSpans(m.t)
	for _, l := range c.fixed {
		spans[l].hi = 1
	}
	at := 0
	for n := sizeOf(m.t, [][]int{c.fixed}); n > 0; n-- {
		for lo := 0; lo < m.t.Extents[c.label]; lo += c.step {
			hi := min(lo+c.step, m.t.Extents[c.label])
			spans[c.label] = span{lo, hi}
			cells := (*buf)[:(hi-lo)*c.inner]
			if err := from.read(cells, at); err != nil {
				return err
			}
			if err := m.add(b, spans, cells); err != nil {
				return err
			}
			at += len(cells)
		}
		for _, l := range slices.Backward(c.fixed) {
			if spans[l].lo++; spans[l].lo < m.t.Extents[l] {
				spans[l].hi = spans[l].lo + 1
				break
			}
			spans[l] = span{0, 1}
		}
	}
	return nil
}

// fetch reads what the loops over the labels that operand h does not have, of a term whose other indices are chosen, take of an operand
// that is elsewhere.
func (w *walker[T]) fetch(k int, off []int) {
	if w.err == nil && w.fetched[k] != off[k]+1 {
		w.fetched[k] = off[k] + 1
		w.err = w.from[k].read(w.ops[k].data, off[k])
	}
	off[k] = 0
}

// reach makes room for what fetch reads of each operand; one of which that would be little among much else is read as a whole.
func (w *walker[T]) reach(t *Term, h int) {
	w.fetched = make([]int, len(w.ops))
	chosen := t.InOperand(h)
	for k := range w.ops {
		if k == h || k >= len(w.from) || w.from[k] == nil || w.err != nil {
			continue
		}
		length, touched := 1, 1
		for l, e := range t.Extents {
			if s := w.ops[k].strides[l]; !chosen[l] && s > 0 {
				length, touched = length+(e-1)*s, touched*e
			}
		}
		if length <= 4*touched {
			w.ops[k].data = make([]T, length)
			continue
		}
		w.ops[k].data, w.err = w.from[k].whole(sizeOf(t, t.Axes[k]))
		w.from[k] = nil
	}
}
