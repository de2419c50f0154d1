package passes

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/compiler/internal/frontend"
	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// secretMatrix is a weight of which a mask could be made: on its diagonal it is negative, so that every row stays open.
var secretMatrix = []float64{-1, 0.3, -0.2, 0.7, 0.1, -0.9, 0.4, -0.6, -0.5, 0.8, -0.3, 0.2, 0.9, -0.4, 0.6, -0.7}

// masked is attention of 4 positions, whose scores are called "s". derive computes "m"; the scores with it are called "sm", which derive
// makes itself if it does not make "m". If used, the matrix W is a weight of the model as well.
func masked(derive func(m *model), used bool) *onnx.Model {
	m := newModel()
	w := slices.Clone(secretMatrix)
	for i := range w { // as a file has them
		w[i] = onnx.Float32.Round(w[i])
	}
	m.floats("W", []int{1, 4, 4}, w...)
	m.node("Transpose", "x", "xt", attrInts("perm", 0, 2, 1))
	m.node("MatMul", "x xt", "s")
	derive(m)
	if last := m.g.Nodes[len(m.g.Nodes)-1]; last.Outputs[0] == "m" {
		m.node("Add", "s m", "sm")
	}
	m.node("Softmax", "sm", "p", attrInt("axis", -1))
	v := "x"
	if used {
		m.node("MatMul", "W x", "v")
		v = "v"
	}
	m.node("MatMul", "p "+v, "z")
	return m.project("z", 8)
}

// signMasks are ways to make a mask of the signs of W.
var signMasks = map[string]func(m *model){
	"comparison, cast": func(m *model) {
		m.node("Greater", "W 0", "g")
		m.node("Cast", "g", "gf", attrInt("to", 1))
		m.node("Mul", "gf -10000", "m")
	},
	"arithmetic alone": func(m *model) {
		m.node("Sign", "W", "g")
		m.node("Relu", "g", "gf")
		m.node("Mul", "gf -10000", "m")
	},
	"Where of scalars": func(m *model) {
		m.node("Greater", "W 0", "g")
		m.node("Where", "g -10000 0", "m")
	},
	"Where with the scores": func(m *model) {
		m.node("Greater", "W 0", "g")
		m.node("Where", "g -10000 s", "sm")
	},
	"side of a Where": func(m *model) {
		m.node("Greater", "W 0", "g")
		m.node("Where", "g -10000 0", "low")
		m.node("Range", "0 4 1", "cols")
		m.node("Unsqueeze", "cols [1]", "rows")
		m.node("Greater", "cols rows", "hide")
		m.node("Where", "hide low s", "sm")
	},
	"Clip": func(m *model) {
		m.node("Mul", "W 1e9", "g")
		m.node("Clip", "g 0 1", "gf")
		m.node("Mul", "gf -10000", "m")
	},
	"Max": func(m *model) {
		m.node("Sign", "W", "g")
		m.node("Max", "g 0", "gf")
		m.node("Mul", "gf -10000", "m")
	},
	"integers": func(m *model) {
		m.node("Mul", "W 10", "w10")
		m.node("Cast", "w10", "i", attrInt("to", 7))
		m.node("Greater", "i 0", "g")
		m.node("Cast", "g", "gf", attrInt("to", 1))
		m.node("Mul", "gf -10000", "off")
		m.node("Sub", "off s", "sm")
	},
	"largest of each row": func(m *model) {
		m.node("ReduceMax", "W [-1]", "top")
		m.node("Equal", "W top", "g")
		m.node("Where", "g -10000 0", "off")
		m.node("Sum", "s off", "sm")
	},
	"table that W indexes": func(m *model) {
		m.node("Greater", "W 0", "g")
		m.node("Cast", "g", "i", attrInt("to", 7))
		m.floats("book", []int{2}, 0, -10000)
		m.node("Gather", "book i", "m")
	},
	"scattered": func(m *model) {
		m.node("Greater", "W 0", "g")
		m.node("Where", "g -10000 0", "off")
		m.floats("zeros", []int{1, 4, 4}, make([]float64, 16)...)
		m.ints("first", 0)
		m.node("Unsqueeze", "first first", "whole")
		m.node("ScatterND", "zeros whole off", "m")
	},
	"moved and infinite": func(m *model) {
		m.node("Greater", "W 0", "g")
		m.floats("low", nil, math.Inf(-1))
		m.node("Where", "g low 0", "off")
		m.node("Transpose", "off", "turned", attrInts("perm", 0, 2, 1))
		m.node("Mul", "turned 2", "m")
	},
}

// TestSignsOfWeightsAreNoMask makes masks of a weight's signs: they are refused by the name of the weight, and are masks of the circuit
// where the user says so, or where the matrix serves in the mask alone.
func TestSignsOfWeightsAreNoMask(t *testing.T) {
	for name, derive := range signMasks {
		t.Run(name, func(t *testing.T) {
			_, err := Lower(masked(derive, true), Options{})
			var u *Unsupported
			if !errors.As(err, &u) || !strings.Contains(err.Error(), "is a private weight too") || !strings.HasSuffix(err.Error(), "--public W") || u.Node != "sm" {
				t.Errorf("the mask of a weight's signs: %v", err)
			}
			for _, opts := range []Options{{Public: []string{"W"}}, {}} {
				g, err := Lower(masked(derive, opts.Public != nil), opts)
				if err != nil {
					t.Errorf("with %v: %v", opts.Public, err)
				} else if !hasMask(g) || hasWeight(g, "W") {
					t.Errorf("with %v: no mask, or a private one:\n%s", opts.Public, g)
				}
			}
		})
	}
}

func hasMask(g *ir.Graph) bool {
	return slices.ContainsFunc(g.Nodes, func(n *ir.Node) bool { return n.Op == ir.OpSoftmax && n.Attr.(*ir.SoftmaxAttr).HasMask })
}

// TestSignsThatMaskNothing makes values of a weight's signs that have the cells of a mask on the way to the Softmax, but mask nothing:
// they stay private.
func TestSignsThatMaskNothing(t *testing.T) {
	signs := func(m *model) {
		m.node("Greater", "W 0", "g")
		m.node("Where", "g -10000 0", "off")
	}
	for name, derive := range map[string]func(m *model){
		"scaled down": func(m *model) { signs(m); m.node("Mul", "off 0.0001", "m") },
		"divided":     func(m *model) { signs(m); m.node("Div", "off 20000", "m") },
		"a factor":    func(m *model) { signs(m); m.node("Mul", "s off", "sm") },
		"a divisor":   func(m *model) { signs(m); m.node("Sub", "off 1", "below"); m.node("Div", "s below", "sm") },
		"subtracted":  func(m *model) { signs(m); m.node("Sub", "s off", "sm") },
	} {
		for _, used := range []bool{true, false} {
			g, err := Lower(masked(derive, used), Options{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if c := likeSigns(g); c != nil {
				t.Errorf("%s: the constant %s shows the signs of W:\n%s", name, c.Name, g)
			}
		}
	}
}

// likeSigns returns a constant that is the same wherever W is positive, and another where it is negative.
func likeSigns(g *ir.Graph) *ir.Value {
	for _, v := range g.Values {
		if v.Def.Op != ir.OpConst || len(v.Data) != len(secretMatrix) {
			continue
		}
		var sides [2]map[float64]bool
		for i, x := range v.Data {
			k := 0
			if secretMatrix[i] > 0 {
				k = 1
			}
			if sides[k] == nil {
				sides[k] = map[float64]bool{}
			}
			sides[k][x] = true
		}
		if len(sides[0]) == 1 && len(sides[1]) == 1 {
			return v
		}
	}
	return nil
}

// TestMasksOfAFunctionsWeight calls a function with a Constant twice: once for a weight, once for a mask of its signs.
func TestMasksOfAFunctionsWeight(t *testing.T) {
	m := masked(func(m *model) {
		for _, out := range []string{"k1", "k2"} {
			m.node("Matrix", "", out)
			m.g.Nodes[len(m.g.Nodes)-1].Domain = "local"
		}
		m.node("MatMul", "k1 x", "y")
		m.node("Transpose", "y", "yt", attrInts("perm", 0, 2, 1))
		m.node("MatMul", "y yt", "s2")
		m.node("Greater", "k2 0", "g")
		m.node("Where", "g -10000 s2", "sm")
	}, false)
	m.Functions = []*onnx.Function{{Domain: "local", Name: "Matrix", Outputs: []string{"K"}, Opsets: m.Opsets, Nodes: []*onnx.Node{
		{Name: "K", Op: "Constant", Outputs: []string{"K"}, Attrs: []*onnx.Attr{{Name: "value", Type: onnx.AttrTensor,
			T: &onnx.Tensor{DType: onnx.Float32, Shape: []int{1, 4, 4}, F: secretMatrix}}}}}}}
	if _, err := Lower(m, Options{}); err == nil || !strings.HasSuffix(err.Error(), "--public K") {
		t.Errorf("the mask of the signs of a function's constant: %v", err)
	}
}

// TestNamesOfOperators defines functions that are called like operators of ONNX: what is made public for the operators' sake stays private.
func TestNamesOfOperators(t *testing.T) {
	identity := func(op string) *onnx.Function {
		return &onnx.Function{Name: op, Inputs: []string{"a"}, Outputs: []string{"b"}, Opsets: []onnx.Opset{{Version: 18}},
			Nodes: []*onnx.Node{{Name: "same", Op: "Identity", Inputs: []string{"a"}, Outputs: []string{"b"}}}}
	}
	angles := func() *onnx.Model {
		m := newModel()
		m.weight("W", 1, 4, 8)
		m.node("Cos", "W", "c")
		m.node("Mul", "x c", "z")
		return m.project("z", 8)
	}
	bias := func() *onnx.Model {
		m := newModel()
		m.floats("W", []int{8}, 0, -2000, 0, 0, -3000, 0, 0, 0)
		m.node("Add", "x W", "y")
		m.node("Softmax", "y", "z", attrInt("axis", -1))
		return m.project("z", 8)
	}
	for op, build := range map[string]func() *onnx.Model{"Cos": angles, "Softmax": bias} {
		m := build()
		if g, err := frontend.Build(m, frontend.Options{}); err != nil || hasWeight(g, "W") {
			t.Errorf("%s of ONNX: %v\n%s", op, err, g)
		}
		m.Functions = []*onnx.Function{identity(op)}
		if g, err := frontend.Build(m, frontend.Options{}); err != nil || !hasWeight(g, "W") {
			t.Errorf("%s of the model: %v\n%s", op, err, g)
		}
	}
}

// TestMasksThatStayPublic has masks as exporters store them, that are no weights: they compile, and no part of them is private.
func TestMasksThatStayPublic(t *testing.T) {
	low := func(x float64) (cells []float64) { // the upper triangle
		for i := range 16 {
			if i%4 > i/4 {
				cells = append(cells, x)
			} else {
				cells = append(cells, 0)
			}
		}
		return cells
	}
	for name, derive := range map[string]func(m *model){
		"initializer":        func(m *model) { m.floats("m", []int{1, 4, 4}, low(-1e9)...); m.node("Add", "s m", "sm") },
		"infinite":           func(m *model) { m.floats("m", []int{4, 4}, low(math.Inf(-1))...); m.node("Add", "m s", "sm") },
		"infinite and moved": func(m *model) { m.floats("i", []int{4, 4}, low(math.Inf(-1))...); m.node("Unsqueeze", "i [0]", "m") },
		"scaled":             func(m *model) { m.floats("tri", []int{4, 4}, low(1)...); m.node("Mul", "tri -10000", "m") },
		"cut and scaled": func(m *model) {
			m.floats("big", []int{5, 5}, 0, -1, -1, -1, -1, 0, 0, -1, -1, -1, 0, 0, 0, -1, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0)
			m.node("Slice", "big [0,0] [4,4]", "cut")
			m.node("Mul", "cut 1e9", "m")
		},
		"one minus": func(m *model) {
			m.floats("tri", []int{4, 4}, 1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1)
			m.node("Sub", "1 tri", "up")
			m.node("Mul", "up -10000", "m")
		},
		// The positions order the mask, and choose rows of a weight: they are no secret by that.
		"positions": func(m *model) {
			m.ints("pos", 0, 1, 2, 3)
			m.weight("wpe", 6, 8)
			m.node("Gather", "wpe pos", "rows")
			m.node("MatMul", "rows xt", "s2")
			m.floats("tri", []int{4, 4}, low(1)...)
			m.node("Gather", "tri pos", "picked")
			m.node("Mul", "picked -10000", "off")
			m.node("Add", "s2 off", "sm")
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, g := lowerAll(t, masked(derive, false), "")
			if !hasMask(g) {
				t.Errorf("there is no mask:\n%s", g)
			}
			for _, v := range g.Values {
				if v.Def.Op == ir.OpWeight && v.Name != "emb" && v.Name != "head" && !strings.HasPrefix(v.Name, "wpe") {
					t.Errorf("%s is private:\n%s", v.Name, g)
				}
			}
		})
	}
}

// TestPrivateCellsInOtherPlaces puts cells of a weight wherever else the circuit would show them.
func TestPrivateCellsInOtherPlaces(t *testing.T) {
	for name, build := range map[string]func(m *model){
		"Range":      func(m *model) { m.node("Range", "0 n 1", "r"); m.node("Add", "x r", "z") },
		"NonZero":    func(m *model) { m.node("NonZero", "w", "i"); m.node("Gather", "x i", "z", attrInt("axis", 2)) },
		"Slice":      func(m *model) { m.node("Slice", "x i1 i2 [2]", "z") },
		"of weights": func(m *model) { m.node("Slice", "v i1 i2 [0]", "y"); m.node("Add", "x y", "z") },
		"Expand":     func(m *model) { m.node("Expand", "x i3", "z") },
		"Tile":       func(m *model) { m.node("Tile", "v i1", "y"); m.node("Add", "x y", "z") },
		"Split":      func(m *model) { m.node("Split", "x i2", "z z2", attrInt("axis", 2)) },
		"Unsqueeze":  func(m *model) { m.node("Unsqueeze", "x i1", "z") },
		"Squeeze":    func(m *model) { m.node("Squeeze", "v i1", "y"); m.node("Add", "x y", "z") },
		"sum":        func(m *model) { m.node("ReduceSum", "x i1", "y"); m.node("Add", "x y", "z") },
		"mean":       func(m *model) { m.node("ReduceMean", "v i1", "y"); m.node("Add", "x y", "z") },
		"running":    func(m *model) { m.node("CumSum", "v i1", "y"); m.node("Add", "x y", "z") },
		"triangle":   func(m *model) { m.node("Trilu", "x i1", "z") },
		"exponent":   func(m *model) { m.node("Pow", "x n", "z") },
		"ArgMax":     func(m *model) { m.node("ArgMax", "v", "i"); m.node("Gather", "x i", "z", attrInt("axis", 2)) },
		"TopK":       func(m *model) { m.node("TopK", "v [2]", "y i"); m.node("Gather", "x i", "z", attrInt("axis", 2)) },
		"If":         func(m *model) { m.node("If", "yes", "z", branchOf("x"), elseOf("v")) },
	} {
		m := newModel()
		m.weight("v", 8)
		m.floats("w", []int{2}, 0.5, 1.5)
		m.floats("w3", []int{3}, 1.5, 4.5, 8.5)
		m.node("Gather", "w first", "n")
		m.g.Initializers = append(m.g.Initializers, &onnx.Tensor{Name: "first", DType: onnx.Int64, I: []int64{0}})
		m.node("Cast", "n", "k", attrInt("to", 7))
		m.node("Unsqueeze", "k [0]", "i1")
		m.node("Cast", "w", "i2", attrInt("to", 7))
		m.node("Cast", "w3", "i3", attrInt("to", 7))
		m.node("Greater", "n 0", "yes")
		build(m)
		_, err := Lower(m.project("z", 8), Options{})
		var u *Unsupported
		if !errors.As(err, &u) || u.Node == "" || !strings.Contains(err.Error(), "--public w") && !strings.Contains(err.Error(), "--public v") && !strings.Contains(err.Error(), "not supported on weights") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func branchOf(name string) *onnx.Attr { return branch("then_branch", name) }
func elseOf(name string) *onnx.Attr   { return branch("else_branch", name) }

// branch is a branch of an If that copies a tensor.
func branch(attr, name string) *onnx.Attr {
	return &onnx.Attr{Name: attr, Type: onnx.AttrGraph, G: &onnx.Graph{Name: attr, Outputs: []onnx.ValueInfo{{Name: attr}},
		Nodes: []*onnx.Node{{Name: attr, Op: "Identity", Inputs: []string{name}, Outputs: []string{attr}}}}}
}

// A mask that leaves nothing of a row, as padding at the left has it, means what the file computes: what swamps the scores makes those that
// have most left alike, and what does not leaves them as they are. Between the two a note names the node and the row.
func TestEmptiedRows(t *testing.T) {
	least, inf := -math.MaxFloat32, math.Inf(-1)
	for name, c := range map[string]struct {
		rows  [2][]float64 // the first two of four; the others see everything
		notes int
	}{
		"least float everywhere":             {[2][]float64{{least, least, least, least}, {0, 0, least, least}}, 0},
		"twice the least behind the row":     {[2][]float64{{least, 2 * least, 2 * least, 2 * least}, {least, least, 2 * least, 2 * least}}, 0},
		"least float, and −∞ behind the row": {[2][]float64{{least, inf, inf, inf}, {least, 0, inf, inf}}, 0},
		"a small number everywhere":          {[2][]float64{{-1e4, -1e4, -1e4, -1e4}, {0, 0, -1e4, -1e4}}, 0},
		"a number that formats round":        {[2][]float64{{-1e9, -1e9, -1e9, -1e9}, {-1e9, -1e9, -1e9, -1e9}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, g := lowerAll(t, masked(func(m *model) {
				m.floats("mask", []int{4, 4}, slices.Concat(c.rows[0], c.rows[1], make([]float64, 8))...)
				m.node("Add", "s mask", "sm")
			}, false), "")
			if len(g.Notes) != c.notes {
				t.Errorf("notes: %q", g.Notes)
			}
			for _, n := range g.Notes {
				if !strings.Contains(n, `node "p"`) || !strings.Contains(n, "row 0") {
					t.Errorf("a note without node or row: %s", n)
				}
			}
		})
	}
}

// TestMasksOfViewsAndSums masks scores that the Softmax takes in another order, and a sum of two kinds of scores: the mask becomes that of
// the Softmax, infinite or not, and the model is that of the mask which stands alone before the Softmax.
func TestMasksOfViewsAndSums(t *testing.T) {
	low := []float64{0, math.Inf(-1), 0, 0, 0, 0, -3e4, math.Inf(-1), math.Inf(-1), 0, 0, 0, 0, 0, 0, 0}
	var turned []float64
	for i := range low {
		turned = append(turned, low[i%4*4+i/4])
	}
	lower := func(derive func(m *model)) *ir.Graph {
		g, err := Lower(masked(derive, false), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !hasMask(g) {
			t.Errorf("no mask:\n%s", g)
		}
		return g
	}
	swap := attrInts("perm", 0, 2, 1)
	for name, of := range map[string][2]func(m *model){
		"over another axis": {
			func(m *model) {
				m.floats("low", []int{4, 4}, low...)
				m.node("Mul", "s 0.35", "a")
				m.node("Add", "a low", "b")
				m.node("Transpose", "b", "sm", swap)
			},
			func(m *model) {
				m.floats("low", []int{4, 4}, turned...)
				m.node("Transpose", "s", "a", swap)
				m.node("Mul", "a 0.35", "b")
				m.node("Add", "b low", "sm")
			},
		},
		"of a sum": {
			func(m *model) {
				m.floats("low", []int{4, 4}, low...)
				m.node("Mul", "s s", "a")
				m.node("Sum", "a low s", "sm")
			},
			func(m *model) {
				m.floats("low", []int{4, 4}, low...)
				m.node("Mul", "s s", "a")
				m.node("Add", "a s", "b")
				m.node("Add", "b low", "sm")
			},
		},
	} {
		a, b := lower(of[0]), lower(of[1])
		ids := []float64{1, 4, 0, 2}
		got, err := eval.Float(a, ids)
		want, err2 := eval.Float(b, ids)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		for i, x := range want[b.Out()] {
			if y := got[a.Out()][i]; !(math.Abs(x-y) < 1e-12) {
				t.Errorf("%s: logit %d is %g, not %g", name, i, y, x)
			}
		}
	}
}

// TestSoftmaxOfOneCell weighs one cell alone, as attention of one position does: it is 1, whatever the score.
func TestSoftmaxOfOneCell(t *testing.T) {
	m := newModel()
	m.node("Unsqueeze", "x [-1]", "a")
	m.node("Softmax", "a", "b", attrInt("axis", -1))
	m.node("Squeeze", "b [-1]", "c")
	m.node("Mul", "c 3", "d")
	m.node("Mul", "x d", "z")
	g, err := Lower(m.project("z", 8), Options{})
	if err != nil {
		t.Fatal(err)
	}
	plain := newModel()
	plain.node("Mul", "x 3", "z")
	if want, err := Lower(plain.project("z", 8), Options{}); err != nil || g.String() != want.String() {
		t.Errorf("%v: not the model without the Softmax:\n%s", err, g)
	}
}
