package passes

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// normed is a batch normalisation of 4 channels in its training's measures, of a value of some shape.
func normed(shape string, normalise func(m *model)) *onnx.Model {
	m := newModel()
	m.floats("scale", []int{4}, 1, -0.5, 2, 0.25)
	m.floats("b", []int{4}, 0.1, 0.2, -0.3, 0)
	m.floats("mean", []int{4}, 0.5, -1, 0, 0.75)
	m.floats("var", []int{4}, 0.5, 1, 2, 3.5)
	m.node("Reshape", "x "+shape, "v")
	normalise(m)
	m.node("Reshape", "z [1,4,8]", "y")
	m.floats("cells", []int{8, 8}, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0,
		0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 8)
	m.node("MatMul", "y cells", "logits")
	return m.finish("logits")
}

// TestBatchNormalization compares one with what its definition says, over axes behind the channels and without; what it is made of stays
// private.
func TestBatchNormalization(t *testing.T) {
	for _, shape := range []string{"[1,4,8]", "[1,4,2,4]", "[1,4,2,2,2]"} {
		g, err := Lower(normed(shape, func(m *model) { m.node("BatchNormalization", "v scale b mean var", "z", attrFloat("epsilon", 0.25)) }), Options{})
		if err != nil {
			t.Fatal(shape, err)
		}
		for _, v := range g.Values {
			if v.Def.Op == ir.OpConst {
				t.Errorf("%s: the constant %s is not private:\\n%s", shape, v.Name, g)
			}
		}
		vals, err := eval.Float(g, []float64{0, 1, 2, 3})
		if err != nil {
			t.Fatal(shape, err)
		}
		plain, err := Lower(normed(shape, func(m *model) { m.node("Identity", "v", "z") }), Options{})
		if err != nil {
			t.Fatal(shape, err)
		}
		x, err := eval.Float(plain, []float64{0, 1, 2, 3})
		if err != nil {
			t.Fatal(shape, err)
		}
		scale, b, mean, variance := []float64{1, -0.5, 2, 0.25}, []float64{0.1, 0.2, -0.3, 0}, []float64{0.5, -1, 0, 0.75}, []float64{0.5, 1, 2, 3.5}
		for i, y := range vals[g.Out()] {
			c, k := i/8, float64(i%8+1) // the head multiplies column by column
			want := k * ((x[plain.Out()][i]/k-mean[c])/math.Sqrt(variance[c]+0.25)*scale[c] + b[c])
			if !(math.Abs(y-want) < 1e-12) {
				t.Errorf("%s: cell %d is %g, not %g", shape, i, y, want)
			}
		}
	}
}

// TestBatchNormalizationOfTraining has one that hands on what it measured, and one in a model that means
// something else by the operators that it is made of.
func TestBatchNormalizationOfTraining(t *testing.T) {
	for what, m := range map[string]*onnx.Model{
		"export the model for inference": normed("[1,4,8]", func(m *model) { m.node("BatchNormalization", "v scale b mean var", "z running") }),
		"a function of its own called Sqrt": func() *onnx.Model {
			m := normed("[1,4,8]", func(m *model) { m.node("BatchNormalization", "v scale b mean var", "z") })
			m.Functions = []*onnx.Function{{Name: "Sqrt", Inputs: []string{"a"}, Outputs: []string{"b"}, Opsets: m.Opsets,
				Nodes: []*onnx.Node{{Name: "n", Op: "Identity", Inputs: []string{"a"}, Outputs: []string{"b"}}}}}
			return m
		}(),
	} {
		_, err := Lower(m, Options{})
		var u *Unsupported
		if !errors.As(err, &u) || u.Op != "BatchNormalization" || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
