package quant

import (
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
)

// Integers are computed exactly where something asks which of two is the larger, and where they are an output: at scale 0, with all their
// bits, whatever their magnitudes are. Elsewhere they are numbers like all others, which products may take with 16 bits.

func init() { lowerings[ir.OpStep] = (*quantiser).step }

// exactValues marks the values of a graph that have to be exact integers: what steps and outputs are computed from by sums of products and
// maxima of integers alone.
func exactValues(f *ir.Graph) []bool {
	whole, exact := ir.Wholes(f), make([]bool, len(f.Values))
	ask := func(id ir.ValueID) { exact[id] = exact[id] || whole[id] }
	for _, p := range f.Outputs {
		ask(p.Value)
	}
	for _, n := range slices.Backward(f.Nodes) {
		switch n.Op {
		case ir.OpStep:
			ask(n.In[0])
		case ir.OpEinsum, ir.OpMax:
			for _, id := range n.In {
				if exact[n.Out[0]] {
					ask(id)
				}
			}
		}
	}
	return exact
}

// stepBits are those of an argument of a step, signed.
const stepBits = 15

// step lowers the indicator of what is positive. The argument is the integer that the circuit holds, v, with all its bits, so that a
// comparison of real numbers is one of what the circuit holds of both at their common scale. It is positive just where ⌊(v−1)/2^s⌋ + 1 is,
// for any s: of an argument with more bits than a table has, that is looked up.
func (q *quantiser) step(n *ir.Node, v *ir.Value) error {
	x, err := q.value(n.In[0])
	if err != nil {
		return err
	}
	if q.leaves62(x.id) {
		x = q.narrow(n, x)
	}
	w := q.isPositive(n, v.Name, x)
	q.set(v.ID, &rep{id: w.ID, mult: 1})
	return q.err
}

// isPositive is 1 where an integer is positive, and else 0.
func (q *quantiser) isPositive(n *ir.Node, name string, x *rep) *ir.Value {
	shape := q.o.Value(x.id).Shape
	id := x.id
	if s := q.width(id) - (stepBits - 1); s > 1 {
		axes, extents := ir.IdentityAxes(shape)
		up := int64(1)<<(s-1) - 1 // a rescale adds 2^(s-1) again
		less := q.add(n, name+".less", shape, []ir.ValueID{id}, ir.OpEinsum, &ir.EinsumAttr{Terms: []ir.Term{
			{ICoef: 1, Coef: 1, Extents: extents, In: []int{0}, Axes: [][][]int{axes}, Out: axes},
			{ICoef: up, Coef: float64(up), Extents: extents, In: []int{}, Axes: [][][]int{}, Out: axes},
		}})
		less.Scale = x.scale
		high := q.add(n, name+".high", shape, []ir.ValueID{less.ID}, ir.OpRescale, &ir.RescaleAttr{Shift: s, Lo: -1 << (ActBits - 1), Hi: 1<<(ActBits-1) - 1})
		high.Scale, id = x.scale-s, high.ID
	}
	in := q.o.Value(id)
	w := q.add(n, name, shape, []ir.ValueID{id}, ir.OpTable, &ir.TableAttr{Fn: ir.StepFunction, Lo: in.Lo, Hi: in.Hi})
	q.note(w, "table", 0, 1, false)
	return w
}

// exactSum lowers a sum of products of integers, exactly.
func (q *quantiser) exactSum(n *ir.Node, v *ir.Value) error {
	attr := &ir.EinsumAttr{}
	in, up := make([]ir.ValueID, len(n.In)), make([]int, len(n.In))
	for i, id := range n.In {
		if q.f.Value(id).Def.Op == ir.OpConst {
			in[i] = q.exactLeaf(id)
			continue
		}
		r := q.reps[id]
		if r == nil || r.soft || r.scale > 0 || r.scale < -stepBits || r.mult != 1 {
			return n.Errorf("computes with integers that the circuit holds in part; give a narrower range: --range NAME=LO:HI")
		}
		in[i], up[i] = r.id, -r.scale // what is coarser than 1 is whole, too
	}
	for _, t := range n.Attr.(*ir.EinsumAttr).Terms {
		t = t.Clone()
		for _, i := range t.In {
			t.Coef = math.Ldexp(t.Coef, up[i])
		}
		t.ICoef = portable.Clamp(t.Coef)
		attr.Terms = append(attr.Terms, t)
	}
	w := q.add(n, v.Name, v.Shape, in, ir.OpEinsum, attr)
	q.set(v.ID, &rep{id: w.ID, mult: 1})
	return q.err
}

// exactLeaf is a constant of integers as they are.
func (q *quantiser) exactLeaf(id ir.ValueID) ir.ValueID {
	if w, ok := q.constants[id]; ok {
		return w
	}
	v := q.f.Value(id)
	name := v.Name
	if q.reps[id] != nil { // other uses have it rounded
		name += ".exact"
	}
	w := q.o.Derive(v.Def, ir.OpConst, name, v.Shape, nil, nil)
	w.Ints = make([]int64, len(v.Data))
	for i, x := range v.Data {
		w.Ints[i] = portable.Clamp(x)
		w.Lo, w.Hi = min(w.Lo, w.Ints[i]), max(w.Hi, w.Ints[i])
	}
	q.follow(v.Def, w)
	q.note(w, "constant", 0, math.Abs(q.cal.Max[id]), false)
	q.constants[id] = w.ID
	if q.reps[id] == nil {
		q.set(id, &rep{id: w.ID, mult: 1, factor: 1})
	}
	return w.ID
}

// commitExact commits an exact integer, for all its uses, with all its bits.
func (q *quantiser) commitExact(n *ir.Node, r *rep) *rep {
	return q.rescale(n, r, 0, max(ActBits, q.width(r.id)+1), q.cal.Max[r.from])
}
