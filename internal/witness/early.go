package witness

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
)

// schedule says what can be done as hints are run one after the other, so that memory is given back early: which lookups are complete after a hint, and which
// zero-checks, and of which sums neither a later hint nor a proof asks again.
type schedule struct {
	lookups [][]int
	zeros   [][]circuit.ID
	done    [][]circuit.ID
}

// scheduleOf plans a circuit's. All lists are by hints; what is complete before the first is with the first.
func scheduleOf(c *circuit.Circuit) *schedule {
	n := len(c.Hints)
	s := &schedule{make([][]int, n), make([][]circuit.ID, n), make([][]circuit.ID, n)}
	if n == 0 {
		return s
	}
	ready, last := readiness(c), make([]int, len(c.Tensors)) // hints; last: of those that need a tensor
	for i := range last {
		last[i] = ready[i]
	}
	for h := range c.Hints {
		for _, id := range c.Hints[h].In {
			if id >= 0 {
				last[id] = max(last[id], h)
			}
		}
	}
	for i, l := range c.Lookups {
		at := 0
		for _, id := range l.Cols {
			at = max(at, ready[id])
		}
		for _, id := range l.Cols {
			last[id] = max(last[id], at)
		}
		s.lookups[at] = append(s.lookups[at], i)
	}
	for _, id := range c.Zeros {
		s.zeros[ready[id]] = append(s.zeros[ready[id]], id)
	}
	for i := len(c.Tensors) - 1; i >= 0; i-- { // what is made of a tensor comes behind it
		for _, term := range c.Tensors[i].Def {
			for _, f := range term.Factors {
				last[f.T] = max(last[f.T], last[i])
			}
		}
	}
	read, classes := c.Read(), classesOf(c)
	for i := range c.Tensors {
		if id := circuit.ID(i); c.Tensors[i].Kind == circuit.Virtual && !read[i] && !slices.Contains(classes, id) {
			s.done[last[i]] = append(s.done[last[i]], id)
		}
	}
	return s
}

// classesOf are those that somebody counts in the end.
func classesOf(c *circuit.Circuit) []circuit.ID {
	classes, _ := c.Classes()
	return classes
}

// readiness is the hint after which a tensor can be computed.
func readiness(c *circuit.Circuit) []int {
	ready := make([]int, len(c.Tensors))
	for h := range c.Hints {
		for _, id := range c.Hints[h].Out {
			ready[id] = h
		}
	}
	for i := range c.Tensors {
		for _, term := range c.Tensors[i].Def {
			for _, f := range term.Factors {
				ready[i] = max(ready[i], ready[f.T])
			}
		}
	}
	return ready
}

// early does what can be done after a hint: of an execution whose claims are not known, what does not depend on them.
func (g *generator) early(h int) error {
	if g.order == nil {
		g.order = scheduleOf(g.c)
	}
	for _, id := range g.c.Hints[h].Out {
		g.written(id)
	}
	for _, i := range g.order.lookups[h] {
		if err := g.lookup(i); err != nil {
			return err
		}
	}
	if g.unclaimed == nil {
		for _, id := range g.order.zeros[h] {
			if err := g.zero(id); err != nil {
				return err
			}
		}
	}
	for _, id := range g.order.done[h] {
		if v := g.vals[id]; v != nil {
			g.at.Program.Free(v)
			g.vals[id] = nil
		}
	}
	return nil
}

// written says that a tensor is complete.
func (a *Assignment) written(id circuit.ID) {
	if v := a.vals[id]; v != nil && !a.c.Tensor(id).Wide() {
		a.at.Program.Written(a.bounded(id))
	}
}

// kept says whether a proof asks for a tensor.
func (a *Assignment) kept(id circuit.ID) bool {
	if a.read == nil {
		a.read = a.c.Read()
	}
	return a.read[id]
}

// bounded is a tensor with the range that its cells have if the circuit holds: that of the column of a table in which they are looked up, or the declared one.
func (a *Assignment) bounded(id circuit.ID) backend.Bounded {
	if a.ranges == nil {
		a.ranges = rangesOf(a.c)
	}
	r := a.ranges[id]
	return backend.Bounded{T: a.vals[id], Lo: r.Lo, Hi: r.Hi}
}

// rangesOf are those of all tensors.
func rangesOf(c *circuit.Circuit) []backend.Bounded {
	ranges := make([]backend.Bounded, len(c.Tensors))
	for i := range c.Tensors {
		ranges[i].Lo, ranges[i].Hi = c.Tensors[i].Lo, c.Tensors[i].Hi
	}
	columns := make([][]backend.Bounded, len(c.Tables)) // each is looked through once, and looked up often
	for i, t := range c.Tables {
		for _, col := range t.Cols {
			columns[i] = append(columns[i], backend.Bounded{Lo: slices.Min(col), Hi: slices.Max(col)})
		}
	}
	for _, l := range c.Lookups {
		for k, id := range l.Cols {
			col, r := columns[l.Table][k], &ranges[id]
			r.Lo, r.Hi = max(r.Lo, col.Lo), min(r.Hi, col.Hi)
		}
	}
	return ranges
}
