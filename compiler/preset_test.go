package compiler

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/ir"
)

// open is an input with symbols for the extents that are words.
func open(name string, dtype int32, dims ...any) *pb.ValueInfoProto {
	v := port(name, dtype)
	shape := v.Type.GetTensorType().Shape
	for _, d := range dims {
		if symbol, ok := d.(string); ok {
			shape.Dim = append(shape.Dim, &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimParam{DimParam: symbol}})
		} else {
			shape.Dim = append(shape.Dim, &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimValue{DimValue: int64(d.(int))}})
		}
	}
	return v
}

// cached is one head of attention with what exporters give a decoder: a mask, positions and a cache.
func cached() *pb.ModelProto {
	return portsModel([]*pb.ValueInfoProto{
		open("input_ids", int64sOf, "batch", "sequence"), open("attention_mask", int64sOf, "batch", "total"), open("position_ids", int64sOf, "batch", "sequence"),
		open("past_key_values.0.key", float32s, "batch", "past", 4),
	}, []string{"logits", "present"}, []*pb.NodeProto{
		op("Gather", "W input_ids", "words"), op("Gather", "P position_ids", "places"), op("Add", "words places", "x"),
		op("Concat", "past_key_values.0.key x", "present", intAttr("axis", 1)), op("Transpose", "present", "t", intsAttr("perm", 0, 2, 1)), op("MatMul", "x t", "s"),
		op("Cast", "attention_mask", "m", intAttr("to", 1)), op("Sub", "one m", "h"), op("Mul", "h low", "l"), op("Unsqueeze", "l axis", "u"), op("Add", "s u", "scores"),
		op("Softmax", "scores", "p"), op("MatMul", "p present", "y"), op("MatMul", "y V", "logits"),
	}, matrix("W", 9, 4), matrix("P", 6, 4), matrix("V", 4, 9), scalarOf("one", 1), scalarOf("low", -10000), int64s("axis", 1))
}

// A preset settles what an export leaves open; flags count before it.
func TestPresets(t *testing.T) {
	ctx, file := context.Background(), write(t, cached())
	_, err := Analyse(ctx, file, narrow(Config{}))
	require.ErrorContains(t, err, "fix them with --dim sequence=N --dim total=N --dim past=N, or give lengths for one")
	_, err = Analyse(ctx, file, narrow(Config{Dims: map[string]int{"sequence": 5, "total": 5, "past": 0}}))
	require.ErrorContains(t, err, "--range attention_mask=LO:HI")
	r, err := compileFile(ctx, file, narrow(Config{Preset: "decoder", Dims: map[string]int{"sequence": 5}}))
	require.NoError(t, err)
	require.Len(t, r.float.Inputs, 1)
	require.Equal(t, "input_ids", r.float.Inputs[0].Name)
	require.Len(t, r.float.Outputs, 1)
	r, err = compileFile(ctx, file, narrow(Config{Preset: "encoder", Dims: map[string]int{"sequence": 5, "total": 5, "past": 0}, Outputs: []string{"logits"}}))
	require.NoError(t, err)
	require.Len(t, r.float.Inputs, 2)
	fixed, err := compileFile(ctx, file, narrow(Config{Outputs: []string{"logits"}, Dims: map[string]int{"sequence": 5, "total": 5, "past": 0},
		Fix: map[string]string{"attention_mask": "1", "position_ids": "arange"}}))
	require.NoError(t, err)
	same, err := compileFile(ctx, file, narrow(Config{Outputs: []string{"logits"}, Dims: map[string]int{"sequence": 5, "total": 5, "past": 0},
		Fix: map[string]string{"attention_mask": "ones"}, Fixed: map[string]Data{"position_ids": {Shape: []int{1, 5}, Values: []float64{0, 1, 2, 3, 4}}}}))
	require.NoError(t, err)
	require.Equal(t, fixed.Circuit.Digest(), same.Circuit.Digest())
	_, err = Analyse(ctx, file, narrow(Config{Dims: map[string]int{"sequence": 5, "total": 5, "past": 0}, Fix: map[string]string{"attention_mask": "0.5"}}))
	require.ErrorContains(t, err, `node "attention_mask" (input): is fixed to 0.5, and its type is int64`)
	_, err = Analyse(ctx, file, Config{Preset: "poet"})
	require.ErrorIs(t, err, ErrName)
	picture := write(t, portsModel([]*pb.ValueInfoProto{port("pixel_values", float32s, 1, 8)}, []string{"y"}, []*pb.NodeProto{op("MatMul", "pixel_values W", "h"), op("Relu", "h", "y")}, matrix("W", 8, 3)))
	r, err = compileFile(ctx, picture, narrow(Config{Preset: "vision"}))
	require.NoError(t, err)
	require.Equal(t, -3.0, r.float.Inputs[0].Lo)
}

// All that is in a model's way is said at once: ranges that nobody gave, and nodes that are not supported, those behind others too.
func TestRefusalsTogether(t *testing.T) {
	x, z := port("x", float32s, 1, 4), port("z", float32s, 1, 4)
	nodes := []*pb.NodeProto{op("Unheard", "x", "a"), op("Unseen", "a", "b"), op("Relu", "b", "c"), op("Unheard", "c", "d"), op("Det", "z", "e"), op("Add", "d e", "y")}
	_, err := Analyse(context.Background(), write(t, portsModel([]*pb.ValueInfoProto{x, z}, []string{"y"}, nodes)), narrow(Config{}))
	var all ir.Refusals
	require.ErrorAs(t, err, &all)
	var said []string
	for _, u := range all {
		said = append(said, u.Op+": "+u.Reason)
	}
	require.Contains(t, said, `Unheard: takes the input "x" as real numbers, of which no range is declared`)
	require.Contains(t, said, `Det: takes the input "z" as real numbers, of which no range is declared`)
	require.Contains(t, said, "Unseen: the operator is not supported")
	require.ErrorContains(t, err, "(Unheard): the operator is not supported (and 1 more)")
	require.NotContains(t, err.Error(), "Relu")
	require.ErrorIs(t, err, ErrUnsupported)
}
