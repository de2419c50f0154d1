package meter

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// program meters the computation of a witness.
type program struct {
	backend.Program
	m *Meter
}

// bytesOf is what a tensor's cells take.
func bytesOf(t *integer.Tensor) int64 {
	return 8*int64(len(t.V)+len(t.High)) + 4*int64(len(t.Mid)) + 2*int64(len(t.Short))
}

// cellsIn is how many cells a box has; a tensor is asked where there is none.
func cellsIn(p backend.Part) int64 {
	if p.Box == nil {
		return int64(p.T.Len())
	}
	n := int64(1)
	for _, r := range p.Box {
		n *= int64(r.Hi - r.Lo)
	}
	return n
}

func (p *program) Load(t *integer.Tensor) backend.Tensor {
	defer p.m.begin(Operation{Name: Load, Unit: "cells", Calls: 1, Items: int64(t.Len()), In: bytesOf(t)})()
	return p.Program.Load(t)
}

func (p *program) Cells(part backend.Part) (t *integer.Tensor) {
	done := p.m.begin(Operation{Name: Cells, Unit: "cells", Calls: 1})
	defer func() {
		done()
		p.m.begin(Operation{Name: Cells, Unit: "cells", Items: int64(t.Len()), Out: bytesOf(t)})()
	}()
	return p.Program.Cells(part)
}

func (p *program) Put(part backend.Part, t *integer.Tensor) {
	defer p.m.begin(Operation{Name: Cells, Unit: "cells", Calls: 1, Items: int64(t.Len()), In: bytesOf(t)})()
	p.Program.Put(part, t)
}

func (p *program) Einsum(to backend.Part, terms []backend.Term) {
	name := Sums
	if slices.ContainsFunc(terms, multiplies) {
		name = Products
	}
	defer p.m.begin(Operation{Name: name, Unit: "products", Calls: 1, Items: backend.Products(terms, to.Box)})()
	p.Program.Einsum(to, terms)
}

// multiplies says whether a term is a product of matrices: two of its factors share what is summed over.
func multiplies(t backend.Term) bool {
	with := make([]int, len(t.Extents))
	for _, f := range t.Factors {
		for _, axis := range f.Axes {
			for _, label := range axis {
				with[label]++
			}
		}
	}
	for _, axis := range t.Out {
		for _, label := range axis {
			with[label] = 0
		}
	}
	return slices.ContainsFunc(with, func(n int) bool { return n > 1 })
}

// Hint is metered by the cells that it yields.
func (p *program) Hint(h *backend.Hint) (known, defined bool) {
	done := p.m.begin(Operation{Name: Hints, Unit: "cells", Calls: 1})
	defer func() {
		done()
		o := Operation{Name: Hints, Unit: "cells"}
		for _, part := range h.Out {
			o.Items += cellsIn(part)
		}
		p.m.begin(o)()
	}()
	return p.Program.Hint(h)
}

func (p *program) Counter(table []backend.Tensor) backend.Counter {
	defer p.m.begin(Operation{Name: Counts, Unit: "cells", Calls: 1})()
	return counter{p.Program.Counter(table), p.m}
}

type counter struct {
	backend.Counter
	m *Meter
}

func (c counter) Count(lookups [][]backend.Part) (lookup, cell int) {
	o := Operation{Name: Counts, Unit: "cells", Calls: 1, Out: 8 * int64(len(lookups))}
	for _, cols := range lookups {
		o.Items += cellsIn(cols[0])
	}
	defer c.m.begin(o)()
	return c.Counter.Count(lookups)
}

func (p *program) Nonzero(part backend.Part) (n, first int) {
	defer p.m.begin(Operation{Name: Counts, Unit: "cells", Calls: 1, Items: cellsIn(part), Out: 16})()
	return p.Program.Nonzero(part)
}
