package compiler

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/plan"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// ONNX's element types.
const (
	float32s = 1
	int64sOf = 7
	bools    = 9
)

// port is an input of a file: a name, an element type and a shape.
func port(name string, elements int32, shape ...int64) *pb.ValueInfoProto {
	s := &pb.TensorShapeProto{}
	for _, d := range shape {
		s.Dim = append(s.Dim, &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimValue{DimValue: d}})
	}
	return &pb.ValueInfoProto{Name: name, Type: &pb.TypeProto{Value: &pb.TypeProto_TensorType{TensorType: &pb.TypeProto_Tensor{ElemType: elements, Shape: s}}}}
}

// portsModel is a model of several inputs and outputs.
func portsModel(inputs []*pb.ValueInfoProto, outputs []string, nodes []*pb.NodeProto, initializers ...*pb.TensorProto) *pb.ModelProto {
	m := &pb.ModelProto{IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: 18}}, Graph: &pb.GraphProto{Name: "g", Node: nodes, Input: inputs, Initializer: initializers}}
	for _, name := range outputs {
		m.Graph.Output = append(m.Graph.Output, &pb.ValueInfoProto{Name: name})
	}
	return m
}

func floatsOf(name string, v ...float32) *pb.TensorProto {
	return &pb.TensorProto{Name: name, DataType: float32s, Dims: []int64{int64(len(v))}, FloatData: v}
}

func scalarOf(name string, v float32) *pb.TensorProto {
	return &pb.TensorProto{Name: name, DataType: float32s, FloatData: []float32{v}}
}

func intsAttr(name string, v ...int64) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: 7, Ints: v}
}

// mlp is x·W1 + b1, ReLU, ·W2 + b2: [1, 8] to [1, 3].
func mlp() *pb.ModelProto {
	return portsModel([]*pb.ValueInfoProto{port("x", float32s, 1, 8)}, []string{"y"}, []*pb.NodeProto{
		op("MatMul", "x W1", "h1"), op("Add", "h1 b1", "h2"), op("Relu", "h2", "h3"), op("MatMul", "h3 W2", "h4"), op("Add", "h4 b2", "y"),
	}, matrix("W1", 8, 6), floatsOf("b1", 0.5, -0.25, 0, 1, 2, -1), matrix("W2", 6, 3), floatsOf("b2", 0.1, 0.2, -3))
}

// masked is a layer of attention over ids, of which a mask of integers says which count, and a head. least is what the file takes off the
// scores of the others.
func masked(least float32) *pb.ModelProto {
	return portsModel([]*pb.ValueInfoProto{port("ids", int64sOf, 1, 6), port("attention_mask", int64sOf, 1, 6)}, []string{"logits"}, []*pb.NodeProto{
		op("Gather", "E ids", "x"), op("Transpose", "x", "xt", intsAttr("perm", 0, 2, 1)), op("MatMul", "x xt", "s"),
		op("Unsqueeze", "attention_mask one", "m1"), op("Cast", "m1", "m2", intAttr("to", 1)), op("Sub", "1. m2", "m3"), op("Mul", "m3 least", "m4"),
		op("Add", "s m4", "s2"), op("Softmax", "s2", "p", intAttr("axis", -1)), op("MatMul", "p x", "z"), op("MatMul", "z W", "logits"),
	}, matrix("E", 9, 4), matrix("W", 4, 5), int64s("one", 1), scalarOf("1.", 1), scalarOf("least", least))
}

// heads24 is attention over rows of 48 reals in two heads of 24.
func heads24() *pb.ModelProto {
	var nodes []*pb.NodeProto
	for _, n := range []string{"q", "k", "v"} {
		nodes = append(nodes, op("MatMul", "x W"+n, n+"2"), op("Reshape", n+"2 split", n+"3"), op("Transpose", n+"3", n+"4", intsAttr("perm", 1, 0, 2)))
	}
	nodes = append(nodes, op("Transpose", "k4", "k5", intsAttr("perm", 0, 2, 1)), op("MatMul", "q4 k5", "s"), op("Mul", "s small", "s2"), op("Softmax", "s2", "p", intAttr("axis", -1)),
		op("MatMul", "p v4", "c"), op("Transpose", "c", "c2", intsAttr("perm", 1, 0, 2)), op("Reshape", "c2 join", "c3"), op("MatMul", "c3 Wo", "y"))
	return portsModel([]*pb.ValueInfoProto{port("x", float32s, 3, 48)}, []string{"y"}, nodes, matrix("Wq", 48, 48), matrix("Wk", 48, 48), matrix("Wv", 48, 48), matrix("Wo", 48, 2),
		int64s("split", 3, 2, 24), int64s("join", 3, 48), scalarOf("small", 0.01))
}

// pooled is a mean of the rows of ids, weighted by two softmaxes of one score per row, one of them masked: neither has an axis of rows.
func pooled() *pb.ModelProto {
	return portsModel([]*pb.ValueInfoProto{port("ids", int64sOf, 1, 6), port("mask", int64sOf, 1, 6)}, []string{"y"}, []*pb.NodeProto{
		op("Gather", "E ids", "x"), op("MatMul", "x w", "s1"), op("Squeeze", "s1 two", "s"),
		op("Cast", "mask", "m1", intAttr("to", 1)), op("Sub", "1. m1", "m2"), op("Mul", "m2 least", "m3"), op("Add", "s m3", "s2"),
		op("Softmax", "s", "p", intAttr("axis", -1)), op("Softmax", "s2", "p2", intAttr("axis", -1)), op("Add", "p p2", "q1"), op("Unsqueeze", "q1 one", "q"),
		op("MatMul", "q x", "z1"), op("Squeeze", "z1 one", "z"), op("MatMul", "z W", "l"), op("Softmax", "l", "y", intAttr("axis", 1)),
	}, matrix("E", 9, 4), matrix("w", 4, 1), matrix("W", 4, 5), int64s("one", 1), int64s("two", 2), scalarOf("1.", 1), scalarOf("least", -1e9))
}

// strided takes every third row of a product, from the second on.
func strided() *pb.ModelProto {
	return portsModel([]*pb.ValueInfoProto{port("x", float32s, 12, 4)}, []string{"y"}, []*pb.NodeProto{
		op("MatMul", "x W", "h"), op("Relu", "h", "h2"), op("Slice", "h2 first end axis three", "y"),
	}, matrix("W", 4, 4), int64s("first", 1), int64s("end", 12), int64s("axis", 0), int64s("three", 3))
}

// parts multiplies the parts of 3 of its rows of 12 with a matrix each, and joins parts of 5.
func parts() *pb.ModelProto {
	return portsModel([]*pb.ValueInfoProto{port("x", float32s, 2, 12)}, []string{"y"}, []*pb.NodeProto{
		op("Reshape", "x split", "x3"), op("MatMul", "x3 W", "h"), op("Sigmoid", "h", "s"), op("Reshape", "s join", "y"),
	}, matrix("W", 3, 5), int64s("split", 2, 4, 3), int64s("join", 2, 20))
}

// weightless weighs the cells of its input by their softmax: what proofs hide is the input alone.
func weightless() *pb.ModelProto {
	return portsModel([]*pb.ValueInfoProto{port("x", float32s, 3, 5)}, []string{"y"}, []*pb.NodeProto{
		op("Softmax", "x", "p", intAttr("axis", -1)), op("Mul", "p x", "y"),
	})
}

// hidden chooses by a boolean input between two products of a real one; its second output is private.
func hidden() *pb.ModelProto {
	return portsModel([]*pb.ValueInfoProto{port("x", float32s, 2, 4), port("left", bools, 2, 1), port("n", int64sOf, 2, 1)}, []string{"class", "inside"}, []*pb.NodeProto{
		op("MatMul", "x A", "a"), op("MatMul", "x B", "b"), op("Where", "left a b", "inside"), op("Cast", "n", "f", intAttr("to", 1)), op("Mul", "inside f", "g"),
		op("Tanh", "g", "t"), op("MatMul", "t C", "class"),
	}, matrix("A", 4, 5), matrix("B", 4, 5), matrix("C", 5, 4))
}

// picture is a small convolutional network on 8·8 pixels: [1, 1, 8, 8] to [1, 3].
func picture() *pb.ModelProto {
	return portsModel([]*pb.ValueInfoProto{port("x", float32s, 1, 1, 8, 8)}, []string{"y"}, []*pb.NodeProto{
		op("Conv", "x K1 b1", "h1", intsAttr("pads", 1, 1, 1, 1)), op("Relu", "h1", "h2"),
		op("MaxPool", "h2", "h3", intsAttr("kernel_shape", 3, 3), intsAttr("strides", 2, 2), intsAttr("pads", 1, 1, 1, 1)),
		op("Conv", "h3 K2", "h4", intsAttr("strides", 2, 2), intsAttr("pads", 1, 1, 1, 1)), op("Sigmoid", "h4", "h5"), op("GlobalAveragePool", "h5", "h6"),
		op("Flatten", "h6", "h7"), op("MatMul", "h7 W", "y"),
	}, filter("K1", 3, 1, 3, 3), floatsOf("b1", 0.5, -0.25, 1), filter("K2", 4, 3, 3, 3), matrix("W", 4, 3))
}

// sound is the front of a speech encoder: two convolutions over 20 frames of 6 bands, the second in steps of 2, and rows of 5: [1, 6, 20]
// to [1, 10, 5].
func sound() *pb.ModelProto {
	return portsModel([]*pb.ValueInfoProto{port("x", float32s, 1, 6, 20)}, []string{"y"}, []*pb.NodeProto{
		op("Conv", "x K1 b1", "h1", intsAttr("pads", 1, 1)), op("Gelu", "h1", "h2"), op("Conv", "h2 K2", "h3", intsAttr("strides", 2), intsAttr("pads", 1, 1)), op("Gelu", "h3", "h4"),
		op("Transpose", "h4", "h5", intsAttr("perm", 0, 2, 1)), op("MatMul", "h5 W", "y"),
	}, filter("K1", 4, 6, 3), floatsOf("b1", 0.5, -0.25, 1, 0), filter("K2", 4, 4, 3), matrix("W", 4, 5))
}

// portKinds are models of one kind each, with how they are compiled.
var portKinds = map[string]struct {
	model func() *pb.ModelProto
	cfg   Config
	ports []circuit.Port // kind, shape and what is told
}{
	"MLP": {mlp, Config{Ranges: map[string]Range{"x": {Lo: -2, Hi: 2}}}, []circuit.Port{
		{Name: "x", Kind: circuit.Reals, Shape: []int{1, 8}, Reveal: circuit.Values}, {Name: "y", Kind: circuit.Reals, Shape: []int{1, 3}, Reveal: circuit.Values}}},
	"ids and a mask": {func() *pb.ModelProto { return masked(-3.4e38) }, Config{Ranges: map[string]Range{"attention_mask": {Lo: 0, Hi: 1}}}, []circuit.Port{
		{Name: "ids", Kind: circuit.IDs, Shape: []int{6}, Reveal: circuit.Values}, {Name: "attention_mask", Kind: circuit.Integers, Shape: []int{1, 6}, Reveal: circuit.Values},
		{Name: "logits", Kind: circuit.Reals, Shape: []int{1, 6, 5}, Reveal: circuit.Values}}},
	"softmaxes of one row": {pooled, Config{Ranges: map[string]Range{"mask": {Lo: 0, Hi: 1}}}, []circuit.Port{
		{Name: "ids", Kind: circuit.IDs, Shape: []int{6}, Reveal: circuit.Values}, {Name: "mask", Kind: circuit.Integers, Shape: []int{1, 6}, Reveal: circuit.Values},
		{Name: "y", Kind: circuit.Reals, Shape: []int{1, 5}, Reveal: circuit.Values}}},
	"heads of 24": {heads24, Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}}, PrivateInputs: []string{all}}, []circuit.Port{
		{Name: "x", Kind: circuit.Reals, Shape: []int{3, 48}, Reveal: circuit.Nothing}, {Name: "y", Kind: circuit.Reals, Shape: []int{3, 2}, Reveal: circuit.Values}}},
	"strided slice": {strided, Config{Ranges: map[string]Range{"x": {Lo: -2, Hi: 2}}}, []circuit.Port{
		{Name: "x", Kind: circuit.Reals, Shape: []int{12, 4}, Reveal: circuit.Values}, {Name: "y", Kind: circuit.Reals, Shape: []int{4, 4}, Reveal: circuit.Values}}},
	"picture": {picture, Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}}}, []circuit.Port{
		{Name: "x", Kind: circuit.Reals, Shape: []int{1, 1, 8, 8}, Reveal: circuit.Values}, {Name: "y", Kind: circuit.Reals, Shape: []int{1, 3}, Reveal: circuit.Values}}},
	"sound": {sound, Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}}}, []circuit.Port{
		{Name: "x", Kind: circuit.Reals, Shape: []int{1, 6, 20}, Reveal: circuit.Values}, {Name: "y", Kind: circuit.Reals, Shape: []int{1, 10, 5}, Reveal: circuit.Values}}},
	"rows in parts": {parts, Config{Ranges: map[string]Range{"x": {Lo: 0, Hi: 1}}, PrivateInputs: []string{"x"}, Reveal: map[string]string{"y": "argmax"}}, []circuit.Port{
		{Name: "x", Kind: circuit.Reals, Shape: []int{2, 12}, Reveal: circuit.Nothing}, {Name: "y", Kind: circuit.Reals, Shape: []int{2, 20}, Reveal: circuit.Argmax}}},
	"no weights": {weightless, Config{Ranges: map[string]Range{"x": {Lo: -2, Hi: 2}}, PrivateInputs: []string{"x"}}, []circuit.Port{
		{Name: "x", Kind: circuit.Reals, Shape: []int{3, 5}, Reveal: circuit.Nothing}, {Name: "y", Kind: circuit.Reals, Shape: []int{3, 5}, Reveal: circuit.Values}}},
	"grouped attention": {grouped, Config{PrivateInputs: []string{"q", "pk", "pv"}, Ranges: map[string]Range{"q": {Lo: -2, Hi: 2}, "k": {Lo: -2, Hi: 2}, "v": {Lo: -2, Hi: 2}, "pk": {Lo: -2, Hi: 2}, "pv": {Lo: -2, Hi: 2}}}, []circuit.Port{
		{Name: "q", Kind: circuit.Reals, Shape: []int{1, 4, 3, 4}, Reveal: circuit.Nothing}, {Name: "k", Kind: circuit.Reals, Shape: []int{1, 2, 3, 4}, Reveal: circuit.Values},
		{Name: "v", Kind: circuit.Reals, Shape: []int{1, 2, 3, 2}, Reveal: circuit.Values}, {Name: "pk", Kind: circuit.Reals, Shape: []int{1, 2, 2, 4}, Reveal: circuit.Nothing},
		{Name: "pv", Kind: circuit.Reals, Shape: []int{1, 2, 2, 2}, Reveal: circuit.Nothing}, {Name: "y", Kind: circuit.Reals, Shape: []int{1, 4, 3, 2}, Reveal: circuit.Values}}},
	"private output": {hidden, Config{Ranges: map[string]Range{"x": {Lo: -2, Hi: 2}, "n": {Lo: -3, Hi: 4}}, PrivateInputs: []string{"x", "left"}, Reveal: map[string]string{"class": "argmax", "inside": "nothing"}}, []circuit.Port{
		{Name: "x", Kind: circuit.Reals, Shape: []int{2, 4}, Reveal: circuit.Nothing}, {Name: "left", Kind: circuit.Booleans, Shape: []int{2, 1}, Reveal: circuit.Nothing},
		{Name: "n", Kind: circuit.Integers, Shape: []int{2, 1}, Reveal: circuit.Values},
		{Name: "class", Kind: circuit.Reals, Shape: []int{2, 4}, Reveal: circuit.Argmax}, {Name: "inside", Kind: circuit.Reals, Shape: []int{2, 5}, Reveal: circuit.Nothing}}},
}

func write(t *testing.T, m *pb.ModelProto) string {
	data, err := proto.Marshal(m)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "model.onnx")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	return file
}

// Every kind of port goes from ONNX to a proof: the integer program gives what the float graph does, the circuit what the integer program
// does, the proof is accepted, and no statement that is false is.
func TestPorts(t *testing.T) {
	for name, c := range portKinds {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			r, err := compileFile(ctx, write(t, c.model()), narrow(c.cfg))
			require.NoError(t, err)
			require.Nil(t, r.Circuit.Generation)
			for i, want := range c.ports {
				got := r.Circuit.Ports[i]
				require.Equal(t, want, circuit.Port{Name: got.Name, Kind: got.Kind, Shape: got.Shape, Reveal: got.Reveal})
			}
			require.Equal(t, name == "ids and a mask" || name == "softmaxes of one row", len(r.Notes) == 1, "notes of masks that are inputs: %q", r.Notes)
			report, err := r.Check(ctx, nil)
			require.NoError(t, err)
			for _, o := range report.Outputs {
				t.Logf("%s: %s differs by %.2g of %.3g at most", name, o.Name, o.MaxError, o.MaxValue)
				require.Less(t, o.MaxError, o.MaxValue/200, o.Name)
			}
			lieAboutPorts(t, r)
		})
	}
}

// lieAboutPorts proves one input of calibration and tries statements about others.
func lieAboutPorts(t *testing.T, r *Result) {
	ctx, c := context.Background(), r.Circuit
	in, err := r.claim(ctx, r.samples[0].Elements)
	require.NoError(t, err)
	weights, err := r.integers()
	require.NoError(t, err)
	o := engine.Options{Backend: cpu.New()}
	key, vk, err := engine.Setup(ctx, circuit.Single(c), weights, o)
	require.NoError(t, err)
	accepted, err := verifier.ReadKey(ctx, circuit.Single(c), function.Kind, vk)
	require.NoError(t, err)
	truth := in.Statement.(*function.Statement)
	proof, err := key.Prove(ctx, in, o)
	require.NoError(t, err)
	require.NoError(t, accepted.VerifyStatement(c, truth, proof))
	require.Equal(t, r.Stats.ProofBytes, len(proof), "predicted")

	rng := rand.New(rand.NewPCG(3, 5))
	for i := range c.Ports {
		p := &c.Ports[i]
		change := func(f func(v []int64)) *function.Statement {
			s := &function.Statement{Ports: slices.Clone(truth.Ports)}
			s.Ports[i] = slices.Clone(s.Ports[i])
			f(s.Ports[i])
			return s
		}
		if !p.Public() {
			told := change(func([]int64) {})
			told.Ports[i] = make([]int64, circuit.Size(p.Shape))
			require.ErrorIs(t, accepted.VerifyStatement(c, told, proof), function.ErrPrivate, p.Name)
			continue
		}
		k := rng.IntN(len(truth.Ports[i]))
		lo, hi := p.Lo, p.Hi
		if p.Reveal == circuit.Argmax {
			lo, hi = 0, int64(p.Shape[len(p.Shape)-1])-1
		}
		for _, other := range []int64{truth.Ports[i][k] + 1, truth.Ports[i][k] - 1} {
			if other < lo || other > hi {
				continue
			}
			lie := change(func(v []int64) { v[k] = other })
			require.Error(t, accepted.VerifyStatement(c, lie, proof), "%s[%d] is %d", p.Name, k, other)
			if p.Out { // a prover that claims another output finds no proof
				_, err := key.Prove(ctx, &engine.Input{Statement: lie, Private: in.Private}, o)
				require.Error(t, err, "%s[%d] is %d", p.Name, k, other)
			}
		}
		require.ErrorIs(t, accepted.VerifyStatement(c, change(func(v []int64) { v[k] = hi + 1 }), proof), function.ErrValue, p.Name)
		require.ErrorIs(t, accepted.VerifyStatement(c, change(func(v []int64) { v[k] = lo - 1 }), proof), function.ErrValue, p.Name)
	}
	for i, private := range in.Private { // outside of its range there is no witness, and another element has another output
		p := &c.Ports[i]
		for _, v := range []int64{p.Hi + 1, p.Lo - 1} {
			forged := witness.PrivateInput{}
			for k, x := range in.Private {
				forged[k] = x
			}
			forged[i] = slices.Clone(private)
			forged[i][0] = v
			_, err := key.Prove(ctx, &engine.Input{Statement: truth, Private: forged}, o)
			require.Error(t, err, "%s[0] = %d", p.Name, v)
		}
	}
}

// A mask that is an input does what it says: what is masked changes no output that is not, whatever the file takes off its scores, and the
// float model agrees.
func TestMaskedPositionsDoNotCount(t *testing.T) {
	for _, least := range []float32{-1e4, -1e9, -3.4e38, float32(math.Inf(-1))} {
		m := masked(least)
		if math.IsInf(float64(least), 0) { // 0·∞ is no number: such files choose
			for i, n := range m.Graph.Node {
				switch n.Output[0] {
				case "m2":
					m.Graph.Node[i] = op("Cast", "m1", "m2", intAttr("to", 9))
				case "m3":
					m.Graph.Node[i] = op("Not", "m2", "m3")
				case "m4":
					m.Graph.Node[i] = op("Identity", "least", "m4")
				case "s2":
					m.Graph.Node[i] = op("Where", "m3 m4 s", "s2")
				}
			}
		}
		r, err := compileFile(context.Background(), write(t, m), Config{Ranges: map[string]Range{"attention_mask": {Lo: 0, Hi: 1}}})
		require.NoError(t, err)
		run := func(last float64) []int64 {
			in, err := r.claim(context.Background(), [][]float64{{1, 2, 3, 4, 5, last}, {1, 1, 1, 1, 1, 0}})
			require.NoError(t, err)
			return in.Statement.(*function.Statement).Ports[2][:25] // the first five positions
		}
		require.Equal(t, run(0), run(8), "%g", least)
	}
}

// A mask's number stays what it is where something other than a softmax sees it.
func TestMaskThatIsSeen(t *testing.T) {
	m := masked(-2000)
	m.Graph.Output = append(m.Graph.Output, &pb.ValueInfoProto{Name: "seen"})
	m.Graph.Node = append(m.Graph.Node, op("Mul", "m4 W1", "seen"))
	m.Graph.Initializer = append(m.Graph.Initializer, floatsOf("W1", 1, 1, 1, 1, 1, 0.5))
	r, err := compileFile(context.Background(), write(t, m), Config{Ranges: map[string]Range{"attention_mask": {Lo: 0, Hi: 1}}})
	require.NoError(t, err)
	in, err := r.claim(context.Background(), [][]float64{{1, 2, 3, 4, 5, 6}, {1, 1, 1, 1, 1, 0}})
	require.NoError(t, err)
	seen := in.Statement.(*function.Statement).Ports[3]
	require.InDelta(t, -1000, function.Number(&r.Circuit.Ports[3], seen[5]), 1)
}

// What a file takes off scores is what it says wherever it is not a mask alone: scaled behind the choice, a factor, or an output too.
func TestMaskedScoresElsewhere(t *testing.T) {
	inputs := []*pb.ValueInfoProto{port("x", float32s, 2, 4), port("b", bools, 2, 4)}
	x, b := []float64{0.5, -1, 0.25, 1, -0.5, 0.75, 0, 1}, []float64{1, 0, 1, 0, 0, 1, 1, 1}
	scalars := []*pb.TensorProto{scalarOf("least", -4096), scalarOf("small", 1./4096), scalarOf("1.", 1), matrix("W", 4, 4)}
	weighted := []*pb.NodeProto{op("Softmax", "s", "p", intAttr("axis", -1)), op("MatMul", "p W", "y")}
	for name, c := range map[string]struct {
		outputs []string
		nodes   []*pb.NodeProto
		want    func(x, b float64) float64 // of what the file says, "z"
	}{
		"chosen, and an output": {[]string{"y", "z"}, []*pb.NodeProto{op("Mul", "x 1.", "x1"), op("Where", "b x1 least", "s"), op("Mul", "s small", "z")},
			func(x, b float64) float64 { return (b*x - (1-b)*4096) / 4096 }},
		"a product, and an output": {[]string{"y", "z"}, []*pb.NodeProto{op("Cast", "b", "f", intAttr("to", 1)), op("Sub", "1. f", "n"), op("Mul", "n least", "m"), op("Add", "x m", "s"), op("Mul", "s small", "z")},
			func(x, b float64) float64 { return (x - (1-b)*4096) / 4096 }},
		"scaled behind the choice": {[]string{"z", "y"}, []*pb.NodeProto{op("Mul", "x 1.", "x1"), op("Where", "b x1 least", "s1"), op("Mul", "s1 small", "s"), op("Mul", "s 1.", "z")},
			func(x, b float64) float64 { return (b*x - (1-b)*4096) / 4096 }},
		"a factor": {[]string{"z", "y"}, []*pb.NodeProto{op("Cast", "b", "f", intAttr("to", 1)), op("Mul", "f least", "m"), op("Mul", "m x", "z"), op("Mul", "z small", "s")},
			func(x, b float64) float64 { return -4096 * x * b }},
	} {
		cfg := Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}}, PrivateInputs: []string{"x"}}
		r, err := compileFile(context.Background(), write(t, portsModel(inputs, c.outputs, append(c.nodes, weighted...), scalars...)), cfg)
		require.NoError(t, err, name)
		in, err := r.claim(context.Background(), [][]float64{x, b})
		require.NoError(t, err, name)
		z := slices.Index(c.outputs, "z")
		p := &r.Circuit.Ports[2+z]
		for i, v := range in.Statement.(*function.Statement).Ports[2+z] {
			want := c.want(x[i], b[i])
			require.InDelta(t, want, function.Number(p, v), 0.01*max(1, math.Abs(want)), "%s: cell %d", name, i)
		}
	}
}

// A mask that is scaled on its way to the softmax, as no exporter does, takes off what the file says too.
func TestScaledMask(t *testing.T) {
	m := portsModel([]*pb.ValueInfoProto{port("x", float32s, 2, 4), port("b", bools, 2, 4)}, []string{"y"}, []*pb.NodeProto{
		op("Mul", "x 1.", "x1"), op("Where", "b x1 least", "s"), op("Mul", "s small", "s2"), op("Softmax", "s2", "p", intAttr("axis", -1)), op("MatMul", "p W", "y"),
	}, scalarOf("least", -4096), scalarOf("small", 1./4096), scalarOf("1.", 1),
		&pb.TensorProto{Name: "W", DataType: float32s, Dims: []int64{4, 4}, FloatData: []float32{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}})
	r, err := compileFile(context.Background(), write(t, m), Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}}, PrivateInputs: []string{"x"}})
	require.NoError(t, err)
	in, err := r.claim(context.Background(), [][]float64{{0.5, -1, 0.25, 1, -0.5, 0.75, 0, 1}, {1, 0, 1, 0, 0, 1, 1, 1}})
	require.NoError(t, err)
	masked := 1 / (2 + 2*math.E) // of exponents −1, −1 and about 0, 0
	for i, want := range []float64{0.5 - masked, masked, 0.5 - masked, masked} {
		require.InDelta(t, want, function.Number(&r.Circuit.Ports[2], in.Statement.(*function.Statement).Ports[2][i]), 0.01)
	}
}

// What is computed from inputs and cannot be is refused, with the node and what to do.
func TestPortsThatAreRefused(t *testing.T) {
	x, n, b := port("x", float32s, 1, 4), port("n", int64sOf, 1, 4), port("b", bools, 1, 4)
	w := matrix("W", 4, 4)
	ranges, integers := map[string]Range{"x": {Lo: -1, Hi: 1}}, map[string]Range{"n": {Lo: 0, Hi: 7}}
	for want, c := range map[string]struct {
		inputs []*pb.ValueInfoProto
		nodes  []*pb.NodeProto
		cfg    Config
	}{
		`node "MatMul_y" (MatMul): takes the input "x" as real numbers, of which no range is declared`: {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("MatMul", "x W", "y")}, Config{}},
		`node "Sqrt_y" (Sqrt): computes on int64`:                                                      {[]*pb.ValueInfoProto{n}, []*pb.NodeProto{op("Sqrt", "n", "y")}, Config{Ranges: integers}},
		`node "Where_y" (Where): computes with "n" as a boolean`:                                       {[]*pb.ValueInfoProto{n, x}, []*pb.NodeProto{op("Where", "n x x", "y")}, Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}, "n": {Lo: 0, Hi: 7}}}},
		`node "Mul_m" (Mul): its integers may be anything in`:                                          {[]*pb.ValueInfoProto{n}, []*pb.NodeProto{op("Mul", "n n", "m"), op("Cast", "m", "y", intAttr("to", 1))}, Config{Ranges: map[string]Range{"n": {Lo: 0, Hi: 1e5}}}},
		`the model is linear and all its inputs are public; hide an input`:                             {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("MatMul", "x W", "y")}, Config{Ranges: ranges}},
		`the model has no private weights and no private input, so that a proof would hide nothing`:    {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("Relu", "x", "y")}, Config{Ranges: ranges}},
		`statements would tell nothing of any output`:                                                  {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("MatMul", "x W", "y")}, Config{Ranges: ranges, Reveal: map[string]string{"y": "nothing"}}},
		`there is no output "z"; the outputs are y`:                                                    {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("MatMul", "x W", "y")}, Config{Ranges: ranges, Reveal: map[string]string{"z": "nothing"}}},
		`there is no input "z" to hide; the inputs are x`:                                              {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("MatMul", "x W", "y")}, Config{Ranges: ranges, PrivateInputs: []string{"z"}}},
		`range of input "z"; the model has x`:                                                          {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("MatMul", "x W", "y")}, Config{Ranges: map[string]Range{"z": {Lo: 0, Hi: 1}}}},
		`input "x": [2, 1] is no range`:                                                                {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("MatMul", "x W", "y")}, Config{Ranges: map[string]Range{"x": {Lo: 2, Hi: 1}}}},
		`no generations: its input is not token ids alone`:                                             {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("MatMul", "x W", "y")}, Config{Ranges: ranges, Statement: asGenerations}},
		`input "x": element 1 is 3; it takes reals in [-1, 1]`:                                         {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("MatMul", "x W", "y")}, Config{Ranges: ranges, Calibrate: []Input{{Elements: []Data{{Values: []float64{0, 3, 0, 0}}}}}}},
		`3 elements of the input "x"; it has shape [1 4]`:                                              {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("MatMul", "x W", "y")}, Config{Ranges: ranges, Calibrate: []Input{{Elements: []Data{{Name: "x", Values: []float64{0, 0, 0}}}}}}},
		`data of input "z"; the model has x`:                                                           {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("MatMul", "x W", "y")}, Config{Ranges: ranges, Calibrate: []Input{{Elements: []Data{{Name: "z"}}}}}},
		`the input "n" is private and has the range [0, 70000]; 2^16 values`:                           {[]*pb.ValueInfoProto{n}, []*pb.NodeProto{op("Cast", "n", "f", intAttr("to", 1)), op("MatMul", "f W", "y")}, Config{Ranges: map[string]Range{"n": {Lo: 0, Hi: 70000}}, PrivateInputs: []string{all}}},

		`range of input "n": it takes ids of a table, from 0 to 3, whatever a range says; leave the range out`: {[]*pb.ValueInfoProto{n}, []*pb.NodeProto{op("Gather", "W n", "e"), op("MatMul", "e W", "y")}, Config{Ranges: integers}},
		`range of input "b": it takes booleans, whatever a range says`:                                         {[]*pb.ValueInfoProto{b}, []*pb.NodeProto{op("Cast", "b", "f", intAttr("to", 1)), op("MatMul", "f W", "y")}, Config{Ranges: map[string]Range{"b": {Lo: 0, Hi: 2}}}},
		`range of input "n", on which no output depends; leave the range out`:                                  {[]*pb.ValueInfoProto{x, n}, []*pb.NodeProto{op("MatMul", "x W", "h"), op("Relu", "h", "y")}, Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}, "n": {Lo: 0, Hi: 7}}}},
		`range of input "n", which is fixed; leave the range out`:                                              {[]*pb.ValueInfoProto{x, n}, []*pb.NodeProto{op("MatMul", "x W", "h"), op("Relu", "h", "y")}, Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}, "n": {Lo: 0, Hi: 7}}, Fix: map[string]string{"n": tensorFile(t)}}},

		`node "Mul_m" (Mul): its integers may be anything in [0, 40000], and those that uint8 does not hold wrap around`: {[]*pb.ValueInfoProto{n}, []*pb.NodeProto{op("Cast", "n", "c", intAttr("to", 2)), op("Mul", "c c", "m"), op("Cast", "m", "f", intAttr("to", 1)), op("MatMul", "f W", "y")}, Config{Ranges: map[string]Range{"n": {Lo: 0, Hi: 200}}}},
		`node "Cast_c" (Cast): casts the input "n" in [-5, 5] to uint8, which does not keep them`:                        {[]*pb.ValueInfoProto{n}, []*pb.NodeProto{op("Cast", "n", "c", intAttr("to", 2)), op("Cast", "c", "f", intAttr("to", 1)), op("MatMul", "f W", "y")}, Config{Ranges: map[string]Range{"n": {Lo: -5, Hi: 5}}}},
		`node "Cast_d" (Cast): casts the input "n" in [-5, 5] to uint64, which does not keep them`:                       {[]*pb.ValueInfoProto{n}, []*pb.NodeProto{op("Cast", "n", "c", intAttr("to", 3)), op("Cast", "c", "d", intAttr("to", 13)), op("Cast", "d", "f", intAttr("to", 1)), op("MatMul", "f W", "y")}, Config{Ranges: map[string]Range{"n": {Lo: -5, Hi: 5}}}},
	} {
		_, err := Analyse(context.Background(), write(t, portsModel(c.inputs, []string{"y"}, c.nodes, w)), c.cfg)
		require.ErrorIs(t, err, ErrUnsupported, want)
		require.ErrorContains(t, err, want)
	}
	_, err := Analyse(context.Background(), write(t, portsModel([]*pb.ValueInfoProto{x}, []string{"y", "z"}, []*pb.NodeProto{op("Add", "x x", "y"), op("MatMul", "x W", "h"), op("Relu", "h", "z")}, w)), Config{Ranges: ranges})
	require.ErrorIs(t, err, ErrUnsupported)
	require.ErrorContains(t, err, `output "y": it is revealed and depends on nothing that is committed: whoever sees the public inputs computes it without a proof`)
}

// tensorFile writes a TensorProto of one integer.
func tensorFile(t *testing.T) string {
	data, err := proto.Marshal(int64s("t", 1))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "t.pb")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	return file
}

// An input that no output depends on is left out of the circuit, with a note; ranges that say of ids and booleans what they are do no harm.
func TestInputsThatAreLeftOut(t *testing.T) {
	inputs := []*pb.ValueInfoProto{port("n", int64sOf, 1, 4), port("z", float32s, 2), port("b", bools, 1, 4)}
	nodes := []*pb.NodeProto{op("Gather", "W n", "e"), op("Cast", "b", "f", intAttr("to", 1)), op("Add", "e f", "g"), op("Relu", "g", "h"), op("MatMul", "h V", "y"), op("Relu", "z", "unread")}
	r, err := compileFile(context.Background(), write(t, portsModel(inputs, []string{"y"}, nodes, matrix("W", 4, 4), matrix("V", 4, 2))), Config{Ranges: map[string]Range{"n": {Lo: 0, Hi: 3}, "b": {Lo: 0, Hi: 1}}})
	require.NoError(t, err)
	require.Equal(t, []string{`no output depends on the input "z": it is left out`}, r.Notes)
	require.Len(t, r.Circuit.Ports, 3)
}

// Elements and expected cells have the shape of their port but for axes of extent 1, or stand in a list that has none.
func TestDataOfAnotherShape(t *testing.T) {
	x, nodes := port("x", float32s, 1, 2, 3), []*pb.NodeProto{op("MatMul", "x W", "h"), op("Relu", "h", "y")}
	r, err := compileFile(context.Background(), write(t, portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, nodes, matrix("W", 3, 2))), Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}}})
	require.NoError(t, err)
	const asInput, asOutput = `elements in shape %v of the input "x"; it has shape [1 2 3]`, `expected cells in shape %v of the output "y"; it has shape [1 2 2]`
	for _, c := range []struct {
		shape, expected []int
		refused         string
	}{
		{[]int{1, 2, 3}, []int{1, 2, 2}, ""}, {[]int{2, 3}, []int{2, 1, 2}, ""}, {nil, nil, ""},
		{[]int{3, 2}, nil, fmt.Sprintf(asInput, []int{3, 2})}, {[]int{6}, nil, fmt.Sprintf(asInput, []int{6})},
		{nil, []int{4}, fmt.Sprintf(asOutput, []int{4})},
	} {
		_, err := r.inputs([]Input{{From: "f", Elements: []Data{{Shape: c.shape, Values: make([]float64, 6)}}, Expected: []Data{{Shape: c.expected, Values: make([]float64, 4)}}}})
		if c.refused == "" {
			require.NoError(t, err, "%v", c)
		} else {
			require.ErrorContains(t, err, "f: "+c.refused)
		}
	}
}

// An output is found by its name in the file, or else by that in the circuit, and what is said of it is said once.
func TestNamesOfOutputs(t *testing.T) {
	g := &ir.Graph{}
	a, b := g.NewValue("logits", []int{2, 3}), g.NewValue("b_1", []int{2, 3})
	g.Outputs = []ir.Port{{Name: "lm_head", Value: a.ID, Shape: a.Shape}, {Name: "logits", Value: b.ID, Shape: b.Shape}}
	require.NoError(t, reveal(g, map[string]string{"logits": "argmax", "lm_head": "nothing"}))
	require.Equal(t, []plan.Reveal{plan.Nothing, plan.Argmax}, []plan.Reveal{g.Outputs[0].Reveal, g.Outputs[1].Reveal})
	require.NoError(t, reveal(g, map[string]string{"b_1": "nothing"}))
	require.Equal(t, []plan.Reveal{plan.Values, plan.Nothing}, []plan.Reveal{g.Outputs[0].Reveal, g.Outputs[1].Reveal})
	err := reveal(g, map[string]string{"b_1": "nothing", "logits": "values"})
	require.ErrorIs(t, err, ErrName)
	require.ErrorContains(t, err, "the same output, logits")
}
