package passes

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// looped is the attribute body: a graph with these inputs and outputs.
func looped(inputs, outputs string, build func(m *model)) *onnx.Attr {
	m := &model{&onnx.Graph{Name: "body"}}
	for _, name := range strings.Fields(inputs) {
		m.g.Inputs = append(m.g.Inputs, onnx.ValueInfo{Name: name})
	}
	for _, name := range strings.Fields(outputs) {
		m.g.Outputs = append(m.g.Outputs, onnx.ValueInfo{Name: name})
	}
	build(m)
	return &onnx.Attr{Name: "body", Type: onnx.AttrGraph, G: m.g}
}

func (m *model) scalar(name string, kind onnx.DType, v int64) {
	m.g.Initializers = append(m.g.Initializers, &onnx.Tensor{Name: name, DType: kind, Shape: []int{}, I: []int64{v}})
}

// TestLoops compares loops with the same nodes written one after the other.
func TestLoops(t *testing.T) {
	for name, c := range map[string]struct{ loop, flat func(m *model) }{
		// A weight of the body, one from outside, the number of the iteration, and what is stacked.
		"for": {func(m *model) {
			m.weight("v", 8)
			m.scalar("three", onnx.Int64, 3)
			m.node("Loop", "three  x", "last all", looped("i c s", "c2 s2 part", func(b *model) {
				b.weight("w", 8, 8)
				b.node("MatMul", "s w", "m")
				b.node("Add", "m v", "s2")
				b.node("Cast", "i", "n", attrInt("to", 1))
				b.node("Mul", "s2 n", "part")
				b.node("Identity", "c", "c2")
			}))
			m.g.Nodes[len(m.g.Nodes)-1].Inputs = []string{"three", "", "x"}
			m.node("ReduceSum", "all [0]", "sum", attrInt("keepdims", 0))
			m.node("Add", "sum last", "z")
		}, func(m *model) {
			m.weight("v", 8)
			m.scalar("three", onnx.Int64, 3)
			m.weight("w", 8, 8)
			m.g.Initializers[len(m.g.Initializers)-1].F = looped("", "", func(b *model) { b.weight("w", 8, 8) }).G.Initializers[0].F
			at := "x"
			for _, n := range []string{"0", "1", "2"} {
				m.node("MatMul", at+" w", "m"+n)
				m.node("Add", "m"+n+" v", "s"+n)
				m.node("Mul", "s"+n+" "+n, "p"+n)
				at = "s" + n
			}
			m.node("Add", "p0 p1", "p01")
			m.node("Add", "p01 p2", "sum")
			m.node("Add", "sum s2", "z")
		}},
		// A condition that is computed from what is carried, and a branch inside.
		"while": {func(m *model) {
			m.scalar("one", onnx.Int64, 1)
			m.scalar("end", onnx.Int64, 7)
			m.scalar("yes", onnx.Bool, 1)
			m.node("Loop", "", "k z")
			n := m.g.Nodes[len(m.g.Nodes)-1]
			n.Inputs = []string{"", "yes", "one", "x"}
			n.Attrs = append(n.Attrs, looped("i c k s", "c2 k2 s2", func(b *model) {
				b.node("Add", "k k", "k2")
				b.node("Less", "k2 end", "c2")
				b.node("Mul", "s s", "t")
				b.node("Relu", "s", "u")
				b.node("Equal", "k one", "first")
				b.node("If", "first", "v", branchOf("t"), elseOf("u"))
				b.node("Add", "v x", "s2")
			}))
		}, func(m *model) { // of 1, 2 and 4
			m.node("Mul", "x x", "t")
			m.node("Add", "t x", "a")
			m.node("Relu", "a", "b")
			m.node("Add", "b x", "c")
			m.node("Relu", "c", "d")
			m.node("Add", "d x", "z")
		}},
		// Two tensors that are walked along, one of them from behind, and what is stacked from behind along another axis.
		"scan": {func(m *model) {
			m.node("Reshape", "x [4,8]", "rows")
			m.node("Transpose", "rows", "columns", attrInts("perm", 1, 0))
			m.node("Slice", "rows [0] [1] [0]", "row")
			m.node("Squeeze", "row [0]", "first")
			m.node("Scan", "first rows columns", "last all", looped("s a b", "s2 part", func(b *model) {
				b.node("Mul", "s a", "m")
				b.node("Add", "m b", "s2")
				b.node("Sub", "s2 a", "part")
			}), attrInt("num_scan_inputs", 2), attrInts("scan_input_axes", 0, -1), attrInts("scan_input_directions", 0, 1),
				attrInts("scan_output_axes", 1), attrInts("scan_output_directions", 1))
			m.node("Transpose", "all", "back", attrInts("perm", 1, 0))
			m.node("Add", "back last", "sum")
			m.node("Reshape", "sum [1,4,8]", "z")
		}, func(m *model) {
			m.node("Reshape", "x [4,8]", "rows")
			m.node("Split", "rows", "r0 r1 r2 r3", attrInt("num_outputs", 4))
			at := "r0"
			for _, p := range []string{"0 3", "1 2", "2 1", "3 0"} {
				i, j := p[:1], p[2:]
				m.node("Mul", at+" r"+i, "m"+i)
				m.node("Add", "m"+i+" r"+j, "s"+i)
				m.node("Sub", "s"+i+" r"+i, "p"+i)
				at = "s" + i
			}
			m.node("Concat", "p3 p2 p1 p0", "all", attrInt("axis", 0))
			m.node("Add", "all s3", "sum")
			m.node("Reshape", "sum [1,4,8]", "z")
		}},
		// A loop in a loop takes the number of the outer iteration, and what the outer loop carries.
		"nested": {func(m *model) {
			m.scalar("three", onnx.Int64, 3)
			m.scalar("four", onnx.Int64, 4)
			m.node("Loop", "", "z", looped("i c s", "c s2", func(b *model) {
				b.node("Cast", "i", "n", attrInt("to", 1))
				b.node("Loop", "", "u", looped("j d t", "d t2", func(b *model) {
					b.node("Mul", "s n", "m")
					b.node("Add", "t m", "t2")
				}))
				b.g.Nodes[1].Inputs = []string{"four", "", "x"}
				b.node("Add", "u s", "s2")
			}))
			m.g.Nodes[1].Inputs = []string{"three", "", "x"}
		}, func(m *model) {
			at := "x"
			for _, n := range []string{"0", "1", "2"} {
				u := "x"
				m.node("Mul", at+" "+n, "m"+n)
				for _, j := range []string{"a", "b", "c", "d"} {
					m.node("Add", u+" m"+n, "t"+n+j)
					u = "t" + n + j
				}
				m.node("Add", u+" "+at, "s"+n)
				at = "s" + n
			}
			m.node("Identity", at, "z")
		}},
		// The inner body gives its own tensors, one of them an initializer, names of the outer one's.
		"of the same names": {func(m *model) {
			m.scalar("two", onnx.Int64, 2)
			m.node("Loop", "", "z", looped("i c s", "c s2", func(b *model) {
				b.node("Mul", "s 2", "k")
				b.node("Loop", "", "u", looped("i c s", "c s2", func(b *model) {
					b.floats("k", nil, 3)
					b.node("Mul", "x k", "m")
					b.node("Add", "s m", "s2")
				}))
				b.g.Nodes[1].Inputs = []string{"two", "", "k"}
				b.node("Neg", "u", "s2")
			}))
			m.g.Nodes[1].Inputs = []string{"two", "", "x"}
		}, func(m *model) {
			m.node("Mul", "x 3", "m")
			at := "x"
			for _, n := range []string{"0", "1"} {
				m.node("Mul", at+" 2", "k"+n)
				m.node("Add", "k"+n+" m", "a"+n)
				m.node("Add", "a"+n+" m", "u"+n)
				m.node("Neg", "u"+n, "s"+n)
				at = "s" + n
			}
			m.node("Identity", at, "z")
		}},
		"of no iteration": {func(m *model) {
			m.scalar("none", onnx.Int64, 0)
			m.node("Loop", "none  x", "z", looped("i c s", "c s2", func(b *model) { b.node("Relu", "s", "s2") }))
			m.g.Nodes[len(m.g.Nodes)-1].Inputs = []string{"none", "", "x"}
		}, func(m *model) { m.node("Identity", "x", "z") }},
	} {
		var outs [2][]float64
		var weights [2][]string
		for i, build := range []func(m *model){c.loop, c.flat} {
			m := newModel()
			m.weight("head", 8, 3)
			build(m)
			g, err := Lower(m.project("z", 8), Options{})
			if err != nil {
				t.Fatal(name, err)
			}
			vals, err := eval.Float(g, []float64{1, 4, 0, 2})
			if err != nil {
				t.Fatal(name, err)
			}
			outs[i] = vals[g.Out()]
			for _, v := range g.Values {
				if v.Def.Op == ir.OpWeight {
					weights[i] = append(weights[i], v.Name)
				}
			}
		}
		if !slices.Equal(weights[0], weights[1]) {
			t.Errorf("%s: weights %v, not %v", name, weights[0], weights[1])
		}
		if !slices.Equal(outs[0], outs[1]) {
			t.Errorf("%s: %v, not %v", name, outs[0], outs[1])
		}
	}
}

// TestLoopsThatAreRefused names the loop and what is wrong with it.
func TestLoopsThatAreRefused(t *testing.T) {
	step := func(b *model) { b.node("Relu", "s", "s2") }
	for what, c := range map[string]struct {
		in   []string
		body *onnx.Attr
	}{
		"the number of iterations (input \"n\") must be a constant": {[]string{"n", "", "x"}, looped("i c s", "c s2", step)},
		"nothing ends it": {[]string{"", "", "x"}, looped("i c s", "c s2", step)},
		"its 1152921504606846976 iterations of 1 nodes are too many": {[]string{"many", "", "x"}, looped("i c s", "c s2", step)},
		"output \"c2\" of its body, must not depend on an input of the model": {[]string{"", "yes", "x"}, looped("i c s", "c2 s2", func(b *model) {
			step(b)
			b.node("ReduceMax", "s", "m", attrInt("keepdims", 0))
			b.node("Less", "m 9", "c2")
		})},
		"its condition is always true":                                   {[]string{"", "yes", "x"}, looped("i c s", "c2 s2", func(b *model) { step(b); b.node("Identity", "c", "c2") })},
		"2 inputs, and a body of 3 inputs and 2 outputs":                 {[]string{"", ""}, looped("i c s", "c s2", step)},
		"it runs no iteration, so that what it would stack has no shape": {[]string{"none", "", "x"}, looped("i c s", "c s2 s2", step)},
		"follows from real numbers (\"k2\")": {[]string{"", "yes", "w0"}, looped("i c k", "c2 k2", func(b *model) {
			b.node("Add", "k 0.25", "k2")
			b.node("Less", "k2 1", "c2")
		})},
		"attribute body is missing": {[]string{"none", "", "x"}, attrInt("other", 1)},
		"--public w":                {[]string{"", "private", "x"}, looped("i c s", "c s2", step)},
	} {
		m := newModel()
		m.scalar("many", onnx.Int64, 1<<60)
		m.scalar("none", onnx.Int64, 0)
		m.scalar("yes", onnx.Bool, 1)
		m.floats("w0", nil, 0.125)
		m.floats("w", []int{2}, 0.5, 1.5)
		m.scalar("first", onnx.Int64, 0)
		m.node("Gather", "w first", "cell")
		m.node("Greater", "cell 0", "private")
		m.node("ReduceSum", "ids", "n", attrInt("keepdims", 0))
		m.node("Loop", "", "z", c.body)
		m.g.Nodes[len(m.g.Nodes)-1].Inputs = c.in
		_, err := Lower(m.project("z", 8), Options{})
		var u *Unsupported
		if !errors.As(err, &u) || u.Op != "Loop" || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
