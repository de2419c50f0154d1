package ir

import (
	"fmt"
	"math"
)

// maxOperands bounds the product of one term.
const maxOperands = 8

// Verify checks the structure of a graph in either stage: topological order, arity, attributes, shapes, and that every axis of
// every Einsum is the product of its labels. A graph without token input (tests) has Input -1.
func Verify(g *Graph) error {
	c := &checker{g: g, defined: make([]bool, len(g.Values))}
	if g.Stage != StageFloat && g.Stage != StageInt {
		return fmt.Errorf("graph %s: unknown stage %d", g.Name, g.Stage)
	}
	for i, v := range g.Values {
		if v == nil || v.ID != ValueID(i) || v.Def == nil {
			return fmt.Errorf("graph %s: value %d is not numbered or not defined", g.Name, i)
		}
		for _, d := range v.Shape {
			if d < 1 {
				return fmt.Errorf("graph %s: value %d has shape %v", g.Name, i, v.Shape)
			}
		}
	}
	for _, n := range g.Nodes {
		if err := c.node(n); err != nil {
			return fmt.Errorf("graph %s: %w", g.Name, err)
		}
	}
	if g.Output < 0 || int(g.Output) >= len(g.Values) || !c.defined[g.Output] {
		return fmt.Errorf("graph %s: the output is not defined", g.Name)
	}
	if g.Input == -1 {
		return nil
	}
	if g.Input < 0 || int(g.Input) >= len(g.Values) || !c.defined[g.Input] || g.Value(g.Input).Def.Op != OpInput {
		return fmt.Errorf("graph %s: the input is not defined", g.Name)
	}
	return nil
}

type checker struct {
	g       *Graph
	defined []bool
}

func (c *checker) node(n *Node) error {
	info, ok := n.Op.Info()
	if !ok {
		return n.Errorf("unknown operation")
	}
	allowed := false
	for _, s := range info.Stages {
		allowed = allowed || s == c.g.Stage
	}
	if !allowed {
		return n.Errorf("is not an operation of stage %d", c.g.Stage)
	}
	if len(n.In) < info.MinIn || info.MaxIn >= 0 && len(n.In) > info.MaxIn || len(n.Out) != info.Outputs {
		return n.Errorf("has %d inputs and %d outputs", len(n.In), len(n.Out))
	}
	for _, in := range n.In {
		if in < 0 || int(in) >= len(c.defined) || !c.defined[in] {
			return n.Errorf("uses value %d before its definition", in)
		}
	}
	for _, o := range n.Out {
		if o < 0 || int(o) >= len(c.defined) || c.defined[o] || c.g.Value(o).Def != n {
			return n.Errorf("does not define value %d", o)
		}
	}
	if err := c.shapes(n); err != nil {
		return err
	}
	for _, o := range n.Out {
		c.defined[o] = true
	}
	return nil
}

func (c *checker) shape(id ValueID) []int { return c.g.Value(id).Shape }

func (c *checker) shapes(n *Node) error {
	out := c.g.Value(n.Out[0])
	switch n.Op {
	case OpInput:
		if len(out.Shape) != 1 || c.g.Input != out.ID {
			return n.Errorf("shape %v; token ids have shape [T] and are the graph's input", out.Shape)
		}
		return noAttr(n)
	case OpWeight, OpConst:
		if c.g.Stage == StageFloat && len(out.Data) != Size(out.Shape) || c.g.Stage == StageInt && len(out.Ints) != Size(out.Shape) {
			return n.Errorf("%d and %d cells for shape %v", len(out.Data), len(out.Ints), out.Shape)
		}
		return noAttr(n)
	case OpOneHot:
		if in := c.shape(n.In[0]); len(in) != 1 || !equalShape(out.Shape, []int{in[0], c.g.Vocab}) {
			return n.Errorf("shape %v for ids of shape %v and vocabulary %d", out.Shape, in, c.g.Vocab)
		}
		return noAttr(n)
	case OpEinsum:
		return c.einsum(n, out)
	case OpZkAttn:
		return c.zkattn(n)
	}
	if !equalShape(out.Shape, c.shape(n.In[0])) {
		return n.Errorf("shape %v from shape %v", out.Shape, c.shape(n.In[0]))
	}
	return c.attr(n)
}

func noAttr(n *Node) error {
	if n.Attr != nil {
		return n.Errorf("has attributes of type %T", n.Attr)
	}
	return nil
}

func equalShape(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// attr checks the operations whose result has the shape of their first input.
func (c *checker) attr(n *Node) error {
	shape := c.shape(n.In[0])
	ok := false
	switch n.Op {
	case OpUnary:
		a, is := n.Attr.(*UnaryAttr)
		ok = is && IsFunction(a.Fn)
	case OpNorm:
		a, is := n.Attr.(*NormAttr)
		if ok = is && len(shape) > 0 && a.Eps >= 0 && len(n.In) == 1+btoi(a.HasGamma)+btoi(a.HasBeta); ok {
			for _, p := range n.In[1:] {
				ok = ok && equalShape(c.shape(p), shape[len(shape)-1:])
				if def := c.g.Value(p).Def; ok && def.Op != OpWeight && def.Op != OpConst {
					return n.Errorf("its scale or bias %s is computed; it must be a weight or a constant", c.g.Value(p).Name)
				}
			}
		}
	case OpSoftmax:
		a, is := n.Attr.(*SoftmaxAttr)
		ok = is && len(shape) > 0 && len(n.In) == 1+btoi(a.HasMask) && !math.IsNaN(a.Scale)
		if ok && a.HasMask {
			return c.mask(n, shape)
		}
	case OpRescale:
		a, is := n.Attr.(*RescaleAttr)
		ok = is && a.Shift >= 0 && a.Shift < 63 && a.Lo <= a.Hi
	case OpTable:
		a, is := n.Attr.(*TableAttr)
		ok = is && IsFunction(a.Fn) && a.Lo <= a.Hi
	case OpRsqrt:
		a, is := n.Attr.(*RsqrtAttr)
		ok = is && a.Eps >= 1 && a.Num >= 0
	}
	if !ok {
		return n.Errorf("attributes %T%+v do not fit %d inputs of shape %v", n.Attr, n.Attr, len(n.In), shape)
	}
	return nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// mask checks that the second input is a constant of zeros and ones over trailing axes of the first.
func (c *checker) mask(n *Node, shape []int) error {
	m := c.g.Value(n.In[1])
	if m.Def.Op != OpConst || len(m.Shape) > len(shape) || !equalShape(m.Shape, shape[len(shape)-len(m.Shape):]) || len(m.Shape) == 0 {
		return n.Errorf("the mask is a %s of shape %v for shape %v", m.Def.Op, m.Shape, shape)
	}
	w := shape[len(shape)-1]
	open := 0
	for i := 0; i < Size(m.Shape); i++ {
		var x float64
		if c.g.Stage == StageFloat {
			x = m.Data[i]
		} else {
			x = float64(m.Ints[i])
		}
		if x != 0 && x != 1 {
			return n.Errorf("the mask has a cell %g", x)
		}
		if x == 0 {
			open++
		}
		if i%w == w-1 {
			if open == 0 {
				return n.Errorf("row %d of the mask is all masked", i/w)
			}
			open = 0
		}
	}
	return nil
}

func (c *checker) zkattn(n *Node) error {
	a, ok := n.Attr.(*ZkAttnAttr)
	shape := c.shape(n.In[0])
	if !ok || len(shape) == 0 || len(n.In) != 1+btoi(a.HasMask) || a.Shift < 0 || a.Shift > 62 || a.DBits < 1 || a.EBits < 0 || a.InvBits < 0 || a.InvBits > 62 {
		return n.Errorf("attributes %+v do not fit %d inputs of shape %v", n.Attr, len(n.In), shape)
	}
	if !equalShape(c.shape(n.Out[0]), shape) || !equalShape(c.shape(n.Out[1]), shape[:len(shape)-1]) {
		return n.Errorf("shapes %v and %v from shape %v", c.shape(n.Out[0]), c.shape(n.Out[1]), shape)
	}
	if a.HasMask {
		return c.mask(n, shape)
	}
	return nil
}

func (c *checker) einsum(n *Node, out *Value) error {
	a, ok := n.Attr.(*EinsumAttr)
	if !ok || len(a.Terms) == 0 {
		return n.Errorf("has no terms")
	}
	used := make([]bool, len(n.In))
	for i, t := range a.Terms {
		if err := c.term(n, t, out.Shape, used); err != nil {
			return n.Errorf("term %d: %v", i, err)
		}
	}
	for i, u := range used {
		if !u {
			return n.Errorf("input %d is in no term", i)
		}
	}
	return nil
}

func (c *checker) term(n *Node, t Term, shape []int, used []bool) error {
	if len(t.In) != len(t.Axes) || len(t.In) > maxOperands {
		return fmt.Errorf("%d operands, %d lists of axes, at most %d", len(t.In), len(t.Axes), maxOperands)
	}
	if c.g.Stage == StageFloat && (t.Coef == 0 || math.IsNaN(t.Coef) || math.IsInf(t.Coef, 0)) || c.g.Stage == StageInt && t.ICoef == 0 {
		return fmt.Errorf("coefficient %g, %d", t.Coef, t.ICoef)
	}
	for _, e := range t.Extents {
		if e < 1 {
			return fmt.Errorf("label extents %v", t.Extents)
		}
	}
	occurs := make([]bool, len(t.Extents))
	for k, in := range t.In {
		if in < 0 || in >= len(n.In) {
			return fmt.Errorf("operand %d is input %d of %d", k, in, len(n.In))
		}
		used[in] = true
		if err := checkAxes(t, t.Axes[k], c.shape(n.In[in]), occurs); err != nil {
			return fmt.Errorf("operand %d: %v", k, err)
		}
	}
	if err := checkAxes(t, t.Out, shape, occurs); err != nil {
		return fmt.Errorf("result: %v", err)
	}
	for l, o := range occurs {
		if !o {
			return fmt.Errorf("label %s is not used", labelText(l))
		}
	}
	return nil
}

// checkAxes checks the axes of one tensor of a term and marks the labels that it has.
func checkAxes(t Term, axes [][]int, shape []int, occurs []bool) error {
	if len(axes) != len(shape) {
		return fmt.Errorf("%d axes for shape %v", len(axes), shape)
	}
	seen := make([]bool, len(t.Extents))
	for a, axis := range axes {
		n := 1
		for _, l := range axis {
			if l < 0 || l >= len(t.Extents) {
				return fmt.Errorf("axis %d has label %d of %d", a, l, len(t.Extents))
			}
			if seen[l] {
				return fmt.Errorf("label %s occurs twice", labelText(l))
			}
			seen[l], occurs[l] = true, true
			n *= t.Extents[l]
		}
		if n != shape[a] {
			return fmt.Errorf("axis %d has labels of extent %d, the shape is %v", a, n, shape)
		}
	}
	return nil
}
