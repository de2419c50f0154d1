package ir

import (
	"fmt"
	"math/big"

	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// OpReciprocal is the whole part of a constant divided by positive integers.
const OpReciprocal Op = "Reciprocal"

// ReciprocalAttr (StageInt): r = ⌊Num/s⌋, the integer with r·s ≤ Num < (r+1)·s, elementwise; s ≥ 1, Num ≥ 1.
type ReciprocalAttr struct{ Num int64 }

func (a *ReciprocalAttr) text() string { return fmt.Sprintf(" num=%d", a.Num) }

func init() {
	register(&OpInfo{
		Op: OpReciprocal, Stages: integers, MinIn: 1, MaxIn: 1, Outputs: 1, Elementwise: true,
		Meaning: "⌊Num/s⌋, elementwise", Shape: "that of s", Scale: "such that Num has the scales of r and of s",
		check: func(g *Graph, n *Node) error {
			a, is := n.Attr.(*ReciprocalAttr)
			return n.attrs(g, is && a.Num >= 1)
		},
		bound: func(_ *Graph, n *Node, in []interval.Interval) ([]interval.Interval, error) {
			if in[0].Lo.Sign() <= 0 {
				return nil, n.Errorf("its divisor may be %v, and is to be positive", in[0].Lo)
			}
			most := big.NewInt(n.Attr.(*ReciprocalAttr).Num)
			return []interval.Interval{{Lo: new(big.Int), Hi: most.Div(most, in[0].Lo)}}, nil
		},
		integer: func(_ *Run, n *Node, in [][]int64) ([][]int64, error) {
			out := make([]int64, len(in[0]))
			for i, s := range in[0] {
				if s < 1 {
					return nil, n.Errorf("cell %d: %d is not positive", i, s)
				}
				out[i] = n.Attr.(*ReciprocalAttr).Num / s
			}
			return [][]int64{out}, nil
		},
		lower: func(n *Node) (plan.Op, []plan.Arg) {
			return "Reciprocal", []plan.Arg{plan.Integer("num", n.Attr.(*ReciprocalAttr).Num)}
		},
		Unique: "gadget.Reciprocal",
	})
}
