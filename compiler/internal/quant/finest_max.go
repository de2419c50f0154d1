package quant

import (
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/ir"
)

// fineLarger is the larger of two tensors of more bits than a table of differences has: b + s·(a − b), s being 1 where a − b is positive.
func (q *quantiser) fineLarger(n *ir.Node, v *ir.Value, a, b *rep) error {
	diff := q.sum(n, v.Name+".difference", v.Shape, []ir.ValueID{a.id, b.id}, q.cells(v, 1, 0), q.cells(v, -1, 1))
	if q.err != nil {
		return q.err
	}
	s := q.isPositive(n, v.Name+".first", &rep{id: diff.ID, scale: a.scale, mult: 1})
	attr := &ir.EinsumAttr{Terms: []ir.Term{q.cells(v, 1, 1), q.cells(v, 1, 0, 2), q.cells(v, -1, 1, 2)}}
	bounds := q.o.Value(a.id).Bounds().Larger(q.o.Value(b.id).Bounds())
	w := q.bounded(n, v.Name+".larger", v.Shape, []ir.ValueID{a.id, b.id, s.ID}, attr, bounds, largerWhy)
	w.Scale = a.scale
	w = q.quotient(n, v.Name, w, 0)
	q.set(v.ID, &rep{id: w.ID, scale: a.scale, mult: 1})
	return q.err
}

// fineRelu is x where it is positive, and 0 elsewhere, with all bits of x.
func (q *quantiser) fineRelu(n *ir.Node, v *ir.Value, x *rep) error {
	if q.width(x.id) >= maxBits {
		x = q.narrow(n, x)
	}
	s := q.isPositive(n, v.Name+".sign", x)
	bounds := interval.Of(0, max(0, q.o.Value(x.id).Hi))
	w := q.bounded(n, v.Name, v.Shape, []ir.ValueID{x.id, s.ID}, &ir.EinsumAttr{Terms: []ir.Term{q.cells(v, 1, 0, 1)}}, bounds, positiveWhy)
	w.Scale = x.scale
	q.set(v.ID, &rep{id: w.ID, scale: x.scale, mult: x.mult, raw: x.raw})
	return q.err
}
