package frontend

import (
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Constant folding: a small tensor interpreter, in double precision. This file has its tools and the elementwise operators.

func init() {
	for op, f := range map[string]func(a, b float64) float64{
		"Add": func(a, b float64) float64 { return a + b }, "Sub": func(a, b float64) float64 { return a - b },
		"Mul": func(a, b float64) float64 { return a * b }, "Div": func(a, b float64) float64 { return a / b },
		"Min": math.Min, "Max": math.Max, "Sum": func(a, b float64) float64 { return a + b },
	} {
		folders[op] = variadic(f, integerOps[op])
	}
	folders["Pow"], folders["Mod"] = foldPow, foldMod
	for op, f := range map[string]func(a, b float64) bool{
		"Equal": func(a, b float64) bool { return a == b }, "Greater": func(a, b float64) bool { return a > b },
		"GreaterOrEqual": func(a, b float64) bool { return a >= b }, "Less": func(a, b float64) bool { return a < b },
		"LessOrEqual": func(a, b float64) bool { return a <= b }, "And": func(a, b float64) bool { return a != 0 && b != 0 },
		"Or": func(a, b float64) bool { return a != 0 || b != 0 }, "Xor": func(a, b float64) bool { return (a != 0) != (b != 0) },
	} {
		folders[op] = comparison(f)
	}
	for op, f := range map[string]func(float64) float64{
		"Neg": func(x float64) float64 { return -x }, "Abs": math.Abs, "Sqrt": math.Sqrt, "Exp": math.Exp, "Log": math.Log,
		"Reciprocal": func(x float64) float64 { return 1 / x }, "Cos": math.Cos, "Sin": math.Sin, "Tanh": math.Tanh, "Erf": math.Erf,
		"Sigmoid": func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, "Floor": math.Floor, "Ceil": math.Ceil,
		"Round": math.RoundToEven, "Relu": func(x float64) float64 { return math.Max(x, 0) }, "Sign": sign, "Atan": math.Atan,
		"Not": func(x float64) float64 { return bit(x == 0) },
	} {
		folders[op] = elementwise(f)
	}
	folders["IsNaN"] = predicate(math.IsNaN)
	folders["IsInf"] = predicate(func(x float64) bool { return math.IsInf(x, 0) })
	folders["Where"], folders["Clip"], folders["Cast"], folders["CastLike"] = foldWhere, foldClip, foldCast, foldCast
}

var integerOps = map[string]func(a, b int64) int64{
	"Add": func(a, b int64) int64 { return a + b }, "Sub": func(a, b int64) int64 { return a - b },
	"Mul": func(a, b int64) int64 { return a * b }, "Div": truncDiv, "Sum": func(a, b int64) int64 { return a + b },
	"Min": func(a, b int64) int64 { return min(a, b) }, "Max": func(a, b int64) int64 { return max(a, b) },
}

// truncDiv divides toward zero; a division by zero gives zero, which the caller refuses.
func truncDiv(a, b int64) int64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// make1 returns a tensor of a type and shape with the given cells; integer types truncate.
func make1(d onnx.DType, shape []int, cells []float64) *onnx.Tensor {
	t := &onnx.Tensor{DType: d, Shape: append([]int{}, shape...)}
	if d.IsFloat() {
		t.F = cells
		return t
	}
	t.I = make([]int64, len(cells))
	for i, x := range cells {
		t.I[i] = int64(x)
	}
	return t
}

func ints(shape []int, cells ...int64) *onnx.Tensor {
	return &onnx.Tensor{DType: onnx.Int64, Shape: append([]int{}, shape...), I: cells}
}

// spread broadcasts row-major cells from one shape to another.
func spread[T any](c *call, cells []T, from, to []int) []T {
	out := make([]T, ir.Size(to))
	strides := make([]int, len(to))
	s := 1
	for i := len(from) - 1; i >= 0; i-- {
		if from[i] != 1 {
			strides[len(to)-len(from)+i] = s
		}
		s *= from[i]
	}
	c.walk(to, func(i int, at []int) {
		k := 0
		for a, x := range at {
			k += x * strides[a]
		}
		out[i] = cells[k]
	})
	return out
}

// walk calls f for every cell of a shape in row-major order, with its position.
func (c *call) walk(shape []int, f func(i int, at []int)) {
	at := make([]int, len(shape))
	n := ir.Size(shape)
	for i := 0; i < n; i++ {
		c.poll(i)
		f(i, at)
		for a := len(at) - 1; a >= 0; a-- {
			if at[a]++; at[a] < shape[a] {
				break
			}
			at[a] = 0
		}
	}
}

func need(in []*onnx.Tensor, k int) error {
	for i := 0; i < k; i++ {
		if i >= len(in) || in[i] == nil {
			return fmt.Errorf("input %d is missing", i)
		}
	}
	return nil
}

func single(t *onnx.Tensor, err error) ([]*onnx.Tensor, error) {
	if err != nil {
		return nil, err
	}
	return []*onnx.Tensor{t}, nil
}

// binary broadcasts two tensors and returns their cells as reals.
func (c *call) binary(in []*onnx.Tensor) (a, b []float64, shape []int, err error) {
	if err = need(in, 2); err != nil {
		return
	}
	if shape, err = broadcast(in[0].Shape, in[1].Shape); err != nil {
		return
	}
	if err = c.charge(3+copied(in[:2]...), shape...); err != nil {
		return
	}
	return spread(c, floats(in[0]), in[0].Shape, shape), spread(c, floats(in[1]), in[1].Shape, shape), shape, nil
}

// variadic folds operators of two or more inputs from the left; integers are computed exactly.
func variadic(f func(a, b float64) float64, g func(a, b int64) int64) folder {
	return func(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
		if err := need(in, 1); err != nil {
			return nil, err
		}
		acc := in[0]
		for k := 1; k < len(in); k++ {
			if err := need(in, k+1); err != nil {
				return nil, err
			}
			if !acc.DType.IsFloat() {
				var err error
				if acc, err = c.integers(g, acc, in[k]); err != nil {
					return nil, err
				}
				continue
			}
			a, b, shape, err := c.binary([]*onnx.Tensor{acc, in[k]})
			if err != nil {
				return nil, err
			}
			for i := range a {
				c.poll(i)
				a[i] = f(a[i], b[i])
			}
			acc = &onnx.Tensor{DType: acc.DType, Shape: shape, F: a}
		}
		return []*onnx.Tensor{acc}, nil
	}
}

// integers computes an operator of two integer tensors.
func (c *call) integers(g func(a, b int64) int64, a, b *onnx.Tensor) (*onnx.Tensor, error) {
	shape, err := broadcast(a.Shape, b.Shape)
	if err != nil {
		return nil, err
	}
	if err := c.charge(3, shape...); err != nil {
		return nil, err
	}
	x, y := spread(c, a.I, a.Shape, shape), spread(c, b.Cells(), b.Shape, shape)
	for i := range x {
		c.poll(i)
		if c.n.Op == "Div" && y[i] == 0 {
			return nil, fmt.Errorf("integer division by zero")
		}
		x[i] = g(x[i], y[i])
	}
	return &onnx.Tensor{DType: a.DType, Shape: shape, I: x}, nil
}

func comparison(f func(a, b float64) bool) folder {
	return func(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
		a, b, shape, err := c.binary(in)
		if err != nil {
			return nil, err
		}
		for i := range a {
			c.poll(i)
			a[i] = bit(f(a[i], b[i]))
		}
		return single(make1(onnx.Bool, shape, a), nil)
	}
}

func elementwise(f func(float64) float64) folder {
	return func(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
		if err := need(in, 1); err != nil {
			return nil, err
		}
		if err := c.charge(1+2*copied(in[0]), in[0].Shape...); err != nil {
			return nil, err
		}
		x := floats(in[0])
		out := make([]float64, len(x))
		for i, v := range x {
			c.poll(i)
			out[i] = f(v)
		}
		return single(make1(in[0].DType, in[0].Shape, out), nil)
	}
}

func predicate(f func(float64) bool) folder {
	g := elementwise(func(x float64) float64 { return bit(f(x)) })
	return func(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
		ts, err := g(c, in)
		if err != nil {
			return nil, err
		}
		if err := c.charge(2, ts[0].Shape...); err != nil {
			return nil, err
		}
		return single(make1(onnx.Bool, ts[0].Shape, floats(ts[0])), nil)
	}
}

func foldPow(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	a, b, shape, err := c.binary(in)
	if err != nil {
		return nil, err
	}
	for i := range a {
		c.poll(i)
		a[i] = math.Pow(a[i], b[i])
	}
	return single(make1(in[0].DType, shape, a), nil)
}

func foldMod(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	a, b, shape, err := c.binary(in)
	if err != nil {
		return nil, err
	}
	for i := range a {
		c.poll(i)
		if b[i] == 0 {
			return nil, fmt.Errorf("modulo zero")
		}
		r := math.Mod(a[i], b[i])
		if c.attrInt("fmod", 0) == 0 && r != 0 && (r < 0) != (b[i] < 0) {
			r += b[i]
		}
		a[i] = r
	}
	return single(make1(in[0].DType, shape, a), nil)
}

func foldWhere(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 3); err != nil {
		return nil, err
	}
	shape, err := broadcast(in[0].Shape, in[1].Shape, in[2].Shape)
	if err != nil {
		return nil, err
	}
	if err := c.charge(5, shape...); err != nil {
		return nil, err
	}
	cond := spread(c, in[0].Cells(), in[0].Shape, shape)
	r := &onnx.Tensor{DType: in[1].DType, Shape: shape}
	if r.DType.IsFloat() {
		r.F = choose(cond, spread(c, in[1].F, in[1].Shape, shape), spread(c, floats(in[2]), in[2].Shape, shape))
	} else {
		r.I = choose(cond, spread(c, in[1].I, in[1].Shape, shape), spread(c, in[2].Cells(), in[2].Shape, shape))
	}
	return single(r, nil)
}

// choose overwrites the cells of yes where the condition is false.
func choose[T any](cond []int64, yes, no []T) []T {
	for i, x := range cond {
		if x == 0 {
			yes[i] = no[i]
		}
	}
	return yes
}

func foldClip(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	lo, hi := math.Inf(-1), math.Inf(1)
	if len(in) > 1 && in[1] != nil && in[1].Len() == 1 {
		lo = floats(in[1])[0]
	}
	if len(in) > 2 && in[2] != nil && in[2].Len() == 1 {
		hi = floats(in[2])[0]
	}
	return elementwise(func(x float64) float64 { return math.Min(math.Max(x, lo), hi) })(c, in)
}

func foldCast(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	to := onnx.DType(c.attrInt("to", int64(onnx.Float32)))
	if c.n.Op == "CastLike" {
		if err := need(in, 2); err != nil {
			return nil, err
		}
		to = in[1].DType
	}
	x := in[0]
	if to == onnx.Bool || to.IsFloat() != x.DType.IsFloat() {
		if err := c.charge(2, x.Shape...); err != nil {
			return nil, err
		}
	}
	switch {
	case to == onnx.Bool:
		return single(&onnx.Tensor{DType: to, Shape: x.Shape, I: bools(x)}, nil)
	case to.IsFloat():
		return single(&onnx.Tensor{DType: to, Shape: x.Shape, F: floats(x)}, nil)
	case x.DType.IsFloat():
		return single(make1(to, x.Shape, x.F), nil)
	}
	return single(&onnx.Tensor{DType: to, Shape: x.Shape, I: x.I}, nil)
}

func bools(t *onnx.Tensor) []int64 {
	out := make([]int64, t.Len())
	for i, x := range floats(t) {
		out[i] = int64(bit(x != 0))
	}
	return out
}
