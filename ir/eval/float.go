// Package eval is the interpreter of the IR, in both of its meanings: the oracle that everything faster is compared with, and the source of
// the calibration data. What an operation means is said by its entry in the op table. Products of matrices go through package
// matrix, which is compared with the loops over a term's labels; results have the same bits on every platform.
package eval

import (
	"cmp"
	"fmt"
	"runtime"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/internal/parallel"
	"github.com/zkllmc/zkllmc/ir"
)

// Float runs a graph of StageFloat on the elements of its inputs, row-major (fewer or more are refused), and returns every value,
// row-major, but for weights that are elsewhere. It also runs the primitive graphs of the frontend, so that every pass can be tested for keeping the meaning.
func Float(g *ir.Graph, in ...[]float64) (map[ir.ValueID][]float64, error) {
	vals := make(map[ir.ValueID][]float64, len(g.Values))
	return vals, EachFloat(nil, g, [][][]float64{in}, func(_ int, v *ir.Value, cells []float64) error { vals[v.ID] = cells; return nil })
}

// EachFloat runs a graph on several inputs side by side, so that weights that are elsewhere are read once for all of them; each run has the
// bits that it has alone. It gives every value of every run, by number, to f as soon as it is computed, and holds it only as long as
// something uses it; f must be safe for concurrent use by different runs. The caller has paid for the work, and for the memory of all runs:
// see Demand. It ends with the error of the budget's context when that is done.
func EachFloat(b *budget.Budget, g *ir.Graph, in [][][]float64, f func(run int, v *ir.Value, cells []float64) error) error {
	if g.Stage == ir.StageInt {
		return fmt.Errorf("eval: graph %s is in StageInt, use Int", g.Name)
	}
	e := &evaluation[float64]{b: b, g: g, f: f, alone: (*ir.Run).Float, together: ir.Floats, check: func(n *ir.Node, v *ir.Value, cells []float64) error {
		if len(cells) != ir.Size(v.Shape) && !v.Unstored() && !v.Elsewhere() {
			return n.Errorf("computed %d cells for shape %v", len(cells), v.Shape)
		}
		return nil
	}}
	for _, x := range in {
		e.runs = append(e.runs, &ir.Run{Graph: g, Reals: x, Budget: b})
	}
	return e.all()
}

// Reals are integers as real numbers, the elements of an input of ids say.
func Reals(x []int64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// evaluation is runs of a graph side by side.
type evaluation[T int64 | float64] struct {
	b    *budget.Budget
	g    *ir.Graph
	runs []*ir.Run
	vals [][][]T // per run and value, as long as something uses it
	last [][]ir.ValueID

	alone    func(*ir.Run, *ir.Node, [][]T) ([][]T, error)
	together func([]*ir.Run, *ir.Node, [][][]T) ([][][]T, error)
	check    func(n *ir.Node, v *ir.Value, cells []T) error
	f        func(run int, v *ir.Value, cells []T) error
}

// all computes the values of all runs, in order: nodes at which they have work in common at the same time, and those between such nodes run by
// run on all processors.
func (e *evaluation[T]) all() error {
	e.last, e.vals = lastUses(e.g), make([][][]T, len(e.runs))
	for r := range e.vals {
		e.vals[r] = make([][]T, len(e.g.Values))
	}
	for from := 0; from < len(e.g.Nodes); {
		to := from
		for to < len(e.g.Nodes) && (len(e.runs) == 1 || !ir.Common(e.g, e.g.Nodes[to])) {
			to++
		}
		if err := Parallel(e.b, len(e.runs), runtime.GOMAXPROCS(0), func(r int) error { return e.nodes(r, from, to) }); err != nil {
			return err
		}
		if to < len(e.g.Nodes) {
			if err := e.common(to); err != nil {
				return err
			}
		}
		from = to + 1
	}
	return nil
}

// nodes computes some nodes of one run.
func (e *evaluation[T]) nodes(r, from, to int) error {
	for i := from; i < to; i++ {
		if err := e.b.Poll(); err != nil {
			return err
		}
		outs, err := e.alone(e.runs[r], e.g.Nodes[i], e.operands(r, i))
		if err != nil {
			return err
		}
		if err := e.done(r, i, outs); err != nil {
			return err
		}
	}
	return nil
}

// common computes a node of all runs.
func (e *evaluation[T]) common(i int) error {
	in := make([][][]T, len(e.runs))
	for r := range in {
		in[r] = e.operands(r, i)
	}
	outs, err := e.together(e.runs, e.g.Nodes[i], in)
	if err != nil {
		return err
	}
	return Parallel(e.b, len(e.runs), runtime.GOMAXPROCS(0), func(r int) error { return e.done(r, i, outs[r]) })
}

func (e *evaluation[T]) operands(r, i int) [][]T {
	n := e.g.Nodes[i]
	in := make([][]T, len(n.In))
	for k, id := range n.In {
		in[k] = e.vals[r][id]
	}
	return in
}

// done takes the results of a node over.
func (e *evaluation[T]) done(r, i int, outs [][]T) error {
	n := e.g.Nodes[i]
	for k, id := range n.Out {
		v := e.g.Value(id)
		if err := e.check(n, v, outs[k]); err != nil {
			return err
		}
		e.vals[r][id] = outs[k]
		if err := e.f(r, v, outs[k]); err != nil {
			return err
		}
	}
	for _, id := range e.last[i] {
		e.vals[r][id] = nil
	}
	return nil
}

// Parallel calls f with 0..n-1, on so many processors at most, and returns the error of the lowest.
func Parallel(b *budget.Budget, n, workers int, f func(int) error) error {
	errs := make([]error, n)
	call := func(i int) {
		// A panic of a goroutine would end the process without a report.
		defer func() {
			if r := recover(); r != nil {
				errs[i] = fmt.Errorf("internal error: %v", r)
			}
		}()
		if errs[i] = b.Poll(); errs[i] == nil {
			errs[i] = f(i)
		}
	}
	if n > 0 {
		parallel.New(max(1, min(n, workers))).Run(n, func(_, i int) { call(i) })
	}
	return cmp.Or(errs...)
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
