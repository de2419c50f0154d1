package conformance

import (
	"context"
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// Elsewhere is a backend that computes as another one does, in a memory of its own as a device has: what is handed over is copied, handles
// say nothing but a size, and using one of another session, program or run, of one that is closed, or of what was freed, panics.
func Elsewhere(be backend.Backend) backend.Backend { return elsewhere{be} }

type elsewhere struct{ backend.Backend }

func (e elsewhere) Open() (backend.Session, error) {
	s, err := e.Backend.Open()
	return &farSession{Session: s, home: &home{}}, err
}

// home is a session or a run that holds things.
type home struct {
	of      *home // a run's, or a program's session
	program bool  // what it has is there for runs of the session
	closed  bool
}

// farTensor and farVector are handles.
type farTensor struct {
	own  backend.Tensor
	home *home
	n    int
}

func (t *farTensor) Len() int { return t.n }

type farVector struct {
	own  backend.Vector
	home *home
	n    int
}

func (v *farVector) Elements() int { return v.n }

// load copies a tensor.
func (h *home) load(t *integer.Tensor, load func(*integer.Tensor) backend.Tensor) backend.Tensor {
	own := h.copy(t)
	if t.High != nil {
		panic("a wide tensor is handed over in two")
	}
	return &farTensor{load(own), h, t.Len()}
}

// copy copies cells.
func (*home) copy(t *integer.Tensor) *integer.Tensor {
	return &integer.Tensor{Shape: slices.Clone(t.Shape), V: slices.Clone(t.V), Short: slices.Clone(t.Short), Mid: slices.Clone(t.Mid),
		High: slices.Clone(t.High)}
}

// tensor is what a handle stands for.
func (h *home) tensor(t backend.Tensor) backend.Tensor {
	far := t.(*farTensor)
	if h.closed || far.home.closed || far.own == nil || far.home != h && far.home != h.of && !(far.home.program && far.home.of == h.of) {
		panic("a tensor is used where it is not")
	}
	return far.own
}

func (h *home) tensors(all []backend.Tensor) []backend.Tensor {
	out := make([]backend.Tensor, len(all))
	for i, t := range all {
		out[i] = h.tensor(t)
	}
	return out
}

// vector is what a handle stands for.
func (h *home) vector(v backend.Vector) backend.Vector {
	far := v.(*farVector)
	if h.closed || far.home != h || far.own == nil {
		panic(fmt.Sprintf("a vector of %d is used where it is not", far.n))
	}
	return far.own
}

func (h *home) vectors(all []backend.Vector) []backend.Vector {
	out := make([]backend.Vector, len(all))
	for i, v := range all {
		out[i] = h.vector(v)
	}
	return out
}

// hold makes handles of vectors.
func (h *home) hold(all []backend.Vector) []backend.Vector {
	out := make([]backend.Vector, len(all))
	for i, v := range all {
		out[i] = &farVector{v, h, v.Elements()}
	}
	return out
}

func (h *home) rows(rows []backend.Row) []backend.Row {
	out := make([]backend.Row, len(rows))
	for i, row := range rows {
		out[i] = slices.Clone(row)
		for k := range row {
			out[i][k].T = h.tensor(row[k].T)
		}
	}
	return out
}

type farSession struct {
	backend.Session
	*home
}

func (s *farSession) Load(t *integer.Tensor) backend.Tensor { return s.load(t, s.Session.Load) }

func (s *farSession) Program() backend.Program {
	return &farProgram{s.Session.Program(), &home{of: s.home, program: true}}
}

func (s *farSession) Begin(ctx context.Context) backend.Run {
	return &farRun{s.Session.Begin(ctx), &home{of: s.home}}
}

func (s *farSession) Close() error {
	s.closed = true
	return s.Session.Close()
}

type farRun struct {
	backend.Run
	*home
}

func (r *farRun) Close() {
	r.closed = true
	r.Run.Close()
}

func (r *farRun) Load(t *integer.Tensor) backend.Tensor { return r.load(t, r.Run.Load) }

func (r *farRun) Vector(vals []field.Element) backend.Vector {
	return r.hold([]backend.Vector{r.Run.Vector(slices.Clone(vals))})[0]
}

func (r *farRun) Values(v backend.Vector) []field.Element { return r.Run.Values(r.vector(v)) }

func (r *farRun) Free(vecs ...backend.Vector) {
	for _, v := range vecs {
		if v == nil {
			continue
		}
		r.Run.Free(r.vector(v))
		v.(*farVector).own = nil
	}
}

func (r *farRun) CommitRows(gens []group.Affine, rows []backend.Row) []group.Affine {
	return r.Run.CommitRows(gens, r.rows(rows))
}

func (r *farRun) EvalMany(evals []backend.Eval) []field.Element {
	evals = slices.Clone(evals)
	for i := range evals {
		evals[i].T = r.tensor(evals[i].T)
	}
	return r.Run.EvalMany(evals)
}

func (r *farRun) Partials(partials []backend.Partial) []backend.Vector {
	partials = slices.Clone(partials)
	for i := range partials {
		partials[i].T = r.tensor(partials[i].T)
	}
	return r.hold(r.Run.Partials(partials))
}

func (r *farRun) FoldRows(sums []backend.RowSum, width int) []backend.Vector {
	sums = slices.Clone(sums)
	for i := range sums {
		sums[i].Rows = r.rows(sums[i].Rows)
	}
	return r.hold(r.Run.FoldRows(sums, width))
}

func (r *farRun) Tables(tables []backend.Table) []backend.Vector { return r.hold(r.Run.Tables(tables)) }

func (r *farRun) Combine(vecs []backend.Vector, coefs []field.Element) backend.Vector {
	return r.hold([]backend.Vector{r.Run.Combine(r.vectors(vecs), coefs)})[0]
}

func (r *farRun) Fractions(n int, blocks []backend.Block) backend.FractionTree {
	out := slices.Clone(blocks)
	for i := range out {
		b := &out[i]
		b.Cols = r.tensors(b.Cols)
		if b.Mult != nil {
			b.Mult = r.tensor(b.Mult)
		}
		for k := range blocks {
			if b.Lines == &blocks[k] {
				b.Lines = &out[k]
			}
		}
	}
	return r.Run.Fractions(n, out)
}

func (r *farRun) Sumcheck(instances []backend.Instance, rounds, degree int) backend.Sumcheck {
	instances = slices.Clone(instances)
	for i := range instances {
		in := &instances[i]
		in.Factors = slices.Clone(in.Factors)
		for k := range in.Factors {
			in.Factors[k].Vals = r.vector(in.Factors[k].Vals)
		}
	}
	return r.Run.Sumcheck(instances, rounds, degree)
}

func (r *farRun) Argument(
	mask []field.Element, segments []backend.Segment, form []field.Element, g backend.Bases, U group.Affine,
) backend.Argument {
	segments = slices.Clone(segments)
	for i := range segments {
		if segments[i].Held != nil {
			segments[i].Held = r.vector(segments[i].Held)
		}
	}
	return r.Run.Argument(mask, segments, form, g, U)
}
