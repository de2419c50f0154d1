package planner

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/ir"
)

// Refinement of axes. A claim on a split or merged axis is a claim on its parts only where every part but the leading one has a power
// of two as its extent: cutting an index is cutting its bits then. Heads of 12, 24 or 80 channels have not. So an axis that is ever
// split at such a place is stored as two, everywhere, weights included: its tensors have one axis more, the cells are the same and stand in the
// same order, and no term splits it any more.
//
// A cut of an axis is the extent of the part behind it. Cuts spread: a cut through a label of a term cuts that label wherever it stands, and
// operations that work cell by cell have the axes of their operands. Axes that a statement or a gadget fixes cannot be cut: the
// positions and the vocabulary of one-hot rows and logits, the axis that a softmax runs over.

// refiner collects the cuts of a program.
type refiner struct {
	g       *ir.Graph
	cuts    [][][]int // per value and axis: cuts that are no power of two, ascending, each a divisor of the next
	fixed   [][]bool  // per value and axis: it cannot be cut
	changed bool
	err     error
}

// refine returns the program with every axis cut where a term splits it at an extent that is no power of two. The program itself is
// left as it is, and returned where nothing is to be cut.
func refine(g *ir.Graph) (*ir.Graph, error) {
	r := &refiner{g: g, cuts: make([][][]int, len(g.Values)), fixed: make([][]bool, len(g.Values))}
	for i, v := range g.Values {
		r.cuts[i], r.fixed[i] = make([][]int, len(v.Shape)), make([]bool, len(v.Shape))
	}
	for _, p := range g.Outputs {
		r.fix(p.Value)
	}
	for _, n := range g.Nodes {
		r.fixNode(n)
	}
	for first := true; (first || r.changed) && r.err == nil; first = false {
		r.changed = false
		for _, n := range g.Nodes {
			r.spread(n)
		}
		for i := len(g.Nodes) - 1; i >= 0; i-- { // cuts also come from uses
			r.spread(g.Nodes[i])
		}
	}
	if r.err != nil || !r.any() {
		return g, r.err
	}
	return r.rewrite()
}

// any says whether there is anything to rewrite.
func (r *refiner) any() bool {
	for _, axes := range r.cuts {
		for _, c := range axes {
			if len(c) > 0 {
				return true
			}
		}
	}
	for _, n := range r.g.Nodes {
		if a, ok := n.Attr.(*ir.EinsumAttr); ok && slices.ContainsFunc(a.Terms, hasIdleLabel) {
			return true
		}
	}
	return false
}

// hasIdleLabel says whether a term splits an axis into parts of which one has extent 1: that is no split, and a builder would take the
// part behind it for one.
func hasIdleLabel(t ir.Term) bool {
	for _, axes := range append(slices.Clone(t.Axes), t.Out) {
		for _, labels := range axes {
			for _, l := range labels {
				if len(labels) > 1 && t.Extents[l] == 1 {
					return true
				}
			}
		}
	}
	return false
}

// fix keeps all axes of a value whole.
func (r *refiner) fix(id ir.ValueID) {
	for a := range r.fixed[id] {
		r.fixed[id][a] = true
	}
}

func (r *refiner) fixNode(n *ir.Node) {
	switch n.Op {
	case ir.OpInput, ir.OpOneHot:
		r.fix(n.Out[0])
	case ir.OpZkAttn:
		for _, id := range append(slices.Clone(n.In), n.Out[0]) {
			r.fixed[id][len(r.fixed[id])-1] = true
		}
	}
}

// cut adds a cut to an axis and says whether it may be there.
func (r *refiner) cut(n *ir.Node, id ir.ValueID, axis, inner int) {
	v := r.g.Value(id)
	if r.err != nil || inner == 1 || inner == v.Shape[axis] || inner&(inner-1) == 0 || slices.Contains(r.cuts[id][axis], inner) {
		return
	}
	if r.fixed[id][axis] {
		r.err = n.Errorf("axis %d of a tensor of shape %v would have to be split into parts of %d, which is no power of two; positions, vocabulary, axes of inputs and outputs and the axis of a softmax cannot be split so",
			axis, v.Shape, inner)
		return
	}
	all := append(slices.Clone(r.cuts[id][axis]), inner)
	slices.Sort(all)
	for i := range all {
		next := v.Shape[axis]
		if i+1 < len(all) {
			next = all[i+1]
		}
		if next%all[i] != 0 {
			r.conflict(n, id, axis, all[i], next)
			return
		}
	}
	r.cuts[id][axis], r.changed = all, true
}

// conflict is the error for an axis that two splits ask for in different parts.
func (r *refiner) conflict(n *ir.Node, id ir.ValueID, axis, a, b int) {
	v := r.g.Value(id)
	r.err = n.Errorf("axis %d of a tensor of shape %v is split into parts of %d and elsewhere into parts of %d, and no storage has both; split it alike, or transpose in between", axis, v.Shape, a, b)
}

// spread hands the cuts of a node's operands and results to each other.
func (r *refiner) spread(n *ir.Node) {
	if info, ok := n.Op.Info(); ok && info.Elementwise {
		for _, id := range n.In {
			r.same(n, id, n.Out[0])
		}
	}
	switch n.Op {
	case ir.OpEinsum:
		for _, t := range n.Attr.(*ir.EinsumAttr).Terms {
			r.spreadTerm(n, t)
		}
	case ir.OpZkAttn:
		r.same(n, n.In[0], n.Out[0])
		r.same(n, n.In[0], n.Out[1])
		if len(n.In) > 1 {
			r.trailing(n, n.In[0], n.In[1])
		}
	}
}

// same gives the axes that two values have in common, from the first on, the same cuts.
func (r *refiner) same(n *ir.Node, a, b ir.ValueID) {
	for axis := range min(len(r.cuts[a]), len(r.cuts[b])) {
		r.sameAxis(n, a, axis, b, axis)
	}
}

// trailing is same for axes counted from the last.
func (r *refiner) trailing(n *ir.Node, a, b ir.ValueID) {
	for i := 1; i <= min(len(r.cuts[a]), len(r.cuts[b])); i++ {
		r.sameAxis(n, a, len(r.cuts[a])-i, b, len(r.cuts[b])-i)
	}
}

func (r *refiner) sameAxis(n *ir.Node, a ir.ValueID, i int, b ir.ValueID, j int) {
	for _, c := range slices.Clone(r.cuts[a][i]) {
		r.cut(n, b, j, c)
	}
	for _, c := range slices.Clone(r.cuts[b][j]) {
		r.cut(n, a, i, c)
	}
}

// spot is an axis of a term: of an operand, or of the result.
type spot struct {
	id     ir.ValueID
	axis   int
	labels []int
}

func spots(n *ir.Node, t ir.Term) []spot {
	var out []spot
	for k, in := range t.In {
		for a, labels := range t.Axes[k] {
			out = append(out, spot{n.In[in], a, labels})
		}
	}
	for a, labels := range t.Out {
		out = append(out, spot{n.Out[0], a, labels})
	}
	return out
}

// spreadTerm cuts the labels of a term where an axis is cut through them, and the axes where their labels meet.
func (r *refiner) spreadTerm(n *ir.Node, t ir.Term) {
	t = r.split(n, t)
	for _, p := range spots(n, t) {
		inner := 1
		for i := len(p.labels) - 1; i > 0; i-- {
			inner *= t.Extents[p.labels[i]]
			r.cut(n, p.id, p.axis, inner)
		}
	}
}

// split returns the term with its labels split wherever an axis is cut through them.
func (r *refiner) split(n *ir.Node, t ir.Term) ir.Term {
	t = t.Clone()
	if hasIdleLabel(t) {
		t.Normalise()
	}
	for again := true; again && r.err == nil; {
		again = false
		for _, p := range spots(n, t) {
			if label, lo, ok := r.through(n, t, p); ok {
				t.Split(label, lo)
				again = true
				break
			}
		}
	}
	return t
}

// through finds a label of an axis that one of the axis' cuts goes through, and the extent of the part behind.
func (r *refiner) through(n *ir.Node, t ir.Term, p spot) (label, lo int, ok bool) {
	for _, c := range r.cuts[p.id][p.axis] {
		inner := 1
		for i := len(p.labels) - 1; i >= 0; i-- {
			e := t.Extents[p.labels[i]]
			if c > inner && c < inner*e {
				if c%inner != 0 {
					r.conflict(n, p.id, p.axis, inner, c)
					return 0, 0, false
				}
				if e%(c/inner) != 0 {
					r.conflict(n, p.id, p.axis, c, inner*e)
					return 0, 0, false
				}
				return p.labels[i], c / inner, true
			}
			inner *= e
		}
	}
	return 0, 0, false
}

// rewrite makes the refined program: the same values and nodes, with other shapes and axes.
func (r *refiner) rewrite() (*ir.Graph, error) {
	g := *r.g
	g.Values, g.Nodes = nil, nil
	for _, v := range r.g.Values {
		w := *v
		w.Shape = nil
		for a, d := range v.Shape {
			for i := len(r.cuts[v.ID][a]) - 1; i >= 0; i-- {
				c := r.cuts[v.ID][a][i]
				w.Shape = append(w.Shape, d/c)
				d = c
			}
			w.Shape = append(w.Shape, d)
		}
		g.Values = append(g.Values, &w)
	}
	for _, n := range r.g.Nodes {
		m := *n
		if a := r.g.AffineOf(n.Out[0]); a != nil {
			for axis := len(a.Strides) - 1; axis >= 0; axis-- {
				cuts := r.cuts[n.Out[0]][axis]
				for i := len(cuts) - 1; i >= 0; i-- { // what is left of the cut is cut again
					a = a.Split(axis+len(cuts)-1-i, cuts[i])
				}
			}
			m.Attr = a
		}
		if n.Op == ir.OpEinsum {
			attr := &ir.EinsumAttr{}
			for _, t := range n.Attr.(*ir.EinsumAttr).Terms {
				attr.Terms = append(attr.Terms, r.rewriteTerm(n, t))
			}
			m.Attr = attr
		}
		for _, id := range m.Out {
			g.Values[id].Def = &m
		}
		g.Nodes = append(g.Nodes, &m)
	}
	if r.err != nil {
		return nil, r.err
	}
	if err := ir.Verify(&g); err != nil {
		return nil, fmt.Errorf("refining axes made an invalid program: %w", err)
	}
	return &g, nil
}

// rewriteTerm distributes the labels of every axis over the parts that the axis is stored in.
func (r *refiner) rewriteTerm(n *ir.Node, t ir.Term) ir.Term {
	t = r.split(n, t)
	parts := func(id ir.ValueID, axes [][]int) (out [][]int) {
		for a, labels := range axes {
			out = append(out, r.parts(&t, labels, r.cuts[id][a])...)
		}
		return out
	}
	for k, in := range t.In {
		t.Axes[k] = parts(n.In[in], t.Axes[k])
	}
	t.Out = parts(n.Out[0], t.Out)
	return t
}

// parts cuts the list of an axis' labels at the cuts, which are where labels meet.
func (r *refiner) parts(t *ir.Term, labels, cuts []int) [][]int {
	out := make([][]int, len(cuts)+1)
	for i := range out {
		out[i] = []int{}
	}
	inner := 1
	for i := len(labels) - 1; i >= 0; i-- {
		k := 0 // the number of cuts at or before this label
		for k < len(cuts) && cuts[k] <= inner {
			k++
		}
		part := len(cuts) - k
		out[part] = append([]int{labels[i]}, out[part]...)
		inner *= t.Extents[labels[i]]
	}
	return out
}
