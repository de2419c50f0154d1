package onnx

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/internal/weights"
)

// none is the error of a compilation that somebody waits for.
func none() error { return nil }

// counted counts what is read of a file.
type counted struct {
	io.ReaderAt
	most, all int
}

func (c *counted) ReadAt(b []byte, at int64) (int, error) {
	c.most, c.all = max(c.most, len(b)), c.all+len(b)
	return c.ReaderAt.ReadAt(b, at)
}

// Cells in a file are those that a loaded tensor has, of every type, wherever they are read, and never more of the file is in memory than
// a part of fixed size.
func TestStoredCells(t *testing.T) {
	const n, offset = 100_003, 6
	for d, want := range map[DType]func(i int) float64{
		Float16:  func(i int) float64 { return halfToFloat(uint16(i % 0x7c00)) },
		BFloat16: func(i int) float64 { return bfloatToFloat(uint16(i % 0x7f80)) },
		Float32:  func(i int) float64 { return float64(float32(i) / 7) },
		Float64:  func(i int) float64 { return float64(i) / 7 },
	} {
		raw := make([]byte, offset)
		for i := range n {
			switch d {
			case Float16:
				raw = binary.LittleEndian.AppendUint16(raw, uint16(i%0x7c00))
			case BFloat16:
				raw = binary.LittleEndian.AppendUint16(raw, uint16(i%0x7f80))
			case Float32:
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(i)/7))
			case Float64:
				raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(float64(i)/7))
			}
		}
		file := &counted{ReaderAt: bytes.NewReader(raw)}
		s := &Stored{dtype: d, file: file, offset: offset, n: n}
		all, err := weights.All[float64](s)
		require.NoError(t, err)
		top := 0.0
		for i, x := range all {
			require.Equal(t, want(i), x, "%s %d", d, i)
			top = max(top, x)
		}
		require.Equal(t, len(raw)-offset, file.all)
		require.LessOrEqual(t, file.most, 1<<17)
		cells := make([]float64, 5)
		require.NoError(t, s.Read(cells, n-5))
		require.Equal(t, all[n-5:], cells)
		_, err = s.Largest(func() error { return io.ErrClosedPipe })
		require.ErrorIs(t, err, io.ErrClosedPipe, "nobody waits any more")
		file.all = 0
		for range 2 {
			largest, err := s.Largest(none)
			require.NoError(t, err)
			require.Equal(t, top, largest)
		}
		require.Equal(t, len(raw)-offset, file.all, "the largest cell is looked for once")
	}
	for _, x := range []float32{float32(math.NaN()), float32(math.Inf(-1))} {
		raw := binary.LittleEndian.AppendUint32(make([]byte, 8), math.Float32bits(x))
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(3))
		largest, err := (&Stored{dtype: Float32, file: bytes.NewReader(raw), n: 4}).Largest(none)
		require.NoError(t, err)
		require.True(t, math.IsInf(largest, 1))
	}
}

// A file of external data is not read before its cells are asked for. What has become of it since the model was read is an error that
// names the tensor and the place: it ends earlier, or it is another file by then.
func TestStoredFiles(t *testing.T) {
	const n = 5000
	external := func(offset string) *pb.TensorProto {
		return &pb.TensorProto{Name: "matrix", DataType: 1, Dims: []int64{n}, DataLocation: 1,
			ExternalData: []*pb.StringStringEntryProto{{Key: "location", Value: "data"}, {Key: "offset", Value: offset}}}
	}
	load := func(t *testing.T, size int, offset string) (string, *Tensor, error) {
		dir := t.TempDir()
		file := filepath.Join(dir, "data")
		require.NoError(t, os.WriteFile(file, make([]byte, size), 0o600))
		m := sample()
		m.Graph.Initializer = append(m.Graph.Initializer, external(offset))
		d, err := Decode(context.Background(), encode(t, m), dir)
		if err != nil {
			return file, nil, err
		}
		return file, d.Graph.Initializers[1], nil
	}
	_, _, err := load(t, 4*n+7, "8")
	require.EqualError(t, err, `initializer "matrix": external data: data has 20007 bytes, 20000 at offset 8 are needed`)

	file, w, err := load(t, 4*n+8, "8")
	require.NoError(t, err)
	require.Empty(t, w.F)
	require.Equal(t, n, w.Len())
	loaded, err := w.Loaded()
	require.NoError(t, err)
	require.Len(t, loaded.F, n)
	require.NoError(t, os.Truncate(file, 12))
	_, err = w.Loaded()
	require.EqualError(t, err, `tensor "matrix": 20000 bytes at offset 8 of its data: the file ends before them; leave the model's files as they are until it is compiled`)

	file, w, err = load(t, 4*n+8, "8")
	require.NoError(t, err)
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.Write([]byte{1})
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.ErrorContains(t, w.Stored.Read(make([]float64, 3), 10), `tensor "matrix": 12 bytes at offset 48 of its data: the file has changed since the model was read`)
	_, err = w.Stored.Largest(none)
	require.ErrorContains(t, err, "the file has changed")
}
