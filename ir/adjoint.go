package ir

import (
	"math"

	"github.com/zkllmc/zkllmc/internal/tables"
)

// Pulls are the transposes of a node's derivatives in runs side by side, at the cells in, whose results are out: from the gradients of some
// numbers with respect to the node's results it computes, over the reals, those with respect to the inputs that are wanted, nil for all others.
func Pulls(runs []*Run, n *Node, in [][][]float64, out, grad [][]float64, want []bool) ([][][]float64, error) {
	if n.Op == OpEinsum {
		return pullEinsum(runs, n, in, grad, want)
	}
	i, ok := n.Op.Info()
	if !ok || i.pull == nil {
		return nil, n.Errorf("has no derivative")
	}
	pulled := make([][][]float64, len(runs))
	for r, run := range runs {
		in, err := here(run.Graph, n, in[r])
		if err != nil {
			return nil, err
		}
		if pulled[r], err = i.pull(run, n, in, out[r], grad[r], want); err != nil {
			return nil, err
		}
	}
	return pulled, nil
}

// pullEinsum exchanges, in every term that has a wanted operand, this operand's place with the result's.
func pullEinsum(runs []*Run, n *Node, in [][][]float64, grad [][]float64, want []bool) ([][][]float64, error) {
	out := make([][][]float64, len(runs))
	for r := range runs {
		out[r] = make([][]float64, len(n.In))
		for k := range n.In {
			if want[k] {
				out[r][k] = make([]float64, len(in[r][k]))
			}
		}
	}
	for _, t := range n.Attr.(*EinsumAttr).Terms {
		for k, from := range t.In {
			if !want[from] {
				continue
			}
			back := t.Clone()
			back.Out, back.Axes[k] = back.Axes[k], back.Out
			of := make([]operation[float64], len(runs))
			for r, run := range runs {
				of[r] = operation[float64]{operands(&t, in[r]), indicators[float64](run, n, &t), out[r][from]}
				of[r].in[k], of[r].known[k] = grad[r], nil
			}
			if err := addTerm(runs[0].Budget, &back, of, readers(runs[0].Graph, n, &t, in[0])); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// step is the distance at which differences of functions stand for their derivatives, for arguments around 1.
const step = 1.0 / (1 << 13)

// slopes are the derivatives of functions that are no numbers on one side of an argument, or that differ too much between both.
var slopes = map[string]func(float64) float64{
	"sqrt":       func(x float64) float64 { return 0.5 / math.Sqrt(x) },
	"reciprocal": func(x float64) float64 { return -1 / float64(x*x) },
	"rsqrt":      func(x float64) float64 { return -0.5 / float64(x*math.Sqrt(x)) },
	"floor":      jump,
	"ceil":       jump,
	"round":      jump,
	"trunc":      jump,
}

// jump is the slope of what jumps by one. An error of a part σ of one before it makes a jump of that part of all cells: the variance is σ
// after σ², as if the slope were 1/√σ, that of errors of a 256th.
func jump(float64) float64 { return 16 }

func pullUnary(r *Run, n *Node, in [][]float64, _, grad []float64, _ []bool) ([][]float64, error) {
	fn, x := n.Attr.(*UnaryAttr).Fn, in[0]
	if n.Attr.(*UnaryAttr).Flat {
		return [][]float64{make([]float64, len(x))}, nil
	}
	slope, ok := slopes[fn]
	if f, composed := tables.Composed(fn); composed {
		slope, ok = func(x float64) float64 { return slopeAt(f, x) }, true
	}
	if ok {
		out, err := each(r, x, slope)
		for i, d := range out {
			if out[i] = float64(d * grad[i]); grad[i] == 0 || !(math.Abs(d) <= math.MaxFloat64) { // at a pole
				out[i] = 0
			}
		}
		return [][]float64{out}, err
	}
	f := functions[fn]
	out := make([]float64, len(x))
	for i, v := range x {
		if i%pollAfter == pollAfter-1 && r.Budget.Poll() != nil {
			return nil, r.Budget.Poll()
		}
		if grad[i] != 0 {
			h := float64(step * math.Max(1, math.Abs(v)))
			out[i] = float64(grad[i] * (f(v+h) - f(v-h)) / (2 * h))
		}
	}
	return [][]float64{out}, nil
}

// slopeAt is the slope of a function that may have a pole, or end, near an argument: from both sides, or from the one where it is a number.
func slopeAt(f func(float64) float64, x float64) float64 {
	h := float64(step * math.Max(math.Abs(x), step))
	here, below, above := f(x), f(x-h), f(x+h)
	finite := func(y float64) bool { return math.Abs(y) <= math.MaxFloat64 }
	switch {
	case finite(below) && finite(above):
		return (above - below) / (2 * h)
	case finite(above):
		return (above - here) / h
	}
	return (here - below) / h
}

// pullNorm is that of x̂·γ + β, x̂ = (x − mean)·s: s·(g − mean(g·x̂)·x̂), less its mean where the norm is centred, g the gradient times γ.
func pullNorm(run *Run, op *Node, in [][]float64, _, grad []float64, want []bool) ([][]float64, error) {
	x, a, shape := in[0], op.Attr.(*NormAttr), run.Graph.Value(op.Out[0]).Shape
	n := shape[len(shape)-1]
	out, hat, g := make([]float64, len(x)), make([]float64, n), make([]float64, n)
	for r := 0; r < len(x); r += n {
		mean, s := a.moments(x[r : r+n])
		inner, sum := 0.0, 0.0
		for i, v := range x[r : r+n] {
			hat[i], g[i] = float64((v-mean)*s), grad[r+i]
			if a.HasGamma {
				g[i] = float64(g[i] * in[1][i])
			}
			inner += float64(g[i] * hat[i])
			sum += g[i]
		}
		if !a.Center {
			sum = 0
		}
		for i := range hat {
			out[r+i] = float64(s * (g[i] - sum/float64(n) - float64(inner/float64(n)*hat[i])))
		}
	}
	all := make([][]float64, len(in))
	all[0] = out
	return all, nil
}

func pullSoftmax(run *Run, n *Node, in [][]float64, out, grad []float64, _ []bool) ([][]float64, error) {
	a, shape := n.Attr.(*SoftmaxAttr), shapeOf(run.Graph, n.Out[0])
	w := shape[len(shape)-1]
	res := make([]float64, len(out))
	for r := 0; r < len(out); r += w {
		inner := 0.0
		for i := r; i < r+w; i++ {
			inner += float64(grad[i] * out[i])
		}
		for i := r; i < r+w; i++ {
			res[i] = float64(a.Scale * out[i] * (grad[i] - inner))
		}
	}
	all := make([][]float64, len(in))
	all[0] = res
	return all, nil
}

func pullMax(_ *Run, _ *Node, in [][]float64, _, grad []float64, _ []bool) ([][]float64, error) {
	x, y := make([]float64, len(grad)), make([]float64, len(grad))
	for i, g := range grad {
		if in[0][i] >= in[1][i] {
			x[i] = g
		} else {
			y[i] = g
		}
	}
	return [][]float64{x, y}, nil
}
