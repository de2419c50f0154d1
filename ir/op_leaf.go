package ir

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/interval"
)

// The leaves: token ids, their one-hot rows, weights and constants.

func init() {
	register(&OpInfo{
		Op: OpInput, Stages: everywhere, Outputs: 1,
		Meaning: "the token ids, integers in [0, Vocab)", Shape: "[T]", Scale: "0",
		check: checkInput, bound: func(g *Graph, n *Node, _ []interval.Interval) ([]interval.Interval, error) {
			return []interval.Interval{interval.Of(0, int64(g.Vocab)-1)}, nil
		},
		float: func(r *Run, n *Node, _ [][]float64) ([][]float64, error) {
			out := make([]float64, len(r.IDs))
			for i, v := range r.IDs {
				out[i] = float64(v)
			}
			return [][]float64{out}, r.checkIDs(n)
		},
		integer: func(r *Run, n *Node, _ [][]int64) ([][]int64, error) {
			return [][]int64{r.IDs}, r.checkIDs(n)
		},
		cost:   free,
		Unique: "the statement's tokens, whose ranges it checks; gadget.PrivateTokens where they are private",
	})
	register(&OpInfo{
		Op: OpOneHot, Stages: everywhere, MinIn: 1, MaxIn: 1, Outputs: 1,
		Meaning: "out[t,v] = 1 where ids[t] = v, else 0", Shape: "[T] -> [T, Vocab]", Scale: "0",
		check: checkOneHot, bound: func(*Graph, *Node, []interval.Interval) ([]interval.Interval, error) {
			return []interval.Interval{interval.Of(0, 1)}, nil
		},
		float: func(r *Run, _ *Node, _ [][]float64) ([][]float64, error) {
			return [][]float64{oneHot[float64](r.IDs, r.Graph.Vocab)}, nil
		},
		integer: func(r *Run, _ *Node, _ [][]int64) ([][]int64, error) {
			return [][]int64{oneHot[int64](r.IDs, r.Graph.Vocab)}, nil
		},
		cost:   func(g *Graph, n *Node) (work, extra int) { return budget.Product(g.Value(n.Out[0]).Shape...), 0 },
		Unique: "a public tensor; gadget.PrivateTokens where the ids are private",
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
	if out := g.Value(n.Out[0]); len(out.Shape) != 1 || g.Input != out.ID {
		return n.Errorf("shape %v; token ids have shape [T] and are the graph's input", out.Shape)
	}
	return noAttr(n)
}

func checkOneHot(g *Graph, n *Node) error {
	out := g.Value(n.Out[0])
	if in := g.Value(n.In[0]).Shape; len(in) != 1 || !equalShape(out.Shape, []int{in[0], g.Vocab}) {
		return n.Errorf("shape %v for ids of shape %v and vocabulary %d", out.Shape, in, g.Vocab)
	}
	return noAttr(n)
}

func checkCells(g *Graph, n *Node) error {
	out := g.Value(n.Out[0])
	if g.Stage != StageInt && len(out.Data) != Size(out.Shape) || g.Stage == StageInt && len(out.Ints) != Size(out.Shape) {
		return n.Errorf("%d and %d cells for shape %v", len(out.Data), len(out.Ints), out.Shape)
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

func (r *Run) checkIDs(n *Node) error {
	g, ids := r.Graph, r.IDs
	if size := Size(g.Value(n.Out[0]).Shape); len(ids) != size {
		return fmt.Errorf("eval: %d token ids, graph %s takes %d", len(ids), g.Name, size)
	}
	for t, id := range ids {
		if id < 0 || id >= int64(g.Vocab) {
			return fmt.Errorf("eval: token id %d at position %d is not in [0,%d)", id, t, g.Vocab)
		}
	}
	return nil
}

func oneHot[T number](ids []int64, vocab int) []T {
	out := make([]T, len(ids)*vocab)
	for t, id := range ids {
		out[t*vocab+int(id)] = 1
	}
	return out
}
