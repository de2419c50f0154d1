package ir

import (
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// OpMax is the larger of two tensors, cell by cell. A minimum is −max(−x, −y).
const OpMax Op = "Max"

func init() {
	register(&OpInfo{
		Op: OpMax, Stages: everywhere, MinIn: 2, MaxIn: 2, Outputs: 1, Elementwise: true,
		Meaning: "max(x, y), elementwise", Shape: "that of x, which is that of y", Scale: "that of x, which is that of y",
		check: func(_ *Graph, n *Node) error { return noAttr(n) },
		bound: func(_ *Graph, _ *Node, in []interval.Interval) ([]interval.Interval, error) {
			return []interval.Interval{in[0].Larger(in[1])}, nil
		},
		float: func(_ *Run, _ *Node, in [][]float64) ([][]float64, error) {
			out := make([]float64, len(in[0]))
			for i := range out {
				out[i] = max(in[0][i], in[1][i])
			}
			return [][]float64{out}, nil
		},
		pull: pullMax,
		integer: func(_ *Run, _ *Node, in [][]int64) ([][]int64, error) {
			out := make([]int64, len(in[0]))
			for i := range out {
				out[i] = max(in[0][i], in[1][i])
			}
			return [][]int64{out}, nil
		},
		lower:  func(*Node) (plan.Op, []plan.Arg) { return "Max", nil },
		Unique: "gadget.Max",
	})
}
