package meter

import (
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// The names of operations.
const (
	Products    = "integer products" // of the witness
	Commit      = "commit rows"
	MSM         = "multi-scalar"
	Evaluate    = "evaluate"
	Weights     = "fold weights" // partial evaluations of tensors of 16 bits
	Values      = "fold values"  // and of others
	Fractions   = "fractions"
	Sumchecks   = "sumchecks"
	Rows        = "fold rows"
	Combination = "combine"
	Argument    = "argument"
)

// Bytes of what crosses the seam.
const (
	elementBytes = 32
	pointBytes   = 64
)

// metered passes on to a backend, and tells a meter.
type metered struct {
	backend.Backend
	m *Meter
}

// Backend returns a backend whose operations are metered. Its results are those of the given one.
func (m *Meter) Backend(b backend.Backend) backend.Backend {
	if m == nil {
		return b
	}
	return &metered{b, m}
}

// tensorBytes are those of a tensor's cells.
func tensorBytes(t *integer.Tensor) int64 { return 8*int64(len(t.V)) + 2*int64(len(t.Short)) }

// cellsOf counts the cells of rows, and their bytes in the tensors that they are of.
func cellsOf(rows []backend.Row) (n, bytes int64) {
	for _, r := range rows {
		for i := range r {
			cells := int64(1)
			for _, d := range r[i].Shape {
				cells *= int64(d)
			}
			n += cells
			if bytes += 8 * cells; r[i].T.V == nil {
				bytes -= 6 * cells
			}
		}
	}
	return n, bytes
}

func (b *metered) CommitRows(gens []group.Affine, rows []backend.Row) ([]group.Affine, error) {
	n, bytes := cellsOf(rows)
	defer b.m.begin(Operation{Name: Commit, Unit: "cells", Calls: 1, Items: n, Points: n, In: bytes, Out: pointBytes * int64(len(rows))})()
	return b.Backend.CommitRows(gens, rows)
}

func (b *metered) MSM(points []group.Affine, scalars []field.Element) group.Affine {
	n := int64(len(points))
	defer b.m.begin(Operation{Name: MSM, Unit: "points", Calls: 1, Items: n, Points: n, In: (pointBytes + elementBytes) * n, Out: pointBytes})()
	return b.Backend.MSM(points, scalars)
}

func (b *metered) EvalMany(evals []backend.Eval) []field.Element {
	o := Operation{Name: Evaluate, Unit: "cells", Calls: 1, Out: elementBytes * int64(len(evals))}
	for i := range evals {
		o.Items += int64(evals[i].T.Len())
		o.In += tensorBytes(evals[i].T) + elementBytes*int64(len(evals[i].Point))
	}
	o.Multiplications, o.Additions = o.Items, o.Items
	defer b.m.begin(o)()
	return b.Backend.EvalMany(evals)
}

func (b *metered) Partial(t *integer.Tensor, labels []backend.Weights, bits int) []field.Element {
	n := int64(t.Len())
	o := Operation{Name: Values, Unit: "cells", Calls: 1, Items: n, Multiplications: n, Additions: n, In: tensorBytes(t), Out: elementBytes << bits}
	if t.V == nil {
		o.Name = Weights
	}
	for i := range labels {
		o.In += elementBytes * int64(len(labels[i].Fold))
	}
	defer b.m.begin(o)()
	return b.Backend.Partial(t, labels, bits)
}

func (b *metered) FoldRows(sums []backend.RowSum, width int) [][]field.Element {
	o := Operation{Name: Rows, Unit: "cells", Calls: 1, Out: elementBytes * int64(width) * int64(len(sums))}
	for i := range sums {
		n, bytes := cellsOf(sums[i].Rows)
		o.Items += n
		o.In += bytes + elementBytes*int64(len(sums[i].Coefs))
	}
	o.Multiplications, o.Additions = o.Items, o.Items
	defer b.m.begin(o)()
	return b.Backend.FoldRows(sums, width)
}

func (b *metered) Combine(vecs [][]field.Element, coef []field.Element) []field.Element {
	o := Operation{Name: Combination, Unit: "elements", Calls: 1}
	for _, v := range vecs {
		o.Items += int64(len(v))
	}
	o.Multiplications, o.Additions, o.In = o.Items, o.Items, elementBytes*(o.Items+int64(len(coef)))
	if len(vecs) > 0 {
		o.Out = elementBytes * int64(len(vecs[0]))
	}
	defer b.m.begin(o)()
	return b.Backend.Combine(vecs, coef)
}

// Fractions: a leaf has a product per column but the first, a node above two fractions has three products and a sum. In a layer's sumcheck a
// pair of nodes has four values that are bound, a product and two sums each, and makes two coefficients of four products and two sums each;
// of all rounds and layers there are as many pairs as there are leaves.
func (b *metered) Fractions(n int, blocks []backend.Block) backend.FractionTree {
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
		o.In += 8 * cells * columns
		if blocks[i].Mult != nil {
			o.In += 8 * cells
		}
	}
	defer b.m.begin(o)()
	return &tree{b.Backend.Fractions(n, blocks), b.m}
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
func (b *metered) Sumcheck(instances []backend.Instance, rounds, degree int) backend.Sumcheck {
	o := Operation{Name: Sumchecks, Unit: "entries", Calls: 1}
	for i := range instances {
		size, factors := int64(1)<<instances[i].N, int64(len(instances[i].Factors))
		o.Items += size * factors
		o.Multiplications += size * (factors + int64(degree)*max(0, factors-1))
		o.Additions += size * (2*factors + int64(degree))
		for k := range instances[i].Factors {
			o.In += elementBytes * int64(len(instances[i].Factors[k].Vals))
		}
	}
	defer b.m.begin(o)()
	return &check{b.Backend.Sumcheck(instances, rounds, degree), b.m}
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
func (b *metered) Argument(u, l []field.Element, g []group.Affine, U group.Affine) backend.Argument {
	n := int64(len(u))
	defer b.m.begin(Operation{Name: Argument, Unit: "elements", Calls: 1, Items: n, Multiplications: 4 * n, Additions: 4 * n, Points: 3 * n, In: (2*elementBytes + pointBytes) * n})()
	return &argument{b.Backend.Argument(u, l, g, U), b.m}
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
