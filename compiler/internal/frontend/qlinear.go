package frontend

import (
	"fmt"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// onnxruntime's operators on quantised tensors, as its quantiser writes them: the operator on the real numbers that the operands stand for,
// quantised again. Operands are a tensor, its scale and its zero, which may be absent; one scale is of a whole tensor.

func init() {
	for op, f := range map[string]spelling{
		"QLinearAdd": quantisedPair("Add"), "QLinearMul": quantisedPair("Mul"), "QLinearConcat": quantisedConcat, "QGemm": quantisedGemm,
		"QLinearSigmoid": quantisedOne("Sigmoid"), "QLinearLeakyRelu": quantisedOne("LeakyRelu", "alpha"), "QLinearSoftmax": quantisedSoftmax,
		"QLinearGlobalAveragePool": quantisedOne("GlobalAveragePool"), "QLinearReduceMean": quantisedMean,
		"QLinearWhere":       quantisedChoice,
		"QLinearAveragePool": quantisedOne("AveragePool", "kernel_shape", "strides", "pads", "auto_pad", "ceil_mode", "count_include_pad"),
	} {
		spelled["com.microsoft."+op] = f
	}
}

// counted is a speller whose inputs are called by their numbers.
func (c *call) counted() *speller {
	names := make([]string, len(c.in))
	for i := range names {
		names[i] = nth(i)
	}
	return c.speller(names...)
}

func nth(i int) string { return fmt.Sprint("in", i) }

// stands is what the tensor that is input i stands for, whose scale and zero are the inputs at.
func (s *speller) stands(c *call, i, scale, zero int) (string, error) {
	for _, k := range []int{i, scale} {
		if _, err := c.arg(k); err != nil {
			return "", err
		}
	}
	if ir.Size(c.in[scale].shape) != 1 || c.has(zero) && ir.Size(c.in[zero].shape) != 1 {
		return "", c.unsupported("scales of shape %v; one of a tensor is supported", c.in[scale].shape)
	}
	y := s.real(nth(i))
	if c.has(zero) {
		y = s.add("Sub", y, s.add("Reshape", s.real(nth(zero)), s.ints()))
	}
	return s.add("Mul", y, s.add("Reshape", nth(scale), s.ints())), nil
}

// pair is what two tensors stand for, each with its scale and zero, from input at on.
func (s *speller) pair(c *call, at int) (a, b string, err error) {
	if a, err = s.stands(c, at, at+1, at+2); err == nil {
		b, err = s.stands(c, at+3, at+4, at+5)
	}
	return a, b, err
}

// again quantises y by the scale and the zero that are the inputs at, to the type of the operand of.
func (s *speller) again(c *call, y string, scale, zero, of int) (*onnx.Function, error) {
	if _, err := c.arg(scale); err != nil {
		return nil, err
	}
	d, z := c.in[of].dtype, ""
	if c.has(zero) {
		d, z = c.in[zero].dtype, s.add("Reshape", s.real(nth(zero)), s.ints())
	}
	lo, hi, ok := levels(d)
	if !ok || ir.Size(c.in[scale].shape) != 1 || c.has(zero) && ir.Size(c.in[zero].shape) != 1 {
		return nil, c.unsupported("a result of %s with scales of shape %v; one scale is supported", d, c.in[scale].shape)
	}
	return s.function(s.rounded(y, s.add("Reshape", nth(scale), s.ints()), z, d, lo, hi))
}

// kept are those of the node's attributes that have one of the names.
func (c *call) kept(names ...string) (attrs []*onnx.Attr) {
	for _, name := range names {
		if a := c.attr(name); a != nil {
			attrs = append(attrs, a)
		}
	}
	return attrs
}

// quantisedPair is an operator of two tensors.
func quantisedPair(op string) spelling {
	return func(c *call) (*onnx.Function, error) {
		s := c.counted()
		a, b, err := s.pair(c, 0)
		if err != nil {
			return nil, err
		}
		return s.again(c, s.add(op, a, b), 6, 7, 0)
	}
}

// quantisedOne is an operator of one tensor, with those of its attributes that it shares.
func quantisedOne(op string, attrs ...string) spelling {
	return func(c *call) (*onnx.Function, error) {
		if c.attrInt("channels_last", 0) != 0 {
			return nil, c.unsupported("channels as the last axis; export the model with channels as the second one")
		}
		s := c.counted()
		x, err := s.stands(c, 0, 1, 2)
		if err != nil {
			return nil, err
		}
		return s.again(c, s.with(s.add(op, x), c.kept(attrs...)...), 3, 4, 0)
	}
}

// quantisedSoftmax is a Softmax along an axis, or, if the operator is that of an opset below 13, along all axes from it on.
func quantisedSoftmax(c *call) (*onnx.Function, error) {
	s := c.counted()
	x, err := s.stands(c, 0, 1, 2)
	if err != nil {
		return nil, err
	}
	shape := c.in[0].shape
	a, err := axis(c.attrInt("axis", -1), len(shape))
	if err != nil {
		return nil, err
	}
	if c.attrInt("opset", 0) >= 13 || a == len(shape)-1 {
		return s.again(c, s.with(s.add("Softmax", x), intOf("axis", int64(a))), 3, 4, 0)
	}
	rows := s.add("Reshape", x, s.ints(int64(ir.Size(shape[:a])), int64(ir.Size(shape[a:]))))
	y := s.add("Reshape", s.with(s.add("Softmax", rows), intOf("axis", 1)), s.shape(shape))
	return s.again(c, y, 3, 4, 0)
}

func quantisedMean(c *call) (*onnx.Function, error) {
	s := c.counted()
	x, err := s.stands(c, 0, 1, 2)
	if err != nil {
		return nil, err
	}
	operands := []string{x}
	if a := c.attr("axes"); a != nil {
		operands = append(operands, s.ints(a.Ints...))
	}
	return s.again(c, s.with(s.add("ReduceMean", operands...), intOf("keepdims", c.attrInt("keepdims", 1))), 3, 4, 0)
}

// quantisedConcat joins tensors, each with its scale and zero, which follow the result's.
func quantisedConcat(c *call) (*onnx.Function, error) {
	s := c.counted()
	var parts []string
	for i := 2; i < len(c.in); i += 3 {
		x, err := s.stands(c, i, i+1, i+2)
		if err != nil {
			return nil, err
		}
		parts = append(parts, x)
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("nothing to join")
	}
	return s.again(c, s.with(s.add("Concat", parts...), intOf("axis", c.attrInt("axis", 0))), 0, 1, 2)
}

// quantisedGemm is alpha·a·b and a bias of integers, whose scale is that of the products; real numbers where the result has no scale.
func quantisedGemm(c *call) (*onnx.Function, error) {
	if err := c.args(5); err != nil {
		return nil, err
	}
	s := c.counted()
	a, b, err := s.pair(c, 0)
	if err != nil {
		return nil, err
	}
	operands := []string{a, b}
	if c.has(6) {
		scale := s.add("Reshape", s.add("Mul", nth(1), nth(4)), s.ints())
		operands = append(operands, s.add("Mul", s.real(nth(6)), s.add("Mul", scale, s.floats(c.attrFloat("alpha", 1)))))
	}
	y := s.with(s.add("Gemm", operands...), c.kept("transA", "transB", "alpha")...)
	if !c.has(7) {
		return s.function(y)
	}
	return s.again(c, y, 7, 8, 0)
}

// quantisedChoice is one of two tensors, cell by cell.
func quantisedChoice(c *call) (*onnx.Function, error) {
	s := c.counted()
	x, y, err := s.pair(c, 1)
	if err != nil {
		return nil, err
	}
	return s.again(c, s.add("Where", nth(0), x, y), 7, 8, 1)
}
