package passes

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/compiler/internal/frontend"
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
		vals, err := eval.Float(g, eval.Reals(ids))
		if err != nil {
			t.Fatalf("after %s: %v", pass, err)
		}
		if d := maxDiff(vals[g.Out()], want); d > 1e-3 {
			t.Errorf("after %s the logits differ by %g", pass, d)
		}
	}
	g, err := lowerFile(filepath.Join(dir, "model.onnx"), opts)
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
		{"hf-tiny-distilbert-2L", Options{Dims: map[string]int{"sequence": 16}}, "no range is declared; give it, --range attention_mask=LO:HI"},
		{"hf-tiny-distilbert-2L", Options{Dims: map[string]int{"sequence": 16}, Fix: map[string]*onnx.Tensor{
			"attention_mask": {DType: onnx.Int64, Shape: []int{1, 3}, I: []int64{1, 1, 1}}}}, "cannot reshape"},
		{"ort-gpt2-megatron-1L", Options{Outputs: []string{"logits"}}, "axis 1 is symbolic"},
		{"tensorwarp-tiny-transformer", Options{}, `takes the input "input" as real numbers, of which no range is declared; give it, --range input=LO:HI`},
		{"ort-bert-toy-5L", Options{Outputs: []string{"nothing"}}, "has no output"},
	} {
		_, err := lowerFile(filepath.Join(shared(t, "models", c.dir), "model.onnx"), c.opts)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want %q, got %v", c.dir, c.want, err)
		}
	}
}

// Models with several inputs, masks among them, give their expected outputs whether their masks are all ones or not.
func TestModelsWithMasks(t *testing.T) {
	for dir, c := range map[string]Options{
		"ort-bert-toy-5L":             {Outputs: []string{"prediction_scores"}},
		"hf-tiny-distilbert-2L":       {},
		"tensorwarp-tiny-transformer": {},
	} {
		root := shared(t, "models", dir)
		m, err := onnx.Load(context.Background(), filepath.Join(root, "model.onnx"))
		if err != nil {
			t.Fatal(err)
		}
		c.Ranges = map[string]frontend.Range{}
		in := map[string][]float64{}
		for i := range m.Graph.Inputs {
			v := &m.Graph.Inputs[i]
			x := loadTensor(t, filepath.Join(root, "test_data_set_0", fmt.Sprintf("input_%d.pb", i)))
			v.Dims = nil
			for _, d := range x.Shape {
				v.Dims = append(v.Dims, onnx.Dim{Value: int64(d)})
			}
			cells := cells(x)
			in[v.Name] = cells
			c.Ranges[v.Name] = frontend.Range{Lo: min(0, slices.Min(cells)), Hi: max(1, slices.Max(cells))}
		}
		g, err := Lower(m, c)
		if err != nil {
			t.Errorf("%s: %v", dir, err)
			continue
		}
		var elements [][]float64
		for _, p := range g.Inputs {
			elements = append(elements, in[p.Name])
		}
		vals, err := eval.Float(g, elements...)
		if err != nil {
			t.Errorf("%s: %v", dir, err)
			continue
		}
		want := cells(loadTensor(t, filepath.Join(root, "test_data_set_0", "output_0.pb")))
		t.Log(dir, g.Inputs, g.Outputs[0].Name)
		if d := relDiff(vals[g.Out()], want); d > 1e-3 {
			t.Errorf("%s: %g", dir, d)
		}
	}
}

func TestBert(t *testing.T) {
	dir := shared(t, "models", "ort-bert-toy-5L")
	data := filepath.Join(dir, "test_data_set_0")
	opts := Options{Dims: map[string]int{"max_seq_len_in_batch": 16}, Outputs: []string{"prediction_scores"}, Fix: map[string]*onnx.Tensor{
		"token_type_ids": loadTensor(t, filepath.Join(data, "input_1.pb")), "input_mask": loadTensor(t, filepath.Join(data, "input_2.pb"))}}
	g := checkModel(t, dir, opts, "input_0.pb", "output_0.pb")
	if g.Causal {
		t.Error("the model is not causal")
	}
}

// lowerFile lowers the model of a file.
func lowerFile(path string, opts Options) (*ir.Graph, error) {
	m, err := onnx.Load(context.Background(), path)
	if err != nil {
		return nil, err
	}
	return Lower(m, opts)
}
