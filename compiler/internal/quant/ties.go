package quant

import (
	"slices"

	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// nudge is by which part of itself the argument of a rounding may differ: single precision, in which most runtimes compute, loses less in a
// scale and a division by it, but what lies half-way between two integers then goes either way.
const nudge = 1.0 / (1 << 20)

// rounds says that a node rounds to integers.
func rounds(n *ir.Node) bool {
	a, is := n.Attr.(*ir.UnaryAttr)
	return is && isRounding(a.Fn)
}

// nudged is a graph whose roundings have other arguments: so many times as large, and more by so much.
func nudged(g *ir.Graph, by, plus float64) *ir.Graph {
	out := *g
	out.Nodes, out.Values = nil, slices.Clone(g.Values)
	for _, n := range g.Nodes {
		if rounds(n) {
			x := g.Value(n.In[0])
			axes, extents := ir.IdentityAxes(x.Shape)
			scaled := &ir.EinsumAttr{Terms: []ir.Term{{Coef: by, Extents: extents, In: []int{0}, Axes: [][][]int{axes}, Out: axes}, {Coef: plus, Extents: extents, In: []int{}, Axes: [][][]int{}, Out: axes}}}
			moved := *n
			moved.In = []ir.ValueID{out.Derive(n, ir.OpEinsum, "", x.Shape, n.In, scaled).ID}
			n = &moved
		}
		out.Nodes = append(out.Nodes, n)
	}
	return &out
}

// tied says whether every input of which the float model does not give what is expected is one of which it does as soon as the arguments of all
// roundings are a millionth smaller, or larger, or as much of a level of 8 bits lower, or higher. Then what is expected lies on the other side of ties, where only the last digit of single
// precision decides, and the float model computes the same otherwise: a fault in it would show on either side.
func (c *checker) tied(tolerance float64) (bool, error) {
	for i := range c.runs {
		r := &c.runs[i]
		if r.in.Expected == nil || r.floatExpected.difference(tolerance) == "" {
			continue
		}
		gives := false
		for _, to := range [][2]float64{{1 - nudge, 0}, {1 + nudge, 0}, {1, -128 * nudge}, {1, 128 * nudge}} {
			given, err := c.nudgedGives(r, to[0], to[1], tolerance)
			if err != nil {
				return false, err
			}
			gives = gives || given
		}
		if !gives {
			return false, nil
		}
	}
	return true, nil
}

// nudgedGives says whether the float model whose roundings are nudged gives what is expected of an input.
func (c *checker) nudgedGives(r *runs, by, plus, tolerance float64) (gives bool, err error) {
	g := nudged(r.p.Float, by, plus)
	err = forEach(c.left, 1, 1, []*ir.Graph{g}, outputCells(g), func(int, int) error {
		out := outputsOf[float64](g, 1)[0]
		err := eval.EachFloat(c.left, g, [][][]float64{r.given}, func(_ int, v *ir.Value, cells []float64) error { keep(g, v, cells, out); return nil })
		if err != nil {
			return err
		}
		for i := range out {
			out[i] = out[i][:r.in.compared(g, len(out[i]))]
		}
		got := c.compare(r.in, r.p.indicated(r.in.Expected, out), out, false)
		gives = got.difference(tolerance) == ""
		return nil
	})
	return gives, err
}
