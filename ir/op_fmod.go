package ir

import "math"

// OpFmod is x − y·n, n the quotient x/y without its fraction, cell by cell. The integer program divides the integers that it holds of both,
// of 20 bits at most, exactly; see package quant.
const OpFmod Op = "Fmod"

func init() {
	register(&OpInfo{
		Op: OpFmod, Stages: reals, MinIn: 2, MaxIn: 2, Outputs: 1, Elementwise: true,
		Meaning: "the remainder of x divided by y, with the sign of x", Shape: "that of x, which is that of y", Scale: "-",
		check: func(_ *Graph, n *Node) error { return noAttr(n) },
		float: func(_ *Run, _ *Node, in [][]float64) ([][]float64, error) {
			out := make([]float64, len(in[0]))
			for i, x := range in[0] {
				out[i] = math.Mod(x, in[1][i])
			}
			return [][]float64{out}, nil
		},
		pull: func(_ *Run, _ *Node, in [][]float64, _, grad []float64, _ []bool) ([][]float64, error) {
			out := make([]float64, len(grad)) // by y, but where it jumps
			for i, g := range grad {
				if n := math.Trunc(in[0][i] / in[1][i]); math.Abs(n) <= math.MaxFloat64 {
					out[i] = float64(-n * g)
				}
			}
			return [][]float64{grad, out}, nil
		},
	})
}
