package frontend

import (
	"errors"
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Constant folding of sums, reductions and products.

func foldReduce(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	x := in[0]
	set, shape, _, err := c.reduction(x.Shape)
	if err != nil {
		return nil, err
	}
	if err := c.charge(1, x.Shape...); err != nil {
		return nil, err
	}
	s := make([]int, len(x.Shape))
	n, count := 1, 1
	for i := len(s) - 1; i >= 0; i-- {
		if set[i] {
			count *= x.Shape[i]
			continue
		}
		s[i] = n
		n *= x.Shape[i]
	}
	if x.DType.IsFloat() {
		return single(&onnx.Tensor{DType: x.DType, Shape: shape, F: c.reduceReals(x, s, n, count)}, nil)
	}
	cells, err := c.reduceIntegers(x, s, n, count)
	return single(&onnx.Tensor{DType: x.DType, Shape: shape, I: cells}, err)
}

// reduceReals reduces the cells of a tensor to n, each to the one that its position and the steps give; count cells make one.
func (c *call) reduceReals(x *onnx.Tensor, steps []int, n, count int) []float64 {
	start := map[string]float64{"ReduceMax": math.Inf(-1), "ReduceMin": math.Inf(1), "ReduceProd": 1}[c.n.Op]
	out := make([]float64, n)
	for i := range out {
		out[i] = start
	}
	c.walk(x.Shape, func(i int, at []int) {
		k := dot(at, steps)
		switch c.n.Op {
		case "ReduceMax":
			out[k] = math.Max(out[k], x.F[i])
		case "ReduceMin":
			out[k] = math.Min(out[k], x.F[i])
		case "ReduceProd":
			out[k] = float64(out[k] * x.F[i])
		case "ReduceMean":
			out[k] += x.F[i] / float64(count)
		case "ReduceSumSquare", "ReduceL2":
			out[k] += float64(x.F[i] * x.F[i])
		default:
			out[k] += x.F[i]
		}
	})
	if c.n.Op == "ReduceL2" {
		for k, x := range out {
			out[k] = math.Sqrt(x)
		}
	}
	return out
}

// reduceIntegers is reduceReals for integers and booleans. The first cell starts a maximum or a minimum, which none has none of.
func (c *call) reduceIntegers(x *onnx.Tensor, steps []int, n, count int) ([]int64, error) {
	out, seen := make([]int64, n), make([]bool, n)
	switch c.n.Op {
	case "ReduceProd", "ReduceAll":
		for i := range out {
			out[i], seen[i] = 1, true
		}
	case "ReduceMax", "ReduceMin", "ReduceMean":
		if count == 0 {
			return nil, fmt.Errorf("shape %v has no cells to reduce", x.Shape)
		}
	}
	c.walk(x.Shape, func(i int, at []int) {
		k := dot(at, steps)
		if !seen[k] {
			out[k], seen[k] = x.I[i], true
			return
		}
		out[k] = reduceInteger(c.n.Op, x.DType, out[k], x.I[i])
	})
	if c.n.Op == "ReduceMean" {
		for i := range out {
			out[i] = truncDiv(x.DType, out[i], int64(count))
		}
	}
	return out, nil
}

func dot(at, steps []int) int {
	k := 0
	for a, p := range at {
		k += p * steps[a]
	}
	return k
}

func foldMatMul(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 2); err != nil {
		return nil, err
	}
	a, b := in[0], in[1]
	as, bs := asRow(a.Shape), asColumn(b.Shape)
	ra, rb := len(as), len(bs)
	if ra < 2 || rb < 2 || as[ra-1] != bs[rb-2] || a.DType.IsFloat() != b.DType.IsFloat() {
		return nil, fmt.Errorf("shapes %v and %v of types %s and %s cannot be multiplied", a.Shape, b.Shape, a.DType, b.DType)
	}
	n, k, m := as[ra-2], as[ra-1], bs[rb-1]
	batch, err := broadcast(as[:ra-2], bs[:rb-2])
	if err != nil {
		return nil, err
	}
	left, right := append(append([]int{}, batch...), n, k), append(append([]int{}, batch...), k, m)
	if err := errors.Join(c.charge(1, left...), c.charge(1, right...)); err != nil {
		return nil, err
	}
	if err := errors.Join(c.charge(1, append(append([]int{}, batch...), n, m)...), c.work(append(append([]int{}, batch...), n, k, m)...)); err != nil {
		return nil, err
	}
	r := &onnx.Tensor{DType: a.DType, Shape: append([]int{}, batch...)}
	if len(a.Shape) > 1 {
		r.Shape = append(r.Shape, n)
	}
	if len(b.Shape) > 1 {
		r.Shape = append(r.Shape, m)
	}
	if a.DType.IsFloat() {
		r.F = matrices(c, spread(c, a.F, as, left), spread(c, b.F, bs, right), ir.Size(batch), n, k, m)
		return single(r, nil)
	}
	r.I = matrices(c, spread(c, a.I, as, left), spread(c, b.I, bs, right), ir.Size(batch), n, k, m)
	for i, v := range r.I {
		r.I[i] = a.DType.Wrap(v)
	}
	return single(r, nil)
}

// asRow is the shape of a matrix, or of several: a vector on the left of a product is a row.
func asRow(shape []int) []int {
	if len(shape) == 1 {
		return []int{1, shape[0]}
	}
	return shape
}

// asColumn is asRow for the right of a product, where a vector is a column.
func asColumn(shape []int) []int {
	if len(shape) == 1 {
		return []int{shape[0], 1}
	}
	return shape
}

// matrices multiplies pairs of matrices [n, k] and [k, m]. Integers wrap around at 64 bits.
func matrices[T int64 | float64](c *call, x, y []T, pairs, n, k, m int) []T {
	out := make([]T, pairs*n*m)
	for t := 0; t < pairs; t++ {
		for i := 0; i < n; i++ {
			if i%(1+pollAfter/max(1, k*m)) == 0 {
				c.poll(pollAfter - 1)
			}
			for l := 0; l < k; l++ {
				f := x[(t*n+i)*k+l]
				for j := 0; j < m; j++ {
					out[(t*n+i)*m+j] += T(f * y[(t*k+l)*m+j])
				}
			}
		}
	}
	return out
}
