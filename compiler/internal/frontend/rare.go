package frontend

import (
	"fmt"
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
)

// Operators of old opsets, and of few models, that are others under another name.

func init() {
	for op, f := range map[string]spelling{
		"ReduceLogSum": reduceLogSum, "Scatter": scatter, "Upsample": upsample, "Hardmax": hardmax, "LRN": localNorm, "LpPool": lpPool, "GlobalLpPool": lpPool,
		"Compress": compress, "com.microsoft.Trilu": trianglePart, "DFT": fourier,
	} {
		spelled[op] = f
	}
}

// reduceLogSum is the logarithm of a sum.
func reduceLogSum(c *call) (*onnx.Function, error) {
	axes, given, err := c.intsAttrOr("axes", 1)
	if err != nil {
		return nil, err
	}
	s := c.speller("x")
	inputs := []string{"x"}
	if given {
		inputs = append(inputs, s.ints(axes...))
	}
	sum := s.with(s.add("ReduceSum", inputs...), intOf("keepdims", c.attrInt("keepdims", 1)), intOf("noop_with_empty_axes", c.attrInt("noop_with_empty_axes", 0)))
	return s.function(s.add("Log", sum))
}

// trianglePart is Trilu as onnxruntime calls it.
func trianglePart(c *call) (*onnx.Function, error) {
	s := c.speller("x", "k")
	operands := []string{"x"}
	if c.has(1) {
		operands = append(operands, "k")
	}
	return s.function(s.with(s.add("Trilu", operands...), c.attrs()...))
}

// scatter is what ScatterElements was called before opset 11.
func scatter(c *call) (*onnx.Function, error) {
	s := c.speller("data", "indices", "updates")
	return s.function(s.with(s.add("ScatterElements", "data", "indices", "updates"), intOf("axis", c.attrInt("axis", 0))))
}

// upsample is what Resize was called before opset 10, by one of its rules: a cell comes from where its place, divided by the scale, lies.
func upsample(c *call) (*onnx.Function, error) {
	mode := c.attrString("mode", "nearest")
	if mode != "nearest" && mode != "linear" && mode != "bilinear" {
		return nil, c.unsupported("mode %s; nearest and linear are supported", mode)
	}
	s := c.speller("x", "scales")
	scales := "scales"
	if a := c.attr("scales"); a != nil {
		scales = s.constant(&onnx.Tensor{DType: onnx.Float32, Shape: []int{len(a.Floats)}, F: slices.Clone(a.Floats)})
	}
	y := s.with(s.add("Resize", "x", "", scales), stringOf("coordinate_transformation_mode", "asymmetric"), stringOf("nearest_mode", "floor"))
	if mode != "nearest" {
		y = s.with(y, stringOf("mode", "linear"))
	}
	return s.function(y)
}

// hardmax is one where the greatest cell of a row is, the first if there are several, else zero. Before opset 13 a row was all that stands
// behind an axis.
func hardmax(c *call) (*onnx.Function, error) {
	x, a, err := c.alongAxis(-1)
	if c.opset < 13 {
		x, a, err = c.alongAxis(1)
	}
	if err != nil {
		return nil, err
	}
	s := c.speller("x")
	in, n, along := "x", x.shape[a], int64(a)
	if c.opset < 13 {
		n, along = ir.Size(x.shape[a:]), 1
		in = s.add("Reshape", "x", s.shape([]int{ir.Size(x.shape[:a]), n}))
	}
	at := s.with(s.add("ArgMax", in), intOf("axis", along), intOf("keepdims", 0))
	values := s.constant(&onnx.Tensor{DType: x.dtype, Shape: []int{2}, F: []float64{0, 1}})
	y := s.with(s.add("OneHot", at, s.ints(int64(n)), values), intOf("axis", along))
	return s.function(s.add("Reshape", y, s.shape(x.shape)))
}

// localNorm is a local response normalisation: x/(bias + alpha/size·Σ x²)^beta, the sum over size channels around a cell's.
func localNorm(c *call) (*onnx.Function, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	size := int(min(c.attrInt("size", 0), maxWindow+1))
	if len(x.shape) < 3 || size < 1 || size > maxWindow {
		return nil, fmt.Errorf("a window of %d channels of shape %v", size, x.shape)
	}
	channels := x.shape[1]
	if err := c.charge(1, channels, channels); err != nil {
		return nil, err
	}
	s := c.speller("x")
	window := &onnx.Tensor{DType: x.dtype, Shape: []int{channels, channels}, F: make([]float64, channels*channels)}
	for i := range channels {
		for j := max(0, i-(size-1)/2); j <= min(channels-1, i+size/2); j++ {
			window.F[i*channels+j] = c.attrFloat("alpha", 1e-4) / float64(size)
		}
	}
	flat := s.add("Reshape", s.add("Mul", "x", "x"), s.shape([]int{x.shape[0], channels, ir.Size(x.shape[2:])}))
	sum := s.add("Reshape", s.add("MatMul", s.constant(window), flat), s.shape(x.shape))
	return s.function(s.add("Div", "x", s.add("Pow", s.add("Add", sum, s.floats(c.attrFloat("bias", 1))), s.floats(c.attrFloat("beta", 0.75)))))
}

// fourier is a discrete Fourier transform along an axis of numbers with a real part, which may stand alone, and an imaginary one: a product
// with a matrix of cosines and sines. Cells beyond the length are left out, those missing are zeros.
func fourier(c *call) (*onnx.Function, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	rank, along := len(x.shape), []int64{c.attrInt("axis", 1)}
	if c.opset >= 20 {
		if along, err = c.constInts(2, "axis", []int64{-2}); err != nil {
			return nil, err
		}
	}
	if rank < 2 || len(along) != 1 || x.shape[rank-1] < 1 || x.shape[rank-1] > 2 {
		return nil, fmt.Errorf("axes %v of shape %v, whose last axis is of a real part, and an imaginary one", along, x.shape)
	}
	a, err := axis(along[0], rank)
	if err != nil || a == rank-1 {
		return nil, fmt.Errorf("axis %d of shape %v", along[0], x.shape)
	}
	length, err := c.constInts(1, "dft_length", []int64{int64(x.shape[a])})
	if err != nil {
		return nil, err
	}
	if len(length) != 1 || length[0] < 1 || length[0] > maxTokens {
		return nil, fmt.Errorf("lengths %v", length)
	}
	inverse, onesided := c.attrInt("inverse", 0) != 0, c.attrInt("onesided", 0) != 0
	if inverse && onesided {
		return nil, c.unsupported("an inverse of one side; export the model with the whole spectrum")
	}
	waves, err := c.waves(x, x.shape[a], int(length[0]), inverse, onesided)
	if err != nil {
		return nil, err
	}
	s := c.speller("x")
	perm := make([]int64, 0, rank) // the axis, and then the parts, last
	for k := range rank {
		if k != a {
			perm = append(perm, int64(k))
		}
	}
	perm = append(perm[:rank-2:rank-2], int64(a), int64(rank-1))
	rest := make([]int, rank-2, rank)
	back := make([]int64, rank)
	for k, from := range perm {
		back[from] = int64(k)
		if k < rank-2 {
			rest[k] = x.shape[from]
		}
	}
	flat := s.add("Reshape", s.with(s.add("Transpose", "x"), intsOf("perm", perm...)), s.shape(append(slices.Clone(rest), waves.Shape[0])))
	y := s.add("Reshape", s.add("MatMul", flat, s.constant(waves)), s.shape(append(slices.Clone(rest), waves.Shape[1]/2, 2)))
	return s.function(s.with(s.add("Transpose", y), intsOf("perm", back...)))
}

// waves is the matrix of a Fourier transform of a length: from n cells with the parts of x to the real and the imaginary part of every
// frequency, or of those of one side.
func (c *call) waves(x *val, n, length int, inverse, onesided bool) (*onnx.Tensor, error) {
	parts, count, sign, scale := x.shape[len(x.shape)-1], length, -1.0, 1.0
	if onesided {
		count = length/2 + 1
	}
	if inverse {
		sign, scale = 1, 1/float64(length)
	}
	t := &onnx.Tensor{DType: x.dtype, Shape: []int{n * parts, count * 2}}
	if err := c.charge(1, t.Shape...); err != nil {
		return nil, err
	}
	t.F = make([]float64, n*parts*count*2)
	for i := range min(n, length) {
		for k := range count {
			angle := 2 * math.Pi * float64(i*k%length) / float64(length)
			re, im := float64(scale*portable.Cos(angle)), float64(scale*float64(sign*portable.Sin(angle)))
			at := i*parts*count*2 + 2*k
			t.F[at], t.F[at+1] = re, im
			if parts == 2 { // i·(re + i·im)
				t.F[at+count*2], t.F[at+count*2+1] = -im, re
			}
		}
	}
	return t, nil
}

// maxNorm bounds the p of norms, powers of which are to have digits.
const maxNorm = 4

// lpPool is a pooling by norms: the p-th root of the sum of magnitudes to the power of p.
func lpPool(c *call) (*onnx.Function, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	p := c.attrInt("p", 2)
	switch {
	case p < 1 || p > maxNorm:
		return nil, c.unsupported("of p %d; 1 to %d are supported", p, maxNorm)
	case c.attrInt("ceil_mode", 0) != 0:
		return nil, c.unsupported("ceil_mode is not supported: what windows beyond the edge are is not said")
	case len(x.shape) < 3:
		return nil, fmt.Errorf("shape %v", x.shape)
	}
	s := c.speller("x")
	if c.n.Op == "GlobalLpPool" {
		var axes []int64
		for a := 2; a < len(x.shape); a++ {
			axes = append(axes, int64(a))
		}
		if p <= 2 {
			return s.function(s.add(fmt.Sprintf("ReduceL%d", p), "x", s.ints(axes...)))
		}
		return s.function(s.root(s.add("ReduceSum", s.magnitudes("x", p), s.ints(axes...)), p))
	}
	y := s.magnitudes("x", p)
	cells := 1.0
	kernel := c.attr("kernel_shape")
	if kernel == nil {
		return nil, fmt.Errorf("attribute kernel_shape is missing")
	}
	for _, k := range kernel.Ints {
		cells = float64(cells * float64(k))
	}
	y = s.with(s.add("AveragePool", y), intOf("count_include_pad", 1), kernel)
	for _, name := range []string{"strides", "pads", "auto_pad", "dilations"} {
		if a := c.attr(name); a != nil {
			y = s.with(y, a)
		}
	}
	return s.function(s.root(s.add("Mul", y, s.floats(cells)), p))
}

// magnitudes are |x| to the power of p.
func (s *speller) magnitudes(x string, p int64) string {
	switch p {
	case 1:
		return s.add("Abs", x)
	case 2:
		return s.add("Mul", x, x)
	}
	return s.add("Pow", s.add("Abs", x), s.floats(float64(p)))
}

// root is the p-th root of y.
func (s *speller) root(y string, p int64) string {
	switch p {
	case 1:
		return y
	case 2:
		return s.add("Sqrt", y)
	}
	return s.add("Pow", y, s.floats(1/float64(p)))
}

// compress picks the indices of an axis, or of all cells in a row, for which a condition holds.
func compress(c *call) (*onnx.Function, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	holds, err := c.constInts(1, "the condition", nil)
	if err != nil {
		return nil, err
	}
	s := c.speller("x")
	in, a, n := "x", 0, ir.Size(x.shape)
	if c.attr("axis") == nil {
		in = s.add("Reshape", "x", s.ints(-1))
	} else if a, err = axis(c.attrInt("axis", 0), len(x.shape)); err != nil {
		return nil, err
	} else {
		n = x.shape[a]
	}
	var picked []int64
	for i, h := range holds {
		if i < n && h != 0 {
			picked = append(picked, int64(i))
		}
	}
	return s.function(s.with(s.add("Gather", in, s.ints(picked...)), intOf("axis", int64(a))))
}
