// Package eval is the slow and obviously right interpreter of the IR, in both of its meanings: the oracle that everything
// faster is compared with, and the source of the calibration data.
package eval

import (
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/ir"
)

// Float runs a graph of StageFloat on token ids (one per position; fewer or more are refused) and returns every value,
// row-major. It also runs the primitive graphs of the frontend, so that every pass can be tested for keeping the meaning.
func Float(g *ir.Graph, ids []int64) (map[ir.ValueID][]float64, error) {
	if g.Stage == ir.StageInt {
		return nil, fmt.Errorf("eval: graph %s is in StageInt, use Int", g.Name)
	}
	vals := make(map[ir.ValueID][]float64, len(g.Values))
	for _, n := range g.Nodes {
		out, err := floatNode(g, n, ids, vals)
		if err != nil {
			return nil, err
		}
		if v := g.Value(n.Out[0]); len(out) != ir.Size(v.Shape) {
			return nil, n.Errorf("computed %d cells for shape %v", len(out), v.Shape)
		}
		vals[n.Out[0]] = out
	}
	return vals, nil
}

func floatNode(g *ir.Graph, n *ir.Node, ids []int64, vals map[ir.ValueID][]float64) ([]float64, error) {
	out := g.Value(n.Out[0])
	in := make([][]float64, len(n.In))
	for i, id := range n.In {
		in[i] = vals[id]
	}
	switch n.Op {
	case ir.OpInput:
		if err := checkIDs(g, out, ids); err != nil {
			return nil, err
		}
		return toFloat(ids), nil
	case ir.OpWeight, ir.OpConst:
		return out.Data, nil
	case ir.OpOneHot:
		return oneHot[float64](ids, g.Vocab), nil
	case ir.OpEinsum:
		return floatEinsum(n, in, out), nil
	case ir.OpUnary:
		return floatUnary(n, in[0])
	case ir.OpNorm:
		return floatNorm(n.Attr.(*ir.NormAttr), in, out.Shape), nil
	case ir.OpSoftmax:
		return floatSoftmax(n, in, out.Shape)
	}
	return nil, n.Errorf("is not an operation of StageFloat")
}

func checkIDs(g *ir.Graph, v *ir.Value, ids []int64) error {
	if len(ids) != ir.Size(v.Shape) {
		return fmt.Errorf("eval: %d token ids, graph %s takes %d", len(ids), g.Name, ir.Size(v.Shape))
	}
	for t, id := range ids {
		if id < 0 || id >= int64(g.Vocab) {
			return fmt.Errorf("eval: token id %d at position %d is not in [0,%d)", id, t, g.Vocab)
		}
	}
	return nil
}

func toFloat(ids []int64) []float64 {
	out := make([]float64, len(ids))
	for i, v := range ids {
		out[i] = float64(v)
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

func floatEinsum(n *ir.Node, in [][]float64, out *ir.Value) []float64 {
	res := make([]float64, ir.Size(out.Shape))
	e := n.Attr.(*ir.EinsumAttr)
	for i := range e.Terms {
		t := &e.Terms[i]
		addTerm(res, t, t.Coef, operands(t, in))
	}
	return res
}

// operands collects the tensors of one term.
func operands[T number](t *ir.Term, in [][]T) [][]T {
	out := make([][]T, len(t.In))
	for i, k := range t.In {
		out[i] = in[k]
	}
	return out
}

func floatUnary(n *ir.Node, x []float64) ([]float64, error) {
	fn := n.Attr.(*ir.UnaryAttr).Fn
	f, ok := functions[fn]
	if !ok {
		return nil, n.Errorf("unknown function %q", fn)
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = f(v)
	}
	return out, nil
}

var functions = map[string]func(float64) float64{
	"silu":    func(x float64) float64 { return x / (1 + math.Exp(-x)) },
	"sigmoid": func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
	"gelu":    func(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) },
	"gelu_tanh": func(x float64) float64 {
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	},
	"tanh": math.Tanh,
	"relu": func(x float64) float64 { return math.Max(x, 0) },
	"exp":  math.Exp,
	// Primitive graphs only.
	"erf":        math.Erf,
	"sqrt":       math.Sqrt,
	"reciprocal": func(x float64) float64 { return 1 / x },
	"rsqrt":      func(x float64) float64 { return 1 / math.Sqrt(x) },
}

// Function returns the real function that a name of ir.Functions stands for.
func Function(fn string) (func(float64) float64, bool) {
	f, ok := functions[fn]
	return f, ok
}

func floatNorm(a *ir.NormAttr, in [][]float64, shape []int) []float64 {
	x := in[0]
	n := shape[len(shape)-1]
	out := make([]float64, len(x))
	for r := 0; r < len(x); r += n {
		row, dst := x[r:r+n], out[r:r+n]
		var mean, variance float64
		if a.Center {
			for _, v := range row {
				mean += v
			}
			mean /= float64(n)
		}
		for _, v := range row {
			variance += (v - mean) * (v - mean)
		}
		s := 1 / math.Sqrt(variance/float64(n)+a.Eps)
		for i, v := range row {
			dst[i] = (v - mean) * s
			k := 1
			if a.HasGamma {
				dst[i] *= in[k][i]
				k++
			}
			if a.HasBeta {
				dst[i] += in[k][i]
			}
		}
	}
	return out
}

func floatSoftmax(n *ir.Node, in [][]float64, shape []int) ([]float64, error) {
	a := n.Attr.(*ir.SoftmaxAttr)
	x := in[0]
	w := shape[len(shape)-1]
	masked := func(int) bool { return false }
	if a.HasMask {
		m := in[1]
		masked = func(i int) bool { return m[i%len(m)] != 0 }
	}
	out := make([]float64, len(x))
	for r := 0; r < len(x); r += w {
		top := math.Inf(-1)
		for i := r; i < r+w; i++ {
			if !masked(i) {
				top = math.Max(top, a.Scale*x[i])
			}
		}
		if math.IsInf(top, -1) {
			return nil, n.Errorf("row %d is all masked", r/w)
		}
		var sum float64
		for i := r; i < r+w; i++ {
			if !masked(i) {
				out[i] = math.Exp(a.Scale*x[i] - top)
				sum += out[i]
			}
		}
		for i := r; i < r+w; i++ {
			out[i] /= sum
		}
	}
	return out, nil
}
