package onnx

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// DType is an element type, by the numbers of the format.
type DType int32

// ElementError says that a tensor has elements of a type that is not decoded.
type ElementError struct{ Type DType }

func (e *ElementError) Error() string { return fmt.Sprintf("element type %s is not supported", e.Type) }

// The element types that are decoded.
const (
	Float32  DType = 1
	Uint8    DType = 2
	Int8     DType = 3
	Uint16   DType = 4
	Int16    DType = 5
	Int32    DType = 6
	Int64    DType = 7
	Bool     DType = 9
	Float16  DType = 10
	Float64  DType = 11
	Uint32   DType = 12
	Uint64   DType = 13
	BFloat16 DType = 16
	Uint4    DType = 21
	Int4     DType = 22
	Uint2    DType = 25
	Int2     DType = 26
)

var dtypeNames = map[DType]string{
	Float32: "float32", Uint8: "uint8", Int8: "int8", Uint16: "uint16", Int16: "int16", Int32: "int32", Int64: "int64",
	Bool: "bool", Float16: "float16", Float64: "float64", Uint32: "uint32", Uint64: "uint64", BFloat16: "bfloat16",
	8: "string", 14: "complex64", 15: "complex128", 17: "float8e4m3fn", 18: "float8e4m3fnuz", 19: "float8e5m2",
	20: "float8e5m2fnuz", Uint4: "uint4", Int4: "int4", 23: "float4e2m1", 24: "float8e8m0", Uint2: "uint2", Int2: "int2",
}

func (d DType) String() string {
	if s, ok := dtypeNames[d]; ok {
		return s
	}
	return "dtype " + strconv.Itoa(int(d))
}

// IsFloat says whether tensors of the type keep their cells in F.
func (d DType) IsFloat() bool {
	return d == Float32 || d == Float64 || d == Float16 || d == BFloat16
}

// Wrap brings an integer into the range of an integer type as conversions between machine words do, modulo 2 to the number of bits; a
// boolean is 1 for everything but 0. Cells of uint64 are kept as the signed numbers of the same 64 bits.
func (d DType) Wrap(x int64) int64 {
	switch d {
	case Bool:
		if x != 0 {
			return 1
		}
		return 0
	case Int8:
		return int64(int8(x))
	case Uint8:
		return int64(uint8(x))
	case Int16:
		return int64(int16(x))
	case Uint16:
		return int64(uint16(x))
	case Int32:
		return int64(int32(x))
	case Uint32:
		return int64(uint32(x))
	case Uint4, Uint2:
		return x & (1<<d.bits() - 1)
	case Int4, Int2:
		return x << (64 - d.bits()) >> (64 - d.bits())
	}
	return x
}

// Round returns the number of a floating-point type that is nearest to x, of two the even one, and infinity where x is beyond the largest.
// Types of 16 bits are reached through float32, as runtimes do.
func (d DType) Round(x float64) float64 {
	f := float64(float32(x))
	switch {
	case d == Float64:
		return x
	case math.IsNaN(f) || math.IsInf(f, 0):
		return f
	case d == Float16:
		return roundBits(f, 11, -14, 65504)
	case d == BFloat16:
		return roundBits(f, 8, -126, math.Ldexp(255, 120))
	}
	return f
}

// roundBits rounds to numbers of so many bits, whose least normal exponent and largest magnitude are given.
func roundBits(x float64, bits, least int, largest float64) float64 {
	if x == 0 {
		return x
	}
	_, e := math.Frexp(x) // |x| < 2^e
	unit := math.Ldexp(1, max(e-1, least)-bits+1)
	y := float64(math.RoundToEven(x/unit) * unit)
	if math.Abs(y) > largest {
		return math.Copysign(math.Inf(1), x)
	}
	return y
}

// Known says whether tensors of the type are decoded.
func (d DType) Known() bool { return d.bits() > 0 }

// bits is the size of a cell in raw data, 0 for types that are not decoded.
func (d DType) bits() int {
	switch d {
	case Uint2, Int2:
		return 2
	case Uint4, Int4:
		return 4
	}
	return 8 * d.bytes()
}

// bytes is the size of a cell of whole bytes, else 0.
func (d DType) bytes() int {
	switch d {
	case Bool, Int8, Uint8:
		return 1
	case Float16, BFloat16, Int16, Uint16:
		return 2
	case Float32, Int32, Uint32:
		return 4
	case Float64, Int64, Uint64:
		return 8
	}
	return 0
}

// stored is the number of bytes of so many cells, of which several share one where they are smaller.
func (d DType) stored(n int) int64 { return (int64(n)*int64(d.bits()) + 7) / 8 }

// Unpack splits bytes into integers of so many bits, the least significant first.
func Unpack(packed []byte, bits, n int) []int64 {
	out, each := make([]int64, n), 8/bits
	for i := range out {
		out[i] = int64(packed[i/each]) >> (i % each * bits) & (1<<bits - 1)
	}
	return out
}

// Tensor is a decoded tensor, row-major: the cells are in F for floating-point types and in I for integers and booleans
// (0 and 1). Those of large initializers of the former are where they are Stored, and in F once the tensor is Loaded.
type Tensor struct {
	Name   string
	DType  DType
	Shape  []int
	F      []float64
	I      []int64
	Stored *Stored
}

// Len is the number of cells.
func (t *Tensor) Len() int {
	if t.Stored != nil {
		return t.Stored.n
	}
	return len(t.F) + len(t.I)
}

// LoadTensor reads a file that holds one TensorProto, as test folders do.
func LoadTensor(path string) (*Tensor, error) {
	data, err := readBounded(context.Background(), path, MaxModelBytes)
	if err != nil {
		return nil, err
	}
	t, err := DecodeTensor(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// DecodeTensor decodes one TensorProto.
func DecodeTensor(data []byte) (*Tensor, error) {
	p := &pb.TensorProto{}
	if err := proto.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("not a TensorProto: %w", err)
	}
	t, err := (&decoder{ctx: context.Background()}).tensor(p)
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", p.Name, err)
	}
	return t, nil
}

// tensor decodes a tensor with all its cells.
func (d *decoder) tensor(p *pb.TensorProto) (*Tensor, error) {
	t, err := d.initializer(p)
	if err != nil {
		return nil, err
	}
	return t.Loaded()
}

// initializer decodes a tensor, but for the cells of a large one of real numbers.
func (d *decoder) initializer(p *pb.TensorProto) (*Tensor, error) {
	if err := d.ctx.Err(); err != nil {
		return nil, err
	}
	t := &Tensor{Name: p.Name, DType: DType(p.DataType)}
	n, err := t.setShape(p.Dims)
	if err != nil {
		return nil, err
	}
	if !t.DType.Known() {
		return nil, &ElementError{t.DType}
	}
	stored := &Stored{name: p.Name, dtype: t.DType, file: bytes.NewReader(p.RawData), n: n}
	length := int64(len(p.RawData))
	if p.DataLocation == 1 {
		if stored.file, stored.offset, length, err = d.external(p.ExternalData, t.DType.stored(n)); err != nil {
			return nil, err
		}
	}
	// A tensor of n > 0 cells without raw bytes keeps them in one of the typed fields.
	if length == 0 && n > 0 {
		return t, t.setTyped(p, n)
	}
	if need := t.DType.stored(n); need != length {
		return nil, fmt.Errorf("shape %v of %s needs %d cells, %d bytes, the data has %d bytes", t.Shape, t.DType, n, need, length)
	}
	if t.DType.IsFloat() {
		if t.Stored = stored; n < minStored {
			return t.Loaded()
		}
		return t, nil
	}
	raw := p.RawData
	if p.DataLocation == 1 {
		raw = make([]byte, length)
		if got, err := stored.file.ReadAt(raw, stored.offset); int64(got) < length {
			return nil, stored.unread(len(raw), stored.offset, err)
		}
	}
	t.setIntegers(raw, n)
	return t, nil
}

// setShape checks the extents and returns their product, which may still be larger than the data.
func (t *Tensor) setShape(dims []int64) (int, error) {
	if len(dims) > 32 {
		return 0, fmt.Errorf("%d axes, at most 32 are supported", len(dims))
	}
	n := int64(1)
	t.Shape = make([]int, len(dims))
	for i, v := range dims {
		if v < 0 || v > math.MaxInt32 {
			return 0, fmt.Errorf("axis %d has extent %d", i, v)
		}
		t.Shape[i] = int(v)
		if v != 0 && n > math.MaxInt32*8/v {
			return 0, fmt.Errorf("shape %v is too large", dims)
		}
		n *= v
	}
	return int(n), nil
}

// setIntegers decodes cells of an integer type.
func (t *Tensor) setIntegers(raw []byte, n int) {
	if t.DType.bytes() == 0 {
		t.I = Unpack(raw, t.DType.bits(), n)
		for i, x := range t.I {
			t.I[i] = t.DType.Wrap(x)
		}
		return
	}
	t.I = make([]int64, n)
	le := binary.LittleEndian
	for i := 0; i < n; i++ {
		switch t.DType {
		case Int64, Uint64:
			t.I[i] = int64(le.Uint64(raw[8*i:]))
		case Int32:
			t.I[i] = int64(int32(le.Uint32(raw[4*i:])))
		case Uint32:
			t.I[i] = int64(le.Uint32(raw[4*i:]))
		case Int16:
			t.I[i] = int64(int16(le.Uint16(raw[2*i:])))
		case Uint16:
			t.I[i] = int64(le.Uint16(raw[2*i:]))
		case Int8:
			t.I[i] = int64(int8(raw[i]))
		case Uint8:
			t.I[i] = int64(raw[i])
		case Bool:
			if raw[i] != 0 {
				t.I[i] = 1
			}
		}
	}
}

// setTyped reads the cells from the typed field that the format assigns to the element type.
func (t *Tensor) setTyped(p *pb.TensorProto, n int) error {
	have := map[DType]int{Float32: len(p.FloatData), Float64: len(p.DoubleData), Int64: len(p.Int64Data),
		Uint64: len(p.Uint64Data), Uint32: len(p.Uint64Data)}
	k, ok := have[t.DType]
	if !ok {
		k = len(p.Int32Data)
	}
	if each := t.DType.bits(); each < 8 && k == (n*each+7)/8 { // each has a byte
		raw := make([]byte, k)
		for i, v := range p.Int32Data {
			raw[i] = byte(v)
		}
		t.setIntegers(raw, n)
		return nil
	}
	if k != n || t.DType.bits() < 8 {
		return fmt.Errorf("shape %v of %s needs %d cells, the data has %d", t.Shape, t.DType, n, k)
	}
	switch t.DType {
	case Float32:
		t.F = make([]float64, n)
		for i, v := range p.FloatData {
			t.F[i] = float64(v)
		}
	case Float64:
		t.F = p.DoubleData
	case Int64:
		t.I = p.Int64Data
	case Uint64, Uint32:
		t.I = make([]int64, n)
		for i, v := range p.Uint64Data {
			t.I[i] = int64(v)
		}
	default:
		t.setInt32(p.Int32Data)
	}
	return nil
}

func (t *Tensor) setInt32(data []int32) {
	if t.DType.IsFloat() { // 16-bit patterns
		t.F = make([]float64, len(data))
		for i, v := range data {
			if t.DType == Float16 {
				t.F[i] = halfToFloat(uint16(v))
			} else {
				t.F[i] = bfloatToFloat(uint16(v))
			}
		}
		return
	}
	t.I = make([]int64, len(data))
	for i, v := range data {
		t.I[i] = t.DType.Wrap(int64(v))
	}
}

// external finds the bytes of a tensor in a file of the model's folder.
func (d *decoder) external(entries []*pb.StringStringEntryProto, need int64) (file io.ReaderAt, offset, length int64, err error) {
	var location string
	length = need
	for _, e := range entries {
		switch e.Key {
		case "location":
			location = e.Value
		case "offset":
			offset, err = strconv.ParseInt(e.Value, 10, 64)
		case "length":
			var l int64
			if l, err = strconv.ParseInt(e.Value, 10, 64); err == nil && l != length {
				err = fmt.Errorf("the shape needs %d bytes", length)
			}
		}
		if err != nil {
			return nil, 0, 0, fmt.Errorf("external data: %s %q: %w", e.Key, e.Value, err)
		}
	}
	if d.dir == "" {
		return nil, 0, 0, errors.New("external data is not available here: load the model from its file")
	}
	if !filepath.IsLocal(location) {
		return nil, 0, 0, fmt.Errorf("external data: location %q is not inside the model's folder", location)
	}
	s, err := d.source(location)
	if err != nil {
		return nil, 0, 0, err
	}
	if size := s.was.Size(); offset < 0 || offset > size || length > size-offset {
		return nil, 0, 0, fmt.Errorf("external data: %s has %d bytes, %d at offset %d are needed", location, size, length, offset)
	}
	if s.needed += length; s.needed > maxReads*s.was.Size() {
		return nil, 0, 0, fmt.Errorf("external data: %s: the tensors in it are more than %d times its size", location, maxReads)
	}
	return &s.guarded, offset, length, nil
}

// maxReads is how many times over a file of external data is used: tied weights may be listed more than once.
const maxReads = 4

// source is a file of external data, and how many bytes of it tensors have, whatever it is called. Without a limit to them a model whose
// tensors all are one large file would cost what nobody sees in its size.
type source struct {
	guarded
	names  []string
	needed int64
}

// source opens a file below the model's folder, once; a symbolic link cannot lead out of that. It is closed when nothing reads from it any
// more.
func (d *decoder) source(location string) (*source, error) {
	for _, s := range d.sources {
		if slices.Contains(s.names, location) {
			return s, nil
		}
	}
	root, err := os.OpenRoot(d.dir)
	if err != nil {
		return nil, fmt.Errorf("external data: %w", err)
	}
	defer root.Close()
	name := filepath.FromSlash(location)
	st, err := root.Stat(name)
	if err != nil {
		return nil, unopened(location, err)
	}
	if !st.Mode().IsRegular() { // a pipe would be waited for
		return nil, fmt.Errorf("external data: %s: not a regular file", location)
	}
	for _, s := range d.sources {
		if os.SameFile(s.was, st) {
			s.names = append(s.names, location)
			return s, nil
		}
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, unopened(location, err)
	}
	d.sources = append(d.sources, &source{guarded{f, st}, []string{location}, 0})
	return d.sources[len(d.sources)-1], nil
}

// unopened is the error of a file of external data, without the system's call that gave it.
func unopened(location string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("external data: %s, which must lie in the model's folder: %w", location, err)
}

func bfloatToFloat(b uint16) float64 { return float64(math.Float32frombits(uint32(b) << 16)) }

func halfToFloat(h uint16) float64 {
	exp, frac := int(h>>10&31), float64(h&1023)
	sign := 1.0
	if h>>15 == 1 {
		sign = -1
	}
	switch exp {
	case 0:
		return float64(sign * math.Ldexp(frac, -24))
	case 31:
		if frac != 0 {
			return math.NaN()
		}
		return math.Copysign(math.Inf(1), sign)
	}
	return float64(sign * math.Ldexp(1024+frac, exp-25))
}

// Reals returns the cells as real numbers.
func (t *Tensor) Reals() []float64 {
	if t.DType.IsFloat() {
		return t.F
	}
	out := make([]float64, len(t.I))
	for i, x := range t.I {
		if out[i] = float64(x); t.DType == Uint64 {
			out[i] = float64(uint64(x))
		}
	}
	return out
}

// Cells returns the integer cells; for floating-point tensors 1 where the cell is not zero.
func (t *Tensor) Cells() []int64 {
	if !t.DType.IsFloat() {
		return t.I
	}
	out := make([]int64, len(t.F))
	for i, x := range t.F {
		if x != 0 {
			out[i] = 1
		}
	}
	return out
}
