package planner

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/ir"
)

// Refinement of axes. A claim on a split or merged axis is a claim on its parts only where every part but the leading one has a power
// of two as its extent: cutting an index is cutting its bits then. Heads of 12, 24 or 80 channels have not. So an axis that is ever
// split at such a place is stored as two, everywhere, weights included: its tensors have one axis more, the cells are the same and stand in
// the same order, and no term splits it any more.
//
// A cut of an axis is the extent of the part behind it. Cuts spread: a cut through a label of a term cuts that label wherever it stands,
// and operations that work cell by cell have the axes of their operands. Axes that a statement or a gadget fixes cannot be cut: the
// positions and the vocabulary of one-hot rows and logits, the axis that a softmax runs over.
//
// Where a cut would go through such an axis, or does not fit the cuts that are there (15 as 3·5 and 5·3), the value is looked at through a
// map of indices, of its own storage and of the one that is asked for: 5a + b = 3c + d. That is one more virtual tensor and a sumcheck over
// the axis. See again.go.

// refiner collects the cuts of a program.
type refiner struct {
	g       *ir.Graph
	cuts    [][][]int // per value and axis: cuts that are no power of two, ascending, each a divisor of the next
	fixed   [][]bool  // per value and axis: it cannot be cut
	changed bool
	err     error

	source  map[ir.ValueID]ir.ValueID // of values that the program itself has not: the one whose cells they have
	split   bool                      // a value was split off since the loops began
	results map[*ir.Node]bool         // nodes whose result was split off
	moved   map[ir.ValueID]ir.ValueID // what these compute: the value that it was before
}

// refined is a program whose axes are cut.
type refined struct {
	*ir.Graph
	source, moved map[ir.ValueID]ir.ValueID // see refiner
}

// refine returns the program with every axis cut where a term splits it at an extent that is no power of two. The program itself is
// left as it is, and returned where nothing is to be cut.
func refine(g *ir.Graph) (*refined, error) {
	r := &refiner{g: copied(g), source: map[ir.ValueID]ir.ValueID{}, results: map[*ir.Node]bool{}, moved: map[ir.ValueID]ir.ValueID{}}
	for _, v := range g.Values {
		r.cuts, r.fixed = append(r.cuts, make([][]int, len(v.Shape))), append(r.fixed, make([]bool, len(v.Shape)))
	}
	for _, p := range g.Outputs {
		r.fix(p.Value)
	}
	for _, n := range g.Nodes {
		r.fixNode(n)
	}
	for first := true; (first || r.changed || r.split) && r.err == nil; first = false {
		r.changed, r.split = false, false
		for i := 0; i < len(r.g.Nodes) && !r.split; i++ {
			r.spread(r.g.Nodes[i])
		}
		for i := len(r.g.Nodes) - 1; i >= 0 && !r.split; i-- { // cuts also come from uses
			r.spread(r.g.Nodes[i])
		}
	}
	if r.err != nil || !r.any() {
		return &refined{g, nil, nil}, r.err
	}
	out, err := r.rewrite()
	if err == nil {
		err = r.checkMaps(out)
	}
	return &refined{out, r.source, r.moved}, err
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

// cut adds a cut to an axis of a node's operand or result; where it may not be there, the value is split off.
func (r *refiner) cut(n *ir.Node, p slot, axis, inner int) {
	id := p.value(n)
	v := r.g.Value(id)
	if r.err != nil || r.split || inner == 1 || inner == v.Shape[axis] || inner&(inner-1) == 0 || slices.Contains(r.cuts[id][axis], inner) {
		return
	}
	if r.fixed[id][axis] {
		r.apart(n, p)
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
			r.apart(n, p)
			return
		}
	}
	r.cuts[id][axis], r.changed = all, true
}

// spread hands the cuts of a node's operands and results to each other.
func (r *refiner) spread(n *ir.Node) {
	if info, ok := n.Op.Info(); ok && info.Elementwise {
		for k := range n.In {
			r.same(n, k, 0)
		}
	}
	switch n.Op {
	case ir.OpEinsum:
		for i := range n.Attr.(*ir.EinsumAttr).Terms {
			r.spreadTerm(n, i)
		}
	case ir.OpZkAttn:
		r.same(n, 0, 0)
		r.same(n, 0, 1)
		if len(n.In) > 1 {
			for i := 1; i <= min(len(r.cuts[n.In[0]]), len(r.cuts[n.In[1]])); i++ {
				r.sameAxis(n, slot{-1, 0}, len(r.cuts[n.In[0]])-i, slot{-1, 1}, len(r.cuts[n.In[1]])-i)
			}
		}
	}
}

// same gives the axes that an operand and a result have in common, from the first on, the same cuts.
func (r *refiner) same(n *ir.Node, operand, result int) {
	in, out := slot{-1, operand}, slot{-1, -1 - result}
	for axis := range min(len(r.cuts[in.value(n)]), len(r.cuts[out.value(n)])) {
		r.sameAxis(n, in, axis, out, axis)
	}
}

// sameAxis gives an axis of an operand and one of another operand or of a result the same cuts. Where they do not fit it is the operand
// that is split off.
func (r *refiner) sameAxis(n *ir.Node, a slot, i int, b slot, j int) {
	for _, c := range slices.Clone(r.cuts[b.value(n)][j]) {
		r.cut(n, a, i, c)
	}
	if r.split {
		return
	}
	for _, c := range slices.Clone(r.cuts[a.value(n)][i]) {
		if r.fixed[b.value(n)][j] && !slices.Contains(r.cuts[b.value(n)][j], c) {
			r.apart(n, a)
			return
		}
		r.cut(n, b, j, c)
	}
}

// slot is an operand of a node, of one of its terms, or a result.
type slot struct {
	term int // of an Einsum, -1: of the node
	k    int // operand of the term, or of the node; -1 and less: result -1-k
}

// value is the value at a slot of a node.
func (p slot) value(n *ir.Node) ir.ValueID {
	switch {
	case p.k < 0:
		return n.Out[-1-p.k]
	case p.term >= 0:
		return n.In[n.Attr.(*ir.EinsumAttr).Terms[p.term].In[p.k]]
	}
	return n.In[p.k]
}

// spot is an axis of a term: of an operand, or of the result.
type spot struct {
	slot
	axis   int
	labels []int
}

func spots(term int, t ir.Term) []spot {
	var out []spot
	for k := range t.In {
		for a, labels := range t.Axes[k] {
			out = append(out, spot{slot{term, k}, a, labels})
		}
	}
	for a, labels := range t.Out {
		out = append(out, spot{slot{term, -1}, a, labels})
	}
	return out
}

// spreadTerm cuts the labels of a term where an axis is cut through them, and the axes where their labels meet.
func (r *refiner) spreadTerm(n *ir.Node, i int) {
	t := r.cutLabels(n, i)
	if r.split {
		return
	}
	for _, p := range spots(i, t) {
		inner := 1
		for j := len(p.labels) - 1; j > 0; j-- {
			inner *= t.Extents[p.labels[j]]
			if r.cut(n, p.slot, p.axis, inner); r.split {
				return
			}
		}
	}
}

// cutLabels returns a term with its labels split wherever an axis is cut through them.
func (r *refiner) cutLabels(n *ir.Node, term int) ir.Term {
	t := n.Attr.(*ir.EinsumAttr).Terms[term].Clone()
	if hasIdleLabel(t) {
		t.Normalise()
	}
	for again := true; again && r.err == nil && !r.split; {
		again = false
		for _, p := range spots(term, t) {
			if label, lo, ok := r.passes(n, t, p); ok {
				t.Split(label, lo)
				again = true
				break
			}
		}
	}
	return t
}

// passes finds a label of an axis that one of the axis' cuts goes through, and the extent of the part behind.
func (r *refiner) passes(n *ir.Node, t ir.Term, p spot) (label, lo int, ok bool) {
	for _, c := range r.cuts[p.value(n)][p.axis] {
		inner := 1
		for i := len(p.labels) - 1; i >= 0; i-- {
			e := t.Extents[p.labels[i]]
			if c > inner && c < inner*e {
				if c%inner != 0 || e%(c/inner) != 0 {
					r.apart(n, p.slot)
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
			for i := range n.Attr.(*ir.EinsumAttr).Terms {
				attr.Terms = append(attr.Terms, r.rewriteTerm(n, i))
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
func (r *refiner) rewriteTerm(n *ir.Node, i int) ir.Term {
	t := r.cutLabels(n, i)
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
