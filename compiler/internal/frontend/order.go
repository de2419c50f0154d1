package frontend

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// What depends on an order, TopK and the index of an extremum, is made of ranks: how many of the cells of an axis come before each. Ranks are
// sums of comparisons of pairs, all different, so that every place of the order has one cell, whatever cells are equal.

func init() {
	register(handlers, map[string]handler{"TopK": topK, "ArgMin": argMin})
}

// maxPairs bounds the comparisons of an order.
const maxPairs = 1 << 21

// order says which of two cells comes first: the larger, or the smaller; of equal ones that with the smaller index, or with the larger.
type order struct{ smallest, last bool }

// ranks are, for the last axis of x, how many cells come before each.
func (c *call) ranks(x *val, o order) (*val, error) {
	last := len(x.shape) - 1
	n, rows := x.shape[last], x.shape[:last]
	shape := append(append([]int{}, x.shape...), n) // i, then j
	if cells, ok := size(1, shape...); !ok || cells > maxPairs {
		return nil, c.unsupported("orders %d cells, of which it takes a comparison of every pair; up to %d comparisons are supported", n, maxPairs)
	}
	of := func(at int) (*val, error) { // x as a cell of every pair, by its i or j
		s := append(append([]int{}, rows...), 1, 1)
		s[last+at] = n
		return c.reshapeTo(x, s)
	}
	first, err := of(0)
	if err != nil {
		return nil, err
	}
	second, err := of(1)
	if err != nil {
		return nil, err
	}
	// Of i < j, i comes before j unless x_j is greater; where the last of equal ones comes first, only if x_i is greater.
	if o.smallest == o.last {
		first, second = second, first
	}
	above := c.greater(shape, only(first), only(second))
	if x.last != nil {
		m, err := c.reshapeTo(x.last, first.shape)
		if err != nil {
			return nil, err
		}
		l, err := c.reshapeTo(x.last, second.shape)
		if err != nil {
			return nil, err
		}
		// The first is above if it is not last, and the second is, or is below it: (1−m)·(l + (1−l)·above).
		a, b := only(m), only(l)
		up := only(above)
		v, err := c.boolean(shape, product(shape, 1, b), product(shape, -1, a, b), product(shape, 1, up), product(shape, -1, up, b),
			product(shape, -1, up, a), product(shape, 1, up, a, b))
		if err != nil {
			return nil, err
		}
		above = v[0]
	}
	upper, start := make([]float64, n*n), make([]float64, n)
	if err := c.charge(2, n, n); err != nil {
		return nil, err
	}
	for k := range upper {
		if k/n < k%n {
			upper[k] = 1
		}
	}
	sign := 1.0 // of what counts for i: how often something above it is behind it, or, of the last, how often it is above that
	for i := range start {
		start[i] = float64(i)
		if o.last {
			start[i], sign = float64(n-1-i), -1
		}
	}
	axes, ext := ir.IdentityAxes(shape)
	tri := int(c.public(c.n.Name+".pairs", []int{n, n}, upper))
	pairs := func(coef float64, out int) ir.Term {
		t := ir.Term{Coef: coef, Extents: ext, In: []int{int(above.id), tri}, Axes: [][][]int{axes, axes[last:]}}
		t.Out = append(append([][]int{}, axes[:last]...), axes[last+out])
		return t
	}
	base := product(x.shape, 1, factor{coef: 1, id: c.public(c.n.Name+".places", []int{n}, start), shape: []int{n}})
	y := c.einsum(x.shape, pairs(sign, 0), pairs(-sign, 1), base)
	return c.assert(y, 0, int64(n)-1), nil
}

// onlyOrdered says whether nothing is made of the node's result but indices of a TopK.
func (c *call) onlyOrdered() bool {
	if len(c.n.Outputs) != 1 || slices.Contains(c.s.outs, c.n.Outputs[0]) {
		return false
	}
	users := c.s.usersOf(c.n.Outputs[0])
	for _, n := range users {
		if n.Op != "TopK" || !standard(n, c.b.functions) || len(n.Outputs) < 2 || slices.Contains(n.Inputs[1:], c.n.Outputs[0]) {
			return false
		}
		if v := n.Outputs[0]; v != "" && (len(c.s.usersOf(v)) > 0 || slices.Contains(c.s.outs, v)) {
			return false
		}
	}
	return len(users) > 0
}

// behind is a Where that puts a number below all others, −∞ say, where its condition holds, or does not, as experts are masked that may not be
// chosen. An order needs no such number: those cells keep what they are, and come behind all others, among each other as equal ones do.
func (c *call) behind(shape []int, cond factor, x *val, holds bool) (*val, error) {
	f, err := c.factor(x)
	if err != nil {
		return nil, err
	}
	y := c.einsum(shape, product(shape, 1, f))
	bits := []ir.Term{product(shape, 1, cond)}
	if !holds {
		bits = []ir.Term{product(shape, 1), product(shape, -1, cond)}
	}
	last, err := c.boolean(shape, bits...)
	if err != nil {
		return nil, err
	}
	y.last = last[0]
	return y, nil
}

// compares notes that an operator compares cells of x with each other.
func (c *call) compares(x *val) {
	if c.b.integers(x.id) == nil {
		c.b.compared = append(c.b.compared, c)
	}
}

// lastAxis is x with axis a as the last one, and the permutation that brings it back.
func (c *call) lastAxis(x *val, a int) (*val, []int, error) {
	perm, back := make([]int, 0, len(x.shape)), make([]int, len(x.shape))
	for k := range x.shape {
		if k != a {
			perm = append(perm, k)
		}
	}
	perm = append(perm, a)
	for i, k := range perm {
		back[k] = i
	}
	y, err := c.transposeBy(x, perm)
	return y, back, err
}

// pick is, for every place of an order, the cell of x that has it, or the number of that cell.
func (c *call) pick(hot, x *val, places int) *val {
	last := len(hot.shape) - 2
	shape := append(append([]int{}, hot.shape[:last]...), places)
	axes, ext := ir.IdentityAxes(append(append([]int{}, hot.shape...), 1)) // rows, i, place
	t := ir.Term{Coef: 1, Extents: ext, In: []int{int(hot.id)}, Axes: [][][]int{axes[:last+2]}}
	t.Out = append(append([][]int{}, axes[:last]...), axes[last+1])
	if x != nil {
		t.In, t.Axes = append(t.In, int(x.id)), append(t.Axes, axes[:last+1])
		y := c.einsum(shape, t)
		if i := c.b.integers(x.id); i != nil { // a cell of x
			c.b.intervals[y.id] = i
		}
		return y
	}
	n := hot.shape[last]
	count := make([]float64, n)
	for i := range count {
		count[i] = float64(i)
	}
	t.In, t.Axes = append(t.In, int(c.public(c.n.Name+".numbers", []int{n}, count))), append(t.Axes, axes[last:last+1])
	y := c.assert(c.einsum(shape, t), 0, int64(n)-1)
	y.dtype = onnx.Int64
	return y
}

// topK is the k first cells of an axis in its order, and their indices.
func topK(c *call) ([]*val, error) {
	x, a, err := c.alongAxis(-1)
	if err != nil {
		return nil, err
	}
	ks, given, err := c.intsAttrOr("k", 1)
	if err != nil {
		return nil, err
	}
	if at := c.attr("k"); at != nil {
		ks, given = []int64{at.I}, true
	}
	n := x.shape[a]
	if !given || len(ks) != 1 || ks[0] < 1 || ks[0] > int64(n) {
		return nil, c.unsupported("the first %d of %d cells", ks, n)
	}
	k := int(ks[0])
	if _, err := c.use(x); err != nil {
		return nil, err
	}
	if c.attrInt("sorted", 1) == 0 && k > 1 && slices.ContainsFunc(c.n.Outputs, c.ends) {
		c.b.g.Notes = append(c.b.g.Notes, fmt.Sprintf("node %q (%s) leaves open in which order it gives what it finds (its sorted is 0), and runtimes have orders of their own: here the first is first", c.n.Name, c.key()))
	}
	if n == 1 {
		indices, err := c.zeros(x.shape)
		y := *x
		return []*val{&y, indices}, err
	}
	c.compares(x)
	y, back, err := c.lastAxis(x, a)
	if err != nil {
		return nil, err
	}
	if x.last != nil {
		if y.last, _, err = c.lastAxis(x.last, a); err != nil {
			return nil, err
		}
	}
	ranks, err := c.ranks(y, order{smallest: c.attrInt("largest", 1) == 0})
	if err != nil {
		return nil, err
	}
	hot, err := c.rows(ranks, k)
	if err != nil {
		return nil, err
	}
	outs := []*val{c.pick(hot, y, k), c.pick(hot, nil, k)}
	outs[0].dtype = x.dtype
	for i := range outs {
		dtype := outs[i].dtype
		if outs[i], err = c.transposeBy(outs[i], back); err != nil {
			return nil, err
		}
		outs[i].dtype = dtype
	}
	return outs, nil
}

// zeros are the indices of an axis of one cell.
func (c *call) zeros(shape []int) (*val, error) {
	if err := c.charge(1, shape...); err != nil {
		return nil, err
	}
	return constant("", &onnx.Tensor{DType: onnx.Int64, Shape: shape, I: make([]int64, ir.Size(shape))}), nil
}

// indexOf is the index of the cell of axis a that comes first.
func (c *call) indexOf(x *val, a int, o order) ([]*val, error) {
	if _, err := c.use(x); err != nil {
		return nil, err
	}
	shape := append([]int{}, x.shape...)
	if shape[a] = 1; c.attrInt("keepdims", 1) == 0 {
		shape = append(shape[:a], shape[a+1:]...)
	}
	if x.shape[a] == 1 {
		return one(c.zeros(shape))
	}
	c.compares(x)
	y, _, err := c.lastAxis(x, a)
	if err != nil {
		return nil, err
	}
	ranks, err := c.ranks(y, o)
	if err != nil {
		return nil, err
	}
	hot, err := c.rows(ranks, 1)
	if err != nil {
		return nil, err
	}
	v, err := c.reshapeTo(c.pick(hot, nil, 1), shape)
	if err != nil {
		return nil, err
	}
	v.dtype = onnx.Int64
	return []*val{v}, nil
}

func argMin(c *call) ([]*val, error) {
	x, a, err := c.alongAxis(0)
	if err != nil {
		return nil, err
	}
	return c.indexOf(x, a, order{smallest: true, last: c.attrInt("select_last_index", 0) != 0})
}
