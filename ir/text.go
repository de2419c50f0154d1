package ir

import (
	"fmt"
	"strconv"
	"strings"
)

// String returns the stable text form of the graph: one line per node, and one more per term of an Einsum with several. Shapes
// and attributes are printed, the cells of weights and constants are not. Labels are printed as letters; an axis that is made
// of several labels is in parentheses, an axis of extent 1 without labels is 1.
func (g *Graph) String() string {
	var b strings.Builder
	stage := "float"
	if g.Stage == StageInt {
		stage = "int"
	} else if g.Stage != StageFloat {
		stage = fmt.Sprintf("stage %d", g.Stage)
	}
	fmt.Fprintf(&b, "graph %s %s causal=%v\n", g.Name, stage, g.Causal)
	for _, n := range g.Nodes {
		g.printNode(&b, n)
	}
	for _, p := range g.Outputs {
		fmt.Fprintf(&b, "return %s %q\n", g.ref(p.Value), p.Name)
	}
	return b.String()
}

func (g *Graph) ref(id ValueID) string { return "%" + strconv.Itoa(int(id)) }

func (g *Graph) printNode(b *strings.Builder, n *Node) {
	for i, o := range n.Out {
		if i > 0 {
			b.WriteString(", ")
		}
		v := g.Value(o)
		b.WriteString(g.ref(o))
		b.WriteString(shapeText(v.Shape))
		if g.Stage == StageInt {
			bounds := v.Bounds()
			fmt.Fprintf(b, "@%d∈[%v,%v]", v.Scale, bounds.Lo, bounds.Hi)
		}
	}
	fmt.Fprintf(b, " = %s", n.Op)
	if e, ok := n.Attr.(*EinsumAttr); ok {
		g.printTerms(b, n, e)
	} else {
		for _, in := range n.In {
			b.WriteString(" " + g.ref(in))
		}
		if n.Attr != nil {
			b.WriteString(n.Attr.text())
		}
	}
	if v := g.Value(n.Out[0]); (n.Op == OpWeight || n.Op == OpConst || n.Op == OpInput) && v.Name != "" {
		fmt.Fprintf(b, " %q", v.Name)
	}
	if p := g.InputOf(n.Out[0]); n.Op == OpInput && p != nil {
		fmt.Fprintf(b, " %s in [%s, %s]", p.Kind, realText(p.Lo), realText(p.Hi))
	}
	if n.Origin != "" {
		b.WriteString("  # " + n.Origin)
	}
	b.WriteByte('\n')
}

func (g *Graph) printTerms(b *strings.Builder, n *Node, e *EinsumAttr) {
	for i, t := range e.Terms {
		if i > 0 || len(e.Terms) > 1 {
			b.WriteString("\n    + ")
		} else {
			b.WriteByte(' ')
		}
		b.WriteString(t.text(g.Stage, func(i int) string { return g.ref(n.In[i]) }))
	}
}

// text prints a term as coef·operand[axes]·… -> [axes].
func (t Term) text(stage Stage, operand func(int) string) string {
	var b strings.Builder
	switch {
	case stage == StageInt && t.ICoef != 1:
		fmt.Fprintf(&b, "%d·", t.ICoef)
	case stage != StageInt && t.Coef != 1:
		b.WriteString(strconv.FormatFloat(t.Coef, 'g', 7, 64) + "·")
	}
	for i, in := range t.In {
		if i > 0 {
			b.WriteString("·")
		}
		b.WriteString(operand(in) + t.axesText(t.Axes[i]))
	}
	if len(t.In) == 0 {
		b.WriteString("1")
	}
	b.WriteString(" -> " + t.axesText(t.Out))
	if len(t.Extents) > 0 {
		b.WriteString(" {")
		for l, e := range t.Extents {
			if l > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprintf(&b, "%s=%d", labelText(l), e)
		}
		b.WriteByte('}')
	}
	return b.String()
}

func (t Term) axesText(axes [][]int) string {
	parts := make([]string, len(axes))
	for i, a := range axes {
		s := make([]string, len(a))
		for j, l := range a {
			s[j] = labelText(l)
		}
		switch parts[i] = strings.Join(s, " "); len(a) {
		case 0:
			parts[i] = "1"
		case 1:
		default:
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return "[" + strings.Join(parts, ",") + "]"
}

func labelText(l int) string {
	if l < 26 {
		return string(rune('a' + l))
	}
	return "a" + strconv.Itoa(l)
}

func shapeText(shape []int) string {
	s := make([]string, len(shape))
	for i, d := range shape {
		s[i] = strconv.Itoa(d)
	}
	return "[" + strings.Join(s, ",") + "]"
}

func realText(x float64) string { return strconv.FormatFloat(x, 'g', 7, 64) }
