package compiler

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/compiler/internal/quant"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/ir/eval"
	"github.com/zkllmc/zkllmc/ir/plan"
	"github.com/zkllmc/zkllmc/runtime/statement"
)

// endsInArgMax is a small decoder whose file gives the best tokens in place of logits, through a cast.
func endsInArgMax(attrs ...*pb.AttributeProto) *pb.ModelProto {
	m := dynamicModel(true)
	m.Graph.Node = append(m.Graph.Node, op("ArgMax", "logits", "best", attrs...), op("Cast", "best", "tokens", intAttr("to", int64(onnx.Int32))))
	m.Graph.Output[0].Name = "tokens"
	return m
}

// An arg-max along the last axis at the end of a file is what statements tell of the output: the circuit is that of the same model with
// logits and --reveal argmax. Expected outputs are indices; one of them that is not the best token's is told from the rest.
func TestEndsInArgMax(t *testing.T) {
	ctx, dims := context.Background(), map[string]int{"length": 6}
	last := intAttr("axis", -1)
	want, err := compileFile(ctx, write(t, dynamicModel(true)), narrow(Config{Name: "small", Dims: dims, Reveal: map[string]string{"": "argmax"}}))
	require.NoError(t, err)
	r, err := compileFile(ctx, write(t, endsInArgMax(last, intAttr("keepdims", 0))), narrow(Config{Name: "small", Dims: dims}))
	require.NoError(t, err)
	require.Equal(t, want.Circuit.Digest(), r.Circuit.Digest())
	require.NotNil(t, r.Circuit.Generation)
	for _, reveal := range []string{"values", "argmax"} {
		r, err := compileFile(ctx, write(t, endsInArgMax(last)), narrow(Config{Dims: dims, Reveal: map[string]string{"tokens": reveal}}))
		require.NoError(t, err)
		require.Equal(t, plan.Argmax, r.float.Outputs[0].Reveal, reveal)
	}
	require.NoError(t, r.Prove(ctx))

	elements, err := r.program.Elements(r.samples[0].Elements)
	require.NoError(t, err)
	logits, err := quant.Outputs(nil, r.program, elements)
	require.NoError(t, err)
	var best []float64
	for row := range slices.Chunk(logits[0], 6) {
		best = append(best, float64(statement.Argmax(row)))
	}
	given := Input{Elements: []Data{{Values: r.samples[0].Elements[0]}}, Expected: []Data{{Name: "tokens", Values: best}}}
	report, err := r.Check(ctx, []Input{given})
	require.NoError(t, err)
	require.NoError(t, report.Err())
	require.Equal(t, len(best), report.Expected.Agree)
	require.Zero(t, report.Expected.MaxError)

	best[2] = float64((int(best[2]) + 1) % 6)
	report, err = r.Check(ctx, []Input{given})
	require.NoError(t, err)
	require.Equal(t, len(best)-1, report.Expected.Agree)
	require.Positive(t, report.FloatExpected.MaxError)
	require.Error(t, report.Err())

	for _, wrong := range []float64{-1, 6, 0.5} {
		best[2] = wrong
		_, err = r.Check(ctx, []Input{given})
		require.ErrorContains(t, err, `of the expected output "tokens" is`)
	}
	given.Expected[0].Values = make([]float64, 7)
	_, err = r.Check(ctx, []Input{given})
	require.ErrorContains(t, err, `7 expected indices of the output "tokens", which has 6`)
}

// An arg-max whose type does not hold its indices is refused with its node. One that something is computed from, or that takes the last of
// several, is computed, so that the circuit is no more that of generations.
func TestArgMaxRefused(t *testing.T) {
	ctx, cfg := context.Background(), narrow(Config{Dims: map[string]int{"length": 6}})
	further := endsInArgMax(intAttr("axis", 1))
	further.Graph.Node = append(further.Graph.Node, op("Add", "tokens tokens", "sum"))
	further.Graph.Output[0].Name = "sum"
	for _, m := range []*pb.ModelProto{further, endsInArgMax(intAttr("axis", 1), intAttr("select_last_index", 1))} {
		r, err := compileFile(ctx, write(t, m), cfg)
		require.NoError(t, err)
		require.Nil(t, r.Circuit.Generation)
	}
	narrowed := endsInArgMax(intAttr("axis", 1))
	narrowed.Graph.Node[len(narrowed.Graph.Node)-1].Attribute = []*pb.AttributeProto{intAttr("to", int64(onnx.Bool))}
	_, err := Analyse(ctx, write(t, narrowed), cfg)
	require.ErrorIs(t, err, ErrUnsupported)
	require.ErrorContains(t, err, `node "Cast_tokens" (Cast): a cast of indices below 6 to`)
}

// A classifier that gives its class is a function of which statements tell the class. Where its scores are an output, too, one of the two is
// chosen.
func TestClassifierEndsInArgMax(t *testing.T) {
	ctx := context.Background()
	for _, outputs := range [][]string{{"class"}, {"y", "class"}} {
		m := mlp()
		ranges := map[string]Range{"x": {Lo: -1, Hi: 1}}
		m.Graph.Node = append(m.Graph.Node, op("ArgMax", "y", "class", intAttr("axis", 1)))
		m.Graph.Output = nil
		for _, name := range outputs {
			m.Graph.Output = append(m.Graph.Output, &pb.ValueInfoProto{Name: name})
		}
		r, err := compileFile(ctx, write(t, m), narrow(Config{Ranges: ranges}))
		if len(outputs) > 1 {
			require.ErrorContains(t, err, `node "class" (output): tells of the same cells as the output "y", and statements tell of each once`)
			r, err = compileFile(ctx, write(t, m), narrow(Config{Ranges: ranges, Outputs: []string{"class"}}))
		}
		require.NoError(t, err)
		require.Equal(t, plan.Argmax, r.float.Outputs[0].Reveal)
		require.NoError(t, r.Prove(ctx))
		cells, err := eval.Float(r.float, r.samples[0].Elements...)
		require.NoError(t, err)
		y := cells[r.float.Outputs[0].Value]
		class := slices.Index(y, slices.Max(y))
		for _, told := range []int{class, (class + 1) % 3} {
			given := Input{Elements: []Data{{Values: r.samples[0].Elements[0]}}, Expected: []Data{{Name: "class", Values: []float64{float64(told)}}}}
			report, err := r.Check(ctx, []Input{given})
			require.NoError(t, err)
			require.Equal(t, told == class, report.OK(), "%v", report.Err())
		}
	}
}

// A model that computes nothing but the arg-max of its input keeps no values to measure derivatives of.
func TestArgMaxAlone(t *testing.T) {
	m := portsModel([]*pb.ValueInfoProto{port("x", float32s, 2, 3)}, []string{"y"}, []*pb.NodeProto{op("ArgMax", "x", "y", intAttr("axis", 1))})
	r, err := compileFile(context.Background(), write(t, m), Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}}, PrivateInputs: []string{all}, Reveal: map[string]string{"y": "argmax"}})
	require.NoError(t, err)
	lieAboutPorts(t, r)
}
