package points

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
)

// Box is a box of a tensor's cells in a row, as backend.Box is.
type Box struct {
	device.Tensor
	From   int
	Shape  []int
	Column int
}

// ErrWide says that a cell does not fit 32 bits.
var ErrWide = errors.New("value does not fit 32 bits")

// What lay_rows reads of a box and its axes.
type (
	box struct {
		cells                            device.Tensor
		from, column, count, first, axes uint64
	}
	axis struct{ extent, shift uint64 }
)

// Lay writes rows out, of width cells of 32 bits each, into memory that is the caller's to free. Of boxes that overlap the last one counts. The
// error is ErrWide if a cell does not fit.
func Lay(d device.Work, rows [][]Box, width int) (device.Pointer, error) {
	first, boxes, axes := []uint64{0}, []box(nil), []axis(nil)
	for _, row := range rows {
		for _, b := range row {
			n := box{b.Tensor, uint64(b.From), uint64(b.Column), 1, uint64(len(axes)), uint64(len(b.Shape))}
			last, own := b.Column, make([]axis, len(b.Shape))
			for a, shift := len(b.Shape)-1, 0; a >= 0; a-- {
				own[a] = axis{uint64(b.Shape[a]), uint64(shift)}
				n.count *= uint64(b.Shape[a])
				last += (b.Shape[a] - 1) << shift
				shift += bits.Len(uint(b.Shape[a] - 1))
			}
			if n.count == 0 {
				continue
			}
			if last >= width || n.count > math.MaxUint32 {
				panic(fmt.Sprintf("points: a box of shape %v from column %d on in a row of %d", b.Shape, b.Column, width))
			}
			boxes, axes = append(boxes, n), append(axes, own...)
		}
		first = append(first, uint64(len(boxes)))
	}
	s, bad := &device.Scratch{Work: d}, []uint64{math.MaxUint64}
	out, flag := s.Take(len(rows)*width, 4), s.Put(device.Bytes(bad))
	if len(rows) > 0 {
		s.Takes(0, 0, len(rows)*width*6)
		s.Run("lay_rows", device.Dim{len(rows)}, device.Dim{threads},
			uint64(out), uint64(width), uint64(s.Put(device.Bytes(first))), uint64(s.Put(device.Bytes(boxes))), uint64(s.Put(device.Bytes(axes))), uint64(flag))
	}
	s.Get(device.Bytes(bad), flag)
	if bad[0] == math.MaxUint64 {
		s.Keep(out)
		return out, s.End()
	}
	if err := s.End(); err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("row %d, column %d: %w", bad[0]/uint64(width), bad[0]%uint64(width), ErrWide)
}
