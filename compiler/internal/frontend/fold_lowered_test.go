package frontend

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/ir"
)

// TestFoldLowered computes constants by operators that only handlers know: what ONNX says of them, of its types.
func TestFoldLowered(t *testing.T) {
	reals := func(shape []int, cells ...float64) *onnx.Tensor {
		return &onnx.Tensor{DType: onnx.Float16, Shape: shape, F: cells}
	}
	x := reals([]int{1, 1, 4}, -1, 2, 2, 0.5)
	for name, c := range map[string]struct {
		op    string
		attrs []*onnx.Attr
		in    []*onnx.Tensor
		want  []*onnx.Tensor
	}{
		"a slope":          {"LeakyRelu", []*onnx.Attr{{Name: "alpha", F: 0.5}}, []*onnx.Tensor{x}, []*onnx.Tensor{reals(x.Shape, -0.5, 2, 2, 0.5)}},
		"zeros around":     {"Pad", nil, []*onnx.Tensor{x, integerVector(onnx.Int64, 0, 0, 1, 0, 0, -1)}, []*onnx.Tensor{reals([]int{1, 1, 4}, 0, -1, 2, 2)}},
		"windows":          {"Conv", nil, []*onnx.Tensor{x, reals([]int{1, 1, 2}, 1, -1)}, []*onnx.Tensor{reals([]int{1, 1, 3}, -3, 0, 1.5)}},
		"the first of two": {"ArgMax", []*onnx.Attr{intOf("axis", -1)}, []*onnx.Tensor{x}, []*onnx.Tensor{{DType: onnx.Int64, Shape: []int{1, 1, 1}, I: []int64{1}}}},
		"an order": {"TopK", []*onnx.Attr{intOf("axis", -1)}, []*onnx.Tensor{x, integerVector(onnx.Int64, 3)},
			[]*onnx.Tensor{reals([]int{1, 1, 3}, 2, 2, 0.5), {DType: onnx.Int64, Shape: []int{1, 1, 3}, I: []int64{1, 2, 3}}}},
	} {
		t.Run(name, func(t *testing.T) {
			ts, err := foldedByHandler(c.op, c.attrs, c.in...)
			require.NoError(t, err)
			require.Equal(t, c.want, ts)
		})
	}
	_, err := foldedByHandler("LeakyRelu", nil, reals(nil, math.NaN()))
	require.ErrorContains(t, err, "it is no number")
}

// foldedByHandler is what an operator makes of constants as its handler lowers it.
func foldedByHandler(op string, attrs []*onnx.Attr, in ...*onnx.Tensor) ([]*onnx.Tensor, error) {
	b := &builder{g: &ir.Graph{}, left: newPurse(&onnx.Model{Graph: &onnx.Graph{}}, Options{}), intervals: map[ir.ValueID]*interval.Interval{}}
	c := &call{b: b, n: &onnx.Node{Name: "n", Op: op, Attrs: attrs, Outputs: []string{"y", "z"}}, s: &scope{vals: map[string]*val{}}, opset: 18}
	for _, t := range in {
		c.in = append(c.in, constant("", t))
	}
	return c.run(foldLowered(handlers[op]), in)
}
