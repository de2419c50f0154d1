package ir

import (
	"fmt"
	"math/big"

	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// RescaleAttr (StageInt): y = min(max(⌊(a + 2^(Shift-1)) / 2^Shift⌋, Lo), Hi); with Shift = 0 nothing is added.
type RescaleAttr struct {
	Shift  int
	Lo, Hi int64
}

func (a *RescaleAttr) text() string {
	return fmt.Sprintf(" shift=%d clamp=[%d,%d]", a.Shift, a.Lo, a.Hi)
}

func init() {
	register(&OpInfo{
		Op: OpRescale, Stages: integers, MinIn: 1, MaxIn: 1, Outputs: 1, Elementwise: true, TakesWide: true,
		Meaning: "rounding division by 2^Shift, then clamping", Shape: "that of x", Scale: "that of x minus Shift",
		check: func(g *Graph, n *Node) error {
			a, is := n.Attr.(*RescaleAttr)
			return n.attrs(g, is && a.Shift >= 0 && a.Shift < 63 && a.Lo <= a.Hi)
		},
		bound: func(_ *Graph, n *Node, _ []interval.Interval) ([]interval.Interval, error) {
			a := n.Attr.(*RescaleAttr)
			return []interval.Interval{interval.Of(a.Lo, a.Hi)}, nil
		},
		integer: intRescale,
		lower: func(n *Node) (plan.Op, []plan.Arg) {
			a := n.Attr.(*RescaleAttr)
			return plan.Rescale, []plan.Arg{plan.Size("shift", a.Shift), plan.Integer("lo", a.Lo), plan.Integer("hi", a.Hi)}
		},
		Unique: "gadget.Rescale; gadget.RescaleTable together with the table that follows",
	})
}

// roundShift is ⌊(a + 2^(s-1)) / 2^s⌋, a for s = 0.
func roundShift(a int64, s int) (int64, bool) {
	if s == 0 {
		return a, true
	}
	half := int64(1) << (s - 1)
	if a > 0 && a+half < 0 {
		return 0, false
	}
	return (a + half) >> s, true
}

func intRescale(r *Run, n *Node, in [][]int64) ([][]int64, error) {
	out, err := n.Attr.(*RescaleAttr).apply(r, n, in[0])
	return [][]int64{out}, err
}

// applyWide rescales the cells of a wide value.
func (a *RescaleAttr) applyWide(x []int64) []int64 {
	out, half := make([]int64, len(x)/2), new(big.Int)
	if a.Shift > 0 {
		half.Lsh(big.NewInt(1), uint(a.Shift-1))
	}
	lo, hi := big.NewInt(a.Lo), big.NewInt(a.Hi)
	for i := range out {
		q := WideCell(x, i)
		q.Rsh(q.Add(q, half), uint(a.Shift))
		switch {
		case q.Cmp(lo) < 0:
			q = lo
		case q.Cmp(hi) > 0:
			q = hi
		}
		out[i] = q.Int64()
	}
	return out
}

// apply rescales the cells of a node's input.
func (a *RescaleAttr) apply(r *Run, n *Node, x []int64) ([]int64, error) {
	if r.Graph.Value(n.In[0]).Wide() {
		return a.applyWide(x), nil
	}
	out := make([]int64, len(x))
	for i, v := range x {
		r, ok := roundShift(v, a.Shift)
		if !ok {
			return nil, n.Errorf("cell %d: %d does not fit 64 bits with its rounding", i, v)
		}
		out[i] = min(max(r, a.Lo), a.Hi)
	}
	return out, nil
}
