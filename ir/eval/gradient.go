package eval

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// Gradients runs a graph of StageFloat on the elements of its inputs, several times side by side, and back: from the gradients of a number with
// respect to the outputs, one per output, to those with respect to all values that are computed from reals, and inputs of reals. Each is given
// to f with the number of the run and the value's cells, after the parts of it that come from single nodes: a part with the node, the sum with
// none, and with the cells of the inputs of the node, or of the value's own. Of one value and node f is called run by run. The caller has paid
// for the work, of each run four times that of Demand, and for the memory: see Kept.
func Gradients(b *budget.Budget, g *ir.Graph, in, outputs [][][]float64, f func(run int, v *ir.Value, n *ir.Node, in [][]float64, cells, grad []float64)) error {
	return gradients(b, g, partsOf(g), in, outputs, f)
}

func gradients(b *budget.Budget, g *ir.Graph, parts []part, in, outputs [][][]float64, f func(run int, v *ir.Value, n *ir.Node, in [][]float64, cells, grad []float64)) error {
	t := &tape{b: b, g: g, f: f}
	for r := range in {
		t.runs = append(t.runs, &ir.Run{Graph: g, Reals: in[r], Budget: b})
		t.vals = append(t.vals, make([][]float64, len(g.Values)))
		t.grads = append(t.grads, make([][]float64, len(g.Values)))
		for i, p := range g.Outputs {
			t.grads[r][p.Value] = add(t.grads[r][p.Value], outputs[r][i])
		}
	}
	begins := make([][][][]float64, len(parts)) // what each part takes of those before it, per run
	for k, p := range parts {
		for _, vals := range t.vals {
			begins[k] = append(begins[k], slices.Clone(vals))
		}
		if err := t.forth(p); err != nil {
			return err
		}
		if k < len(parts)-1 {
			t.keep(p.next)
		}
	}
	for k, p := range slices.Backward(parts) {
		if k < len(parts)-1 {
			t.vals = begins[k]
			if err := t.forth(p); err != nil {
				return err
			}
		}
		begins[k] = nil
		if err := t.back(p); err != nil {
			return err
		}
	}
	return nil
}

// tape is runs back in progress.
type tape struct {
	b           *budget.Budget
	g           *ir.Graph
	runs        []*ir.Run
	vals, grads [][][]float64 // per run and value
	f           func(run int, v *ir.Value, n *ir.Node, in [][]float64, cells, grad []float64)
}

// forth computes the values of a part.
func (t *tape) forth(p part) error {
	for _, n := range t.g.Nodes[p.from:p.to] {
		if err := t.b.Poll(); err != nil {
			return err
		}
		in := make([][][]float64, len(t.runs))
		for r := range in {
			in[r] = t.of(r, n)
		}
		outs, err := ir.Floats(t.runs, n, in)
		if err != nil {
			return err
		}
		for r := range outs {
			for k, id := range n.Out {
				t.vals[r][id] = outs[r][k]
			}
		}
	}
	return nil
}

func (t *tape) of(r int, n *ir.Node) [][]float64 {
	in := make([][]float64, len(n.In))
	for k, id := range n.In {
		in[k] = t.vals[r][id]
	}
	return in
}

// keep drops all values but some.
func (t *tape) keep(ids []ir.ValueID) {
	for r, vals := range t.vals {
		t.vals[r] = make([][]float64, len(vals))
		for _, id := range ids {
			t.vals[r][id] = vals[id]
		}
	}
}

// back gives the gradients of the nodes of a part to f.
func (t *tape) back(p part) error {
	for _, n := range slices.Backward(t.g.Nodes[p.from:p.to]) {
		v := t.g.Value(n.Out[0])
		if t.grads[0][v.ID] == nil || !differentiable(t.g, v) {
			continue
		}
		if err := t.b.Poll(); err != nil {
			return err
		}
		if err := t.node(n, v); err != nil {
			return err
		}
	}
	return nil
}

// node goes back from the result of a node to its inputs.
func (t *tape) node(n *ir.Node, v *ir.Value) error {
	want := make([]bool, len(n.In))
	for k, id := range n.In {
		want[k] = differentiable(t.g, t.g.Value(id))
	}
	in, out, grad := make([][][]float64, len(t.runs)), make([][]float64, len(t.runs)), make([][]float64, len(t.runs))
	for r := range t.runs {
		in[r], out[r], grad[r] = t.of(r, n), t.vals[r][v.ID], t.grads[r][v.ID]
		t.f(r, v, nil, in[r], out[r], grad[r])
		t.grads[r][v.ID], t.vals[r][v.ID] = nil, nil
	}
	if n.Op == ir.OpInput {
		return nil
	}
	pulled, err := ir.Pulls(t.runs, n, in, out, grad, want)
	if err != nil {
		return err
	}
	for k, id := range n.In {
		for r := range t.runs {
			if want[k] {
				t.f(r, t.g.Value(id), n, in[r], t.vals[r][id], pulled[r][k])
				t.grads[r][id] = add(t.grads[r][id], pulled[r][k])
			}
		}
	}
	return nil
}

// A run back needs the values of the run forth in reverse. Few of them are kept where they are many: those that one part of the nodes, of
// about as many as there are parts, takes from the parts before it. The others are computed again, once, to the same bits.
type part struct {
	from, to int
	next     []ir.ValueID // that nodes behind it take, of it or of nodes before it
}

// wholeTape is up to how many cells all values of a run are kept.
const wholeTape = 1 << 27

// partsOf are the parts of a graph.
func partsOf(g *ir.Graph) []part {
	all, length := 0, len(g.Nodes)
	for _, v := range g.Values {
		all = budget.Sum(all, stored(v))
	}
	if all > wholeTape {
		for length = 1; length*length < len(g.Nodes); length++ {
		}
	}
	return partsOfLength(g, length)
}

func partsOfLength(g *ir.Graph, length int) (parts []part) {
	last := make([]int, len(g.Values)) // node that uses a value
	for i, n := range g.Nodes {
		for _, id := range n.In {
			last[id] = i
		}
	}
	var live []ir.ValueID
	for from := 0; from < len(g.Nodes); from += length {
		p := part{from: from, to: min(from+length, len(g.Nodes))}
		for _, n := range g.Nodes[p.from:p.to] {
			live = append(live, n.Out...)
		}
		live = slices.DeleteFunc(live, func(id ir.ValueID) bool { return last[id] < p.to })
		p.next = slices.Clone(live)
		parts = append(parts, p)
	}
	return parts
}

// Kept is how many cells Gradients has in memory at one time for each run, beside weights and constants.
func Kept(g *ir.Graph) int {
	parts := partsOf(g)
	between, most, next, largest := 0, 0, 0, 0
	seen := make([]bool, len(g.Values))
	for _, p := range parts {
		own, passed := 0, 0
		for _, n := range g.Nodes[p.from:p.to] {
			for _, id := range n.Out {
				own = budget.Sum(own, stored(g.Value(id)))
				largest = max(largest, stored(g.Value(id)))
			}
		}
		for _, id := range p.next {
			passed = budget.Sum(passed, stored(g.Value(id)))
			if !seen[id] {
				seen[id], between = true, budget.Sum(between, stored(g.Value(id)))
			}
		}
		most, next = max(most, own), max(next, passed)
	}
	return budget.Sum(between, most, next, largest) // gradients are there of what a part takes, and of one value more
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
