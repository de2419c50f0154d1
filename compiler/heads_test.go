package compiler

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/test/synthetic"
	"github.com/zkllmc/zkllmc/ir"
)

// Heads whose width is no power of two, rotated or not, are proved: their axes are stored in parts.
func TestHeadsOfAnyWidth(t *testing.T) {
	for name, g := range map[string]*ir.Graph{
		"24 channels, rotary":       synthetic.Graph(2, 48, 2, 4, 20, 5),
		"24 channels, positions":    synthetic.GPT(2, 48, 2, 4, 20, 5),
		"three heads of 12":         synthetic.GPT(1, 36, 3, 5, 12, 6),
		"three heads of 8, 5 words": synthetic.Graph(1, 24, 3, 4, 5, 7),
	} {
		t.Run(name, func(t *testing.T) {
			r := compileGraph(t, g, Config{Reveal: map[string]string{"": "argmax"}})
			require.NotNil(t, r.Circuit.Generation)
			report, err := r.Check(context.Background(), randomInputs(r, 8))
			require.NoError(t, err)
			require.Equal(t, report.Clear, report.ClearAgree)
			require.NoError(t, r.Prove(context.Background(), randomInputs(r, 1)...))
		})
	}
}

// Slices with a stride and shifts by a position reach the circuit as equations between indices, and are proved.
func TestSlicesAreEquations(t *testing.T) {
	const T, D, V = 32, 24, 8
	zeros := func(name string, n int64) *pb.TensorProto {
		return &pb.TensorProto{Name: name, DataType: 1, Dims: []int64{n, D}, FloatData: make([]float32, n*D)}
	}
	for name, c := range map[string]struct {
		nodes []*pb.NodeProto
		where []string
	}{
		"the token before": {[]*pb.NodeProto{
			op("Slice", "r first last axis0", "past"), op("Concat", "row past", "y", intAttr("axis", 0)),
		}, []string{"i - j", "i - j - 1"}},
		"every third position, twice": {[]*pb.NodeProto{
			op("Slice", "r one end axis0 three", "third"), op("Concat", "third third rest", "y", intAttr("axis", 0)),
		}, []string{"3i - j + 1", "i - j", "i - j - 11"}},
	} {
		t.Run(name, func(t *testing.T) {
			nodes := append([]*pb.NodeProto{op("Gather", "E ids", "x"), op("Relu", "x", "r")}, c.nodes...)
			nodes = append(nodes, op("Add", "y x", "z"), op("MatMul", "z W", "logits"))
			m := bigramModel(nil, int64s("first", 0), int64s("last", T-1), int64s("one", 1), int64s("end", T), int64s("axis0", 0), int64s("three", 3),
				zeros("row", 1), zeros("rest", T-22), matrix("E", V, D), matrix("W", D, V))
			m.Graph.Node = nodes
			m.Graph.Input[0].Type.GetTensorType().Shape.Dim[0].Value = &pb.TensorShapeProto_Dimension_DimValue{DimValue: T}
			r := analysed(t, m)
			got := map[string]bool{}
			for i := range r.Circuit.Tensors {
				if x := &r.Circuit.Tensors[i]; x.Kind == circuit.Affine {
					offset, strides := x.Equation()
					got[circuit.Linear(offset, strides)] = true
				}
				require.False(t, r.Circuit.Tensors[i].Kind == circuit.Const && circuit.Size(r.Circuit.Tensors[i].Shape) > T, "a matrix is left")
			}
			report, err := r.Check(context.Background(), randomInputs(r, 4))
			require.NoError(t, err)
			require.Equal(t, report.Clear, report.ClearAgree)
			require.NoError(t, r.Prove(context.Background(), randomInputs(r, 1)...))
			for _, where := range c.where {
				require.True(t, got[where], "%s is not among %v", where, got)
			}
		})
	}
}
