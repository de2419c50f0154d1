// Package integer is the integer tensors that circuits are about, as data: a shape and cells. It is a leaf: whoever computes with tensors,
// on the processor or elsewhere, says so in a package of its own.
package integer

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// Tensor is a box of integers, row-major without padding. The values fit 63 bits with sign. They are V; where V is nil they are Short, or
// else Mid. Those of a wide tensor need up to 125 bits: they are V + 2^64·High.
type Tensor struct {
	Shape []int
	V     []int64
	Short []int16
	Mid   []int32
	High  []int64
}

// WordBits is where Words cuts.
const WordBits = 62

// Words are two tensors whose values fit 63 bits, lower and upper, such that the values of a wide tensor are lower + 2^WordBits·upper; the
// tensor itself and nil if it is not wide.
func (t *Tensor) Words() (lower, upper *Tensor) {
	if t.High == nil {
		return t, nil
	}
	lower, upper = &Tensor{Shape: t.Shape, V: make([]int64, len(t.V))}, &Tensor{Shape: t.Shape, V: make([]int64, len(t.V))}
	for i, v := range t.V {
		lower.V[i] = v & (1<<WordBits - 1)
		upper.V[i] = t.High[i]<<(64-WordBits) + v>>WordBits
	}
	return lower, upper
}

// Len is the number of values.
func (t *Tensor) Len() int { return max(len(t.V), len(t.Short), len(t.Mid)) }

// Cells returns the values from lo up to hi-1. They must not be changed.
func (t *Tensor) Cells(lo, hi int) []int64 {
	if t.V != nil {
		return t.V[lo:hi]
	}
	v := make([]int64, hi-lo)
	t.Read(v, lo)
	return v
}

// convert writes integers as others, and says whether all are the same.
func convert[T, U int16 | int32 | int64](to []T, from []U) bool {
	same := true
	for i, x := range from {
		to[i] = T(x)
		same = same && U(to[i]) == x
	}
	return same
}

// Run returns the values from lo up to hi-1, without a copy and without a shape.
func (t *Tensor) Run(lo, hi int) Tensor {
	if t.V != nil {
		return Tensor{V: t.V[lo:hi]}
	}
	if t.Mid != nil {
		return Tensor{Mid: t.Mid[lo:hi]}
	}
	return Tensor{Short: t.Short[lo:hi]}
}

// Outside returns the first cell that is not in [lo, hi], −1 if all are.
func (t *Tensor) Outside(lo, hi int64) int {
	if t.V != nil {
		return outside(t.V, lo, hi)
	}
	if t.Mid != nil {
		return outside(t.Mid, lo, hi)
	}
	return outside(t.Short, lo, hi)
}

func outside[T int16 | int32 | int64](v []T, lo, hi int64) int {
	const block = 512
	for at := 0; at < len(v); at += block {
		some := v[at:min(at+block, len(v))]
		least, most := some[0], some[0]
		for _, x := range some {
			least, most = min(least, x), max(most, x)
		}
		if int64(least) < lo || int64(most) > hi {
			return at + slices.IndexFunc(some, func(x T) bool { return int64(x) < lo || int64(x) > hi })
		}
	}
	return -1
}

// Range is the least value and the greatest, of no values and 0.
func Range(v []int64) (lo, hi int64) {
	for _, x := range v {
		lo, hi = min(lo, x), max(hi, x)
	}
	return lo, hi
}

// bitsFor is in how many bits a tensor keeps values between two.
func bitsFor(lo, hi int64) int {
	switch {
	case lo >= math.MinInt16 && hi <= math.MaxInt16:
		return 16
	case lo >= math.MinInt32 && hi <= math.MaxInt32:
		return 32
	}
	return 64
}

// Shorten keeps values that fit 16 bits or 32, all of them, in as many. The tensor is changed in place.
func (t *Tensor) Shorten() {
	if t.High != nil || t.V == nil {
		return
	}
	switch bitsFor(Range(t.V)) {
	case 16:
		t.Short = make([]int16, len(t.V))
		convert(t.Short, t.V)
	case 32:
		t.Mid = make([]int32, len(t.V))
		convert(t.Mid, t.V)
	default:
		return
	}
	t.V = nil
}

// Widen keeps values in so many bits that others from lo to hi find room in their places. The tensor is changed in place.
func (t *Tensor) Widen(lo, hi int64) {
	switch bits := bitsFor(lo, hi); {
	case t.V != nil || bits == 16 || bits == 32 && t.Mid != nil:
	case bits == 32:
		t.Mid = make([]int32, len(t.Short))
		convert(t.Mid, t.Short)
		t.Short = nil
	default:
		t.V = t.All()
		t.Short, t.Mid = nil, nil
	}
}

// Write writes values from a place on. They fit, see Widen.
func (t *Tensor) Write(at int, v []int64) {
	switch {
	case t.V != nil:
		copy(t.V[at:at+len(v)], v)
	case t.Mid != nil:
		convert(t.Mid[at:at+len(v)], v)
	default:
		convert(t.Short[at:at+len(v)], v)
	}
}

// Read is Cells into memory that is there.
func (t *Tensor) Read(to []int64, at int) {
	switch {
	case t.V != nil:
		copy(to, t.V[at:at+len(to)])
	case t.Mid != nil:
		widen(to, t.Mid[at:at+len(to)])
	default:
		widen(to, t.Short[at:at+len(to)])
	}
}

// widen is convert where everything fits.
func widen[U int16 | int32](to []int64, from []U) {
	for i, x := range from {
		to[i] = int64(x)
	}
}

// All returns all values.
func (t *Tensor) All() []int64 { return t.Cells(0, t.Len()) }

// Lay writes the cells from from on, a box of the given shape, into a row, in the place of what stands there: the cell of index x to column
// column + the row-major index of x in the box whose axes are filled up to powers of two. It returns the row, longer where it ended before
// the box does; what comes into being between its end and a cell is zero. A cell that does not fit 32 bits is an error.
func (t *Tensor) Lay(row []int32, from int, shape []int, column int) ([]int32, error) {
	last, n := 1, 1
	for _, d := range shape {
		last, n = d, n*d
	}
	for line := 0; line*last < n; line++ {
		col := column + paddedLine(shape, line)
		row = reach(row, col, col+last)
		if err := t.copy(row[col:col+last], from+line*last); err != nil {
			return nil, err
		}
	}
	return row, nil
}

// reach returns the row with at least n columns, new ones zero, but for those from col on, which mean nothing.
func reach(row []int32, col, n int) []int32 {
	was := len(row)
	if n <= was {
		return row
	}
	row = slices.Grow(row, n-was)[:n]
	if col > was {
		clear(row[was:col])
	}
	return row
}

// copy writes the cells from from on, as many as there is room for.
func (t *Tensor) copy(to []int32, from int) error {
	switch end := from + len(to); {
	case t.V != nil:
		if v := t.V[from:end]; !convert(to, v) {
			return fmt.Errorf("value %d does not fit 32 bits", v[slices.IndexFunc(v, func(x int64) bool { return x != int64(int32(x)) })])
		}
	case t.Mid != nil:
		copy(to, t.Mid[from:end])
	default:
		convert(to, t.Short[from:end])
	}
	return nil
}

// paddedLine returns the padded index of the first cell of a line along the last axis.
func paddedLine(shape []int, line int) int {
	index, shift := 0, 0
	for a := len(shape) - 1; a >= 0; a-- {
		if a < len(shape)-1 {
			index |= (line % shape[a]) << shift
			line /= shape[a]
		}
		shift += bits.Len(uint(shape[a] - 1))
	}
	return index
}
