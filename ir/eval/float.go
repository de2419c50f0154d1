// Package eval is the slow and obviously right interpreter of the IR, in both of its meanings: the oracle that everything
// faster is compared with, and the source of the calibration data.
package eval

import (
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/budget"
)

// Float runs a graph of StageFloat on token ids (one per position; fewer or more are refused) and returns every value,
// row-major. It also runs the primitive graphs of the frontend, so that every pass can be tested for keeping the meaning.
func Float(g *ir.Graph, ids []int64) (map[ir.ValueID][]float64, error) {
	vals := make(map[ir.ValueID][]float64, len(g.Values))
	return vals, EachFloat(nil, g, ids, func(v *ir.Value, cells []float64) error { vals[v.ID] = cells; return nil })
}

// EachFloat is Float that gives every value to a function as soon as it is computed, and holds it only as long as something uses it.
// The caller has paid for the work: see Demand. It ends with the error of the budget's context when that is done.
func EachFloat(b *budget.Budget, g *ir.Graph, ids []int64, f func(v *ir.Value, cells []float64) error) error {
	if g.Stage == ir.StageInt {
		return fmt.Errorf("eval: graph %s is in StageInt, use Int", g.Name)
	}
	return each(b, g, f, func(n *ir.Node, in [][]float64) ([][]float64, error) {
		out, err := floatNode(b, g, n, ids, in)
		if v := g.Value(n.Out[0]); err == nil && len(out) != ir.Size(v.Shape) {
			err = n.Errorf("computed %d cells for shape %v", len(out), v.Shape)
		}
		return [][]float64{out}, err
	})
}

// each computes the values of a graph in order, gives each to f and drops it after its last use.
func each[T number](b *budget.Budget, g *ir.Graph, f func(*ir.Value, []T) error, compute func(*ir.Node, [][]T) ([][]T, error)) error {
	last := lastUses(g)
	vals := make([][]T, len(g.Values))
	for i, n := range g.Nodes {
		if err := b.Poll(); err != nil {
			return err
		}
		in := make([][]T, len(n.In))
		for k, id := range n.In {
			in[k] = vals[id]
		}
		outs, err := compute(n, in)
		if err != nil {
			return err
		}
		for k, o := range n.Out {
			vals[o] = outs[k]
			if err := f(g.Value(o), outs[k]); err != nil {
				return err
			}
		}
		for _, id := range last[i] {
			vals[id] = nil
		}
	}
	return nil
}

// lastUses lists for every node the values that nothing uses after it.
func lastUses(g *ir.Graph) [][]ir.ValueID {
	at := make([]int, len(g.Values))
	for i, n := range g.Nodes {
		for _, id := range n.In {
			at[id] = i
		}
		for _, id := range n.Out {
			at[id] = i
		}
	}
	last := make([][]ir.ValueID, len(g.Nodes))
	for _, n := range g.Nodes {
		for _, id := range n.Out {
			last[at[id]] = append(last[at[id]], id)
		}
	}
	return last
}

func floatNode(b *budget.Budget, g *ir.Graph, n *ir.Node, ids []int64, in [][]float64) ([]float64, error) {
	out := g.Value(n.Out[0])
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
		return sumTerms(b, g, n, ids, in)
	case ir.OpUnary:
		return floatUnary(b, n, in[0])
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

// sumTerms computes an Einsum.
func sumTerms[T number](b *budget.Budget, g *ir.Graph, n *ir.Node, ids []int64, in [][]T) ([]T, error) {
	res := make([]T, ir.Size(g.Value(n.Out[0]).Shape))
	e := n.Attr.(*ir.EinsumAttr)
	for i := range e.Terms {
		t := &e.Terms[i]
		if err := addTerm(b, res, t, operands(t, in), oneHots(g, n, t), ids); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// oneHots says which operands of a term are the one-hot vectors of the token ids.
func oneHots(g *ir.Graph, n *ir.Node, t *ir.Term) []bool {
	hot := make([]bool, len(t.In))
	for i, k := range t.In {
		hot[i] = g.Value(n.In[k]).Def.Op == ir.OpOneHot
	}
	return hot
}

// operands collects the tensors of one term.
func operands[T number](t *ir.Term, in [][]T) [][]T {
	out := make([][]T, len(t.In))
	for i, k := range t.In {
		out[i] = in[k]
	}
	return out
}

func floatUnary(b *budget.Budget, n *ir.Node, x []float64) ([]float64, error) {
	fn := n.Attr.(*ir.UnaryAttr).Fn
	f, ok := functions[fn]
	if !ok {
		return nil, n.Errorf("unknown function %q", fn)
	}
	out := make([]float64, len(x))
	for i, v := range x {
		if i%pollAfter == pollAfter-1 && b.Poll() != nil {
			return nil, b.Poll()
		}
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
