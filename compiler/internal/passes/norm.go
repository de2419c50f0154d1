package passes

import (
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/ir"
)

// norms recognises RMSNorm and LayerNorm that the model spells out, from the output backwards so that scale and bias are
// found with the normalisation:
//
//	u·γ·rsqrt(c·Σ u² + ε') [+ β]   where u = x, or u = x − mean(x)
func norms(g *ir.Graph) error {
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		if n := g.Nodes[i]; n.Op == ir.OpEinsum {
			matchNorm(g, n)
		}
	}
	return nil
}

// normParts is what matchNorm finds: cell axes of the row u, of gamma and beta, and the numbers.
type normParts struct {
	u     ir.Term // a view: the normalised value as rows
	gamma int     // value id, -1: none
	beta  int
	eps   float64
	scale float64 // what is left to multiply the result with
	n     int
}

func matchNorm(g *ir.Graph, n *ir.Node) {
	ts := ir.Free(n)
	if len(ts) > 2 || len(ts) == 0 {
		return
	}
	for main := range ts {
		p, ok := normTerm(g, ts[main])
		if !ok {
			continue
		}
		if len(ts) == 2 && !p.setBeta(g, ts[1-main]) {
			return
		}
		p.build(g, n)
		return
	}
}

// normTerm matches the term u·γ·rsqrt(…), with products of it inlined.
func normTerm(g *ir.Graph, t ir.Term) (*normParts, bool) {
	if reduces(t) {
		return nil, false
	}
	for depth := 0; depth < 4; depth++ {
		for k, id := range t.In {
			if arg, ok := unaryOf(g, id, "rsqrt"); ok {
				return normAround(g, t, k, arg)
			}
		}
		grown := false
		for k, id := range t.In {
			ts := terms(g, ir.ValueID(id))
			if len(ts) != 1 || len(ts[0].In) < 2 || reduces(ts[0]) {
				continue
			}
			if c, ok := ir.Compose(t, k, ts[0]); ok {
				t, grown = c, true
				break
			}
		}
		if !grown {
			return nil, false
		}
	}
	return nil, false
}

// normAround matches a term with operand k = rsqrt(arg). The sum of squares is put in the place of the root, so that the labels of
// all three uses of u can be compared.
func normAround(g *ir.Graph, t ir.Term, k int, arg ir.ValueID) (*normParts, bool) {
	square, eps, ok := sumOfSquares(g, arg)
	if !ok {
		return nil, false
	}
	outer := t.Clone()
	outer.Coef = 1
	c, ok := ir.Compose(outer, k, square)
	if !ok {
		return nil, false
	}
	// Operands of c: those of t with the k-th replaced by the two factors of the square.
	a, b := k, k+1
	if c.In[a] != c.In[b] || !equalAxes(c.Axes[a], c.Axes[b]) {
		return nil, false
	}
	p := &normParts{gamma: -1, beta: -1}
	row := -1
	for i, id := range c.In {
		switch {
		case i == a || i == b:
		case id == c.In[a] && row < 0:
			row = i
		case p.gamma < 0 && isParam(g, id):
			p.gamma = i
		default:
			return nil, false
		}
	}
	if row < 0 || !rowsMatch(c, row, a) {
		return nil, false
	}
	last := c.Out[len(c.Out)-1]
	p.n = c.AxisExtent(last)
	if p.gamma >= 0 {
		if !equalAxes(c.Axes[p.gamma], [][]int{last}) {
			return nil, false
		}
		p.gamma = c.In[p.gamma]
	}
	// rsqrt(q·Σu² + e) = (q·n)^(-1/2)·rsqrt(Σu²/n + e/(q·n))
	q := float64(c.Coef * float64(p.n))
	p.eps, p.scale = eps/q, t.Coef/math.Sqrt(q)
	p.u = ir.Term{Coef: 1, Extents: c.Extents, In: []int{c.In[row]}, Axes: [][][]int{c.Axes[row]}, Out: c.Out}.Clone()
	p.u.Normalise()
	p.u.Coef = 1 // Normalise counts the labels of the square, which u does not have
	return p, true
}

// sumOfSquares matches q·Σ u·u + ε and returns the first term.
func sumOfSquares(g *ir.Graph, id ir.ValueID) (ir.Term, float64, bool) {
	ts := terms(g, id)
	eps := 0.0
	var squares []ir.Term
	for _, t := range ts {
		if len(t.In) == 0 {
			eps += t.Coef
		} else {
			squares = append(squares, t)
		}
	}
	if len(squares) != 1 || eps < 0 {
		return ir.Term{}, 0, false
	}
	t := squares[0]
	for len(t.In) == 1 {
		inner := terms(g, ir.ValueID(t.In[0]))
		if len(inner) != 1 {
			return ir.Term{}, 0, false
		}
		c, ok := ir.Compose(t, 0, inner[0])
		if !ok {
			return ir.Term{}, 0, false
		}
		t = c
	}
	return t, eps, len(t.In) == 2 && t.Coef > 0
}

// parameters leaves a Norm its scale and bias where they are weights or constants, and turns anything else into arithmetic behind it: a
// scale that is computed from tokens has scales, bounds and a dependence on positions of its own, which a parameter has not.
func parameters(g *ir.Graph) error {
	for _, n := range slices.Clone(g.Nodes) {
		a, ok := n.Attr.(*ir.NormAttr)
		if !ok {
			continue
		}
		computed := false
		for _, p := range n.In[1:] {
			computed = computed || !isParam(g, int(p))
		}
		if !computed {
			continue
		}
		y := g.Derive(n, ir.OpNorm, "", g.Value(n.Out[0]).Shape, n.In[:1], &ir.NormAttr{Center: a.Center, Eps: a.Eps})
		t := identityTerm(g, y.ID)
		last := t.Out[len(t.Out)-1:]
		var ts []ir.Term
		next := n.In[1:]
		if a.HasGamma {
			t.In, t.Axes = append(t.In, int(next[0])), append(t.Axes, last)
			next = next[1:]
		}
		ts = append(ts, t.Clone())
		if a.HasBeta {
			b := identityTerm(g, y.ID)
			b.In, b.Axes = []int{int(next[0])}, [][][]int{last}
			ts = append(ts, b.Clone())
		}
		in, attr := ir.Bind(ts)
		replace(n, ir.OpEinsum, in, attr)
	}
	return nil
}

// isParam says whether a value is a weight or a constant.
func isParam(g *ir.Graph, id int) bool {
	o := op(g, id)
	return o == ir.OpWeight || o == ir.OpConst
}

// rowsMatch checks that operand row is indexed like the squared operand sq, except for the labels of the result's last axis, where
// sq has summed labels, and that the last axis is exactly that.
func rowsMatch(t ir.Term, row, sq int) bool {
	if len(t.Out) == 0 {
		return false
	}
	out := t.InOut()
	inRow := t.InOperand(row)
	var own []int // labels of row that sq sums over, in order
	for a := range t.Axes[row] {
		x, y := t.Axes[row][a], t.Axes[sq][a]
		if len(x) != len(y) {
			return false
		}
		for j := range x {
			if x[j] == y[j] {
				continue
			}
			if out[y[j]] || inRow[y[j]] || !out[x[j]] || t.Extents[x[j]] != t.Extents[y[j]] {
				return false
			}
			own = append(own, x[j])
		}
	}
	last := t.Out[len(t.Out)-1]
	return len(own) > 0 && equalAxes([][]int{own}, [][]int{last})
}

// setBeta accepts a second term that adds one weight or constant along the last axis.
func (p *normParts) setBeta(g *ir.Graph, t ir.Term) bool {
	if len(t.In) != 1 || t.Coef != 1 || !isParam(g, t.In[0]) || !equalAxes(t.Axes[0], t.Out[len(t.Out)-1:]) {
		return false
	}
	p.beta = t.In[0]
	return true
}

// build replaces the node by a Norm of u, or of x where u is x minus its mean.
func (p *normParts) build(g *ir.Graph, n *ir.Node) {
	attr := &ir.NormAttr{Eps: p.eps, HasGamma: p.gamma >= 0, HasBeta: p.beta >= 0}
	if x, ok := centred(g, p.u.In[0], p.u); ok {
		p.u, attr.Center = x, true
	}
	shape := g.Value(n.Out[0]).Shape
	x := ir.ValueID(p.u.In[0])
	if !isIdentity([]ir.Term{p.u}) {
		in, a := ir.Bind([]ir.Term{p.u})
		x = g.Derive(n, ir.OpEinsum, "", shape, in, a).ID
	}
	in := []ir.ValueID{x}
	if attr.HasGamma {
		in = append(in, ir.ValueID(p.gamma))
	}
	if attr.HasBeta {
		in = append(in, ir.ValueID(p.beta))
	}
	if near(p.scale, 1) {
		replace(n, ir.OpNorm, in, attr)
		return
	}
	// The scale stands before the bias; a norm with both keeps its bias in the Einsum.
	attr.HasBeta = false
	in = in[:len(in)-max(0, btoi(p.beta >= 0))]
	y := g.Derive(n, ir.OpNorm, "", shape, in, attr)
	t := identityTerm(g, y.ID)
	t.Coef = p.scale
	ts := []ir.Term{t}
	if p.beta >= 0 {
		b := identityTerm(g, y.ID)
		b.In, b.Axes = []int{p.beta}, [][][]int{b.Out[len(b.Out)-1:]}
		ts = append(ts, b.Clone())
	}
	setTerms(n, ts)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// centred matches a value u = x − mean(x) over the labels of the last axis of the view, and returns the view of x.
func centred(g *ir.Graph, u int, view ir.Term) (ir.Term, bool) {
	ts := terms(g, ir.ValueID(u))
	if len(ts) != 2 {
		return ir.Term{}, false
	}
	for main := range ts {
		x, ok1 := ir.Compose(view, 0, ts[main])
		m, ok2 := ir.Compose(view, 0, ts[1-main])
		if !ok1 || !ok2 || len(x.In) != 1 || x.Coef != 1 || reduces(x) {
			continue
		}
		for len(m.In) == 1 && m.In[0] != x.In[0] {
			inner := terms(g, ir.ValueID(m.In[0]))
			if len(inner) != 1 {
				break
			}
			c, ok := ir.Compose(m, 0, inner[0])
			if !ok {
				break
			}
			m = c
		}
		if isMean(x, m) {
			return x, true
		}
	}
	return ir.Term{}, false
}

// isMean says whether m is minus the mean of the view x over its last axis.
func isMean(x, m ir.Term) bool {
	if len(m.In) != 1 || m.In[0] != x.In[0] || len(x.Out) == 0 {
		return false
	}
	// Put both in one term, x·m, so that their labels can be compared.
	pair := ir.Term{Coef: 1, In: []int{0, 1}, Axes: [][][]int{}, Out: nil}
	axes, ext := outAxes(x)
	pair.Extents, pair.Out = ext, axes
	pair.Axes = [][][]int{axes, axes}
	c, ok := ir.Compose(pair, 1, m)
	if !ok {
		return false
	}
	if c, ok = ir.Compose(c, 0, x); !ok {
		return false
	}
	n := c.AxisExtent(c.Out[len(c.Out)-1])
	return near(float64(m.Coef*float64(n)), -1) && rowsMatch(c, 0, 1)
}

// outAxes gives the result of a term one label per axis.
func outAxes(t ir.Term) (axes [][]int, extents []int) {
	shape := make([]int, len(t.Out))
	for i, a := range t.Out {
		shape[i] = t.AxisExtent(a)
	}
	return ir.IdentityAxes(shape)
}
