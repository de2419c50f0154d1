// Package weights holds the cells of weights where they are, in a file mostly, and reads parts of them as they are needed: a model's weights
// may take more memory than there is. What follows from cells one by one, and costs no more than reading them, is a view that computes it
// at every read.
package weights

import (
	"math"

	"github.com/zkllmc/zkllmc/internal/portable"
)

// Cells are those of a tensor, row-major. They do not change: every read of a place gives the same. Read fills dst with the cells from
// the given one on, all of which there are; its error says of which tensor, where and what to do. Methods are safe for concurrent use.
type Cells[T any] interface {
	Len() int
	Read(dst []T, from int) error
}

// Reals are weights as the model has them, Integers as a program has them.
type (
	Reals    = Cells[float64]
	Integers = Cells[int16]
)

// Held are cells that are in memory.
type Held[T any] []T

// Len is the number of cells.
func (h Held[T]) Len() int { return len(h) }

// Read copies cells.
func (h Held[T]) Read(dst []T, from int) error {
	copy(dst, h[from:])
	return nil
}

// singles are real numbers in memory that single precision holds.
type singles []float32

// Compact holds real numbers in memory, in half of theirs if single precision holds all of them.
func Compact(x []float64) Reals {
	for _, v := range x {
		if float64(float32(v)) != v {
			return Held[float64](x)
		}
	}
	s := make(singles, len(x))
	for i, v := range x {
		s[i] = float32(v)
	}
	return s
}

func (s singles) Len() int { return len(s) }

func (s singles) Read(dst []float64, from int) error {
	for i, x := range s[from : from+len(dst)] {
		dst[i] = float64(x)
	}
	return nil
}

// Identical says that two are the same cells in one place; others may be equal all the same.
func Identical[T any](a, b Cells[T]) bool {
	switch x := any(a).(type) {
	case Held[T]:
		y, held := any(b).(Held[T])
		return held && len(x) == len(y) && (len(x) == 0 || &x[0] == &y[0])
	case singles:
		y, held := any(b).(singles)
		return held && len(x) == len(y) && (len(x) == 0 || &x[0] == &y[0])
	}
	return a == b
}

// part is how many cells are read at a time by who goes through all of them.
const part = 1 << 16

// Each gives all cells to f, in order, some at a time with the number of the first, until f has an error. f must not keep them.
func Each[T any](c Cells[T], f func(from int, cells []T) error) error {
	n := c.Len()
	buf := make([]T, min(n, part))
	for from := 0; from < n; from += part {
		cells := buf[:min(part, n-from)]
		if err := c.Read(cells, from); err != nil {
			return err
		}
		if err := f(from, cells); err != nil {
			return err
		}
	}
	return nil
}

// All returns all cells. They must not be changed: those that are in memory are not copied.
func All[T any](c Cells[T]) ([]T, error) {
	if h, ok := c.(Held[T]); ok {
		return h, nil
	}
	cells := make([]T, c.Len())
	return cells, c.Read(cells, 0)
}

// scaled are cells times powers of two.
type scaled struct {
	of    Reals
	inner int
	by    []int
}

// Scaled multiplies what a tensor has for index i of an axis by 2^by[i]. inner is the number of cells behind the axis.
func Scaled(of Reals, inner int, by []int) Reals { return &scaled{of, inner, by} }

func (s *scaled) Len() int { return s.of.Len() }

func (s *scaled) Read(dst []float64, from int) error {
	if err := s.of.Read(dst, from); err != nil {
		return err
	}
	for i := 0; i < len(dst); {
		at := from + i
		end := min(len(dst), i+s.inner-at%s.inner)
		for by := s.by[at/s.inner%len(s.by)]; i < end; i++ {
			dst[i] = math.Ldexp(dst[i], by)
		}
	}
	return nil
}

// corner are the cells of a box that have the least indices.
type corner[T any] struct {
	of         Cells[T]
	box, shape []int
	run        int // cells that lie next to each other in both
}

// Corner returns the cells of a box of the given shape that lie in a smaller box, of as many axes, in the corner of the least indices. Of
// the whole box these are its cells themselves.
func Corner[T any](of Cells[T], box, shape []int) Cells[T] {
	c := &corner[T]{of: of, box: box, shape: shape, run: 1}
	for a := len(box) - 1; a >= 0; a-- {
		c.run *= shape[a]
		if shape[a] != box[a] {
			return c
		}
	}
	return of
}

func (c *corner[T]) Len() int {
	n := 1
	for _, d := range c.shape {
		n *= d
	}
	return n
}

func (c *corner[T]) Read(dst []T, from int) error {
	for len(dst) > 0 {
		n := min(len(dst), c.run-from%c.run)
		if err := c.of.Read(dst[:n], c.place(from)); err != nil {
			return err
		}
		dst, from = dst[n:], from+n
	}
	return nil
}

// place is the number in the box of a cell of the corner.
func (c *corner[T]) place(i int) int {
	at, step := 0, 1
	for a := len(c.box) - 1; a >= 0; a-- {
		at += i % c.shape[a] * step
		i, step = i/c.shape[a], step*c.box[a]
	}
	return at
}

// Rounding says which integers real numbers become: multiples of a unit are rounded to the nearest, halves to even ones.
type Rounding struct {
	Unit   float64
	Finer  int   // not 0: of what that leaves, in units that are finer by so many bits
	Lo, Hi int64 // their range, of 16 bits at most
	Beyond func(cell int, x int64) error
}

type rounded struct {
	of Reals
	Rounding
}

// Rounded rounds cells. One outside of the range is the error that Beyond gives.
func Rounded(of Reals, r Rounding) Integers { return &rounded{of, r} }

func (r *rounded) Len() int { return r.of.Len() }

func (r *rounded) Read(dst []int16, from int) error {
	buf := make([]float64, min(len(dst), part))
	for len(dst) > 0 {
		cells := buf[:min(part, len(dst))]
		if err := r.of.Read(cells, from); err != nil {
			return err
		}
		for i, v := range cells {
			x := r.cell(v)
			if x < r.Lo || x > r.Hi {
				return r.Beyond(from+i, x)
			}
			dst[i] = int16(x)
		}
		dst, from = dst[len(cells):], from+len(cells)
	}
	return nil
}

func (r *rounded) cell(v float64) int64 {
	upper := portable.Clamp(math.RoundToEven(float64(v * r.Unit)))
	if r.Finer == 0 {
		return upper
	}
	return portable.Clamp(math.RoundToEven(float64(v*math.Ldexp(r.Unit, r.Finer)))) - upper<<r.Finer
}
