package passes

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// model is a small ONNX model under construction.
type model struct{ g *onnx.Graph }

// newModel starts with ids [1,4] embedded in 8 dimensions, as tensor "x" of shape [1,4,8].
func newModel() *model {
	m := &model{&onnx.Graph{Name: "test"}}
	m.g.Inputs = []onnx.ValueInfo{{Name: "ids", DType: onnx.Int64, HasShape: true, Dims: []onnx.Dim{{Value: 1}, {Value: 4}}}}
	m.weight("emb", 5, 8)
	m.node("Gather", "emb ids", "x")
	return m
}

// weight adds an initializer with varied cells.
func (m *model) weight(name string, shape ...int) {
	t := &onnx.Tensor{Name: name, DType: onnx.Float32, Shape: shape, F: make([]float64, ir.Size(shape))}
	for i := range t.F {
		t.F[i] = math.Sin(float64(7*i+3*len(name)+len(m.g.Initializers))) + 0.2
	}
	m.g.Initializers = append(m.g.Initializers, t)
}

func (m *model) floats(name string, shape []int, f ...float64) {
	m.g.Initializers = append(m.g.Initializers, &onnx.Tensor{Name: name, DType: onnx.Float32, Shape: shape, F: f})
}

func (m *model) ints(name string, i ...int64) {
	m.g.Initializers = append(m.g.Initializers, &onnx.Tensor{Name: name, DType: onnx.Int64, Shape: []int{len(i)}, I: i})
}

// node adds a node; inputs and outputs are separated by spaces. Scalars like 0.5 and integer lists like [0,-1] may stand for
// inputs and become initializers.
func (m *model) node(op, in, out string, attrs ...*onnx.Attr) {
	n := &onnx.Node{Name: strings.Fields(out)[0], Op: op, Outputs: strings.Fields(out), Attrs: attrs}
	for _, s := range strings.Fields(in) {
		var f float64
		if _, err := fmt.Sscan(s, &f); err == nil {
			m.floats("c"+s, nil, f)
			s = "c" + s
		} else if strings.HasPrefix(s, "[") {
			var list []int64
			for _, x := range strings.Split(strings.Trim(s, "[]"), ",") {
				var v int64
				fmt.Sscan(x, &v)
				list = append(list, v)
			}
			m.ints(s, list...)
		}
		n.Inputs = append(n.Inputs, s)
	}
	m.g.Nodes = append(m.g.Nodes, n)
}

func attrInt(name string, v int64) *onnx.Attr {
	return &onnx.Attr{Name: name, Type: onnx.AttrInt, I: v}
}
func attrFloat(name string, v float64) *onnx.Attr {
	return &onnx.Attr{Name: name, Type: onnx.AttrFloat, F: v}
}

func attrInts(name string, v ...int64) *onnx.Attr {
	return &onnx.Attr{Name: name, Type: onnx.AttrInts, Ints: v}
}

func (m *model) finish(out string) *onnx.Model {
	seen := map[string]bool{}
	var inits []*onnx.Tensor
	for _, t := range m.g.Initializers {
		if !seen[t.Name] {
			inits = append(inits, t)
		}
		seen[t.Name] = true
	}
	m.g.Initializers = inits
	m.g.Outputs = []onnx.ValueInfo{{Name: out}}
	return &onnx.Model{Opsets: []onnx.Opset{{Version: 18}}, Graph: m.g}
}

// project ends a model with a product that gives [1,4,3] logits.
func (m *model) project(in string, dim int) *onnx.Model {
	m.weight("head", dim, 3)
	m.node("MatMul", in+" head", "logits")
	return m.finish("logits")
}

// lowerAll lowers a model and checks that every pass keeps its meaning. It returns the text before and after the given pass, and
// the final graph.
func lowerAll(t *testing.T, m *onnx.Model, pass string) (before, after string, g *ir.Graph) {
	t.Helper()
	ids := []float64{1, 4, 0, 2}
	var want []float64
	last := ""
	g, err := Lower(m, Options{watch: func(p string, g *ir.Graph) {
		vals, err := eval.Float(g, ids)
		if err != nil {
			t.Fatalf("after %s: %v", p, err)
		}
		if want == nil {
			want = vals[g.Out()]
		}
		if d := maxDiff(vals[g.Out()], want); d > 1e-4 {
			t.Errorf("%s changes the result by %g:\n%s", p, d, g)
		}
		if p == pass {
			before, after = last, g.String()
		}
		last = g.String()
	}})
	if err != nil {
		t.Fatal(err)
	}
	return before, after, g
}

func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("%s differs (go test -update rewrites it):\n%s", path, text)
	}
}

func rmsnorm(spelling int) func() *onnx.Model {
	return func() *onnx.Model {
		m := newModel()
		m.weight("gamma", 8)
		if spelling == 1 {
			m.node("Mul", "x x", "sq")
		} else {
			m.node("Pow", "x 2", "sq")
		}
		m.node("ReduceMean", "sq [-1]", "mean")
		m.node("Add", "mean 1e-5", "var")
		switch spelling {
		case 0:
			m.node("Sqrt", "var", "sd")
			m.node("Reciprocal", "sd", "r")
			m.node("Mul", "x r", "y")
		case 1:
			m.node("Pow", "var -0.5", "r")
			m.node("Mul", "r x", "y")
		case 2:
			m.node("Sqrt", "var", "sd")
			m.node("Div", "x sd", "y")
		}
		m.node("Mul", "y gamma", "z")
		return m.project("z", 8)
	}
}

func layernorm() *onnx.Model {
	m := newModel()
	m.weight("gamma", 8)
	m.weight("beta", 8)
	m.node("ReduceMean", "x", "mean", attrInts("axes", -1))
	m.node("Sub", "x mean", "d1")
	m.node("Sub", "x mean", "d2") // exporters repeat it
	m.node("Pow", "d1 2", "sq")
	m.node("ReduceMean", "sq", "var", attrInts("axes", -1))
	m.node("Add", "var 1e-5", "ve")
	m.node("Sqrt", "ve", "sd")
	m.node("Div", "d2 sd", "n")
	m.node("Mul", "n gamma", "g")
	m.node("Add", "g beta", "z")
	return m.project("z", 8)
}

func geluErf() *onnx.Model {
	m := newModel()
	m.node("Div", "x 1.4142135381698608", "a")
	m.node("Erf", "a", "e")
	m.node("Add", "e 1", "p")
	m.node("Mul", "x p", "q")
	m.node("Mul", "q 0.5", "z")
	return m.project("z", 8)
}

func geluTanh() *onnx.Model {
	m := newModel()
	m.node("Pow", "x 3", "c")
	m.node("Mul", "c 0.044715", "c1")
	m.node("Add", "x c1", "s")
	m.node("Mul", "s 0.7978845608", "a")
	m.node("Tanh", "a", "e")
	m.node("Add", "e 1", "p")
	m.node("Mul", "x 0.5", "h")
	m.node("Mul", "h p", "z")
	return m.project("z", 8)
}

func siluExp() *onnx.Model {
	m := newModel()
	m.node("Neg", "x", "n")
	m.node("Exp", "n", "e")
	m.node("Add", "e 1", "p")
	m.node("Div", "x p", "z")
	return m.project("z", 8)
}

// attention is one head over x with a causal mask of the given kind.
func attention(kind string) func() *onnx.Model {
	return func() *onnx.Model {
		m := newModel()
		m.node("Transpose", "x", "xt", attrInts("perm", 0, 2, 1))
		m.node("MatMul", "x xt", "s0")
		m.node("Mul", "s0 0.25", "s")
		low := math.Inf(-1)
		switch kind {
		case "big":
			low = -3.4028234663852886e38
		case "10000":
			low = -10000
		}
		cells := make([]float64, 16)
		cond := make([]int64, 16)
		for i := range cells {
			if i%4 > i/4 {
				cells[i] = low
			} else {
				cond[i] = 1
			}
		}
		if kind == "where" {
			m.g.Initializers = append(m.g.Initializers, &onnx.Tensor{Name: "cond", DType: onnx.Bool, Shape: []int{1, 4, 4}, I: cond})
			m.floats("low", nil, math.Inf(-1))
			m.node("Where", "cond s low", "m")
		} else {
			m.floats("mask", []int{1, 4, 4}, cells...)
			m.node("Add", "s mask", "m")
		}
		m.node("Softmax", "m", "p", attrInt("axis", -1))
		m.node("MatMul", "p x", "z")
		return m.project("z", 8)
	}
}

// rope rotates x as two heads of 4, with the angles computed in the graph.
func rope(interleaved bool) func() *onnx.Model {
	return func() *onnx.Model {
		m := newModel()
		m.node("Reshape", "x [1,4,2,4]", "h4")
		m.node("Transpose", "h4", "h", attrInts("perm", 0, 2, 1, 3))
		m.floats("freq", []int{1, 2}, 1, 0.1)
		m.floats("pos", []int{4, 1}, 0, 1, 2, 3)
		m.node("MatMul", "pos freq", "angle")
		if interleaved {
			m.node("Cos", "angle", "cos")
			m.node("Sin", "angle", "sin")
			m.node("Slice", "h [0] [4] [3] [2]", "a")
			m.node("Slice", "h [1] [4] [3] [2]", "b")
			m.node("Mul", "a cos", "ac")
			m.node("Mul", "b sin", "bs")
			m.node("Sub", "ac bs", "o1")
			m.node("Mul", "a sin", "as")
			m.node("Mul", "b cos", "bc")
			m.node("Add", "as bc", "o2")
			m.node("Unsqueeze", "o1 [-1]", "u1")
			m.node("Unsqueeze", "o2 [-1]", "u2")
			m.node("Concat", "u1 u2", "cat", attrInt("axis", -1))
			m.node("Reshape", "cat [1,2,4,4]", "r")
		} else {
			m.node("Concat", "angle angle", "angles", attrInt("axis", -1))
			m.node("Cos", "angles", "cos")
			m.node("Sin", "angles", "sin")
			m.node("Slice", "h [0] [2] [3]", "a")
			m.node("Slice", "h [2] [9223372036854775807] [3]", "b")
			m.node("Neg", "b", "nb")
			m.node("Concat", "nb a", "rot", attrInt("axis", -1))
			m.node("Mul", "h cos", "hc")
			m.node("Mul", "rot sin", "rs")
			m.node("Add", "hc rs", "r")
		}
		m.node("Transpose", "r", "rt", attrInts("perm", 0, 2, 1, 3))
		m.node("Reshape", "rt [1,4,8]", "z")
		return m.project("z", 8)
	}
}

// fused is a query-key-value projection in one weight with a bias, split and multiplied.
func fused() *onnx.Model {
	m := newModel()
	m.weight("wqkv", 8, 24)
	m.weight("bqkv", 24)
	m.node("MatMul", "x wqkv", "mm")
	m.node("Add", "mm bqkv", "qkv")
	m.node("Split", "qkv", "q k v", attrInt("axis", 2))
	m.node("Mul", "q k", "qk")
	m.node("Mul", "qk v", "z")
	return m.project("z", 8)
}

// grouped is attention of two query heads on one key head: the repetition is not materialised.
func grouped() *onnx.Model {
	m := newModel()
	m.weight("wk", 8, 4)
	m.node("MatMul", "x wk", "k0")
	m.node("Reshape", "k0 [1,4,1,4]", "k1")
	m.node("Transpose", "k1", "k2", attrInts("perm", 0, 2, 1, 3))
	m.node("Unsqueeze", "k2 [2]", "k3")
	m.node("Expand", "k3 [1,1,2,4,4]", "k4")
	m.node("Reshape", "k4 [1,2,4,4]", "k")
	m.node("Reshape", "x [1,4,2,4]", "q1")
	m.node("Transpose", "q1", "q", attrInts("perm", 0, 2, 1, 3))
	m.node("Transpose", "k", "kt", attrInts("perm", 0, 1, 3, 2))
	m.node("MatMul", "q kt", "s")
	m.node("Softmax", "s", "p", attrInt("axis", -1))
	m.node("MatMul", "p k", "c")
	m.node("Transpose", "c", "ct", attrInts("perm", 0, 2, 1, 3))
	m.node("Reshape", "ct [1,4,8]", "z")
	return m.project("z", 8)
}

// tied uses the embedding again, transposed, as the head.
func tied() *onnx.Model {
	m := newModel()
	m.node("Transpose", "emb", "head", attrInts("perm", 1, 0))
	m.node("MatMul", "x head", "logits")
	return m.finish("logits")
}

func TestPassesBeforeAndAfter(t *testing.T) {
	for _, c := range []struct {
		name, pass string
		model      func() *onnx.Model
	}{
		{"rmsnorm", "norms", rmsnorm(0)}, {"layernorm", "norms", layernorm}, {"gelu_erf", "activations", geluErf},
		{"gelu_tanh", "activations", geluTanh}, {"silu_exp", "activations", siluExp}, {"mask", "masks", attention("inf")},
		{"mask_where", "masks", attention("where")}, {"rope", "linear", rope(false)}, {"rope_interleaved", "linear", rope(true)},
		{"fused_qkv", "selections", fused}, {"grouped_query", "views", grouped}, {"tied", "views", tied}, {"squeeze", "squeeze", tied},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, after, g := lowerAll(t, c.model(), c.pass)
			golden(t, c.name, "-- before "+c.pass+"\n"+before+"-- after "+c.pass+"\n"+after+"-- lowered\n"+g.String())
		})
	}
}

// TestSpellings checks that different spellings of a pattern give the same graph, names aside.
func TestSpellings(t *testing.T) {
	for name, models := range map[string][]func() *onnx.Model{
		"rmsnorm": {rmsnorm(0), rmsnorm(1), rmsnorm(2)},
		"mask":    {attention("inf"), attention("big"), attention("10000"), attention("where")},
	} {
		var first string
		for i, m := range models {
			_, _, g := lowerAll(t, m(), "")
			for _, n := range g.Nodes {
				n.Origin = ""
			}
			for _, v := range g.Values {
				v.Name = ""
			}
			if s := g.String(); first == "" {
				first = s
			} else if s != first {
				t.Errorf("%s: spelling %d gives\n%s\nand not\n%s", name, i, s, first)
			}
		}
	}
}

// TestOriginsAreNodes says that after every pass every value names a node of the model and that node's operator, and that a product
// keeps its own where what follows it is joined with it.
func TestOriginsAreNodes(t *testing.T) {
	for name, build := range map[string]func() *onnx.Model{
		"rmsnorm": rmsnorm(0), "layernorm": layernorm, "gelu_tanh": geluTanh, "silu_exp": siluExp, "mask": attention("where"), "rope": rope(false),
		"fused_qkv": fused, "grouped_query": grouped, "tied": tied,
	} {
		m := build()
		operators := map[string]string{}
		for _, n := range m.Graph.Nodes {
			operators[n.Name] = n.Op
		}
		products := 0
		_, err := Lower(m, Options{watch: func(pass string, g *ir.Graph) {
			for _, n := range g.Nodes {
				if n.Op == ir.OpInput {
					continue
				}
				if want, ok := operators[n.Origin]; !ok || n.Operator != want {
					t.Errorf("%s: after %s a %s comes from node %q (%s), in the model it is %q", name, pass, n.Op, n.Origin, n.Operator, want)
				}
				if pass == "finish" && n.Op == ir.OpEinsum && isProduct(terms(g, n.Out[0])) {
					products++
					if n.Operator == "Add" && name != "rope" || // whose sum is of two products
						n.Operator == "Transpose" || n.Operator == "Reshape" || n.Operator == "Split" {
						t.Errorf("%s: a product comes from node %q (%s)", name, n.Origin, n.Operator)
					}
				}
			}
		}})
		if err != nil || products == 0 {
			t.Errorf("%s: %d products, %v", name, products, err)
		}
	}
}

func TestCausality(t *testing.T) {
	for _, c := range []struct {
		name  string
		model func() *onnx.Model
		want  bool
	}{{"masked", attention("inf"), true}, {"unmasked", grouped, false}, {"pointwise", layernorm, true}} {
		_, _, g := lowerAll(t, c.model(), "")
		if g.Causal != c.want {
			t.Errorf("%s: Causal = %v\n%s", c.name, g.Causal, g)
		}
	}
}

func TestLoweringIsDeterministic(t *testing.T) {
	_, _, a := lowerAll(t, rope(true)(), "")
	for i := 0; i < 5; i++ {
		if _, _, b := lowerAll(t, rope(true)(), ""); a.String() != b.String() {
			t.Fatalf("run %d gives\n%s\nand not\n%s", i, b, a)
		}
	}
}

func TestRefusals(t *testing.T) {
	for want, build := range map[string]func(m *model) *onnx.Model{
		"the operator is not supported": func(m *model) *onnx.Model { m.node("NonMaxSuppression", "x x x", "z"); return m.project("z", 8) },
		"is all masked": func(m *model) *onnx.Model {
			inf := math.Inf(-1)
			m.floats("mask", []int{4, 4}, inf, inf, inf, inf, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
			m.node("Transpose", "x", "xt", attrInts("perm", 0, 2, 1))
			m.node("MatMul", "x xt", "s")
			m.node("Add", "s mask", "m")
			m.node("Softmax", "m", "p")
			m.node("MatMul", "p x", "z")
			return m.project("z", 8)
		},
		"is not finite": func(m *model) *onnx.Model {
			m.floats("b", []int{2}, 1, math.NaN())
			m.node("Reshape", "x [4,4,2]", "y")
			m.node("Add", "y b", "y2")
			m.node("Reshape", "y2 [1,4,8]", "z")
			return m.project("z", 8)
		},
		"and the reciprocal of that is no number": func(m *model) *onnx.Model {
			m.node("Sub", "x x", "nothing")
			m.node("Sqrt", "nothing", "root")
			m.node("Div", "x root", "z")
			return m.project("z", 8)
		},
		"may have cells other than 0 and 1": func(m *model) *onnx.Model {
			m.node("Where", "x x x", "z")
			return m.project("z", 8)
		},
		"nothing to prove":              func(m *model) *onnx.Model { m.node("Neg", "emb", "z"); return m.finish("z") },
		"of which no range is declared": func(m *model) *onnx.Model { m.g.Nodes = nil; m.node("Add", "ids ids", "z"); return m.finish("z") },
	} {
		_, err := Lower(build(newModel()), Options{})
		var u *Unsupported
		if !errors.As(err, &u) || !strings.Contains(err.Error(), want) || u.Node == "" || u.Op == "" {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestPassOrderIsChecked(t *testing.T) {
	for want, table := range map[string][]Pass{
		"needs b before it": {{"a", []string{"b"}, nil}, {"b", nil, nil}},
		"listed twice":      {{"a", nil, nil}, {"a", nil, nil}},
	} {
		if err := checkOrder(table); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
