package passes

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// encodeModel writes a model of the golden tests as a file.
func encodeModel(f *testing.F, m *onnx.Model) []byte {
	g := &pb.GraphProto{Name: m.Graph.Name}
	for _, in := range m.Graph.Inputs {
		shape := &pb.TensorShapeProto{}
		for _, d := range in.Dims {
			shape.Dim = append(shape.Dim, &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimValue{DimValue: d.Value}})
		}
		g.Input = append(g.Input, &pb.ValueInfoProto{Name: in.Name, Type: &pb.TypeProto{Value: &pb.TypeProto_TensorType{
			TensorType: &pb.TypeProto_Tensor{ElemType: int32(in.DType), Shape: shape}}}})
	}
	for _, o := range m.Graph.Outputs {
		g.Output = append(g.Output, &pb.ValueInfoProto{Name: o.Name})
	}
	for _, t := range m.Graph.Initializers {
		p := &pb.TensorProto{Name: t.Name, DataType: int32(t.DType), Int64Data: t.I}
		for _, d := range t.Shape {
			p.Dims = append(p.Dims, int64(d))
		}
		for _, x := range t.F {
			p.FloatData = append(p.FloatData, float32(x))
		}
		g.Initializer = append(g.Initializer, p)
	}
	for _, n := range m.Graph.Nodes {
		p := &pb.NodeProto{Name: n.Name, OpType: n.Op, Input: n.Inputs, Output: n.Outputs}
		for _, a := range n.Attrs {
			p.Attribute = append(p.Attribute, &pb.AttributeProto{Name: a.Name, Type: int32(a.Type), I: a.I, Ints: a.Ints})
		}
		g.Node = append(g.Node, p)
	}
	data, err := proto.Marshal(&pb.ModelProto{Graph: g, OpsetImport: []*pb.OperatorSetIdProto{{Version: 18}}})
	if err != nil {
		f.Fatal(err)
	}
	return data
}

// What lowering a file of some kilobytes may allocate and take; the budgets of the frontend, which allow any model masks and position
// tables of a few thousand tokens, are the larger part. The golden models take less than 10 MiB and 10 ms.
const (
	maxLower = 1 << 30
	maxTime  = 30 * time.Second
)

// FuzzLower: no file makes the compiler panic, hang or take memory beyond the bound, and what it lowers is a valid graph (Run verifies it).
func FuzzLower(f *testing.F) {
	for _, m := range []func() *onnx.Model{rmsnorm(0), layernorm, geluTanh, siluExp, attention("inf"), rope(false), rope(true), fused, grouped, tied} {
		f.Add(encodeModel(f, m()))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := onnx.Decode(context.Background(), data, "")
		if err != nil {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		stop := time.AfterFunc(maxTime, func() { panic(fmt.Sprintf("not done after %v", maxTime)) }) // the fuzz engine keeps the input
		g, err := Lower(m, Options{})
		stop.Stop()
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > maxLower {
			t.Fatalf("%d bytes allocated for a file of %d bytes", n, len(data))
		}
		if err == nil && len(g.Nodes) == 0 {
			t.Fatal("an empty graph without an error")
		}
	})
}
