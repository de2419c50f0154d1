package onnx

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// shared returns a folder of real inputs that live beside the repository, or skips the test.
func shared(t testing.TB, elem ...string) string {
	p := filepath.Join(append([]string{"..", "..", "..", "..", "shared", "onnx"}, elem...)...)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("%s is absent: this test reads files that are not part of the project", filepath.Join(elem...))
	}
	return p
}

func TestEveryRealFileDecodes(t *testing.T) {
	root := shared(t)
	models := 0
	err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch filepath.Ext(p) {
		case ".onnx":
			models++
			m, err := Load(context.Background(), p)
			if err != nil && strings.Contains(err.Error(), "element type int4 is not supported") {
				return nil
			}
			if err != nil {
				return err
			}
			if len(m.Graph.Nodes) == 0 {
				t.Errorf("%s: no nodes", p)
			}
		case ".pb":
			if _, err := LoadTensor(p); err != nil && !strings.Contains(err.Error(), "is not supported") && !strings.Contains(err.Error(), "TensorProto") {
				t.Error(err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d models", models)
}

func node(op, in, out string, attrs ...*pb.AttributeProto) *pb.NodeProto {
	n := &pb.NodeProto{OpType: op, Name: op + "_" + out, Attribute: attrs, Output: strings.Split(out, " ")}
	for _, s := range strings.Split(in, " ") {
		n.Input = append(n.Input, strings.Trim(s, "-")) // "-" is an absent input
	}
	return n
}

// sample is a small model with everything the topology has to survive: a reversed order, one tensor used twice, absent optional
// inputs and outputs, an initializer, a node without inputs.
func sample() *pb.ModelProto {
	return &pb.ModelProto{IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: 18}}, Graph: &pb.GraphProto{
		Name: "g",
		Node: []*pb.NodeProto{
			node("Clip", "y - w", "z"),
			node("Mul", "x x", "y"),
			{OpType: "Constant", Output: []string{"c"}},
			node("Dropout", "z c", "out -"),
		},
		Input:       []*pb.ValueInfoProto{{Name: "x"}, {Name: "w"}},
		Output:      []*pb.ValueInfoProto{{Name: "out"}},
		Initializer: []*pb.TensorProto{{Name: "w", DataType: 1, FloatData: []float32{3}}},
	}}
}

func encode(t testing.TB, m proto.Message) []byte {
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTopology(t *testing.T) {
	m, err := Decode(context.Background(), encode(t, sample()), "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range m.Graph.Nodes {
		got = append(got, n.Name+"("+strings.Join(n.Inputs, ",")+")")
	}
	want := "Mul_y(x,x) Clip_z(y,,w) Constant#2() Dropout_out -(z,c)"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

func TestElementTypes(t *testing.T) {
	le := binary.LittleEndian
	cases := []struct {
		p    *pb.TensorProto
		want []float64
	}{
		{&pb.TensorProto{DataType: 21, Dims: []int64{3}, RawData: []byte{0xf1, 0x02}}, []float64{1, 15, 2}},
		{&pb.TensorProto{DataType: 22, Dims: []int64{3}, Int32Data: []int32{0xf1, 0x08}}, []float64{1, -1, -8}},
		{&pb.TensorProto{DataType: 26, Dims: []int64{5}, RawData: []byte{0b11_10_01_00, 3}}, []float64{0, 1, -2, -1, -1}},
		{&pb.TensorProto{DataType: 1, Dims: []int64{2}, FloatData: []float32{1, -2}}, []float64{1, -2}},
		{&pb.TensorProto{DataType: 1, Dims: []int64{1}, RawData: le.AppendUint32(nil, math.Float32bits(1.5))}, []float64{1.5}},
		{&pb.TensorProto{DataType: 10, Dims: []int64{4}, Int32Data: []int32{0x3c00, 0xc000, 1, 0xfc00}}, []float64{1, -2, math.Ldexp(1, -24), math.Inf(-1)}},
		{&pb.TensorProto{DataType: 16, Dims: []int64{1}, RawData: []byte{0x80, 0x3f}}, []float64{1}},
		{&pb.TensorProto{DataType: 11, Dims: []int64{1}, DoubleData: []float64{0.1}}, []float64{0.1}},
		{&pb.TensorProto{DataType: 3, Dims: []int64{2}, RawData: []byte{0xff, 2}}, []float64{-1, 2}},
		{&pb.TensorProto{DataType: 2, Dims: []int64{1}, RawData: []byte{0xff}}, []float64{255}},
		{&pb.TensorProto{DataType: 9, Dims: []int64{2}, RawData: []byte{0, 7}}, []float64{0, 1}},
		{&pb.TensorProto{DataType: 7, Dims: []int64{1}, RawData: le.AppendUint64(nil, math.MaxUint64)}, []float64{-1}},
		{&pb.TensorProto{DataType: 6, Dims: []int64{1}, Int32Data: []int32{-7}}, []float64{-7}},
		{&pb.TensorProto{DataType: 12, Dims: []int64{1}, Uint64Data: []uint64{7}}, []float64{7}},
		{&pb.TensorProto{DataType: 1, Dims: []int64{0, 4}}, nil},
	}
	for _, c := range cases {
		x, err := DecodeTensor(encode(t, c.p))
		if err != nil {
			t.Errorf("%v: %v", c.p, err)
			continue
		}
		got := x.F
		for _, i := range x.I {
			got = append(got, float64(i))
		}
		if len(got) != len(c.want) {
			t.Errorf("%v: got %v", c.p, got)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%v: got %v, want %v", c.p, got, c.want)
			}
		}
	}
}

func TestBadTensors(t *testing.T) {
	cases := map[string]*pb.TensorProto{
		"needs 1099511627776 cells":     {DataType: 1, Dims: []int64{1 << 20, 1 << 20}, RawData: make([]byte, 16)},
		"is too large":                  {DataType: 1, Dims: []int64{1 << 30, 1 << 30, 1 << 30}},
		"axis 0 has extent -1":          {DataType: 1, Dims: []int64{-1}},
		"element type string":           {DataType: 8, Dims: []int64{1}},
		"needs 2 cells, the data has 1": {DataType: 1, Dims: []int64{2}, FloatData: []float32{1}},
		"needs 3 cells, 2 bytes":        {DataType: 21, Dims: []int64{3}, RawData: []byte{1}},
		"needs 3 cells, the data has 3": {DataType: 21, Dims: []int64{3}, Int32Data: []int32{1, 2, 3}},
		"load the model from its file":  {DataType: 1, Dims: []int64{1}, DataLocation: 1},
	}
	for want, p := range cases {
		p.Name = "weight"
		_, err := DecodeTensor(encode(t, p))
		if err == nil || !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), "too large") || !strings.Contains(err.Error(), "weight") {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestBadModels(t *testing.T) {
	cases := map[string]func(g *pb.GraphProto){
		"has no nodes":                  func(g *pb.GraphProto) { g.Node = nil },
		"has no outputs":                func(g *pb.GraphProto) { g.Output = nil },
		"has a cycle":                   func(g *pb.GraphProto) { g.Node[1].Input[0] = "z" },
		"is produced by node":           func(g *pb.GraphProto) { g.Node[0].Output[0] = "y" },
		"initializers are called":       func(g *pb.GraphProto) { g.Initializer = append(g.Initializer, g.Initializer[0]) },
		`initializer "w": element type`: func(g *pb.GraphProto) { g.Initializer[0].DataType = 8 },
		`"m (loop 1, iteration 0)"`:     func(g *pb.GraphProto) { g.Node[0].Output[0] = "m (loop 1, iteration 0)" },
		`graph "g": a tensor is called`: func(g *pb.GraphProto) { g.Initializer[0].Name = "w (loop 2, node 1)" },
		"sparse":                        func(g *pb.GraphProto) { g.SparseInitializer = []*pb.SparseTensorProto{{}} },
	}
	for want, change := range cases {
		m := sample()
		change(m.Graph)
		if _, err := Decode(context.Background(), encode(t, m), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if _, err := Decode(context.Background(), []byte("not a model"), ""); err == nil {
		t.Error("garbage is accepted")
	}
}

func TestExternalData(t *testing.T) {
	outer := t.TempDir()
	dir := filepath.Join(outer, "model")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(path string, data []byte) {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw := binary.LittleEndian.AppendUint32(make([]byte, 4), math.Float32bits(2.5))
	write(filepath.Join(dir, "w.bin"), raw)
	write(filepath.Join(outer, "secret.bin"), raw)
	if err := os.Symlink(filepath.Join(outer, "secret.bin"), filepath.Join(dir, "link.bin")); err != nil {
		t.Fatal(err)
	}
	load := func(location, offset string) (*Model, error) {
		m := sample()
		m.Graph.Initializer[0] = &pb.TensorProto{Name: "w", DataType: 1, DataLocation: 1, ExternalData: []*pb.StringStringEntryProto{
			{Key: "location", Value: location}, {Key: "offset", Value: offset}}}
		write(filepath.Join(dir, "model.onnx"), encode(t, m))
		return Load(context.Background(), filepath.Join(dir, "model.onnx"))
	}
	m, err := load("w.bin", "4")
	if err != nil || m.Graph.Initializers[0].F[0] != 2.5 {
		t.Fatalf("%v %v", m, err)
	}
	for _, c := range [][2]string{{"../secret.bin", "0"}, {"/etc/hostname", "0"}, {"link.bin", "0"}, {"w.bin", "5"}, {"w.bin", "-1"}, {"w.bin", "x"}, {"absent", "0"}} {
		if _, err := load(c[0], c[1]); err == nil || !strings.Contains(err.Error(), `"w"`) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

// TestManyEdges gives a node so many inputs and outputs that connecting each with each would take gigabytes.
func TestManyEdges(t *testing.T) {
	m := sample()
	for i := range 10000 {
		m.Graph.Node[0].Input = append(m.Graph.Node[0].Input, "x")
		m.Graph.Node[0].Output = append(m.Graph.Node[0].Output, strconv.Itoa(i))
	}
	if _, err := Decode(context.Background(), encode(t, m), ""); err == nil || !strings.Contains(err.Error(), "10000 outputs") && !strings.Contains(err.Error(), "10001 outputs") {
		t.Error(err)
	}
}

// TestExternalDataReadOften lets many tensors be the same file, under several names.
func TestExternalDataReadOften(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "w.bin"), make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("w.bin", filepath.Join(dir, "v.bin")); err != nil {
		t.Skip(err)
	}
	for tensors, want := range map[int]bool{maxReads: true, maxReads + 1: false} {
		m := sample()
		for i := range tensors {
			m.Graph.Initializer = append(m.Graph.Initializer, &pb.TensorProto{Name: strconv.Itoa(i), DataType: 3, Dims: []int64{4096}, DataLocation: 1,
				ExternalData: []*pb.StringStringEntryProto{{Key: "location", Value: []string{"w.bin", "./w.bin", "v.bin"}[i%3]}}})
		}
		if _, err := Decode(context.Background(), encode(t, m), dir); (err == nil) != want {
			t.Errorf("%d tensors: %v", tensors, err)
		}
	}
}

// A model whose initializers have more cells than memory may hold is refused by their shapes alone: no file of external data is opened, of
// which there is none here. Real numbers in such files do not count: they are not held.
func TestTooManyCells(t *testing.T) {
	for _, c := range []struct {
		rows  int64
		dtype DType
		want  string
	}{
		{1 << 14, Int8, `initializer "1": with it 2147483649 cells, more than 2^31, would be held in memory`},
		{1<<14 - 1, Int8, "external data: "},
		{1 << 14, Float16, "external data: "},
	} {
		m := sample()
		for i := range 2 {
			m.Graph.Initializer = append(m.Graph.Initializer, &pb.TensorProto{Name: strconv.Itoa(i), DataType: int32(c.dtype), Dims: []int64{c.rows, 1 << 16}, DataLocation: 1,
				ExternalData: []*pb.StringStringEntryProto{{Key: "location", Value: "w.bin"}}})
		}
		if _, err := Decode(context.Background(), encode(t, m), t.TempDir()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d rows of %s: %v", c.rows, c.dtype, err)
		}
	}
}
