package passes

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/ir"
)

// sums is models/sums as a message, to store its weights in other ways.
type sums struct{ *pb.ModelProto }

func loadSums(t *testing.T) sums {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "models", "sums", "model.onnx"))
	if err != nil {
		t.Skip("models/sums is absent")
	}
	m := sums{&pb.ModelProto{}}
	if err := proto.Unmarshal(raw, m); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m sums) lower(t *testing.T, opts Options) (*ir.Graph, error) {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	d, err := onnx.Decode(context.Background(), raw, "")
	if err != nil {
		t.Fatal(err)
	}
	return Lower(d, opts)
}

// take removes an initializer.
func (m sums) take(t *testing.T, name string) *pb.TensorProto {
	t.Helper()
	for i, x := range m.Graph.Initializer {
		if x.GetName() == name {
			m.Graph.Initializer = append(append([]*pb.TensorProto(nil), m.Graph.Initializer[:i]...), m.Graph.Initializer[i+1:]...)
			return x
		}
	}
	t.Fatalf("models/sums has no %s", name)
	return nil
}

func (m sums) add(xs ...*pb.TensorProto) { m.Graph.Initializer = append(m.Graph.Initializer, xs...) }

// first puts nodes before the others.
func (m sums) first(ns ...*pb.NodeProto) { m.Graph.Node = append(ns, m.Graph.Node...) }

func pnode(op, in, out string, attrs ...*pb.AttributeProto) *pb.NodeProto {
	return &pb.NodeProto{OpType: op, Name: op + "_" + out, Input: strings.Fields(in), Output: strings.Fields(out), Attribute: attrs}
}

func pint(name string, v int64) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, I: v, Type: int32(onnx.AttrInt)}
}

func ptensor(x *pb.TensorProto) *pb.AttributeProto {
	return &pb.AttributeProto{Name: "value", T: x, Type: int32(onnx.AttrTensor)}
}

func pgraph(name string, g *pb.GraphProto) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, G: g, Type: int32(onnx.AttrGraph)}
}

func pscalar(name string, v float32) *pb.TensorProto {
	return &pb.TensorProto{Name: name, DataType: int32(onnx.Float32), FloatData: []float32{v}}
}

// small is a tensor of one byte per cell, with varied cells from 0 to limit-1.
func small(name string, d onnx.DType, limit int, dims ...int64) *pb.TensorProto {
	n := int64(1)
	for _, x := range dims {
		n *= x
	}
	raw := make([]byte, n)
	for i := range raw {
		raw[i] = byte((i*i*7 + i/3) % limit)
	}
	return &pb.TensorProto{Name: name, DataType: int32(d), Dims: dims, RawData: raw}
}

// constants returns the public constants of a graph, by their cells.
func constants(g *ir.Graph) []string {
	var out []string
	for _, v := range g.Values {
		if v.Def.Op == ir.OpConst {
			out = append(out, fmt.Sprint(v.Shape, v.Data))
		}
	}
	sort.Strings(out)
	return out
}

// hasWeight says whether a graph has a private weight of a name.
func hasWeight(g *ir.Graph, name string) bool {
	for _, v := range g.Values {
		if v.Def.Op == ir.OpWeight && v.Name == name {
			return true
		}
	}
	return false
}

const embedding = "embed.weight"

// leaks are ways to store or compute weights, each of which gives the embedding.
var leaks = map[string]func(t *testing.T, m sums){
	"constant": func(t *testing.T, m sums) { m.first(pnode("Constant", "", embedding, ptensor(m.take(t, embedding)))) },
	"constant in a function": func(t *testing.T, m sums) {
		m.Functions = append(m.Functions, &pb.FunctionProto{Name: "Table", Domain: "local", Output: []string{"inner"},
			Node: []*pb.NodeProto{pnode("Constant", "", "inner", ptensor(m.take(t, embedding)))}, OpsetImport: m.OpsetImport})
		n := pnode("Table", "", embedding)
		n.Domain = "local"
		m.first(n)
	},
	"constant in a branch": func(t *testing.T, m sums) {
		g := &pb.GraphProto{Name: "then", Output: []*pb.ValueInfoProto{{Name: "inner"}},
			Node: []*pb.NodeProto{pnode("Constant", "", "inner", ptensor(m.take(t, embedding)))}}
		m.add(&pb.TensorProto{Name: "yes", DataType: int32(onnx.Bool), RawData: []byte{1}})
		m.first(pnode("If", "yes", embedding, pgraph("then_branch", g), pgraph("else_branch", g)))
	},
	"list of floats": func(t *testing.T, m sums) {
		list := &pb.AttributeProto{Name: "value_floats", Type: int32(onnx.AttrFloats)}
		for i := range 16 * 64 {
			list.Floats = append(list.Floats, float32(math.Sin(float64(i*i))))
		}
		m.take(t, embedding)
		m.add(&pb.TensorProto{Name: "dims", DataType: int32(onnx.Int64), Dims: []int64{2}, Int64Data: []int64{16, 64}})
		m.first(pnode("Constant", "", "flat", list), pnode("Reshape", "flat dims", embedding))
	},
	"integers, cast and scaled": func(t *testing.T, m sums) {
		m.take(t, embedding)
		m.add(small("q8", onnx.Int8, 256, 16, 64), pscalar("scale", 0.01))
		m.first(pnode("Cast", "q8", "f8", pint("to", 1)), pnode("Mul", "f8 scale", embedding))
	},
	"integers that are moved first": func(t *testing.T, m sums) {
		m.take(t, embedding)
		m.add(small("q8", onnx.Int8, 256, 64, 16), pscalar("scale", 0.01))
		m.first(pnode("Transpose", "q8", "t8"), pnode("Cast", "t8", "f8", pint("to", 1)), pnode("Mul", "f8 scale", embedding))
	},
	"integers in a constant": func(t *testing.T, m sums) {
		m.take(t, embedding)
		m.add(pscalar("scale", 0.01))
		m.first(pnode("Constant", "", "q8", ptensor(small("", onnx.Uint8, 256, 16, 64))), pnode("Cast", "q8", "f8", pint("to", 1)),
			pnode("Mul", "f8 scale", embedding))
	},
	"dequantised": func(t *testing.T, m sums) {
		m.take(t, embedding)
		m.add(small("q8", onnx.Int8, 256, 16, 64), pscalar("scale", 0.01))
		m.first(pnode("DequantizeLinear", "q8 scale", embedding))
	},
	"numbers of a code book": func(t *testing.T, m sums) {
		m.take(t, embedding)
		m.add(small("q4", onnx.Int8, 16, 16, 64), pscalar("a", 0), pscalar("b", 16), pscalar("c", 1))
		m.first(pnode("Range", "a b c", "book"), pnode("Gather", "book q4", embedding))
	},
	"truth values": func(t *testing.T, m sums) {
		m.take(t, embedding)
		m.add(small("bits", onnx.Bool, 2, 16, 64))
		m.first(pnode("Cast", "bits", embedding, pint("to", 1)))
	},
	"signs": func(t *testing.T, m sums) {
		x := m.take(t, embedding)
		x.Name = "E"
		m.add(x, pscalar("zero", 0), pscalar("one", 1), pscalar("minus", -1))
		m.first(pnode("Greater", "E zero", "sign"), pnode("Where", "sign one minus", embedding))
	},
	"rounded": func(t *testing.T, m sums) {
		x := m.take(t, embedding)
		x.Name = "E"
		m.add(x, pscalar("up", 1000), pscalar("down", 0.001))
		m.first(pnode("Mul", "E up", "E1"), pnode("Cast", "E1", "E2", pint("to", 6)), pnode("Cast", "E2", "E3", pint("to", 1)),
			pnode("Mul", "E3 down", embedding))
	},
	"signs of integers": func(t *testing.T, m sums) {
		m.take(t, embedding)
		m.add(small("q8", onnx.Int8, 256, 16, 64), &pb.TensorProto{Name: "zero", DataType: int32(onnx.Int8), RawData: []byte{0}}, pscalar("one", 1), pscalar("minus", -1))
		m.first(pnode("Greater", "q8 zero", "sign"), pnode("Where", "sign one minus", embedding))
	},
}

// TestWeightsNeverBecomeConstants stores the embedding in other ways: the constants of the circuit stay the same.
func TestWeightsNeverBecomeConstants(t *testing.T) {
	base, err := loadSums(t).lower(t, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range leaks {
		t.Run(name, func(t *testing.T) {
			m := loadSums(t)
			change(t, m)
			g, err := m.lower(t, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(constants(g), constants(base)) {
				t.Errorf("the public constants have changed:\n%s", g)
			}
			if table := embeddingOf(g); table == nil || table.Def.Op != ir.OpWeight {
				t.Errorf("the embedding is no private weight:\n%s", g)
			}
		})
	}
}

// embeddingOf returns what the one-hot vectors are multiplied with.
func embeddingOf(g *ir.Graph) *ir.Value {
	for _, n := range g.Nodes {
		for i, in := range n.In {
			if g.Value(in).Def.Op == ir.OpOneHot && len(n.In) == 2 {
				return g.Value(n.In[1-i])
			}
		}
	}
	return nil
}

// TestEveryWeightInConstants moves every initializer of models/sums into a Constant node: nothing changes.
func TestEveryWeightInConstants(t *testing.T) {
	base, err := loadSums(t).lower(t, Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := loadSums(t)
	var ns []*pb.NodeProto
	for _, x := range m.Graph.Initializer {
		ns = append(ns, pnode("Constant", "", x.GetName(), ptensor(x)))
	}
	m.Graph.Initializer = nil
	m.first(ns...)
	g, err := m.lower(t, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if g.String() != base.String() || !reflect.DeepEqual(constants(g), constants(base)) {
		t.Errorf("Constant nodes give\n%s\nand initializers\n%s", g, base)
	}
}

// TestConstantsAreNoInitializers looks for the cells of private initializers among the constants of real models.
func TestConstantsAreNoInitializers(t *testing.T) {
	for name, path := range map[string]func(t *testing.T) string{
		"sums": func(t *testing.T) string {
			loadSums(t)
			return filepath.Join("..", "..", "..", "models", "sums", "model.onnx")
		},
		"stories260K": func(t *testing.T) string { return shared(t, "models", "stories260K-dynamo18", "model.onnx") },
	} {
		t.Run(name, func(t *testing.T) {
			m, err := onnx.Load(context.Background(), path(t))
			if err != nil {
				t.Fatal(err)
			}
			g, err := Lower(m, Options{})
			if err != nil {
				t.Fatal(err)
			}
			public := map[string]bool{"mask": true, "cos": true, "sin": true}
			for _, x := range m.Graph.Initializers {
				if !x.DType.IsFloat() || x.Len() < 2 || public[x.Name] {
					continue
				}
				for _, v := range g.Values {
					if v.Def.Op == ir.OpConst && sameCells(v.Data, x.F) {
						t.Errorf("constant %s has the cells of %s", v.Name, x.Name)
					}
				}
			}
		})
	}
}

// sameCells compares cells in any order, since constants may be moved.
func sameCells(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	a, b = append([]float64(nil), a...), append([]float64(nil), b...)
	sort.Float64s(a)
	sort.Float64s(b)
	return reflect.DeepEqual(a, b)
}

func TestConstantNodesByName(t *testing.T) {
	m := loadSums(t)
	m.first(pnode("Constant", "", embedding, ptensor(m.take(t, embedding))), pnode("Constant", "", "mask", ptensor(m.take(t, "mask"))))
	g, err := m.lower(t, Options{Public: []string{embedding}})
	if err != nil {
		t.Fatal(err)
	}
	if hasWeight(g, embedding) || hasWeight(g, "mask") {
		t.Errorf("the embedding was made public, and the mask is:\n%s", g)
	}
	if _, err = m.lower(t, Options{Private: []string{"mask"}}); err == nil || !strings.Contains(err.Error(), "is not finite") {
		t.Errorf("a private mask has infinite cells: %v", err)
	}
	m.Functions = append(m.Functions, &pb.FunctionProto{Name: "F", Domain: "local", Output: []string{embedding}, OpsetImport: m.OpsetImport,
		Node: []*pb.NodeProto{pnode("Constant", "", embedding, ptensor(small("", onnx.Int8, 9, 4)))}})
	if _, err = m.lower(t, Options{Public: []string{embedding}}); err == nil || !strings.Contains(err.Error(), "must be unique") {
		t.Errorf("two tensors have the name: %v", err)
	}
}

// TestPrivateWhereThePublicIsNeeded checks that weights which would become part of the circuit are refused.
func TestPrivateWhereThePublicIsNeeded(t *testing.T) {
	for name, c := range map[string]struct {
		build func(m *model) *onnx.Model
		want  string
	}{
		"index": {func(m *model) *onnx.Model {
			m.weight("w", 8)
			m.node("Cast", "w", "i", attrInt("to", 7))
			m.node("Gather", "x i", "z", attrInt("axis", 2))
			return m.project("z", 8)
		}, "serves as an index"},
		"shape": {func(m *model) *onnx.Model {
			m.floats("w", []int{3}, 1, 4, 8)
			m.node("Cast", "w", "i", attrInt("to", 7))
			m.node("Reshape", "x i", "z")
			return m.project("z", 8)
		}, "serves as shape"},
		"shape of a weight": {func(m *model) *onnx.Model {
			m.floats("w", []int{2}, 4, 8)
			m.node("Cast", "w", "i", attrInt("to", 7))
			m.node("ConstantOfShape", "i", "fill")
			m.node("Add", "x fill", "z")
			return m.project("z", 8)
		}, "serves as a shape"},
		"mask that is a weight too": {func(m *model) *onnx.Model { return trilMask(m, true) }, "is a private weight too"},
	} {
		_, err := Lower(c.build(newModel()), Options{})
		var u *Unsupported
		if !errors.As(err, &u) || !strings.Contains(err.Error(), c.want) || u.Node == "" {
			t.Errorf("%s: want %q, got %v", name, c.want, err)
		}
	}
}

// trilMask compares a triangle of ones with zero, as exporters do with buffers of floating-point masks; used says whether the
// triangle is multiplied with too.
func trilMask(m *model, used bool) *onnx.Model {
	m.floats("tril", []int{1, 4, 4}, 1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1)
	m.node("Transpose", "x", "xt", attrInts("perm", 0, 2, 1))
	m.node("MatMul", "x xt", "s")
	m.node("Unsqueeze", "tril [0]", "t4") // a movement, which by itself makes no weight of it
	m.node("Squeeze", "t4 [0]", "t3")
	m.node("Equal", "t3 0", "hide")
	m.floats("low", nil, math.Inf(-1))
	m.node("Where", "hide low s", "m")
	m.node("Softmax", "m", "p", attrInt("axis", -1))
	v := "x"
	if used {
		m.node("MatMul", "tril x", "x2")
		v = "x2"
	}
	m.node("MatMul", "p "+v, "z")
	return m.project("z", 8)
}

// TestPublicByUse checks what stays public although it is stored like a weight: masks and angles.
func TestPublicByUse(t *testing.T) {
	positions := func(m *model) *onnx.Model {
		m.ints("pos", 0, 1, 2, 3)
		m.node("Cast", "pos", "fpos", attrInt("to", 1))
		m.node("Unsqueeze", "fpos [1]", "col")
		m.floats("freq", []int{1, 8}, 1, .9, .8, .7, .6, .5, .4, .3)
		m.node("Mul", "col freq", "angle")
		m.node("Cos", "angle", "cos")
		m.node("Mul", "x cos", "z")
		return m.project("z", 8)
	}
	compared := func(m *model) *onnx.Model { // causality from positions
		m.ints("pos", 0, 1, 2, 3)
		m.node("Unsqueeze", "pos [1]", "rows")
		m.node("Greater", "pos rows", "hide")
		m.floats("zero", nil, 0)
		m.floats("low", nil, -1e9)
		m.node("Where", "hide low zero", "mask")
		m.node("Transpose", "x", "xt", attrInts("perm", 0, 2, 1))
		m.node("MatMul", "x xt", "s")
		m.node("Add", "s mask", "m")
		m.node("Softmax", "m", "p", attrInt("axis", -1))
		m.node("MatMul", "p x", "z")
		return m.project("z", 8)
	}
	for name, build := range map[string]func(m *model) *onnx.Model{"positions": positions, "compared": compared,
		"triangle": func(m *model) *onnx.Model { return trilMask(m, false) }} {
		_, _, g := lowerAll(t, build(newModel()), "")
		for _, v := range g.Values {
			if v.Def.Op == ir.OpWeight && v.Name != "emb" && v.Name != "head" {
				t.Errorf("%s: %s is private:\n%s", name, v.Name, g)
			}
		}
	}
}
