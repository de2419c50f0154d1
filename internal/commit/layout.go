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

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// Layout places the committed tensors of one kind in rows of 2^Bits columns.
type Layout struct {
	Bits   int
	Rows   int
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

// Cells lays the tensors' integers out as rows. Cells that do not fit 32 bits are an error: commitments are for small integers.
func (l *Layout) Cells(c *circuit.Circuit, data func(circuit.ID) *integer.Tensor) ([][]int32, error) {
	for _, id := range l.order {
		if t := data(id); t == nil || t.Len() != circuit.Size(c.Tensor(id).Shape) {
			return nil, fmt.Errorf("commit: tensor %s has no values of shape %v", c.Tensor(id).Name, c.Tensor(id).Shape)
		}
	}
	return l.CellsIn(c, Range{0, l.Rows}, data)
}

// Range is a run of rows, from From up to To-1.
type Range struct{ From, To int }

// CellsIn is Cells for a run of rows.
func (l *Layout) CellsIn(c *circuit.Circuit, rows Range, data func(circuit.ID) *integer.Tensor) ([][]int32, error) {
	return l.lay(c, rows, func(id circuit.ID, lo, hi int) (integer.Tensor, error) { return data(id).Run(lo, hi), nil })
}

// CellsOf is CellsIn for tensors that are not in memory. It asks data for runs of a tensor's cells, row-major, from lo up to hi-1.
func (l *Layout) CellsOf(c *circuit.Circuit, rows Range, data func(id circuit.ID, lo, hi int) ([]int64, error)) ([][]int32, error) {
	return l.lay(c, rows, func(id circuit.ID, lo, hi int) (t integer.Tensor, err error) {
		t.V, err = data(id, lo, hi)
		return t, err
	})
}

func (l *Layout) lay(c *circuit.Circuit, rows Range, data runs) ([][]int32, error) {
	out := make([][]int32, rows.To-rows.From)
	first := sort.Search(len(l.order), func(i int) bool { return l.Of(l.order[i]).To > rows.From })
	for _, id := range l.order[first:] {
		own := l.Of(id)
		if own.From >= rows.To {
			break
		}
		here := Range{max(own.From, rows.From), min(own.To, rows.To)}
		if err := l.fill(out, rows.From, here, id, c.Tensor(id).Shape, data); err != nil {
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

// runs yields a tensor's cells, row-major, from lo up to hi-1.
type runs func(id circuit.ID, lo, hi int) (integer.Tensor, error)

// fill lays a tensor's cells out in the given ones of its rows; out begins with row base.
func (l *Layout) fill(out [][]int32, base int, rows Range, id circuit.ID, shape []int, data runs) error {
	p := &l.places[id]
	if p.packed {
		v, err := data(id, 0, circuit.Size(shape))
		if err != nil {
			return err
		}
		return l.fillRow(&out[p.first-base], p.offset, shape, &v)
	}
	lo := l.start(shape, rows.From-p.first)
	v, err := data(id, lo, l.start(shape, rows.To-p.first))
	if err != nil {
		return err
	}
	for r := rows.From; r < rows.To; r++ {
		cells := v.Run(l.start(shape, r-p.first)-lo, l.start(shape, r+1-p.first)-lo)
		if err := l.fillRow(&out[r-base], 0, l.box(shape, cells.Len()), &cells); err != nil {
			return err
		}
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

// fillRow copies the cells of a box into a row, from a column on.
func (l *Layout) fillRow(row *[]int32, offset int, shape []int, v *integer.Tensor) error {
	last := shape[len(shape)-1]
	for line := 0; line*last < v.Len(); line++ {
		col := offset + paddedLine(shape, line)
		*row = l.reach(*row, col+last)
		to, cells := (*row)[col:col+last], v.Run(line*last, (line+1)*last)
		for i, x := range cells.Short {
			to[i] = int32(x)
		}
		if err := narrow(to, cells.V); err != nil {
			return err
		}
	}
	return nil
}

// reach returns the row with at least n cells, new ones zero.
func (l *Layout) reach(row []int32, n int) []int32 {
	if row == nil {
		row = make([]int32, 0, 1<<l.Bits)
	}
	return row[:max(n, len(row))]
}

// narrow copies integers that fit 32 bits.
func narrow(dst []int32, src []int64) error {
	for i, x := range src {
		if dst[i] = int32(x); int64(dst[i]) != x {
			return fmt.Errorf("value %d does not fit 32 bits", x)
		}
	}
	return nil
}

// paddedLine returns the padded index of the first cell of a line along the last axis.
func paddedLine(shape []int, line int) int {
	index, shift := 0, circuit.Bits(shape[len(shape)-1])
	for a := len(shape) - 2; a >= 0; a-- {
		index |= (line % shape[a]) << shift
		line /= shape[a]
		shift += circuit.Bits(shape[a])
	}
	return index
}
