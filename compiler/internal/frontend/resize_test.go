package frontend

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// resizing is a Resize of reals [1, 1, 1, 5] along their last axis, by a scale or to an extent.
func resizing(scale float64, to int, attrs ...*onnx.Attr) *call {
	b := &builder{g: &ir.Graph{}, left: newPurse(&onnx.Model{Graph: &onnx.Graph{}}, Options{})}
	x := constant("x", &onnx.Tensor{DType: onnx.Float32, Shape: []int{1, 1, 1, 5}, F: []float64{0, 1, 3, -2, 5}})
	c := &call{b: b, n: &onnx.Node{Name: "r", Op: "Resize", Attrs: attrs, Outputs: []string{"y"}}, s: &scope{vals: map[string]*val{}}, opset: 19, in: []*val{x, nil, nil, nil}}
	if to > 0 {
		c.in[3] = constant("sizes", integerVector(onnx.Int64, 1, 1, 1, int64(to)))
	} else {
		c.in[2] = constant("scales", vector(onnx.Float32, 1, 1, 1, scale))
	}
	return c
}

// TestResize has the values that onnxruntime gives.
func TestResize(t *testing.T) {
	for _, c := range []struct {
		mode, rule, nearest string
		inside              int64
		scale               float64
		to                  int
		want                []float64
	}{
		{"nearest", "half_pixel", "round_prefer_floor", 0, 0, 7, []float64{0, 1, 1, 3, -2, -2, 5}},
		{"linear", "half_pixel", "floor", 0, 0, 3, []float64{0.333333, 3, 2.66667}},
		{"cubic", "half_pixel", "floor", 0, 0, 7, []float64{-0.0787175, 0.370263, 1.85568, 3, -1.3586, 0.413995, 5.55102}},
		{"nearest", "pytorch_half_pixel", "round_prefer_ceil", 0, 0, 7, []float64{0, 1, 1, 3, -2, -2, 5}},
		{"linear", "pytorch_half_pixel", "floor", 0, 0, 3, []float64{0.333333, 3, 2.66667}},
		{"cubic", "pytorch_half_pixel", "floor", 1, 0, 7, []float64{-0.0895526, 0.343244, 1.85568, 3, -1.3586, 0.748649, 5.62687}},
		{"nearest", "align_corners", "floor", 0, 0, 7, []float64{0, 0, 1, 3, 3, -2, 5}},
		{"linear", "align_corners", "floor", 0, 0, 3, []float64{0, 3, 5}},
		{"cubic", "align_corners", "floor", 0, 0, 7, []float64{0, 0.462963, 2.01852, 3, -1.09259, -0.35185, 5}},
		{"nearest", "asymmetric", "ceil", 0, 0, 7, []float64{0, 1, 3, -2, -2, 5, 5}},
		{"linear", "asymmetric", "floor", 0, 0, 3, []float64{0, 2.33333, 0.333333}},
		{"cubic", "asymmetric", "floor", 1, 0, 7, []float64{0, 0.495809, 2.33819, 2.46064, -1.91983, 1.98417, 6.0396}},
		{"nearest", "half_pixel_symmetric", "round_prefer_floor", 0, 0, 7, []float64{0, 1, 1, 3, -2, -2, 5}},
		{"linear", "half_pixel_symmetric", "floor", 0, 0, 3, []float64{0.333333, 3, 2.66667}},
		{"cubic", "half_pixel_symmetric", "floor", 0, 0, 7, []float64{-0.0787175, 0.370263, 1.85568, 3, -1.3586, 0.413995, 5.55102}},
		{"nearest", "half_pixel", "round_prefer_ceil", 0, 0.5, 0, []float64{1, -2}},
		{"linear", "half_pixel", "floor", 0, 1.5, 0, []float64{0, 0.5, 1.33333, 2.66667, 0.5, -0.833333, 3.83333}},
		{"nearest", "asymmetric", "floor", 0, 0.5, 0, []float64{0, 3}},
		{"linear", "asymmetric", "floor", 0, 1.5, 0, []float64{0, 0.666667, 1.66667, 3, -0.333334, 0.333333, 5}},
		{"nearest", "half_pixel_symmetric", "ceil", 0, 0.5, 0, []float64{1, -2}},
		{"linear", "half_pixel_symmetric", "floor", 0, 1.5, 0, []float64{0, 0.666667, 1.66667, 3, -0.333334, 0.333333, 5}},
	} {
		y, err := resizing(c.scale, c.to, stringOf("mode", c.mode), stringOf("coordinate_transformation_mode", c.rule), stringOf("nearest_mode", c.nearest),
			intOf("exclude_outside", c.inside)).lower()
		require.NoError(t, err, "%v", c)
		require.Equal(t, []int{1, 1, 1, len(c.want)}, y[0].shape)
		require.InDeltaSlice(t, c.want, y[0].c.F, 1e-5, "%v", c)
	}
}

// TestResizeIsRefused has forms of which the operator computes nothing, or runtimes do not agree on what.
func TestResizeIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		c    *call
		says string
	}{
		"smoothed":                {resizing(0, 3, stringOf("mode", "linear"), intOf("antialias", 1)), "antialias"},
		"cropped":                 {resizing(0, 3, stringOf("coordinate_transformation_mode", "tf_crop_and_resize")), "tf_crop_and_resize"},
		"of an extent by half":    {resizing(0.5, 0, stringOf("coordinate_transformation_mode", "align_corners")), "axis 3 of extent 5 by a scale of 0.5"},
		"to nothing":              {resizing(0.1, 0), "an axis of extent 5 becomes one of 0"},
		"by a negative scale":     {resizing(-1, 0), "a scale of -1"},
		"of the same proportions": {resizing(0, 3, stringOf("keep_aspect_ratio_policy", "not_larger")), "not_larger"},
		"by a third, rounded":     {resizing(float64(float32(1)/3), 0, stringOf("nearest_mode", "floor")), "cell 0 of axis 3 is as near to two cells"},
	} {
		_, err := c.c.lower()
		require.ErrorContains(t, err, c.says, name)
	}
}

// TestScalesArePublic has scales that are an initializer of real numbers, which are a weight wherever else they stand.
func TestScalesArePublic(t *testing.T) {
	for _, c := range []struct{ nodes, refused string }{
		{"y Resize x scales; end Softmax y", ""},
		{"s Mul x scales; y Resize s scales; end Softmax y", `"scales" is private`},
	} {
		m := scored(c.nodes)
		for _, n := range m.Graph.Nodes {
			if n.Op == "Resize" {
				n.Inputs = []string{n.Inputs[0], "", "scales"}
				n.Attrs = []*onnx.Attr{stringOf("mode", "linear")}
			}
		}
		m.Graph.Initializers = append(m.Graph.Initializers, vector(onnx.Float32, 1, 2))
		m.Graph.Initializers[len(m.Graph.Initializers)-1].Name = "scales"
		if c.refused != "" { // [3, 3] times [2] has no shape
			m.Graph.Inputs[0].Dims[1].Value = 2
		}
		_, err := Build(m, Options{Ranges: map[string]Range{"x": {Lo: -8, Hi: 8}}})
		if c.refused == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.refused)
		}
	}
}
