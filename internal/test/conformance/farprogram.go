package conformance

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// farProgram computes a witness elsewhere.
type farProgram struct {
	backend.Program
	*home
}

func (p *farProgram) Close() {
	p.closed = true
	p.Program.Close()
}

// hold makes a handle of a tensor.
func (p *farProgram) hold(own backend.Tensor, n int) backend.Tensor {
	return &farTensor{own, p.home, n}
}

func (p *farProgram) Load(t *integer.Tensor) backend.Tensor { return p.load(t, p.Program.Load) }

func (p *farProgram) Zeros(shape []int, wide bool) backend.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return p.hold(p.Program.Zeros(shape, wide), n)
}

func (p *farProgram) Words(t backend.Tensor) (lower, upper backend.Tensor) {
	l, u := p.Program.Words(p.tensor(t))
	if u == nil {
		return t, nil
	}
	return p.hold(l, t.Len()), p.hold(u, t.Len())
}

func (p *farProgram) part(part backend.Part) backend.Part {
	if part.T != nil {
		part.T = p.tensor(part.T)
	}
	return part
}

func (p *farProgram) parts(all []backend.Part) []backend.Part {
	out := make([]backend.Part, len(all))
	for i, part := range all {
		out[i] = p.part(part)
	}
	return out
}

func (p *farProgram) Cells(part backend.Part) *integer.Tensor {
	return p.copy(p.Program.Cells(p.part(part)))
}

func (p *farProgram) Put(part backend.Part, cells *integer.Tensor) {
	p.Program.Put(p.part(part), p.copy(cells))
}

func (p *farProgram) Free(tensors ...backend.Tensor) {
	for _, t := range tensors {
		if t != nil {
			p.Program.Free(p.tensor(t))
			t.(*farTensor).own = nil
		}
	}
}

func (p *farProgram) Written(tensors ...backend.Bounded) { p.Program.Written(p.bounded(tensors)...) }

func (p *farProgram) Settle(tensors ...backend.Bounded) { p.Program.Settle(p.bounded(tensors)...) }

// bounded are tensors with their ranges.
func (p *farProgram) bounded(tensors []backend.Bounded) []backend.Bounded {
	own := slices.Clone(tensors)
	for i := range own {
		own[i].T = p.tensor(own[i].T)
	}
	return own
}

func (p *farProgram) Einsum(to backend.Part, terms []backend.Term) {
	terms = slices.Clone(terms)
	for i := range terms {
		terms[i].Factors = slices.Clone(terms[i].Factors)
		for k := range terms[i].Factors {
			terms[i].Factors[k].T = p.tensor(terms[i].Factors[k].T)
		}
	}
	p.Program.Einsum(p.part(to), terms)
}

func (p *farProgram) Hint(h *backend.Hint) (known, defined bool) {
	own := *h
	own.Table, own.In, own.Out = p.tensors(h.Table), p.parts(h.In), p.parts(h.Out)
	return p.Program.Hint(&own)
}

type farCounter struct {
	backend.Counter
	p *farProgram
	n int
}

func (p *farProgram) Counter(table []backend.Tensor) backend.Counter {
	return farCounter{p.Program.Counter(p.tensors(table)), p, table[0].Len()}
}

func (c farCounter) Count(lookups [][]backend.Part) (lookup, cell int) {
	own := make([][]backend.Part, len(lookups))
	for i, cols := range lookups {
		own[i] = c.p.parts(cols)
	}
	return c.Counter.Count(own)
}

func (c farCounter) Multiplicities() backend.Tensor { return c.p.hold(c.Counter.Multiplicities(), c.n) }

func (p *farProgram) Nonzero(part backend.Part) (n, first int) {
	return p.Program.Nonzero(p.part(part))
}
