package passes

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

// TestQuantisedOperators compares operators on quantised tensors with what they say: the operator on what the integers stand for, quantised.
func TestQuantisedOperators(t *testing.T) {
	const step, zero = 0.0101, 83 // of what the operators take
	var x []float64               // what the integers stand for
	for _, v := range cellsOf(t, 18, func(m *model) { m.node("Mul", "x 1", "z") }) {
		x = append(x, math.Round(v/step)*step)
	}
	mean := func(v []float64) (s float64) {
		for _, y := range v {
			s += y / float64(len(v))
		}
		return s
	}
	sigmoid := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	for name, c := range map[string]struct {
		in    string
		attrs []*onnx.Attr
		want  func(i int) float64 // before it is quantised
	}{
		"QLinearAdd":               {"q s zx q s zx sy zy", nil, func(i int) float64 { return x[i] + x[i] }},
		"QLinearMul":               {"q s zx q s zx sy zy", nil, func(i int) float64 { return x[i] * x[i] }},
		"QLinearSigmoid":           {"q s zx sy zy", nil, func(i int) float64 { return sigmoid(x[i]) }},
		"QLinearLeakyRelu":         {"q s zx sy zy", []*onnx.Attr{attrFloat("alpha", 0.25)}, func(i int) float64 { return math.Max(x[i], x[i]/4) }},
		"QLinearReduceMean":        {"q s zx sy zy", []*onnx.Attr{attrInts("axes", 2)}, func(i int) float64 { return mean(x[8*i : 8*i+8]) }},
		"QLinearGlobalAveragePool": {"q s zx sy zy", nil, func(i int) float64 { return mean(x[8*i : 8*i+8]) }},
		"QLinearAveragePool":       {"q s zx sy zy", []*onnx.Attr{attrInts("kernel_shape", 8)}, func(i int) float64 { return mean(x[8*i : 8*i+8]) }},
		"QLinearConcat":            {"sy zy q s zx q sy zx", []*onnx.Attr{attrInt("axis", 1)}, func(i int) float64 { return slices.Concat(x, x)[i] * []float64{1, 0.0307 / step}[i/32] }},
		"QLinearWhere":             {"odd q s zx q sy zx sy zy", nil, func(i int) float64 { return x[i] * []float64{0.0307 / step, 1}[i%2] }},
		"QLinearSoftmax": {"q s zx sy zy", []*onnx.Attr{attrInt("axis", 1), attrInt("opset", 13)}, func(i int) float64 {
			sum := 0.0
			for k := i % 8; k < 32; k += 8 {
				sum += math.Exp(x[k])
			}
			return math.Exp(x[i]) / sum
		}},
		"QGemm": {"rows s zx w sy zw bias sy zy", []*onnx.Attr{attrFloat("alpha", 0.5), attrInt("transB", 1)}, func(i int) float64 {
			sum := 0.5 * step * 0.0307 * float64(100*(i%2)-7)
			for k := range 8 {
				sum += 0.5 * x[i/2*8+k] * 0.0307 * float64(k+8*(i%2)-5)
			}
			return sum
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := cellsOf(t, 18, func(m *model) {
				integers := func(name string, d onnx.DType, shape []int, cells ...int64) {
					m.g.Initializers = append(m.g.Initializers, &onnx.Tensor{Name: name, DType: d, Shape: shape, I: cells})
				}
				integers("zx", onnx.Uint8, nil, zero)
				integers("zy", onnx.Uint8, []int{1}, 41)
				integers("zw", onnx.Int8, nil, 5)
				integers("w", onnx.Int8, []int{2, 8}, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
				integers("bias", onnx.Int32, []int{2}, -7, 93)
				integers("odd", onnx.Bool, []int{8}, 0, 1, 0, 1, 0, 1, 0, 1)
				m.floats("s", nil, step)
				m.floats("sy", nil, 0.0307)
				m.node("QuantizeLinear", "x s zx", "q")
				m.node("Reshape", "q [4,8]", "rows")
				m.node(name, c.in, "y", c.attrs...)
				m.g.Nodes[len(m.g.Nodes)-1].Domain = "com.microsoft"
				m.node("DequantizeLinear", "y 1", "real")
				m.node("Mul", "real 1", "z")
			})
			for i, y := range got {
				require.InDelta(t, math.Max(0, math.Min(255, math.Round(c.want(i)/0.0307)+41)), y, 1e-9, "cell %d", i)
			}
		})
	}
}
