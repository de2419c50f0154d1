package frontend

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Operators that move cells by constant indices. Where the cells come from is computed from the cells' numbers by the operator itself, as
// constants are folded; then they are gathered.

func init() {
	for op, fold := range map[string]folder{
		"GatherElements": foldGatherElements, "GatherND": foldGatherND, "ScatterElements": foldScatterElements, "ScatterND": foldScatterND,
	} {
		handlers[op] = along(moved(fold).handle)
	}
	folders["ScatterElements"] = foldScatterElements
}

func moved(fold folder) spelling {
	return func(c *call) (*onnx.Function, error) {
		if err := c.args(2); err != nil {
			return nil, err
		}
		x, indices := c.in[0], c.in[1]
		if indices.private {
			return nil, c.secret(indices, "an index")
		}
		if indices.c == nil {
			return nil, c.unsupported("the indices depend on an input; they must be constants")
		}
		s := c.speller("data", "indices", "updates")
		all, numbers := s.add("Reshape", "data", s.ints(-1)), []*onnx.Tensor{numbered(x.shape, 0), indices.c}
		if c.has(2) {
			all = s.with(s.add("Concat", all, s.add("Reshape", "updates", s.ints(-1))), intOf("axis", 0))
			numbers = append(numbers, numbered(c.in[2].shape, ir.Size(x.shape)))
		}
		from, err := fold(c, numbers)
		if err != nil {
			return nil, err
		}
		return s.function(s.add("Reshape", s.add("Gather", all, s.ints(from[0].I...)), s.shape(from[0].Shape)))
	}
}

// numbered is a tensor whose cells are numbers, in order.
func numbered(shape []int, first int) *onnx.Tensor {
	t := &onnx.Tensor{DType: onnx.Int64, Shape: shape, I: make([]int64, ir.Size(shape))}
	for i := range t.I {
		t.I[i] = int64(first + i)
	}
	return t
}

func foldScatterElements(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 3); err != nil {
		return nil, err
	}
	x, ind, up := in[0], in[1], in[2]
	if c.attrString("reduction", "none") != "none" {
		return nil, c.unsupported("a reduction")
	}
	a, err := axis(c.attrInt("axis", 0), len(x.Shape))
	if err != nil || len(ind.Shape) != len(x.Shape) || !slices.Equal(up.Shape, ind.Shape) || up.DType.IsFloat() != x.DType.IsFloat() {
		return nil, fmt.Errorf("updates of shape %v at indices of shape %v do not fit %v", up.Shape, ind.Shape, x.Shape)
	}
	cells, err := whole(ind)
	if err != nil {
		return nil, err
	}
	if err := c.charge(2, ind.Shape...); err != nil {
		return nil, err
	}
	y, err := c.expanded(x, x.Shape)
	if err != nil {
		return nil, err
	}
	strides := rowStrides(x.Shape)
	c.walk(ind.Shape, func(i int, pos []int) {
		k := 0
		for j, p := range pos {
			if j == a {
				var e error
				if p, e = axis(cells[i], x.Shape[a]); e != nil {
					err = e
				}
			} else if p >= x.Shape[j] {
				err = fmt.Errorf("indices of shape %v for shape %v", ind.Shape, x.Shape)
				p = 0
			}
			k += p * strides[j]
		}
		if x.DType.IsFloat() {
			y.F[k] = up.F[i]
		} else {
			y.I[k] = up.I[i]
		}
	})
	return single(y, err)
}
