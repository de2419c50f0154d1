package passes

import (
	"math"
	"math/cmplx"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// cellsOf are those of tensor z of a model, whose tensor x has the shape [1,4,8] and 32 cells between −0.8 and 1.2.
func cellsOf(t *testing.T, opset int, build func(m *model)) []float64 {
	t.Helper()
	m := newModel()
	build(m)
	model := m.finish("z")
	model.Opsets[0].Version = int64(opset)
	g, err := Lower(model, Options{})
	require.NoError(t, err)
	vals, err := eval.Float(g, []float64{0, 1, 2, 3})
	require.NoError(t, err)
	return vals[g.Out()]
}

// every is each step-th cell, from one on.
func every(x []float64, step, from int) (y []float64) {
	for i := from; i < len(x); i += step {
		y = append(y, x[i])
	}
	return y
}

// wave is part 0, the real one, or 1 of frequency k of a Fourier transform of a length: Σ (re + i·im)·e^(±2πi·jk/length).
func wave(re, im []float64, k, length int, sign float64, part int) float64 {
	s := 0i
	for j := range min(len(re), length) {
		x := complex(re[j], 0)
		if im != nil {
			x = complex(re[j], im[j])
		}
		s += x * cmplx.Exp(complex(0, sign*2*math.Pi*float64(j*k)/float64(length)))
	}
	return []float64{real(s), imag(s)}[part]
}

// TestRareOperators compares operators that are others under another name with what ONNX says of them.
func TestRareOperators(t *testing.T) {
	x := cellsOf(t, 18, func(m *model) { m.node("Mul", "x 1", "z") })
	sum := func(from, to, step int, f func(float64) float64) (s float64) {
		for i := from; i < to; i += step {
			s += f(x[i])
		}
		return s
	}
	square := func(v float64) float64 { return v * v }
	stringAttr := func(name, v string) *onnx.Attr { return &onnx.Attr{Name: name, Type: onnx.AttrString, S: v} }
	for name, c := range map[string]struct {
		opset int
		build func(m *model)
		size  int
		want  func(i int) float64
	}{
		"ReduceLogSum": {18, func(m *model) {
			m.node("Abs", "x", "a")
			m.node("ReduceLogSum", "a [2]", "z")
		}, 4, func(i int) float64 { return math.Log(sum(8*i, 8*i+8, 1, math.Abs)) }},
		"ReduceLogSum of an attribute": {13, func(m *model) {
			m.node("Abs", "x", "a")
			m.node("ReduceLogSum", "a", "z", attrInts("axes", -2), attrInt("keepdims", 0))
		}, 8, func(i int) float64 { return math.Log(sum(i, 32, 8, math.Abs)) }},
		"DFT of one side, with zeros behind": {17, func(m *model) {
			m.node("Reshape", "x [2,16,1]", "y")
			m.node("DFT", "y [20]", "z", attrInt("onesided", 1))
		}, 2 * 11 * 2, func(i int) float64 { return wave(x[i/22*16:i/22*16+16], nil, i/2%11, 20, -1, i%2) }},
		"DFT of complex numbers": {17, func(m *model) {
			m.node("Reshape", "x [1,16,2]", "y")
			m.node("DFT", "y", "z")
		}, 32, func(i int) float64 { return wave(every(x, 2, 0), every(x, 2, 1), i/2, 16, -1, i%2) }},
		"DFT of few numbers, inverse": {20, func(m *model) {
			m.node("Reshape", "x [8,2,2]", "y")
			m.node("DFT", "y [5] [-3]", "z", attrInt("inverse", 1))
		}, 5 * 2 * 2, func(i int) float64 {
			return wave(every(x, 4, i/2%2*2)[:5], every(x, 4, i/2%2*2+1)[:5], i/4, 5, 1, i%2) / 5
		}},
		"Scatter": {10, func(m *model) {
			m.ints("flat", 0, 9, 5, 2)
			m.ints("shape", 1, 2, 2)
			m.node("Reshape", "flat shape", "at")
			m.floats("new", []int{1, 2, 2}, 5, 6, 7, 8)
			m.node("Reshape", "x [1,2,16]", "y")
			m.node("Scatter", "y at new", "z", attrInt("axis", 2))
		}, 32, func(i int) float64 {
			if v, is := map[int]float64{0: 5, 9: 6, 21: 7, 18: 8}[i]; is {
				return v
			}
			return x[i]
		}},
		"Upsample": {9, func(m *model) {
			m.floats("scales", []int{4}, 1, 1, 2, 1.5)
			m.node("Reshape", "x [1,1,4,8]", "y")
			m.node("Upsample", "y scales", "z")
		}, 96, func(i int) float64 { return x[i/12/2*8+int(float64(i%12)/1.5)] }},
		"Upsample between cells": {7, func(m *model) {
			m.node("Reshape", "x [1,1,4,8]", "y")
			m.node("Upsample", "y", "z", stringAttr("mode", "linear"), &onnx.Attr{Name: "scales", Type: onnx.AttrFloats, Floats: []float64{1, 1, 1, 2}})
		}, 64, func(i int) float64 { return (x[i/2] + x[min(i/2+i%2, i/16*8+7)]) / 2 }},
		"Hardmax": {13, func(m *model) { m.node("Hardmax", "x", "z") }, 32, func(i int) float64 {
			for k := i / 8 * 8; k < i/8*8+8; k++ {
				if x[k] > x[i] || x[k] == x[i] && k < i {
					return 0
				}
			}
			return 1
		}},
		"Hardmax of all that is behind": {11, func(m *model) { m.node("Hardmax", "x", "z") }, 32, func(i int) float64 {
			for k := range x {
				if x[k] > x[i] || x[k] == x[i] && k < i {
					return 0
				}
			}
			return 1
		}},
		"LRN": {13, func(m *model) {
			m.node("LRN", "x", "z", attrInt("size", 2), attrFloat("alpha", 0.5), attrFloat("beta", 0.5), attrFloat("bias", 2))
		}, 32,
			func(i int) float64 {
				s := square(x[i])
				if i < 24 {
					s += square(x[i+8])
				}
				return x[i] / math.Sqrt(2+0.25*s)
			}},
		"LpPool": {18, func(m *model) { m.node("LpPool", "x", "z", attrInts("kernel_shape", 2), attrInts("strides", 2)) }, 16,
			func(i int) float64 { return math.Hypot(x[2*i], x[2*i+1]) }},
		"LpPool of magnitudes, padded": {18, func(m *model) {
			m.node("LpPool", "x", "z", attrInt("p", 1), attrInts("kernel_shape", 3), attrInts("strides", 4), attrInts("pads", 1, 0))
		}, 8, func(i int) float64 {
			if i%2 == 0 {
				return sum(4*i, 4*i+2, 1, math.Abs)
			}
			return sum(4*i-1, 4*i+2, 1, math.Abs)
		}},
		"GlobalLpPool": {13, func(m *model) { m.node("GlobalLpPool", "x", "z") }, 4, func(i int) float64 { return math.Sqrt(sum(8*i, 8*i+8, 1, square)) }},
		"Compress": {11, func(m *model) {
			m.g.Initializers = append(m.g.Initializers, &onnx.Tensor{Name: "which", DType: onnx.Bool, Shape: []int{3}, I: []int64{1, 0, 1}})
			m.node("Compress", "x which", "z", attrInt("axis", -1))
		}, 8, func(i int) float64 { return x[i/2*8+i%2*2] }},
		"Compress of all cells": {11, func(m *model) {
			m.g.Initializers = append(m.g.Initializers, &onnx.Tensor{Name: "which", DType: onnx.Bool, Shape: []int{12}, I: []int64{0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}})
			m.node("Compress", "x which", "z")
		}, 2, func(i int) float64 { return x[1+10*i] }},
	} {
		got := cellsOf(t, c.opset, c.build)
		require.Len(t, got, c.size, name)
		for i, y := range got {
			require.InDelta(t, c.want(i), y, 1e-6, "%s: cell %d", name, i)
		}
	}
}
