package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

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

// Weight is one weight as WriteWeights takes it: so many cells, row-major, which Read fills slices with, from the given one on.
type Weight struct {
	Name  string
	Shape []int
	Cells int
	Read  func(dst []int16, from int) error
}

// EncodeWeights returns the weights file of a family.
func EncodeWeights(f *circuit.Family, data map[circuit.ID]integer.Tensor) ([]byte, error) {
	var list []Weight
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
		list = append(list, weightOf(t.Name, v))
	}
	var out bytes.Buffer
	out.Grow(WeightsSize(f))
	err := WriteWeights(&out, f.Digest(), list)
	return out.Bytes(), err
}

// weightOf is a weight whose cells are in memory.
func weightOf(name string, t integer.Tensor) Weight {
	return Weight{name, t.Shape, t.Len(), func(dst []int16, from int) error { return narrow(name, t.Run(from, from+len(dst)), dst, from) }}
}

// WriteWeights writes the weights file of the family with the given digest. The weights are in the order of its circuits; some of their
// cells at a time are read and written.
func WriteWeights(w io.Writer, digest [32]byte, list []Weight) error {
	head := NewWriter(MagicWeights, digest)
	head.Uint32(uint32(len(list)))
	out := NewSummed(w)
	if _, err := out.Write(head.Bytes()); err != nil {
		return err
	}
	for i := range list {
		if err := list[i].write(out); err != nil {
			return err
		}
	}
	return out.Finish()
}

func (x *Weight) write(out io.Writer) error {
	if len(x.Name) > maxName {
		return fmt.Errorf("%w: the name %.60q… has %d bytes, the limit is %d", ErrWeight, x.Name, len(x.Name), maxName)
	}
	if x.Cells != circuit.Size(x.Shape) {
		return fmt.Errorf("%w: weight %s of shape %v has %d cells", ErrWeight, x.Name, x.Shape, x.Cells)
	}
	w := Writer{}
	w.Uint32(uint32(len(x.Name)))
	w.Raw([]byte(x.Name))
	w.Uint32(uint32(len(x.Shape)))
	for _, d := range x.Shape {
		w.Uint32(uint32(d))
	}
	if _, err := out.Write(w.Bytes()); err != nil {
		return err
	}
	cells := make([]int16, min(x.Cells, cellsAtOnce))
	for at := 0; at < x.Cells; at += len(cells) {
		cells = cells[:min(len(cells), x.Cells-at)]
		if err := x.Read(cells, at); err != nil {
			return err
		}
		if err := writeCells(out, cells); err != nil {
			return err
		}
	}
	return nil
}

// writeCells writes at most cellsAtOnce cells.
func writeCells(out io.Writer, cells []int16) error {
	var raw [2 * cellsAtOnce]byte
	for i, v := range cells {
		binary.BigEndian.PutUint16(raw[2*i:], uint16(v))
	}
	_, err := out.Write(raw[:2*len(cells)])
	return err
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
	if err := Exactly(size, int64(WeightsSize(f))); err != nil {
		return nil, fmt.Errorf("weights file: %w", err)
	}
	if err := ReadSummed(file, size).Finish(nil); err != nil {
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
	v := integer.Tensor{Short: make([]int16, hi-lo)}
	decodeCells(v.Short, raw)
	return v, inRange(w.c.Tensor(id), lo, &v)
}

// decodeCells reads cells of two bytes each.
func decodeCells(v []int16, raw []byte) {
	for i := range v {
		v[i] = int16(binary.BigEndian.Uint16(raw[2*i:]))
	}
}

// cellsAtOnce is how many cells are in memory and encoded at a time.
const cellsAtOnce = 1 << 14

// WriteCells writes cells of 16 bits as keys and weights files have them, two bytes each. It is an error if a cell has more.
func WriteCells(w io.Writer, t integer.Tensor) error {
	for lo, n := 0, t.Len(); lo < n; lo += cellsAtOnce {
		part := t.Run(lo, min(n, lo+cellsAtOnce))
		cells := part.Short
		if cells == nil {
			cells = make([]int16, part.Len())
			if err := narrow("of a key", part, cells, lo); err != nil {
				return err
			}
		}
		if err := writeCells(w, cells); err != nil {
			return err
		}
	}
	return nil
}

// narrow writes cells to 16 bits each; the first is a weight's cell from.
func narrow(name string, t integer.Tensor, dst []int16, from int) error {
	for i, x := range t.All() {
		if dst[i] = int16(x); int64(dst[i]) != x {
			return fmt.Errorf("%w: weight %s: cell %d is %d, which 16 bits do not hold", ErrWeight, name, from+i, x)
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

// ReadCells reads the cells of a weight, two bytes each, and checks their range. Some of them are in memory twice at a time.
func ReadCells(in io.Reader, t *circuit.Tensor) (integer.Tensor, error) {
	v := integer.Tensor{Shape: t.Shape, Short: make([]int16, circuit.Size(t.Shape))}
	raw := make([]byte, 2*min(len(v.Short), cellsAtOnce))
	for lo := 0; lo < len(v.Short); lo += cellsAtOnce {
		part := v.Short[lo:min(len(v.Short), lo+cellsAtOnce)]
		raw = raw[:2*len(part)]
		if _, err := io.ReadFull(in, raw); err != nil {
			return v, err
		}
		decodeCells(part, raw)
	}
	return v, inRange(t, 0, &v)
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
