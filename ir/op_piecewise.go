package ir

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/internal/tables"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// OpPiecewiseLinear is an elementwise function of integers that have more bits than a table has arguments.
const OpPiecewiseLinear Op = "PiecewiseLinear"

// PiecewiseLinearAttr (StageInt): y = value_i + slope_i·l, elementwise, where x = 2^Low·i + l, 0 ≤ l < 2^Low, is the input after
// RescaleAttr{Shift, Lo, Hi}; value_i and slope_i are those of piece i of Fn, as internal/tables computes it. Lo and Hi + 1 are multiples
// of 2^Low.
type PiecewiseLinearAttr struct {
	Shift             int
	Lo, Hi            int64
	Low               int
	Fn                string
	InScale, OutScale int // of x, and of y
}

func (a *PiecewiseLinearAttr) text() string {
	return fmt.Sprintf(" shift=%d clamp=[%d,%d] low=%d fn=%s in=%d out=%d", a.Shift, a.Lo, a.Hi, a.Low, a.Fn, a.InScale, a.OutScale)
}

func (a *PiecewiseLinearAttr) rescale() *RescaleAttr {
	return &RescaleAttr{Shift: a.Shift, Lo: a.Lo, Hi: a.Hi}
}

func (a *PiecewiseLinearAttr) pieces() (values, slopes []int64, err error) {
	return tables.Pieces(a.Fn, a.Lo>>a.Low, a.Hi>>a.Low, a.InScale, a.Low, a.OutScale)
}

func init() {
	register(&OpInfo{
		Op: OpPiecewiseLinear, Stages: integers, MinIn: 1, MaxIn: 1, Outputs: 1, Elementwise: true, TakesWide: true,
		Meaning: "rounding division by 2^Shift and clamping, then an elementwise function, linear between multiples of 2^Low", Shape: "that of x", Scale: "OutScale",
		check: func(g *Graph, n *Node) error {
			a, is := n.Attr.(*PiecewiseLinearAttr)
			ok := is && IsFunction(a.Fn) && a.Shift >= 0 && a.Shift < 63 && a.Lo <= a.Hi && a.Low >= 1 && a.Low <= 30
			return n.attrs(g, ok && a.Lo&(1<<a.Low-1) == 0 && (a.Hi+1)&(1<<a.Low-1) == 0)
		},
		bound: func(_ *Graph, n *Node, _ []interval.Interval) ([]interval.Interval, error) {
			a := n.Attr.(*PiecewiseLinearAttr)
			values, slopes, err := a.pieces()
			if err != nil {
				return nil, RefuseFor(n.Origin, n.Named(), err)
			}
			rise := interval.Of(slices.Min(slopes), slices.Max(slopes)).Times(interval.Of(0, 1<<a.Low-1))
			return []interval.Interval{interval.Of(slices.Min(values), slices.Max(values)).Plus(rise)}, nil
		},
		integer: intPiecewise,
		lower: func(n *Node) (plan.Op, []plan.Arg) {
			a := n.Attr.(*PiecewiseLinearAttr)
			return "PiecewiseLinear", []plan.Arg{plan.Size("shift", a.Shift), plan.Integer("lo", a.Lo), plan.Integer("hi", a.Hi), plan.Size("low", a.Low),
				plan.Text("fn", a.Fn), plan.Size("inScale", a.InScale), plan.Size("outScale", a.OutScale)}
		},
		Unique: "gadget.PiecewiseLinear",
	})
}

func intPiecewise(r *Run, n *Node, in [][]int64) ([][]int64, error) {
	a := n.Attr.(*PiecewiseLinearAttr)
	values, slopes, err := a.pieces()
	if err != nil {
		return nil, RefuseFor(n.Origin, n.Named(), err)
	}
	x, err := a.rescale().apply(r, n, in[0])
	if err != nil {
		return nil, err
	}
	first := a.Lo >> a.Low
	for i, v := range x {
		k := v>>a.Low - first
		x[i] = values[k] + slopes[k]*(v&(1<<a.Low-1))
	}
	return [][]int64{x}, nil
}
