package quant

import (
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// Roots and reciprocals. A table of equal steps has no room for functions that rise without bound or with a slope without bound towards 0.
// Here arguments have as many bits as it takes to tell the least from nothing that calibration saw, and results are quotients and roots of
// quotients, proved as such: they are as precise in relation to themselves at both ends.
//
// What is below one unit of the argument counts as one, in sqrt as 0, and what is above the calibrated range as its end: proofs say of both
// that they were clamped.

// Bits of arguments.
const (
	sqrtBits    = 30 // half of them are the result's, and the product of argument and inverse root has no more than 61
	leastBits   = 24
	mostBits    = 44
	quotientLog = 60 // log2 of numerators, or one less
)

// quotientWhy is the argument for |d·r| ≤ num where r = ⌊num/s⌋ and s = max(d², 1): see gadget.Reciprocal.
const quotientWhy = "|d·r| ≤ d²·r ≤ s·r ≤ num"

// isRoot says that a function is lowered here.
func isRoot(fn string) bool { return slices.Contains(ir.Roots, fn) }

// root lowers one of ir.Roots.
func (q *quantiser) root(n *ir.Node, v *ir.Value, fn string) error {
	x, err := q.value(n.In[0])
	if err != nil {
		return err
	}
	apart := q.cal.apart(n.In[0])
	switch {
	case fn == "sqrt":
		q.sqrt(n, v, x)
	case fn == "rsqrt":
		s := q.positive(n, x, min(max(leastBits, 20+2*apart/3), mostBits), 1)
		r := q.inverseRoot(n, v, v.Name, s)
		q.set(v.ID, &rep{id: r.ID, scale: r.Scale, mult: 1, raw: true})
	case q.o.Value(x.id).Bounds().Lo.Sign() >= 0:
		s := q.positive(n, x, min(30+apart/2, mostBits), 1)
		r := q.inverse(n, v, v.Name, q.plus(n, s, 1), s)
		q.set(v.ID, &rep{id: r.ID, scale: r.Scale, mult: 1, raw: true})
	default:
		q.signedReciprocal(n, v, x, 20+apart/3)
	}
	return q.err
}

// sqrt is s·r, r ≈ √(num/(s + 1)), of an argument of as many bits as there is room for: so that 1 is little to what matters.
func (q *quantiser) sqrt(n *ir.Node, v *ir.Value, x *rep) {
	if up := min(sqrtBits-q.width(x.id), 40); up > 0 {
		x = q.times(n, x, up)
	}
	s := q.positive(n, x, sqrtBits, 0)
	r := q.inverseRoot(n, v, v.Name+".inverse", s)
	axes, extents := ir.IdentityAxes(v.Shape)
	t := ir.Term{ICoef: 1, Coef: 1, Extents: extents, In: []int{0, 1}, Axes: [][][]int{axes, axes}, Out: axes}
	w := q.add(n, v.Name, v.Shape, []ir.ValueID{s.id, r.ID}, ir.OpEinsum, &ir.EinsumAttr{Terms: []ir.Term{t}})
	w.Scale = s.scale + r.Scale
	q.set(v.ID, &rep{id: w.ID, scale: w.Scale, mult: s.mult, raw: true})
}

// inverseRoot is ⌊√(num/(s + 1))⌋, s + 1 being positive's argument. num absorbs the argument's real factor.
func (q *quantiser) inverseRoot(n *ir.Node, v *ir.Value, name string, s *rep) *ir.Value {
	log := quotientLog - (quotientLog-s.scale)&1 // r has half of the scale that is left
	r := q.add(n, name, v.Shape, []ir.ValueID{s.id}, ir.OpRsqrt, &ir.RsqrtAttr{Num: numerator(log, s.mult), Eps: 1})
	r.Scale = (log - s.scale) / 2
	q.quotientError(v, r, s)
	return r
}

// inverse is ⌊num/d⌋, d being positive.
func (q *quantiser) inverse(n *ir.Node, v *ir.Value, name string, d ir.ValueID, s *rep) *ir.Value {
	r := q.add(n, name, v.Shape, []ir.ValueID{d}, ir.OpReciprocal, &ir.ReciprocalAttr{Num: numerator(quotientLog, s.mult)})
	r.Scale = quotientLog - s.scale
	q.quotientError(v, r, s)
	return r
}

// numerator is 2^log/mult.
func numerator(log int, mult float64) int64 {
	return portable.Clamp(math.Round(math.Ldexp(1/mult, log)))
}

// quotientError notes that a quotient is rounded down, by up to one unit.
func (q *quantiser) quotientError(v, r *ir.Value, s *rep) {
	sense := q.cal.moves.value[v.ID]
	q.note(r, "quotient", 0, q.cal.Max[v.ID], false)
	q.noteError(v.Name+" quotient", q.width(r.ID), ir.Size(v.Shape), float64(sense*math.Ldexp(1, -2*r.Scale))/3, false)
}

// signedReciprocal is d·r, r = ⌊num/max(d², 1)⌋, of an argument of either sign: 0 where that is 0, which counts as a clamp.
func (q *quantiser) signedReciprocal(n *ir.Node, v *ir.Value, x *rep, bits int) {
	if q.width(x.id) >= bits {
		x = q.rescale(n, x, min(x.scale, scaleFor(float64(headroom*q.cal.Max[n.In[0]]/x.mult), bits)), bits, q.cal.Max[n.In[0]])
		q.rounded(v.Name+" argument", x, bits, q.cal.moves.value[n.In[0]], false)
	}
	axes, extents := ir.IdentityAxes(v.Shape)
	pair := ir.Term{ICoef: 1, Coef: 1, Extents: extents, In: []int{0, 0}, Axes: [][][]int{axes, axes}, Out: axes}
	square := q.add(n, v.Name+".square", v.Shape, []ir.ValueID{x.id}, ir.OpEinsum, &ir.EinsumAttr{Terms: []ir.Term{pair}})
	square.Scale = 2 * x.scale
	d := q.positive(n, &rep{id: square.ID, scale: x.scale, mult: x.mult}, max(1, q.width(square.ID)), 1)
	r := q.inverse(n, v, v.Name+".square.reciprocal", q.plus(n, d, 1), d)
	if q.err != nil {
		return
	}
	attr := r.Def.Attr.(*ir.ReciprocalAttr)
	pair.In = []int{0, 1}
	w := q.o.Derive(n, ir.OpEinsum, v.Name, v.Shape, []ir.ValueID{x.id, r.ID}, &ir.EinsumAttr{Terms: []ir.Term{pair}})
	w.Scale, w.Lo, w.Hi = r.Scale, -attr.Num, attr.Num
	q.why[w.ID] = quotientWhy
	q.follow(n, w)
	q.set(v.ID, &rep{id: w.ID, scale: w.Scale, mult: 1, raw: true})
}

// positive is max(x − less, 0) in so many bits, less being 0 or 1 unit of the result: x itself, less that, where its bounds say that
// neither end is clamped.
func (q *quantiser) positive(n *ir.Node, x *rep, bits int, less int64) *rep {
	v := q.o.Value(x.id)
	if !v.Wide() && v.Lo >= less && q.width(x.id) <= bits {
		return &rep{id: q.plus(n, x, -less), scale: x.scale, mult: x.mult, from: x.from}
	}
	top := float64(x.mult * math.Ldexp(1, bits-1-x.scale)) // without calibration, of what is no value of the model
	if from := q.f.Value(n.In[0]); x.from == from.ID {
		top = q.cal.Max[from.ID]
	}
	scale := x.scale
	if q.width(x.id) > bits {
		scale = min(scale, scaleFor(float64(headroom*top/x.mult), bits+1))
	}
	shift := x.scale - scale
	if most := gadget.MaxShift - bits; !v.Wide() { // with fewer bits dropped all that is left fits, too
		shift = min(shift, most)
	} else if more := shift - gadget.MaxShift; more > 0 {
		shift, bits = gadget.MaxShift, bits+more
	}
	scale = x.scale - shift
	_, hi := quotients(v, shift)
	for bits > 1 && hi < 1<<(bits-1) {
		bits--
	}
	u := q.plus(n, x, -less<<shift)
	w := q.add(n, v.Name+".positive", v.Shape, []ir.ValueID{u}, ir.OpRescale, &ir.RescaleAttr{Shift: shift, Lo: 0, Hi: 1<<bits - 1})
	w.Scale = scale
	q.note(w, "activation", shift, top, true)
	s := &rep{id: w.ID, scale: scale, mult: x.mult, from: x.from}
	if shift > 0 {
		q.rounded(v.Name+" positive", s, bits, q.cal.moves.value[n.In[0]], false)
	}
	return s
}

// plus adds so many units to a value.
func (q *quantiser) plus(n *ir.Node, x *rep, more int64) ir.ValueID {
	if more == 0 {
		return x.id
	}
	return q.affine(n, x, 1, more).ID
}

// times multiplies a value by 2^up, exactly.
func (q *quantiser) times(n *ir.Node, x *rep, up int) *rep {
	w := q.affine(n, x, 1<<up, 0)
	w.Scale = x.scale + up
	return &rep{id: w.ID, scale: w.Scale, mult: x.mult, raw: x.raw, from: x.from}
}

// affine is coef·x + more.
func (q *quantiser) affine(n *ir.Node, x *rep, coef, more int64) *ir.Value {
	v := q.o.Value(x.id)
	axes, extents := ir.IdentityAxes(v.Shape)
	terms := []ir.Term{{ICoef: coef, Coef: float64(coef), Extents: extents, In: []int{0}, Axes: [][][]int{axes}, Out: axes}}
	if more != 0 {
		terms = append(terms, ir.Term{ICoef: more, Coef: float64(more), Extents: extents, In: []int{}, Axes: [][][]int{}, Out: axes})
	}
	w := q.add(n, v.Name+".shifted", v.Shape, []ir.ValueID{x.id}, ir.OpEinsum, &ir.EinsumAttr{Terms: terms})
	w.Scale = x.scale
	return w
}
