package passes

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/ir"
)

// Tools that the passes share. A pass may append nodes at the end of g.Nodes and redirect uses at will; compact restores the
// order, drops what is dead and renumbers the values.

// compact keeps the nodes and inputs that an output depends on, in depth-first order, inputs first, and numbers the values anew.
func compact(g *ir.Graph) {
	order := make([]*ir.Node, 0, len(g.Nodes))
	live := reached(g)
	g.Inputs = slices.DeleteFunc(g.Inputs, func(p ir.Port) bool { return !live[p.Value] })
	seen := map[*ir.Node]bool{}
	var visit func(n *ir.Node)
	visit = func(n *ir.Node) {
		if seen[n] {
			return
		}
		seen[n] = true
		for _, in := range n.In {
			visit(g.Value(in).Def)
		}
		order = append(order, n)
	}
	for _, ports := range [][]ir.Port{g.Inputs, g.Outputs} {
		for _, p := range ports {
			visit(g.Value(p.Value).Def)
		}
	}
	ids := make([]ir.ValueID, len(g.Values))
	var values []*ir.Value
	for _, n := range order {
		for _, o := range n.Out {
			ids[o] = ir.ValueID(len(values))
			values = append(values, g.Value(o))
		}
	}
	for _, n := range order {
		for i, in := range n.In {
			n.In[i] = ids[in]
		}
		for i, o := range n.Out {
			n.Out[i] = ids[o]
		}
	}
	for i, v := range values {
		v.ID = ir.ValueID(i)
	}
	for _, ports := range [][]ir.Port{g.Inputs, g.Outputs} {
		for i := range ports {
			ports[i].Value = ids[ports[i].Value]
		}
	}
	g.Nodes, g.Values = order, values
}

// reached marks the values that an output depends on.
func reached(g *ir.Graph) []bool {
	live := make([]bool, len(g.Values))
	var stack []ir.ValueID
	for _, p := range g.Outputs {
		stack = append(stack, p.Value)
	}
	for len(stack) > 0 {
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if !live[id] {
			live[id] = true
			stack = append(stack, g.Value(id).Def.In...)
		}
	}
	return live
}

// redirect makes outputs those that f says.
func redirect(g *ir.Graph, f func(ir.ValueID) ir.ValueID) {
	for i := range g.Outputs {
		g.Outputs[i].Value = f(g.Outputs[i].Value)
	}
}

// uses counts the uses of every value; an output counts as one.
func uses(g *ir.Graph) []int {
	n := make([]int, len(g.Values))
	for _, node := range g.Nodes {
		for _, in := range node.In {
			n[in]++
		}
	}
	for _, p := range g.Outputs {
		n[p.Value]++
	}
	return n
}

// terms returns the free terms of the Einsum that computes a value, nil if something else does.
func terms(g *ir.Graph, id ir.ValueID) []ir.Term {
	n := g.Value(id).Def
	if n.Op != ir.OpEinsum {
		return nil
	}
	return ir.Free(n)
}

// setTerms gives an Einsum node new terms.
func setTerms(n *ir.Node, ts []ir.Term) {
	in, attr := ir.Bind(ts)
	n.In, n.Attr = in, attr
}

func op(g *ir.Graph, id int) ir.Op { return g.Value(ir.ValueID(id)).Def.Op }

// unaryOf returns the argument of a value that an elementwise function computes.
func unaryOf(g *ir.Graph, id int, fn string) (ir.ValueID, bool) {
	n := g.Value(ir.ValueID(id)).Def
	if n.Op != ir.OpUnary || n.Attr.(*ir.UnaryAttr).Fn != fn {
		return 0, false
	}
	return n.In[0], true
}

// replace turns a node into another operation on the same output value.
func replace(n *ir.Node, op ir.Op, in []ir.ValueID, attr ir.Attr) {
	n.Op, n.In, n.Attr = op, in, attr
}

// addConst appends a public constant.
func addConst(g *ir.Graph, from *ir.Node, name string, shape []int, data []float64) *ir.Value {
	v := g.Derive(from, ir.OpConst, name, shape, nil, nil)
	v.Data = data
	return v
}

// single returns the only term of a list that has one term with one operand.
func single(ts []ir.Term) (ir.Term, bool) {
	if len(ts) == 1 && len(ts[0].In) == 1 {
		return ts[0], true
	}
	return ir.Term{}, false
}

// reduces says whether a term sums over a label.
func reduces(t ir.Term) bool {
	for _, ok := range t.InOut() {
		if !ok {
			return true
		}
	}
	return false
}

// isView says whether the terms move, broadcast or scale one value without summing.
func isView(ts []ir.Term) bool {
	t, ok := single(ts)
	return ok && !reduces(t)
}

// sameAxes says whether operand k of a term is indexed as the result is: cell by cell, without movement or broadcast.
func sameAxes(t ir.Term, k int) bool { return equalAxes(t.Axes[k], t.Out) }

func equalAxes(a, b [][]int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if len(a[i]) != len(b[i]) {
			return false
		}
		for j := range a[i] {
			if a[i][j] != b[i][j] {
				return false
			}
		}
	}
	return true
}

// isIdentity says whether the terms copy a value of the same shape.
func isIdentity(ts []ir.Term) bool {
	t, ok := single(ts)
	return ok && t.Coef == 1 && sameAxes(t, 0)
}

// near compares with the precision that single-precision constants of exporters have.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-5*math.Max(math.Abs(a), math.Abs(b)) }

// key identifies a node up to its inputs' identity: nodes of equal keys compute the same.
func key(g *ir.Graph, n *ir.Node) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s|%v|", n.Op, g.Value(n.Out[0]).Shape)
	switch a := n.Attr.(type) {
	case *ir.EinsumAttr:
		for _, t := range ir.Free(n) {
			fmt.Fprintf(&b, "%v %v %v %v %v;", t.Coef, t.Extents, t.In, t.Axes, t.Out)
		}
	case nil:
		if n.Op == ir.OpConst {
			h := sha256.New()
			var w []byte
			for i, x := range g.Value(n.Out[0]).Data {
				w = binary.LittleEndian.AppendUint64(w, math.Float64bits(x))
				if len(w) == 1<<12 || i == len(g.Value(n.Out[0]).Data)-1 {
					h.Write(w)
					w = w[:0]
				}
			}
			fmt.Fprintf(&b, "%x", h.Sum(nil))
		}
		fmt.Fprint(&b, n.In)
	default:
		fmt.Fprintf(&b, "%v %+v", n.In, a)
	}
	return b.String()
}
