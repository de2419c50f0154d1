package quant

import (
	"math"

	"github.com/zkllmc/zkllmc/ir"
)

// finePieces is a function in linear pieces whose slopes have as many digits as its values. Those of PiecewiseLinear are whole multiples of a
// unit of the result by a unit of the argument, which is little where arguments are fine. So the argument is cut here, into the number i of a
// piece and an offset l of so many bits, and PiecewiseLinear, with pieces of two arguments, is asked for the value at 2i and at 2i + 1:
//
//	y = p(2i) + (p(2i+1) − p(2i))·l/2^(bits−1)
//
// An argument beyond the range has the piece at its end, and the offset there.
func (q *quantiser) finePieces(n *ir.Node, v *ir.Value, x *rep, s functionScale, a *ir.PiecewiseLinearAttr) error {
	bits := s.low - 1 // of offsets: there are twice as many pieces as usual
	if x.scale > s.in {
		w := q.quotient(n, v.Name+".argument", q.o.Value(x.id), x.scale-s.in)
		x = &rep{id: w.ID, scale: s.in, mult: 1, from: x.from}
	}
	below := q.affine(n, x, 1, -1<<bits>>1) // a rescale adds half
	first, last := s.lo>>bits, s.hi>>bits
	i := q.add(n, v.Name+".piece", v.Shape, []ir.ValueID{below.ID}, ir.OpRescale, &ir.RescaleAttr{Shift: bits, Lo: first, Hi: last})
	q.note(i, "activation", bits, q.cal.Max[n.In[0]], true)
	l := q.sum(n, v.Name+".rest", v.Shape, []ir.ValueID{x.id, i.ID}, q.cells(v, 1, 0), q.cells(v, -1<<bits, 1))
	l = q.add(n, v.Name+".offset", v.Shape, []ir.ValueID{l.ID}, ir.OpRescale, &ir.RescaleAttr{Lo: 0, Hi: 1<<bits - 1})
	if q.err != nil {
		return q.err
	}
	at := func(name string, more int64) *ir.Value {
		j := q.affine(n, &rep{id: i.ID}, 2, more)
		of := *a
		of.Lo, of.Hi, of.Low, of.InScale = 2*first, 2*last+1, 1, a.InScale-bits+1
		return q.add(n, name, v.Shape, []ir.ValueID{j.ID}, ir.OpPiecewiseLinear, &of)
	}
	p, next := at(v.Name+".value", 0), at(v.Name+".next", 1)
	if q.err != nil {
		return q.err
	}
	w := q.sum(n, v.Name, v.Shape, []ir.ValueID{p.ID, next.ID, l.ID}, q.cells(v, 1<<(bits-1), 0), q.cells(v, 1, 1, 2), q.cells(v, -1, 0, 2))
	w.Scale = s.out + bits - 1
	q.note(w, "table", 0, q.cal.Max[v.ID], false)
	key := q.functionKey(n)
	q.rounded(key, &rep{id: x.id, scale: s.in, mult: 1}, TableBits+s.low, q.cal.moves.value[n.In[0]], true)
	s.bend /= 16 // of twice as many pieces
	q.functionOf(v, w, key, s, s.bend+math.Ldexp(1, -2*s.out))
	return q.err
}
