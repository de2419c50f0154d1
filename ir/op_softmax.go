package ir

import (
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/internal/tables"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// Softmax over the reals, and zkAttn over the integers.

// SoftmaxAttr describes a softmax over the last axis of Scale·x (StageFloat). With a mask the second input is a Const of zeros
// and ones with the shape of the trailing axes of x; positions with 1 are masked: they get weight 0. No row is all masked.
type SoftmaxAttr struct {
	Scale   float64
	HasMask bool
}

// ZkAttnAttr (StageInt), softmax over the last axis of the input s, with an optional 0/1 mask as second input (broadcast over
// leading axes). Outputs e (shape of s) and inv (shape of s without the last axis):
//
//	σ = ⌊(s + 2^(Shift-1)) / 2^Shift⌋; M = max over unmasked σ; d = M − σ
//	e = round(2^EBits·exp(−d·Unit)) where unmasked and d < 2^DBits, else 0;  inv = ⌊2^InvBits / Σ e⌋
//
// so that softmax ≈ e·inv·2^(-InvBits).
type ZkAttnAttr struct {
	Shift   int
	DBits   int
	EBits   int
	InvBits int
	Unit    float64
	HasMask bool
}

func (a *SoftmaxAttr) text() string {
	return fmt.Sprintf(" scale=%s mask=%v", realText(a.Scale), a.HasMask)
}

func (a *ZkAttnAttr) text() string {
	return fmt.Sprintf(" shift=%d dbits=%d ebits=%d invbits=%d unit=%s mask=%v", a.Shift, a.DBits, a.EBits, a.InvBits, realText(a.Unit), a.HasMask)
}

func init() {
	register(&OpInfo{
		Op: OpSoftmax, Stages: reals, MinIn: 1, MaxIn: 2, Outputs: 1,
		Meaning: "softmax of Scale·x over the last axis, 0 at masked positions", Shape: "that of x; the mask has the shape of trailing axes of x", Scale: "-",
		check: checkSoftmax, float: floatSoftmax, pull: pullSoftmax,
	})
	register(&OpInfo{
		Op: OpZkAttn, Stages: integers, MinIn: 1, MaxIn: 2, Outputs: 2,
		Meaning: "shifted, quantised exponentials of a row and the inverse of their sum, see ZkAttnAttr",
		Shape:   "e: that of s; inv: that of s without the last axis", Scale: "e: EBits, inv: InvBits − EBits",
		check: checkZkAttn,
		bound: func(_ *Graph, n *Node, _ []interval.Interval) ([]interval.Interval, error) {
			a := n.Attr.(*ZkAttnAttr)
			return []interval.Interval{interval.Of(0, 1<<a.EBits), interval.Of(0, 1<<(a.InvBits-a.EBits))}, nil
		},
		integer: intZkAttn,
		lower: func(n *Node) (plan.Op, []plan.Arg) {
			a := n.Attr.(*ZkAttnAttr)
			return plan.Attn, []plan.Arg{plan.Size("Shift", a.Shift), plan.Size("DBits", a.DBits), plan.Size("EBits", a.EBits),
				plan.Size("InvBits", a.InvBits), plan.Float("Unit", a.Unit)}
		},
		Unique: "attention.ZkAttn, whose inv is gadget.Reciprocal",
	})
}

func checkSoftmax(g *Graph, n *Node) error {
	shape := shapeOf(g, n.In[0])
	a, is := n.Attr.(*SoftmaxAttr)
	ok := is && len(shape) > 0 && len(n.In) == 1+btoi(a.HasMask) && !math.IsNaN(a.Scale)
	if err := n.attrs(g, ok); err != nil || !a.HasMask {
		return err
	}
	return checkMask(g, n, shape)
}

// checkMask checks that the second input is a constant of zeros and ones over trailing axes of the first.
func checkMask(g *Graph, n *Node, shape []int) error {
	m := g.Value(n.In[1])
	if m.Def.Op != OpConst || len(m.Shape) > len(shape) || !equalShape(m.Shape, shape[len(shape)-len(m.Shape):]) || len(m.Shape) == 0 {
		return n.Errorf("the mask is a %s of shape %v for shape %v", m.Def.Op, m.Shape, shape)
	}
	w := shape[len(shape)-1]
	open := 0
	for i := 0; i < Size(m.Shape); i++ {
		var x float64
		if g.Stage != StageInt {
			x = m.Data[i]
		} else {
			x = float64(m.Ints[i])
		}
		if x != 0 && x != 1 {
			return n.Errorf("the mask has a cell %g", x)
		}
		if x == 0 {
			open++
		}
		if i%w == w-1 {
			if open == 0 {
				return n.Errorf("row %d of the mask is all masked", i/w)
			}
			open = 0
		}
	}
	return nil
}

func checkZkAttn(g *Graph, n *Node) error {
	a, ok := n.Attr.(*ZkAttnAttr)
	shape := shapeOf(g, n.In[0])
	if !ok || len(shape) == 0 || len(n.In) != 1+btoi(a.HasMask) || a.Shift < 0 || a.Shift > 62 || a.DBits < 1 || a.EBits < 0 || a.InvBits < 0 || a.InvBits > 62 {
		return n.Errorf("attributes %+v do not fit %d inputs of shape %v", n.Attr, len(n.In), shape)
	}
	if !equalShape(shapeOf(g, n.Out[0]), shape) || !equalShape(shapeOf(g, n.Out[1]), shape[:len(shape)-1]) {
		return n.Errorf("shapes %v and %v from shape %v", shapeOf(g, n.Out[0]), shapeOf(g, n.Out[1]), shape)
	}
	if a.HasMask {
		return checkMask(g, n, shape)
	}
	return nil
}

func shapeOf(g *Graph, id ValueID) []int { return g.Value(id).Shape }

func floatSoftmax(run *Run, n *Node, in [][]float64) ([][]float64, error) {
	x, a, shape := in[0], n.Attr.(*SoftmaxAttr), shapeOf(run.Graph, n.Out[0])
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
				top = math.Max(top, float64(a.Scale*x[i]))
			}
		}
		if math.IsInf(top, -1) {
			return nil, n.Errorf("every score of row %d is masked or minus infinity", r/w)
		}
		var sum float64
		for i := r; i < r+w; i++ {
			if !masked(i) {
				out[i] = portable.Exp(float64(a.Scale*x[i]) - top)
				sum += out[i]
			}
		}
		for i := r; i < r+w; i++ {
			out[i] /= sum
		}
	}
	return [][]float64{out}, nil
}

func intZkAttn(run *Run, n *Node, in [][]int64) ([][]int64, error) {
	a, shape := n.Attr.(*ZkAttnAttr), shapeOf(run.Graph, n.In[0])
	x, w := in[0], shape[len(shape)-1]
	exp, err := tables.Exp(a.DBits, a.EBits, a.Unit)
	if err != nil {
		return nil, RefuseFor(n.Origin, n.Named(), err)
	}
	masked := func(int) bool { return false }
	if a.HasMask {
		masked = func(i int) bool { return in[1][i%len(in[1])] != 0 }
	}
	e, inv := make([]int64, len(x)), make([]int64, len(x)/w)
	for r := range inv {
		top, open := int64(0), false
		sigma := make([]int64, w)
		for j := range sigma {
			s, ok := roundShift(x[r*w+j], a.Shift)
			if !ok {
				return nil, n.Errorf("row %d: %d does not fit 64 bits with its rounding", r, x[r*w+j])
			}
			if sigma[j] = s; !masked(r*w+j) && (!open || s > top) {
				top, open = s, true
			}
		}
		if !open {
			return nil, n.Errorf("row %d is all masked", r)
		}
		var sum int64
		for j, s := range sigma {
			if d := top - s; !masked(r*w+j) && d < int64(1)<<a.DBits {
				e[r*w+j] = exp[d]
				sum += exp[d]
			}
		}
		inv[r] = (int64(1) << a.InvBits) / sum
	}
	return [][]int64{e, inv}, nil
}
