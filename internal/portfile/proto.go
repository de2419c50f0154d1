package portfile

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
)

// The element types of a TensorProto that are read (onnx.proto, TensorProto.DataType).
const (
	typeFloat  = 1
	typeUint8  = 2
	typeInt8   = 3
	typeUint16 = 4
	typeInt16  = 5
	typeInt32  = 6
	typeInt64  = 7
	typeBool   = 9
	typeDouble = 11
)

// sizes are the bytes of an element in raw data.
var sizes = map[uint64]int{
	typeFloat: 4, typeUint8: 1, typeInt8: 1, typeUint16: 2, typeInt16: 2, typeInt32: 4, typeInt64: 8, typeBool: 1, typeDouble: 8,
}

// unread are element types of real numbers that are not read.
var unread = map[uint64]string{10: "float16", 16: "bfloat16"}

// proto is what is read of a TensorProto.
type proto struct {
	dims    []uint64
	kind    uint64
	raw     []byte
	int32s  []uint64 // of all integers and booleans of at most 32 bits
	int64s  []uint64
	floats  []byte // float_data
	doubles []byte // double_data
}

// once says whether the elements stand in one field at most: two readers might take different ones.
func (t *proto) once() bool {
	n := 0
	for _, has := range [...]bool{t.raw != nil, len(t.int32s) > 0, len(t.int64s) > 0, len(t.floats) > 0, len(t.doubles) > 0} {
		if has {
			n++
		}
	}
	return n <= 1
}

// message is the rest of a protobuf message.
type message []byte

func (m *message) varint() (uint64, bool) {
	v, n := binary.Uvarint(*m)
	if n <= 0 {
		return 0, false
	}
	*m = (*m)[n:]
	return v, true
}

func (m *message) take(n uint64) ([]byte, bool) {
	if n > uint64(len(*m)) {
		return nil, false
	}
	out := (*m)[:n]
	*m = (*m)[n:]
	return out, true
}

// field reads one field: a varint, or bytes (of fixed32, fixed64 and length-delimited fields).
func (m *message) field() (number, value uint64, data []byte, ok bool) {
	key, ok := m.varint()
	if !ok {
		return 0, 0, nil, false
	}
	n := uint64(0)
	switch key & 7 {
	case 0:
		value, ok = m.varint()
		return key >> 3, value, nil, ok
	case 1:
		n = 8
	case 5:
		n = 4
	case 2:
		if n, ok = m.varint(); !ok {
			return 0, 0, nil, false
		}
	default:
		return 0, 0, nil, false
	}
	data, ok = m.take(n)
	return key >> 3, 0, data, ok
}

// parse reads a TensorProto.
func parse(data []byte) (t proto, ok bool) {
	for m := message(data); len(m) > 0; {
		number, value, field, ok := m.field()
		if !ok {
			return t, false
		}
		switch number {
		case 1:
			t.dims, ok = integers(t.dims, value, field)
		case 2:
			t.kind = value
		case 4:
			t.floats = append(t.floats, field...)
		case 5:
			t.int32s, ok = integers(t.int32s, value, field)
		case 7:
			t.int64s, ok = integers(t.int64s, value, field)
		case 9:
			t.raw = field
		case 10:
			t.doubles = append(t.doubles, field...)
		case 13, 14: // external data
			return t, false
		}
		if !ok {
			return t, false
		}
	}
	return t, true
}

// integers appends one varint, or the packed ones of a field.
func integers(out []uint64, value uint64, packed []byte) ([]uint64, bool) {
	if packed == nil {
		return append(out, value), true
	}
	for m := message(packed); len(m) > 0; {
		v, ok := m.varint()
		if !ok {
			return out, false
		}
		out = append(out, v)
	}
	return out, true
}

func readProto(ports []*circuit.Port, data []byte) ([]int64, *circuit.Port, error) {
	t, ok := parse(data)
	if !ok || sizes[t.kind] == 0 || !t.once() {
		if name := unread[t.kind]; ok && name != "" {
			return nil, nil, fmt.Errorf("%w that are read: its elements are %s; convert them to float32", ErrFormat, name)
		}
		return nil, nil, ErrFormat
	}
	p, err := ofShape(ports, t.dims)
	if err != nil {
		return nil, nil, err
	}
	out, err := t.elements(p)
	if err != nil {
		return nil, nil, err
	}
	return out, p, nil
}

// elements reads those of a port of its shape.
func (t *proto) elements(p *circuit.Port) ([]int64, error) {
	n := circuit.Size(p.Shape)
	if t.raw == nil {
		switch t.kind {
		case typeFloat:
			t.raw = t.floats
		case typeDouble:
			t.raw = t.doubles
		case typeInt64:
			return elements(p, n, len(t.int64s), func(i int) (int64, error) { return whole(p, int64(t.int64s[i])) })
		default:
			return elements(p, n, len(t.int32s), func(i int) (int64, error) { return narrow(p, t.kind, int64(t.int32s[i])) })
		}
	}
	size := sizes[t.kind]
	if len(t.raw)%size != 0 {
		return nil, ErrFormat
	}
	return elements(p, n, len(t.raw)/size, func(i int) (int64, error) { return element(p, t.kind, t.raw[i*size:(i+1)*size]) })
}

func elements(p *circuit.Port, want, have int, at func(i int) (int64, error)) ([]int64, error) {
	if want != have {
		return nil, fmt.Errorf("%w: %d elements, the port has %d", ErrShape, have, want)
	}
	out := make([]int64, want)
	for i := range out {
		var err error
		if out[i], err = at(i); err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return out, nil
}

// element is the integer of one little-endian element.
func element(p *circuit.Port, kind uint64, b []byte) (int64, error) {
	switch kind {
	case typeFloat:
		return function.Element(p, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
	case typeDouble:
		return function.Element(p, math.Float64frombits(binary.LittleEndian.Uint64(b)))
	}
	var v uint64
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return whole(p, ofType(kind, v))
}

// narrow is the integer of a type of at most 32 bits that a wider field holds. One that the type does not have is refused.
func narrow(p *circuit.Port, kind uint64, v int64) (int64, error) {
	if ofType(kind, uint64(v)) != v {
		return 0, fmt.Errorf("%w: %d is none of its type", ErrFormat, v)
	}
	return whole(p, v)
}

// ofType reads the low bits of v as an integer of a type.
func ofType(kind, v uint64) int64 {
	switch kind {
	case typeUint8, typeBool:
		return int64(uint8(v))
	case typeInt8:
		return int64(int8(v))
	case typeUint16:
		return int64(uint16(v))
	case typeInt16:
		return int64(int16(v))
	case typeInt32:
		return int64(int32(v))
	}
	return int64(v)
}

// sameShape compares a shape with dims, without the axes of extent 1 of both.
func sameShape(shape []int, dims []uint64) bool {
	var a, b []uint64
	for _, d := range shape {
		if d != 1 {
			a = append(a, uint64(d))
		}
	}
	for _, d := range dims {
		if d != 1 {
			b = append(b, d)
		}
	}
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

// holds says that a shape has n cells.
func holds(dims []uint64, n uint64) bool {
	for _, d := range dims {
		if d == 0 || n%d != 0 {
			return false
		}
		n /= d
	}
	return n == 1
}
