package frontend

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/ir"
)

// Quantised tensors. Those of the file are turned into the real numbers that they stand for: (x − zero)·scale, where scale and zero are of
// the tensor, of an index of one axis, or of a block of indices of it. What depends on an input is divided, rounded and cut off as the
// operators say, with numbers that are integers.

func init() {
	handlers["DequantizeLinear"] = spelling(dequantise).handle // constants are folded as a whole
	folders["DequantizeLinear"] = foldDequantize
	folders[ownDomain+".Blocks"] = foldBlocks
	handlers[ownDomain+".Integers"], folders[ownDomain+".Integers"] = asIntegers, foldIntegers
	for op, f := range map[string]spelling{
		"QuantizeLinear": quantise, "DynamicQuantizeLinear": dynamicQuantise, "MatMulInteger": integerProduct, "ConvInteger": integerProduct,
		"QLinearMatMul": quantisedMatMul, "QLinearConv": quantisedConv,
		"com.microsoft.MatMulNBits": matMulNBits, "com.microsoft.GatherBlockQuantized": gatherBlocks,
		"com.microsoft.DynamicQuantizeMatMul": dynamicMatMul, "com.microsoft.MatMulIntegerToFloat": matMulToFloat,
	} {
		spelled[op] = f
	}
	spelled["com.microsoft.QuantizeLinear"] = quantise
	spelled["com.microsoft.DequantizeLinear"] = dequantise
}

// parts says how scales of a shape are spread over a tensor: the shape that they broadcast from, and the axis of which each is of a block
// of so many indices, -1 where they broadcast.
type parts struct {
	shape []int
	axis  int
	block int
}

// scaleParts reads it off a node with a tensor and scales.
func (c *call) scaleParts(x, scale []int) (parts, error) {
	if ir.Size(scale) == 1 && c.attrInt("block_size", 0) == 0 {
		return parts{shape: slices.Repeat([]int{1}, len(x)), axis: -1}, nil
	}
	a, err := axis(c.attrInt("axis", 1), len(x))
	if err != nil {
		return parts{}, err
	}
	if block := int(c.attrInt("block_size", 0)); block > 0 {
		return blocks(x, scale, a, block)
	}
	if len(scale) != 1 || scale[0] != x[a] {
		return parts{}, fmt.Errorf("scales of shape %v for axis %d of shape %v", scale, a, x)
	}
	p := parts{shape: slices.Repeat([]int{1}, len(x)), axis: -1}
	p.shape[a] = x[a]
	return p, nil
}

// blocks are the parts of blocks along an axis.
func blocks(x, scale []int, a, block int) (parts, error) {
	want := slices.Clone(x)
	want[a] = (x[a] + block - 1) / block
	if !slices.Equal(scale, want) {
		return parts{}, fmt.Errorf("scales of shape %v for blocks of %d along axis %d of shape %v", scale, block, a, x)
	}
	return parts{shape: scale, axis: a, block: block}, nil
}

// over spreads cells of scales over a shape.
func (p parts) over(c *call, cells []float64, x []int) []float64 {
	if p.axis < 0 {
		return spread(c, cells, p.shape, x)
	}
	out, strides := make([]float64, ir.Size(x)), rowStrides(p.shape)
	c.walk(x, func(i int, at []int) {
		k := 0
		for a, n := range at {
			if a == p.axis {
				n /= p.block
			}
			k += n * strides[a]
		}
		out[i] = cells[k]
	})
	return out
}

// spell spreads scales over a shape, called name.
func (p parts) spell(s *speller, name string, x []int) string {
	if p.axis < 0 {
		return s.add("Reshape", name, s.shape(p.shape))
	}
	more := s.add("Unsqueeze", name, s.ints(int64(p.axis+1)))
	each := slices.Insert(slices.Clone(p.shape), p.axis+1, p.block)
	all := slices.Clone(p.shape)
	all[p.axis] *= p.block
	return s.slice(s.add("Reshape", s.add("Expand", more, s.shape(each)), s.shape(all)), p.axis, 0, x[p.axis], 1)
}

// foldDequantize turns integers into the real numbers that they stand for.
func foldDequantize(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 2); err != nil {
		return nil, err
	}
	x, scale := in[0], in[1]
	p, err := c.scaleParts(x.Shape, scale.Shape)
	if err != nil {
		return nil, err
	}
	var zero *onnx.Tensor
	if len(in) > 2 {
		zero = in[2]
	}
	return single(c.dequantised(x, scale, zero, p))
}

// dequantised is (x − zero)·scale, of the type of scales.
func (c *call) dequantised(x, scale, zero *onnx.Tensor, p parts) (*onnx.Tensor, error) {
	if err := c.charge(4+copied(x), x.Shape...); err != nil {
		return nil, err
	}
	out := append([]float64(nil), floats(x)...)
	if zero != nil {
		if zero.Len() != scale.Len() {
			return nil, fmt.Errorf("scales of shape %v and zeros of shape %v", scale.Shape, zero.Shape)
		}
		for i, z := range p.over(c, floats(zero), x.Shape) {
			out[i] -= z
		}
	}
	d := scale.DType
	for i, s := range p.over(c, floats(scale), x.Shape) {
		out[i] = d.Round(float64(out[i] * s))
	}
	return make1(d, x.Shape, out), nil
}

// dequantise is (x − zero)·scale of what depends on an input.
func dequantise(c *call) (*onnx.Function, error) {
	if err := c.args(2); err != nil {
		return nil, err
	}
	x, scale := c.in[0].shape, c.in[1].shape
	p, err := c.scaleParts(x, scale)
	if err != nil {
		return nil, err
	}
	s := c.speller("x", "scale", "zero")
	y := s.real("x")
	if c.has(2) {
		y = s.add("Sub", y, p.spell(s, s.real("zero"), x))
	}
	return s.function(s.add("Mul", y, p.spell(s, "scale", x)))
}

// real casts to float32.
func (s *speller) real(x string) string {
	return s.with(s.add("Cast", x), intOf("to", int64(onnx.Float32)))
}

// levels are the limits of a type that tensors are quantised to, of 16 bits at most.
func levels(d onnx.DType) (lo, hi int64, ok bool) {
	lo, hi, ok = limits(d)
	return lo, hi, ok && !d.IsFloat() && hi < 1<<16
}

// integers makes a tensor of a type of real numbers that are integers from lo to hi.
func (s *speller) integers(x string, d onnx.DType, lo, hi int64) string {
	return s.with(s.own("Integers", x), intOf("to", int64(d)), intsOf("range", lo, hi))
}

// asIntegers says of numbers that they are integers of a type, in a range.
func asIntegers(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	between := c.attr("range").Ints
	i := interval.Of(between[0], between[1])
	c.b.intervals[id] = &i
	y := *x
	y.dtype = onnx.DType(c.attrInt("to", 0))
	return []*val{&y}, nil
}

func foldIntegers(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	if err := c.charge(1, in[0].Shape...); err != nil {
		return nil, err
	}
	return single(make1(onnx.DType(c.attrInt("to", 0)), in[0].Shape, in[0].F), nil)
}

// rounded is the nearest integer to x/scale, a half to the even one, plus zero, cut off at the ends of a type.
func (s *speller) rounded(x, scale, zero string, d onnx.DType, lo, hi int64) string {
	y := s.add("Round", s.add("Div", s.own("InSteps", x, scale), scale))
	if zero != "" {
		y = s.add("Add", y, zero)
	}
	return s.integers(s.add("Clip", y, s.floats(float64(lo)), s.floats(float64(hi))), d, lo, hi)
}

// quantise divides by scales, rounds, adds zeros and cuts off.
func quantise(c *call) (*onnx.Function, error) {
	if err := c.args(2); err != nil {
		return nil, err
	}
	x := c.in[0]
	d := onnx.DType(c.attrInt("output_dtype", 0))
	if c.has(2) {
		d = c.in[2].dtype
	} else if d == 0 {
		d = onnx.Uint8
	}
	lo, hi, ok := levels(d)
	if !ok || !x.dtype.IsFloat() {
		return nil, c.unsupported("of %s to %s; real numbers to integers of at most 16 bits are supported", x.dtype, d)
	}
	p, err := c.scaleParts(x.shape, c.in[1].shape)
	if err != nil {
		return nil, err
	}
	s := c.speller("x", "scale", "zero")
	zero := ""
	if c.has(2) {
		zero = p.spell(s, s.real("zero"), x.shape)
	}
	return s.function(s.rounded("x", p.spell(s, "scale", x.shape), zero, d, lo, hi))
}

// dynamicQuantise chooses scale and zero of eight bits by the least and the greatest cell.
func dynamicQuantise(c *call) (*onnx.Function, error) {
	if _, err := c.arg(0); err != nil {
		return nil, err
	}
	s := c.speller("x")
	y, scale, zero := s.dynamic("x")
	return s.function(y, scale, zero)
}

// dynamic are the integers of a tensor of real numbers, with the scale and the zero that were chosen.
func (s *speller) dynamic(x string) (y, scale, zero string) {
	end := func(op, join string) string {
		return s.add(join, s.with(s.add(op, x), intOf("keepdims", 0)), s.floats(0))
	}
	least, most := end("ReduceMin", "Min"), end("ReduceMax", "Max")
	scale = s.add("Mul", s.add("Sub", most, least), s.floats(1.0/255))
	at := s.add("Round", s.add("Div", s.add("Neg", least), scale))
	zero = s.add("Clip", at, s.floats(0), s.floats(255))
	y = s.rounded(x, scale, zero, onnx.Uint8, 0, 255)
	return y, scale, s.integers(zero, onnx.Uint8, 0, 255)
}

// less is x less its zero, as real numbers. Zeros of the rows of a left operand stand for its last axis but one.
func (s *speller) less(x, zero string, v, z *val, left bool) (string, error) {
	x = s.real(x)
	if z == nil {
		return x, nil
	}
	zero = s.real(zero)
	switch rank := len(v.shape); {
	case ir.Size(z.shape) == 1:
		zero = s.add("Reshape", zero, s.ints(1))
	case len(z.shape) == rank:
	case len(z.shape) == 1 && left:
		zero = s.add("Unsqueeze", zero, s.ints(1))
	case len(z.shape) != 1:
		return "", fmt.Errorf("zeros of shape %v for shape %v", z.shape, v.shape)
	}
	return s.add("Sub", x, zero), nil
}

// operand is input i, nil if it is absent.
func (c *call) operand(i int) *val {
	if c.has(i) {
		return c.in[i]
	}
	return nil
}

// integerProduct is a product of matrices, or a convolution, of integers less their zeros, in 32 bits.
func integerProduct(c *call) (*onnx.Function, error) {
	if err := c.args(2); err != nil {
		return nil, err
	}
	s := c.speller("a", "b", "zeroA", "zeroB")
	a, err := s.less("a", "zeroA", c.in[0], c.operand(2), true)
	if err != nil {
		return nil, err
	}
	conv := c.n.Op == "ConvInteger"
	zero := c.operand(3)
	if conv && zero != nil && ir.Size(zero.shape) > 1 {
		return nil, c.unsupported("zeros of channels; export the model with one")
	}
	b, err := s.less("b", "zeroB", c.in[1], zero, false)
	if err != nil {
		return nil, err
	}
	w := c.in[1].shape
	var y string
	terms := 1
	if conv {
		y = s.with(s.add("Conv", a, b), c.attrs()...)
		terms = ir.Size(w[min(1, len(w)):])
	} else {
		y = s.add("MatMul", a, b)
		terms = w[max(0, len(w)-2)]
	}
	most := int64(terms) * 255 * 255
	if most > maxInteger {
		return nil, c.unsupported("sums of %d products may wrap around", terms)
	}
	return s.function(s.integers(y, onnx.Int32, -most, most))
}

// requantised ends a product of quantised operands: its scale, zero and type are operands 6 and 7.
func (s *speller) requantised(c *call, y string) (*onnx.Function, error) {
	d := c.in[7].dtype
	lo, hi, ok := levels(d)
	if !ok || ir.Size(c.in[6].shape) != 1 || ir.Size(c.in[7].shape) != 1 {
		return nil, c.unsupported("a result of %s with scales of shape %v; one scale is supported", d, c.in[6].shape)
	}
	one := func(x string) string { return s.add("Reshape", x, s.ints(1)) }
	return s.function(s.rounded(y, one("scale"), one(s.real("zero")), d, lo, hi))
}

func quantisedMatMul(c *call) (*onnx.Function, error) {
	if err := c.args(8); err != nil {
		return nil, err
	}
	s := c.speller("a", "scaleA", "zeroA", "b", "scaleB", "zeroB", "scale", "zero")
	sides := [2]string{}
	for i, name := range []string{"a", "b"} {
		upper := string(name[0] - 'a' + 'A')
		y, err := s.scaled(c, name, "scale"+upper, "zero"+upper, 3*i, i == 0)
		if err != nil {
			return nil, err
		}
		sides[i] = y
	}
	return s.requantised(c, s.add("MatMul", sides[0], sides[1]))
}

// scaled is (x − zero)·scale of operands i, i+1 and i+2 of a product.
func (s *speller) scaled(c *call, x, scale, zero string, i int, left bool) (string, error) {
	y, err := s.less(x, zero, c.in[i], c.operand(i+2), left)
	if err != nil {
		return "", err
	}
	switch v := c.in[i+1]; {
	case ir.Size(v.shape) == 1:
		scale = s.add("Reshape", scale, s.ints(1))
	case len(v.shape) == 1 && left:
		scale = s.add("Unsqueeze", scale, s.ints(1))
	}
	return s.add("Mul", y, scale), nil
}

// quantisedConv is a convolution of quantised operands. Scales and zeros of weights are those of the channels of the result; a bias has the
// scale of the products.
func quantisedConv(c *call) (*onnx.Function, error) {
	if err := c.args(8); err != nil {
		return nil, err
	}
	s := c.speller("a", "scaleA", "zeroA", "b", "scaleB", "zeroB", "scale", "zero", "bias")
	channels := func(x string, v *val) string {
		shape := slices.Repeat([]int{1}, len(c.in[3].shape))
		shape[0] = ir.Size(v.shape)
		return s.add("Reshape", x, s.shape(shape))
	}
	if ir.Size(c.in[1].shape) != 1 || ir.Size(c.in[2].shape) != 1 {
		return nil, c.unsupported("scales of shape %v for its input; one is supported", c.in[1].shape)
	}
	one := func(x string) string { return s.add("Reshape", x, s.ints(1)) }
	x := s.add("Mul", s.add("Sub", s.real("a"), one(s.real("zeroA"))), one("scaleA"))
	w := s.add("Mul", s.add("Sub", s.real("b"), channels(s.real("zeroB"), c.in[5])), channels("scaleB", c.in[4]))
	operands := []string{x, w}
	if c.has(8) {
		operands = append(operands, s.add("Mul", s.add("Mul", s.real("bias"), one("scaleA")), s.add("Reshape", "scaleB", s.ints(-1))))
	}
	return s.requantised(c, s.with(s.add("Conv", operands...), c.attrs()...))
}

// matMulToFloat is the product of quantised operands as real numbers: a, b, their scales, their zeros, a bias.
func matMulToFloat(c *call) (*onnx.Function, error) {
	if err := c.args(4); err != nil {
		return nil, err
	}
	s := c.speller("a", "b", "scaleA", "scaleB", "zeroA", "zeroB", "bias")
	if ir.Size(c.in[2].shape) != 1 {
		return nil, c.unsupported("scales of shape %v for its first operand; one is supported", c.in[2].shape)
	}
	a, err := s.less("a", "zeroA", c.in[0], c.operand(4), true)
	if err != nil {
		return nil, err
	}
	return s.floatProduct(c, s.add("Mul", a, s.add("Reshape", "scaleA", s.ints(1))), 5, 6)
}

// dynamicMatMul is the product of a tensor that it quantises and a quantised one: a, b, the scales and zeros of b, a bias.
func dynamicMatMul(c *call) (*onnx.Function, error) {
	if err := c.args(3); err != nil {
		return nil, err
	}
	s := c.speller("a", "b", "scaleB", "zeroB", "bias")
	y, scale, zero := s.dynamic("a")
	a := s.add("Mul", s.add("Sub", s.real(y), s.real(zero)), scale)
	return s.floatProduct(c, a, 3, 4)
}

// floatProduct multiplies a by the quantised operand b, of which operand zero is the zero, and adds the bias.
func (s *speller) floatProduct(c *call, a string, zero, bias int) (*onnx.Function, error) {
	b, err := s.less("b", "zeroB", c.in[1], c.operand(zero), false)
	if err != nil {
		return nil, err
	}
	y := s.add("MatMul", a, s.add("Mul", b, "scaleB"))
	if c.has(bias) {
		y = s.add("Add", y, "bias")
	}
	return s.function(y)
}

// matMulNBits is a product with a matrix of blocks of integers of few bits.
func matMulNBits(c *call) (*onnx.Function, error) {
	if err := c.args(3); err != nil {
		return nil, err
	}
	if c.has(4) || c.attrInt("weight_prepacked", 0) != 0 {
		return nil, c.unsupported("weights in an order of their own; export the model without g_idx and prepacking")
	}
	s := c.speller("a", "b", "scales", "zeros", "order", "bias")
	operands := []string{"b", "scales"}
	if c.has(3) {
		operands = append(operands, "zeros")
	}
	w := s.with(s.own("Blocks", operands...), intOf("bits", c.attrInt("bits", 4)), intOf("block", c.attrInt("block_size", 0)),
		intsOf("shape", c.attrInt("N", 0), c.attrInt("K", 0)), intOf("axis", 1))
	y := s.add("MatMul", "a", s.with(s.add("Transpose", w), intsOf("perm", 1, 0)))
	if c.has(5) {
		y = s.add("Add", y, "bias")
	}
	return s.function(y)
}

// gatherBlocks looks rows up in a table of blocks of integers.
func gatherBlocks(c *call) (*onnx.Function, error) {
	if err := c.args(3); err != nil {
		return nil, err
	}
	x := c.in[0]
	bits := 8
	if x.dtype == onnx.Uint8 {
		bits = int(c.attrInt("bits", 4))
	}
	if bits != 2 && bits != 4 && bits != 8 || len(x.shape) == 0 {
		return nil, fmt.Errorf("%d bits, of shape %v", bits, x.shape)
	}
	shape := make([]int64, len(x.shape))
	for i, d := range x.shape {
		shape[i] = int64(d)
	}
	shape[len(shape)-1] *= int64(8 / bits)
	s := c.speller("data", "indices", "scales", "zeros")
	operands := []string{"data", "scales"}
	if c.has(3) {
		operands = append(operands, "zeros")
	}
	table := s.with(s.own("Blocks", operands...), intOf("bits", int64(bits)), intOf("block", c.attrInt("block_size", 128)), intsOf("shape", shape...),
		intOf("axis", c.attrInt("quantize_axis", 1)))
	return s.function(s.with(s.add("Gather", table, "indices"), intOf("axis", c.attrInt("gather_axis", 0))))
}

// foldBlocks turns integers of few bits, in bytes or in a type of their own, with scales and perhaps zeros of blocks along an axis into the
// tensor of a shape that they stand for. In bytes a block begins with one, and 0 stands in the middle where no zeros are given.
func foldBlocks(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 2); err != nil {
		return nil, err
	}
	shape, bits, block := make([]int, len(c.attr("shape").Ints)), int(c.attrInt("bits", 0)), int(c.attrInt("block", 0))
	for i, d := range c.attr("shape").Ints {
		if shape[i] = int(d); d < 1 || d > maxCells {
			return nil, fmt.Errorf("a matrix of shape %v", c.attr("shape").Ints)
		}
	}
	a, err := axis(c.attrInt("axis", 0), len(shape))
	if err != nil {
		return nil, err
	}
	if bits != 2 && bits != 4 && bits != 8 || block < 1 || block%(8/bits) != 0 || in[0].DType.IsFloat() || !in[1].DType.IsFloat() {
		return nil, fmt.Errorf("blocks of %d integers of %d bits, of type %s", block, bits, in[0].DType)
	}
	if err := checkCells(shape); err != nil {
		return nil, err
	}
	if err := c.charge(6, shape...); err != nil {
		return nil, err
	}
	p, err := blocks(shape, scaleShape(shape, a, block), a, block)
	if err != nil || in[1].Len() != ir.Size(p.shape) {
		return nil, fmt.Errorf("scales of shape %v for blocks of %d along axis %d of shape %v", in[1].Shape, block, a, shape)
	}
	x, err := unpacked(in[0], bits, shape, a, block)
	if err != nil {
		return nil, err
	}
	zero, err := blockZeros(in, bits, p.shape)
	if err != nil {
		return nil, err
	}
	return single(c.dequantised(x, &onnx.Tensor{DType: in[1].DType, Shape: p.shape, F: in[1].F}, zero, p))
}

func scaleShape(shape []int, a, block int) []int {
	s := slices.Clone(shape)
	s[a] = (shape[a] + block - 1) / block
	return s
}

// unpacked splits bytes into integers of a shape. Those of a row whose last axis has blocks fill them up.
func unpacked(t *onnx.Tensor, bits int, shape []int, axis, block int) (*onnx.Tensor, error) {
	last := len(shape) - 1
	rows, width := ir.Size(shape[:last]), shape[last]
	if axis == last && t.DType == onnx.Uint8 && t.Len() != rows*width*bits/8 {
		width = (width + block - 1) / block * block
	}
	if t.Len() != (rows*width*bits+7)/8 || width*bits%8 != 0 {
		return nil, fmt.Errorf("integers of %d bits in bytes of shape %v for shape %v", bits, t.Shape, shape)
	}
	cells := t.I
	if bits < 8 {
		packed := make([]byte, len(t.I))
		for i, x := range t.I {
			packed[i] = byte(x)
		}
		cells = onnx.Unpack(packed, bits, rows*width)
	}
	x := &onnx.Tensor{DType: t.DType, Shape: shape, I: make([]int64, 0, ir.Size(shape))}
	for r := range rows {
		x.I = append(x.I, cells[r*width:r*width+shape[last]]...)
	}
	return x, nil
}

// blockZeros are the zeros of blocks: real numbers or integers as they are, or integers of few bits in the bytes of a row.
func blockZeros(in []*onnx.Tensor, bits int, shape []int) (*onnx.Tensor, error) {
	last := len(shape) - 1
	n := ir.Size(shape)
	rows, width := n/shape[last], shape[last]
	switch {
	case len(in) < 3 || in[2] == nil:
		zero := 0.0
		if in[0].DType == onnx.Uint8 {
			zero = float64(int(1) << (bits - 1))
		}
		return make1(onnx.Float32, shape, slices.Repeat([]float64{zero}, n)), nil
	case in[2].Len() == n && (in[2].DType != onnx.Uint8 || bits == 8):
		return in[2], nil
	case in[2].DType != onnx.Uint8 || in[2].Len() != rows*((width*bits+7)/8):
		return nil, fmt.Errorf("zeros of shape %v for scales of shape %v", in[2].Shape, shape)
	}
	each := (width*bits + 7) / 8
	zero := &onnx.Tensor{DType: onnx.Uint8, Shape: shape, I: make([]int64, 0, n)}
	for r := range rows {
		packed := make([]byte, each)
		for i, x := range in[2].I[r*each : (r+1)*each] {
			packed[i] = byte(x)
		}
		zero.I = append(zero.I, onnx.Unpack(packed, bits, width)...)
	}
	return zero, nil
}
