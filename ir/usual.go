package ir

import (
	"math"
	"math/big"
	"slices"

	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// What masks scores is told by its distance from them, and scores are not known when a graph is made. So activations of which nothing is known are
// taken to be in [-1, 1], which masks of a thousand and more are far from.

// UsualRange bounds the cells of a value where activations of which nothing is known are in [-1, 1]. It looks through so many nodes; known, if it is not
// nil, says of integers what they may be.
func (g *Graph) UsualRange(id ValueID, depth int, known func(ValueID) *interval.Interval) (lo, hi float64) {
	if known != nil {
		if i := known(id); i != nil {
			lo, _ = new(big.Float).SetInt(i.Lo).Float64()
			hi, _ = new(big.Float).SetInt(i.Hi).Float64()
			return lo, hi
		}
	}
	v := g.Value(id)
	switch v.Def.Op {
	case OpConst:
		if len(v.Data) > 0 {
			return slices.Min(v.Data), slices.Max(v.Data)
		}
	case OpStep, OpSoftmax:
		return 0, 1
	case OpInput:
		for i := range g.Inputs {
			if g.Inputs[i].Value == id && g.Inputs[i].Kind == plan.Booleans {
				return 0, 1
			}
		}
	case OpEinsum:
		ts := Free(v.Def)
		if depth == 0 || slices.ContainsFunc(ts, func(t Term) bool { return slices.Contains(t.InOut(), false) }) {
			break
		}
		for _, t := range ts {
			a, b := g.UsualTerm(t, depth-1, known)
			lo, hi = lo+a, hi+b
		}
		return lo, hi
	}
	return -1, 1
}

// UsualTerm is UsualRange of the products of a free term.
func (g *Graph) UsualTerm(t Term, depth int, known func(ValueID) *interval.Interval) (lo, hi float64) {
	lo, hi = t.Coef, t.Coef
	for _, id := range t.In {
		a, b := g.UsualRange(ValueID(id), depth, known)
		ends := []float64{float64(lo * a), float64(lo * b), float64(hi * a), float64(hi * b)}
		for i, x := range ends {
			if math.IsNaN(x) { // 0·∞, which sums of masks take as 0
				ends[i] = 0
			}
		}
		lo, hi = slices.Min(ends), slices.Max(ends)
	}
	return lo, hi
}
