package host

import (
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/parallel"
)

// counter counts the lines of a table.
type counter struct {
	*finder
	p     *Program
	lines [][]int64 // as many as have counted side by side: their sums are the counts
}

// Counter prepares a table.
func (p *Program) Counter(table []backend.Tensor) backend.Counter {
	cols := make([][]int64, len(table))
	for i, t := range table {
		cols[i] = filled(t).All()
	}
	return &counter{newFinder(cols), p, [][]int64{make([]int64, len(cols[0]))}}
}

// Lookups are shared out among so many threads at the most, each of which has counts of its own, and to each so many cells at the least.
const (
	countingThreads = 4
	countedShare    = 1 << 12
)

// alone is the pool of who counts as one of several.
var alone = parallel.New(1)

// Count shares lookups out, or the cells of a single one.
func (c *counter) Count(lookups [][]backend.Part) (lookup, cell int) {
	cells := make([]int, len(lookups)+1) // of the lookups before
	for i, parts := range lookups {
		for _, part := range parts {
			filled(part.T)
		}
		cells[i+1] = cells[i] + cellsOf(shapeOf(parts[0]))
	}
	total, bad := cells[len(lookups)], make([]int, len(lookups))
	shares := max(1, min(c.p.pool.Threads(), countingThreads, len(lookups), total/countedShare))
	pool := alone
	if shares == 1 {
		pool = c.p.pool
	}
	for len(c.lines) < shares {
		c.lines = append(c.lines, make([]int64, len(c.lines[0])))
	}
	c.p.pool.Run(shares, func(_, share int) {
		var own columns
		for i, parts := range lookups {
			if middle := (cells[i] + cells[i+1]) / 2; min(middle*shares/max(1, total), shares-1) == share {
				bad[i] = c.one(pool, &own, parts, c.lines[share])
			}
		}
	})
	for i, at := range bad {
		if at >= 0 {
			return i, at
		}
	}
	return -1, -1
}

// columns is memory for cells of columns that are not read where they are.
type columns [][]int64

// one counts a lookup and returns its first cell that is no line.
func (c *counter) one(pool *parallel.Pool, own *columns, parts []backend.Part, lines []int64) (bad int) {
	if len(parts) == 1 && c.direct() {
		return c.column(pool, parts[0], lines)
	}
	cols := make([][]int64, len(parts))
	for k, part := range parts {
		cols[k] = own.cells(k, part)
	}
	return c.count(pool, cols, lines)
}

// cells are those of a part, of a wide tensor the lower words.
func (own *columns) cells(k int, part backend.Part) []int64 {
	t := part.T.(*integer.Tensor)
	if t.V != nil {
		if part.Box == nil {
			return t.V
		}
		return gatherCells(t.V, t.Shape, part.Box)
	}
	for len(*own) <= k {
		*own = append(*own, nil)
	}
	n := cellsOf(shapeOf(part))
	if cap((*own)[k]) < n {
		(*own)[k] = make([]int64, n)
	}
	return read((*own)[k][:n], part)
}

// column counts cells as they are, where a value says which line it is.
func (c *counter) column(pool *parallel.Pool, part backend.Part, lines []int64) (bad int) {
	t, done := part.T.(*integer.Tensor), 0
	bad = -1
	each(part, func(at, n int) {
		first := -1
		switch {
		case t.V != nil:
			first = countColumn(c.finder, pool, t.V[at:at+n], lines)
		case t.Mid != nil:
			first = countColumn(c.finder, pool, t.Mid[at:at+n], lines)
		default:
			first = countColumn(c.finder, pool, t.Short[at:at+n], lines)
		}
		if first >= 0 && bad < 0 {
			bad = done + first
		}
		done += n
	})
	return bad
}

// Multiplicities adds up what was counted side by side.
func (c *counter) Multiplicities() backend.Tensor {
	sum := c.lines[0]
	for _, more := range c.lines[1:] {
		for line, m := range more {
			sum[line] += m
		}
	}
	c.lines = c.lines[:1]
	return &integer.Tensor{Shape: []int{len(sum)}, V: sum}
}
