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

// Program is a backend.Program. A tensor of zeros has no cells before the first is written. Cells are kept in 16 bits or 32 where they fit:
// of tensors that are computed part by part from the first part on, of others when they are no longer among the last ones that were computed,
// of which most are read soon.
type Program struct {
	own     *parallel.Pool // of whatever no job limits
	pool    *parallel.Pool
	packs   *tensor.Packs
	scratch scratch
	recent  []*integer.Tensor // whole ones, in the order in which they were computed
	cells   int               // of these
}

// recentCells is how many cells of whole tensors are kept in 64 bits.
const recentCells = 1 << 24

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
func (p *Program) Close() { p.packs, p.recent = nil, nil }

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
	switch n := cellsOf(t.Shape); {
	case t.Len() > 0 || n == 0:
	case t.High != nil:
		t.V, t.High = make([]int64, n), make([]int64, n)
	default:
		t.Short = make([]int16, n)
	}
	return t
}

// computed notes a whole tensor that was computed.
func (p *Program) computed(t *integer.Tensor) {
	if p.recent = append(p.recent, t); len(p.recent) == 1 {
		p.cells = 0
	}
	for p.cells += cellsOf(t.Shape); p.cells > recentCells && len(p.recent) > 1; p.recent = p.recent[1:] {
		p.cells -= cellsOf(p.recent[0].Shape)
		p.recent[0].Shorten()
	}
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
func (p *Program) Put(part backend.Part, cells *integer.Tensor) {
	t := part.T.(*integer.Tensor)
	if part.Box == nil {
		if t.V, t.Short, t.Mid = cells.All(), nil, nil; t.High != nil {
			t.High = cells.High
		}
		p.computed(t)
		return
	}
	filled(t)
	if t.High == nil {
		scatter(t, part.Box, cells.All())
		return
	}
	scatter(t, part.Box, cells.V)
	scatter(&integer.Tensor{Shape: t.Shape, V: t.High}, part.Box, cells.High)
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

// Written does nothing: cells say themselves how many bits they take.
func (*Program) Written(...backend.Bounded) {}

// Settle keeps cells in 16 bits or 32 where they fit.
func (p *Program) Settle(tensors ...backend.Bounded) {
	p.packs, p.recent = tensor.NewPacks(), nil
	p.pool.Run(len(tensors), func(_, i int) { tensors[i].T.(*integer.Tensor).Shorten() })
}

// Einsum adds with the kernels of package tensor, in 64 bits a cell.
func (p *Program) Einsum(to backend.Part, terms []backend.Term) {
	for i := range terms {
		for _, f := range terms[i].Factors {
			filled(f.T)
		}
	}
	t := to.T.(*integer.Tensor)
	sum := &integer.Tensor{Shape: shapeOf(to)}
	switch {
	case to.Box != nil && t.High == nil:
		defer p.scratch.reset()
		if sum.V = p.scratch.take(cellsOf(sum.Shape)); t.Len() > 0 {
			read(sum.V, to)
		} else {
			clear(sum.V)
		}
	case t.Len() > 0 || t.High != nil:
		sum = p.Cells(to)
		sum = &integer.Tensor{Shape: sum.Shape, V: sum.All(), High: sum.High}
	default:
		sum.V = make([]int64, cellsOf(sum.Shape))
	}
	tensor.Part{Box: to.Box, Packs: p.packs, Pool: p.pool}.Add(*sum, terms)
	p.Put(to, sum)
}

// Nonzero walks through the cells.
func (p *Program) Nonzero(part backend.Part) (n, first int) {
	switch t := filled(part.T); {
	case part.Box == nil && t.Short != nil:
		return nonzero(t.Short)
	case part.Box == nil && t.Mid != nil:
		return nonzero(t.Mid)
	case t.High == nil:
		return nonzero(p.columns(part)[0])
	default:
		words := p.columns(part)
		either := make([]int64, len(words[0]))
		for i := range either {
			either[i] = words[0][i] | words[1][i]
		}
		return nonzero(either)
	}
}

func nonzero[T int16 | int32 | int64](v []T) (n, first int) {
	first = -1
	for i, x := range v {
		if x != 0 {
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

// shapeOf is the shape of a part.
func shapeOf(p backend.Part) []int {
	if p.Box == nil {
		return p.T.(*integer.Tensor).Shape
	}
	return extents(p.Box)
}
