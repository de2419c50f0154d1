package ir

import (
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/ir/plan"
)

// OpStep is where a tensor is positive, cell by cell: comparisons are made of it. What it is of is compared exactly: the integer that the
// circuit holds, of all its bits, and not a rounded one.
const OpStep Op = "Step"

// StepFunction is the table that integer steps are looked up in: 1 where x > 0, else 0.
const StepFunction = "step"

func init() {
	register(&OpInfo{
		Op: OpStep, Stages: reals, MinIn: 1, MaxIn: 1, Outputs: 1, Elementwise: true,
		Meaning: "1 where x > 0, else 0", Shape: "that of x", Scale: "-",
		check: func(_ *Graph, n *Node) error { return noAttr(n) },
		float: func(r *Run, _ *Node, in [][]float64) ([][]float64, error) {
			out, err := each(r, in[0], functions[StepFunction])
			return [][]float64{out}, err
		},
		pull: func(_ *Run, _ *Node, in [][]float64, _, _ []float64, _ []bool) ([][]float64, error) {
			return [][]float64{make([]float64, len(in[0]))}, nil // flat but where it jumps
		},
	})
}

func positive(x float64) float64 {
	if x > 0 {
		return 1
	}
	return 0
}

// Wholes says of every value of a graph over the reals whether its cells are integers by what computes them: elements of inputs that are
// no reals, one-hot rows and maps, integer constants, steps, what is rounded to integers, and sums of products and maxima of those.
func Wholes(g *Graph) []bool {
	whole := make([]bool, len(g.Values))
	for _, n := range g.Nodes {
		all := true
		for _, id := range n.In {
			all = all && whole[id]
		}
		is, v := false, g.Value(n.Out[0])
		switch n.Op {
		case OpInput:
			p := g.InputOf(v.ID)
			is = p != nil && p.Kind != plan.Reals
		case OpConst:
			is = !slices.ContainsFunc(v.Data, func(x float64) bool { return x != math.Trunc(x) || math.Abs(x) >= 1<<53 })
		case OpOneHot, OpAffine, OpStep:
			is = true
		case OpMax:
			is = all
		case OpUnary:
			is = slices.Contains(Roundings, n.Attr.(*UnaryAttr).Fn)
		case OpEinsum:
			is = all && !slices.ContainsFunc(n.Attr.(*EinsumAttr).Terms, func(t Term) bool { return t.Coef != math.Trunc(t.Coef) || math.Abs(t.Coef) >= 1<<53 })
		}
		whole[v.ID] = is
	}
	return whole
}
