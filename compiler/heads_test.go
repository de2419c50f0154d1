package compiler

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/internal/test/synthetic"
	"github.com/zkllmc/zkllmc/ir"
)

// Heads whose width is no power of two, rotated or not, are proved: their axes are stored in parts.
func TestHeadsOfAnyWidth(t *testing.T) {
	for name, g := range map[string]*ir.Graph{
		"24 channels, rotary":       synthetic.Graph(2, 48, 2, 4, 20, 5),
		"24 channels, positions":    synthetic.GPT(2, 48, 2, 4, 20, 5),
		"three heads of 12":         synthetic.GPT(1, 36, 3, 5, 12, 6),
		"three heads of 80":         synthetic.GPT(1, 240, 3, 3, 5, 6),
		"two heads of 96":           synthetic.Graph(1, 192, 2, 3, 5, 6),
		"three heads of 8, 5 words": synthetic.Graph(1, 24, 3, 4, 5, 7),
	} {
		t.Run(name, func(t *testing.T) {
			r := compileGraph(t, g, narrow(Config{Reveal: map[string]string{"": "argmax"}}))
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

// One axis that is split as 3·5 and as 5·3, positions that are split, and a vocabulary that is, are proved: what no storage has both of is
// looked at through an equation between the parts.
func TestContradictorySplits(t *testing.T) {
	reshape := func(in, shape, out string) *pb.NodeProto { return op("Reshape", in+" "+shape, out) }
	turned := func(in, out, shape, flat string, perm ...int64) []*pb.NodeProto {
		return []*pb.NodeProto{reshape(in, shape, out+"0"), op("Transpose", out+"0", out+"1", intsAttr("perm", perm...)), reshape(out+"1", flat, out)}
	}
	for name, c := range map[string]struct {
		nodes  []*pb.NodeProto
		causal bool
	}{
		"3·5 and 5·3": {slices.Concat(turned("r", "a", "3x5", "15", 0, 2, 1), turned("r", "b", "5x3", "15", 0, 2, 1), []*pb.NodeProto{
			op("Add", "a b", "y"), op("MatMul", "y W", "logits")}), true},
		"through a function": {slices.Concat(turned("r", "a", "3x5", "15", 0, 2, 1), []*pb.NodeProto{op("Sigmoid", "a", "s")}, turned("s", "b", "3x5", "15", 0, 2, 1), []*pb.NodeProto{
			op("Mul", "b r", "y"), op("MatMul", "y W", "logits")}), true},
		"maxima of both": {slices.Concat(turned("r", "a", "3x5", "15", 0, 2, 1), turned("r", "b", "5x3", "15", 0, 2, 1), []*pb.NodeProto{
			op("Max", "a b", "y"), op("MatMul", "y W", "logits")}), true},
		"positions":      {slices.Concat(turned("r", "a", "4x3", "12x15", 1, 0, 2), []*pb.NodeProto{op("MatMul", "a W", "logits")}), false},
		"the vocabulary": {slices.Concat([]*pb.NodeProto{op("MatMul", "r W", "l")}, turned("l", "logits", "2x3", "12x6", 0, 2, 1)), true},
	} {
		t.Run(name, func(t *testing.T) {
			m := bigramModel(nil, matrix("E", 6, 15), matrix("W", 15, 6), int64s("3x5", 12, 3, 5), int64s("5x3", 12, 5, 3), int64s("15", 12, 15),
				int64s("4x3", 4, 3, 15), int64s("12x15", 12, 15), int64s("2x3", 12, 2, 3), int64s("12x6", 12, 6))
			m.Graph.Node = append([]*pb.NodeProto{op("Gather", "E ids", "e"), op("Relu", "e", "r")}, c.nodes...)
			m.Graph.Input[0].Type.GetTensorType().Shape.Dim[0].Value = &pb.TensorShapeProto_Dimension_DimValue{DimValue: 12}
			r := analysed(t, m)
			require.Equal(t, c.causal, r.Circuit.Generation != nil)
			report, err := r.Check(context.Background(), randomInputs(r, 4))
			require.NoError(t, err)
			require.Equal(t, report.Clear, report.ClearAgree)
			require.NoError(t, r.Prove(context.Background(), randomInputs(r, 1)...))
		})
	}
}
