package passes

import "github.com/zkllmc/zkllmc/ir"

// evalConsts computes the product of the constant operands ks of a term (not its coefficient) as a dense tensor over the given
// labels, summed over the other labels that these operands have. Zero times infinity is zero: infinite cells are masks.
func evalConsts(g *ir.Graph, t ir.Term, ks []int, labels []int) []float64 {
	order := append([]int(nil), labels...)
	listed := make([]bool, len(t.Extents))
	for _, l := range labels {
		listed[l] = true
	}
	steps := make([][]int, len(ks))
	for i, k := range ks {
		steps[i] = labelSteps(t, k)
		for l, has := range t.InOperand(k) {
			if has && !listed[l] {
				listed[l] = true
				order = append(order, l)
			}
		}
	}
	shape := make([]int, len(labels))
	for i, l := range labels {
		shape[i] = t.Extents[l]
	}
	out := make([]float64, ir.Size(shape))
	inner := 1
	for _, l := range order[len(labels):] {
		inner *= t.Extents[l]
	}
	at := make([]int, len(order))
	for cell := 0; cell < len(out)*inner; cell++ {
		p := 1.0
		for i, k := range ks {
			off := 0
			for j, l := range order {
				off += at[j] * steps[i][l]
			}
			x := g.Value(ir.ValueID(t.In[k])).Data[off]
			if x == 0 || p == 0 {
				p = 0
				break
			}
			p *= x
		}
		if p != 0 {
			out[cell/inner] += p
		}
		for j := len(order) - 1; j >= 0; j-- {
			if at[j]++; at[j] < t.Extents[order[j]] {
				break
			}
			at[j] = 0
		}
	}
	return out
}

// labelSteps is the distance in cells that a step of each label makes in operand k.
func labelSteps(t ir.Term, k int) []int {
	s := make([]int, len(t.Extents))
	step := 1
	for a := len(t.Axes[k]) - 1; a >= 0; a-- {
		axis := t.Axes[k][a]
		for j := len(axis) - 1; j >= 0; j-- {
			s[axis[j]] = step
			step *= t.Extents[axis[j]]
		}
	}
	return s
}

// constOperands splits the operands of a term into constants and others.
func constOperands(g *ir.Graph, t ir.Term) (consts, others []int) {
	for k, id := range t.In {
		if op(g, id) == ir.OpConst {
			consts = append(consts, k)
		} else {
			others = append(others, k)
		}
	}
	return consts, others
}
