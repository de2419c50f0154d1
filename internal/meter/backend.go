package meter

import (
	"context"
	"sync"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// The names of operations.
const (
	Products    = "integer products" // of the witness: sums of terms with products of matrices among them
	Sums        = "integer sums"     // of other terms
	Hints       = "hints"            // of it
	Counts      = "count lookups"    // of it
	Cells       = "cells"            // of it that go to the host, or come from there one by one
	Commit      = "commit rows"
	MSM         = "multi-scalar"
	Evaluate    = "evaluate"
	Weights     = "fold weights" // partial evaluations of tensors of 16 bits
	Values      = "fold values"  // and of others
	Fractions   = "fractions"
	Sumchecks   = "sumchecks"
	Rows        = "fold rows"
	Combination = "combine"
	Tables      = "tables"
	Load        = "load"    // tensors that are handed over
	Vectors     = "vectors" // and vectors, which no proof does
	Argument    = "argument"
)

// Bytes of what crosses the seam. Handles are nothing, and generators are not counted: they are the same for all proofs.
const (
	elementBytes = 32
	pointBytes   = 64
)

// Backend returns a backend whose operations are metered. Its results are those of the given one.
func (m *Meter) Backend(b backend.Backend) backend.Backend {
	if m == nil {
		return b
	}
	return metered{b, m}
}

// metered passes on to a backend, and tells a meter.
type metered struct {
	backend.Backend
	m *Meter
}

func (b metered) Open() (backend.Session, error) {
	s, err := b.Backend.Open()
	return &session{Session: s, holding: holding{m: b.m}}, err
}

// holding knows the tensors that were handed over.
type holding struct {
	m       *Meter
	mu      sync.Mutex
	tensors map[backend.Tensor]*integer.Tensor
}

// load meters what hands a tensor over.
func (h *holding) load(t *integer.Tensor, load func(*integer.Tensor) backend.Tensor) backend.Tensor {
	n := int64(t.Len())
	done := h.m.begin(Operation{Name: Load, Unit: "cells", Calls: 1, Items: n, In: bytesOf(t)})
	held := load(t)
	done()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tensors == nil {
		h.tensors = map[backend.Tensor]*integer.Tensor{}
	}
	h.tensors[held] = t
	return held
}

// short says whether a tensor is one of 16 bits that was handed over.
func (h *holding) short(t backend.Tensor) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	own := h.tensors[t]
	return own != nil && own.Short != nil
}

type session struct {
	backend.Session
	holding
}

func (s *session) Load(t *integer.Tensor) backend.Tensor { return s.load(t, s.Session.Load) }

func (s *session) Program() backend.Program { return &program{s.Session.Program(), s.m} }

func (s *session) Begin(ctx context.Context) backend.Run {
	return &run{Run: s.Session.Begin(ctx), holding: holding{m: s.m}, session: s}
}

type run struct {
	backend.Run
	holding
	session *session
}

func (r *run) Load(t *integer.Tensor) backend.Tensor { return r.load(t, r.Run.Load) }

func (r *run) Vector(vals []field.Element) backend.Vector {
	n := int64(len(vals))
	defer r.m.begin(Operation{Name: Vectors, Unit: "elements", Calls: 1, Items: n, In: elementBytes * n})()
	return r.Run.Vector(vals)
}

func (r *run) Values(v backend.Vector) []field.Element {
	n := int64(v.Elements())
	defer r.m.begin(Operation{Name: Vectors, Unit: "elements", Calls: 1, Items: n, Out: elementBytes * n})()
	return r.Run.Values(v)
}

// cellsOf counts the cells of rows.
func cellsOf(rows []backend.Row) (n int64) {
	for _, r := range rows {
		for i := range r {
			cells := int64(1)
			for _, d := range r[i].Shape {
				cells *= int64(d)
			}
			n += cells
		}
	}
	return n
}

func (r *run) CommitRows(gens []group.Affine, rows []backend.Row) []group.Affine {
	n := cellsOf(rows)
	defer r.m.begin(Operation{Name: Commit, Unit: "cells", Calls: 1, Items: n, Points: n, Out: pointBytes * int64(len(rows))})()
	return r.Run.CommitRows(gens, rows)
}

func (r *run) MSM(bases backend.Bases, scalars []field.Element) group.Affine {
	n := int64(len(scalars))
	defer r.m.begin(Operation{Name: MSM, Unit: "points", Calls: 1, Items: n, Points: n, In: elementBytes * n, Out: pointBytes})()
	return r.Run.MSM(bases, scalars)
}

func (r *run) EvalMany(evals []backend.Eval) []field.Element {
	o := Operation{Name: Evaluate, Unit: "cells", Calls: 1, Out: elementBytes * int64(len(evals))}
	for i := range evals {
		o.Items += int64(evals[i].T.Len())
		o.In += elementBytes * int64(len(evals[i].Point))
	}
	o.Multiplications, o.Additions = o.Items, o.Items
	defer r.m.begin(o)()
	return r.Run.EvalMany(evals)
}

// Partials meters those of tensors of 16 bits by themselves; what was asked for together is passed on in two calls.
func (r *run) Partials(partials []backend.Partial) []backend.Vector {
	out := make([]backend.Vector, len(partials))
	for _, name := range []string{Weights, Values} {
		o := Operation{Name: name, Unit: "cells", Calls: 1}
		var some []backend.Partial
		var at []int
		for i, p := range partials {
			if (r.short(p.T) || r.session.short(p.T)) != (name == Weights) {
				continue
			}
			some, at = append(some, p), append(at, i)
			o.Items += int64(p.T.Len())
			for k := range p.Labels {
				o.In += elementBytes * int64(len(p.Labels[k].Point))
			}
		}
		if len(some) == 0 {
			continue
		}
		o.Multiplications, o.Additions = o.Items, o.Items
		done := r.m.begin(o)
		for i, v := range r.Run.Partials(some) {
			out[at[i]] = v
		}
		done()
	}
	return out
}

func (r *run) FoldRows(sums []backend.RowSum, width int) []backend.Vector {
	o := Operation{Name: Rows, Unit: "cells", Calls: 1}
	for i := range sums {
		o.Items += cellsOf(sums[i].Rows)
		o.In += elementBytes * int64(len(sums[i].Coefs))
	}
	o.Multiplications, o.Additions = o.Items, o.Items
	defer r.m.begin(o)()
	return r.Run.FoldRows(sums, width)
}

func (r *run) Tables(tables []backend.Table) []backend.Vector {
	o := Operation{Name: Tables, Unit: "entries", Calls: 1}
	for i := range tables {
		for _, w := range tables[i].Terms {
			entries := int64(1)
			for _, a := range w.Axes {
				entries *= int64(a.Extent)
				o.In += elementBytes * int64(len(a.Point))
			}
			o.Items += entries
			o.In += elementBytes
		}
	}
	o.Multiplications, o.Additions = o.Items, o.Items
	defer r.m.begin(o)()
	return r.Run.Tables(tables)
}

func (r *run) Combine(vecs []backend.Vector, coefs []field.Element) backend.Vector {
	o := Operation{Name: Combination, Unit: "elements", Calls: 1, In: elementBytes * int64(len(coefs))}
	for _, v := range vecs {
		o.Items += int64(v.Elements())
	}
	o.Multiplications, o.Additions = o.Items, o.Items
	defer r.m.begin(o)()
	return r.Run.Combine(vecs, coefs)
}

// Fractions: a leaf has a product per column but the first, a node above two fractions has three products and a sum. In a layer's sumcheck a
// pair of nodes has four values that are bound, a product and two sums each, and makes two coefficients of four products and two sums each;
// of all rounds and layers there are as many pairs as there are leaves.
func (b *run) Fractions(n int, blocks []backend.Block) backend.FractionTree {
	const products, sums = 3 + 4 + 2*4, 1 + 4*2 + 2*2
	o := Operation{Name: Fractions, Unit: "leaves", Calls: 1}
	for i := range blocks {
		cells := int64(1)
		for _, d := range blocks[i].Shape {
			cells *= int64(d)
		}
		columns := int64(len(blocks[i].Cols))
		o.Items += cells
		o.Multiplications += cells * (products + columns - 1)
		o.Additions += cells * (sums + columns)
		o.In += elementBytes * (columns + 2)
	}
	defer b.m.begin(o)()
	return &tree{b.Run.Fractions(n, blocks), b.m}
}

// tree meters the rounds of a fraction tree's layers: they belong to Fractions.
type tree struct {
	backend.FractionTree
	m *Meter
}

func (t *tree) Root() (a0, a1, b0, b1 field.Element) {
	defer t.m.begin(Operation{Name: Fractions, Unit: "leaves", Calls: 1, Out: 4 * elementBytes})()
	return t.FractionTree.Root()
}

func (t *tree) Layer(j int, s []field.Element, lambda field.Element) backend.LayerRounds {
	defer t.m.begin(Operation{Name: Fractions, Unit: "leaves", Calls: 1, In: elementBytes * int64(1+len(s))})()
	return &layer{t.FractionTree.Layer(j, s, lambda), t.m}
}

type layer struct {
	backend.LayerRounds
	m *Meter
}

func (l *layer) round(in, out int64) func() {
	return l.m.begin(Operation{Name: Fractions, Unit: "leaves", Calls: 1, In: elementBytes * in, Out: elementBytes * out})
}

func (l *layer) First() field.Element {
	defer l.round(0, 1)()
	return l.LayerRounds.First()
}

func (l *layer) Round() (delta, inf field.Element) {
	defer l.round(0, 2)()
	return l.LayerRounds.Round()
}

func (l *layer) Bind(rho field.Element) {
	defer l.round(1, 0)()
	l.LayerRounds.Bind(rho)
}

func (l *layer) Claims() (a0, a1, b0, b1 field.Element) {
	defer l.round(0, 4)()
	return l.LayerRounds.Claims()
}

// Sumcheck: of all rounds together an instance of N variables has 2^N pairs per factor that are bound, a product and two sums each, and 2^N
// products of its factors at every point but one.
func (b *run) Sumcheck(instances []backend.Instance, rounds, degree int) backend.Sumcheck {
	o := Operation{Name: Sumchecks, Unit: "entries", Calls: 1}
	for i := range instances {
		size, factors := int64(1)<<instances[i].N, int64(len(instances[i].Factors))
		o.Items += size * factors
		o.Multiplications += size * (factors + int64(degree)*max(0, factors-1))
		o.Additions += size * (2*factors + int64(degree))
		o.In += elementBytes
	}
	defer b.m.begin(o)()
	return &check{b.Run.Sumcheck(instances, rounds, degree), b.m}
}

type check struct {
	backend.Sumcheck
	m *Meter
}

func (c *check) part(in, out int64) func() {
	return c.m.begin(Operation{Name: Sumchecks, Unit: "entries", Calls: 1, In: elementBytes * in, Out: elementBytes * out})
}

func (c *check) Round() (g []field.Element) {
	done := c.part(0, 0)
	defer func() {
		done()
		c.m.begin(Operation{Name: Sumchecks, Unit: "entries", Out: elementBytes * int64(len(g))})()
	}()
	return c.Sumcheck.Round()
}

func (c *check) Bind(r field.Element) {
	defer c.part(1, 0)()
	c.Sumcheck.Bind(r)
}

func (c *check) Finals() (finals [][]field.Element) {
	done := c.part(0, 0)
	defer func() {
		done()
		for _, f := range finals {
			c.m.begin(Operation{Name: Sumchecks, Unit: "entries", Out: elementBytes * int64(len(f))})()
		}
	}()
	return c.Sumcheck.Finals()
}

// Argument: all rounds together take two sums of the length's points and two inner products, and fold two vectors and the points once.
func (b *run) Argument(
	mask []field.Element, segments []backend.Segment, form []field.Element, g backend.Bases, U group.Affine,
) backend.Argument {
	n := int64(len(mask))
	o := Operation{Name: Argument, Unit: "elements", Calls: 1, Items: n, Multiplications: 4 * n, Additions: 4 * n, Points: 3 * n}
	o.In = pointBytes + 2*elementBytes*n
	for i := range segments {
		o.In += elementBytes * int64(1+len(segments[i].Vals))
	}
	defer b.m.begin(o)()
	return &argument{b.Run.Argument(mask, segments, form, g, U), b.m}
}

type argument struct {
	backend.Argument
	m *Meter
}

func (a *argument) part(in, out int64) func() {
	return a.m.begin(Operation{Name: Argument, Unit: "elements", Calls: 1, In: in, Out: out})
}

func (a *argument) Round() (l, r group.Affine) {
	defer a.part(0, 2*pointBytes)()
	return a.Argument.Round()
}

func (a *argument) Fold(x field.Element) {
	defer a.part(elementBytes, 0)()
	a.Argument.Fold(x)
}

func (a *argument) Rest() (rest []field.Element) {
	done := a.part(0, 0)
	defer func() {
		done()
		a.m.begin(Operation{Name: Argument, Unit: "elements", Out: elementBytes * int64(len(rest))})()
	}()
	return a.Argument.Rest()
}
