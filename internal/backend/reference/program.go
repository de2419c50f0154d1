package reference

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/int128"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/parallel"
	"github.com/zkllmc/zkllmc/internal/witness/host"
)

// program computes a witness naively, in this process' memory: einsums and counts. Where cells lie, and hints, which are what the rules beside
// the gadgets say, it has of package host, which backend cpu has, too: no comparison of the two sees a fault in these.
type program struct{ *host.Program }

func (definition) Program() backend.Program { return program{host.New(parallel.New(1))} }

// Einsum walks through all values of all labels of every term.
func (p program) Einsum(to backend.Part, terms []backend.Term) {
	was := p.Cells(backend.Whole(to.T))
	out := &integer.Tensor{Shape: was.Shape, V: slices.Clone(was.All()), High: slices.Clone(was.High)}
	for i := range terms {
		t := &terms[i]
		forEachCell(t.Extents, func(_ int, idx []int) {
			if !counts(t, to.Box, idx) {
				return
			}
			v := int128.Of(t.Coef)
			for _, f := range t.Factors {
				v = v.Times(wideCell(p.Cells(backend.Whole(f.T)), flatIndex(f.Axes, t.Extents, idx)))
			}
			o := flatIndex(t.Out, t.Extents, idx)
			v = v.Plus(wideCell(out, o))
			if out.High != nil {
				out.V[o], out.High[o] = v.Split()
			} else {
				out.V[o] = v.Int64()
			}
		})
	}
	p.Put(backend.Whole(to.T), out)
}

// counts says whether the cell of the result that some values of labels belong to is in the box, and every factor's cell known.
func counts(t *backend.Term, box []backend.Range, idx []int) bool {
	for a, r := range box {
		if x := axisIndex(t.Out[a], t.Extents, idx); x < r.Lo || x >= r.Hi {
			return false
		}
	}
	for _, f := range t.Factors {
		for a, n := range f.Known {
			if len(f.Axes[a]) == 1 && idx[f.Axes[a][0]] >= n {
				return false
			}
		}
	}
	return true
}

// axisIndex is the index along an axis, the first label slowest.
func axisIndex(labels, extents, idx []int) (x int) {
	for _, l := range labels {
		x = x*extents[l] + idx[l]
	}
	return x
}

// flatIndex is the number of a cell, row-major.
func flatIndex(axes [][]int, extents, idx []int) (cell int) {
	for _, labels := range axes {
		for _, l := range labels {
			cell = cell*extents[l] + idx[l]
		}
	}
	return cell
}

// wideCell is a cell in 128 bits.
func wideCell(t *integer.Tensor, i int) int128.Int {
	if t.High != nil {
		return int128.Join(t.V[i], t.High[i])
	}
	return int128.Of(t.Cells(i, i+1)[0])
}

// counter looks lines up by what they read like.
type counter struct {
	p      program
	number map[string]int // of the first line that reads so
	lines  []int64
}

func (p program) Counter(table []backend.Tensor) backend.Counter {
	c := &counter{p, map[string]int{}, make([]int64, table[0].Len())}
	for line := len(c.lines) - 1; line >= 0; line-- {
		c.number[text(table, p, line)] = line
	}
	return c
}

// text is a line of columns.
func text(cols []backend.Tensor, p program, line int) (s string) {
	for _, col := range cols {
		s += fmt.Sprint(p.Cells(backend.Whole(col)).Cells(line, line+1))
	}
	return s
}

func (c *counter) Count(lookups [][]backend.Part) (lookup, cell int) {
	lookup, cell = -1, -1
	for i, parts := range lookups {
		if bad := c.count(parts); bad >= 0 && lookup < 0 {
			lookup, cell = i, bad
		}
	}
	return lookup, cell
}

// count adds a lookup and returns its first cell that is no line.
func (c *counter) count(parts []backend.Part) (bad int) {
	cols := make([]backend.Tensor, len(parts))
	for i, part := range parts {
		cols[i] = c.p.Cells(part)
	}
	bad = -1
	for i := range cols[0].Len() {
		if line, ok := c.number[text(cols, c.p, i)]; ok {
			c.lines[line]++
		} else if bad < 0 {
			bad = i
		}
	}
	return bad
}

func (c *counter) Multiplicities() backend.Tensor {
	return &integer.Tensor{Shape: []int{len(c.lines)}, V: c.lines}
}
