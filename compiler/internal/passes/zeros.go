package passes

import (
	"math"

	"github.com/zkllmc/zkllmc/ir"
)

// zeros drops what is the same for every input because sums cancel: terms with the factor 0, as the deviations from a mean of one cell, and
// functions of numbers.
func zeros(g *ir.Graph) error {
	for _, n := range g.Nodes {
		switch n.Op {
		case ir.OpEinsum:
			var left []ir.Term
			for _, t := range ir.Free(n) {
				if t.Coef != 0 && !zeroFactor(g, t) {
					left = append(left, t)
				}
			}
			setTerms(n, left)
		case ir.OpUnary:
			if err := ofNumber(g, n); err != nil {
				return err
			}
		}
	}
	return nil
}

func zeroFactor(g *ir.Graph, t ir.Term) bool {
	for _, id := range t.In {
		if ts := terms(g, ir.ValueID(id)); ts != nil && len(ts) == 0 {
			return true
		}
	}
	return false
}

// ofNumber replaces a function whose argument is one number.
func ofNumber(g *ir.Graph, n *ir.Node) error {
	ts := terms(g, n.In[0])
	if ts == nil {
		return nil
	}
	x := 0.0
	for _, t := range ts {
		if len(t.In) > 0 || reduces(t) {
			return nil
		}
		x += t.Coef
	}
	fn := n.Attr.(*ir.UnaryAttr).Fn
	f, _ := ir.Function(fn)
	y := f(x)
	if math.IsNaN(y) || math.IsInf(y, 0) {
		return unsupported(n, "its argument is %g for every input, and the %s of that is no number; leave the node out", x, fn)
	}
	out, extents := ir.IdentityAxes(g.Value(n.Out[0]).Shape)
	in, attr := ir.Bind([]ir.Term{{Coef: y, Extents: extents, In: []int{}, Axes: [][][]int{}, Out: out}})
	replace(n, ir.OpEinsum, in, attr)
	return nil
}
