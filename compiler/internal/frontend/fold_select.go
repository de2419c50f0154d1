package frontend

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Constant folding of selection: cells that are cut out, picked by indices, put together or written over.

// pickAxis keeps the cells idx of axis a.
func (c *call) pickAxis(t *onnx.Tensor, a int, idx []int) (*onnx.Tensor, error) {
	shape := append([]int{}, t.Shape...)
	shape[a] = len(idx)
	if err := c.charge(2, shape...); err != nil {
		return nil, err
	}
	s := rowStrides(t.Shape)
	at := make([]int, ir.Size(shape))
	c.walk(shape, func(i int, pos []int) {
		for k, p := range pos {
			if k == a {
				p = idx[p]
			}
			at[i] += p * s[k]
		}
	})
	return index(t, shape, at), nil
}

func foldSlice(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	x := in[0]
	picks, err := c.slicePicks(x.Shape)
	if err != nil {
		return nil, err
	}
	for a, idx := range picks {
		if idx == nil {
			continue
		}
		if x, err = c.pickAxis(x, a, idx); err != nil {
			return nil, err
		}
	}
	return single(x, nil)
}

func foldSplit(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	a, parts, err := c.splitParts(in[0].Shape)
	if err != nil {
		return nil, err
	}
	var outs []*onnx.Tensor
	at := 0
	for _, p := range parts {
		idx, err := c.span(at, p)
		if err != nil {
			return nil, err
		}
		t, err := c.pickAxis(in[0], a, idx)
		if err != nil {
			return nil, err
		}
		outs = append(outs, t)
		at += p
	}
	return outs, nil
}

func foldGather(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 2); err != nil {
		return nil, err
	}
	x, ind := in[0], in[1]
	a, err := axis(c.attrInt("axis", 0), len(x.Shape))
	if err != nil {
		return nil, err
	}
	idx, err := c.indices(ind, a, x.Shape)
	if err != nil {
		return nil, err
	}
	y, err := c.pickAxis(x, a, idx)
	if err != nil {
		return nil, err
	}
	y.Shape = append(append(append([]int{}, x.Shape[:a]...), ind.Shape...), x.Shape[a+1:]...)
	return single(y, nil)
}

// indices returns the cells of axis a of a shape that a Gather names.
func (c *call) indices(ind *onnx.Tensor, a int, shape []int) ([]int, error) {
	cells, err := whole(ind)
	if err != nil {
		return nil, err
	}
	if err := c.charge(1, len(cells)); err != nil {
		return nil, err
	}
	idx := make([]int, len(cells))
	for i, k := range cells {
		if idx[i], err = axis(k, shape[a]); err != nil {
			return nil, fmt.Errorf("index %d is outside of axis %d of %v", k, a, shape)
		}
	}
	return idx, nil
}

func foldConcat(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, max(1, len(in))); err != nil {
		return nil, err
	}
	x := in[0]
	a, err := axis(c.attrInt("axis", 0), len(x.Shape))
	if err != nil {
		return nil, err
	}
	shape := append([]int{}, x.Shape...)
	shape[a] = 0
	for _, t := range in {
		if len(t.Shape) != len(shape) || t.DType.IsFloat() != x.DType.IsFloat() {
			return nil, fmt.Errorf("shapes %v and %v cannot be joined", x.Shape, t.Shape)
		}
		for i, d := range t.Shape {
			if i != a && d != shape[i] {
				return nil, fmt.Errorf("shapes %v and %v cannot be joined", x.Shape, t.Shape)
			}
		}
		shape[a] += t.Shape[a]
	}
	if err := c.charge(1, shape...); err != nil {
		return nil, err
	}
	r := &onnx.Tensor{DType: x.DType, Shape: shape}
	if r.DType.IsFloat() {
		r.F = join(in, shape, a, func(t *onnx.Tensor) []float64 { return t.F })
	} else {
		r.I = join(in, shape, a, func(t *onnx.Tensor) []int64 { return t.I })
	}
	return single(r, nil)
}

// join lays the cells of tensors one after another on axis a of a shape.
func join[T any](in []*onnx.Tensor, shape []int, a int, cells func(*onnx.Tensor) []T) []T {
	out := make([]T, 0, ir.Size(shape))
	inner := ir.Size(shape[a+1:])
	for o := range ir.Size(shape[:a]) {
		for _, t := range in {
			n := t.Shape[a] * inner
			out = append(out, cells(t)[o*n:(o+1)*n]...)
		}
	}
	return out
}

// ndOffset turns a row of indices of GatherND and ScatterND into the number of the first cell that it names.
func ndOffset(row []int64, shape, strides []int) (int, error) {
	k := 0
	for j, v := range row {
		p, err := axis(v, shape[j])
		if err != nil {
			return 0, fmt.Errorf("index %v is outside of shape %v", row, shape)
		}
		k += p * strides[j]
	}
	return k, nil
}

func foldGatherND(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 2); err != nil {
		return nil, err
	}
	x, ind := in[0], in[1]
	r, batch := len(ind.Shape), int(c.attrInt("batch_dims", 0))
	if r == 0 || batch < 0 || batch >= min(r, len(x.Shape)) || ind.Shape[r-1] > len(x.Shape)-batch || !slices.Equal(x.Shape[:batch], ind.Shape[:batch]) {
		return nil, fmt.Errorf("indices of shape %v for shape %v with %d batch dimensions", ind.Shape, x.Shape, batch)
	}
	w := ind.Shape[r-1]
	cells, err := whole(ind)
	if err != nil {
		return nil, err
	}
	shape := append(append([]int{}, ind.Shape[:r-1]...), x.Shape[batch+w:]...)
	if err := c.charge(2, shape...); err != nil {
		return nil, err
	}
	strides, block, inner := rowStrides(x.Shape), ir.Size(x.Shape[batch+w:]), ir.Size(x.Shape[batch:])
	each := max(1, ir.Size(ind.Shape[batch:r-1]))
	at := make([]int, 0, ir.Size(shape))
	for i := 0; i < ir.Size(ind.Shape[:r-1]); i++ {
		k, err := ndOffset(cells[i*w:(i+1)*w], x.Shape[batch:], strides[batch:])
		if err != nil {
			return nil, err
		}
		for j := 0; j < block; j++ {
			at = append(at, i/each*inner+k+j)
		}
	}
	return single(index(x, shape, at), nil)
}

func foldGatherElements(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 2); err != nil {
		return nil, err
	}
	x, ind := in[0], in[1]
	a, err := axis(c.attrInt("axis", 0), len(x.Shape))
	if err != nil || len(ind.Shape) != len(x.Shape) {
		return nil, fmt.Errorf("indices of shape %v for shape %v: %w", ind.Shape, x.Shape, err)
	}
	cells, err := whole(ind)
	if err != nil {
		return nil, err
	}
	if err := c.charge(2, ind.Shape...); err != nil {
		return nil, err
	}
	s := rowStrides(x.Shape)
	at := make([]int, len(cells))
	c.walk(ind.Shape, func(i int, pos []int) {
		for k, p := range pos {
			if k == a {
				var e error
				if p, e = axis(cells[i], x.Shape[a]); e != nil {
					err = e
				}
			} else if p >= x.Shape[k] {
				err = fmt.Errorf("indices of shape %v for shape %v", ind.Shape, x.Shape)
				p = 0
			}
			at[i] += p * s[k]
		}
	})
	if err != nil {
		return nil, err
	}
	return single(index(x, ind.Shape, at), nil)
}

func foldNonZero(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	rank := len(in[0].Shape)
	if err := c.charge(1+rank, in[0].Shape...); err != nil {
		return nil, err
	}
	x := floats(in[0])
	n := 0
	for _, v := range x {
		if v != 0 {
			n++
		}
	}
	t, k := ints([]int{rank, n}, make([]int64, rank*n)...), 0
	c.walk(in[0].Shape, func(i int, at []int) {
		if x[i] == 0 {
			return
		}
		for a, p := range at {
			t.I[a*n+k] = int64(p)
		}
		k++
	})
	return single(t, nil)
}
