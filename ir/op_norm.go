package ir

import (
	"fmt"
	"math"
	"math/big"

	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// Normalisations, and the inverse root that the integer program makes of them.

// NormAttr describes a normalisation over the last axis (StageFloat).
// Inputs: x, then gamma (shape [n]) where HasGamma, then beta where HasBeta.
type NormAttr struct {
	Center            bool // LayerNorm subtracts the mean; RMSNorm does not
	Eps               float64
	HasGamma, HasBeta bool
}

// RsqrtAttr (StageInt): r = the integer with r²·S ≤ Num < (r+1)²·S where S = s + Eps, elementwise; s ≥ 0, Eps ≥ 1.
type RsqrtAttr struct {
	Num int64
	Eps int64
}

func (a *NormAttr) text() string {
	return fmt.Sprintf(" center=%v eps=%s gamma=%v beta=%v", a.Center, realText(a.Eps), a.HasGamma, a.HasBeta)
}

func (a *RsqrtAttr) text() string { return fmt.Sprintf(" num=%d eps=%d", a.Num, a.Eps) }

func init() {
	register(&OpInfo{
		Op: OpNorm, Stages: reals, MinIn: 1, MaxIn: 3, Outputs: 1,
		Meaning: "(x − mean)·(var + eps)^(-1/2)·gamma + beta over the last axis; without Center mean is 0 and var the mean of squares",
		Shape:   "that of x; gamma and beta have the extent of its last axis", Scale: "-",
		check: checkNorm, float: floatNorm, pull: pullNorm,
	})
	register(&OpInfo{
		Op: OpRsqrt, Stages: integers, MinIn: 1, MaxIn: 1, Outputs: 1, Elementwise: true,
		Meaning: "⌊√(Num/(s+Eps))⌋, elementwise", Shape: "that of s", Scale: "such that Num has twice the scale of r plus the scale of s",
		check: func(g *Graph, n *Node) error {
			a, is := n.Attr.(*RsqrtAttr)
			return n.attrs(g, is && a.Eps >= 1 && a.Num >= 0)
		},
		bound: func(_ *Graph, n *Node, in []interval.Interval) ([]interval.Interval, error) {
			a := n.Attr.(*RsqrtAttr)
			least := new(big.Int).Add(in[0].Lo, big.NewInt(a.Eps))
			if least.Sign() <= 0 {
				return nil, n.Errorf("its argument may be %v, and is to be positive", least)
			}
			return []interval.Interval{{Lo: new(big.Int), Hi: least.Sqrt(least.Div(big.NewInt(a.Num), least))}}, nil
		},
		integer: intRsqrt,
		lower: func(n *Node) (plan.Op, []plan.Arg) {
			a := n.Attr.(*RsqrtAttr)
			return plan.Rsqrt, []plan.Arg{plan.Integer("num", a.Num), plan.Integer("eps", a.Eps)}
		},
		Unique: "gadget.Rsqrt",
	})
}

// checkNorm wants parameters that are weights or constants, except in StagePrim, where a pass has yet to see to it.
func checkNorm(g *Graph, n *Node) error {
	shape := g.Value(n.In[0]).Shape
	a, is := n.Attr.(*NormAttr)
	ok := is && len(shape) > 0 && a.Eps >= 0 && len(n.In) == 1+btoi(a.HasGamma)+btoi(a.HasBeta)
	if ok {
		for _, p := range n.In[1:] {
			v := g.Value(p)
			ok = ok && equalShape(v.Shape, shape[len(shape)-1:])
			if ok && g.Stage != StagePrim && v.Def.Op != OpWeight && v.Def.Op != OpConst {
				return n.Errorf("its scale or bias %s is computed; it must be a weight or a constant", v.Name)
			}
		}
	}
	return n.attrs(g, ok)
}

func floatNorm(run *Run, op *Node, in [][]float64) ([][]float64, error) {
	x, a, shape := in[0], op.Attr.(*NormAttr), run.Graph.Value(op.Out[0]).Shape
	n := shape[len(shape)-1]
	out := make([]float64, len(x))
	for r := 0; r < len(x); r += n {
		row, dst := x[r:r+n], out[r:r+n]
		mean, s := a.moments(row)
		for i, v := range row {
			dst[i] = float64((v - mean) * s)
			k := 1
			if a.HasGamma {
				dst[i] = float64(dst[i] * in[k][i])
				k++
			}
			if a.HasBeta {
				dst[i] += in[k][i]
			}
		}
	}
	return [][]float64{out}, nil
}

// moments are a row's mean, 0 where the norm is not centred, and what its deviations are multiplied with.
func (a *NormAttr) moments(row []float64) (mean, s float64) {
	n := float64(len(row))
	if a.Center {
		for _, v := range row {
			mean += v
		}
		mean /= n
	}
	variance := 0.0
	for _, v := range row {
		variance += float64((v - mean) * (v - mean))
	}
	return mean, 1 / math.Sqrt(variance/n+a.Eps)
}

// intRsqrt is the integer r with r²·S ≤ Num < (r+1)²·S, which is ⌊√⌊Num/S⌋⌋.
func intRsqrt(_ *Run, n *Node, in [][]int64) ([][]int64, error) {
	x, a := in[0], n.Attr.(*RsqrtAttr)
	out := make([]int64, len(x))
	for i, v := range x {
		s := v + a.Eps
		if v < 0 || s < 1 {
			return nil, n.Errorf("cell %d: %d + %d is not a positive 64-bit number", i, v, a.Eps)
		}
		out[i] = new(big.Int).Sqrt(big.NewInt(a.Num / s)).Int64()
	}
	return [][]int64{out}, nil
}
