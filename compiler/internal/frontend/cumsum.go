package frontend

import (
	"fmt"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

func init() { handlers["CumSum"] = cumSum }

// sums says which cells of an axis CumSum adds up, for cell i of the result.
type sums struct{ exclusive, reverse bool }

func (s sums) has(i, j int) bool {
	if s.reverse {
		i, j = j, i
	}
	return j < i || j == i && !s.exclusive
}

// sumsAlong reads an axis and the attributes of a CumSum.
func (c *call) sumsAlong(t *onnx.Tensor, rank int) (a int, s sums, err error) {
	if t.Len() != 1 || t.DType.IsFloat() {
		return 0, s, fmt.Errorf("an axis of shape %v", t.Shape)
	}
	a, err = axis(t.Cells()[0], rank)
	return a, sums{c.attrInt("exclusive", 0) != 0, c.attrInt("reverse", 0) != 0}, err
}

// cumSum is a product with a triangle of ones.
func cumSum(c *call) ([]*val, error) {
	if err := c.args(2); err != nil {
		return nil, err
	}
	x, along := c.in[0], c.in[1]
	if along.private {
		return nil, c.secret(along, "an axis")
	}
	if along.c == nil {
		return nil, c.unsupported("the axis must be a constant")
	}
	a, s, err := c.sumsAlong(along.c, len(x.shape))
	if err != nil {
		return nil, err
	}
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	n := x.shape[a]
	if err := c.charge(1, n, n); err != nil {
		return nil, err
	}
	triangle := make([]float64, n*n)
	for k := range triangle {
		if s.has(k/n, k%n) {
			triangle[k] = 1
		}
	}
	axes, ext := ir.IdentityAxes(x.shape)
	t := ir.Term{Coef: 1, Extents: append(ext, n), Axes: [][][]int{axes}, Out: append([][]int{}, axes...)}
	row := []int{len(ext)}
	t.In = []int{int(id), int(c.public(c.n.Name+".triangle", []int{n, n}, triangle))}
	t.Axes = append(t.Axes, [][]int{row, axes[a]})
	t.Out[a] = row
	return []*val{c.einsum(x.shape, t)}, nil
}

func foldCumSum(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 2); err != nil {
		return nil, err
	}
	x := in[0]
	a, s, err := c.sumsAlong(in[1], len(x.Shape))
	if err != nil {
		return nil, err
	}
	if err := c.charge(2, x.Shape...); err != nil {
		return nil, err
	}
	y := &onnx.Tensor{DType: x.DType, Shape: x.Shape, F: append([]float64(nil), x.F...), I: append([]int64(nil), x.I...)}
	step, n := rowStrides(x.Shape)[a], x.Shape[a]
	each := func(i, before int, first bool) { // cell i from the one before it in the order of the sum
		from := i
		if s.exclusive {
			from = before
		}
		switch {
		case x.DType.IsFloat() && first && s.exclusive:
			y.F[i] = 0
		case first && s.exclusive:
			y.I[i] = 0
		case first:
		case x.DType.IsFloat():
			y.F[i] = y.F[before] + x.F[from]
		default:
			y.I[i] = x.DType.Wrap(y.I[before] + x.I[from])
		}
	}
	c.walk(x.Shape, func(i int, at []int) {
		if !s.reverse {
			each(i, i-step, at[a] == 0)
			return
		}
		k := i + (n-1-2*at[a])*step // the mirrored cell, whose sum begins at the end
		each(k, k+step, at[a] == 0)
	})
	return single(y, nil)
}
