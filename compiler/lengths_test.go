package compiler

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// dynamicModel is a small decoder of any length, as exporters write it: shapes, positions and the mask are computed from the length of the
// ids. It is rotary with a gated MLP, as LLaMA, or adds the first rows of a table of 16 positions, as GPT-2.
func dynamicModel(rotary bool) *pb.ModelProto {
	last := intAttr("axis", 1)
	nodes := []*pb.NodeProto{
		op("Shape", "ids", "n"), op("Squeeze", "n ax0", "n0"), op("Range", "zero0 n0 one0", "r"), op("Unsqueeze", "r ax1", "rows"),
		op("Gather", "emb ids", "e"), op("Slice", "table zero n ax0", "positions"), op("Add", "e positions", "x"),
		op("MatMul", "x wq", "q"), op("MatMul", "x wk", "k"),
	}
	rotate := func(in, out string) []*pb.NodeProto { // (a, b) → (a·cos − b·sin, b·cos + a·sin)
		return []*pb.NodeProto{
			op("Slice", in+" zero two ax1", in+"a"), op("Slice", in+" two four ax1", in+"b"), op("Neg", in+"b", in+"-"), op("Concat", in+"- "+in+"a", in+"turned", last),
			op("Mul", in+" cos", in+"c"), op("Mul", in+"turned sin", in+"s"), op("Add", in+"c "+in+"s", out),
		}
	}
	if rotary {
		nodes = slices.DeleteFunc(nodes, func(n *pb.NodeProto) bool { return n.OpType == "Slice" || n.OpType == "Add" })
		nodes[4].Output = []string{"x"}
		nodes = append(nodes, op("Cast", "rows", "rf", intAttr("to", 1)), op("Mul", "rf theta", "angle"), op("Cos", "angle", "cos"), op("Sin", "angle", "sin"))
		nodes = slices.Concat(nodes, rotate("q", "q1"), rotate("k", "k1"))
	} else {
		nodes = append(nodes, op("Identity", "q", "q1"), op("Identity", "k", "k1"))
	}
	nodes = append(nodes,
		op("MatMul", "x wv", "v"), op("Transpose", "k1", "kt", intsAttr("perm", 1, 0)), op("MatMul", "q1 kt", "s"),
		op("Concat", "n n", "nn", intAttr("axis", 0)), op("ConstantOfShape", "nn", "full"), op("Less", "rows r", "later"),
		op("Where", "later low full", "mask"), op("Add", "s mask", "sm"), op("Softmax", "sm", "p"), op("MatMul", "p v", "o"),
		op("Add", "x o", "x1"), op("Mul", "x1 x1", "sq"), op("ReduceMean", "sq ax1", "ms"), op("Add", "ms eps", "me"), op("Sqrt", "me", "rt"),
		op("Div", "x1 rt", "nx"), op("MatMul", "nx wu", "up"), op("Split", "up half", "ga gb", last), op("Sigmoid", "ga", "sg"),
		op("Mul", "ga sg", "si"), op("Mul", "si gb", "gm"), op("Add", "x1 gm", "y"), op("MatMul", "y head", "logits"))
	scalar := func(name string, v int64) *pb.TensorProto { t := int64s(name, v); t.Dims = nil; return t }
	m := portsModel([]*pb.ValueInfoProto{port("ids", int64sOf, 0)}, []string{"logits"}, nodes, matrix("emb", 6, 4), matrix("table", 16, 4),
		matrix("wq", 4, 4), matrix("wk", 4, 4), matrix("wv", 4, 4), matrix("wu", 4, 8), matrix("head", 4, 6), int64s("ax0", 0), int64s("ax1", 1),
		int64s("zero", 0), int64s("two", 2), int64s("four", 4), int64s("half", 4, 4), scalar("zero0", 0), scalar("one0", 1),
		floatsOf("theta", 1, 0.1, 1, 0.1), scalarOf("eps", 1e-5), scalarOf("low", float32(math.Inf(-1))))
	m.Graph.Input[0].Type.GetTensorType().Shape.Dim[0].Value = &pb.TensorShapeProto_Dimension_DimParam{DimParam: "length"}
	return m
}

// A model of any length is compiled for three lengths at once: they have the same weights, whose table of positions is that of the longest,
// the same scales, and give the same integer logits. One key proves all of them. What a family computes is what its longest circuit
// computes alone.
func TestLengths(t *testing.T) {
	for name, rotary := range map[string]bool{"rotary": true, "table of positions": false} {
		t.Run(name, func(t *testing.T) {
			ctx, file := context.Background(), write(t, dynamicModel(rotary))
			r, err := compileFile(ctx, file, narrow(Config{Lengths: []int{12, 3, 7}, Reveal: map[string]string{"": "argmax"}}))
			require.NoError(t, err)
			members := r.Members()
			require.Len(t, members, 3)
			for i, n := range []int{3, 7, 12} {
				m := members[i]
				require.Equal(t, n, m.Length)
				require.Equal(t, n, m.Circuit.Generation.Length)
				require.Equal(t, r.Weights, m.Weights)
				require.Equal(t, r.Circuit.WeightBits, m.Circuit.WeightBits)
				if i > 0 {
					require.Less(t, members[i-1].Stats.WitnessCells, m.Stats.WitnessCells)
				}
			}
			table := slices.ContainsFunc(r.Weights, func(w plan.Tensor) bool { return slices.Equal(w.Shape, []int{12, 4}) })
			require.Equal(t, !rotary, table, "the rows that the longest needs are a weight")
			report, err := r.Check(ctx, nil) // and compares the lengths
			require.NoError(t, err)
			require.NoError(t, report.Err())
			require.NoError(t, r.Prove(ctx))

			alone, err := compileFile(ctx, file, narrow(Config{Dims: map[string]int{"length": 12}, Reveal: map[string]string{"": "argmax"}}))
			require.NoError(t, err)
			require.Equal(t, alone.Circuit.Digest(), r.Circuit.Digest())
		})
	}
}

// Lengths that a model cannot take, or at which it is another model, are refused with the length and the node; and so are lengths of a file
// that fixes its own.
func TestLengthsThatAreRefused(t *testing.T) {
	fixed := dynamicModel(true)
	fixed.Graph.Input[0].Type.GetTensorType().Shape.Dim[0].Value = &pb.TensorShapeProto_Dimension_DimValue{DimValue: 8}
	node := func(m *pb.ModelProto, name string) *pb.NodeProto {
		return m.Graph.Node[slices.IndexFunc(m.Graph.Node, func(n *pb.NodeProto) bool { return n.Name == name })]
	}
	fromTheEnd := dynamicModel(false)
	node(fromTheEnd, "Slice_positions").Input = []string{"table", "-n", "end", "ax0"}
	fromTheEnd.Graph.Node = append([]*pb.NodeProto{op("Shape", "ids", "n"), op("Neg", "n", "-n")}, fromTheEnd.Graph.Node[1:]...)
	fromTheEnd.Graph.Initializer = append(fromTheEnd.Graph.Initializer, int64s("end", math.MaxInt64))
	scaled := dynamicModel(true)
	scaled.Graph.Node = append(scaled.Graph.Node, op("Cast", "n", "nf", intAttr("to", 1)), op("Mul", "y nf", "yn"), op("MatMul", "yn head", "scaled"))
	scaled.Graph.Output[0].Name = "scaled"
	twoDims := dynamicModel(true)
	twoDims.Graph.Input = append(twoDims.Graph.Input, port("mask", int64sOf, 0))
	twoDims.Graph.Input[1].Type.GetTensorType().Shape.Dim[0].Value = &pb.TensorShapeProto_Dimension_DimParam{DimParam: "cells"}

	for name, c := range map[string]struct {
		model   *pb.ModelProto
		lengths []int
		kind    error
		want    string
	}{
		"a fixed length":        {fixed, []int{4, 8}, ErrName, "no such name: a symbolic dimension for the length; the file, or --dim, fixes those of all inputs: export the model with a symbolic length"},
		"two dimensions":        {twoDims, []int{4, 8}, ErrName, "one dimension for the length; the model leaves open length, cells: give all but one a value, --dim NAME=N"},
		"more than the table":   {dynamicModel(false), []int{8, 20}, ErrUnsupported, `at length 20: unsupported: node "Add_x" (Add)`},
		"the table from behind": {fromTheEnd, []int{4, 8}, ErrUnsupported, `at length 4: unsupported: node "Add_x" (Add): the cells of its weight "table_positions" depend on the length; compile it for one length`},
		"a factor":              {scaled, []int{4, 8}, ErrUnsupported, `at length 4: unsupported: node "MatMul_scaled" (MatMul): computes something else at the longest length`},
		"a length twice":        {dynamicModel(true), []int{4, 8, 4}, ErrUnsupported, "length 4 is asked for twice"},
		"too many":              {dynamicModel(true), make([]int, 17), ErrUnsupported, "17 lengths; at most 16 are supported"},
	} {
		_, err := Analyse(context.Background(), write(t, c.model), narrow(Config{Lengths: c.lengths}))
		require.ErrorIs(t, err, c.kind, name)
		require.ErrorContains(t, err, c.want, name)
	}
}
