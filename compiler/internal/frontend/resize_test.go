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

// TestResizeSmoothly has the values that onnxruntime and ONNX's reference give with antialias.
func TestResizeSmoothly(t *testing.T) {
	for _, c := range []struct {
		mode, rule string
		inside     int64
		to         int
		want       []float64
	}{
		{"linear", "half_pixel", 0, 3, []float64{0.375, 1.44444, 2.375}},
		{"linear", "half_pixel", 0, 2, []float64{0.88, 1.92}},
		{"linear", "half_pixel", 0, 7, []float64{0, 0.57143, 1.57143, 3, -0.57143, 1, 5}},
		{"linear", "half_pixel", 1, 3, []float64{0.42857, 1.44444, 2}},
		{"linear", "asymmetric", 0, 3, []float64{0.22222, 1.625, 1.25}},
		{"linear", "align_corners", 1, 2, []float64{0.66667, 2.44444}},
		{"linear", "align_corners", 1, 7, []float64{0, 0.66667, 1.66667, 3, -0.33333, 0.33333, 5}},
		{"cubic", "half_pixel", 0, 3, []float64{0.52048, 1.15476, 2.13735}},
		{"cubic", "half_pixel", 1, 2, []float64{0.85266, 1.70794}},
		{"cubic", "pytorch_half_pixel", 1, 7, []float64{-0.08955, 0.34324, 1.85568, 3, -1.3586, 0.74865, 5.62686}},
		{"cubic", "asymmetric", 0, 2, []float64{0.46006, 1.20994}},
		{"cubic", "align_corners", 0, 3, []float64{0.13095, 1.15476, 3.25476}},
		{"cubic", "half_pixel_symmetric", 1, 3, []float64{0.55102, 1.19213, 1.96939}},
	} {
		y, err := resizing(0, c.to, stringOf("mode", c.mode), stringOf("coordinate_transformation_mode", c.rule), intOf("exclude_outside", c.inside), intOf("antialias", 1)).lower()
		require.NoError(t, err, "%v", c)
		require.InDeltaSlice(t, c.want, y[0].c.F, 2e-5, "%v", c)
	}
}

// TestResizeInProportion has the extents and first values that onnxruntime and ONNX's reference give where the proportion of axes is kept.
func TestResizeInProportion(t *testing.T) {
	for _, c := range []struct {
		mode, policy   string
		from, to, want []int
		first          []float64
	}{
		{"linear", "not_larger", []int{2, 4}, []int{7, 8}, []int{4, 8}, []float64{-2, -1.625, -0.875, -0.125, 0.625, 1.375}},
		{"linear", "not_larger", []int{5, 3}, []int{7, 6}, []int{7, 4}, []float64{-2, -1.1429, -0.0714, 1, 0.5714, 1.4286}},
		{"linear", "not_smaller", []int{5, 3}, []int{7, 6}, []int{10, 6}, []float64{-2, -1.625, -0.875, -0.125, 0.625, 1}},
		{"nearest", "not_larger", []int{5, 3}, []int{7, 6}, []int{7, 4}, []float64{-2, -0.5, -0.5, 1, 2.5, 4}},
		{"cubic", "not_smaller", []int{2, 4}, []int{7, 8}, []int{7, 14}, []float64{-2.8302, -2.7335, -2.4194, -2.0548}},
	} {
		call := resizing(1, 0, stringOf("mode", c.mode), stringOf("keep_aspect_ratio_policy", c.policy), &onnx.Attr{Name: "axes", Type: onnx.AttrInts, Ints: []int64{2, 3}})
		x := &onnx.Tensor{DType: onnx.Float32, Shape: []int{1, 1, c.from[0], c.from[1]}}
		for i := range c.from[0] * c.from[1] {
			x.F = append(x.F, 1.5*float64(i%7)-2)
		}
		call.in[0], call.in[2] = constant("x", x), nil
		call.in[3] = constant("sizes", integerVector(onnx.Int64, int64(c.to[0]), int64(c.to[1])))
		y, err := call.lower()
		require.NoError(t, err, "%v", c)
		require.Equal(t, append([]int{1, 1}, c.want...), y[0].shape)
		require.InDeltaSlice(t, c.first, y[0].c.F[:len(c.first)], 1e-4, "%v", c)
	}
}

// TestResizeIsRefused has forms of which the operator computes nothing, or runtimes do not agree on what.
func TestResizeIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		c    *call
		says string
	}{
		"smoothed":               {resizing(0, 3, intOf("antialias", 1)), "antialias is of modes linear and cubic"},
		"cropped":                {resizing(0, 3, stringOf("coordinate_transformation_mode", "tf_crop_and_resize")), "tf_crop_and_resize"},
		"of an extent by half":   {resizing(0.5, 0, stringOf("coordinate_transformation_mode", "align_corners")), "axis 3 of extent 5 by a scale of 0.5"},
		"to nothing":             {resizing(0.1, 0), "an axis of extent 5 becomes one of 0"},
		"by a negative scale":    {resizing(-1, 0), "a scale of -1"},
		"of unknown proportions": {resizing(0, 3, stringOf("keep_aspect_ratio_policy", "golden")), "golden"},
		"by a third, rounded":    {resizing(float64(float32(1)/3), 0, stringOf("nearest_mode", "floor")), "cell 0 of axis 3 is as near to two cells"},
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
