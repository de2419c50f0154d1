package frontend

import (
	"cmp"
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
)

// Constant folding: a small tensor interpreter, in double precision. This file has its tools and the elementwise operators.

// realOps are the operators of two real numbers, or of several, that are joined from the left.
var realOps = map[string]func(a, b float64) float64{
	"Add": func(a, b float64) float64 { return a + b }, "Sub": func(a, b float64) float64 { return a - b },
	"Mul": func(a, b float64) float64 { return float64(a * b) }, "Div": func(a, b float64) float64 { return a / b },
	"Min": math.Min, "Max": math.Max, "Sum": func(a, b float64) float64 { return a + b },
}

func init() {
	for op, f := range realOps {
		folders[op] = variadic(f, integerOps[op])
	}
	folders["Pow"], folders["Mod"] = foldPow, foldMod
	for op, f := range map[string]func(order int) bool{
		"Equal": func(o int) bool { return o == 0 }, "Greater": func(o int) bool { return o == 1 },
		"GreaterOrEqual": func(o int) bool { return o == 0 || o == 1 }, "Less": func(o int) bool { return o == -1 },
		"LessOrEqual": func(o int) bool { return o == 0 || o == -1 },
	} {
		folders[op] = comparison(f)
	}
	for op, f := range map[string]integer{
		"And": func(_ onnx.DType, a, b int64) int64 { return a & b }, "Or": func(_ onnx.DType, a, b int64) int64 { return a | b },
		"Xor": func(_ onnx.DType, a, b int64) int64 { return a ^ b },
	} {
		folders[op] = logical(f)
	}
	for op, f := range map[string]func(float64) float64{
		"Neg": func(x float64) float64 { return -x }, "Abs": math.Abs, "Sqrt": math.Sqrt, "Exp": portable.Exp, "Log": portable.Log,
		"Reciprocal": func(x float64) float64 { return 1 / x }, "Cos": portable.Cos, "Sin": portable.Sin, "Tanh": portable.Tanh, "Erf": portable.Erf,
		"Sigmoid": portable.Sigmoid, "Floor": math.Floor, "Ceil": math.Ceil,
		"Round": math.RoundToEven, "Relu": func(x float64) float64 { return math.Max(x, 0) }, "Sign": sign, "Atan": portable.Atan,
	} {
		folders[op] = elementwise(f)
	}
	folders["Not"] = logicalNot
	folders["IsNaN"] = predicate(math.IsNaN)
	folders["IsInf"] = foldIsInf
	folders["Where"], folders["Clip"], folders["Cast"], folders["CastLike"] = foldWhere, foldClip, foldCast, foldCast
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

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// make1 returns a tensor of a type and shape with the given cells, which an integer type must hold.
func make1(d onnx.DType, shape []int, cells []float64) *onnx.Tensor {
	t := &onnx.Tensor{DType: d, Shape: append([]int{}, shape...)}
	if d.IsFloat() {
		t.F = cells
		return t
	}
	t.I = make([]int64, len(cells))
	for i, x := range cells {
		t.I[i] = portable.Clamp(x)
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
func variadic(f func(a, b float64) float64, g integer) folder {
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
				a[i] = besideGreat(acc.DType, max(math.Abs(a[i]), math.Abs(b[i])), f(a[i], b[i]))
			}
			acc = &onnx.Tensor{DType: acc.DType, Shape: shape, F: a}
		}
		return []*onnx.Tensor{acc}, nil
	}
}

// besideGreat is a result as its type holds it, where one of the operands is as great as swallows refuses beside activations: what a runtime loses of the
// other is lost. Sums of masks that go beyond the type stay what they are.
func besideGreat(d onnx.DType, most, x float64) float64 {
	if most < great {
		return x
	}
	if r := d.Round(x); !math.IsInf(r, 0) {
		return r
	}
	return x
}

// comparison folds an operator that asks how two numbers are ordered: -1, 0, 1, or 2 where one of them is none.
func comparison(f func(order int) bool) folder {
	return func(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
		if err := need(in, 2); err != nil {
			return nil, err
		}
		if d := in[0].DType; !d.IsFloat() && !in[1].DType.IsFloat() {
			t, err := c.integers(func(_ onnx.DType, a, b int64) int64 { return bit(f(compare(d, a, b))) }, in[0], in[1])
			if err == nil {
				t.DType = onnx.Bool
			}
			return single(t, err)
		}
		a, b, shape, err := c.binary(in)
		if err != nil {
			return nil, err
		}
		for i := range a {
			c.poll(i)
			order := cmp.Compare(a[i], b[i])
			if math.IsNaN(a[i]) || math.IsNaN(b[i]) {
				order = 2
			}
			a[i] = float64(bit(f(order)))
		}
		return single(make1(onnx.Bool, shape, a), nil)
	}
}

// logical folds an operator of two booleans.
func logical(f integer) folder {
	return func(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
		if err := need(in, 2); err != nil {
			return nil, err
		}
		if in[0].DType != onnx.Bool || in[1].DType != onnx.Bool {
			return nil, fmt.Errorf("operands of type %s and %s; they must be booleans", in[0].DType, in[1].DType)
		}
		return single(c.integers(f, in[0], in[1]))
	}
}

func logicalNot(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	if in[0].DType != onnx.Bool {
		return nil, fmt.Errorf("an operand of type %s; it must be a boolean", in[0].DType)
	}
	return single(c.eachInteger(integerFunctions["Not"], in[0]))
}

func elementwise(f func(float64) float64) folder {
	return func(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
		if err := need(in, 1); err != nil {
			return nil, err
		}
		if !in[0].DType.IsFloat() {
			g := integerFunctions[c.n.Op]
			if g == nil || in[0].DType == onnx.Bool {
				return nil, fmt.Errorf("an operand of type %s; the operator takes real numbers", in[0].DType)
			}
			return single(c.eachInteger(g, in[0]))
		}
		if err := c.charge(1, in[0].Shape...); err != nil {
			return nil, err
		}
		x := in[0].F
		out := make([]float64, len(x))
		for i, v := range x {
			c.poll(i)
			out[i] = f(v)
		}
		return single(make1(in[0].DType, in[0].Shape, out), nil)
	}
}

func predicate(f func(float64) bool) folder {
	return func(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
		if err := need(in, 1); err != nil {
			return nil, err
		}
		if err := c.charge(1, in[0].Shape...); err != nil {
			return nil, err
		}
		r := &onnx.Tensor{DType: onnx.Bool, Shape: in[0].Shape, I: make([]int64, in[0].Len())}
		for i, x := range in[0].F { // integers are numbers
			c.poll(i)
			r.I[i] = bit(f(x))
		}
		return single(r, nil)
	}
}

// foldIsInf asks for infinity of either sign, or of one.
func foldIsInf(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	below, above := c.attrInt("detect_negative", 1) != 0, c.attrInt("detect_positive", 1) != 0
	return predicate(func(x float64) bool { return below && math.IsInf(x, -1) || above && math.IsInf(x, 1) })(c, in)
}

func foldPow(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	a, b, shape, err := c.binary(in)
	if err != nil {
		return nil, err
	}
	d := in[0].DType
	if d.IsFloat() {
		for i := range a {
			c.poll(i)
			a[i] = portable.Pow(a[i], b[i])
		}
		return single(make1(d, shape, a), nil)
	}
	if err := c.charge(2, shape...); err != nil {
		return nil, err
	}
	r := &onnx.Tensor{DType: d, Shape: shape, I: spread(c, in[0].I, in[0].Shape, shape)}
	for i := range r.I {
		c.poll(i)
		if r.I[i], err = power(d, r.I[i], b[i]); err != nil {
			return nil, c.unsupported("%v", err)
		}
	}
	return single(r, nil)
}

func foldMod(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 2); err != nil {
		return nil, err
	}
	fmod := c.attrInt("fmod", 0) != 0
	if !in[0].DType.IsFloat() {
		return single(c.integers(remainder(fmod), in[0], in[1]))
	}
	a, b, shape, err := c.binary(in)
	if err != nil {
		return nil, err
	}
	for i := range a {
		c.poll(i)
		r := math.Mod(a[i], b[i])
		if !fmod && r != 0 && (r < 0) != (b[i] < 0) {
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

// foldClip takes its bounds from inputs, or from attributes before opset 11. Where they cross, the upper one counts.
func foldClip(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	var lo, hi *onnx.Tensor
	for i, bound := range []**onnx.Tensor{&lo, &hi} {
		if i+1 < len(in) && in[i+1] != nil {
			*bound = in[i+1]
		} else if a := c.attr([]string{"min", "max"}[i]); a != nil {
			*bound = make1(onnx.Float32, nil, []float64{a.F})
		}
		if t := *bound; t != nil && (t.Len() != 1 || t.DType.IsFloat() != in[0].DType.IsFloat()) {
			return nil, fmt.Errorf("a bound of type %s and shape %v for type %s", t.DType, t.Shape, in[0].DType)
		}
	}
	if in[0].DType.IsFloat() {
		return elementwise(func(x float64) float64 {
			if lo != nil {
				x = math.Max(x, lo.F[0])
			}
			if hi != nil {
				x = math.Min(x, hi.F[0])
			}
			return x
		})(c, in)
	}
	return single(c.eachInteger(func(d onnx.DType, x int64) int64 {
		if lo != nil {
			x = greatest(d, x, lo.I[0])
		}
		if hi != nil {
			x = least(d, x, hi.I[0])
		}
		return x
	}, in[0]))
}

// castTo is the type that a Cast or CastLike asks for.
func (c *call) castTo() (onnx.DType, error) {
	to := onnx.DType(c.attrInt("to", int64(onnx.Float32)))
	if c.n.Op == "CastLike" {
		like, err := c.arg(1)
		if err != nil {
			return 0, err
		}
		to = like.dtype
	}
	if !to.Known() {
		return 0, c.unsupported("a cast to %s; only integers, booleans and real numbers of 16, 32 and 64 bits are supported", to)
	}
	return to, nil
}

// foldCast rounds real numbers to the type, cuts off their fractions where that is an integer, and wraps integers around, as runtimes do.
func foldCast(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	to, err := c.castTo()
	if err != nil {
		return nil, err
	}
	x := in[0]
	if to == x.DType || to == onnx.Float64 && x.DType.IsFloat() {
		return single(&onnx.Tensor{DType: to, Shape: x.Shape, F: x.F, I: x.I}, nil)
	}
	if err := c.charge(2, x.Shape...); err != nil {
		return nil, err
	}
	switch {
	case to == onnx.Bool:
		return single(&onnx.Tensor{DType: to, Shape: x.Shape, I: bools(x)}, nil)
	case to.IsFloat():
		r := &onnx.Tensor{DType: to, Shape: x.Shape, F: append([]float64(nil), floats(x)...)}
		for i, v := range r.F {
			c.poll(i)
			r.F[i] = to.Round(v)
		}
		return single(r, nil)
	}
	r := &onnx.Tensor{DType: to, Shape: x.Shape, I: make([]int64, x.Len())}
	for i, v := range x.I {
		c.poll(i)
		r.I[i] = to.Wrap(v)
	}
	for i, v := range x.F {
		c.poll(i)
		if to == onnx.Int64 && v < -1<<63 { // every processor's conversions say so, those that saturate and those that have one value for all beyond
			r.I[i] = math.MinInt64
			continue
		}
		if r.I[i], err = toInteger(to, v); err != nil {
			return nil, c.unsupported("a cast whose result runtimes do not agree on: %v", err)
		}
	}
	return single(r, nil)
}

func bools(t *onnx.Tensor) []int64 {
	out := make([]int64, t.Len())
	for i, x := range floats(t) {
		out[i] = bit(x != 0)
	}
	return out
}
