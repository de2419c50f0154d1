package host

import (
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// runs calls f for the runs of neighbouring cells of a part of a tensor, in order.
func runs(shape []int, part []backend.Range, f func(at, n int)) {
	width, last := 1, len(shape)-1 // of an index of axis last
	for ; last > 0 && part[last] == (backend.Range{Hi: shape[last]}); last-- {
		width *= shape[last]
	}
	if len(shape) == 0 {
		f(0, 1)
		return
	}
	lines := 1
	for _, r := range part[:last] {
		lines *= r.Hi - r.Lo
	}
	for line := range lines {
		at, stride, rest := part[last].Lo*width, shape[last]*width, line
		for a := last - 1; a >= 0; a-- {
			n := part[a].Hi - part[a].Lo
			at += (part[a].Lo + rest%n) * stride
			rest /= n
			stride *= shape[a]
		}
		f(at, (part[last].Hi-part[last].Lo)*width)
	}
}

// each calls f for the runs of neighbouring cells of a part, in order.
func each(p backend.Part, f func(at, n int)) {
	t := p.T.(*integer.Tensor)
	if p.Box == nil {
		f(0, t.Len())
		return
	}
	runs(t.Shape, p.Box, f)
}

// read copies the cells of a part of a tensor that is not wide, and returns them.
func read(to []int64, p backend.Part) []int64 {
	t, done := p.T.(*integer.Tensor), 0
	each(p, func(at, n int) {
		t.Read(to[done:done+n], at)
		done += n
	})
	return to
}

// scratch is memory that operations use one after the other: those on parts of a text are many and small, and what each would leave to the
// collector is fresh memory for the next.
type scratch struct {
	all  []int64
	used int
}

// How many cells there are at the most, and at first: more are taken as they are needed, and left to the collector.
const (
	leastScratch = 1 << 12
	mostScratch  = 1 << 18
)

// take returns cells that hold anything, until the next reset.
func (s *scratch) take(n int) []int64 {
	if s.used+n > len(s.all) {
		more := max(leastScratch, 2*len(s.all), n)
		if more > mostScratch {
			return make([]int64, n)
		}
		s.all, s.used = make([]int64, more), 0
	}
	s.used += n
	return s.all[s.used-n : s.used : s.used]
}

// reset ends an operation.
func (s *scratch) reset() { s.used = 0 }

// gather returns the cells of a part, of a wide tensor the lower words.
func gather(t *integer.Tensor, part []backend.Range) []int64 {
	if t.V != nil {
		return gatherCells(t.V, t.Shape, part)
	}
	out, done := make([]int64, cellsOf(extents(part))), 0
	runs(t.Shape, part, func(at, n int) {
		t.Read(out[done:done+n], at)
		done += n
	})
	return out
}

// extents is the shape of a part.
func extents(part []backend.Range) []int {
	shape := make([]int, len(part))
	for a, r := range part {
		shape[a] = r.Hi - r.Lo
	}
	return shape
}

// gatherCells returns the cells of a part, in place where they are neighbours.
func gatherCells(v []int64, shape []int, part []backend.Range) []int64 {
	cells := cellsOf(extents(part))
	var out []int64
	runs(shape, part, func(at, n int) {
		if n == cells {
			out = v[at : at+n]
			return
		}
		if out == nil {
			out = make([]int64, 0, cells)
		}
		out = append(out, v[at:at+n]...)
	})
	return out
}

// scatter writes the cells of a part, in as many bits as they take.
func scatter(t *integer.Tensor, part []backend.Range, cells []int64) {
	t.Widen(integer.Range(cells))
	runs(t.Shape, part, func(at, n int) {
		t.Write(at, cells[:n])
		cells = cells[n:]
	})
}
