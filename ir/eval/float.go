// Package eval is the interpreter of the IR, in both of its meanings: the oracle that everything faster is compared with, and the source of
// the calibration data. What an operation means is said by its entry in the op table. Products of matrices go through package
// matrix, which is compared with the loops over a term's labels; results have the same bits on every platform.
package eval

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/ir"
)

// Float runs a graph of StageFloat on the elements of its inputs, row-major (fewer or more are refused), and returns every value,
// row-major, but for weights that are elsewhere. It also runs the primitive graphs of the frontend, so that every pass can be tested for keeping the meaning.
func Float(g *ir.Graph, in ...[]float64) (map[ir.ValueID][]float64, error) {
	vals := make(map[ir.ValueID][]float64, len(g.Values))
	return vals, EachFloat(nil, g, in, func(v *ir.Value, cells []float64) error { vals[v.ID] = cells; return nil })
}

// EachFloat is Float that gives every value to a function as soon as it is computed, and holds it only as long as something uses it.
// The caller has paid for the work: see Demand. It ends with the error of the budget's context when that is done.
func EachFloat(b *budget.Budget, g *ir.Graph, in [][]float64, f func(v *ir.Value, cells []float64) error) error {
	if g.Stage == ir.StageInt {
		return fmt.Errorf("eval: graph %s is in StageInt, use Int", g.Name)
	}
	r := &ir.Run{Graph: g, Reals: in, Budget: b}
	return each(b, g, f, func(n *ir.Node, in [][]float64) ([][]float64, error) {
		outs, err := r.Float(n, in)
		for i := 0; i < len(n.Out) && err == nil; i++ {
			if v := g.Value(n.Out[i]); len(outs[i]) != ir.Size(v.Shape) && !v.Unstored() && !v.Elsewhere() {
				err = n.Errorf("computed %d cells for shape %v", len(outs[i]), v.Shape)
			}
		}
		return outs, err
	})
}

// Reals are integers as real numbers, the elements of an input of ids say.
func Reals(x []int64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// each computes the values of a graph in order, gives each to f and drops it after its last use.
func each[T int64 | float64](b *budget.Budget, g *ir.Graph, f func(*ir.Value, []T) error, compute func(*ir.Node, [][]T) ([][]T, error)) error {
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
