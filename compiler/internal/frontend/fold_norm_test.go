package frontend

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

// TestFoldNorms has the values that onnxruntime gives.
func TestFoldNorms(t *testing.T) {
	real := func(shape []int, cells ...float64) *onnx.Tensor {
		return &onnx.Tensor{DType: onnx.Float32, Shape: shape, F: cells}
	}
	ln := math.Log
	square := []int{2, 2}
	for name, c := range map[string]struct {
		op    string
		attrs []*onnx.Attr
		in    []*onnx.Tensor
		want  []float64
	}{
		"rows joined":     {"Softmax", []*onnx.Attr{intOf("axis", 0)}, []*onnx.Tensor{real(square, 0, ln(2), ln(3), ln(4))}, []float64{.1, .2, .3, .4}},
		"a masked cell":   {"Softmax", nil, []*onnx.Tensor{real(square, 5, math.Inf(-1), 1000, 1000)}, []float64{1, 0, .5, .5}},
		"a distance":      {"LayerNormalization", []*onnx.Attr{{Name: "epsilon", F: 3}}, []*onnx.Tensor{real(square, 1, 3, 6, 4), real([]int{2}, 2, 4), real([]int{2}, 1, 0)}, []float64{0, 2, 2, -2}},
		"all in one":      {"LayerNormalization", []*onnx.Attr{intOf("axis", 0), {Name: "epsilon", F: 0}}, []*onnx.Tensor{real(square, 1, 3, 3, 1)}, []float64{-1, 1, 1, -1}},
		"the mean square": {"RMSNormalization", []*onnx.Attr{{Name: "epsilon", F: 0}}, []*onnx.Tensor{real(square, 1, 7, 0, 2), real([]int{2}, 5, 1)}, []float64{1, 1.4, 0, math.Sqrt2}},
	} {
		t.Run(name, func(t *testing.T) {
			y, err := folded(c.op, c.attrs, c.in...)
			require.NoError(t, err)
			require.Equal(t, square, y.Shape)
			require.InDeltaSlice(t, c.want, y.F, 1e-12)
		})
	}
	columns := &call{b: &builder{left: newPurse(&onnx.Model{Graph: &onnx.Graph{}}, Options{})}, n: &onnx.Node{Op: "Softmax", Attrs: []*onnx.Attr{intOf("axis", 0)}}, opset: 13}
	ts, err := foldSoftmax(columns, []*onnx.Tensor{real(square, 0, ln(3), ln(4), 0)})
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{.2, .75, .8, .25}, ts[0].F, 1e-12)
	y, err := folded("Softmax", nil, real([]int{1, 2}, math.Inf(-1), math.Inf(-1)))
	require.NoError(t, err)
	require.True(t, math.IsNaN(y.F[0]), "a row of which nothing is left")
	_, err = folded("LayerNormalization", nil, real(square, 1, 2, 3, 4), real([]int{3}, 1, 1, 1))
	require.Error(t, err)
	_, err = folded("Softmax", nil, integerVector(onnx.Int64, 1, 2))
	require.Error(t, err)
}
