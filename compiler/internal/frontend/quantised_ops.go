package frontend

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Operators on quantised tensors that onnxruntime's quantisation makes of others: what their operands stand for goes through the operator,
// and the result is quantised.

// quantisedOp is such an operator: of operands of a tensor, its scale and its zero, and of the scale and the zero of the result.
type quantisedOp struct {
	operands []int // where each has its tensor; nil: from behind the result's on
	result   int   // where the scale of the result is
	apply    func(c *call, s *speller, in []string) (string, error)
}

func init() {
	for op, q := range map[string]quantisedOp{
		"QLinearAdd":               {[]int{0, 3}, 6, passOn("Add")},
		"QLinearMul":               {[]int{0, 3}, 6, passOn("Mul")},
		"QLinearSigmoid":           {[]int{0}, 3, passOn("Sigmoid")},
		"QLinearLeakyRelu":         {[]int{0}, 3, leakyOfQuantised},
		"QLinearSoftmax":           {[]int{0}, 3, softmaxOfQuantised},
		"QLinearReduceMean":        {[]int{0}, 3, meanOfQuantised},
		"QLinearAveragePool":       {[]int{0}, 3, passOn("AveragePool")},
		"QLinearGlobalAveragePool": {[]int{0}, 3, passOn("GlobalAveragePool")},
		"QLinearWhere":             {[]int{1, 4}, 7, chosenOfQuantised},
		"QLinearConcat":            {nil, 0, passOn("Concat")},
		"QGemm":                    {[]int{0, 3}, 7, gemmOfQuantised},
	} {
		spelled["com.microsoft."+op] = q.spell
	}
}

// nth names operand i of the call.
func nth(i int) string { return fmt.Sprintf("x%d", i) }

func (q quantisedOp) spell(c *call) (*onnx.Function, error) {
	operands := q.operands
	if operands == nil { // all that there are
		for i := q.result + 2; i < len(c.in); i += 3 {
			operands = append(operands, i)
		}
	}
	names := make([]string, len(c.in))
	for i := range c.in {
		names[i] = nth(i)
	}
	s := c.speller(names...)
	reals := make([]string, len(operands))
	for k, i := range operands {
		if !c.has(i) || !c.has(i+1) {
			return nil, fmt.Errorf("input %d or its scale is missing", i)
		}
		reals[k] = s.add("DequantizeLinear", c.orNone(i), c.orNone(i+1), c.orNone(i+2))
		if ir.Size(c.in[i+1].shape) > 1 {
			s.with(reals[k], intOf("axis", int64(len(c.in[i].shape)-1)))
		}
	}
	y, err := q.apply(c, s, reals)
	if err != nil {
		return nil, err
	}
	if !c.has(q.result) && c.n.Op == "QGemm" { // its result is real then
		return s.function(y)
	}
	d := c.in[operands[0]].dtype
	if c.has(q.result + 1) {
		d = c.in[q.result+1].dtype
	}
	lo, hi, ok := levels(d)
	if !ok || !c.has(q.result) || ir.Size(c.in[q.result].shape) != 1 {
		return nil, c.unsupported("a result of %s with several scales, or none; one is supported", d)
	}
	zero := ""
	if c.has(q.result + 1) {
		zero = s.add("Reshape", s.real(nth(q.result+1)), s.ints(1))
	}
	return s.function(s.rounded(y, s.add("Reshape", nth(q.result), s.ints(1)), zero, d, lo, hi))
}

// orNone names operand i, or none.
func (c *call) orNone(i int) string {
	if c.has(i) {
		return nth(i)
	}
	return ""
}

// passOn applies an operator of ONNX with the same attributes.
func passOn(op string) func(*call, *speller, []string) (string, error) {
	return func(c *call, s *speller, in []string) (string, error) {
		if c.attrInt("channels_last", 0) != 0 {
			return "", c.unsupported("of channels that are last; quantise the model with channels behind the batch")
		}
		attrs := slices.DeleteFunc(c.attrs(), func(a *onnx.Attr) bool { return a.Name == "channels_last" })
		return s.with(s.add(op, in...), attrs...), nil
	}
}

func leakyOfQuantised(c *call, s *speller, in []string) (string, error) {
	return s.with(s.add("LeakyRelu", in[0]), &onnx.Attr{Name: "alpha", Type: onnx.AttrFloat, F: c.attrFloat("alpha", 0.01)}), nil
}

// softmaxOfQuantised is one along an axis; of an opset below 13, over all axes from it on.
func softmaxOfQuantised(c *call, s *speller, in []string) (string, error) {
	rank := len(c.in[0].shape)
	a, err := axis(c.attrInt("axis", -1), rank)
	if err != nil {
		return "", err
	}
	if c.attrInt("opset", 13) < 13 && a != rank-1 {
		return "", c.unsupported("of opset %d along several axes; quantise a model of opset 13 or later", c.attrInt("opset", 13))
	}
	return s.with(s.add("Softmax", in[0]), intOf("axis", int64(a))), nil
}

func meanOfQuantised(c *call, s *speller, in []string) (string, error) {
	if axes := c.attr("axes"); axes != nil {
		in = append(in, s.ints(axes.Ints...))
	}
	return s.with(s.add("ReduceMean", in...), intOf("keepdims", c.attrInt("keepdims", 1))), nil
}

func chosenOfQuantised(_ *call, s *speller, in []string) (string, error) {
	return s.add("Where", append([]string{nth(0)}, in...)...), nil
}

// gemmOfQuantised is alpha·A·B + C, where C counts in alpha times the product of the scales of A and B.
func gemmOfQuantised(c *call, s *speller, in []string) (string, error) {
	y := s.with(s.add("Gemm", in...), intOf("transA", c.attrInt("transA", 0)), intOf("transB", c.attrInt("transB", 0)))
	y = s.add("Mul", y, s.floats(c.attrFloat("alpha", 1)))
	if !c.has(6) {
		return y, nil
	}
	step := s.add("Mul", s.add("Mul", s.add("Reshape", nth(1), s.ints(1)), s.add("Reshape", nth(4), s.ints(-1))), s.floats(c.attrFloat("alpha", 1)))
	return s.add("Add", y, s.add("Mul", s.real(nth(6)), step)), nil
}
