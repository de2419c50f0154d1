package eval

import (
	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// Gradients runs a graph of StageFloat on the elements of its inputs, and back: from the gradient of a number with respect to the outputs,
// one per output, to those with respect to all values that are computed from reals, and inputs of reals. Each is given to f with the
// value's cells, after the parts of it that come from single nodes: a part with the node, the sum with none, and with the cells of the
// inputs of the node, or of the value's own. The caller has paid for the work, three times that of Demand, and for all values at a time.
func Gradients(b *budget.Budget, g *ir.Graph, in, outputs [][]float64, f func(v *ir.Value, n *ir.Node, in [][]float64, cells, grad []float64)) error {
	r := &ir.Run{Graph: g, Reals: in, Budget: b}
	vals, grads := make([][]float64, len(g.Values)), make([][]float64, len(g.Values))
	if err := EachFloat(b, g, in, func(v *ir.Value, cells []float64) error { vals[v.ID] = cells; return nil }); err != nil {
		return err
	}
	for i, p := range g.Outputs {
		grads[p.Value] = add(grads[p.Value], outputs[i])
	}
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		v := g.Value(n.Out[0])
		if grads[v.ID] == nil || !differentiable(g, v) {
			continue
		}
		if err := b.Poll(); err != nil {
			return err
		}
		in, want := make([][]float64, len(n.In)), make([]bool, len(n.In))
		for k, id := range n.In {
			in[k], want[k] = vals[id], differentiable(g, g.Value(id))
		}
		f(v, nil, in, vals[v.ID], grads[v.ID])
		if n.Op == ir.OpInput {
			continue
		}
		parts, err := r.Pull(n, in, vals[v.ID], grads[v.ID], want)
		if err != nil {
			return err
		}
		for k, id := range n.In {
			if want[k] {
				f(g.Value(id), n, in, vals[id], parts[k])
				grads[id] = add(grads[id], parts[k])
			}
		}
		grads[v.ID], vals[v.ID] = nil, nil
	}
	return nil
}

// differentiable says that a value is one of reals that depend on the input.
func differentiable(g *ir.Graph, v *ir.Value) bool {
	switch v.Def.Op {
	case ir.OpInput:
		return g.InputOf(v.ID).Kind == plan.Reals
	case ir.OpWeight, ir.OpConst, ir.OpOneHot, ir.OpAffine:
		return false
	}
	return true
}

// add returns the sum of two gradients, of which the first may be none.
func add(sum, part []float64) []float64 {
	if sum == nil {
		return append([]float64(nil), part...)
	}
	for i, x := range part {
		sum[i] += x
	}
	return sum
}
