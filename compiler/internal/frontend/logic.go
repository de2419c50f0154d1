package frontend

import (
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/ir"
)

// Booleans that depend on an input are activations of zeros and ones, and what is said of them is arithmetic: not x is 1 − x, x and y is
// x·y, a choice is a sum of two products. A mask that is an input so becomes what is added to the scores of a softmax.

func init() {
	register(handlers, map[string]handler{"Not": not, "And": and, "Or": or, "Xor": xor})
}

// bits returns the operands as factors that are zeros and ones, and the shape that they broadcast to.
func (c *call) bits(n int) (fs []factor, shape []int, err error) {
	if err := c.args(n); err != nil {
		return nil, nil, err
	}
	var shapes [][]int
	for _, v := range c.in[:n] {
		f, err := c.bit(v)
		if err != nil {
			return nil, nil, err
		}
		fs, shapes = append(fs, f), append(shapes, v.shape)
	}
	shape, err = broadcast(shapes...)
	return fs, shape, err
}

// boolean is a sum of products that is a boolean in every cell.
func (c *call) boolean(shape []int, terms ...ir.Term) ([]*val, error) {
	v := c.einsum(shape, terms...)
	v.dtype = onnx.Bool
	bits := interval.Of(0, 1)
	c.b.intervals[v.id] = &bits
	return []*val{v}, nil
}

func not(c *call) ([]*val, error) {
	fs, shape, err := c.bits(1)
	if err != nil {
		return nil, err
	}
	return c.boolean(shape, product(shape, 1), product(shape, -1, fs[0]))
}

func and(c *call) ([]*val, error) {
	fs, shape, err := c.bits(2)
	if err != nil {
		return nil, err
	}
	return c.boolean(shape, product(shape, 1, fs...))
}

// or is x + y − x·y.
func or(c *call) ([]*val, error) {
	fs, shape, err := c.bits(2)
	if err != nil {
		return nil, err
	}
	return c.boolean(shape, product(shape, 1, fs[0]), product(shape, 1, fs[1]), product(shape, -1, fs...))
}

// xor is x + y − 2·x·y.
func xor(c *call) ([]*val, error) {
	fs, shape, err := c.bits(2)
	if err != nil {
		return nil, err
	}
	return c.boolean(shape, product(shape, 1, fs[0]), product(shape, 1, fs[1]), product(shape, -2, fs...))
}

// choose is a Where whose condition depends on an input: c·x + y − c·y. A side that makes softmax weights vanish beside the other becomes a
// summand of it, where nothing but softmax weights are made of it: y − maskWeight·c where c masks.
func (c *call) choose(sides [2]*val) (*val, error) {
	cond, err := c.bit(c.in[0])
	if err != nil {
		return nil, err
	}
	shape, err := broadcast(c.in[0].shape, c.in[1].shape, c.in[2].shape)
	if err != nil {
		return nil, err
	}
	for i, v := range sides {
		if !vanishing(v) || !c.onlyMasks() || !c.farBelow(v, sides[1-i]) {
			continue
		}
		other, err := c.factor(sides[1-i])
		if err != nil {
			return nil, err
		}
		t := []ir.Term{product(shape, 1, other), product(shape, -maskWeight, cond)}
		if i == 1 { // where the condition does not hold
			t = append(t, product(shape, -maskWeight))
			t[1].Coef = maskWeight
		}
		masked := c.einsum(shape, t...)
		if e := c.masking(nil, i == 1); onlyInfinite(v) && len(c.in[0].shape) > 0 {
			e.bits, masked.emptied = c.in[0], e
			masked.emptied = sumEmptied([]*val{sides[1-i], masked})
		}
		return masked, nil
	}
	for i, v := range sides {
		if hides(v) && v.c.Len() == 1 && sides[1-i].dtype.IsFloat() && c.onlyOrdered() {
			return c.behind(shape, cond, sides[1-i], i == 0)
		}
	}
	if slices.ContainsFunc(sides[:], unbounded) {
		if sides, err = c.quantisedSides(sides); err != nil {
			return nil, err
		}
	}
	return c.selected(shape, cond, sides)
}

// farBelow says that a constant's weights vanish beside those of another value, and do if they are maskWeight less than it is: neither of −1999 and −2000
// hides what the other is, and what is that much below 2000 is beyond scores.
func (c *call) farBelow(v, other *val) bool {
	top := math.Inf(-1)
	switch {
	case other.c != nil && other.mark == nil:
		top = slices.Max(append(floats(other.c), top))
	case other.id == none: // a weight
		top = 1
	default:
		_, top = c.b.g.UsualRange(other.id, 8, c.b.integers)
	}
	return slices.Max(floats(v.c)) <= top-maskWeight/2 && top <= maskWeight/2
}

// unbounded says that a constant of real numbers has a cell that stands for infinity.
func unbounded(v *val) bool {
	return v.c != nil && v.dtype.IsFloat() && slices.ContainsFunc(floats(v.c), func(x float64) bool { return !(math.Abs(x) <= maxChosen) })
}

// quantisedSides are the sides of a Where of whose result there is nothing but QuantizeLinear, with constants that are no further from 0 than makes
// a difference to that. It refuses all else: c·x + y − c·y must keep of x what the steps show.
func (c *call) quantisedSides(sides [2]*val) ([2]*val, error) {
	least, most := c.onlyQuantised()
	refused := most == 0
	for i, v := range sides {
		if !unbounded(v) {
			continue
		}
		refused = refused || v.private || v.mark != nil
		cells := slices.Clone(floats(v.c))
		for k, x := range cells {
			cells[k] = math.Max(-most, math.Min(most, x))
			refused = refused || math.IsInf(x, 0) || !(float64(math.Abs(cells[k])*faint) <= least)
		}
		sides[i] = constant(v.name, &onnx.Tensor{DType: v.dtype, Shape: v.shape, F: cells})
	}
	if refused {
		return sides, c.unsupported("the condition depends on an input, and it chooses a number beyond %g, which only a softmax makes nothing of", maxChosen)
	}
	return sides, nil
}

// onlyQuantised is the least step of those QuantizeLinear that use the node's result, where nothing else does, and a number that all of them
// cut off like any greater one: their types have at most 16 bits. Both are 0 where there is another use, or a scale that is not known.
func (c *call) onlyQuantised() (least, most float64) {
	out := c.n.Outputs[0]
	users := c.s.usersOf(out)
	if len(users) == 0 || slices.Contains(c.s.outs, out) {
		return 0, 0
	}
	least = math.Inf(1)
	for _, n := range users {
		if !standard(n, c.b.functions) || n.Op != "QuantizeLinear" || len(n.Inputs) < 2 || n.Inputs[0] != out || slices.Contains(n.Inputs[1:], out) {
			return 0, 0
		}
		scale := c.s.get(n.Inputs[1])
		if scale == nil || scale.c == nil || scale.mark != nil || scale.private || scale.c.Len() == 0 {
			return 0, 0
		}
		for _, s := range floats(scale.c) {
			least, most = math.Min(least, s), math.Max(most, float64(s*0x1p16))
		}
	}
	if !(least > 0) || math.IsInf(most, 1) {
		return 0, 0
	}
	return least, most
}

// maxChosen bounds constants that a condition chooses: beyond, they stand for infinity.
const maxChosen = 1e6

// maskWeight is what a mask that is an input takes off the scores that it masks. Files say -10000, the least float or minus infinity, all
// of which stand for a weight of nothing; e^-512 is nothing in every format, and leaves the scores their precision.
const maskWeight = 512

// leastMask is the weakest mask that exporters write.
const leastMask = -1e4

// hidesAll refuses scores of a softmax from which a mask that is an input takes maskWeight, and from others of which a constant takes as much:
// where the mask leaves nothing but those, what it hides would weigh more. Constants of leastMask and below hide whatever
// stands beside them.
func (c *call) hidesAll(scores ir.ValueID) error {
	masks, least := false, 0.0
	var visit func(id ir.ValueID, coef float64, depth int)
	term := func(n *ir.Node, t *ir.Term, coef float64, depth int) {
		masks = masks || math.Abs(coef) == maskWeight
		if len(t.In) != 1 {
			return
		}
		v := c.b.g.Value(n.In[t.In[0]])
		if v.Def == nil || v.Def.Op != ir.OpConst {
			visit(v.ID, coef, depth)
			return
		}
		for _, cell := range v.Data {
			if x := float64(coef * cell); x > leastMask {
				least = min(least, x)
			}
		}
	}
	visit = func(id ir.ValueID, coef float64, depth int) {
		n := c.b.g.Value(id).Def
		if n == nil || n.Op != ir.OpEinsum || depth == 0 {
			return
		}
		for i, t := range n.Attr.(*ir.EinsumAttr).Terms {
			term(n, &n.Attr.(*ir.EinsumAttr).Terms[i], float64(coef*t.Coef), depth-1)
		}
	}
	visit(scores, 1, 8)
	if masks && least < -maskWeight/2 {
		return c.unsupported("a mask that is an input is added to scores, and so is a constant of down to %.6g, which is neither small nor a mask; let it be at least %d, or -1e4 where it hides", least, -maskWeight/2)
	}
	return nil
}

// soften brings a scalar that makes a mask of a boolean to maskWeight: (1 − mask)·(−3e38), say, that is added to scores.
func (c *call) soften(fs []factor) {
	for i := range fs {
		f, scalar := &fs[i], &fs[1-i]
		if f.id == none || scalar.id != none || math.Abs(scalar.coef) < -maskThreshold {
			continue
		}
		x := c.b.integers(f.id)
		masks := x != nil && (scalar.coef < 0 && x.In(0, 1) || scalar.coef > 0 && x.In(-1, 0))
		if masks && c.onlyMasks() {
			scalar.coef = math.Copysign(maskWeight, scalar.coef)
			c.masking(nil, false)
		}
	}
}
