package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// The weights file, which the compiler writes and setup reads, holds every weight of a family in its circuits' order. Tensors have the
// numbers that the shortest member gives them:
//
//	header, count:4, then per weight  name length:4, name, axes:4, extent:4 per axis, cell:2 per cell, row-major; then checksum:32
//
// Names and shapes repeat the circuit's, so that a file that belongs elsewhere is refused with the weight it differs in.

// maxName bounds the names of weights. They come from the compiler; the bound keeps what is shown of a bad file short.
const maxName = 1 << 12

// ErrWeight says that a weights file does not suit the circuit it names.
var ErrWeight = errors.New("the weights do not suit the circuit")

// EncodeWeights returns the weights file of a family.
func EncodeWeights(f *circuit.Family, data map[circuit.ID]integer.Tensor) ([]byte, error) {
	var names []string
	var tensors []integer.Tensor
	for _, t := range f.Shortest().Weights() {
		v, ok := data[t.ID]
		if !ok {
			return nil, fmt.Errorf("%w: there is no weight %s", ErrWeight, t.Name)
		}
		if !equal(v.Shape, t.Shape) {
			return nil, fmt.Errorf("%w: weight %s has shape %v, want %v", ErrWeight, t.Name, v.Shape, t.Shape)
		}
		if err := inRange(t, 0, &v); err != nil {
			return nil, err
		}
		names, tensors = append(names, t.Name), append(tensors, v)
	}
	var out bytes.Buffer
	out.Grow(WeightsSize(f))
	err := WriteWeights(&out, f.Digest(), names, tensors)
	return out.Bytes(), err
}

// WriteWeights writes the weights file of the family with the given digest. The weights are in the order of its circuits.
func WriteWeights(w io.Writer, digest [32]byte, names []string, tensors []integer.Tensor) error {
	if len(names) != len(tensors) {
		return fmt.Errorf("%w: %d names for %d tensors", ErrWeight, len(names), len(tensors))
	}
	head := NewWriter(MagicWeights, digest)
	head.Uint32(uint32(len(names)))
	out := NewSummed(w)
	if _, err := out.Write(head.Bytes()); err != nil {
		return err
	}
	for i, name := range names {
		b, err := encodeWeight(name, tensors[i])
		if err != nil {
			return err
		}
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	return out.Finish()
}

func encodeWeight(name string, t integer.Tensor) ([]byte, error) {
	if len(name) > maxName {
		return nil, fmt.Errorf("%w: the name %.60q… has %d bytes, the limit is %d", ErrWeight, name, len(name), maxName)
	}
	if t.Len() != circuit.Size(t.Shape) {
		return nil, fmt.Errorf("%w: weight %s of shape %v has %d cells", ErrWeight, name, t.Shape, t.Len())
	}
	w := Writer{b: make([]byte, 0, 8+len(name)+4*len(t.Shape)+2*t.Len())}
	w.Uint32(uint32(len(name)))
	w.Raw([]byte(name))
	w.Uint32(uint32(len(t.Shape)))
	for _, d := range t.Shape {
		w.Uint32(uint32(d))
	}
	for _, v := range t.Short {
		w.Int16(v)
	}
	for i, v := range t.V {
		if v < math.MinInt16 || v > math.MaxInt16 {
			return nil, fmt.Errorf("%w: weight %s: cell %d is %d, which 16 bits do not hold", ErrWeight, name, i, v)
		}
		w.Int16(int16(v))
	}
	return w.Bytes(), nil
}

// Weights is a weights file that is read as its cells are needed.
type Weights struct {
	c    *circuit.Circuit
	file io.ReaderAt
	at   map[circuit.ID]int64 // where the cells begin
}

// OpenWeights reads a weights file of a family once, for its checksum, and what it says of its weights, but keeps none of their cells. size is
// the number of its bytes.
func OpenWeights(f *circuit.Family, file io.ReaderAt, size int64) (*Weights, error) {
	c := f.Shortest()
	head, err := readAt(file, 0, min(size, HeaderSize+4))
	if err != nil {
		return nil, err
	}
	r, err := NewReader(head, MagicWeights, f.Digest())
	if err != nil {
		return nil, err
	}
	if err := exactly(size, int64(WeightsSize(f))); err != nil {
		return nil, fmt.Errorf("weights file: %w", err)
	}
	if err := undamaged(file, size); err != nil {
		return nil, err
	}
	want := c.Weights()
	if n := r.Uint32(); uint64(n) != uint64(len(want)) {
		return nil, fmt.Errorf("%w: %d weights, want %d", ErrWeight, n, len(want))
	}
	w := &Weights{c: c, file: file, at: make(map[circuit.ID]int64, len(want))}
	at := int64(HeaderSize + 4)
	for i, t := range want {
		head, err := readAt(file, at, min(size-at, int64(8+maxName+4*len(t.Shape))))
		if err == nil {
			err = weightHead(&Reader{b: head}, t)
		}
		if err != nil {
			return nil, fmt.Errorf("weight %d of %d, %s: %w", i+1, len(want), t.Name, err)
		}
		w.at[t.ID] = at + int64(8+len(t.Name)+4*len(t.Shape))
		at = w.at[t.ID] + 2*int64(circuit.Size(t.Shape))
	}
	return w, nil
}

func readAt(file io.ReaderAt, at, n int64) ([]byte, error) {
	b := make([]byte, n)
	if got, err := file.ReadAt(b, at); got < len(b) {
		return nil, err
	}
	return b, nil
}

// weightHead reads name and shape of a weight.
func weightHead(r *Reader, t *circuit.Tensor) error {
	if n := r.Uint32(); n > maxName {
		return fmt.Errorf("%w: its name has %d bytes, the limit is %d", ErrWeight, n, maxName)
	} else if name := r.Raw(int(n)); r.Err() == nil && string(name) != t.Name {
		return fmt.Errorf("%w: the file has %q in its place", ErrWeight, name)
	}
	if n := r.Uint32(); r.Err() == nil && uint64(n) != uint64(len(t.Shape)) {
		return fmt.Errorf("%w: %d axes in the file, want the shape %v", ErrWeight, n, t.Shape)
	}
	for a, d := range t.Shape {
		if n := r.Uint32(); r.Err() == nil && uint64(n) != uint64(d) {
			return fmt.Errorf("%w: axis %d has extent %d in the file, want the shape %v", ErrWeight, a, n, t.Shape)
		}
	}
	return r.Err()
}

// Cells reads the cells of a weight from lo up to hi-1, row-major, and checks their range.
func (w *Weights) Cells(id circuit.ID, lo, hi int) (integer.Tensor, error) {
	raw, err := w.Raw(id, lo, hi)
	if err != nil {
		return integer.Tensor{}, err
	}
	v := integer.Tensor{Short: decodeCells(raw)}
	return v, inRange(w.c.Tensor(id), lo, &v)
}

// decodeCells reads cells of two bytes each.
func decodeCells(raw []byte) []int16 {
	v := make([]int16, len(raw)/2)
	for i := range v {
		v[i] = int16(binary.BigEndian.Uint16(raw[2*i:]))
	}
	return v
}

// cellsAtOnce is how many cells are encoded at a time.
const cellsAtOnce = 1 << 14

// WriteCells writes cells of 16 bits as keys and weights files have them, two bytes each.
func WriteCells(w io.Writer, t integer.Tensor) error {
	var raw [2 * cellsAtOnce]byte
	for lo, n := 0, t.Len(); lo < n; lo += cellsAtOnce {
		part, b := t.Run(lo, min(n, lo+cellsAtOnce)), raw[:]
		if part.Short == nil {
			for i, x := range part.All() {
				binary.BigEndian.PutUint16(b[2*i:], uint16(int16(x)))
			}
		}
		for i, x := range part.Short {
			binary.BigEndian.PutUint16(b[2*i:], uint16(x))
		}
		if _, err := w.Write(b[:2*part.Len()]); err != nil {
			return err
		}
	}
	return nil
}

// Raw reads the cells of a weight from lo up to hi-1 as the file has them, two bytes each.
func (w *Weights) Raw(id circuit.ID, lo, hi int) ([]byte, error) {
	b, err := readAt(w.file, w.at[id]+2*int64(lo), 2*int64(hi-lo))
	if err != nil {
		return nil, fmt.Errorf("weight %s: %w", w.c.Tensor(id).Name, err)
	}
	return b, nil
}

// DecodeWeights reads the weights file of a family.
func DecodeWeights(f *circuit.Family, data []byte) (map[circuit.ID]integer.Tensor, error) {
	w, err := OpenWeights(f, bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	out := make(map[circuit.ID]integer.Tensor, len(w.at))
	for _, t := range f.Shortest().Weights() {
		v, err := w.Cells(t.ID, 0, circuit.Size(t.Shape))
		if err != nil {
			return nil, err
		}
		v.Shape = t.Shape
		out[t.ID] = v
	}
	return out, nil
}

// Cells reads the cells of a weight, two bytes each, and checks their range. It takes memory only for cells that are there.
func (r *Reader) Cells(t *circuit.Tensor) ([]int16, error) {
	size := circuit.Size(t.Shape)
	if r.Remaining()/2 < size {
		return nil, fmt.Errorf("%w: %d bytes left for %d cells", ErrTruncated, r.Remaining(), size)
	}
	v := integer.Tensor{Short: decodeCells(r.Raw(2 * size))}
	return v.Short, inRange(t, 0, &v)
}

// WeightsSize is the number of bytes of the weights file of a family.
func WeightsSize(f *circuit.Family) int {
	n := HeaderSize + 4 + SumSize
	for _, t := range f.Shortest().Weights() {
		n += 8 + len(t.Name) + 4*len(t.Shape) + 2*circuit.Size(t.Shape)
	}
	return n
}

// inRange checks the cells of a weight from the given one on.
func inRange(t *circuit.Tensor, from int, v *integer.Tensor) error {
	if i := v.Outside(t.Lo, t.Hi); i >= 0 {
		return fmt.Errorf("%w: weight %s: cell %d is %d, outside the declared [%d, %d]", ErrWeight, t.Name, from+i, v.Cells(i, i+1)[0], t.Lo, t.Hi)
	}
	return nil
}

func equal(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
