package portfile

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
)

// ports has one of every kind.
var ports = []*circuit.Port{
	{Name: "reals", Kind: circuit.Reals, Shape: []int{1, 2, 2}, Lo: -1000, Hi: 1000, Scale: 3, Reveal: circuit.Values},
	{Name: "integers", Kind: circuit.Integers, Shape: []int{2, 2}, Lo: -3, Hi: 5, Reveal: circuit.Values},
	{Name: "booleans", Kind: circuit.Booleans, Shape: []int{4}, Hi: 1, Reveal: circuit.Nothing},
	{Name: "ids", Kind: circuit.IDs, Shape: []int{4}, Hi: 9, Reveal: circuit.Values},
	{Name: "coarse", Kind: circuit.Reals, Shape: []int{2, 2}, Lo: -1 << 60, Hi: 1 << 60, Scale: -4, Reveal: circuit.Values},
}

// field is a field of a protocol buffer with bytes, varint is one with a varint.
func field(n byte, data ...byte) []byte { return append([]byte{n<<3 | 2, byte(len(data))}, data...) }

func varint(n byte, v uint64) []byte { return binary.AppendUvarint([]byte{n << 3}, v) }

// tensor is a TensorProto of a type and dims, with its data as they are given.
func tensor(kind uint64, dims []uint64, data []byte) []byte {
	var out []byte
	for _, d := range dims {
		out = append(out, varint(1, d)...)
	}
	return slices.Concat(out, varint(2, kind), data)
}

func floats(v ...float32) (out []byte) {
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}

// What a file says of a port is its elements, in every format; axes of extent 1 may be there or not.
func TestRead(t *testing.T) {
	reals, integers, booleans, ids, coarse := ports[0], ports[1], ports[2], ports[3], ports[4]
	large := &circuit.Port{Name: "large", Kind: circuit.Integers, Shape: []int{1}, Lo: -1 << 60, Hi: 1 << 60, Reveal: circuit.Values}
	for name, c := range map[string]struct {
		port *circuit.Port
		data []byte
		want []int64
		err  error
	}{
		"reals":                          {reals, []byte(" [[[0.5, -1], [2e0, 0.0625]]]"), []int64{4, -8, 16, 0}, nil},
		"axes of extent 1 elsewhere":     {reals, []byte("[[[1],[2]],[[3],[4]]]"), []int64{8, 16, 24, 32}, nil},
		"without the batch":              {reals, []byte("[[0.5,-1],[2,0.3]]"), []int64{4, -8, 16, 2}, nil},
		"in a TensorProto":               {reals, tensor(1, []uint64{2, 2}, field(4, floats(0.5, -1, 2, 0.3)...)), []int64{4, -8, 16, 2}, nil},
		"raw":                            {reals, tensor(1, []uint64{1, 2, 2}, field(9, floats(0.5, -1, 2, 0.3)...)), []int64{4, -8, 16, 2}, nil},
		"integers for reals, as varints": {reals, tensor(7, []uint64{2, 2}, field(7, 1, 2, 3, 0)), []int64{8, 16, 24, 0}, nil},
		"integers for reals, raw":        {reals, tensor(2, []uint64{2, 2}, field(9, 1, 2, 3, 0)), []int64{8, 16, 24, 0}, nil},
		"integers":                       {integers, []byte("[[1,-3],[5,0.0]]"), []int64{1, -3, 5, 0}, nil},
		"more axes":                      {integers, []byte("[[[[1,-3],[5,2]]]]"), []int64{1, -3, 5, 2}, nil},
		"booleans":                       {booleans, []byte("[true,false,1,0]"), []int64{1, 0, 1, 0}, nil},
		"booleans, raw":                  {booleans, tensor(9, []uint64{4}, field(9, 1, 0, 0, 1)), []int64{1, 0, 0, 1}, nil},
		"ids of two axes":                {ids, []byte("[[9,0],[3,1]]"), []int64{9, 0, 3, 1}, nil},
		"ids of too many axes":           {ids, []byte("[[9,0],[3,1],[2,2]]"), nil, ErrShape},
		"ids":                            {ids, []byte("[[9,0,3,1]]"), []int64{9, 0, 3, 1}, nil},
		"negative varint":                {integers, tensor(7, []uint64{2, 2}, slices.Concat(varint(7, math.MaxUint64), varint(7, 1), varint(7, 0), varint(7, 5))), []int64{-1, 1, 0, 5}, nil},
		"narrow integers for reals":      {reals, tensor(2, []uint64{2, 2}, field(5, 1, 2, 3, 0)), []int64{8, 16, 24, 0}, nil},
		"a large integer":                {large, []byte("[9007199254740993]"), []int64{1<<53 + 1}, nil},

		"more bytes than the type":   {integers, tensor(2, []uint64{2, 2}, slices.Concat(varint(5, 257), varint(5, 1), varint(5, 0), varint(5, 5))), nil, ErrFormat},
		"a field of another type":    {integers, tensor(7, []uint64{2, 2}, field(5, 1, 2, 3, 0)), nil, ErrShape},
		"elements in two fields":     {ids, tensor(2, []uint64{4}, slices.Concat(field(5, 1, 2, 3, 4), field(9, 4, 3, 2, 1))), nil, ErrFormat},
		"a bracket too many":         {ids, []byte("[1,2,3,4]] [5]"), nil, ErrFormat},
		"a brace behind":             {ids, []byte("[1,2,3,4]}"), nil, ErrFormat},
		"digits that a double lacks": {large, []byte("[9007199254740993.0]"), nil, function.ErrInteger},
		"no double":                  {coarse, tensor(7, []uint64{2, 2}, slices.Concat(varint(7, 1<<53+1), varint(7, 1), varint(7, 0), varint(7, 5))), nil, ErrFormat},

		"another shape":       {integers, []byte("[1,2,3,4]"), nil, ErrShape},
		"ragged":              {integers, []byte("[[1,2],[3]]"), nil, ErrShape},
		"a list for a number": {integers, []byte("[[1,2],[3,[4]]]"), nil, ErrFormat},
		"empty":               {integers, []byte("[]"), nil, ErrShape},
		"nothing":             {integers, nil, nil, ErrFormat},
		"a fraction":          {integers, []byte("[[1,2],[3,0.5]]"), nil, function.ErrInteger},
		"out of range":        {integers, []byte("[[1,2],[3,6]]"), nil, function.ErrRange},
		"a truth value":       {ids, []byte("[true,0,0,0]"), nil, errAny},
		"too large a number":  {reals, []byte("[[1e999,0],[0,0]]"), nil, ErrFormat},
		"more behind":         {ids, []byte("[1,2,3,4] [5]"), nil, ErrFormat},
		"external data":       {ids, tensor(7, []uint64{4}, field(13, 0)), nil, ErrFormat},
		"too few":             {ids, tensor(7, []uint64{4}, field(7, 1, 2, 3)), nil, ErrShape},
		"no number":           {reals, tensor(1, []uint64{2, 2}, field(9, floats(float32(math.NaN()), 0, 0, 0)...)), nil, function.ErrNotFinite},
		"text":                {ids, []byte("hello"), nil, ErrFormat},
	} {
		got, err := Read(c.port, c.data)
		if c.err != nil {
			require.Error(t, err, name)
			require.True(t, c.err == errAny || errors.Is(err, c.err), "%s: %v", name, err)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
}

var errAny = errors.New("any")

// FuzzRead: whatever the bytes, there is an error or the elements of the port, each within its range; and what is shown of them is read as
// the same elements.
func FuzzRead(f *testing.F) {
	for i := range ports {
		for _, s := range []string{"[[[0.5,-1],[2,0.1]]]", "[1,2,3,4]", "[[1,2],[3,4]]", "[true,false,true,true]", "[1e400,0,0,0]", "[[]]", "[", "[[1,2],[3]]", "[1,2,3,4]x", "{}"} {
			f.Add(byte(i), []byte(s))
		}
		for _, kind := range []uint64{1, 2, 3, 5, 6, 7, 9, 11, 12} {
			f.Add(byte(i), tensor(kind, []uint64{4}, field(9, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0)))
			f.Add(byte(i), tensor(kind, []uint64{2, 2}, field(7, 1, 2, 3, 4)))
		}
		f.Add(byte(i), tensor(1, []uint64{1, 2, 2}, field(4, floats(1, 0.5, -0.25, 100)...)))
		f.Add(byte(i), tensor(1, []uint64{1 << 62, 4}, nil))
	}
	f.Fuzz(func(t *testing.T, which byte, data []byte) {
		p := ports[int(which)%len(ports)]
		got, err := Read(p, data)
		if err != nil {
			if got != nil || strings.TrimSpace(err.Error()) == "" {
				t.Fatalf("%v and %q", got, err)
			}
			return
		}
		if len(got) != circuit.Size(p.Shape) {
			t.Fatalf("%d elements of %v", len(got), p.Shape)
		}
		for _, x := range got {
			if x < p.Lo || x > p.Hi {
				t.Fatalf("%d is not in [%d, %d]", x, p.Lo, p.Hi)
			}
		}
		again, err := Read(p, []byte(Text(p, p.Shape, got)))
		if p.Hi < 1<<53 && (err != nil || !slices.Equal(got, again)) {
			t.Fatalf("%v is shown as %s, which is read as %v, %v", got, Text(p, p.Shape, got), again, err)
		}
	})
}

// Half precision, which exports of models often have, is named where it is refused.
func TestHalfPrecision(t *testing.T) {
	for kind, name := range map[uint64]string{10: "float16", 16: "bfloat16"} {
		_, err := Read(ports[0], tensor(kind, []uint64{2, 2}, field(9, 0, 0, 0, 0, 0, 0, 0, 0)))
		require.ErrorIs(t, err, ErrFormat)
		require.ErrorContains(t, err, "its elements are "+name+"; convert them to float32")
	}
}
