package compiler

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/zkllmc/zkllmc/internal/machine"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// What a model file of a few hundred bytes may cost the compiler. Each hostile model is compiled in a process of its own: memory that
// cannot be had ends a Go process, and a hang must be ended from outside.
const (
	hostileTime   = 20 * time.Second // the slowest takes well below a second on an idle core
	hostileMemory = 1 << 30          // all that was ever allocated; models/sums, 700 KB, takes about half
	hostilePeak   = 400 << 20        // resident at one time: what the budget gives any model, with garbage and the process itself
	hostileChild  = "ZKLLMC_HOSTILE_CHILD"
)

// op is a node of the standard operators.
func op(kind, in, out string, attrs ...*pb.AttributeProto) *pb.NodeProto {
	return &pb.NodeProto{OpType: kind, Name: kind + "_" + out, Input: strings.Fields(in), Output: strings.Fields(out), Attribute: attrs}
}

func intAttr(name string, v int64) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: 2, I: v}
}

func int64s(name string, v ...int64) *pb.TensorProto {
	return &pb.TensorProto{Name: name, DataType: 7, Dims: []int64{int64(len(v))}, Int64Data: v}
}

func matrix(name string, rows, cols int) *pb.TensorProto {
	t := &pb.TensorProto{Name: name, DataType: 1, Dims: []int64{int64(rows), int64(cols)}}
	for i := range rows * cols {
		t.FloatData = append(t.FloatData, float32(math.Sin(float64(i))))
	}
	return t
}

// bigramModel is the smallest language model: 4 tokens of a vocabulary of 6, an embedding x of width 3, y = x, logits = y·head. The given
// nodes stand between x and y; one of them makes y.
func bigramModel(nodes []*pb.NodeProto, initializers ...*pb.TensorProto) *pb.ModelProto {
	dim := func(n int64) *pb.TensorShapeProto_Dimension {
		return &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimValue{DimValue: n}}
	}
	typ := &pb.TypeProto{Value: &pb.TypeProto_TensorType{TensorType: &pb.TypeProto_Tensor{ElemType: 7, Shape: &pb.TensorShapeProto{
		Dim: []*pb.TensorShapeProto_Dimension{dim(4)}}}}}
	all := append([]*pb.NodeProto{op("Gather", "emb ids", "x")}, nodes...)
	return &pb.ModelProto{IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: 18}}, Graph: &pb.GraphProto{
		Name: "g", Node: append(all, op("MatMul", "y head", "logits")),
		Input: []*pb.ValueInfoProto{{Name: "ids", Type: typ}}, Output: []*pb.ValueInfoProto{{Name: "logits"}},
		Initializer: append(initializers, matrix("emb", 6, 3), matrix("head", 3, 6)),
	}}
}

// constantly adds the sum of a constant, called big, to x, so that the constant is needed.
func constantly(nodes []*pb.NodeProto, initializers ...*pb.TensorProto) *pb.ModelProto {
	return bigramModel(append(nodes, op("ReduceMax", "big", "one", intAttr("keepdims", 0)), op("Cast", "one", "f", intAttr("to", 1)), op("Add", "x f", "y")), initializers...)
}

// chain is k nodes of one operator, each on the result of the one before, from x to y.
func chain(k int, kind string, in func(prev string) string) []*pb.NodeProto {
	prev := "x"
	var out []*pb.NodeProto
	for i := range k {
		next := fmt.Sprintf("t%d", i)
		if i == k-1 {
			next = "y"
		}
		out = append(out, op(kind, in(prev), next))
		prev = next
	}
	return out
}

func twice(prev string) string { return prev + " " + prev }

// joined doubles a constant k times by Concat.
func joined(k int) *pb.ModelProto {
	prev := "c"
	var nodes []*pb.NodeProto
	for i := range k {
		next := fmt.Sprintf("c%d", i)
		nodes = append(nodes, op("Concat", twice(prev), next, intAttr("axis", 0)))
		prev = next
	}
	return constantly(append(nodes, op("Identity", prev, "big")), int64s("c", 1, 2))
}

// weighted is k nodes of one operator, each on the result of the one before and a weight of its own.
func weighted(k int, kind string, rows int) *pb.ModelProto {
	i := 0
	nodes := chain(k, kind, func(prev string) string { i++; return fmt.Sprintf("%s w%d", prev, i) })
	var weights []*pb.TensorProto
	for j := 1; j <= i; j++ {
		weights = append(weights, matrix(fmt.Sprintf("w%d", j), rows, 3))
	}
	return bigramModel(nodes, weights...)
}

// laughs has k functions, of which each calls the next twice: 2^k calls from k definitions.
func laughs(k int) *pb.ModelProto {
	m := bigramModel([]*pb.NodeProto{{OpType: "f0", Domain: "d", Input: []string{"x"}, Output: []string{"y"}}})
	m.OpsetImport = append(m.OpsetImport, &pb.OperatorSetIdProto{Domain: "d", Version: 1})
	for i := range k {
		f := &pb.FunctionProto{Name: fmt.Sprintf("f%d", i), Domain: "d", Input: []string{"a"}, Output: []string{"c"}, OpsetImport: m.OpsetImport}
		next := fmt.Sprintf("f%d", i+1)
		f.Node = []*pb.NodeProto{{OpType: next, Domain: "d", Input: []string{"a"}, Output: []string{"b"}}, {OpType: next, Domain: "d", Input: []string{"b"}, Output: []string{"c"}}}
		if i == k-1 {
			f.Node = []*pb.NodeProto{op("Identity", "a", "c")}
		}
		m.Functions = append(m.Functions, f)
	}
	return m
}

// nested is k If nodes, each in the branch of the one before.
func nested(k int) *pb.ModelProto {
	g := &pb.GraphProto{Name: "inner", Node: []*pb.NodeProto{op("Identity", "x", "z0")}, Output: []*pb.ValueInfoProto{{Name: "z0"}}}
	for i := range k {
		out := fmt.Sprintf("z%d", i+1)
		n := op("If", "yes", out, &pb.AttributeProto{Name: "then_branch", Type: 5, G: g}, &pb.AttributeProto{Name: "else_branch", Type: 5, G: g})
		g = &pb.GraphProto{Name: out, Node: []*pb.NodeProto{n}, Output: []*pb.ValueInfoProto{{Name: out}}}
	}
	g.Node[0].Output[0] = "y"
	return bigramModel(g.Node, &pb.TensorProto{Name: "yes", DataType: 9, Int32Data: []int32{1}})
}

// loops is k Loop nodes of 1000 iterations, each in the body of the one before, the innermost of which does something, or nothing that is needed.
func loops(k int, needed bool) *pb.ModelProto {
	g := &pb.GraphProto{Name: "inner", Node: []*pb.NodeProto{op("Neg", "s0", "z0")}}
	for i := range k {
		name := func(of string) string { return fmt.Sprint(of, i) }
		g.Input = []*pb.ValueInfoProto{{Name: name("i")}, {Name: name("c")}, {Name: name("s")}}
		g.Output = []*pb.ValueInfoProto{{Name: name("c")}, {Name: name("z")}}
		if !needed {
			g.Output[1].Name = name("s")
		}
		n := op("Loop", "iterations yes "+fmt.Sprint("s", i+1), fmt.Sprint("z", i+1), &pb.AttributeProto{Name: "body", Type: 5, G: g})
		g = &pb.GraphProto{Name: n.Name, Node: []*pb.NodeProto{n}}
	}
	g.Node[0].Input[2], g.Node[0].Output[0] = "x", "y"
	return bigramModel(g.Node, &pb.TensorProto{Name: "yes", DataType: 9, Int32Data: []int32{1}}, &pb.TensorProto{Name: "iterations", DataType: 7, Int64Data: []int64{1000}})
}

// shaped replaces the declared shape of the token ids.
func shaped(dims ...int64) *pb.ModelProto {
	m := bigramModel([]*pb.NodeProto{op("Identity", "x", "y")})
	s := m.Graph.Input[0].Type.GetTensorType().Shape
	s.Dim = nil
	for _, d := range dims {
		s.Dim = append(s.Dim, &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimValue{DimValue: d}})
	}
	return m
}

// wide is a model that multiplies x by constants of which it gives the shapes alone.
func wide(n int64) *pb.ModelProto {
	return bigramModel([]*pb.NodeProto{op("ConstantOfShape", "sa", "A"), op("ConstantOfShape", "sb", "B"), op("ConstantOfShape", "sc", "C"),
		op("MatMul", "x A", "p"), op("MatMul", "p B", "q"), op("MatMul", "q C", "r"), op("Add", "x r", "y")}, int64s("sa", 3, n), int64s("sb", n, n), int64s("sc", n, 3))
}

// factors is wide as one product, by its equation; the dearer ones end in a sum over what is left.
func factors(n int64, equation string) *pb.ModelProto {
	m := wide(n)
	_, result, _ := strings.Cut(equation, "->")
	out := "r"
	if len(result) > 2 {
		out = "product"
	}
	e := op("Einsum", "x A B C", out, &pb.AttributeProto{Name: "equation", Type: 3, S: []byte(equation)})
	nodes := append(m.Graph.Node[:4:4], e)
	if out != "r" {
		nodes = append(nodes, op("ReduceSum", "product ax", "r", intAttr("keepdims", 0)))
		m.Graph.Initializer = append(m.Graph.Initializer, int64s("ax", 1, 2, 3))
	}
	m.Graph.Node = append(nodes, m.Graph.Node[7:]...)
	return m
}

// stretched is k functions of x, repeated n times before and averaged after.
func stretched(k int, n int64) *pb.ModelProto {
	c := chain(k, "Relu", func(p string) string { return p })
	c[0].Input[0], c[k-1].Output[0] = "wide", "last"
	nodes := append([]*pb.NodeProto{op("Expand", "x s", "wide")}, c...)
	return bigramModel(append(nodes, op("ReduceMean", "last ax", "y", intAttr("keepdims", 0))), int64s("s", n, 4, 3), int64s("ax", 0))
}

// many makes k constants of n cells, of all of which something is added to x at the end.
func many(kind string, k int, n int64) *pb.ModelProto {
	var nodes []*pb.NodeProto
	in := map[string]string{"Expand": "zero s", "Range": "from to by", "ConstantOfShape": "s"}[kind]
	joined := op("Sum", "x", "y")
	for i := range k {
		nodes = append(nodes, op(kind, in, fmt.Sprint("big", i)))
	}
	var uses []*pb.NodeProto // all constants come before all of their uses
	for i := range k {
		big, top, f := fmt.Sprint("big", i), fmt.Sprint("top", i), fmt.Sprint("f", i)
		joined.Input = append(joined.Input, f)
		uses = append(uses, op("ReduceMax", big, top, intAttr("keepdims", 0)), op("Cast", top, f, intAttr("to", 1)))
	}
	scalar := func(name string, v int64) *pb.TensorProto {
		return &pb.TensorProto{Name: name, DataType: 7, Int64Data: []int64{v}}
	}
	return bigramModel(append(append(nodes, uses...), joined), int64s("zero", 0), int64s("s", n), scalar("from", 0), scalar("to", n), scalar("by", 1))
}

// hostile are the models, by what is wrong with them.
var hostile = map[string]func() *pb.ModelProto{
	"none": func() *pb.ModelProto { return bigramModel([]*pb.NodeProto{op("Identity", "x", "y")}) },
	"ConstantOfShape": func() *pb.ModelProto {
		return constantly([]*pb.NodeProto{op("ConstantOfShape", "s", "big")}, int64s("s", 1<<28))
	},
	"ConstantOfShape 2^62": func() *pb.ModelProto {
		return constantly([]*pb.NodeProto{op("ConstantOfShape", "s", "big")}, int64s("s", 1<<62, 4))
	},
	"Range": func() *pb.ModelProto {
		return constantly([]*pb.NodeProto{op("Range", "from to by", "big")}, int64s("from", 0), int64s("to", 1<<28), int64s("by", 1))
	},
	"Expand": func() *pb.ModelProto {
		return constantly([]*pb.NodeProto{op("Expand", "c s", "big")}, int64s("c", 1), int64s("s", 1<<14, 1<<14))
	},
	"Tile": func() *pb.ModelProto {
		return constantly([]*pb.NodeProto{op("Tile", "c s", "big")}, int64s("c", 1), int64s("s", 1<<28))
	},
	"Concat": func() *pb.ModelProto { return joined(34) },
	"outer product": func() *pb.ModelProto {
		return constantly([]*pb.NodeProto{op("ConstantOfShape", "s", "a"), op("ConstantOfShape", "s2", "b"), op("MatMul", "a b", "big")},
			int64s("s", 1<<20, 1), int64s("s2", 1, 1<<20))
	},
	"Gather": func() *pb.ModelProto {
		return constantly([]*pb.NodeProto{op("ConstantOfShape", "s", "a"), op("ConstantOfShape", "s2", "b"), op("Cast", "b", "i", intAttr("to", 7)), op("Gather", "a i", "big")},
			int64s("s", 1, 1<<20), int64s("s2", 1<<20))
	},
	"GatherND": func() *pb.ModelProto {
		return constantly([]*pb.NodeProto{op("ConstantOfShape", "s", "a"), op("ConstantOfShape", "s2", "b"), op("Cast", "b", "i", intAttr("to", 7)), op("GatherND", "a i", "big")},
			int64s("s", 1, 1<<20), int64s("s2", 1<<20, 1))
	},
	"weights repeated": func() *pb.ModelProto {
		return bigramModel([]*pb.NodeProto{op("Tile", "emb s", "b"), op("ReduceMax", "b", "one", intAttr("keepdims", 0)), op("Add", "x one", "y")}, int64s("s", 1<<13, 1<<13))
	},
	"activation expanded": func() *pb.ModelProto {
		return bigramModel([]*pb.NodeProto{op("Expand", "x s", "b"), op("ReduceSum", "b ax", "y", intAttr("keepdims", 0))}, int64s("s", 1<<24, 1, 1), int64s("ax", 0))
	},
	"activation multiplied": func() *pb.ModelProto {
		return bigramModel([]*pb.NodeProto{op("Expand", "x s", "b"), op("Expand", "x s2", "c"), op("Mul", "b c", "d"), op("IsNaN", "d", "e"),
			op("Cast", "e", "e1", intAttr("to", 1)), op("ReduceMax", "e1", "one", intAttr("keepdims", 0)), op("Add", "x one", "y")},
			int64s("s", 1<<24, 1, 1, 1), int64s("s2", 1<<24, 1, 1))
	},
	"selection matrix": func() *pb.ModelProto {
		return bigramModel([]*pb.NodeProto{op("Expand", "x s", "b"), op("Gather", "b i", "c"), op("Slice", "c zero one", "d"), op("Squeeze", "d zero", "y")},
			int64s("s", 1<<24, 1, 1), int64s("i", append(make([]int64, 1<<15), 1)...), int64s("zero", 0), int64s("one", 1))
	},
	"placement matrix": func() *pb.ModelProto {
		return bigramModel([]*pb.NodeProto{op("Expand", "x s", "b"), op("Expand", "x s2", "c"), op("Concat", "b c", "d", intAttr("axis", 0)),
			op("Slice", "d zero one", "e"), op("Squeeze", "e zero", "y")},
			int64s("s", 1<<22, 1, 1), int64s("s2", 1<<22-1, 1, 1), int64s("zero", 0), int64s("one", 1))
	},
	"sums of sums":         func() *pb.ModelProto { return bigramModel(chain(64, "Add", twice)) },
	"skip additions":       func() *pb.ModelProto { return doubleSkips(40) },
	"sums of transposes":   func() *pb.ModelProto { return transposed(40) },
	"orders of axes":       func() *pb.ModelProto { return shuffled(40) },
	"products of products": func() *pb.ModelProto { return bigramModel(chain(40, "Mul", twice)) },
	"weights added":        func() *pb.ModelProto { return weighted(2000, "Add", 4) },
	"numbers that vanish":  func() *pb.ModelProto { return weighted(1000, "MatMul", 3) },
	"squares of sums": func() *pb.ModelProto {
		nodes := chain(12, "Mul", twice)
		for i := range nodes { // y ← (y + x)²
			sum := op("Add", nodes[i].Input[0]+" x", fmt.Sprintf("u%d", i))
			nodes[i].Input = []string{sum.Output[0], sum.Output[0]}
			nodes = append(nodes, sum)
		}
		return bigramModel(nodes)
	},
	"inputs times outputs": func() *pb.ModelProto {
		n := op("Loop", "", "y", intAttr("body", 0))
		for i := range 10000 {
			n.Input, n.Output = append(n.Input, "x"), append(n.Output, fmt.Sprint("o", i))
		}
		return bigramModel([]*pb.NodeProto{n})
	},
	"functions of functions": func() *pb.ModelProto { return laughs(30) },
	"If in If":               func() *pb.ModelProto { return nested(12) },
	"If too deep":            func() *pb.ModelProto { return nested(15) },
	"Loop in Loop":           func() *pb.ModelProto { return loops(6, true) },
	"Loop for nothing":       func() *pb.ModelProto { return loops(6, false) },
	"a long chain":           func() *pb.ModelProto { return bigramModel(chain(300, "Relu", func(p string) string { return p })) },
	"tokens 2^62":            func() *pb.ModelProto { return shaped(1 << 62) },
	"tokens -1":              func() *pb.ModelProto { return shaped(-1) },
	"tokens 2^20":            func() *pb.ModelProto { return shaped(1 << 20) },
	"no shape":               func() *pb.ModelProto { return shaped() },
	"cycle": func() *pb.ModelProto {
		return bigramModel([]*pb.NodeProto{op("Add", "x b", "a"), op("Relu", "a", "b"), op("Identity", "a", "y")})
	},
	"missing input": func() *pb.ModelProto { return bigramModel([]*pb.NodeProto{op("Add", "x nowhere", "y")}) },
	"axes 2^62": func() *pb.ModelProto {
		return bigramModel([]*pb.NodeProto{op("Unsqueeze", "x ax", "b"), op("Squeeze", "b ax", "y")}, int64s("ax", 1<<62))
	},
	"float indices": func() *pb.ModelProto {
		m := decoderModel()
		for _, n := range m.Graph.Node {
			if n.OpType == "Where" {
				n.OpType = "Gather"
			}
		}
		return m
	},
	"wide constants": func() *pb.ModelProto { return wide(1 << 12) },
	"matrix of constants to the third": func() *pb.ModelProto {
		return constantly([]*pb.NodeProto{op("ConstantOfShape", "s", "a"), op("MatMul", "a a", "b"), op("MatMul", "b a", "big")}, int64s("s", 1<<12, 1<<12))
	},
	"wide factors":  func() *pb.ModelProto { return factors(1<<11, "td,de,ef,fg->tg") },
	"outer factors": func() *pb.ModelProto { return factors(1<<11, "td,de,ef,fg->tedfg") },
	"wide activations": func() *pb.ModelProto {
		return stretched(400, 1<<20)
	},
	"many wide constants": func() *pb.ModelProto { return many("Expand", 1000, 1<<16) },
	"many wide ranges":    func() *pb.ModelProto { return many("Range", 1000, 1<<16) },
	"many wide fills":     func() *pb.ModelProto { return many("ConstantOfShape", 1000, 1<<16) },
	"many wide weights": func() *pb.ModelProto {
		nodes, sum := []*pb.NodeProto{}, "x"
		for i := range 300 {
			b, m, next := fmt.Sprint("b", i), fmt.Sprint("m", i), fmt.Sprint("y", i)
			if i == 299 {
				next = "y"
			}
			nodes = append(nodes, op("Tile", "emb s", b), op("ReduceMax", b, m, intAttr("keepdims", 0)), op("Add", sum+" "+m, next))
			sum = next
		}
		return bigramModel(nodes, int64s("s", 1<<7, 1<<7))
	},
	"Split into 2^40": func() *pb.ModelProto {
		return bigramModel([]*pb.NodeProto{op("Split", "x s", "y z")}, int64s("s", 1<<40, 4-1<<40))
	},
}

// TestHostileModels compiles each in a child.
func TestHostileModels(t *testing.T) {
	if name := os.Getenv(hostileChild); name != "" {
		compileHostile(t, hostile[name]())
		return
	}
	for name := range hostile {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), hostileTime)
			defer cancel()
			c := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestHostileModels$", "-test.v")
			c.Env = append(os.Environ(), hostileChild+"="+name, "GOMEMLIMIT=2GiB", "GOGC=100")
			limitMemory(c, 6<<30)
			begin := time.Now()
			out, err := c.CombinedOutput()
			text := string(out)
			if len(text) > 1500 {
				text = text[:1500]
			}
			if ctx.Err() != nil {
				t.Fatalf("not done after %v\n%s", hostileTime, text)
			}
			if err != nil {
				t.Fatalf("%v after %v\n%s", err, time.Since(begin).Round(time.Millisecond), text)
			}
			t.Logf("%v, %v of the processor: %s", time.Since(begin).Round(time.Millisecond), (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Round(time.Millisecond), text)
		})
	}
}

// compileHostile compiles a model. An error is fine if it is one about the model.
func compileHostile(t *testing.T, m *pb.ModelProto) {
	file := write(t, m)
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	size := info.Size()
	_, err = Compile(context.Background(), file, Config{ImportPath: "example.com/m"})
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	t.Logf("%d bytes of model, %d MiB allocated, %d MiB resident: %v", size, s.TotalAlloc>>20, machine.Now().PeakRSS>>20, err)
	if err != nil && !errors.Is(err, ErrUnsupported) {
		t.Errorf("not an error about the model: %v", err)
	}
	if peak := machine.Now().PeakRSS; peak > hostilePeak {
		t.Errorf("%d bytes resident at one time for a model of %d bytes, the bound is %d", peak, size, hostilePeak)
	}
	if s.TotalAlloc > hostileMemory {
		t.Errorf("%d bytes allocated for a model of %d bytes, the bound is %d", s.TotalAlloc, size, hostileMemory)
	}
}

// TestHostileNames gives the model, its nodes and its tensors names that would end a comment, a string or a line of generated code. The
// code must parse and declare what it always declares, but for the list of nodes, which leaves out names with line ends: all of them here.
func TestHostileNames(t *testing.T) {
	const evil = "a\n*/ func init() { panic(1) } /*\n\n// +build ignore\n\nb`\"\\\r\u2028"
	honest, wicked := declarations(t, decoderModel(), "m"), decoderModel()
	weights := map[string]bool{}
	for _, x := range wicked.Graph.Initializer {
		weights[x.Name] = true
		x.Name += evil
	}
	for i, n := range wicked.Graph.Node {
		n.Name = fmt.Sprint(evil, i)
		for k, in := range n.Input {
			if weights[in] {
				n.Input[k] += evil
			}
		}
	}
	const list = "cmd/prover/main.go var\n"
	want := strings.Replace(honest, list, "", 1)
	if got := declarations(t, wicked, evil); got != want || want == honest {
		t.Errorf("the code declares\n%s\nwant\n%s", got, want)
	}
}

// declarations compiles a model and lists what the generated Go files declare.
func declarations(t *testing.T, m *pb.ModelProto, name string) string {
	r, err := Compile(context.Background(), write(t, m), Config{ImportPath: "example.com/m", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range r.Files {
		if filepath.Ext(f.Path) != ".go" {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), f.Path, f.Data, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				fmt.Fprintln(&out, f.Path, "func", fn.Name)
			} else {
				fmt.Fprintln(&out, f.Path, d.(*ast.GenDecl).Tok)
			}
		}
	}
	return out.String()
}
