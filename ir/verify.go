package ir

import "fmt"

// Verify checks the structure of a graph in any stage: topological order, arity, attributes, shapes, and that every axis of
// every Einsum is the product of its labels. A graph needs an output; without inputs it is a test's.
func Verify(g *Graph) error {
	c := &checker{g: g, defined: make([]bool, len(g.Values))}
	if g.Stage != StagePrim && g.Stage != StageFloat && g.Stage != StageInt {
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
	return c.ports()
}

// ports checks that inputs and outputs have names and values, each input one Input node of its own.
func (c *checker) ports() error {
	names := map[string]bool{}
	for i, list := range [][]Port{c.g.Inputs, c.g.Outputs} {
		side := [...]string{"input", "output"}[i]
		for k := range list {
			p := &list[k]
			if p.Value < 0 || int(p.Value) >= len(c.defined) || !c.defined[p.Value] || side == "input" && c.g.Value(p.Value).Def.Op != OpInput {
				return fmt.Errorf("graph %s: the %s %q is not defined", c.g.Name, side, p.Name)
			}
			if v := c.g.Value(p.Value); v.Wide() {
				return fmt.Errorf("graph %s: the %s %q has cells in %v, beyond 2^62", c.g.Name, side, p.Name, v.Bounds())
			}
			if c.g.Value(p.Value).Unstored() {
				return fmt.Errorf("graph %s: the output %q is a map of indices", c.g.Name, p.Name)
			}
			if !sameCells(p.Shape, c.g.Value(p.Value).Shape) && len(p.Shape) > 0 {
				return fmt.Errorf("graph %s: the %s %q of shape %v is a value of shape %v", c.g.Name, side, p.Name, p.Shape, c.g.Value(p.Value).Shape)
			}
			if key := side + p.Name; names[key] {
				return fmt.Errorf("graph %s: two %ss are called %q", c.g.Name, side, p.Name)
			} else {
				names[key] = true
			}
		}
	}
	if len(c.g.Outputs) == 0 {
		return fmt.Errorf("graph %s: the output is not defined", c.g.Name)
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
	if !info.Is(c.g.Stage) {
		return n.Errorf("is not an operation of stage %d", c.g.Stage)
	}
	if len(n.In) < info.MinIn || info.MaxIn >= 0 && len(n.In) > info.MaxIn || len(n.Out) != info.Outputs {
		return n.Errorf("has %d inputs and %d outputs", len(n.In), len(n.Out))
	}
	for _, in := range n.In {
		if in < 0 || int(in) >= len(c.defined) || !c.defined[in] {
			return n.Errorf("uses value %d before its definition", in)
		}
		if c.g.Value(in).Wide() && !info.TakesWide {
			return n.Errorf("takes integers below 2^62, and those of value %d are in %v", in, c.g.Value(in).Bounds())
		}
		if c.g.Value(in).Unstored() && n.Op != OpEinsum {
			return n.Errorf("computes with a map of indices, which only terms have")
		}
	}
	for _, o := range n.Out {
		if o < 0 || int(o) >= len(c.defined) || c.defined[o] || c.g.Value(o).Def != n {
			return n.Errorf("does not define value %d", o)
		}
	}
	if err := c.shapes(info, n); err != nil {
		return err
	}
	for _, o := range n.Out {
		c.defined[o] = true
	}
	return nil
}

// shapes checks shape rule and attributes.
func (c *checker) shapes(info *OpInfo, n *Node) error {
	if info.Elementwise {
		out := c.g.Value(n.Out[0])
		for _, in := range n.In {
			if x := c.g.Value(in); !equalShape(out.Shape, x.Shape) {
				return n.Errorf("shape %v from shape %v", out.Shape, x.Shape)
			}
		}
	}
	return info.check(c.g, n)
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

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
