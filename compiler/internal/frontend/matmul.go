package frontend

import (
	"fmt"
	"slices"
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
	as, bs := asRow(a.shape), asColumn(b.shape)
	ra, rb := len(as), len(bs)
	if ra == 0 || rb == 0 || as[ra-1] != bs[rb-2] {
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

// einsumOp is a sum of products whose axes have letters. Those that an ellipsis stands for broadcast.
func einsumOp(c *call) ([]*val, error) {
	eq := strings.ReplaceAll(c.attrString("equation", ""), " ", "")
	left, right, explicit := strings.Cut(eq, "->")
	subs := strings.Split(left, ",")
	if len(subs) != len(c.in) {
		return nil, fmt.Errorf("equation %q for %d inputs", eq, len(c.in))
	}
	e := &equation{c: c, t: ir.Term{Coef: 1}, label: map[rune]int{}}
	for i, s := range subs {
		v, err := c.arg(i)
		if err != nil {
			return nil, err
		}
		if err := e.operand(s, v); err != nil {
			return nil, fmt.Errorf("equation %q: %w", eq, err)
		}
	}
	if !explicit {
		right = implicitResult(left)
	}
	shape, err := e.result(right)
	if err != nil {
		return nil, fmt.Errorf("equation %q: %w", eq, err)
	}
	if len(e.t.In) > len(c.in) { // diagonals
		return []*val{c.einsum(shape, e.t)}, nil
	}
	return []*val{c.pairwise(shape, e.t)}, nil
}

// implicitResult are the axes of a result that an equation does not give: those of the ellipsis, then all letters that stand in it once.
func implicitResult(left string) string {
	var once []rune
	for _, r := range strings.NewReplacer(",", "", ".", "").Replace(left) {
		if strings.Count(left, string(r)) == 1 {
			once = append(once, r)
		}
	}
	slices.Sort(once)
	if strings.Contains(left, dots) {
		return dots + string(once)
	}
	return string(once)
}

const dots = "..."

// equation is that of an Einsum, as far as it is read.
type equation struct {
	c     *call
	t     ir.Term
	label map[rune]int
	rest  []int // labels of the axes that the ellipsis stands for, the last first; of extent 1 until an operand has more
}

// operand reads the axes of one operand. A letter that it has twice is its diagonal: the product with a unit matrix.
func (e *equation) operand(sub string, v *val) error {
	before, behind, some := strings.Cut(sub, dots)
	letters := len([]rune(before)) + len([]rune(behind))
	if strings.Contains(before+behind, ".") || letters > len(v.shape) || !some && letters != len(v.shape) {
		return fmt.Errorf("subscript %q does not fit shape %v", sub, v.shape)
	}
	id, err := e.c.use(v)
	if err != nil {
		return err
	}
	axes, seen, at := [][]int{}, map[rune]bool{}, 0
	take := func(letters string) error {
		for _, r := range letters {
			l, err := e.letter(r, v.shape[at], seen[r])
			if err != nil {
				return err
			}
			axes, seen[r] = append(axes, []int{l}), true
			at++
		}
		return nil
	}
	if err := take(before); err != nil {
		return err
	}
	for k := len(v.shape) - letters; k > 0; k-- {
		if len(e.rest) < k {
			e.more(k)
		}
		l := e.rest[k-1]
		switch d := v.shape[at]; {
		case d == 1:
			axes = append(axes, []int{})
		case e.t.Extents[l] != 1 && e.t.Extents[l] != d:
			return fmt.Errorf("subscript %q for shape %v, where another operand has %d", sub, v.shape, e.t.Extents[l])
		default:
			e.t.Extents[l] = d
			axes = append(axes, []int{l})
		}
		at++
	}
	if err := take(behind); err != nil {
		return err
	}
	e.t.In, e.t.Axes = append(e.t.In, int(id)), append(e.t.Axes, axes)
	return nil
}

// more makes the ellipsis stand for so many axes.
func (e *equation) more(k int) {
	for len(e.rest) < k {
		e.rest = append(e.rest, len(e.t.Extents))
		e.t.Extents = append(e.t.Extents, 1)
	}
}

// letter is the label of a letter's axis, for one that the operand has already another, which a unit matrix ties to it.
func (e *equation) letter(r rune, extent int, again bool) (int, error) {
	l, known := e.label[r]
	if known && e.t.Extents[l] != extent {
		return 0, fmt.Errorf("letter %q has the extents %d and %d", r, e.t.Extents[l], extent)
	}
	if known && !again {
		return l, nil
	}
	fresh := len(e.t.Extents)
	e.t.Extents = append(e.t.Extents, extent)
	if !known {
		e.label[r] = fresh
		return fresh, nil
	}
	unit := e.c.add(ir.OpAffine, e.c.b.unique("diagonal"), []int{extent, extent}, nil, &ir.AffineAttr{Strides: []int64{1, -1}})
	e.t.In, e.t.Axes = append(e.t.In, int(unit.ID)), append(e.t.Axes, [][]int{{l}, {fresh}})
	return fresh, nil
}

// result reads the axes of the result.
func (e *equation) result(right string) (shape []int, err error) {
	before, behind, some := strings.Cut(right, dots)
	if !some && len(e.rest) > 0 {
		return nil, fmt.Errorf("a result without the axes of the ellipsis")
	}
	out := func(l int) {
		e.t.Out, shape = append(e.t.Out, []int{l}), append(shape, e.t.Extents[l])
	}
	seen := map[rune]bool{}
	take := func(letters string) error {
		for _, r := range letters {
			l, known := e.label[r]
			if !known || seen[r] {
				return fmt.Errorf("%q in the result", r)
			}
			seen[r] = true
			out(l)
		}
		return nil
	}
	if err := take(before); err != nil {
		return nil, err
	}
	if some {
		for _, l := range slices.Backward(e.rest) {
			out(l)
		}
	}
	return shape, take(behind)
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
