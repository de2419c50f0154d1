package compiler

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// encoder is masked with the names of Hugging Face's exporters.
func encoder() *pb.ModelProto {
	m := masked(-3.4e38)
	m.Graph.Input[0].Name, m.Graph.Node[0].Input[1] = "input_ids", "input_ids"
	return m
}

const ninths = `{"tokeniser": "character", "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4}, "pad_id": 8}`

// A text of a model that reads it whole is the elements of all its inputs, whose ranges need not be told; it is cut and padded.
func TestPassages(t *testing.T) {
	ctx := context.Background()
	file := write(t, encoder())
	text := func(ids ...int64) Input {
		in := Tokens(ids...)
		in.Text = true
		return in
	}
	texts := []Input{text(1, 2, 3), text(4), text(0, 1, 2, 3, 4, 0, 1, 2)}
	r, err := compileFile(ctx, file, narrow(Config{Vocab: []byte(ninths), Pad: 8, Calibrate: texts}))
	require.NoError(t, err)
	require.Equal(t, "function", r.Circuit.StatementKind())
	require.Equal(t, 6, r.Positions())
	require.EqualValues(t, 0, r.float.Inputs[1].Lo)
	require.EqualValues(t, 1, r.float.Inputs[1].Hi)
	got, err := r.inputs(texts)
	require.NoError(t, err)
	require.Equal(t, [][]float64{{1, 2, 3, 8, 8, 8}, {1, 1, 1, 0, 0, 0}}, got[0].Elements)
	require.Equal(t, [][]float64{{4, 8, 8, 8, 8, 8}, {1, 0, 0, 0, 0, 0}}, got[1].Elements)
	require.Equal(t, [][]float64{{0, 1, 2, 3, 4, 0}, {1, 1, 1, 1, 1, 1}}, got[2].Elements)
	report, err := r.Check(ctx, texts)
	require.NoError(t, err)
	require.NoError(t, report.Err())
}

// A tokenizer that makes no inputs of the model is refused, and says what it would take.
func TestPassagesRefused(t *testing.T) {
	ctx := context.Background()
	real, square := encoder(), encoder()
	real.Graph.Input[1] = port("attention_mask", float32s, 1, 6)
	square.Graph.Input[1] = port("attention_mask", int64sOf, 1, 6, 6)
	square.Graph.Node[3] = op("Identity", "attention_mask", "m1")
	rows := portsModel([]*pb.ValueInfoProto{port("input_ids", int64sOf, 2, 3)}, []string{"y"}, []*pb.NodeProto{op("Gather", "E input_ids", "x"), op("MatMul", "x W", "h"), op("Relu", "h", "y")},
		matrix("E", 9, 4), matrix("W", 4, 5))
	many := `{"tokeniser": "character", "vocab": {"a": 0, "b": 9}}`
	for want, c := range map[string]struct {
		model *pb.ModelProto
		cfg   Config
	}{
		"the tokenizer has 10 tokens, the model knows 9":                                             {encoder(), Config{Vocab: []byte(many)}},
		`the inputs of this one are ["ids" "attention_mask"]`:                                        {masked(-3.4e38), Config{Vocab: []byte(ninths)}},
		"a template is for prompts that a model continues; leave it out":                             {encoder(), Config{Vocab: []byte(ninths), Template: []byte("{}")}},
		"x takes real numbers":                                                                       {mlp(), Config{Vocab: []byte(ninths), Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}}}},
		"this model continues no text, since its input is not token ids alone, and reads none whole": {masked(-3.4e38), Config{Vocab: []byte(ninths)}},
		"attention_mask takes real numbers":                                                          {real, Config{Vocab: []byte(ninths)}},
		"input_ids takes 2 texts at once":                                                            {rows, Config{Vocab: []byte(ninths)}},
		"attention_mask of shape [1 6 6] does not take an element for each token":                    {square, Config{Vocab: []byte(ninths)}},
	} {
		_, err := Analyse(ctx, write(t, c.model), narrow(c.cfg))
		require.ErrorIs(t, err, ErrUnsupported)
		require.ErrorContains(t, err, want)
	}
}
