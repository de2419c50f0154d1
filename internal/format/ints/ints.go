// Package ints reads and writes lists of integers as files of statements hold them: big-endian, in two's complement, in the least width
// that holds them all.
package ints

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Why a list is refused.
var (
	ErrFormat = errors.New("statement: malformed file")
	ErrCount  = errors.New("statement: another number of values than the circuit has")
)

// Width is the least of 1, 2, 4 and 8 bytes that hold every value.
func Width(values []int64) int {
	w := 1
	for _, v := range values {
		for w < 8 && (v < math.MinInt64>>(64-8*w) || v > math.MaxInt64>>(64-8*w)) {
			w *= 2
		}
	}
	return w
}

// unsaturated is added to a kind's number in the first byte of a statement that says that no value was clamped.
const unsaturated = 1 << 6

// First is the first byte of a statement: the number of its kind, and whether it says that no value was clamped.
func First(kind byte, noSaturation bool) byte {
	if noSaturation {
		kind += unsaturated
	}
	return kind
}

// Append appends integers of 1, 2, 4 or 8 bytes, big-endian, in two's complement.
func Append(out []byte, width int, values ...int64) []byte {
	for _, v := range values {
		for i := width - 1; i >= 0; i-- {
			out = append(out, byte(v>>(8*i)))
		}
	}
	return out
}

// AppendList appends a list of integers in as few bytes as they take: width:1 count:8 values:width·count.
func AppendList(out []byte, values []int64) []byte {
	w := Width(values)
	out = append(out, byte(w))
	out = binary.BigEndian.AppendUint64(out, uint64(len(values)))
	return Append(out, w, values...)
}

// Reader cuts bytes into integers. After the first read beyond its end it yields zeros.
type Reader struct {
	rest  []byte
	short bool
}

// NewReader reads from the first of some bytes on.
func NewReader(data []byte) *Reader { return &Reader{rest: data} }

// Short says whether there were fewer bytes than were asked for.
func (r *Reader) Short() bool { return r.short }

// take returns the next n bytes, nil if there are fewer.
func (r *Reader) take(n int) []byte {
	if r.short || n < 0 || n > len(r.rest) {
		r.short = true
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

// Int reads one integer of 1, 2, 4 or 8 bytes.
func (r *Reader) Int(width int) int64 { return signed(r.take(width)) }

// Ints reads n integers. It allocates them only if the file has them.
func (r *Reader) Ints(n, width int) []int64 {
	if n < 0 || n > len(r.rest)/width {
		r.short = true
		return nil
	}
	raw := r.take(n * width)
	out := make([]int64, n)
	for i := range out {
		out[i] = signed(raw[i*width : (i+1)*width])
	}
	return out
}

// List reads what AppendList wrote, of exactly n values, nil if n is 0.
func (r *Reader) List(n int) ([]int64, error) {
	w, count := r.Int(1), r.Int(8)
	switch {
	case r.short:
		return nil, fmt.Errorf("%w: truncated", ErrFormat)
	case w != 1 && w != 2 && w != 4 && w != 8:
		return nil, fmt.Errorf("%w: values of %d bytes", ErrFormat, w)
	case count != int64(n):
		return nil, fmt.Errorf("%w: %d values, want %d", ErrCount, count, n)
	case int64(len(r.rest)) < int64(n)*w:
		return nil, fmt.Errorf("%w: truncated", ErrFormat)
	}
	var out []int64
	if n > 0 {
		out = r.Ints(n, int(w))
	}
	if int64(Width(out)) != w {
		return nil, fmt.Errorf("%w: values in %d bytes that fit %d", ErrFormat, w, Width(out))
	}
	return out, nil
}

// Close refuses bytes behind the last read, and reads beyond the end.
func (r *Reader) Close() error {
	switch {
	case r.short:
		return fmt.Errorf("%w: truncated", ErrFormat)
	case len(r.rest) > 0:
		return fmt.Errorf("%w: %d trailing bytes", ErrFormat, len(r.rest))
	}
	return nil
}

// signed reads a big-endian two's-complement integer; zero of no bytes.
func signed(b []byte) int64 {
	if len(b) == 0 {
		return 0
	}
	v := int64(int8(b[0]))
	for _, x := range b[1:] {
		v = v<<8 | int64(x)
	}
	return v
}
