// Package products computes sums of products of integers on a device: the einsums of a witness.
package products

import (
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/backend"
)

// MostFactors is how many factors a term may have, and most cells a tensor.
const (
	MostFactors = 4
	mostCells   = math.MaxUint32
)

// Fits says whether Einsum takes a term: held says where a factor's cells are.
func Fits(t *backend.Term) bool {
	for _, f := range t.Factors {
		if uint64(f.T.Len()) > mostCells {
			return false
		}
	}
	return len(t.Factors) <= MostFactors
}

// Einsum adds a sum of terms that fit to a box of a tensor of 64-bit cells. Sums are modulo 2^64. held says where a factor's cells are.
func Einsum(d device.Work, out device.Pointer, box []backend.Range, terms []backend.Term, held func(backend.Tensor) device.Tensor) error {
	s := &device.Scratch{Work: d}
	summands(box, terms, held, func(w *summand, t *backend.Term) {
		if len(t.Factors) == 2 && w.in[0].Size == 2 && w.in[1].Size == 2 {
			w.short(s, out, t.Coef)
		} else {
			w.run(s, "multiply_any", []device.Pointer{out}, func(int) device.Pointer { return 0 }, t.Coef)
		}
	})
	return s.End()
}

// EinsumWide adds to a box of a wide tensor, whose upper words are in high. Sums are modulo 2^128. upper says where a factor's upper words are, 0 if it
// has none.
func EinsumWide(
	d device.Work, out, high device.Pointer, box []backend.Range, terms []backend.Term, held func(backend.Tensor) device.Tensor, upper func(backend.Tensor) device.Pointer,
) error {
	s := &device.Scratch{Work: d}
	summands(box, terms, held, func(w *summand, t *backend.Term) {
		w.run(s, "multiply_wide", []device.Pointer{out, high}, func(f int) device.Pointer { return upper(t.Factors[f].T) }, t.Coef)
	})
	return s.End()
}

// summands calls f for the terms that add something to a box.
func summands(box []backend.Range, terms []backend.Term, held func(backend.Tensor) device.Tensor, f func(w *summand, t *backend.Term)) {
	for i := range terms {
		t := &terms[i]
		ranges := t.Ranges(box)
		if ranges == nil && len(t.Extents) > 0 || slices.ContainsFunc(ranges, func(r backend.Range) bool { return r.Hi <= r.Lo }) {
			continue
		}
		f(newSummand(t, ranges, held), t)
	}
}

// summand is a term whose labels run through ranges.
type summand struct {
	extents []int
	out     place   // of the result
	at      []place // of the factors
	in      []device.Tensor
}

// place says where cells stand: from from on, and for every label how much further the next index is; 0 where there is no such label.
type place struct {
	from    uint64
	strides []uint64
}

// placed is where cells of a tensor stand whose axes are labels.
func placed(axes [][]int, extents []int, ranges []backend.Range) place {
	p, stride := place{strides: make([]uint64, len(extents))}, uint64(1)
	for a := len(axes) - 1; a >= 0; a-- {
		for i := len(axes[a]) - 1; i >= 0; i-- {
			l := axes[a][i]
			p.strides[l] = stride
			p.from += stride * uint64(ranges[l].Lo)
			stride *= uint64(extents[l])
		}
	}
	return p
}

func newSummand(t *backend.Term, ranges []backend.Range, held func(backend.Tensor) device.Tensor) *summand {
	w := &summand{out: placed(t.Out, t.Extents, ranges), extents: make([]int, len(ranges))}
	for l, r := range ranges {
		w.extents[l] = r.Hi - r.Lo
	}
	for _, f := range t.Factors {
		w.at, w.in = append(w.at, placed(f.Axes, t.Extents, ranges)), append(w.in, held(f.T))
	}
	return w
}

// tile, and threads of a block, are those of multiply_short.
const (
	tile    = 64
	threads = 256
)

// short multiplies two factors of 16 bits: labels of the result that both have, or none, number the batches, those of one factor alone rows or columns,
// and the sum runs through all others.
func (w *summand) short(s *device.Scratch, out device.Pointer, coef int64) {
	a, b := w.at[0], w.at[1]
	var batch, rows, columns, inner []int
	for l := range w.extents {
		inA, inB := a.strides[l] != 0, b.strides[l] != 0
		switch {
		case w.out.strides[l] == 0:
			inner = append(inner, l)
		case inA == inB:
			batch = append(batch, l)
		case inA:
			rows = append(rows, l)
		default:
			columns = append(columns, l)
		}
	}
	var offsets []uint32
	for _, o := range []struct {
		place
		labels []int
	}{
		{a, batch}, {a, rows}, {a, inner}, {b, batch}, {b, columns}, {b, inner}, {w.out, batch}, {w.out, rows}, {w.out, columns},
	} {
		offsets = append(offsets, w.offsets(o.strides, o.labels)...)
	}
	n := [4]int{w.count(batch), w.count(rows), w.count(columns), w.count(inner)}
	grid := device.Dim{(n[2] + tile - 1) / tile, (n[1] + tile - 1) / tile, min(n[0], 1<<15)}
	if grid[1] > 1<<16-1 { // more rows than a grid has: columns and rows change their roles
		w.at[0], w.at[1], w.in[0], w.in[1] = w.at[1], w.at[0], w.in[1], w.in[0]
		w.short(s, out, coef)
		return
	}
	s.Takes(0, n[0]*n[1]*n[2]*n[3], 8*n[0]*n[1]*n[2])
	s.Run("multiply_short", grid, device.Dim{threads},
		uint64(out)+8*w.out.from, uint64(w.in[0].At)+2*a.from, uint64(w.in[1].At)+2*b.from, uint64(s.Put(device.Bytes(offsets))),
		uint64(n[0]), uint64(n[1]), uint64(n[2]), uint64(n[3]), uint64(coef))
}

// count is the number of indices of labels.
func (w *summand) count(labels []int) int {
	n := 1
	for _, l := range labels {
		n *= w.extents[l]
	}
	return n
}

// offsets are those of all indices of labels, the first slowest.
func (w *summand) offsets(strides []uint64, labels []int) []uint32 {
	all := []uint32{0}
	for _, l := range labels {
		next := make([]uint32, 0, len(all)*w.extents[l])
		for _, o := range all {
			for i := range w.extents[l] {
				next = append(next, o+uint32(uint64(i)*strides[l]))
			}
		}
		all = next
	}
	return all
}

// What multiply_any and multiply_wide read of a factor and a label.
type (
	factor struct {
		tensor device.Tensor
		high   device.Pointer
		from   uint64
	}
	label struct {
		extent, out uint64
		in          [MostFactors]uint64
	}
)

// labels are those of a term, the first of which are kept by the result, which has so many cells.
func (w *summand) labels() (all []label, kept, cells int) {
	var summed []label
	cells = 1
	for l, e := range w.extents {
		n := label{extent: uint64(e), out: w.out.strides[l]}
		for f := range w.at {
			n.in[f] = w.at[f].strides[l]
		}
		if n.out != 0 {
			all, cells = append(all, n), cells*e
		} else {
			summed = append(summed, n)
		}
	}
	return append(all, summed...), len(all), cells
}

// run multiplies factors of any kind, with the upper words that they have or not, to cells that lie at out.
func (w *summand) run(s *device.Scratch, kernel string, out []device.Pointer, upper func(f int) device.Pointer, coef int64) {
	labels, kept, cells := w.labels()
	factors := make([]factor, len(w.at))
	for f := range factors {
		factors[f] = factor{w.in[f], upper(f), w.at[f].from}
	}
	var args []uint64
	for _, at := range out {
		args = append(args, uint64(at))
	}
	all := cells
	for _, l := range labels[kept:] {
		all *= int(l.extent)
	}
	s.Takes(0, all*len(factors), 16*cells)
	s.Run(kernel, device.Dim{min((cells+threads-1)/threads, 1<<16)}, device.Dim{threads}, append(args,
		w.out.from, uint64(cells), uint64(s.Put(device.Bytes(factors))), uint64(len(factors)),
		uint64(s.Put(device.Bytes(labels))), uint64(kept), uint64(len(w.extents)), uint64(coef))...)
}
