package passes

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// shared returns a path among the real inputs that live beside the repository, or skips the test.
func shared(t testing.TB, elem ...string) string {
	t.Helper()
	p := filepath.Join(append([]string{"..", "..", "..", "..", "shared", "onnx"}, elem...)...)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("%s is absent: this test reads files that are not part of the project", filepath.Join(elem...))
	}
	return p
}

func loadTensor(t testing.TB, path string) *onnx.Tensor {
	t.Helper()
	x, err := onnx.LoadTensor(path)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func maxDiff(a, b []float64) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	d := 0.0
	for i := range a {
		if x := math.Abs(a[i] - b[i]); !(x <= d) {
			d = x
		}
	}
	return d
}

// checkModel lowers a model of the shape ids -> logits and compares it with its expected output after every pass.
func checkModel(t *testing.T, dir string, opts Options, inputs, output string) *ir.Graph {
	t.Helper()
	ids := loadTensor(t, filepath.Join(dir, "test_data_set_0", inputs)).I
	want := loadTensor(t, filepath.Join(dir, "test_data_set_0", output)).F
	opts.watch = func(pass string, g *ir.Graph) {
		vals, err := eval.Float(g, ids)
		if err != nil {
			t.Fatalf("after %s: %v", pass, err)
		}
		if d := maxDiff(vals[g.Output], want); d > 1e-3 {
			t.Errorf("after %s the logits differ by %g", pass, d)
		}
	}
	g, err := Lower(filepath.Join(dir, "model.onnx"), opts)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestStories260K(t *testing.T) {
	g := checkModel(t, shared(t, "models", "stories260K-dynamo18"), Options{}, "input_0.pb", "output_0.pb")
	if !g.Causal {
		t.Error("the model is causal")
	}
}

func TestSums(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "models", "sums")
	if _, err := os.Stat(filepath.Join(dir, "model.onnx")); err != nil {
		t.Skip("models/sums is absent")
	}
	g := checkModel(t, dir, Options{}, "input_0.pb", "output_0.pb")
	if !g.Causal {
		t.Error("the model is causal")
	}
}

// TestModelsThatAreRefused checks that models outside of the first release say why.
func TestModelsThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		dir  string
		opts Options
		want string
	}{
		{"hf-tiny-distilbert-2L", Options{Dims: map[string]int{"sequence": 16}}, "input_ids, attention_mask"},
		{"hf-tiny-distilbert-2L", Options{Dims: map[string]int{"sequence": 16}, Fix: map[string]*onnx.Tensor{
			"attention_mask": {DType: onnx.Int64, Shape: []int{1, 3}, I: []int64{1, 1, 1}}}}, "cannot reshape"},
		{"ort-gpt2-megatron-1L", Options{Output: "logits"}, "one input of token ids"},
		{"ort-gpt2-megatron-1L", Options{}, "2 outputs"},
		{"tensorwarp-tiny-transformer", Options{}, "must be token ids"},
		{"ort-bert-toy-5L", Options{Output: "nothing"}, "has no output"},
	} {
		_, err := Lower(filepath.Join(shared(t, "models", c.dir), "model.onnx"), c.opts)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want %q, got %v", c.dir, c.want, err)
		}
	}
}

func TestBert(t *testing.T) {
	dir := shared(t, "models", "ort-bert-toy-5L")
	data := filepath.Join(dir, "test_data_set_0")
	opts := Options{Dims: map[string]int{"max_seq_len_in_batch": 16}, Output: "prediction_scores", Fix: map[string]*onnx.Tensor{
		"token_type_ids": loadTensor(t, filepath.Join(data, "input_1.pb")), "input_mask": loadTensor(t, filepath.Join(data, "input_2.pb"))}}
	g := checkModel(t, dir, opts, "input_0.pb", "output_0.pb")
	if g.Causal {
		t.Error("the model is not causal")
	}
}
