package planner

import (
	"maps"
	"slices"

	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/ir"
)

// Values that a node cannot take in the parts that they are stored in are taken through a map of indices: y[a] = Σ_i [i = a]·x[i], where x
// and y have the same cells and storages of their own. Refinement cuts i and a as the two want it, and the equation with them.

const (
	maxApart   = 1 << 12 // values that are split off, far beyond what models need
	maxMapWork = 1 << 20 // products or cells by which a verifier evaluates one map
)

// copied is a program whose values and nodes may be changed: their attributes may not.
func copied(g *ir.Graph) *ir.Graph {
	c := *g
	c.Values, c.Nodes = nil, nil
	for _, v := range g.Values {
		w := *v
		c.Values = append(c.Values, &w)
	}
	for _, n := range g.Nodes {
		m := *n
		m.In, m.Out = slices.Clone(n.In), slices.Clone(n.Out)
		for _, id := range m.Out {
			c.Values[id].Def = &m
		}
		c.Nodes = append(c.Nodes, &m)
	}
	return &c
}

// why moves the arguments for bounds to the values whose results they are about.
func (p *refined) why(of map[ir.ValueID]string) map[ir.ValueID]string {
	why := maps.Clone(of)
	for _, id := range slices.Sorted(maps.Keys(p.moved)) {
		if text, ok := why[p.moved[id]]; ok {
			delete(why, p.moved[id])
			why[id] = text
		}
	}
	return why
}

// apart gives a node a copy of an operand, or makes its result a copy of what it computes from now on.
func (r *refiner) apart(n *ir.Node, p slot) {
	if len(r.source) >= maxApart {
		r.err = n.Errorf("more than %d values would have to be stored in parts that do not fit those which others ask for; split axes alike", maxApart)
		return
	}
	r.split = true
	var terms []ir.Term
	if p.term >= 0 {
		terms = n.Attr.(*ir.EinsumAttr).Terms
	}
	switch op := r.g.Value(p.value(n)).Def.Op; {
	case p.k >= 0 && (op == ir.OpConst || op == ir.OpAffine):
		r.use(n, p, r.leaf(n, p.value(n)))
	case p.k >= 0 && op == ir.OpOneHot && len(terms) == 1 && !r.results[n]:
		r.result(n, 0) // an embedding goes on looking at the rows of the ids themselves
	case p.k >= 0:
		r.use(n, p, r.again(n, p.value(n)))
	case len(terms) > 1 && len(terms[p.term].In) == 1 && !slices.ContainsFunc(terms[p.term].Out, func(labels []int) bool { return len(labels) > 1 }):
		p.k = 0 // the cut comes from the one operand
		r.use(n, p, r.again(n, p.value(n)))
	case len(terms) > 1:
		r.alone(n, p.term)
	default:
		r.result(n, -1-p.k)
	}
}

// value adds a value with the shape and the cells of another one, whose bounds hold for it too.
func (r *refiner) value(of ir.ValueID, name string) *ir.Value {
	v := r.g.Value(of)
	w := r.g.NewValue(name, v.Shape)
	w.Scale, w.Ints, w.Short = v.Scale, v.Ints, v.Short
	w.CopyBounds(v)
	r.track(w, of)
	return w
}

// track notes a new value, and from which one it comes.
func (r *refiner) track(v *ir.Value, of ir.ValueID) {
	r.cuts, r.fixed = append(r.cuts, make([][]int, len(v.Shape))), append(r.fixed, make([]bool, len(v.Shape)))
	if s, ok := r.source[of]; ok {
		of = s
	}
	r.source[v.ID] = of
}

// insert adds nodes before another one, or behind it.
func (r *refiner) insert(near *ir.Node, behind bool, nodes ...*ir.Node) {
	at := slices.Index(r.g.Nodes, near)
	if behind {
		at++
	}
	for _, n := range nodes {
		n.Origin, n.Operator = near.Origin, near.Operator
		r.g.Value(n.Out[0]).Def = n
	}
	r.g.Nodes = slices.Insert(r.g.Nodes, at, nodes...)
}

// leaf copies a constant or a map of indices.
func (r *refiner) leaf(n *ir.Node, id ir.ValueID) ir.ValueID {
	v := r.g.Value(id)
	w := r.value(id, v.Name)
	r.insert(n, false, &ir.Node{Op: v.Def.Op, Out: []ir.ValueID{w.ID}, Attr: v.Def.Attr})
	return w.ID
}

// again looks at a value through maps, for a node that cannot take it as it is stored.
func (r *refiner) again(n *ir.Node, id ir.ValueID) ir.ValueID {
	w := r.value(id, r.g.Value(id).Name+".again")
	r.insert(n, false, r.through(id, w)...)
	return w.ID
}

// result lets a node compute a new value, which the old one looks at through maps.
func (r *refiner) result(n *ir.Node, out int) {
	old := n.Out[out]
	w := r.value(old, r.g.Value(old).Name+".first")
	w.Def, n.Out[out], r.results[n], r.moved[w.ID] = n, w.ID, true, old
	r.insert(n, true, r.through(w.ID, r.g.Value(old))...)
}

// alone makes a term of a sum a value of its own.
func (r *refiner) alone(n *ir.Node, term int) {
	terms := ir.Free(n)
	w := r.value(n.Out[0], r.g.Value(n.Out[0]).Name+".term")
	w.CopyBounds(&ir.Value{}) // of one term the sum's bounds say nothing, and where it is not wide nobody asks
	delete(r.source, w.ID)
	r.source[w.ID] = n.Out[0]
	in, attr := ir.Bind(terms[term : term+1])
	one := &ir.Node{Op: ir.OpEinsum, In: in, Out: []ir.ValueID{w.ID}, Attr: attr}
	r.insert(n, false, one)
	if bounds, _, err := ir.Bounds(r.g, one); err == nil && bounds[0].BitLen() > 62 {
		w.SetBounds(bounds[0])
	}
	axes, extents := ir.IdentityAxes(w.Shape)
	terms[term] = ir.Term{Coef: 1, ICoef: 1, Extents: extents, In: []int{int(w.ID)}, Axes: [][][]int{axes}, Out: axes}.Clone()
	n.In, n.Attr = bound(terms)
}

// use makes a node use a value in one slot.
func (r *refiner) use(n *ir.Node, p slot, id ir.ValueID) {
	if p.term < 0 {
		n.In[p.k] = id
		return
	}
	terms := ir.Free(n)
	terms[p.term].In[p.k] = int(id)
	n.In, n.Attr = bound(terms)
}

func bound(terms []ir.Term) ([]ir.ValueID, ir.Attr) {
	in, attr := ir.Bind(terms)
	return in, attr
}

// through are the nodes that make one value another one's cells, by a map for every axis that can be stored in more than one way.
func (r *refiner) through(from ir.ValueID, to *ir.Value) (nodes []*ir.Node) {
	in, t := []ir.ValueID{from}, ir.Term{Coef: 1, ICoef: 1, In: []int{0}, Axes: [][][]int{nil}}
	for _, d := range to.Shape {
		x := len(t.Extents)
		t.Extents, t.Axes[0] = append(t.Extents, d), append(t.Axes[0], []int{x})
		if d&(d-1) == 0 {
			t.Out = append(t.Out, []int{x})
			continue
		}
		t.Extents, t.Out = append(t.Extents, d), append(t.Out, []int{x + 1})
		m := r.g.NewValue("parts", []int{d, d})
		m.Hi = 1
		r.track(m, from)
		nodes = append(nodes, &ir.Node{Op: ir.OpAffine, Out: []ir.ValueID{m.ID}, Attr: &ir.AffineAttr{Strides: []int64{1, -1}}})
		t.In, t.Axes, in = append(t.In, len(in)), append(t.Axes, [][]int{{x}, {x + 1}}), append(in, m.ID)
	}
	to.SetBounds(to.Bounds().Or(interval.Of(0, 0))) // intervals know of a map that it has at most one 1
	return append(nodes, &ir.Node{Op: ir.OpEinsum, In: in, Out: []ir.ValueID{to.ID}, Attr: &ir.EinsumAttr{Terms: []ir.Term{t}}})
}

// checkMaps refuses maps between storages that are too long to be evaluated.
func (r *refiner) checkMaps(g *ir.Graph) error {
	for _, n := range g.Nodes {
		a := g.AffineOf(n.Out[0])
		if _, added := r.source[n.Out[0]]; a == nil || !added {
			continue
		}
		shape := g.Value(n.Out[0]).Shape
		if min(poly.AffineWork(a.Offset, a.Strides, shape), int64(ir.Size(shape))) > maxMapWork {
			was := r.g.Value(n.Out[0]).Shape
			return n.Errorf("an axis of %d is split into parts of which no storage has both, %v; it is too long to be looked at in two ways: split it alike", was[0], shape)
		}
	}
	return nil
}
