package ir

import (
	"fmt"
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// The leaves: inputs, one-hot rows of ids, weights and constants.

func init() {
	register(&OpInfo{
		Op: OpInput, Stages: everywhere, Outputs: 1,
		Meaning: "the elements of an input: ids, integers, booleans or reals", Shape: "given", Scale: "of reals chosen by the quantiser, else 0",
		check: checkInput, bound: boundInput,
		float: func(r *Run, n *Node, _ [][]float64) ([][]float64, error) {
			x, err := elements(r.Graph, n, r.Reals)
			return [][]float64{x}, err
		},
		integer: func(r *Run, n *Node, _ [][]int64) ([][]int64, error) {
			x, err := elements(r.Graph, n, r.Ints)
			return [][]int64{x}, err
		},
		cost:   free,
		Unique: "what a statement says of a port, whose range it checks; gadget.Input where it is private",
	})
	register(&OpInfo{
		Op: OpOneHot, Stages: everywhere, MinIn: 1, MaxIn: 1, Outputs: 1,
		Meaning: "out[t,v] = 1 where ids[t] = v, else 0", Shape: "[T] -> [T, number of ids]", Scale: "0",
		check: checkOneHot, bound: func(*Graph, *Node, []interval.Interval) ([]interval.Interval, error) {
			return []interval.Interval{interval.Of(0, 1)}, nil
		},
		float: func(r *Run, n *Node, in [][]float64) ([][]float64, error) {
			return [][]float64{oneHot[float64](r.ids(n), r.Graph.InputOf(n.In[0]).Vocab())}, nil
		},
		integer: func(r *Run, n *Node, in [][]int64) ([][]int64, error) {
			return [][]int64{oneHot[int64](r.ids(n), r.Graph.InputOf(n.In[0]).Vocab())}, nil
		},
		cost:   func(g *Graph, n *Node) (work, extra int) { return budget.Product(g.Value(n.Out[0]).Shape...), 0 },
		Unique: "a public tensor; gadget.Input where the ids are private",
	})
	for _, i := range []OpInfo{
		{Op: OpWeight, Meaning: "a private tensor, part of the model commitment",
			Unique: "a committed tensor; protocol.SetupCircuit proves its range once per model"},
		{Op: OpConst, Meaning: "a public tensor", Unique: "part of the circuit and its digest; the verifier evaluates it"},
	} {
		i.Stages, i.Outputs, i.Shape, i.Scale = everywhere, 1, "given", "chosen by the quantiser"
		i.check, i.bound = checkCells, boundCells
		i.float = func(r *Run, n *Node, _ [][]float64) ([][]float64, error) {
			return [][]float64{r.Graph.Value(n.Out[0]).Data}, nil
		}
		i.integer = func(r *Run, n *Node, _ [][]int64) ([][]int64, error) {
			return [][]int64{r.Graph.Value(n.Out[0]).Ints}, nil
		}
		i.cost = free
		register(&i)
	}
}

func checkInput(g *Graph, n *Node) error {
	p := g.InputOf(n.Out[0])
	if p == nil {
		return n.Errorf("is none of the graph's inputs")
	}
	if shape := g.Value(n.Out[0]).Shape; !sameCells(shape, p.Shape) || p.Kind == plan.IDs && len(shape) != 1 {
		return n.Errorf("shape %v of the input %q of shape %v", shape, p.Name, p.Shape)
	}
	if !(p.Lo <= p.Hi) || p.Kind == plan.IDs && (p.Lo != 0 || p.Hi != math.Trunc(p.Hi)) || p.Kind == plan.Booleans && (p.Lo != 0 || p.Hi != 1) {
		return n.Errorf("%s of the input %q in [%g, %g]", p.Kind, p.Name, p.Lo, p.Hi)
	}
	return noAttr(n)
}

// sameCells says that two shapes differ in axes of extent 1 only.
func sameCells(a, b []int) bool {
	one := func(d int) bool { return d == 1 }
	return equalShape(slices.DeleteFunc(slices.Clone(a), one), slices.DeleteFunc(slices.Clone(b), one))
}

func checkOneHot(g *Graph, n *Node) error {
	out := g.Value(n.Out[0])
	p := g.InputOf(n.In[0])
	if p == nil || p.Kind != plan.IDs {
		return n.Errorf("its operand is no input of ids")
	}
	if in := g.Value(n.In[0]).Shape; len(in) != 1 || !equalShape(out.Shape, []int{in[0], p.Vocab()}) {
		return n.Errorf("shape %v for ids of shape %v and vocabulary %d", out.Shape, in, p.Vocab())
	}
	return noAttr(n)
}

// boundInput is the range of ids, and of other elements the one that the quantiser has given the value.
func boundInput(g *Graph, n *Node, in []interval.Interval) ([]interval.Interval, error) {
	if p := g.InputOf(n.Out[0]); p != nil && p.Kind == plan.IDs {
		return []interval.Interval{interval.Of(0, int64(p.Vocab())-1)}, nil
	}
	return boundCells(g, n, in)
}

func checkCells(g *Graph, n *Node) error {
	out := g.Value(n.Out[0])
	reals, integers := len(out.Data), len(out.Ints)
	if out.Stored != nil {
		reals += out.Stored.Len()
	}
	if out.Short != nil {
		integers += out.Short.Len()
	}
	if g.Stage != StageInt && reals != Size(out.Shape) || g.Stage == StageInt && integers != Size(out.Shape) {
		return n.Errorf("%d and %d cells for shape %v", reals, integers, out.Shape)
	}
	return noAttr(n)
}

// boundCells is the declared range: it is chosen, not computed.
func boundCells(g *Graph, n *Node, _ []interval.Interval) ([]interval.Interval, error) {
	v := g.Value(n.Out[0])
	return []interval.Interval{interval.Of(v.Lo, v.Hi)}, nil
}

// free is the cost of what is there already.
func free(*Graph, *Node) (work, extra int) { return 0, 0 }

// elements are those that a run gives an input. Reals, and all that is not in StageInt, are compared with the port's range; an evaluation
// of StageInt compares every value with its bounds.
func elements[T number](g *Graph, n *Node, given [][]T) ([]T, error) {
	if len(given) != len(g.Inputs) {
		return nil, fmt.Errorf("eval: elements of %d inputs, graph %s has %d", len(given), g.Name, len(g.Inputs))
	}
	k := slices.IndexFunc(g.Inputs, func(p Port) bool { return p.Value == n.Out[0] })
	p := &g.Inputs[k]
	if size := Size(p.Shape); len(given[k]) != size {
		return nil, fmt.Errorf("eval: %d elements, the input %q of graph %s takes %d", len(given[k]), p.Name, g.Name, size)
	}
	for i, x := range given[k] {
		if x := float64(x); (g.Stage != StageInt || p.Kind == plan.IDs) && !(x >= p.Lo && x <= p.Hi) || p.Kind != plan.Reals && x != math.Trunc(x) {
			return nil, fmt.Errorf("eval: element %d of the input %q is %v; it takes %s in [%g, %g]", i, p.Name, x, p.Kind, p.Lo, p.Hi)
		}
	}
	return given[k], nil
}

// ids are those of which a node holds the one-hot rows.
func (r *Run) ids(hot *Node) []int64 {
	k := slices.IndexFunc(r.Graph.Inputs, func(p Port) bool { return p.Value == hot.In[0] })
	if r.Ints != nil {
		return r.Ints[k]
	}
	out := make([]int64, len(r.Reals[k]))
	for i, x := range r.Reals[k] {
		out[i] = portable.Clamp(x)
	}
	return out
}

func oneHot[T number](ids []int64, vocab int) []T {
	out := make([]T, len(ids)*vocab)
	for t, id := range ids {
		out[t*vocab+int(id)] = 1
	}
	return out
}
