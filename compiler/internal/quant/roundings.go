package quant

import (
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// Floor, ceil, round and trunc give the integer that belongs to what the circuit holds of their argument, of all its bits: a division by a power of
// two. So the result is right of an argument that the circuit holds exactly, an input's, and what is computed of those without rounding. An
// argument with a real factor, the quotient by 3, say, is known up to parts of its unit, and a quarter of one below an integer is that integer:
// else 3 divided by 3 could be 0.

// factorBits are those of an argument's real factor: more than a number of single precision has.
const factorBits = 30

// isRounding says that a function is lowered here.
func isRounding(fn string) bool { return slices.Contains(ir.Roundings, fn) }

func (q *quantiser) integral(n *ir.Node, v *ir.Value, fn string) error {
	x, err := q.value(n.In[0])
	if err != nil {
		return err
	}
	x = q.fraction(n, x)
	switch {
	case x.mult != 1 && x.scale <= -2-factorBits: // numbers so great are known up to far more than 1
		q.set(v.ID, x)
		return q.err
	case x.mult == 1 && x.scale <= 0:
		q.set(v.ID, &rep{id: x.id, scale: x.scale, mult: 1})
		return q.err
	}
	up, down := x, x // what is rounded up and down: a quarter of a unit less, and more
	if x.mult != 1 {
		coef := portable.Clamp(math.Round(math.Ldexp(x.mult, factorBits)))
		at := func(quarter int64) *rep {
			w := q.affine(n, x, 4*coef, quarter*q.slack(n, x, coef))
			w.Scale = x.scale + 2 + factorBits
			return &rep{id: w.ID, scale: w.Scale, mult: 1, from: x.from}
		}
		up, down = at(-1), at(1)
	}
	in, terms := q.roundings(n, v, fn, x, up, down)
	w := q.add(n, v.Name, v.Shape, in, ir.OpEinsum, &ir.EinsumAttr{Terms: terms})
	q.set(v.ID, &rep{id: w.ID, mult: 1})
	return q.err
}

// fraction is an operand of integral with bits to spare for a real factor, and with a scale that can be dropped.
func (q *quantiser) fraction(n *ir.Node, x *rep) *rep {
	if q.leaves62(x.id) || x.mult != 1 && q.width(x.id)+2+factorBits > narrowBits {
		x = q.narrow(n, x)
	}
	most := gadget.MaxShift - 1 // of a scale that is dropped
	if x.mult != 1 {
		most -= 2 + factorBits
	}
	if x.scale > most {
		x = q.rescale(n, x, most, narrowBits-2-factorBits, q.cal.Max[n.In[0]]/x.mult)
	}
	return x
}

// roundings are what x rounded is a sum of products of: of integers near what is to be rounded up and down.
func (q *quantiser) roundings(n *ir.Node, v *ir.Value, fn string, x, up, down *rep) (in []ir.ValueID, terms []ir.Term) {
	axes, extents := ir.IdentityAxes(v.Shape)
	term := func(coef int64, in ...int) ir.Term {
		t := ir.Term{ICoef: coef, Coef: float64(coef), Extents: extents, In: in, Out: axes}
		for range in {
			t.Axes = append(t.Axes, axes)
		}
		return t
	}
	half := int64(1) << (down.scale - 1)
	switch fn {
	case "floor":
		in, terms = []ir.ValueID{q.nearest(n, v, down, 1, -half)}, []ir.Term{term(1, 0)}
	case "ceil":
		in, terms = []ir.ValueID{q.nearest(n, v, up, -1, -half)}, []ir.Term{term(-1, 0)}
	case "trunc": // a below, −b above, and the sign, 0 or −1, that chooses: a + sign·(a + b)
		a, b := q.nearest(n, v, down, 1, -half), q.nearest(n, v, up, -1, -half)
		in = []ir.ValueID{a, b, q.negative(n, v, x.id)}
		terms = []ir.Term{term(1, 0), term(1, 0, 2), term(1, 1, 2)}
	default: // the nearest, halves up, a; halves down, −b; where they differ the even one, a − (a + b)·(a mod 2)
		a, b := q.nearest(n, v, down, 1, 0), q.nearest(n, v, up, -1, 0)
		w := &rep{id: a, scale: 1, mult: 1}
		h := q.nearest(n, v, w, 1, -1)
		in = []ir.ValueID{a, b, h}
		terms = []ir.Term{term(1, 0), term(-1, 0, 0), term(2, 0, 2), term(-1, 0, 1), term(2, 1, 2)}
	}
	return in, terms
}

// slack is how much of an argument with a real factor is not known, in quarters of its unit times factorBits' power of two: a quarter of a unit.
// The product of integers and a factor is as precise as the factor, though its unit may be larger than 1; what single precision does not tell
// from an integer is that integer.
func (q *quantiser) slack(n *ir.Node, x *rep, coef int64) int64 {
	from := q.f.Value(n.In[0]).Def
	unit := math.Ldexp(x.mult, -x.scale)
	a, is := from.Attr.(*ir.EinsumAttr)
	if !is || len(a.Terms) != 1 || len(a.Terms[0].In) != 1 || math.Abs(a.Terms[0].Coef) != unit || unit < coarseUnit {
		return coef
	}
	y, err := q.value(from.In[a.Terms[0].In[0]])
	if err != nil || y.scale != 0 || y.mult != 1 || !q.integers[from.In[a.Terms[0].In[0]]] {
		return coef
	}
	return max(1, min(coef, portable.Clamp(math.Ceil(math.Ldexp(q.cal.Max[n.In[0]], x.scale+2+factorBits-22)))))
}

// coarseUnit is from which unit on a quarter of it is more than what integers times a factor should be moved by.
const coarseUnit = 1.0 / 64

// nearest is the integer nearest to sign·x plus so many units, a half rounded up.
func (q *quantiser) nearest(n *ir.Node, v *ir.Value, x *rep, sign, units int64) ir.ValueID {
	id := x.id
	if sign != 1 || units != 0 {
		id = q.affine(n, x, sign, units).ID
	}
	bits := max(ActBits, q.width(id)-x.scale+2)
	w := q.add(n, v.Name+".nearest", v.Shape, []ir.ValueID{id}, ir.OpRescale, &ir.RescaleAttr{Shift: x.scale, Lo: -1 << (bits - 1), Hi: 1<<(bits-1) - 1})
	q.note(w, "integer", x.scale, q.cal.Max[v.ID], false)
	return w.ID
}
