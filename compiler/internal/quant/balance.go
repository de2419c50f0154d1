package quant

import (
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/weights"
	"github.com/zkllmc/zkllmc/ir"
)

// All cells of a value have one scale, and a weight has one too. Where the channels of an activation differ by powers of ten, and the weights
// that take them by the same powers the other way, a model computes the same as one in which all are alike, but the small channels would keep
// few of their bits on the one side, and the large ones on the other. So powers of two are moved between the weights in front of the channels
// (the gain and bias of a normalisation, the matrix and bias of a linear map) and those behind them until both sides are alike. The function
// stays the same to the last bit, nothing is added to the circuit, and what was moved is hidden in the weights.

// balanceFrom is from which ratio of a value's channels on, 2^balanceFrom, something is moved: what channels that differ by less lose is what a
// rounding has to spare, and models of that kind, trained ones mostly, stay as they are.
const balanceFrom = 4

// balancer finds out which axes of values may be scaled index by index, and which of them together.
type balancer struct {
	left   *budget.Budget
	g      *ir.Graph
	uses   []int // of each value as an operand
	first  []int // per value: the number of its first axis
	parent []int // axes that are scaled together, by number, with the sign of the exponent against that of the parent
	sign   []int
	fixed  []bool // of roots: nothing may be scaled
	takers []taker
	from   int // balanceFrom
	err    error
}

// taker is an axis of a weight that makes up for the scales of an axis of an activation: it is multiplied with them, or divided by them.
type taker struct {
	weight     ir.ValueID
	axis       int
	activation int // number of its axis
	sign       int
}

// balance moves powers of two between weights.
func balance(left *budget.Budget, g *ir.Graph) error {
	return balanceAll(left, g, balanceFrom)
}

// balanceAll is balance of channels that differ by a ratio of 2^from or more.
func balanceAll(left *budget.Budget, g *ir.Graph, from int) error {
	b := &balancer{left: left, g: g, uses: make([]int, len(g.Values)), first: make([]int, len(g.Values)), from: from}
	for _, v := range g.Values {
		b.first[v.ID] = len(b.parent)
		for range v.Shape {
			b.parent, b.sign, b.fixed = append(b.parent, len(b.parent)), append(b.sign, 1), append(b.fixed, false)
		}
	}
	for _, n := range g.Nodes {
		b.count(n)
	}
	for _, n := range g.Nodes {
		b.node(n)
	}
	for i := range g.Outputs {
		b.fix(g.Outputs[i].Value)
	}
	b.move()
	return b.err
}

// count counts operands; one that stands in several terms, or twice in one, is used so many times.
func (b *balancer) count(n *ir.Node) {
	a, sum := n.Attr.(*ir.EinsumAttr)
	if !sum {
		for _, id := range n.In {
			b.uses[id]++
		}
		return
	}
	for _, t := range a.Terms {
		for _, i := range t.In {
			b.uses[n.In[i]]++
		}
	}
}

func (b *balancer) node(n *ir.Node) {
	switch a := n.Attr.(type) {
	case *ir.EinsumAttr:
		for i := range a.Terms {
			b.term(n, &a.Terms[i])
		}
		return
	case *ir.NormAttr:
		b.norm(n, a)
		return
	case *ir.UnaryAttr:
		if a.Fn == "relu" {
			b.alike(n)
			return
		}
	}
	if n.Op == ir.OpMax {
		b.alike(n)
		return
	}
	b.fix(n.In...)
	b.fix(n.Out...)
}

// alike is an operation that a positive factor on all operands goes through.
func (b *balancer) alike(n *ir.Node) {
	for _, id := range n.In {
		if !b.activation(id) {
			b.fix(n.Out...)
		}
		for a := range b.g.Value(id).Shape {
			b.join(b.first[n.Out[0]]+a, b.first[id]+a, 1)
		}
	}
}

// norm is a normalisation: what goes in is of one size, what comes out is of that of its gain and bias.
func (b *balancer) norm(n *ir.Node, a *ir.NormAttr) {
	b.fix(n.In[0])
	v := b.g.Value(n.Out[0])
	last := len(v.Shape) - 1
	for axis := range last {
		b.fixAxis(b.first[v.ID] + axis)
	}
	if !a.HasGamma || slices.ContainsFunc(n.In[1:], func(id ir.ValueID) bool { return !b.free(id) }) {
		b.fix(v.ID)
		return
	}
	for _, id := range n.In[1:] {
		b.takers = append(b.takers, taker{id, 0, b.first[v.ID] + last, 1})
	}
}

// activation says that a value differs from run to run and is no choice of tokens or indices.
func (b *balancer) activation(id ir.ValueID) bool {
	switch b.g.Value(id).Def.Op {
	case ir.OpWeight, ir.OpConst, ir.OpAffine, ir.OpOneHot:
		return false
	}
	return true
}

// free says that a value is a weight that stands in one place only.
func (b *balancer) free(id ir.ValueID) bool {
	return b.g.Value(id).Def.Op == ir.OpWeight && b.uses[id] == 1
}

// term is a term of a sum: of each label, the scales of all operands make that of the result, or nothing where it is summed over.
func (b *balancer) term(n *ir.Node, t *ir.Term) {
	out := b.first[n.Out[0]]
	for l := range t.Extents {
		result, whole := axisAlone(t.Out, l)
		var acts []int
		free := taker{weight: -1}
		for k, i := range t.In {
			id := n.In[i]
			axis, alone := axisAlone(t.Axes[k], l)
			whole = whole && alone
			switch {
			case axis < 0:
			case b.activation(id):
				acts = append(acts, b.first[id]+axis)
			case alone && b.free(id) && free.weight < 0:
				free.weight, free.axis = id, axis
			}
		}
		if result >= 0 {
			result += out
		}
		b.label(acts, result, free, whole)
	}
}

// axisAlone returns the axis that has a label, or -1, and whether it has no other, and no other axis has it.
func axisAlone(axes [][]int, label int) (axis int, alone bool) {
	axis, alone = -1, true
	for a, labels := range axes {
		if slices.Contains(labels, label) {
			alone = axis < 0 && len(labels) == 1
			axis = a
		}
	}
	return axis, alone
}

// label is one label of a term: axes of activations that have it, that of the result or -1, and of a weight that is free to make up for them.
func (b *balancer) label(acts []int, result int, free taker, whole bool) {
	all := acts
	if result >= 0 {
		all = append(slices.Clone(acts), result)
	}
	switch {
	case !whole:
		b.fixAxis(all...)
	case free.weight >= 0:
		for _, a := range all {
			free.activation, free.sign = a, -1
			if a == result {
				free.sign = 1
			}
			b.takers = append(b.takers, free)
		}
	case len(all) == 2 && result >= 0: // one activation goes on as it is
		b.join(result, acts[0], 1)
	case len(all) == 2: // of two the scales cancel
		b.join(acts[0], acts[1], -1)
	default:
		b.product(acts, result)
	}
}

// product is a label of several activations and the result, as that of a gate: of the activations that may be scaled the one goes on whose
// channels are furthest apart.
func (b *balancer) product(acts []int, result int) {
	open, most := -1, -1
	for i, a := range acts {
		if root, _ := b.root(a); result >= 0 && !b.fixed[root] {
			if apart := b.apart(root); apart > most {
				open, most = i, apart
			}
		}
	}
	if open < 0 {
		b.fixAxis(acts...)
		if result >= 0 {
			b.fixAxis(result)
		}
		return
	}
	b.join(result, acts[open], 1)
	for i, a := range acts {
		if i != open {
			b.fixAxis(a)
		}
	}
}

// apart says how many powers of two lie between the sizes of the weights in front of axes that are scaled together.
func (b *balancer) apart(root int) int {
	most := 0
	for _, t := range b.takers {
		if r, sign := b.root(t.activation); r == root && sign*t.sign > 0 {
			from := fromMedian(b.sizes(t), 0)
			most = max(most, slices.Max(from)-slices.Min(from))
		}
	}
	return most
}

func (b *balancer) root(axis int) (root, sign int) {
	for sign = 1; b.parent[axis] != axis; axis = b.parent[axis] {
		sign *= b.sign[axis]
	}
	return axis, sign
}

// join says that one axis is scaled as another one, or the other way.
func (b *balancer) join(x, y, sign int) {
	rx, sx := b.root(x)
	ry, sy := b.root(y)
	if rx == ry {
		b.fixed[rx] = b.fixed[rx] || sx*sy != sign
		return
	}
	b.parent[ry], b.sign[ry] = rx, sx*sy*sign
	b.fixed[rx] = b.fixed[rx] || b.fixed[ry]
}

func (b *balancer) fix(ids ...ir.ValueID) {
	for _, id := range ids {
		for a := range b.g.Value(id).Shape {
			b.fixAxis(b.first[id] + a)
		}
	}
}

func (b *balancer) fixAxis(axes ...int) {
	for _, a := range axes {
		root, _ := b.root(a)
		b.fixed[root] = true
	}
}

// move balances the axes that may be scaled, those together that must be, from the inputs on: what a matrix makes of channels of one size is
// seen best when they are of one size.
func (b *balancer) move() {
	var roots []int
	groups := map[int][]taker{}
	for _, t := range b.takers {
		root, sign := b.root(t.activation)
		if b.fixed[root] {
			continue
		}
		if len(groups[root]) == 0 {
			roots = append(roots, root)
		}
		t.sign *= sign
		groups[root] = append(groups[root], t)
	}
	for _, root := range roots {
		by := b.exponents(groups[root])
		if by == nil {
			continue
		}
		for _, t := range groups[root] {
			b.scale(t, by)
		}
	}
}

// exponents are the powers of two that the channels of a group are to be multiplied with: what a channel of one side is away from that side's
// median, as far as the other side is away from its own the other way. A channel that is small on one side alone was not scaled against the
// other: a gain makes up for what comes before it, say. nil if nothing is far enough to matter, or one side is missing.
func (b *balancer) exponents(group []taker) []int {
	n := b.g.Value(group[0].weight).Shape[group[0].axis]
	before, behind := make([]float64, n), make([]float64, n)
	for _, t := range group {
		side := before
		if t.sign < 0 {
			side = behind
		}
		for c, x := range b.sizes(t) {
			side[c] = math.Max(side[c], x)
		}
	}
	by := make([]int, n)
	most, least := 0, 0
	down, up := fromMedian(before, 0), fromMedian(behind, 1)
	for c := range by {
		switch {
		case down[c] > 0 && up[c] < 0:
			by[c] = -min(down[c], -up[c])
		case down[c] < 0 && up[c] > 0:
			by[c] = min(-down[c], up[c])
		}
		least, most = min(least, by[c]), max(most, by[c])
	}
	if most-least < b.from {
		return nil
	}
	return by
}

// fromMedian says how many powers of two each size is away from that in the middle, of two there from the greater one or that before it; zeros
// are not away from it.
func fromMedian(sizes []float64, before int) []int {
	out, live := make([]int, len(sizes)), []int{}
	for c, x := range sizes {
		if x > 0 {
			_, out[c] = math.Frexp(x)
			live = append(live, out[c])
		}
	}
	slices.Sort(live)
	for c, x := range sizes {
		if x > 0 {
			out[c] -= live[(len(live)-before)/2]
		}
	}
	return out
}

// sizes are the lengths of what a weight has for each index of an axis.
func (b *balancer) sizes(t taker) []float64 {
	v := b.g.Value(t.weight)
	n, inner := v.Shape[t.axis], ir.Size(v.Shape[t.axis+1:])
	out := make([]float64, n)
	err := weights.Each(v.Reals(), func(from int, cells []float64) error {
		for i := 0; i < len(cells); {
			at := from + i
			sum := &out[at/inner%n]
			for end := min(len(cells), i+inner-at%inner); i < end; i++ {
				*sum += float64(cells[i] * cells[i])
			}
		}
		return b.left.Poll()
	})
	if b.err == nil {
		b.err = err
	}
	for c := range out {
		out[c] = math.Sqrt(out[c])
	}
	return out
}

// scale multiplies what a weight has for each index of an axis.
func (b *balancer) scale(t taker, by []int) {
	v, signed := b.g.Value(t.weight), slices.Clone(by)
	for c := range signed {
		signed[c] *= t.sign
	}
	scaled := weights.Scaled(v.Reals(), ir.Size(v.Shape[t.axis+1:]), signed)
	if v.Stored != nil {
		v.Stored = scaled
		return
	}
	cells, err := weights.All(scaled)
	if v.Data = cells; b.err == nil {
		b.err = err
	}
}
