package frontend

import (
	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Functions of one number that are composed of others, by the formulas that tables are computed by.

const arcsine = "atan(mul(x,pow(add(1,mul(-1,mul(x,x))),-0.5)))"

var formulas = map[string]string{
	"Log": "log(x)", "Atan": "atan(x)", "Asin": arcsine, "Acos": "add(1.5707963267948966,mul(-1," + arcsine + "))", "Tan": "mul(sin(x),reciprocal(cos(x)))",
	"Sinh": "mul(0.5,add(exp(x),mul(-1,exp(mul(-1,x)))))", "Cosh": "mul(0.5,add(exp(x),exp(mul(-1,x))))",
	"Asinh": "log(add(x,sqrt(add(1,mul(x,x)))))", "Acosh": "log(add(x,sqrt(add(-1,mul(x,x)))))", "Atanh": "mul(0.5,log(mul(add(1,x),reciprocal(add(1,mul(-1,x))))))",
	"Softsign": "mul(x,reciprocal(add(1,abs(x))))",
}

func init() {
	for op, fn := range formulas {
		handlers[op] = function(fn)
		if f, ok := ir.Function(fn); ok && folders[op] == nil {
			folders[op] = elementwise(f)
		}
	}
	for op, f := range map[string]spelling{"Shrink": shrink, "ThresholdedRelu": thresholded, "LpNormalization": lpNorm, "MeanVarianceNormalization": meanVariance} {
		spelled[op] = f
	}
}

// thresholded is x where it is greater than alpha, else 0.
func thresholded(c *call) (*onnx.Function, error) {
	s := c.speller("x")
	return s.function(s.add("Where", s.add("Greater", "x", s.floats(c.attrFloat("alpha", 1))), "x", s.floats(0)))
}

// shrink is x nearer to 0 by bias where its magnitude is greater than lambd, else 0. Of a negative lambd x may be below −lambd and above lambd; the first
// counts.
func shrink(c *call) (*onnx.Function, error) {
	s, bias, lambd := c.speller("x"), c.attrFloat("bias", 0), c.attrFloat("lambd", 0.5)
	above := s.add("Where", s.add("Greater", "x", s.floats(lambd)), s.add("Sub", "x", s.floats(bias)), s.floats(0))
	return s.function(s.add("Where", s.add("Less", "x", s.floats(-lambd)), s.add("Add", "x", s.floats(bias)), above))
}

// lpNorm divides by the sum of magnitudes along an axis, or by the root of the sum of squares.
func lpNorm(c *call) (*onnx.Function, error) {
	_, a, err := c.alongAxis(-1)
	if err != nil {
		return nil, err
	}
	s := c.speller("x")
	axes := s.ints(int64(a))
	switch p := c.attrInt("p", 2); p {
	case 1:
		return s.function(s.add("Div", "x", s.add("ReduceL1", "x", axes)))
	case 2:
		return s.function(s.add("Div", "x", s.add("ReduceL2", "x", axes)))
	default:
		return nil, c.unsupported("of p %d; 1 and 2 are supported", p)
	}
}

// meanVariance subtracts the mean over some axes and divides by the standard deviation.
func meanVariance(c *call) (*onnx.Function, error) {
	if c.opset < 9 && (c.attr("across_channels") != nil || c.attr("normalize_variance") != nil) {
		return nil, c.unsupported("says by across_channels or normalize_variance what it normalises, as before opset 9; convert the model to opset 9 or later")
	}
	axes := []int64{0, 2, 3}
	if a := c.attr("axes"); a != nil {
		axes = a.Ints
	}
	s := c.speller("x")
	over := s.ints(axes...)
	off := s.add("Sub", "x", s.add("ReduceMean", "x", over))
	deviation := s.add("Sqrt", s.add("ReduceMean", s.add("Mul", off, off), over))
	return s.function(s.add("Div", off, s.add("Add", deviation, s.floats(1e-9))))
}
