package passes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/compiler/internal/frontend"
	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// feeds reads the inputs of a test folder: floating-point inputs are inputs of the graph, the others are fixed.
func feeds(m *onnx.Model, data string, opts *Options) (map[string][]float64, error) {
	fed := map[string][]float64{}
	opts.Ranges, opts.Fix = map[string]frontend.Range{}, map[string]*onnx.Tensor{}
	given := map[string]bool{}
	for _, t := range m.Graph.Initializers {
		given[t.Name] = true
	}
	k := 0
	for i := range m.Graph.Inputs {
		in := &m.Graph.Inputs[i]
		p := filepath.Join(data, fmt.Sprintf("input_%d.pb", k))
		k++
		if _, err := os.Stat(p); err != nil {
			continue
		}
		t, err := onnx.LoadTensor(p)
		if err != nil {
			return nil, err
		}
		if t.DType.IsFloat() {
			fed[in.Name] = t.F
			in.Dims, in.HasShape = nil, true // the data's shape, which may be another batch than the file's
			for _, d := range t.Shape {
				in.Dims = append(in.Dims, onnx.Dim{Value: int64(d)})
			}
			opts.Ranges[in.Name] = frontend.Range{Lo: math.Inf(-1), Hi: math.Inf(1)}
		} else {
			opts.Fix[in.Name] = t
		}
	}
	return fed, nil
}

// indices are those of the greatest cells of all rows, the first of several.
func indices(x []float64, shape []int) (out []float64) {
	for row := range slices.Chunk(x, shape[len(shape)-1]) {
		out = append(out, float64(slices.Index(row, slices.Max(row))))
	}
	return out
}

// runCase lowers an output of one conformance case and returns "refused", "folded", "same" or a failure.
func runCase(dir string, output int) (verdict string, err error) {
	defer func() {
		if r := recover(); r != nil {
			verdict, err = "failed", fmt.Errorf("panic: %v", r)
		}
	}()
	m, err := onnx.Load(context.Background(), filepath.Join(dir, "model.onnx"))
	if err != nil {
		return "unreadable", err
	}
	data := filepath.Join(dir, "test_data_set_0")
	opts := Options{Outputs: []string{m.Graph.Outputs[output].Name}}
	fed, err := feeds(m, data, &opts)
	if err != nil {
		return "unreadable", err
	}
	g, err := Lower(m, opts)
	var u *Unsupported
	if errors.As(err, &u) {
		return "refused", err
	}
	if err != nil {
		return "failed", err
	}
	want, err := onnx.LoadTensor(filepath.Join(data, fmt.Sprintf("output_%d.pb", output)))
	if err != nil {
		return "unreadable", err
	}
	var in [][]float64
	for _, p := range g.Inputs {
		in = append(in, fed[p.Name])
	}
	vals, err := eval.Float(g, in...)
	if err != nil {
		return "failed", err
	}
	got := vals[g.Out()]
	if g.Outputs[0].Indices {
		got = indices(got, g.Outputs[0].Shape)
	}
	if d := relDiff(got, cells(want)); !(d < 2e-3) {
		return "failed", fmt.Errorf("the result differs by %g:\n%s", d, g)
	}
	return "same", nil
}

func cells(t *onnx.Tensor) []float64 {
	if t.DType.IsFloat() {
		return t.F
	}
	out := make([]float64, len(t.I))
	for i, x := range t.I {
		out[i] = float64(x)
	}
	return out
}

func relDiff(a, b []float64) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	d := 0.0
	for i := range a {
		if x := math.Abs(a[i]-b[i]) / math.Max(1, math.Abs(b[i])); !(x <= d) && !(math.IsNaN(a[i]) && math.IsNaN(b[i])) {
			d = x
		}
	}
	return d
}

func conformance(t *testing.T, folder string, least int) {
	root := shared(t, folder)
	dirs, err := filepath.Glob(filepath.Join(root, "*", "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, p := range dirs {
		dir := filepath.Dir(p)
		verdict, err := runCase(dir, 0)
		count[verdict]++
		switch verdict {
		case "failed":
			t.Errorf("%s: %v", filepath.Base(dir), err)
		case "refused", "unreadable":
			t.Logf("%s: %s: %s", filepath.Base(dir), verdict, strings.SplitN(err.Error(), "\n", 2)[0])
		}
	}
	t.Log(count)
	if count["same"] < least {
		t.Errorf("%d cases give the expected result, at least %d did", count["same"], least)
	}
}

func TestOperatorCases(t *testing.T) { conformance(t, "node", 233) }
func TestPatternCases(t *testing.T)  { conformance(t, "patterns", 67) }

// TestKernelCases compares operators with what kernels of onnxruntime give; testdata/onnxruntime/cases.py wrote the cases.
func TestKernelCases(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "onnxruntime", "cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Name            string
		Model           []byte
		Inputs, Outputs [][]byte
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		dir := t.TempDir()
		files := map[string][]byte{"model.onnx": c.Model}
		for i, x := range c.Inputs {
			files[fmt.Sprintf("test_data_set_0/input_%d.pb", i)] = x
		}
		for i, x := range c.Outputs {
			files[fmt.Sprintf("test_data_set_0/output_%d.pb", i)] = x
		}
		if err := os.Mkdir(filepath.Join(dir, "test_data_set_0"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, x := range files {
			if err := os.WriteFile(filepath.Join(dir, name), x, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for out := range c.Outputs {
			if verdict, err := runCase(dir, out); verdict != "same" {
				t.Errorf("%s: output %d: %s: %v", c.Name, out, verdict, err)
			}
		}
	}
}
