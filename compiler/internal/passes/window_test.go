package passes

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/compiler/internal/frontend"
	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// windowCase is a drawn window over one or two axes.
type windowCase struct {
	axes                         int
	in, taps, strides, dilations []int
	before, after                []int
	groups, channels, maps       int
}

func drawWindow(rng *rand.Rand) windowCase {
	w := windowCase{axes: 1 + rng.IntN(2), groups: 1 + rng.IntN(2)}
	w.channels, w.maps = w.groups*(1+rng.IntN(2)), w.groups*(1+rng.IntN(3))
	for range w.axes {
		taps, dilation := 1+rng.IntN(4), 1+rng.IntN(2)
		reach := dilation*(taps-1) + 1
		before, after := rng.IntN(reach), rng.IntN(reach)
		if rng.IntN(3) == 0 {
			before, after = 0, 0
		}
		w.in = append(w.in, max(reach, 1+rng.IntN(7)))
		w.taps, w.dilations, w.strides = append(w.taps, taps), append(w.dilations, dilation), append(w.strides, 1+rng.IntN(3))
		w.before, w.after = append(w.before, before), append(w.after, after)
	}
	return w
}

func (w windowCase) attrs() []*onnx.Attr {
	list := func(name string, lists ...[]int) *onnx.Attr {
		a := attrInts(name)
		for _, l := range lists {
			for _, x := range l {
				a.Ints = append(a.Ints, int64(x))
			}
		}
		return a
	}
	return []*onnx.Attr{list("kernel_shape", w.taps), list("strides", w.strides), list("dilations", w.dilations), list("pads", w.before, w.after)}
}

// outs are the extents of the result.
func (w windowCase) outs() (out []int) {
	for a := range w.in {
		out = append(out, (w.in[a]+w.before[a]+w.after[a]-w.dilations[a]*(w.taps[a]-1)-1)/w.strides[a]+1)
	}
	return out
}

// each calls f with every list of indices below the extents.
func each(extents []int, f func(at []int)) {
	at := make([]int, len(extents))
	for range ir.Size(extents) {
		f(at)
		for a := len(at) - 1; a >= 0; a-- {
			if at[a]++; at[a] < extents[a] {
				break
			}
			at[a] = 0
		}
	}
}

// cellOf is the number of a cell.
func cellOf(shape []int, lead []int, at []int) int {
	n := 0
	for a, i := range append(append([]int{}, lead...), at...) {
		n = n*shape[a] + i
	}
	return n
}

// values are the cells of a window: those inside of x.
func (w windowCase) values(x []float64, b, ch int, o []int, f func(tap []int, v float64)) {
	shape := append([]int{2, w.channels}, w.in...)
	each(w.taps, func(tap []int) {
		at := make([]int, w.axes)
		for a := range at {
			if at[a] = w.strides[a]*o[a] + w.dilations[a]*tap[a] - w.before[a]; at[a] < 0 || at[a] >= w.in[a] {
				return
			}
		}
		f(tap, x[cellOf(shape, []int{b, ch}, at)])
	})
}

// want computes the operator by its definition.
func (w windowCase) want(op string, x, weights, bias []float64) []float64 {
	var out []float64
	maps := w.channels
	if op == "Conv" {
		maps = w.maps
	}
	per := w.channels / w.groups
	for b := range 2 {
		for m := range maps {
			each(w.outs(), func(o []int) {
				sum, most, n := 0.0, math.Inf(-1), 0
				switch op {
				case "Conv":
					sum = bias[m]
					for c := range per {
						w.values(x, b, m/(w.maps/w.groups)*per+c, o, func(tap []int, v float64) {
							sum += v * weights[cellOf(append([]int{w.maps, per}, w.taps...), []int{m, c}, tap)]
						})
					}
				default:
					w.values(x, b, m, o, func(_ []int, v float64) { sum, most, n = sum+v, max(most, v), n+1 })
				}
				switch op {
				case "MaxPool":
					sum = most
				case "AveragePool":
					sum /= float64(n)
				case "padded":
					sum /= float64(ir.Size(w.taps))
				}
				out = append(out, sum)
			})
		}
	}
	return out
}

func random(rng *rand.Rand, name string, shape ...int) *onnx.Tensor {
	t := &onnx.Tensor{Name: name, DType: onnx.Float32, Shape: shape, F: make([]float64, ir.Size(shape))}
	for i := range t.F {
		t.F[i] = rng.NormFloat64()
	}
	return t
}

// lowerOn lowers a model of one node whose first input is x, and computes it.
func lowerOn(op string, x *onnx.Tensor, attrs []*onnx.Attr, more ...*onnx.Tensor) ([]float64, *ir.Graph, error) {
	n := &onnx.Node{Name: "node", Op: op, Inputs: []string{"x"}, Outputs: []string{"y"}, Attrs: attrs}
	in := onnx.ValueInfo{Name: "x", DType: onnx.Float32, HasShape: true}
	for _, d := range x.Shape {
		in.Dims = append(in.Dims, onnx.Dim{Value: int64(d)})
	}
	g := &onnx.Graph{Name: "g", Nodes: []*onnx.Node{n}, Inputs: []onnx.ValueInfo{in}, Outputs: []onnx.ValueInfo{{Name: "y"}}, Initializers: more}
	for _, t := range more {
		n.Inputs = append(n.Inputs, t.Name)
	}
	low, err := Lower(&onnx.Model{Opsets: []onnx.Opset{{Version: 18}}, Graph: g}, Options{Ranges: map[string]frontend.Range{"x": {Lo: math.Inf(-1), Hi: math.Inf(1)}}})
	if err != nil {
		return nil, nil, err
	}
	vals, err := eval.Float(low, x.F)
	return vals[low.Out()], low, err
}

// TestWindows draws convolutions and poolings and compares with their definitions. None has a matrix in place of a map but maxima over
// padding, and no node but those of terms and maxima.
func TestWindows(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 7))
	computed := map[string]int{}
	for round := range 240 {
		w := drawWindow(rng)
		op := []string{"Conv", "AveragePool", "padded", "MaxPool"}[round%4]
		x := random(rng, "x", append([]int{2, w.channels}, w.in...)...)
		attrs, name := w.attrs(), op
		var more []*onnx.Tensor
		weights := random(rng, "w", append([]int{w.maps, w.channels / w.groups}, w.taps...)...)
		bias := random(rng, "b", w.maps)
		switch op {
		case "Conv":
			more, attrs = append(more, weights, bias), append(attrs, attrInt("group", int64(w.groups)))
		case "padded":
			name, attrs = "AveragePool", append(attrs, attrInt("count_include_pad", 1))
		}
		got, g, err := lowerOn(name, x, attrs, more...)
		want := w.want(op, x.F, weights.F, bias.F)
		empty := false
		for _, v := range want {
			empty = empty || math.IsInf(v, 0) || math.IsNaN(v)
		}
		if empty { // a window that lies wholly in the padding
			if err == nil || !strings.Contains(err.Error(), "wholly in the padding") {
				t.Fatalf("%s %+v: %v", op, w, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s %+v: %v", op, w, err)
		}
		if d := relDiff(got, want); !(d < 1e-9) {
			t.Fatalf("%s %+v: off by %g\n%s", op, w, d, g)
		}
		for _, n := range g.Nodes {
			if n.Op == ir.OpConst && len(g.Value(n.Out[0]).Data) > ir.Size(w.outs()) && op != "MaxPool" || n.Op == ir.OpMax && op != "MaxPool" {
				t.Fatalf("%s %+v:\n%s", op, w, g)
			}
		}
		computed[op]++
	}
	for op, n := range computed {
		if n < 30 {
			t.Errorf("%s: %d", op, n)
		}
	}
}

// TestTransposedConvolutions draws transposed convolutions: every cell of x adds the weights, times itself, to a window of the result.
func TestTransposedConvolutions(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	for range 120 {
		w := drawWindow(rng)
		extra := make([]int, w.axes)
		out := make([]int, w.axes)
		positive := true
		for a := range out {
			extra[a] = rng.IntN(w.strides[a])
			out[a] = w.strides[a]*(w.in[a]-1) + extra[a] + w.dilations[a]*(w.taps[a]-1) + 1 - w.before[a] - w.after[a]
			positive = positive && out[a] > 0
		}
		attrs := append(w.attrs(), attrInt("group", int64(w.groups)), &onnx.Attr{Name: "output_padding", Type: onnx.AttrInts})
		for _, e := range extra {
			attrs[len(attrs)-1].Ints = append(attrs[len(attrs)-1].Ints, int64(e))
		}
		per := w.maps / w.groups
		x := random(rng, "x", append([]int{2, w.channels}, w.in...)...)
		weights := random(rng, "w", append([]int{w.channels, per}, w.taps...)...)
		got, g, err := lowerOn("ConvTranspose", x, attrs, weights)
		if !positive {
			if err == nil {
				t.Fatalf("%+v has no cells", w)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%+v: %v", w, err)
		}
		shape := append([]int{2, w.maps}, out...)
		want := make([]float64, ir.Size(shape))
		for b := range 2 {
			for c := range w.channels {
				for m := range per {
					each(w.in, func(i []int) {
						each(w.taps, func(tap []int) {
							o := make([]int, w.axes)
							for a := range o {
								if o[a] = w.strides[a]*i[a] + w.dilations[a]*tap[a] - w.before[a]; o[a] < 0 || o[a] >= out[a] {
									return
								}
							}
							v := x.F[cellOf(x.Shape, []int{b, c}, i)] * weights.F[cellOf(weights.Shape, []int{c, m}, tap)]
							want[cellOf(shape, []int{b, c/(w.channels/w.groups)*per + m}, o)] += v
						})
					})
				}
			}
		}
		if d := relDiff(got, want); !(d < 1e-9) {
			t.Fatalf("%+v: off by %g\n%s", w, d, g)
		}
	}
}

// TestPads pads with zeros, a number, and cells of the tensor, cuts where pads are negative, and leaves axes out.
func TestPads(t *testing.T) {
	x := &onnx.Tensor{Name: "x", DType: onnx.Float32, Shape: []int{2, 3}, F: []float64{1, 2, 3, 4, 5, 6}}
	for _, c := range []struct {
		mode  string
		pads  []int64
		value float64
		want  string
	}{
		{"constant", []int64{0, 1, 0, 2}, 0, "[0 1 2 3 0 0 0 4 5 6 0 0]"},
		{"constant", []int64{1, 0, 0, 1}, -3, "[-3 -3 -3 -3 1 2 3 -3 4 5 6 -3]"},
		{"constant", []int64{0, -1, 0, 1}, 7, "[2 3 7 5 6 7]"},
		{"constant", []int64{0, -1, 0, -1}, 0, "[2 5]"},
		{"edge", []int64{0, 2, 0, 1}, 0, "[1 1 1 2 3 3 4 4 4 5 6 6]"},
		{"reflect", []int64{0, 2, 0, 1}, 0, "[3 2 1 2 3 2 6 5 4 5 6 5]"},
		{"wrap", []int64{0, 1, 1, 1}, 0, "[3 1 2 3 1 6 4 5 6 4 3 1 2 3 1]"},
	} {
		mode := []*onnx.Attr{{Name: "mode", Type: onnx.AttrString, S: c.mode}}
		pads := &onnx.Tensor{Name: "pads", DType: onnx.Int64, Shape: []int{4}, I: c.pads}
		got, g, err := lowerOn("Pad", x, mode, pads, &onnx.Tensor{Name: "value", DType: onnx.Float32, F: []float64{c.value}})
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s %v: %v, want %s\n%s", c.mode, c.pads, got, c.want, g)
		}
	}
}

// TestWindowsAreRefused names the node and says what is not supported.
func TestWindowsAreRefused(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	x := random(rng, "x", 1, 2, 5)
	for _, c := range []struct {
		op, want string
		attrs    []*onnx.Attr
		more     []*onnx.Tensor
	}{
		{"Conv", "numbers from 1 to 2^24", []*onnx.Attr{attrInts("strides", 0)}, []*onnx.Tensor{random(rng, "w", 1, 2, 3)}},
		{"Conv", "numbers from 0 to 2^24", []*onnx.Attr{attrInts("pads", -1, 0)}, []*onnx.Tensor{random(rng, "w", 1, 2, 3)}},
		{"Conv", "do not fit an axis of 5", nil, []*onnx.Tensor{random(rng, "w", 1, 2, 6)}},
		{"Conv", "do not fit 2 channels in 1 groups", nil, []*onnx.Tensor{random(rng, "w", 1, 1, 3)}},
		{"Conv", "bias of shape [2] for 1", nil, []*onnx.Tensor{random(rng, "w", 1, 2, 3), random(rng, "b", 2)}},
		{"MaxPool", "windows of 0 cells", nil, nil},
		{"ConvTranspose", "0 cells on axis 2", []*onnx.Attr{attrInts("output_shape", 0)}, []*onnx.Tensor{random(rng, "w", 2, 1, 3)}},
		{"ConvTranspose", "16777217 cells on axis 2", []*onnx.Attr{attrInts("output_shape", 1<<40)}, []*onnx.Tensor{random(rng, "w", 2, 1, 3)}},
		{"Pad", "no cells on axis 2", []*onnx.Attr{attrInts("pads", 0, 0, -3, 0, 0, -2)}, nil},
	} {
		_, _, err := lowerOn(c.op, x, c.attrs, c.more...)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `"node"`) {
			t.Errorf("%s: %v, want %q", c.op, err, c.want)
		}
	}
}

// TestMaximaOfPadding: a window that sees nothing but padding has no maximum, where zeros in the padding would change nothing else either.
func TestMaximaOfPadding(t *testing.T) {
	in := onnx.ValueInfo{Name: "x", DType: onnx.Float32, HasShape: true, Dims: []onnx.Dim{{Value: 1}, {Value: 1}, {Value: 4}}}
	for pads, want := range map[int64]string{1: "", 2: "window 0 lies wholly in the padding"} {
		g := &onnx.Graph{Name: "g", Inputs: []onnx.ValueInfo{in}, Outputs: []onnx.ValueInfo{{Name: "y"}}, Nodes: []*onnx.Node{
			{Name: "relu", Op: "Relu", Inputs: []string{"x"}, Outputs: []string{"r"}},
			{Name: "node", Op: "MaxPool", Inputs: []string{"r"}, Outputs: []string{"y"}, Attrs: []*onnx.Attr{attrInts("kernel_shape", 2), attrInts("pads", pads, pads)}},
		}}
		_, err := Lower(&onnx.Model{Opsets: []onnx.Opset{{Version: 18}}, Graph: g}, Options{Ranges: map[string]frontend.Range{"x": {Lo: -1, Hi: 1}}})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("pads %d: %v, want %q", pads, err, want)
		}
	}
}
