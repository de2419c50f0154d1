// Package commit binds integer tensors by Pedersen commitments to rows (SPEC.md 7 and 11; Hyrax, eprint 2017/1132) and opens
// their multilinear extensions at points, all claims of a proof together.
//
// Layout. The cells of a tensor are numbered by their padded row-major index (every axis padded to a power of two), of as many
// bits as the tensor has variables. A tensor with at least as many bits as a row owns rows: the low bits are the column, the
// high bits number the rows, and rows without in-box cells do not exist. Smaller tensors share rows, each at an offset that is a
// multiple of its padded size. A claim never reads a column where its tensor has no cell: what a prover puts into gaps, tails
// and neighbours has weight zero.
package commit

import (
	"fmt"
	"sort"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// Layout places the committed tensors of one kind in rows of 2^Bits columns.
type Layout struct {
	Bits   int
	Rows   int // their number
	order  []circuit.ID
	places []place // by tensor
}

// place says where a tensor lies. A tensor that owns rows has the rows First, First+1, …, one per element of high; a packed
// one lies in row First at column Offset.
type place struct {
	here   bool
	first  int
	offset int
	packed bool
	bits   int    // of the padded tensor
	high   []int  // owned rows: the high bits of the padded index, ascending
	tail   []bool // owned rows: whether the row is a tail row (see box)
}

// NewLayout places all tensors of the given kind, Weight or Witness: owners first in the circuit's order, then packed tensors
// by falling size, so that every offset is aligned.
func NewLayout(c *circuit.Circuit, kind circuit.Kind, bits int) *Layout {
	l := &Layout{Bits: bits, places: make([]place, len(c.Tensors))}
	var packed []circuit.ID
	for i := range c.Tensors {
		t := &c.Tensors[i]
		if t.Kind != kind {
			continue
		}
		n := circuit.ShapeBits(t.Shape)
		if n < bits {
			packed = append(packed, t.ID)
			continue
		}
		p := place{here: true, first: l.Rows, bits: n}
		p.high, p.tail = ownedRows(t.Shape, bits)
		l.Rows += len(p.high)
		l.places[i] = p
		l.order = append(l.order, t.ID)
	}
	sort.SliceStable(packed, func(i, j int) bool {
		return circuit.ShapeBits(c.Tensors[packed[i]].Shape) > circuit.ShapeBits(c.Tensors[packed[j]].Shape)
	})
	column := 0
	for _, id := range packed {
		n := circuit.ShapeBits(c.Tensors[id].Shape)
		if column == 0 {
			l.Rows++
		}
		l.places[id] = place{here: true, first: l.Rows - 1, offset: column, packed: true, bits: n}
		l.order = append(l.order, id)
		column = (column + 1<<n) % (1 << bits)
	}
	return l
}

// ownedRows lists the rows of a tensor by the high bits of the padded index, and which of them are tail rows.
func ownedRows(shape []int, bits int) (high []int, tail []bool) {
	s := split(shape, bits)
	high, tail = []int{0}, []bool{false}
	for a := 0; a < s.axis; a++ {
		high, tail = extend(high, tail, shape[a], circuit.Bits(shape[a]), -1)
	}
	full := shape[s.axis] >> s.low
	n := full
	tailAt := -1
	if shape[s.axis]&(1<<s.low-1) != 0 {
		n, tailAt = full+1, full
	}
	return extend(high, tail, n, circuit.Bits(shape[s.axis])-s.low, tailAt)
}

func extend(high []int, tail []bool, n, bits, tailAt int) ([]int, []bool) {
	var h []int
	var t []bool
	for i := range high {
		for k := 0; k < n; k++ {
			h = append(h, high[i]<<bits|k)
			t = append(t, tail[i] || k == tailAt)
		}
	}
	return h, t
}

// splitAt says how a tensor's variables divide between column and row: axes after axis lie within the row, axes before it
// number rows, and the lowest low bits of axis itself belong to the column.
type splitAt struct{ axis, low int }

func split(shape []int, bits int) splitAt {
	for a := len(shape) - 1; a >= 0; a-- {
		n := circuit.Bits(shape[a])
		if n >= bits {
			return splitAt{axis: a, low: bits}
		}
		bits -= n
	}
	return splitAt{} // not reached for a tensor with at least bits variables
}

// Lay says which cells of the tensors every row has.
func (l *Layout) Lay(c *circuit.Circuit, data func(circuit.ID) backend.Tensor) ([]backend.Row, error) {
	for _, id := range l.order {
		if t := data(id); t == nil || t.Len() != circuit.Size(c.Tensor(id).Shape) {
			return nil, fmt.Errorf("commit: tensor %s has no values of shape %v", c.Tensor(id).Name, c.Tensor(id).Shape)
		}
	}
	return l.lay(c, Range{0, l.Rows}, func(id circuit.ID, _, _ int) (backend.Tensor, int, error) { return data(id), 0, nil })
}

// Range is a run of rows, from From up to To-1.
type Range struct{ From, To int }

// LayRange is Lay for a run of rows and tensors that are not in memory. It asks data for runs of a tensor's cells, row-major, from lo up to
// hi-1.
func (l *Layout) LayRange(
	c *circuit.Circuit, rows Range, data func(id circuit.ID, lo, hi int) (backend.Tensor, error),
) ([]backend.Row, error) {
	return l.lay(c, rows, func(id circuit.ID, lo, hi int) (backend.Tensor, int, error) {
		t, err := data(id, lo, hi)
		return t, lo, err
	})
}

// runs yields a tensor that begins with cell base of another one, row-major, and has those from lo up to hi-1.
type runs func(id circuit.ID, lo, hi int) (t backend.Tensor, base int, err error)

func (l *Layout) lay(c *circuit.Circuit, rows Range, data runs) ([]backend.Row, error) {
	out := make([]backend.Row, rows.To-rows.From)
	first := sort.Search(len(l.order), func(i int) bool { return l.Of(l.order[i]).To > rows.From })
	for _, id := range l.order[first:] {
		own := l.Of(id)
		if own.From >= rows.To {
			break
		}
		here := Range{max(own.From, rows.From), min(own.To, rows.To)}
		if err := l.place(out, rows.From, here, id, c.Tensor(id).Shape, data); err != nil {
			return nil, fmt.Errorf("commit: tensor %s: %w", c.Tensor(id).Name, err)
		}
	}
	return out, nil
}

// Of returns the rows that a tensor lies in: one, if it shares it.
func (l *Layout) Of(id circuit.ID) Range {
	p := &l.places[id]
	return Range{p.first, p.first + max(1, len(p.high))}
}

// Shared says whether a tensor lies in a row with others.
func (l *Layout) Shared(id circuit.ID) bool { return l.places[id].packed }

// place puts a tensor's cells into the given ones of its rows; out begins with row base.
func (l *Layout) place(out []backend.Row, base int, rows Range, id circuit.ID, shape []int, data runs) error {
	p := &l.places[id]
	if p.packed {
		t, from, err := data(id, 0, circuit.Size(shape))
		at := &out[p.first-base]
		*at = append(*at, backend.Box{T: t, From: -from, Shape: shape, Column: p.offset})
		return err
	}
	t, from, err := data(id, l.start(shape, rows.From-p.first), l.start(shape, rows.To-p.first))
	if err != nil {
		return err
	}
	boxes := map[int][]int{} // by their number of cells: those of full rows and of tail rows
	for r := rows.From; r < rows.To; r++ {
		lo, hi := l.start(shape, r-p.first), l.start(shape, r+1-p.first)
		if boxes[hi-lo] == nil {
			boxes[hi-lo] = l.box(shape, hi-lo)
		}
		out[r-base] = backend.Row{{T: t, From: lo - from, Shape: boxes[hi-lo]}}
	}
	return nil
}

// start is the first cell, row-major, of the k-th row that a tensor owns, or behind the last one.
func (l *Layout) start(shape []int, k int) int {
	s := split(shape, l.Bits)
	perStep := (shape[s.axis] + 1<<s.low - 1) >> s.low // rows of one choice of the indices before the straddling axis
	return (k/perStep*shape[s.axis] + k%perStep<<s.low) * circuit.Size(shape[s.axis+1:])
}

// box is the shape of n cells in a row that a tensor of the given shape owns: as many steps of the straddling axis, and the axes behind it.
func (l *Layout) box(shape []int, n int) []int {
	inner := shape[split(shape, l.Bits).axis+1:]
	return append([]int{n / circuit.Size(inner)}, inner...)
}

// Cells writes rows of tensors in memory out, as far as their last boxes. A cell that does not fit 32 bits is an error.
func Cells(rows []backend.Row) ([][]int32, error) {
	out := make([][]int32, len(rows))
	for i, row := range rows {
		for _, b := range row {
			var err error
			if out[i], err = b.T.(*integer.Tensor).Lay(out[i], b.From, b.Shape, b.Column); err != nil {
				return nil, fmt.Errorf("commit: row %d: %w", i, err)
			}
		}
	}
	return out, nil
}
