package passes

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/weights"
	"github.com/zkllmc/zkllmc/ir"
)

// evalConsts computes the product of the constant operands ks of a term of a node (not its coefficient) as a dense tensor over the given
// labels, summed over the other labels that these operands have. Several operands are multiplied two at a time where that is cheaper.
// Zero times infinity is zero: infinite cells are masks. The error is that of the budget, which pays for it, or that of
// reading a weight.
func evalConsts(left *budget.Budget, g *ir.Graph, n *ir.Node, t ir.Term, ks []int, labels []int) ([]float64, error) {
	c := ir.Term{Coef: 1, ICoef: 1, Extents: t.Extents}
	var data [][]float64
	used := make([]bool, len(t.Extents))
	for i, k := range ks {
		c.In, c.Axes = append(c.In, i), append(c.Axes, t.Axes[k])
		cells, err := weights.All(g.Value(ir.ValueID(t.In[k])).Reals())
		if err != nil {
			return nil, err
		}
		data = append(data, cells)
		for l, has := range t.InOperand(k) {
			used[l] = used[l] || has
		}
	}
	for _, l := range labels {
		c.Out = append(c.Out, []int{l})
		used[l] = true
	}
	c = c.Clone()
	for l := range used {
		if !used[l] {
			c.Extents[l] = 1 // summed by somebody else
		}
	}
	for _, s := range c.Pairwise(nil) {
		if err := pay(left, n, s); err != nil {
			return nil, err
		}
		out, err := product(left, s, data)
		if err != nil {
			return nil, err
		}
		data = append(data, out)
	}
	return data[len(data)-1], nil
}

// pay pays for a product of constants.
func pay(left *budget.Budget, n *ir.Node, t ir.Term) error {
	cells := 1
	for _, a := range t.Out {
		cells = budget.Product(cells, t.AxisExtent(a))
	}
	err := left.Work(t.Work(nil))
	if err == nil {
		err = left.Cells(cells)
	}
	if err == nil {
		err = left.Memory(budget.Product(8, cells))
	}
	if err == nil || left.Poll() != nil {
		return err
	}
	return exceeds(n, "a product of constants", err)
}

// exceeds refuses what the budget has no room for.
func exceeds(n *ir.Node, what string, err error) error {
	return ir.RefuseFor(n.Origin, n.Named(), fmt.Errorf("%s: %w", what, err))
}

// pollAfter is the number of products, some milliseconds of them, after which the context is looked at.
const pollAfter = 1 << 17

// product computes one term of constants, row-major; data holds the operands, by the term's In.
func product(left *budget.Budget, t ir.Term, data [][]float64) ([]float64, error) {
	steps := make([][]int, len(t.In))
	for k := range t.In {
		steps[k] = labelSteps(t, k)
	}
	dst := ir.Term{Extents: t.Extents, Axes: [][][]int{t.Out}}
	step := labelSteps(dst, 0)
	size := 1
	for _, a := range t.Out {
		size *= t.AxisExtent(a)
	}
	out := make([]float64, size)
	at, off := make([]int, len(t.Extents)), make([]int, len(t.In))
	for n, cell := ir.Size(t.Extents), 0; n > 0; n-- {
		if n%pollAfter == 0 {
			if err := left.Poll(); err != nil {
				return nil, err
			}
		}
		p := 1.0
		for k, id := range t.In {
			x := data[id][off[k]]
			if x == 0 || p == 0 {
				p = 0
				break
			}
			p = float64(p * x)
		}
		if p != 0 {
			out[cell] += p
		}
		for l := len(at) - 1; l >= 0; l-- {
			back := 0
			if at[l]++; at[l] == t.Extents[l] {
				back, at[l] = t.Extents[l], 0
			}
			cell += step[l] * (1 - back)
			for k := range off {
				off[k] += steps[k][l] * (1 - back)
			}
			if back == 0 {
				break
			}
		}
	}
	return out, nil
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
