package quant

import (
	"github.com/zkllmc/zkllmc/ir"
)

func init() { lowerings[ir.OpFmod] = (*quantiser).fmod }

// fmodBits are the most that operands of a remainder have: quotients of two are found by a reciprocal of twice as many.
const fmodBits = 20

// fmod is the remainder of two integers of one scale: of magnitudes a, and d of at least 1 (where that is a clamp, a proof says so),
//
//	r = ⌊2^k/d⌋    q = ⌊a·r/2^k⌋    a − q·d, less d where that is not less than d
//
// with a < 2^k, so that q is the quotient or one less. It has the sign of x.
func (q *quantiser) fmod(n *ir.Node, v *ir.Value) error {
	var operands [2]*rep
	scale := 0
	for i, id := range n.In {
		x, err := q.value(id)
		if err != nil {
			return err
		}
		if q.width(x.id) > fmodBits {
			x = q.narrow(n, x)
		}
		operands[i] = q.plain(n, x, x.scale)
		scale = max(scale, operands[i].scale)
	}
	k := 1
	for i, x := range operands {
		operands[i] = q.plain(n, x, scale)
		k = max(k, q.width(operands[i].id)+1)
	}
	if q.err == nil && 3*k > narrowBits-2 {
		return n.Errorf("its operands have %d bits at the scale of the finer one; bring them to magnitudes that lie nearer to each other", k)
	}
	x, y := operands[0].id, operands[1].id
	negative := q.negative(n, v, x)
	a := q.terms(n, v, "magnitude", []ir.ValueID{x, negative}, term{1, []int{0}}, term{2, []int{0, 1}})
	b := q.terms(n, v, "divisor", []ir.ValueID{y, q.negative(n, v, y)}, term{1, []int{0}}, term{2, []int{0, 1}})
	less := q.positive(n, &rep{id: b, mult: 1}, k, 1)
	d := q.plus(n, less, 1)
	r := q.add(n, v.Name+".reciprocal", v.Shape, []ir.ValueID{d}, ir.OpReciprocal, &ir.ReciprocalAttr{Num: 1 << k})
	product := q.terms(n, v, "product", []ir.ValueID{a, r.ID}, term{1, []int{0, 1}})
	quotient := q.nearest(n, v, &rep{id: product, scale: k, mult: 1}, 1, -1<<(k-1))
	left := q.terms(n, v, "left", []ir.ValueID{a, quotient, d}, term{1, []int{0}}, term{-1, []int{1, 2}})
	below := q.negative(n, v, q.terms(n, v, "over", []ir.ValueID{left, d}, term{1, []int{0}}, term{-1, []int{1}})) // −1 where it is less than d
	rest := q.terms(n, v, "rest", []ir.ValueID{left, d, below}, term{1, []int{0}}, term{-1, []int{1}}, term{-1, []int{1, 2}})
	w := q.terms(n, v, "", []ir.ValueID{rest, negative}, term{1, []int{0}}, term{2, []int{0, 1}})
	q.o.Value(w).Scale = scale
	q.set(v.ID, &rep{id: w, scale: scale, mult: 1})
	return q.err
}

// negative is −1 where an integer is negative, else 0.
func (q *quantiser) negative(n *ir.Node, v *ir.Value, id ir.ValueID) ir.ValueID {
	bits := max(1, q.width(id))
	floor := q.affine(n, &rep{id: id}, 1, -1<<(bits-1)).ID
	w := q.add(n, v.Name+".negative", v.Shape, []ir.ValueID{floor}, ir.OpRescale, &ir.RescaleAttr{Shift: bits, Lo: -1, Hi: 0})
	q.note(w, "integer", bits, 1, false)
	return w.ID
}

// term is a coefficient times operands, cell by cell.
type term struct {
	coef int64
	in   []int
}

// terms adds a sum of products, cell by cell, of operands in the shape of a value.
func (q *quantiser) terms(n *ir.Node, v *ir.Value, name string, in []ir.ValueID, ts ...term) ir.ValueID {
	axes, extents := ir.IdentityAxes(v.Shape)
	attr := &ir.EinsumAttr{}
	for _, t := range ts {
		x := ir.Term{ICoef: t.coef, Coef: float64(t.coef), Extents: extents, In: t.in, Axes: [][][]int{}, Out: axes}
		for range t.in {
			x.Axes = append(x.Axes, axes)
		}
		attr.Terms = append(attr.Terms, x)
	}
	if name != "" {
		name = "." + name
	}
	return q.add(n, v.Name+name, v.Shape, in, ir.OpEinsum, attr).ID
}
