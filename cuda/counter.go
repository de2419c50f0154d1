package cuda

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/backend"
)

// index says which lines of a table there are: the first column counts up from first, or else order has them sorted, of lines that are equal the first.
type index struct {
	first int64
	order device.Pointer
	lines int // that order has, or the table
}

// counter counts the lines of a table.
type counter struct {
	p      *program
	table  []device.Tensor
	index  *index
	counts *tensor
}

// Counter finds out how lines are told apart, once for a session's table.
func (p *program) Counter(table []backend.Tensor) backend.Counter {
	lines := table[0].Len()
	p.enter()
	defer p.leave()
	c := &counter{p: p, index: &index{}, counts: &tensor{shape: []int{lines}, n: lines, size: 8}}
	for _, held := range table {
		t := p.filled(held)
		c.table = append(c.table, device.Tensor{At: t.at, Size: t.size})
	}
	p.filled(c.counts)
	if p.Err() == nil {
		c.index = p.lines(table)
	}
	return c
}

// lines looks for the session's index of a table, or makes one.
func (p *program) lines(table []backend.Tensor) *index {
	key := ""
	for _, held := range table {
		t := held.(*tensor)
		if t.of != p.session.memory {
			return p.index(p.memory, table)
		}
		key += fmt.Sprint(t.at, " ")
	}
	s := p.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.indices[key] == nil {
		made := p.index(s.memory, table)
		if p.Err() != nil {
			return made
		}
		if s.indices == nil {
			s.indices = map[string]*index{}
		}
		s.indices[key] = made
	}
	return s.indices[key]
}

// index makes an index in some memory.
func (p *program) index(m *memory, table []backend.Tensor) *index {
	cols := make([][]int64, len(table))
	for i, t := range table {
		cols[i] = p.Cells(backend.Whole(t)).All()
	}
	x := &index{first: cols[0][0], lines: len(cols[0])}
	counts := true
	for i, v := range cols[0] {
		counts = counts && v == x.first+int64(i)
	}
	if counts {
		return x
	}
	compare := func(a, b uint32) int {
		for _, col := range cols {
			if c := cmp.Compare(col[a], col[b]); c != 0 {
				return c
			}
		}
		return 0
	}
	order := make([]uint32, x.lines)
	for i := range order {
		order[i] = uint32(i)
	}
	sort.SliceStable(order, func(i, j int) bool { return compare(order[i], order[j]) < 0 })
	order = slices.CompactFunc(order, func(a, b uint32) bool { return compare(a, b) == 0 })
	var err error
	if x.order, err = m.Alloc(int64(4 * len(order))); err == nil {
		err = m.Upload(x.order, device.Bytes(order))
	}
	if err != nil {
		p.fail(err)
	}
	x.lines = len(order)
	return x
}

// Count adds the cells of lookups, one after the other.
func (c *counter) Count(lookups [][]backend.Part) (lookup, cell int) {
	lookup, cell = -1, -1
	for i, cols := range lookups {
		if bad := c.count(cols); bad >= 0 && lookup < 0 {
			lookup, cell = i, bad
		}
	}
	return lookup, cell
}

// count adds a lookup and returns its first cell that is no line.
func (c *counter) count(cols []backend.Part) (bad int) {
	n := cellsOf(shapeOf(cols[0]))
	c.p.enter()
	defer c.p.leave()
	for _, part := range cols {
		c.p.filled(part.T)
	}
	first := []uint64{math.MaxUint64}
	c.p.within(func(s *device.Scratch) {
		at := s.Put(device.Bytes(first))
		boxes, walks := c.p.boxes(s, cols...)
		s.Takes(0, 0, 12*n*len(cols))
		s.Run("count_lines", blocks(n), device.Dim{threads}, uint64(c.counts.at), uint64(at), boxes, walks, uint64(len(cols)), uint64(n),
			uint64(s.Put(device.Bytes(c.table))), uint64(c.index.order), uint64(c.index.lines), uint64(c.index.first))
		s.Get(device.Bytes(first), at)
	})
	if first[0] == math.MaxUint64 {
		return -1
	}
	return int(first[0])
}

func (c *counter) Multiplicities() backend.Tensor { return c.counts }
