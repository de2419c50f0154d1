// Package host computes witnesses in this process' memory: for backends of the processor, and for whoever has none. Tensors are those of
// package integer.
package host

import (
	"context"
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/parallel"
	"github.com/zkllmc/zkllmc/internal/tensor"
	"github.com/zkllmc/zkllmc/internal/witness/rule"
	attention "github.com/zkllmc/zkllmc/runtime/gadget/attention/hint"
	gadget "github.com/zkllmc/zkllmc/runtime/gadget/hint"
)

// kind is a kind of hint with its rule, which stands beside the gadget that needs it.
type kind struct {
	circuit.HintKind
	rule.Rule
}

// kinds are those of all hints but that of private inputs, which come from outside, by their names.
var kinds = func() map[string]kind {
	all := map[string]kind{}
	for _, rules := range []map[circuit.HintKind]rule.Rule{gadget.Rules(), attention.Rules()} {
		for k, r := range rules {
			all[k.String()] = kind{k, r}
		}
	}
	return all
}()

// Rule returns the rule of a kind.
func Rule(k circuit.HintKind) (r rule.Rule, ok bool) {
	known, ok := kinds[k.String()]
	return known.Rule, ok
}

// Program is a backend.Program. A tensor of zeros has no cells before the first is written.
type Program struct {
	own   *parallel.Pool // of whatever no job limits
	pool  *parallel.Pool
	packs *tensor.Packs
}

// New begins the computation of a witness, on a pool unless a job has another one.
func New(pool *parallel.Pool) *Program {
	return &Program{own: pool, pool: pool, packs: tensor.NewPacks()}
}

// Err is nil: memory does not fail.
func (*Program) Err() error { return nil }

// Within takes the threads of a job.
func (p *Program) Within(ctx context.Context) {
	if p.pool = parallel.Of(ctx); p.pool == nil {
		p.pool = p.own
	}
}

// Close leaves everything to the collector.
func (p *Program) Close() { p.packs = nil }

// Load keeps a tensor where it is.
func (*Program) Load(t *integer.Tensor) backend.Tensor { return t }

// Zeros returns a tensor whose memory is taken when it is needed.
func (*Program) Zeros(shape []int, wide bool) backend.Tensor {
	t := &integer.Tensor{Shape: slices.Clone(shape)}
	if wide {
		t.High = []int64{}
	}
	return t
}

// cellsOf is how many cells a shape has.
func cellsOf(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// filled is a tensor with the memory of its cells.
func filled(held backend.Tensor) *integer.Tensor {
	t := held.(*integer.Tensor)
	if n := cellsOf(t.Shape); t.Len() == 0 && n > 0 {
		if t.V = make([]int64, n); t.High != nil {
			t.High = make([]int64, n)
		}
	}
	return t
}

// Words cuts a wide tensor.
func (*Program) Words(t backend.Tensor) (lower, upper backend.Tensor) {
	l, u := filled(t).Words()
	if u == nil {
		return l, nil
	}
	return l, u
}

// Cells are the tensor itself, or a copy of the part where it does not lie in one piece.
func (*Program) Cells(p backend.Part) *integer.Tensor {
	t := filled(p.T)
	if p.Box == nil {
		return t
	}
	out := &integer.Tensor{Shape: shapeOf(p), V: gather(t, p.Box)}
	if t.High != nil {
		out.High = gatherCells(t.High, t.Shape, p.Box)
	}
	return out
}

// Put keeps the cells that a whole tensor is to have where they are.
func (*Program) Put(p backend.Part, cells *integer.Tensor) { put(p, cells.All(), cells.High) }

func put(p backend.Part, v, high []int64) {
	t := p.T.(*integer.Tensor)
	if p.Box == nil {
		if t.V = v; t.High != nil {
			t.High = high
		}
		return
	}
	t = filled(t)
	scatter(t.V, t.Shape, p.Box, v)
	if t.High != nil {
		scatter(t.High, t.Shape, p.Box, high)
	}
}

// Free lets the collector have the memory.
func (*Program) Free(tensors ...backend.Tensor) {
	for _, t := range tensors {
		if t != nil {
			t := t.(*integer.Tensor)
			t.V, t.High, t.Short, t.Mid = nil, nil, nil, nil
		}
	}
}

// Written leaves cells as they are: they are computed with in 64 bits.
func (*Program) Written(...backend.Bounded) {}

// Settle keeps cells in 16 bits or 32 where they fit.
func (p *Program) Settle(tensors ...backend.Bounded) {
	p.packs = tensor.NewPacks()
	p.pool.Run(len(tensors), func(_, i int) { tensors[i].T.(*integer.Tensor).Shorten() })
}

// Einsum adds with the kernels of package tensor.
func (p *Program) Einsum(to backend.Part, terms []backend.Term) {
	for i := range terms {
		for _, f := range terms[i].Factors {
			filled(f.T)
		}
	}
	tensor.Part{Box: to.Box, Packs: p.packs, Pool: p.pool}.Add(*filled(to.T), terms)
}

// Nonzero walks through the cells.
func (p *Program) Nonzero(part backend.Part) (n, first int) {
	first = -1
	words := p.columns(part)
	for i, x := range words[0] {
		if x != 0 || len(words) > 1 && words[1][i] != 0 {
			if n++; first < 0 {
				first = i
			}
		}
	}
	return n, first
}

// columns are the cells of a part, and the upper words of a wide one.
func (p *Program) columns(part backend.Part) [][]int64 {
	t := p.Cells(part)
	if t.High != nil {
		return [][]int64{t.V, t.High}
	}
	return [][]int64{t.All()}
}

// counter counts the lines of a table.
type counter struct {
	*finder
	p     *Program
	lines []int64
}

// Counter prepares a table.
func (p *Program) Counter(table []backend.Tensor) backend.Counter {
	cols := make([][]int64, len(table))
	for i, t := range table {
		cols[i] = filled(t).All()
	}
	return &counter{newFinder(cols), p, make([]int64, len(cols[0]))}
}

// Count looks at the cells of a whole column of 16 bits as they are, where a value says which line it is.
func (c *counter) Count(parts []backend.Part) (bad int) {
	if t := parts[0].T.(*integer.Tensor); len(parts) == 1 && parts[0].Box == nil && t.Short != nil && c.direct() {
		return countColumn(c.finder, c.p.pool, t.Short, c.lines)
	}
	cols := make([][]int64, len(parts))
	for i, part := range parts {
		cols[i] = c.p.columns(part)[0]
	}
	return c.count(c.p.pool, cols, c.lines)
}

func (c *counter) Multiplicities() backend.Tensor {
	return &integer.Tensor{Shape: []int{len(c.lines)}, V: c.lines}
}

// shapeOf is the shape of a part.
func shapeOf(p backend.Part) []int {
	if p.Box == nil {
		return p.T.(*integer.Tensor).Shape
	}
	shape := make([]int, len(p.Box))
	for a, r := range p.Box {
		shape[a] = r.Hi - r.Lo
	}
	return shape
}
