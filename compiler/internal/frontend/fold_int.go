package frontend

import (
	"cmp"
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/portable"
)

// Integers are folded exactly and in the width of their type: what does not fit wraps around, as it does in runtimes. Where the standard
// leaves open what happens and runtimes differ (real numbers beyond an integer type, division by zero), the node is refused.

// integer computes an operator on two cells of an integer type; the result is brought into the type's range by the caller.
type integer func(d onnx.DType, a, b int64) int64

var integerOps = map[string]integer{
	"Add": func(_ onnx.DType, a, b int64) int64 { return a + b }, "Sub": func(_ onnx.DType, a, b int64) int64 { return a - b },
	"Mul": func(_ onnx.DType, a, b int64) int64 { return a * b }, "Sum": func(_ onnx.DType, a, b int64) int64 { return a + b },
	"Div": truncDiv, "Min": least, "Max": greatest,
}

// compare orders two cells of an integer type.
func compare(d onnx.DType, a, b int64) int {
	if d == onnx.Uint64 {
		return cmp.Compare(uint64(a), uint64(b))
	}
	return cmp.Compare(a, b)
}

func least(d onnx.DType, a, b int64) int64 {
	if compare(d, a, b) > 0 {
		return b
	}
	return a
}

func greatest(d onnx.DType, a, b int64) int64 {
	if compare(d, a, b) < 0 {
		return b
	}
	return a
}

// divisible refuses quotients that do not exist in a type: some runtimes end there.
func divisible(d onnx.DType, a, b int64) error {
	if b == 0 {
		return fmt.Errorf("integer division by zero")
	}
	if d != onnx.Uint64 && b == -1 && a < 0 && d.Wrap(-a) == a {
		return fmt.Errorf("%d / -1 does not fit %s", a, d)
	}
	return nil
}

// truncDiv divides toward zero.
func truncDiv(d onnx.DType, a, b int64) int64 {
	if d == onnx.Uint64 {
		return int64(uint64(a) / uint64(b))
	}
	return a / b
}

// remainder has the sign of the divisor, or with fmod that of the dividend.
func remainder(fmod bool) integer {
	return func(d onnx.DType, a, b int64) int64 {
		if d == onnx.Uint64 {
			return int64(uint64(a) % uint64(b))
		}
		r := a % b
		if !fmod && r != 0 && (r < 0) != (b < 0) {
			r += b
		}
		return r
	}
}

// integers computes an operator of two integer tensors.
func (c *call) integers(g integer, a, b *onnx.Tensor) (*onnx.Tensor, error) {
	if b.DType.IsFloat() {
		return nil, fmt.Errorf("operands of type %s and %s", a.DType, b.DType)
	}
	shape, err := broadcast(a.Shape, b.Shape)
	if err != nil {
		return nil, err
	}
	if err := c.charge(3, shape...); err != nil {
		return nil, err
	}
	x, y := spread(c, a.I, a.Shape, shape), spread(c, b.I, b.Shape, shape)
	for i := range x {
		c.poll(i)
		if c.n.Op == "Div" || c.n.Op == "Mod" {
			if err := divisible(a.DType, x[i], y[i]); err != nil {
				return nil, err
			}
		}
		x[i] = a.DType.Wrap(g(a.DType, x[i], y[i]))
	}
	return &onnx.Tensor{DType: a.DType, Shape: shape, I: x}, nil
}

// eachInteger computes an operator of one integer tensor.
func (c *call) eachInteger(g func(d onnx.DType, x int64) int64, t *onnx.Tensor) (*onnx.Tensor, error) {
	if err := c.charge(1, t.Shape...); err != nil {
		return nil, err
	}
	r := &onnx.Tensor{DType: t.DType, Shape: t.Shape, I: make([]int64, len(t.I))}
	for i, x := range t.I {
		c.poll(i)
		r.I[i] = t.DType.Wrap(g(t.DType, x))
	}
	return r, nil
}

// integerFunctions are the elementwise functions that take integers.
var integerFunctions = map[string]func(d onnx.DType, x int64) int64{
	"Neg": func(_ onnx.DType, x int64) int64 { return -x },
	"Abs": func(d onnx.DType, x int64) int64 {
		if compare(d, x, 0) < 0 {
			return -x
		}
		return x
	},
	"Sign": func(d onnx.DType, x int64) int64 { return int64(compare(d, x, 0)) },
	"Relu": func(d onnx.DType, x int64) int64 { return greatest(d, x, 0) },
	"Not":  func(_ onnx.DType, x int64) int64 { return 1 - x },
}

// toInteger converts a real number to an integer type, toward zero. What the type does not hold has no value that runtimes agree on.
func toInteger(d onnx.DType, x float64) (int64, error) {
	high := d == onnx.Uint64 && x >= 1<<63 // whose cells stand for 2^64 less
	if high {
		x -= 1 << 64 // exactly
	}
	y, ok := portable.Int64(x)
	if !ok || high && y >= 0 || !high && d == onnx.Uint64 && y < 0 || d.Wrap(y) != y {
		return 0, fmt.Errorf("%g does not fit %s", x, d)
	}
	return y, nil
}

// power is a^b for integers. Runtimes compute it in double precision, so that only what that holds exactly is the same everywhere.
func power(d onnx.DType, a int64, b float64) (int64, error) {
	r := portable.Pow(cell(d, a), b)
	if math.Abs(r) >= 1<<53 {
		return 0, fmt.Errorf("%d to the power of %g is beyond 2^53", a, b)
	}
	return toInteger(d, r)
}

// cell is a cell of an integer type as a real number.
func cell(d onnx.DType, x int64) float64 {
	if d == onnx.Uint64 {
		return float64(uint64(x))
	}
	return float64(x)
}

// reduceInteger adds a cell to what a reduction of so many cells has by now.
func reduceInteger(op string, d onnx.DType, acc, x int64) int64 {
	switch op {
	case "ReduceMax", "ReduceAny":
		return greatest(d, acc, x)
	case "ReduceMin", "ReduceAll":
		return least(d, acc, x)
	case "ReduceProd":
		return d.Wrap(acc * x)
	}
	return d.Wrap(acc + x)
}
