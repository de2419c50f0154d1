package ir

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/internal/poly"
)

// OpAffine is a map of indices: a slice, a shift, padding, a window. As a factor of a term that sums over one of its axes it replaces an
// index by one that is linear in others, and by nothing where that lies outside of its axis. Its cells are never stored.
const OpAffine Op = "Affine"

// AffineAttr is the equation of a map of indices: Offset + Σ Strides[a]·x_a = 0, one stride per axis.
type AffineAttr struct {
	Offset  int64
	Strides []int64
}

func (a *AffineAttr) text() string { return fmt.Sprintf(" %d%+d", a.Offset, a.Strides) }

// maxAffine bounds offset and strides, as circuit.Builder.Affine does.
const maxAffine = 1 << 30

func init() {
	register(&OpInfo{
		Op: OpAffine, Stages: everywhere, Outputs: 1,
		Meaning: "out[x] = 1 where Offset + Σ Strides·x = 0, else 0", Shape: "given", Scale: "0",
		check: checkAffine, bound: func(*Graph, *Node, []interval.Interval) ([]interval.Interval, error) {
			return []interval.Interval{interval.Of(0, 1)}, nil
		},
		float:   func(r *Run, n *Node, _ [][]float64) ([][]float64, error) { return [][]float64{nil}, nil },
		integer: func(r *Run, n *Node, _ [][]int64) ([][]int64, error) { return [][]int64{nil}, nil },
		cost:    free,
		Unique:  "part of the circuit and its digest; the verifier evaluates the indicator of the equation, circuit.Builder.Affine",
	})
}

func checkAffine(g *Graph, n *Node) error {
	a, ok := n.Attr.(*AffineAttr)
	shape := g.Value(n.Out[0]).Shape
	if !ok || len(a.Strides) != len(shape) {
		return n.Errorf("attributes %T%+v do not fit shape %v", n.Attr, n.Attr, shape)
	}
	for _, s := range append([]int64{a.Offset}, a.Strides...) {
		if s > maxAffine || s < -maxAffine {
			return n.Errorf("%d is more than 2^30; take smaller strides", s)
		}
	}
	return nil
}

// AffineOf is the equation of a value that is a map of indices, nil of another one.
func (g *Graph) AffineOf(id ValueID) *AffineAttr {
	a, _ := g.Value(id).Def.Attr.(*AffineAttr)
	return a
}

// Unstored says that a value has no cells in an evaluation: a map of indices, which is known by its equation.
func (v *Value) Unstored() bool { return v.Def.Op == OpAffine }

// Split is the equation with an axis cut into two, the second of the given extent.
func (a *AffineAttr) Split(axis, inner int) *AffineAttr {
	s := slices.Insert(slices.Clone(a.Strides), axis+1, a.Strides[axis])
	s[axis] *= int64(inner)
	return &AffineAttr{Offset: a.Offset, Strides: s}
}

// Lower says whether a map is zero wherever the index on axis col exceeds that on axis row. It takes as many steps as the map has cells for
// one index on axis col.
func (a *AffineAttr) Lower(shape []int, row, col int) bool {
	return poly.AffineLower(a.Offset, a.Strides, shape, row, col)
}

// solved is the axis of a map for which its equation is best solved: the longest with a stride; -1 if there is none.
func (a *AffineAttr) solved(shape []int) int {
	best := -1
	for axis, s := range a.Strides {
		if s != 0 && (best < 0 || shape[axis] > shape[best]) {
			best = axis
		}
	}
	return best
}

// solve returns the index on an axis at which the equation holds, given the indices on the others, if there is one below the extent.
func (a *AffineAttr) solve(at []int, axis, extent int) (int, bool) {
	sum := a.Offset
	for k, s := range a.Strides {
		if k != axis {
			sum += s * int64(at[k])
		}
	}
	x := -sum / a.Strides[axis]
	return int(x), x*a.Strides[axis] == -sum && x >= 0 && x < int64(extent)
}

// cells writes a map's indicator.
func cells[T number](a *AffineAttr, shape []int) []T {
	bits := poly.AffineCells(a.Offset, a.Strides, shape)
	out := make([]T, len(bits))
	for i, x := range bits {
		out[i] = T(x)
	}
	return out
}
