package quant

import (
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/ir"
)

// Prepare rewrites a canonical float graph so that every place where the integer program rounds is a value of its own, which
// calibration can then measure:
//
//   - a sum of products and plain activations (a residual connection fused with a projection) becomes the products, then the sum, unless
//     numbers that are far greater cancel between the two;
//   - an embedding (one-hot times table) inside a larger expression becomes a node of its own;
//   - constants with one magnitude (permutations, signs, scalars) lose it to the coefficient;
//   - powers of two move between weights where channels of an activation differ by many of them, see balance.
//
// The result computes the same real function. It ends with the error of the budget's context when that is done, or of
// reading a weight.
func Prepare(left *budget.Budget, g *ir.Graph) (*ir.Graph, error) {
	f := arrange(g)
	return f, balance(left, f)
}

// arrange is Prepare with the weights' cells as they are.
func arrange(g *ir.Graph) *ir.Graph {
	p := &preparer{from: g, to: &ir.Graph{Name: g.Name, Stage: ir.StageFloat, Causal: g.Causal, Inputs: slices.Clone(g.Inputs), Outputs: slices.Clone(g.Outputs)}, embeds: map[[2]int]ir.ValueID{}}
	p.at = make([]ir.ValueID, len(g.Values))
	p.magnitude, p.greatest = map[ir.ValueID]float64{}, map[ir.ValueID]float64{}
	for _, n := range g.Nodes {
		p.node(n)
	}
	for _, ports := range [][]ir.Port{p.to.Inputs, p.to.Outputs} {
		for i := range ports {
			ports[i].Value = p.at[ports[i].Value]
		}
	}
	rename(p.to)
	return p.to
}

type preparer struct {
	from, to  *ir.Graph
	at        []ir.ValueID           // old value → new value
	embeds    map[[2]int]ir.ValueID  // (one-hot, table) → embedding
	magnitude map[ir.ValueID]float64 // constants that were divided by their magnitude
	greatest  map[ir.ValueID]float64 // of new values, see ir.Graph.Greatest
}

func (p *preparer) node(n *ir.Node) {
	in := make([]ir.ValueID, len(n.In))
	for i, id := range n.In {
		in[i] = p.at[id]
	}
	v := p.from.Value(n.Out[0])
	if n.Op == ir.OpEinsum {
		p.at[v.ID] = p.einsum(n, v, in)
		return
	}
	w := p.to.Derive(n, n.Op, v.Name, v.Shape, in, n.Attr)
	w.Data, w.Stored = v.Data, v.Stored
	if n.Op == ir.OpConst && p.onlyTerms(v.ID) {
		if m, ok := magnitude(v.Data); ok && m != 1 {
			w.Data = make([]float64, len(v.Data))
			for i, x := range v.Data {
				w.Data[i] = float64(sign(x))
			}
			p.magnitude[w.ID] = m
		}
	}
	p.at[v.ID] = w.ID
}

func (p *preparer) onlyTerms(id ir.ValueID) bool {
	for _, n := range p.from.Nodes {
		for _, in := range n.In {
			if in == id && n.Op != ir.OpEinsum {
				return false
			}
		}
	}
	return true
}

// magnitude returns the one absolute value that all non-zero cells have.
func magnitude(data []float64) (float64, bool) {
	m := 0.0
	for _, x := range data {
		if a := math.Abs(x); a != 0 {
			if m != 0 && m != a {
				return 0, false
			}
			m = a
		}
	}
	return m, m != 0
}

func sign(x float64) int {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

func (p *preparer) einsum(n *ir.Node, v *ir.Value, in []ir.ValueID) ir.ValueID {
	var products, sums []pterm
	for _, t := range n.Attr.(*ir.EinsumAttr).Terms {
		pt := p.term(n, t, in)
		if hidden, weights := p.count(pt); hidden-weights > 0 && hidden == 1 {
			sums = append(sums, pt)
		} else {
			products = append(products, pt)
		}
	}
	if len(products) == 0 && len(sums) == 1 && sums[0].isIdentity() {
		return sums[0].in[0]
	}
	if len(products) == 0 || len(sums) == 0 || !p.anyProduct(products) || p.cancels(products, sums) {
		return p.emit(n, v.Name, v.Shape, append(products, sums...))
	}
	part := p.emit(n, v.Name+".increment", v.Shape, products)
	axes, extents := ir.IdentityAxes(v.Shape)
	sums = append(sums, pterm{coef: 1, extents: extents, in: []ir.ValueID{part}, axes: [][][]int{axes}, out: axes})
	return p.emit(n, v.Name, v.Shape, sums)
}

// mostChosen bounds what may cancel in a sum that is parted.
const mostChosen = 1e6

// cancels says that numbers so great may cancel between the two that a sum parted would lose others: y in a choice c·x + y − c·y, beside which
// c·x − c·y keeps nothing of x, in doubles or in 16 bits. In one sum nothing is lost.
func (p *preparer) cancels(products, sums []pterm) bool {
	return slices.ContainsFunc(sums, func(s pterm) bool {
		far := math.Abs(s.coef)
		for _, id := range s.in {
			far = math.Max(far, p.to.Greatest(id, p.greatest))
		}
		return far > mostChosen && slices.ContainsFunc(products, func(t pterm) bool {
			return slices.ContainsFunc(s.in, func(id ir.ValueID) bool { return slices.Contains(t.in, id) })
		})
	})
}

// pterm is a Term whose operands are values instead of indices.
type pterm struct {
	coef    float64
	extents []int
	in      []ir.ValueID
	axes    [][][]int
	out     [][]int
}

// isIdentity says that a term is its operand, unchanged.
func (t pterm) isIdentity() bool {
	return len(t.in) == 1 && t.coef == 1 && sameAxes(t.axes[0], t.out)
}

func (p *preparer) term(n *ir.Node, t ir.Term, in []ir.ValueID) pterm {
	c := t.Clone()
	r := pterm{coef: c.Coef, extents: c.Extents, axes: c.Axes, out: c.Out}
	for _, i := range c.In {
		r.in = append(r.in, in[i])
		if m, ok := p.magnitude[in[i]]; ok {
			r.coef = float64(r.coef * m)
		}
	}
	return p.embed(n, r)
}

// embed replaces the operands one-hot and table of a term by their embedding.
func (p *preparer) embed(n *ir.Node, t pterm) pterm {
	for h, hot := range t.in {
		if p.to.Value(hot).Def.Op != ir.OpOneHot || len(t.axes[h][1]) != 1 {
			continue
		}
		label := t.axes[h][1][0]
		for w, table := range t.in {
			a := axisOf(t.axes[w], label)
			if p.to.Value(table).Def.Op != ir.OpWeight || a < 0 || len(t.axes[w][a]) != 1 || inAxes(t.out, label) || t.shares(h, w, label) {
				continue
			}
			e := p.embedding(n, hot, table, a)
			axes := append([][]int{t.axes[h][0]}, append(append([][]int{}, t.axes[w][:a]...), t.axes[w][a+1:]...)...)
			r := pterm{coef: t.coef, out: t.out, extents: t.extents, in: []ir.ValueID{e}, axes: [][][]int{axes}}
			for k := range t.in {
				if k != h && k != w {
					r.in, r.axes = append(r.in, t.in[k]), append(r.axes, t.axes[k])
				}
			}
			return r.dropLabel(label)
		}
	}
	return t
}

// shares says that factors h and w have another common label than the given one, or that a third factor has that.
func (t pterm) shares(h, w, label int) bool {
	for _, l := range t.axes[h][0] {
		if inAxes(t.axes[w], l) {
			return true
		}
	}
	for k := range t.in {
		if k != h && k != w && inAxes(t.axes[k], label) {
			return true
		}
	}
	return false
}

// dropLabel removes a label that nothing uses any more.
func (t pterm) dropLabel(label int) pterm {
	fix := func(axes [][]int) [][]int {
		out := make([][]int, len(axes))
		for i, a := range axes {
			out[i] = []int{}
			for _, l := range a {
				if l > label {
					l--
				}
				out[i] = append(out[i], l)
			}
		}
		return out
	}
	r := pterm{coef: t.coef, in: t.in, out: fix(t.out)}
	r.extents = append(append([]int{}, t.extents[:label]...), t.extents[label+1:]...)
	for _, a := range t.axes {
		r.axes = append(r.axes, fix(a))
	}
	return r
}

// embedding returns the value Σ_v hot[t,v]·table[…,v,…], made on first use; axis is the table's vocabulary axis.
func (p *preparer) embedding(n *ir.Node, hot, table ir.ValueID, axis int) ir.ValueID {
	key := [2]int{int(hot), int(table)<<8 | axis}
	if e, ok := p.embeds[key]; ok {
		return e
	}
	h, w := p.to.Value(hot), p.to.Value(table)
	t := pterm{coef: 1, in: []ir.ValueID{hot, table}, extents: []int{h.Shape[0], h.Shape[1]}}
	shape := []int{h.Shape[0]}
	out, lines := [][]int{{0}}, [][]int{}
	for a, d := range w.Shape {
		if a == axis {
			lines = append(lines, []int{1})
			continue
		}
		l := len(t.extents)
		t.extents, shape = append(t.extents, d), append(shape, d)
		lines, out = append(lines, []int{l}), append(out, []int{l})
	}
	t.axes, t.out = [][][]int{{{0}, {1}}, lines}, out
	e := p.emit(n, w.Name+".embedding", shape, []pterm{t})
	p.embeds[key] = e
	return e
}

func axisOf(axes [][]int, label int) int {
	for a, ls := range axes {
		for _, l := range ls {
			if l == label {
				return a
			}
		}
	}
	return -1
}

func inAxes(axes [][]int, label int) bool { return axisOf(axes, label) >= 0 }

// count returns the number of operands that the verifier does not know, and how many of them are weights.
func (p *preparer) count(t pterm) (hidden, weights int) {
	for _, id := range t.in {
		switch p.to.Value(id).Def.Op {
		case ir.OpConst, ir.OpOneHot, ir.OpAffine:
		case ir.OpWeight:
			hidden++
			weights++
		default:
			hidden++
		}
	}
	return hidden, weights
}

func (p *preparer) anyProduct(terms []pterm) bool {
	for _, t := range terms {
		if hidden, _ := p.count(t); hidden >= 2 {
			return true
		}
	}
	return false
}

func (p *preparer) emit(n *ir.Node, name string, shape []int, terms []pterm) ir.ValueID {
	var in []ir.ValueID
	attr := &ir.EinsumAttr{}
	for _, t := range terms {
		r := ir.Term{Coef: t.coef, Extents: t.extents, Axes: t.axes, Out: t.out, In: []int{}}
		for _, id := range t.in {
			r.In = append(r.In, index(&in, id))
		}
		attr.Terms = append(attr.Terms, r)
	}
	return p.to.Derive(n, ir.OpEinsum, name, shape, in, attr).ID
}

// index returns the position of an id in a list, which it joins if it is new.
func index(list *[]ir.ValueID, id ir.ValueID) int {
	for i, x := range *list {
		if x == id {
			return i
		}
	}
	*list = append(*list, id)
	return len(*list) - 1
}
