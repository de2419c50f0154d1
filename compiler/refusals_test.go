package compiler

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	pb "github.com/zkllmc/zkllmc/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// TestRefusalsNameTheNode refuses models in the quantiser and in the planner, and wants the ONNX node, its operator, what is in the way
// and what to do about it. TestRefusals of package codegen does the same for the builder.
func TestRefusalsNameTheNode(t *testing.T) {
	scalar := func(name string, v float32) *pb.TensorProto {
		return &pb.TensorProto{Name: name, DataType: 1, FloatData: []float32{v}}
	}
	ones := &pb.TensorProto{Name: "g", DataType: 1, Dims: []int64{3}, FloatData: []float32{1, 1, 1}}
	epsilon := &pb.AttributeProto{Name: "epsilon", Type: 1, F: 1e30}
	for name, c := range map[string]struct {
		model *pb.ModelProto
		want  Unsupported
	}{
		"not finite": {bigramModel([]*pb.NodeProto{op("Mul", "x c", "u"), op("Exp", "u", "v"), op("Exp", "v", "w"), op("Exp", "w", "y")}, scalar("c", 30)),
			Unsupported{Node: "Exp_y", Op: "Exp", Reason: "its result is not finite on a calibration input",
				Remedy: "look for a division by zero or an overflow, or calibrate on other inputs (--calibrate)"}},
		"scales too coarse": {bigramModel([]*pb.NodeProto{op("Mul", "x c", "u"), op("Softmax", "u", "y")}, scalar("c", 1e9)),
			Unsupported{Node: "Softmax_y", Op: "Softmax", Reason: "scores of scale 14 reach far beyond what matters, and a step of them would be 6.1e+04",
				Remedy: "scale queries or keys down"}},
		"factors that multiply to no number": {bigramModel(chain(10, "Mul", func(prev string) string { return prev + " c" }), scalar("c", 3e38)),
			Unsupported{Node: "MatMul_logits", Op: "MatMul", Reason: "its constant factors multiply to +Inf", Remedy: "scale them so that their product is a finite number"}},
		"steps that no table has": {bigramModel([]*pb.NodeProto{op("Mul", "x c", "u"), op("Tanh", "u", "y")}, scalar("c", 3e38)),
			Unsupported{Node: "Tanh_y", Op: "Tanh", Reason: "tables: tanh has no table with arguments in steps of 2^115 and values in steps of 2^-14", Remedy: "scale its argument down"}},
		"roundings of what has no digits": {bigramModel([]*pb.NodeProto{op("Mul", "x c", "u"), op("Round", "u", "r"), op("Tanh", "r", "y")}, scalar("c", 3e38)),
			Unsupported{Node: "Tanh_y", Op: "Tanh", Reason: "tables: tanh has no table with arguments in steps of 2^115 and values in steps of 2^-14", Remedy: "scale its argument down"}},
		"logits near zero": {faint(1e-38),
			Unsupported{Node: "MatMul_logits", Op: "MatMul", Reason: "scale 139 is not in -120..120", Remedy: "bring the output's magnitudes nearer to 1"}},
		"epsilon": {bigramModel([]*pb.NodeProto{op("LayerNormalization", "x g", "y", epsilon)}, ones),
			Unsupported{Node: "LayerNormalization_y", Op: "LayerNormalization",
				Reason: "epsilon 1.0000000150474662e+30 is 1.8119393552650958e+39 in units of the input's square", Remedy: "scale the input up, or choose a smaller epsilon"}},
		"windows": {bigramModel([]*pb.NodeProto{op("Unsqueeze", "x zero", "u"), op("Conv", "u w", "y", intsAttr("strides", 0))}, filter("w", 3, 4, 2), int64s("zero", 0)),
			Unsupported{Node: "Conv_y", Op: "Conv", Reason: "strides [0]", Remedy: "numbers from 1 to 2^24 are supported"}},
	} {
		_, err := Analyse(context.Background(), write(t, c.model), Config{})
		require.ErrorIs(t, err, ErrUnsupported, name)
		var u *Unsupported
		require.ErrorAs(t, err, &u, name)
		require.Equal(t, c.want, Unsupported{Node: u.Node, Op: u.Op, Reason: u.Reason, Remedy: u.Remedy}, name)
	}
}

// TestRefusedReductions refuses reductions of integers that leave their type for that alone.
func TestRefusedReductions(t *testing.T) {
	for _, operator := range []string{"ReduceSumSquare", "ReduceProd", "ReduceMean", "ReduceL1"} {
		m := portsModel([]*pb.ValueInfoProto{port("k", 6, 4, 3)}, []string{"y"}, []*pb.NodeProto{op(operator, "k last", "y")}, int64s("last", -1))
		_, err := Analyse(context.Background(), write(t, m), Config{Ranges: map[string]Range{"k": {Lo: -1e9, Hi: 1e9}}, PrivateInputs: []string{"k"}})
		require.ErrorContains(t, err, "wrap around", operator)
		require.NotContains(t, err.Error(), "malformed", operator)
	}
}

// faint is a model whose logits, which are reals because it is not causal, have the given magnitude.
func faint(size float32) *pb.ModelProto {
	m := bigramModel([]*pb.NodeProto{op("MatMul", "mix x", "u"), op("Tanh", "u", "y")}, matrix("mix", 4, 4))
	for i, w := range m.Graph.Initializer[2].FloatData {
		m.Graph.Initializer[2].FloatData[i] = size * w
	}
	return m
}

// Outputs near zero whose exact sums have a scale that no port has are told with the 16 bits that fit one.
func TestFaintOutputs(t *testing.T) {
	r := analysed(t, faint(1e-28))
	require.Nil(t, r.Circuit.Generation)
	report, err := r.Check(context.Background(), nil)
	require.NoError(t, err)
	require.Less(t, report.MaxError, report.MaxLogit/1000)
	require.Greater(t, report.MaxLogit, 0.0)
}

// Scores whose differences are below every number that a double holds with all its bits weigh all positions alike: no reason to refuse
// the model.
func TestVanishingScores(t *testing.T) {
	c := &pb.TensorProto{Name: "c", DataType: 1, FloatData: []float32{4e-32}}
	nodes := append(chain(10, "Mul", func(prev string) string { return prev + " c" }), op("Softmax", "y", "z"))
	nodes[0].Input[0], nodes[9].Output[0], nodes[10].Input[0], nodes[10].Output[0] = "q", "s", "s", "y"
	analysed(t, bigramModel(append([]*pb.NodeProto{op("MatMul", "x wq", "q")}, nodes...), matrix("wq", 3, 3), c))
}

// A tokenizer with more tokens than the model knows is refused before anything is calibrated, whoever compiles.
func TestTokenizerOfAnotherModel(t *testing.T) {
	file := write(t, bigramModel([]*pb.NodeProto{op("Tanh", "x", "y")}))
	compile := func(words string) (phases []string, err error) {
		_, err = Analyse(context.Background(), file, narrow(Config{Vocab: []byte(words), Progress: func(phase string) { phases = append(phases, phase) }}))
		return phases, err
	}
	_, err := compile(`{"tokeniser": "character", "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4, "f": 5}}`)
	require.NoError(t, err)
	phases, err := compile(`{"tokeniser": "character", "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4, "f": 5, "g": 6}}`)
	require.ErrorIs(t, err, ErrUnsupported)
	require.ErrorContains(t, err, "the tokenizer has 7 tokens, the model knows 6")
	require.NotContains(t, phases, "calibrating")
	_, err = compile(`{}`)
	require.ErrorIs(t, err, tokens.ErrVocabulary)
}
