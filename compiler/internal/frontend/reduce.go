package frontend

import (
	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Sums and means over axes.

func init() {
	register(handlers, map[string]handler{"ReduceSum": reduce, "ReduceMean": reduce, "ReduceSumSquare": reduce, "ReduceL2": reduce})
}

func reduce(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	if !x.dtype.IsFloat() && (c.n.Op == "ReduceMean" || c.n.Op == "ReduceSumSquare") {
		return spelling(reduceIntegers).handle(c)
	}
	set, shape, out, err := c.reduction(x.shape)
	if err != nil {
		return nil, err
	}
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	axes, ext := ir.IdentityAxes(x.shape)
	t := ir.Term{Coef: 1, Extents: ext, In: []int{int(id)}, Axes: [][][]int{axes}}
	for _, a := range out {
		if a < 0 {
			t.Out = append(t.Out, []int{})
		} else {
			t.Out = append(t.Out, axes[a])
		}
	}
	switch c.n.Op {
	case "ReduceMean":
		for i, s := range set {
			if s {
				t.Coef /= float64(x.shape[i])
			}
		}
	case "ReduceSumSquare", "ReduceL2":
		t.In, t.Axes = append(t.In, int(id)), append(t.Axes, axes)
	}
	v := c.einsum(shape, t)
	if c.n.Op == "ReduceL2" {
		return one(c.unary("sqrt", v))
	}
	return []*val{v}, nil
}

// reduceIntegers is a mean, rounded towards zero, or a sum of squares.
func reduceIntegers(c *call) (*onnx.Function, error) {
	s := c.speller("x")
	if c.n.Op == "ReduceSumSquare" {
		y, err := s.summed(c, s.add("Mul", "x", "x"))
		if err != nil {
			return nil, err
		}
		return s.function(y)
	}
	set, _, _, err := c.reduction(c.in[0].shape)
	if err != nil {
		return nil, err
	}
	cells := int64(1)
	for i, d := range c.in[0].shape {
		if set[i] {
			cells *= int64(d)
		}
	}
	y, err := s.summed(c, "x")
	if err != nil {
		return nil, err
	}
	return s.function(s.add("Div", y, s.constant(&onnx.Tensor{DType: c.in[0].dtype, I: []int64{cells}})))
}

// summed is the ReduceSum of x over the axes that the node reduces.
func (s *speller) summed(c *call, x string) (string, error) {
	axes, given, err := c.intsAttrOr("axes", 1)
	if err != nil {
		return "", err
	}
	inputs := []string{x}
	if given {
		inputs = append(inputs, s.ints(axes...))
	}
	return s.with(s.add("ReduceSum", inputs...), intOf("keepdims", c.attrInt("keepdims", 1)), intOf("noop_with_empty_axes", c.attrInt("noop_with_empty_axes", 0))), nil
}

// reduction returns the reduced axes of a shape, the result's shape, and for each of its axes the axis it comes from or -1.
func (c *call) reduction(shape []int) (set []bool, result, from []int, err error) {
	axes, given, err := c.intsAttrOr("axes", 1)
	if err != nil {
		return nil, nil, nil, err
	}
	if !given || len(axes) == 0 {
		axes = nil
		for i := range shape {
			if c.attrInt("noop_with_empty_axes", 0) == 0 {
				axes = append(axes, int64(i))
			}
		}
	}
	if set, err = axisSet(axes, len(shape)); err != nil {
		return nil, nil, nil, err
	}
	result = []int{}
	for i, d := range shape {
		switch {
		case !set[i]:
			result, from = append(result, d), append(from, i)
		case c.attrInt("keepdims", 1) != 0:
			result, from = append(result, 1), append(from, -1)
		}
	}
	return set, result, from, nil
}
