package cpu

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// Vectors that follow from less memory than they take are not written out: the cells of a tensor in the order of its labels, and eq tables,
// whose elements are products of two that smaller tables have. A sumcheck reads such a vector twice, in its first round and as the first
// challenge is bound, which leaves half as many elements. To compute them costs no more than to write them to memory that is fresh, and to
// read them.

// source computes the elements of a vector.
type source interface {
	size() int
	// read computes the elements from one on, up to lazyStep of them, from a multiple of their number's next power of two on; scratch is as long.
	read(dst, scratch vec, from int)
}

const (
	lazyStep = 2 * tile // elements that are computed at a time
	lazySize = 1 << 12  // of a vector for which that pays
	lazyRun  = 64       // cells of a tensor that stand together
)

// cellsOf are the cells of a tensor as a partial evaluation that folds nothing has them.
type cellsOf struct {
	leafBlock
	n int
}

// newCells returns nil where the cells stand in another order, or too far apart.
func newCells(t *integer.Tensor, labels []backend.Label, bits int) *cellsOf {
	shape, at := make([]int, 0, len(labels)), 0
	for _, l := range slices.Backward(labels) {
		switch {
		case l.Extent == 1:
			continue
		case l.Var != at:
			return nil
		}
		shape = append(shape, l.Extent)
		at += log2(l.Extent)
	}
	if 1<<bits < lazySize || at != bits || size(shape) != t.Len() {
		return nil
	}
	slices.Reverse(shape)
	shape = mergeAxes(shape)
	last := shape[len(shape)-1]
	if last < lazyRun {
		return nil
	}
	b := leafBlock{cols: []column{columnOf(t)}, end: 1 << bits, shape: shape, rowBits: log2(last)}
	b.linear = newLinear(field.Element{}, []field.Element{one()})
	return &cellsOf{b, 1 << bits}
}

func (c *cellsOf) size() int { return c.n }

func (c *cellsOf) read(dst, scratch vec, from int) {
	var few [lazyStep / lazyRun]span
	done := 0
	for _, sp := range c.spans(few[:0], from, from, from+len(dst)) {
		clear(dst[done:sp.at])
		done = sp.at + sp.n
		c.denominators(dst[sp.at:done], scratch[:sp.n], sp.cell)
	}
	clear(dst[done:])
}

// eqProduct is an eq table. Small ones are no vectors that a sumcheck reads along: it leaves them out, or has them written out.
type eqProduct struct {
	point     vec
	low, high vec
}

func newEq(point []field.Element) source {
	cut := min(len(point), log2(lazyStep))
	return &eqProduct{slices.Clone(point), eqTable(point[:cut]), eqTable(point[cut:])}
}

func (e *eqProduct) size() int { return len(e.low) * len(e.high) }

func (e *eqProduct) read(dst, _ vec, from int) {
	scaleVec(dst, e.low[from%len(e.low):][:len(dst)], &e.high[from/len(e.low)])
}
