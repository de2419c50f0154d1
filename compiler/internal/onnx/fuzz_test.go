package onnx

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// What decoding may allocate and take. A node without anything is two bytes of a file, which become a node of each of three graphs and a
// key of some maps, and the edges of checkEdges; a cell of one byte becomes a word. The slack is mostly for the edges that any model may
// have.
const (
	slackBytes = 32 << 20
	perByte    = 4096
	maxTime    = 20 * time.Second // on an idle core all is done in milliseconds
)

// bounded runs f within the bounds for size bytes of input.
func bounded(t *testing.T, size int, f func()) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	f()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > slackBytes+perByte*uint64(size) {
		t.Fatalf("%d bytes allocated for %d bytes", n, size)
	}
	if d := time.Since(begin); d > maxTime {
		t.Fatalf("%d bytes took %v", size, d)
	}
}

// cellsOf checks that a tensor has as many cells as its shape says.
func cellsOf(t *testing.T, x *Tensor) {
	n := 1
	for _, d := range x.Shape {
		n *= d
	}
	if n != x.Len() || len(x.Shape) > 32 {
		t.Fatalf("tensor %q: shape %v with %d cells", x.Name, x.Shape, x.Len())
	}
}

// FuzzDecode: a model file is decoded or refused within the bounds. The nodes of what is decoded are in an order in which each tensor is
// made before it is used, and tensors have as many cells as their shapes say.
func FuzzDecode(f *testing.F) {
	f.Add(encode(f, sample()))
	m := sample()
	m.Graph.Node = append(m.Graph.Node, &pb.NodeProto{OpType: "If", Input: []string{"c"}, Output: []string{"i"},
		Attribute: []*pb.AttributeProto{{Name: "then_branch", Type: 5, G: sample().Graph}}})
	m.Functions = []*pb.FunctionProto{{Name: "f", Node: sample().Graph.Node}}
	f.Add(encode(f, m))
	m = sample()
	for i := range 60 {
		m.Graph.Node[0].Input = append(m.Graph.Node[0].Input, "x")
		m.Graph.Node[0].Output = append(m.Graph.Node[0].Output, fmt.Sprint(i))
		m.Graph.Node = append(m.Graph.Node, &pb.NodeProto{})
	}
	f.Add(encode(f, m))
	f.Add([]byte{})
	f.Add([]byte{0x3a, 0x00})
	f.Fuzz(func(t *testing.T, data []byte) {
		var m *Model
		var err error
		bounded(t, len(data), func() { m, err = Decode(context.Background(), data, "") })
		if err != nil {
			return
		}
		for _, x := range m.Graph.Initializers {
			cellsOf(t, x)
		}
		made := map[string]bool{}
		for _, n := range slices.Backward(m.Graph.Nodes) {
			for _, o := range n.Outputs {
				made[o] = o != ""
			}
			for _, in := range n.Inputs {
				if made[in] {
					t.Fatalf("%q is used before it is made", in)
				}
			}
		}
	})
}

// FuzzDecodeTensor does the same for files of one tensor.
func FuzzDecodeTensor(f *testing.F) {
	f.Add(encode(f, &pb.TensorProto{DataType: 1, Dims: []int64{2}, FloatData: []float32{1, -2}}))
	f.Add(encode(f, &pb.TensorProto{DataType: 10, Dims: []int64{1}, RawData: []byte{1, 2}}))
	f.Add(encode(f, &pb.TensorProto{DataType: 9, Dims: []int64{1 << 20, 1 << 20}, RawData: []byte{1, 2}}))
	f.Add(encode(f, &pb.TensorProto{DataType: 7, Dims: []int64{0, 1 << 40}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var x *Tensor
		var err error
		bounded(t, len(data), func() { x, err = DecodeTensor(data) })
		if err == nil {
			cellsOf(t, x)
		}
	})
}

// The files of FuzzExternal: what may be read is of one letter, which the secret does not hold.
const (
	secret   = "secret"
	fileSize = 600
)

// externalFolder makes a model's folder with a file in it, one below it, one beside it and a link to that.
func externalFolder(f *testing.F) string {
	outer := f.TempDir()
	dir := filepath.Join(outer, "model")
	if err := os.MkdirAll(filepath.Join(dir, "below"), 0o755); err != nil {
		f.Fatal(err)
	}
	content := strings.Repeat("w", fileSize)
	for name, data := range map[string]string{"secret.bin": strings.Repeat(secret, fileSize), "model/w.bin": content, "model/below/w.bin": content} {
		if err := os.WriteFile(filepath.Join(outer, filepath.FromSlash(name)), []byte(data), 0o600); err != nil {
			f.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join("..", "secret.bin"), filepath.Join(dir, "link.bin")); err != nil {
		f.Log(err) // the location is tried all the same
	}
	return dir
}

// externalModel is a model with a number of tensors that are said to lie in a file. An empty offset or length is not said.
func externalModel(tensors, kind int, dims []int64, location, offset, length string) *pb.ModelProto {
	entries := []*pb.StringStringEntryProto{{Key: "location", Value: location}}
	if offset != "" {
		entries = append(entries, &pb.StringStringEntryProto{Key: "offset", Value: offset})
	}
	if length != "" {
		entries = append(entries, &pb.StringStringEntryProto{Key: "length", Value: length})
	}
	m := sample()
	for i := range tensors {
		m.Graph.Initializer = append(m.Graph.Initializer, &pb.TensorProto{Name: fmt.Sprint(i), DataType: int32(kind), Dims: dims, DataLocation: 1, ExternalData: entries})
	}
	return m
}

// FuzzExternal loads a model some of whose tensors are said to lie in a file of its folder, at any place and of any size. What is read is
// a part of that file; what lies outside of the folder is never read, whatever the location.
func FuzzExternal(f *testing.F) {
	dir := externalFolder(f)
	for _, location := range []string{"w.bin", "below/../w.bin", "below/w.bin", "../secret.bin", "link.bin", "below", ".", "", "/etc/passwd", "C:\\secret.bin", "w.bin\x00", "below\\w.bin"} {
		f.Add(location, "8", "", int64(4), int64(2), byte(1), byte(1))
		f.Add(location, "", "8", int64(1), int64(8), byte(0), byte(9))
	}
	for _, number := range []string{"-1", "601", "600", "9223372036854775807", "1e3", "0x10", "+0", " 1", "99999999999999999999"} {
		f.Add("w.bin", number, "", int64(1), int64(1), byte(2), byte(2))
		f.Add("w.bin", "0", number, int64(600), int64(1), byte(2), byte(3))
	}
	f.Add("w.bin", "0", "", int64(1<<31-1), int64(1<<31-1), byte(7), byte(1))
	f.Add("w.bin", "0", "600", int64(600), int64(1), byte(2), byte(200))
	f.Fuzz(func(t *testing.T, location, offset, length string, rows, cols int64, kind, tensors byte) {
		location, offset, length = strings.ToValidUTF8(location, "?"), strings.ToValidUTF8(offset, "?"), strings.ToValidUTF8(length, "?") // else it is no protobuf
		data := encode(t, externalModel(int(tensors), int(kind)%17, []int64{rows, cols}, location, offset, length))
		file := filepath.Join(dir, "model.onnx")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var m *Model
		var err error
		bounded(t, maxReads*fileSize+len(data), func() { m, err = Load(context.Background(), file) })
		if err != nil {
			return
		}
		for _, x := range m.Graph.Initializers {
			cellsOf(t, x)
			if x.Name != "w" && filepath.Base(location) != "model.onnx" && x.DType == Uint8 && slices.ContainsFunc(x.I, func(v int64) bool { return v != 'w' }) {
				t.Fatalf("%q: cells %v are not in the file", location, x.I)
			}
		}
	})
}
