package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"sync"

	"github.com/zkllmc/zkllmc/internal/weights"
)

// minStored is from how many cells on an initializer of real numbers stays in its file. Fewer are not worth a read.
const minStored = 1 << 10

// Stored are the cells of a tensor of real numbers in a file, or in the bytes of one, from which they are read and decoded when they are
// asked for.
type Stored struct {
	name   string
	dtype  DType
	file   io.ReaderAt
	offset int64
	n      int

	mu       sync.Mutex
	measured bool
	largest  float64
}

// Len is the number of cells.
func (s *Stored) Len() int { return s.n }

// encoded are bytes that cells are decoded from.
var encoded = sync.Pool{New: func() any { return new([1 << 17]byte) }}

// Read reads and decodes cells.
func (s *Stored) Read(dst []float64, from int) error {
	buf := encoded.Get().(*[1 << 17]byte)
	defer encoded.Put(buf)
	size := s.dtype.bytes()
	for len(dst) > 0 {
		cells := dst[:min(len(dst), len(buf)/size)]
		raw := buf[:len(cells)*size]
		at := s.offset + int64(from)*int64(size)
		if n, err := s.file.ReadAt(raw, at); n < len(raw) {
			return s.unread(len(raw), at, err)
		}
		s.dtype.decode(cells, raw)
		dst, from = dst[len(cells):], from+len(cells)
	}
	return nil
}

// unread is the error of bytes that cannot be read any more, although they were there when the model was.
func (s *Stored) unread(n int, at int64, err error) error {
	var p *fs.PathError
	switch {
	case errors.Is(err, io.EOF):
		err = errors.New("the file ends before them")
	case errors.As(err, &p):
		err = p.Err
	}
	return fmt.Errorf("tensor %q: %d bytes at offset %d of its data: %w; leave the model's files as they are until it is compiled", s.name, n, at, err)
}

// decode decodes cells of a floating-point type.
func (d DType) decode(dst []float64, raw []byte) {
	le := binary.LittleEndian
	switch d {
	case Float32:
		for i := range dst {
			dst[i] = float64(math.Float32frombits(le.Uint32(raw[4*i:])))
		}
	case Float64:
		for i := range dst {
			dst[i] = math.Float64frombits(le.Uint64(raw[8*i:]))
		}
	case Float16:
		table := halves()
		for i := range dst {
			dst[i] = float64(table[le.Uint16(raw[2*i:])])
		}
	case BFloat16:
		for i := range dst {
			dst[i] = bfloatToFloat(le.Uint16(raw[2*i:]))
		}
	}
}

// halves are all numbers of 16 bits, by their bits.
var halves = sync.OnceValue(func() *[1 << 16]float32 {
	t := new([1 << 16]float32)
	for i := range t {
		t[i] = float32(halfToFloat(uint16(i)))
	}
	return t
})

// Largest is the largest magnitude of the cells, infinite where one is not finite. The file is read once for it, as long as poll, which is
// asked now and then, has no error.
func (s *Stored) Largest(poll func() error) (float64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.measured {
		return s.largest, nil
	}
	top := 0.0
	err := weights.Each[float64](s, func(_ int, cells []float64) error {
		for _, x := range cells {
			if a := math.Abs(x); a > top {
				top = a
			} else if a != a {
				top = math.Inf(1)
			}
		}
		return poll()
	})
	s.measured, s.largest = err == nil, top
	return top, err
}

// Loaded returns the tensor with its cells in memory: itself, if they are there.
func (t *Tensor) Loaded() (*Tensor, error) {
	if t.Stored == nil {
		return t, nil
	}
	cells, err := weights.All[float64](t.Stored)
	return &Tensor{Name: t.Name, DType: t.DType, Shape: t.Shape, F: cells}, err
}

// guarded is a file of external data that must not change while a model is compiled: cells that were read before and after would be of two
// models.
type guarded struct {
	*os.File
	was fs.FileInfo
}

// ReadAt reads from the file as it was when it was opened, or fails.
func (g *guarded) ReadAt(b []byte, at int64) (int, error) {
	n, err := g.File.ReadAt(b, at)
	if err != nil {
		return n, err
	}
	now, err := g.Stat()
	switch {
	case err != nil:
		return 0, err
	case now.Size() != g.was.Size() || !now.ModTime().Equal(g.was.ModTime()):
		return 0, errors.New("the file has changed since the model was read")
	}
	return n, nil
}
