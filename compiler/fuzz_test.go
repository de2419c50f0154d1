package compiler

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// decoderModel is bigramModel with one layer of attention under a mask that the graph builds, and one normalised, gated MLP, spelled
// out as exporters do. It has the operators whose shapes and constants a hostile file would bend.
func decoderModel() *pb.ModelProto {
	half := intAttr("axis", 1)
	nodes := []*pb.NodeProto{
		op("MatMul", "x wq", "q"), op("MatMul", "x wk", "k"), op("MatMul", "x wv", "v"),
		op("Transpose", "k", "kt", &pb.AttributeProto{Name: "perm", Type: 7, Ints: []int64{1, 0}}), op("MatMul", "q kt", "s"),
		op("Shape", "ids", "n"), op("Concat", "n n", "nn", intAttr("axis", 0)), op("ConstantOfShape", "nn", "full"),
		op("Range", "zero0 four one0", "r"), op("Unsqueeze", "r ax1", "rows"), op("Less", "rows r", "later"),
		op("Where", "later low full", "mask"), op("Add", "s mask", "sm"), op("Softmax", "sm", "p"), op("MatMul", "p v", "o"),
		op("Add", "x o", "x1"), op("Mul", "x1 x1", "sq"), op("ReduceMean", "sq ax1", "ms"), op("Add", "ms eps", "me"), op("Sqrt", "me", "rt"),
		op("Div", "x1 rt", "nx"), op("MatMul", "nx wu", "up"), op("Split", "up two", "ga gb", half), op("Sigmoid", "ga", "sg"),
		op("Mul", "ga sg", "si"), op("Mul", "si gb", "gm"), op("Slice", "gm zero one ax1", "left"), op("Slice", "gm one three ax1", "right"),
		op("Concat", "left right", "cat", half), op("Reshape", "cat sh", "rs"), op("Squeeze", "rs ax0", "sz"), op("Add", "x1 sz", "y"),
	}
	scalar := func(name string, v int64) *pb.TensorProto { t := int64s(name, v); t.Dims = nil; return t }
	real := func(name string, v float32) *pb.TensorProto {
		return &pb.TensorProto{Name: name, DataType: 1, FloatData: []float32{v}}
	}
	return bigramModel(nodes, matrix("wq", 3, 3), matrix("wk", 3, 3), matrix("wv", 3, 3), matrix("wu", 3, 6), int64s("ax0", 0), int64s("ax1", 1),
		int64s("two", 3, 3), int64s("zero", 0), int64s("one", 1), int64s("three", 3), int64s("sh", 1, 4, 3),
		scalar("zero0", 0), scalar("four", 4), scalar("one0", 1), real("eps", 1e-5), real("low", float32(math.Inf(-1))))
}

// The values that are put in the place of others. What lies between 2^17 and 2^28 is left to TestHostileModels: a folded constant of
// that size is lawful today and takes seconds.
var (
	wild       = []int64{-1, 0, 1, 2, 3, 4, 6, -2, 1 << 16, 1<<31 - 1, 1 << 31, 1 << 40, 1 << 62, math.MaxInt64, math.MinInt64}
	wildFloats = []float32{0, 1, -1, 1e-38, 1e38, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}
	wildTypes  = []int32{0, 1, 2, 3, 6, 7, 9, 10, 11, 16, 8, 99}
	wildOps    = []string{"Add", "Sub", "Mul", "Div", "Pow", "Mod", "MatMul", "Gemm", "Einsum", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose",
		"Expand", "Tile", "Shape", "Size", "Constant", "ConstantOfShape", "Range", "Trilu", "EyeLike", "Slice", "Split", "Gather", "Concat",
		"GatherND", "GatherElements", "ScatterND", "CumSum", "NonZero", "ReduceSum", "ReduceMean", "ReduceMax", "ReduceProd", "ReduceL2", "Where", "Clip",
		"Cast", "Softmax", "LayerNormalization", "Gelu", "Relu", "Sigmoid", "Tanh", "Erf", "Sqrt", "Reciprocal", "Exp", "Log", "Neg", "IsNaN", "Identity",
		"DequantizeLinear", "If", "Loop", "Less", "Equal", "And", "Not", "Dropout", "RotaryEmbedding", "RMSNormalization", "Attention"}
	wildAttrs = []string{"axis", "axes", "perm", "to", "keepdims", "starts", "ends", "steps", "split", "repeats", "shape", "allowzero", "k", "upper",
		"transA", "transB", "noop_with_empty_axes", "start", "end", "batch_dims", "num_outputs", "epsilon", "dtype", "value", "value_ints"}
)

// changes is the number of kinds that change knows.
const changes = 20

// change applies one change to a model; a and b choose where and what.
func change(m *pb.ModelProto, kind byte, a, b int) {
	g := m.Graph
	if len(g.Node) == 0 || len(g.Initializer) == 0 {
		return
	}
	n, t := g.Node[a%len(g.Node)], g.Initializer[a%len(g.Initializer)]
	names := tensorNames(g)
	switch kind % changes {
	case 0:
		n.OpType = wildOps[b%len(wildOps)]
	case 1:
		if len(n.Input) > 0 {
			n.Input[b%len(n.Input)] = names[b/8%len(names)]
		}
	case 2:
		n.Input = append(n.Input, names[b%len(names)])
	case 3:
		v := wild[b%len(wild)]
		n.Attribute = append([]*pb.AttributeProto{{Name: wildAttrs[b/16%len(wildAttrs)], Type: int32(2 + 5*(b/512%2)), I: v, Ints: []int64{v, 0}[:1+b/1024%2]}}, n.Attribute...)
	case 4:
		if len(t.Int64Data) > 0 {
			t.Int64Data[b/16%len(t.Int64Data)] = wild[b%len(wild)]
		}
	case 5:
		t.Dims = append([]int64{wild[b%len(wild)]}, t.Dims...)
	case 6:
		if len(t.Dims) > 0 {
			t.Dims[b/16%len(t.Dims)] = wild[b%len(wild)]
		}
	case 7:
		t.DataType = wildTypes[b%len(wildTypes)]
	case 8:
		if len(t.FloatData) > 0 {
			t.FloatData[b/8%len(t.FloatData)] = wildFloats[b%len(wildFloats)]
		}
	case 9:
		g.Node = append(g.Node[:a%len(g.Node)], g.Node[a%len(g.Node)+1:]...)
	case 10: // the node once more, with results of its own, which b's input now takes
		double := proto.Clone(n).(*pb.NodeProto)
		for i := range double.Output {
			double.Output[i] += "'"
		}
		g.Node = append(g.Node, double)
		if user := g.Node[b%len(g.Node)]; len(user.Input) > 0 && len(double.Output) > 0 {
			user.Input[0] = double.Output[0]
		}
	case 11:
		wrap(n, b)
	case 12:
		changeFrame(m, a, b)
	default:
		rewire(m, kind%changes, a, b)
	}
}

// rewire applies the changes that leave every node and tensor what it is and connect them otherwise, or store them otherwise.
func rewire(m *pb.ModelProto, kind byte, a, b int) {
	g := m.Graph
	n, t, other := g.Node[a%len(g.Node)], g.Initializer[a%len(g.Initializer)], g.Node[b%len(g.Node)]
	switch kind {
	case 13: // two inputs swapped
		if k := len(n.Input); k > 0 {
			n.Input[b%k], n.Input[b/8%k] = n.Input[b/8%k], n.Input[b%k]
		}
	case 14: // a cycle, if the other node comes later
		if len(n.Input) > 0 && len(other.Output) > 0 {
			n.Input[b/64%len(n.Input)] = other.Output[0]
		}
	case 15: // the node once more with the same results
		g.Node = append(g.Node, proto.Clone(n).(*pb.NodeProto))
	case 16: // the results of two nodes swapped
		n.Output, other.Output = other.Output, n.Output
	case 17: // one more name for the tensor, or the same name twice
		double := proto.Clone(t).(*pb.TensorProto)
		if b%2 == 0 {
			double.Name = tensorNames(g)[b/2%len(tensorNames(g))]
		}
		g.Initializer = append(g.Initializer, double)
	case 18: // the cells in another field, or in a file
		t.RawData = make([]byte, b%64)
		t.DataLocation = int32(b / 64 % 2)
		t.ExternalData = []*pb.StringStringEntryProto{{Key: "location", Value: "model.onnx"}}
	case 19: // the node as a function that the model calls instead of it, or that calls itself
		f := &pb.FunctionProto{Name: "f", Domain: "d", Input: n.Input, Output: n.Output, OpsetImport: m.OpsetImport, Node: []*pb.NodeProto{proto.Clone(n).(*pb.NodeProto)}}
		n.OpType, n.Domain, n.Attribute = "f", "d", nil
		if b%4 == 0 {
			f.Node[0].OpType, f.Node[0].Domain = "f", "d"
		}
		m.Functions = append(m.Functions, f)
		m.OpsetImport = append(m.OpsetImport, &pb.OperatorSetIdProto{Domain: "d", Version: 1})
	}
}

// wrap puts a node into both branches of an If, or of a Loop.
func wrap(n *pb.NodeProto, b int) {
	inner := proto.Clone(n).(*pb.NodeProto)
	body := &pb.GraphProto{Name: "body", Node: []*pb.NodeProto{inner}}
	for _, o := range inner.Output {
		body.Output = append(body.Output, &pb.ValueInfoProto{Name: o})
	}
	n.OpType, n.Input = "If", []string{"later"}
	n.Attribute = []*pb.AttributeProto{{Name: "then_branch", Type: 5, G: body}, {Name: "else_branch", Type: 5, G: body}}
	if b%4 == 0 {
		n.OpType, n.Attribute[0].Name = "Loop", "body"
	}
	if b%4 == 1 {
		n.Input[0] = "one"
	}
}

// changeFrame changes what stands around the nodes: the declared input and output, the version of the operators.
func changeFrame(m *pb.ModelProto, a, b int) {
	in := m.Graph.Input[0].Type.GetTensorType()
	dim := &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimValue{DimValue: wild[b%len(wild)]}}
	if dim.GetDimValue() == 1<<16 {
		dim = &pb.TensorShapeProto_Dimension{} // a long input is no mistake, only slow
	}
	switch a % 5 {
	case 0:
		in.Shape.Dim[b/16%len(in.Shape.Dim)] = dim
	case 1:
		in.Shape.Dim = append(in.Shape.Dim, dim)
	case 2:
		in.ElemType = wildTypes[b%len(wildTypes)]
	case 3:
		m.OpsetImport[0].Version = wild[b%len(wild)]
	case 4:
		names := tensorNames(m.Graph)
		m.Graph.Output[0].Name = names[b%len(names)]
	}
}

// tensorNames are the names that a node could take as an input, and two that it could not.
func tensorNames(g *pb.GraphProto) []string {
	names := []string{"", "nowhere"}
	for _, in := range g.Input {
		names = append(names, in.Name)
	}
	for _, t := range g.Initializer {
		names = append(names, t.Name)
	}
	for _, n := range g.Node {
		names = append(names, n.Output...)
	}
	return names
}

// Bounds of one compilation in FuzzCompile. The unchanged model takes 0.1 s and 60 MiB.
const (
	fuzzTime   = 30 * time.Second
	fuzzMemory = 512 << 20
)

// FuzzCompile changes up to eight places of a small decoder and compiles it: no panic, no hang, no memory beyond its size, and every
// error is one about the model.
func FuzzCompile(f *testing.F) {
	f.Add([]byte{})
	for kind := range byte(changes) {
		for i := range byte(4) {
			f.Add([]byte{kind, 0, 5 * i, i, 37 * i, kind, 1, 7 * i, 0, i})
		}
	}
	base := decoderModel()
	if _, err := bounded(f, base); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, edits []byte) {
		m := proto.Clone(base).(*pb.ModelProto)
		for k := 0; k < 8 && len(edits) >= 5; k++ {
			change(m, edits[0], int(binary.BigEndian.Uint16(edits[1:])), int(binary.BigEndian.Uint16(edits[3:])))
			edits = edits[5:]
		}
		n, err := bounded(t, m)
		if err != nil && !aboutTheModel(err) {
			t.Fatalf("not an error about the model: %v", err)
		}
		if n > fuzzMemory {
			t.Fatalf("%d bytes allocated, the bound is %d", n, fuzzMemory)
		}
	})
}

// aboutTheModel says whether an error has the exit code of a model that cannot be compiled.
func aboutTheModel(err error) bool { return errors.Is(err, ErrUnsupported) }

// bounded compiles a model within the time bound and returns what that allocated. A panic is an error of no known class.
func bounded(t testing.TB, m *pb.ModelProto) (uint64, error) {
	data, err := proto.Marshal(m)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	file := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				buf := make([]byte, 1<<14)
				done <- fmt.Errorf("panic: %v\n%s", r, buf[:runtime.Stack(buf, false)])
			}
		}()
		_, err := Compile(context.Background(), file, Config{ImportPath: "example.com/m"})
		done <- err
	}()
	select {
	case err = <-done:
	case <-time.After(fuzzTime):
		buf := make([]byte, 1<<16)
		t.Fatalf("not done after %v\n%s", fuzzTime, buf[:runtime.Stack(buf, true)])
	}
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, err
}
