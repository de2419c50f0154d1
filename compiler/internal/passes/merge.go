package passes

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/ir"
)

// absorb computes a value directly in the shape in which its only user, a view, wants it.
func absorb(g *ir.Graph) error {
	count := uses(g)
	for _, n := range g.Nodes {
		if n.Op != ir.OpEinsum {
			continue
		}
		ts := ir.Free(n)
		if !isView(ts) || count[ts[0].In[0]] != 1 || broadcasts(ts[0]) {
			continue
		}
		if in := inlineValue(g, ts, ts[0].In[0]); in != nil {
			setTerms(n, in)
			n.Adopt(g.Value(ir.ValueID(ts[0].In[0])).Def)
		}
	}
	return nil
}

// broadcasts says whether the result has labels that no operand has.
func broadcasts(t ir.Term) bool {
	has := make([]bool, len(t.Extents))
	for k := range t.In {
		for l, ok := range t.InOperand(k) {
			has[l] = has[l] || ok
		}
	}
	for _, ok := range has {
		if !ok {
			return true
		}
	}
	return false
}

// bias joins a matrix product with the addition of a weight or constant of fewer axes that alone uses it.
func bias(g *ir.Graph) error {
	count := uses(g)
	for _, n := range g.Nodes {
		if n.Op != ir.OpEinsum {
			continue
		}
		ts := ir.Free(n)
		main := -1
		for i, t := range ts {
			if len(t.In) == 1 && !isParam(g, t.In[0]) {
				if main >= 0 {
					main = -2
					break
				}
				main = i
			} else if len(t.In) > 1 || len(t.In) == 1 && len(t.Axes[0]) >= len(t.Out) {
				main = -2
				break
			}
		}
		if main < 0 || len(ts) < 2 || count[ts[main].In[0]] != 1 || !isProduct(terms(g, ir.ValueID(ts[main].In[0]))) {
			continue
		}
		if in := inlineValue(g, ts, ts[main].In[0]); in != nil {
			setTerms(n, in)
			n.Adopt(g.Value(ir.ValueID(ts[main].In[0])).Def)
		}
	}
	return nil
}

// isProduct says whether a term contracts two values.
func isProduct(ts []ir.Term) bool {
	for _, t := range ts {
		if len(t.In) > 1 && reduces(t) {
			return true
		}
	}
	return false
}

// selections resolves slices of a product's result whose axis comes from a weight: instead of cutting the result, the weight is cut,
// at compile time, into weights of its own (fused query-key-value projections).
func selections(g *ir.Graph, left *budget.Budget) error {
	cut := map[string]ir.ValueID{}
	for _, n := range g.Nodes {
		if n.Op != ir.OpEinsum {
			continue
		}
		ts, product := ir.Free(n), n
		if len(ts) == 1 {
			if consts, others := constOperands(g, ts[0]); len(consts) > 0 && len(others) == 1 && op(g, ts[0].In[others[0]]) == ir.OpEinsum {
				if in := inlineValue(g, ts, ts[0].In[others[0]]); in != nil {
					product, ts = g.Value(ir.ValueID(ts[0].In[others[0]])).Def, in
				}
			}
		}
		done := true
		var out []ir.Term
		for _, t := range ts {
			t, ok, err := cutWeight(g, left, n, t, cut)
			if err != nil {
				return err
			}
			done = done && ok
			out = append(out, t)
		}
		if done {
			setTerms(n, out)
			n.Adopt(product)
		}
	}
	return nil
}

// cutWeight folds the 0/1 constants of a term into its weight; false if the term has constants that it cannot fold.
func cutWeight(g *ir.Graph, left *budget.Budget, n *ir.Node, t ir.Term, cut map[string]ir.ValueID) (ir.Term, bool, error) {
	for {
		consts, others := constOperands(g, t)
		if len(consts) == 0 {
			return t, true, nil
		}
		w := -1
		for _, k := range others {
			if op(g, t.In[k]) == ir.OpWeight && selects(g, t, k, consts) {
				w = k
			}
		}
		if w < 0 {
			return t, false, nil
		}
		var err error
		if t, err = foldWeight(g, left, n, t, w, consts, cut); err != nil {
			return t, false, err
		}
	}
}

// selects says whether the constants choose cells of operand w: they are 0/1, their summed labels occur in w and in no operand
// that is not constant, and each of their other labels is in the result only.
func selects(g *ir.Graph, t ir.Term, w int, consts []int) bool {
	inW, out := t.InOperand(w), t.InOut()
	for _, k := range consts {
		for _, x := range g.Value(ir.ValueID(t.In[k])).Data {
			if x != 0 && x != 1 {
				return false
			}
		}
		touches := false
		for l, has := range t.InOperand(k) {
			if !has {
				continue
			}
			touches = touches || inW[l] && !out[l]
			if inW[l] == out[l] {
				return false
			}
			for j := range t.In {
				if j != w && op(g, t.In[j]) != ir.OpConst && t.InOperand(j)[l] {
					return false
				}
			}
		}
		if !touches {
			return false
		}
	}
	return true
}

// foldWeight replaces weight and selecting constants by a new weight with one axis per remaining axis of the old one.
func foldWeight(g *ir.Graph, left *budget.Budget, n *ir.Node, t ir.Term, w int, consts []int, cut map[string]ir.ValueID) (ir.Term, error) {
	ks := append([]int{w}, consts...)
	gone := make([]bool, len(t.Extents))
	extra := []int{}
	for _, k := range consts {
		out := t.InOut()
		for l, has := range t.InOperand(k) {
			gone[l] = gone[l] || has && !out[l]
			if has && out[l] {
				extra = append(extra, l)
			}
		}
	}
	var axes [][]int
	placed := false
	for _, a := range t.Axes[w] {
		var axis []int
		hit := false
		for _, l := range a {
			if gone[l] {
				if !hit && !placed {
					axis = append(axis, extra...)
					placed = true
				}
				hit = true
			} else {
				axis = append(axis, l)
			}
		}
		if !hit || len(axis) > 0 {
			axes = append(axes, axis)
		}
	}
	var labels, shape []int
	for _, a := range axes {
		labels = append(labels, a...)
		shape = append(shape, t.AxisExtent(a))
	}
	v, err := newWeight(g, left, n, t, w, ks, labels, shape, cut)
	if err != nil {
		return t, err
	}
	r := t.Clone()
	r.In, r.Axes = nil, nil
	drop := make([]bool, len(t.In))
	for _, k := range consts {
		drop[k] = true
	}
	for k := range t.In {
		switch {
		case drop[k]:
		case k == w:
			r.In, r.Axes = append(r.In, int(v)), append(r.Axes, axes)
		default:
			r.In, r.Axes = append(r.In, t.In[k]), append(r.Axes, t.Axes[k])
		}
	}
	r = r.Clone()
	for l, g := range gone {
		if g {
			r.Extents[l] = 1 // summed inside of the new weight
		}
	}
	r.Normalise()
	return r, nil
}

// newWeight adds the cut weight, once for equal cuts.
func newWeight(g *ir.Graph, left *budget.Budget, n *ir.Node, t ir.Term, w int, ks, labels, shape []int, cut map[string]ir.ValueID) (ir.ValueID, error) {
	name := g.Value(ir.ValueID(t.In[w])).Name
	for _, k := range ks[1:] {
		name += "[" + g.Value(ir.ValueID(t.In[k])).Name + "]"
	}
	key := fmt.Sprint(name, shape, labels, t.Axes[w], t.In)
	if id, ok := cut[key]; ok {
		return id, nil
	}
	data, err := evalConsts(left, g, n, t, ks, labels)
	if err != nil {
		return 0, err
	}
	v := g.Derive(g.Value(ir.ValueID(t.In[w])).Def, ir.OpWeight, name, shape, nil, nil)
	v.Hold(data)
	cut[key] = v.ID
	return v.ID, nil
}
