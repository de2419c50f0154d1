package passes

import (
	"math"

	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// squeeze removes the axes of extent 1 from every value except ids and their one-hot rows. It runs first: the
// batch axis and the axes that exporters insert for broadcasting disappear, and only labels carry meaning from then on.
func squeeze(g *ir.Graph) error {
	old := make([][]int, len(g.Values))
	keep := make([]bool, len(g.Values))
	for i, v := range g.Values {
		old[i] = v.Shape
		if keep[i] = v.Def.Op == ir.OpOneHot || v.Def.Op == ir.OpInput && g.InputOf(v.ID).Kind == plan.IDs; keep[i] {
			continue
		}
		if a := g.AffineOf(v.ID); a != nil { // the one index of such an axis is 0
			v.Def.Attr = &ir.AffineAttr{Offset: a.Offset, Strides: keepAxes(a.Strides, v.Shape)}
		}
		v.Shape = keepAxes(v.Shape, v.Shape)
	}
	for _, n := range g.Nodes {
		a, ok := n.Attr.(*ir.EinsumAttr)
		if !ok {
			continue
		}
		for i := range a.Terms {
			t := &a.Terms[i]
			for k, in := range t.In {
				if !keep[n.In[in]] {
					t.Axes[k] = keepAxes(t.Axes[k], old[n.In[in]])
				}
			}
			t.Out = keepAxes(t.Out, old[n.Out[0]])
		}
	}
	return nil
}

// keepAxes returns the entries of xs whose axis has an extent other than 1.
func keepAxes[T any](xs []T, shape []int) []T {
	out := []T{}
	for i, d := range shape {
		if d != 1 {
			out = append(out, xs[i])
		}
	}
	return out
}

// views composes every move, broadcast and scaling into the Einsums that use its result, folds scalar constants into
// coefficients and removes copies.
func views(g *ir.Graph) error {
	for _, n := range g.Nodes {
		if n.Op != ir.OpEinsum {
			for i, in := range n.In {
				n.In[i] = skipCopies(g, in)
			}
			continue
		}
		var out []ir.Term
		for _, t := range ir.Free(n) {
			t = foldScalars(g, inlineViews(g, t))
			if t.Coef != 0 {
				out = append(out, t)
			}
		}
		setTerms(n, mergeEqual(out))
	}
	redirect(g, func(id ir.ValueID) ir.ValueID { return skipCopies(g, id) })
	return nil
}

func skipCopies(g *ir.Graph, id ir.ValueID) ir.ValueID {
	for {
		ts := terms(g, id)
		if ts == nil || !isIdentity(ts) {
			return id
		}
		id = ir.ValueID(ts[0].In[0])
	}
}

func inlineViews(g *ir.Graph, t ir.Term) ir.Term {
	for k := 0; k < len(t.In); {
		ts := terms(g, ir.ValueID(t.In[k]))
		if ts == nil || !isView(ts) {
			k++
			continue
		}
		c, ok := ir.Compose(t, k, ts[0])
		if !ok {
			k++
			continue
		}
		t = c
	}
	return t
}

// foldScalars turns constants of one cell into coefficients.
func foldScalars(g *ir.Graph, t ir.Term) ir.Term {
	for k := 0; k < len(t.In); {
		v := g.Value(ir.ValueID(t.In[k]))
		if v.Def.Op != ir.OpConst || len(v.Data) != 1 {
			k++
			continue
		}
		t.Coef = float64(t.Coef * v.Data[0])
		t.In = append(t.In[:k:k], t.In[k+1:]...)
		t.Axes = append(t.Axes[:k:k], t.Axes[k+1:]...)
		t.Normalise()
	}
	return t
}

// lost is from which part of a coefficient on another one that is added to it loses digits that may matter: what a condition chooses beside its
// product with a number that great, x and c·x, say, is a sum in which the latter cancels.
const lost = 0x1p-32

// mergeEqual adds up terms that differ in their coefficients only, and in these not by so much that digits of one are lost.
func mergeEqual(ts []ir.Term) []ir.Term {
	var out []ir.Term
next:
	for _, t := range ts {
		for i := range out {
			a, b := math.Abs(out[i].Coef), math.Abs(t.Coef)
			if apart := math.Min(a, b) < float64(lost*math.Max(a, b)) && a != 0 && b != 0; sameTerm(out[i], t) && !apart {
				out[i].Coef += t.Coef
				continue next
			}
		}
		out = append(out, t)
	}
	return out
}

func sameTerm(a, b ir.Term) bool {
	if len(a.In) != len(b.In) || len(a.Extents) != len(b.Extents) || !equalAxes(a.Out, b.Out) {
		return false
	}
	for i := range a.Extents {
		if a.Extents[i] != b.Extents[i] {
			return false
		}
	}
	for i := range a.In {
		if a.In[i] != b.In[i] || !equalAxes(a.Axes[i], b.Axes[i]) {
			return false
		}
	}
	return true
}

// share merges nodes that compute the same (exporters repeat subtractions, casts, constants).
func share(g *ir.Graph) error {
	first := map[string]ir.ValueID{}
	to := make([]ir.ValueID, len(g.Values))
	for _, n := range g.Nodes {
		for i, in := range n.In {
			n.In[i] = to[in]
		}
		if n.Op == ir.OpEinsum {
			setTerms(n, mergeEqual(ir.Free(n)))
		}
		id := n.Out[0]
		to[id] = id
		if n.Op == ir.OpWeight || n.Op == ir.OpInput {
			continue
		}
		k := key(g, n)
		if prev, ok := first[k]; ok {
			to[id] = prev
		} else {
			first[k] = id
		}
	}
	redirect(g, func(id ir.ValueID) ir.ValueID { return to[id] })
	return nil
}

// functions joins functions of functions: 1/√x, and the sigmoid that is spelled 1/(1+exp(−x)).
func functions(g *ir.Graph) error {
	for _, n := range g.Nodes {
		if n.Op != ir.OpUnary {
			continue
		}
		a := n.Attr.(*ir.UnaryAttr)
		x := int(n.In[0])
		switch a.Fn {
		case "reciprocal":
			if y, ok := unaryOf(g, x, "sqrt"); ok {
				replace(n, ir.OpUnary, []ir.ValueID{y}, &ir.UnaryAttr{Fn: "rsqrt"})
			} else if y, ok := onePlusExp(g, x); ok {
				v := scaled(g, n, y, -1)
				replace(n, ir.OpUnary, []ir.ValueID{v}, &ir.UnaryAttr{Fn: "sigmoid"})
			}
		case "sqrt":
			if y, ok := unaryOf(g, x, "reciprocal"); ok {
				replace(n, ir.OpUnary, []ir.ValueID{y}, &ir.UnaryAttr{Fn: "rsqrt"})
			}
		}
	}
	return nil
}

// onePlusExp matches 1 + exp(y).
func onePlusExp(g *ir.Graph, x int) (ir.ValueID, bool) {
	ts := terms(g, ir.ValueID(x))
	if len(ts) != 2 {
		return 0, false
	}
	if len(ts[0].In) == 0 {
		ts[0], ts[1] = ts[1], ts[0]
	}
	if len(ts[0].In) != 1 || len(ts[1].In) != 0 || ts[0].Coef != 1 || ts[1].Coef != 1 || !sameAxes(ts[0], 0) {
		return 0, false
	}
	return unaryOf(g, ts[0].In[0], "exp")
}

// scaled returns c·x, without a node where x is itself a scaled copy of −1/c.
func scaled(g *ir.Graph, n *ir.Node, x ir.ValueID, c float64) ir.ValueID {
	if t, ok := single(terms(g, x)); ok && sameAxes(t, 0) {
		if t.Coef*c == 1 {
			return ir.ValueID(t.In[0])
		}
	}
	if c == 1 {
		return x
	}
	t := identityTerm(g, x)
	t.Coef = c
	in, attr := ir.Bind([]ir.Term{t})
	return g.Derive(n, ir.OpEinsum, "", g.Value(x).Shape, in, attr).ID
}

// identityTerm copies a value.
func identityTerm(g *ir.Graph, x ir.ValueID) ir.Term {
	axes, ext := ir.IdentityAxes(g.Value(x).Shape)
	t := ir.Term{Coef: 1, Extents: ext, In: []int{int(x)}, Axes: [][][]int{axes}, Out: axes}
	return t.Clone()
}
