package quant

import (
	"math"

	"github.com/zkllmc/zkllmc/ir"
)

func init() { lowerings[ir.OpMax] = (*quantiser).larger }

// exactMaxima are the bits of integers of which the larger one is computed exactly: differences, and their products with a bit, have one more.
const exactMaxima = narrowBits - 2

// larger brings both operands of a maximum to one scale and to TableBits bits, so that their differences have one bit more and fit a
// table. The scale is that of the larger calibrated maximum, and no finer than both operands are. Exact integers are left as they are.
func (q *quantiser) larger(n *ir.Node, v *ir.Value) error {
	var operands [2]*rep
	top := 0.0
	for i, id := range n.In {
		x, err := q.value(id)
		if err != nil {
			return err
		}
		if q.leaves62(x.id) {
			x = q.narrow(n, x)
		}
		if q.exactly[v.ID] && (x.scale != 0 || x.mult != 1 || q.width(x.id) >= exactMaxima) {
			return n.Errorf("its integers may be in %v, and those of more than %d bits are not compared exactly; give a narrower range: --range NAME=LO:HI", q.o.Value(x.id).Bounds(), exactMaxima-1)
		}
		operands[i], top = q.plain(n, x, x.scale), math.Max(top, q.cal.Max[id])
	}
	bits := q.fixed().maxima
	scale := min(scaleFor(float64(headroom*top), bits), max(operands[0].scale, operands[1].scale))
	if q.exactly[v.ID] {
		scale, bits = 0, exactMaxima
	}
	var in []ir.ValueID
	most := 0
	for i, x := range operands {
		x = q.plain(n, x, scale)
		if x.scale != scale || q.width(x.id) >= bits {
			x = q.rescale(n, x, scale, bits, q.cal.Max[n.In[i]])
			q.rounded(v.Name+" argument", x, bits, q.cal.moves.value[n.In[i]], false)
		}
		in, operands[i], most = append(in, x.id), x, max(most, q.width(x.id))
	}
	if most >= TableBits {
		return q.fineLarger(n, v, operands[0], operands[1])
	}
	w := q.add(n, v.Name, v.Shape, in, ir.OpMax, nil)
	w.Scale = scale
	q.set(v.ID, &rep{id: w.ID, scale: scale, mult: 1})
	return nil
}
