package frontend

import (
	"fmt"
	"strings"

	"github.com/zkllmc/zkllmc/ir"
)

// Matrix products: Einsums of two operands.

func init() {
	register(handlers, map[string]handler{"MatMul": matmul, "Gemm": gemm, "Einsum": einsumOp})
}

func matmul(c *call) ([]*val, error) {
	if err := c.args(2); err != nil {
		return nil, err
	}
	return one(c.multiply(c.in[0], c.in[1]))
}

// multiply is numpy's matmul: batch axes broadcast, a vector is a row on the left and a column on the right.
func (c *call) multiply(a, b *val) (*val, error) {
	as, bs := a.shape, b.shape
	if len(as) == 0 || len(bs) == 0 {
		return nil, fmt.Errorf("shapes %v and %v cannot be multiplied", as, bs)
	}
	if len(as) == 1 {
		as = []int{1, as[0]}
	}
	if len(bs) == 1 {
		bs = []int{bs[0], 1}
	}
	ra, rb := len(as), len(bs)
	if as[ra-1] != bs[rb-2] {
		return nil, fmt.Errorf("shapes %v and %v cannot be multiplied", a.shape, b.shape)
	}
	batch, err := broadcast(as[:ra-2], bs[:rb-2])
	if err != nil {
		return nil, err
	}
	full := append(append([]int{}, batch...), as[ra-2], bs[rb-1])
	out, ext := ir.IdentityAxes(full)
	k := []int{len(ext)}
	ext = append(ext, as[ra-1])
	row, col := out[len(out)-2], out[len(out)-1]
	t := ir.Term{Coef: 1, Extents: ext, Out: out}
	t.Axes = [][][]int{
		append(broadcastAxes(as[:ra-2], out[:len(batch)]), row, k),
		append(broadcastAxes(bs[:rb-2], out[:len(batch)]), k, col),
	}
	shape := full
	if len(b.shape) == 1 {
		t.Axes[1], t.Out, shape = t.Axes[1][:1], t.Out[:len(t.Out)-1], shape[:len(shape)-1]
	}
	if len(a.shape) == 1 {
		t.Axes[0] = t.Axes[0][1:]
		i := len(batch)
		t.Out = append(append([][]int{}, t.Out[:i]...), t.Out[i+1:]...)
		shape = append(append([]int{}, shape[:i]...), shape[i+1:]...)
	}
	for _, v := range []*val{a, b} {
		id, err := c.use(v)
		if err != nil {
			return nil, err
		}
		t.In = append(t.In, int(id))
	}
	return c.einsum(shape, t), nil
}

func gemm(c *call) ([]*val, error) {
	if err := c.args(2); err != nil {
		return nil, err
	}
	a, b := c.in[0], c.in[1]
	if len(a.shape) != 2 || len(b.shape) != 2 {
		return nil, fmt.Errorf("shapes %v and %v are not matrices", a.shape, b.shape)
	}
	i, k, k2, j := a.shape[0], a.shape[1], b.shape[0], b.shape[1]
	la, lb := [][]int{{0}, {2}}, [][]int{{2}, {1}}
	if c.attrInt("transA", 0) != 0 {
		i, k, la = k, i, [][]int{{2}, {0}}
	}
	if c.attrInt("transB", 0) != 0 {
		k2, j, lb = j, k2, [][]int{{1}, {2}}
	}
	if k != k2 {
		return nil, fmt.Errorf("shapes %v and %v cannot be multiplied", a.shape, b.shape)
	}
	t := ir.Term{Coef: c.attrFloat("alpha", 1), Extents: []int{i, j, k}, Axes: [][][]int{la, lb}, Out: [][]int{{0}, {1}}}
	for _, v := range c.in[:2] {
		id, err := c.use(v)
		if err != nil {
			return nil, err
		}
		t.In = append(t.In, int(id))
	}
	shape := []int{i, j}
	terms := []ir.Term{t}
	if c.has(2) {
		f, err := c.factor(c.in[2])
		if err != nil {
			return nil, err
		}
		if _, err := broadcast(shape, c.in[2].shape); err != nil || len(c.in[2].shape) > 2 {
			return nil, fmt.Errorf("input of shape %v cannot be added to shape %v", c.in[2].shape, shape)
		}
		terms = append(terms, product(shape, c.attrFloat("beta", 1), f))
	}
	return []*val{c.einsum(shape, terms...)}, nil
}

// einsumOp supports equations of letters without ellipsis and without a repeated letter in one operand.
func einsumOp(c *call) ([]*val, error) {
	eq := strings.ReplaceAll(c.attrString("equation", ""), " ", "")
	left, right, explicit := strings.Cut(eq, "->")
	subs := strings.Split(left, ",")
	if len(subs) != len(c.in) || strings.Contains(eq, ".") || !explicit {
		return nil, c.unsupported("equation %q; one subscript per input, no ellipsis and an explicit result are supported", eq)
	}
	t := ir.Term{Coef: 1}
	label := map[rune]int{}
	for i, s := range subs {
		v, err := c.arg(i)
		if err != nil {
			return nil, err
		}
		axes, err := c.subscript(&t, label, s, v.shape)
		if err != nil {
			return nil, err
		}
		id, err := c.use(v)
		if err != nil {
			return nil, err
		}
		t.In, t.Axes = append(t.In, int(id)), append(t.Axes, axes)
	}
	var shape []int
	for _, r := range right {
		l, ok := label[r]
		if !ok || strings.Count(right, string(r)) > 1 {
			return nil, c.unsupported("equation %q: %q in the result", eq, r)
		}
		t.Out = append(t.Out, []int{l})
		shape = append(shape, t.Extents[l])
	}
	return []*val{c.pairwise(shape, t)}, nil
}

// pairwise adds a product of several values two at a time, where that is cheaper: calibration sees what is in between, and the integer
// program may round there. Products of weights and constants alone are left to the passes, which compute those of constants.
func (c *call) pairwise(shape []int, t ir.Term) *val {
	steps := t.Pairwise(nil)
	if !c.eachActive(steps) {
		return c.einsum(shape, t)
	}
	in := append([]int{}, t.In...)
	for i := range steps {
		s := &steps[i]
		if i == len(steps)-1 {
			break
		}
		var part []int
		for _, a := range s.Out {
			part = append(part, s.AxisExtent(a))
		}
		in = append(in, int(c.einsum(part, named(*s, in)).id))
	}
	return c.einsum(shape, named(steps[len(steps)-1], in))
}

// eachActive says whether every step of a product of the node's inputs has an operand that depends on the token ids.
func (c *call) eachActive(steps []ir.Term) bool {
	active := make([]bool, len(c.in), len(c.in)+len(steps))
	for i, v := range c.in {
		active[i] = !v.inputFree()
	}
	for _, s := range steps {
		some := false
		for _, k := range s.In {
			some = some || active[k]
		}
		if !some {
			return false
		}
		active = append(active, true)
	}
	return true
}

// named gives a term whose operands are numbered the values that they stand for.
func named(t ir.Term, values []int) ir.Term {
	r := t.Clone()
	for i, k := range r.In {
		r.In[i] = values[k]
	}
	return r
}

func (c *call) subscript(t *ir.Term, label map[rune]int, s string, shape []int) ([][]int, error) {
	if len(s) != len(shape) {
		return nil, fmt.Errorf("subscript %q does not fit shape %v", s, shape)
	}
	var axes [][]int
	for i, r := range s {
		l, ok := label[r]
		if !ok {
			l = len(t.Extents)
			label[r] = l
			t.Extents = append(t.Extents, shape[i])
		}
		if t.Extents[l] != shape[i] || strings.Count(s, string(r)) > 1 {
			return nil, c.unsupported("subscript %q for shape %v", s, shape)
		}
		axes = append(axes, []int{l})
	}
	return axes, nil
}
