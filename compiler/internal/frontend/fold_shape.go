package frontend

import (
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
)

// Constant folding of movement and of what makes tensors of nothing; the folders of selection, sums and products stand in files of their own.

func init() {
	same := func(_ *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
		if err := need(in, 1); err != nil {
			return nil, err
		}
		return in[:1], nil
	}
	for op, f := range map[string]folder{
		"Identity": same, "Dropout": same, "Reshape": foldReshape, "Flatten": foldReshape, "Squeeze": foldReshape,
		"Unsqueeze": foldReshape, "Transpose": foldTranspose, "Expand": foldExpand, "Tile": foldTile, "Shape": foldShape, "Size": foldShape,
		"Constant": foldConstant, "ConstantOfShape": foldFill, "Range": foldRange, "Trilu": foldTrilu, "EyeLike": foldEye,
		"Slice": foldSlice, "Split": foldSplit, "Gather": foldGather, "Concat": foldConcat, "GatherND": foldGatherND,
		"GatherElements": foldGatherElements, "CumSum": foldCumSum, "NonZero": foldNonZero,
		"MatMul":    foldMatMul,
		"ReduceSum": foldReduce, "ReduceMean": foldReduce, "ReduceMax": foldReduce, "ReduceMin": foldReduce, "ReduceProd": foldReduce,
		"ReduceAll": foldReduce, "ReduceAny": foldReduce, "ReduceSumSquare": realsOnly(foldReduce), "ReduceL2": realsOnly(foldReduce),
	} {
		folders[op] = f
	}
}

// realsOnly refuses integers, of which the folder does not compute the operator.
func realsOnly(f folder) folder {
	return func(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
		if err := need(in, 1); err != nil {
			return nil, err
		}
		if !in[0].DType.IsFloat() {
			return nil, c.unsupported("of %s; real numbers are supported", in[0].DType)
		}
		return f(c, in)
	}
}

// whole returns the cells of a tensor that an operator takes for indices or extents.
func whole(t *onnx.Tensor) ([]int64, error) {
	if t.DType.IsFloat() {
		return nil, fmt.Errorf("indices of type %s; they must be integers", t.DType)
	}
	return t.I, nil
}

// index applies a row-major map from the result's cells to the operand's.
func index(t *onnx.Tensor, shape []int, at []int) *onnx.Tensor {
	r := &onnx.Tensor{DType: t.DType, Shape: append([]int{}, shape...)}
	if t.DType.IsFloat() {
		r.F = make([]float64, len(at))
		for i, k := range at {
			r.F[i] = t.F[k]
		}
		return r
	}
	r.I = make([]int64, len(at))
	for i, k := range at {
		r.I[i] = t.I[k]
	}
	return r
}

func rowStrides(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

func foldReshape(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	shape, err := c.newShape(in[0].Shape)
	if err != nil {
		return nil, err
	}
	r := *in[0]
	r.Shape = shape
	return single(&r, nil)
}

func foldTranspose(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	x := in[0]
	perm, err := permutation(c.attr("perm"), len(x.Shape))
	if err != nil {
		return nil, err
	}
	shape := make([]int, len(perm))
	for i, p := range perm {
		shape[i] = x.Shape[p]
	}
	if err := c.charge(2, shape...); err != nil {
		return nil, err
	}
	s := rowStrides(x.Shape)
	at := make([]int, x.Len())
	c.walk(shape, func(i int, pos []int) {
		for a, p := range pos {
			at[i] += p * s[perm[a]]
		}
	})
	return single(index(x, shape, at), nil)
}

func foldExpand(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 2); err != nil {
		return nil, err
	}
	want, err := whole(in[1])
	if err != nil {
		return nil, err
	}
	shape, err := expandShape(in[0].Shape, want)
	if err != nil {
		return nil, err
	}
	return single(c.expanded(in[0], shape))
}

// expanded broadcasts a tensor to a shape.
func (c *call) expanded(t *onnx.Tensor, shape []int) (*onnx.Tensor, error) {
	if err := c.charge(1, shape...); err != nil {
		return nil, err
	}
	r := &onnx.Tensor{DType: t.DType, Shape: shape}
	if t.DType.IsFloat() {
		r.F = spread(c, t.F, t.Shape, shape)
	} else {
		r.I = spread(c, t.I, t.Shape, shape)
	}
	return r, nil
}

func foldTile(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 2); err != nil {
		return nil, err
	}
	x := in[0]
	reps, err := whole(in[1])
	if err != nil {
		return nil, err
	}
	if len(reps) != len(x.Shape) {
		return nil, fmt.Errorf("%d repeats for rank %d", len(reps), len(x.Shape))
	}
	shape := make([]int, len(reps))
	for i, r := range reps {
		if r < 0 || r > maxCells {
			return nil, fmt.Errorf("repeats %v are out of range", reps)
		}
		shape[i] = x.Shape[i] * int(r)
	}
	if err := c.charge(2, shape...); err != nil {
		return nil, err
	}
	s := rowStrides(x.Shape)
	at := make([]int, ir.Size(shape))
	c.walk(shape, func(i int, pos []int) {
		for a, p := range pos {
			at[i] += p % x.Shape[a] * s[a]
		}
	})
	return single(index(x, shape, at), nil)
}

// shapeTensor is the result of Shape (with its start and end) or Size.
func shapeTensor(c *call, shape []int) *onnx.Tensor {
	if c.n.Op == "Size" {
		return ints([]int{}, int64(ir.Size(shape)))
	}
	n := int64(len(shape))
	clamp := func(v int64) int64 {
		if v < 0 {
			v += n
		}
		return max(0, min(v, n))
	}
	t := ints([]int{0})
	for i := clamp(c.attrInt("start", 0)); i < clamp(c.attrInt("end", n)); i++ {
		t.I = append(t.I, int64(shape[i]))
	}
	t.Shape[0] = len(t.I)
	return t
}

func foldShape(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	return single(shapeTensor(c, in[0].Shape), nil)
}

func foldConstant(c *call, _ []*onnx.Tensor) ([]*onnx.Tensor, error) {
	for _, a := range c.attrs() {
		switch a.Name {
		case "value":
			if a.T == nil {
				return nil, fmt.Errorf("the value is not a tensor")
			}
			return single(a.T, nil)
		case "value_float":
			return single(make1(onnx.Float32, nil, []float64{a.F}), nil)
		case "value_floats":
			return single(make1(onnx.Float32, []int{len(a.Floats)}, a.Floats), nil)
		case "value_int":
			return single(ints([]int{}, a.I), nil)
		case "value_ints":
			return single(ints([]int{len(a.Ints)}, a.Ints...), nil)
		}
	}
	return nil, c.unsupported("a constant without a numeric value")
}

// constantKey identifies a Constant node's tensor: its storage is the same in every run and every call of a function.
func (c *call) constantKey() any {
	for _, a := range c.attrs() {
		switch {
		case a.Name == "value" && a.T != nil:
			return a.T
		case a.Name == "value_floats" && len(a.Floats) > 0:
			return &a.Floats[0]
		case a.Name == "value_ints" && len(a.Ints) > 0:
			return &a.Ints[0]
		}
	}
	return c.n // a scalar
}

func foldFill(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	shape, err := expandShape(nil, in[0].Cells())
	if err != nil {
		return nil, err
	}
	v := make1(onnx.Float32, nil, []float64{0})
	if a := c.attr("value"); a != nil && a.T != nil && a.T.Len() == 1 {
		v = &onnx.Tensor{DType: a.T.DType, F: a.T.F, I: a.T.I} // a scalar, to fit every rank
	}
	return single(c.expanded(v, shape))
}

func foldRange(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 3); err != nil {
		return nil, err
	}
	for _, t := range in[:3] {
		if t.Len() != 1 {
			return nil, fmt.Errorf("start, limit and delta must be scalars")
		}
	}
	d := in[0].DType
	if d != in[1].DType || d != in[2].DType {
		return nil, fmt.Errorf("start, limit and delta of types %s, %s and %s", d, in[1].DType, in[2].DType)
	}
	start, limit, delta := floats(in[0])[0], floats(in[1])[0], floats(in[2])[0]
	n := math.Ceil((limit - start) / delta)
	if math.IsNaN(n) || n > maxCells {
		return nil, fmt.Errorf("range from %g to %g by %g is too long", start, limit, delta)
	}
	k := int(portable.Clamp(max(n, 0)))
	if err := c.charge(1, k); err != nil {
		return nil, err
	}
	r := &onnx.Tensor{DType: d, Shape: []int{k}}
	if d.IsFloat() {
		r.F = make([]float64, k)
		for i := range r.F {
			c.poll(i)
			r.F[i] = start + float64(float64(i)*delta)
		}
		return single(r, nil)
	}
	if math.Abs(start) >= 1<<53 || math.Abs(limit) >= 1<<53 || math.Abs(delta) >= 1<<53 {
		return nil, c.unsupported("a range from %g to %g by %g; numbers below 2^53 are supported", start, limit, delta)
	}
	r.I = make([]int64, k)
	for i := range r.I {
		c.poll(i)
		r.I[i] = in[0].I[0] + int64(i)*in[2].I[0]
	}
	return single(r, nil)
}

func foldTrilu(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	x, k := in[0], 0
	if len(in) > 1 && in[1] != nil && in[1].Len() == 1 {
		k = int(portable.Clamp(min(max(floats(in[1])[0], math.MinInt32), math.MaxInt32)))
	}
	r := len(x.Shape)
	if r < 2 {
		return nil, fmt.Errorf("shape %v is not a matrix", x.Shape)
	}
	y, err := c.expanded(x, x.Shape)
	if err != nil {
		return nil, err
	}
	upper := c.attrInt("upper", 1) != 0
	c.walk(x.Shape, func(i int, at []int) {
		switch {
		case triangle(at[r-2], at[r-1], k, upper):
		case x.DType.IsFloat():
			y.F[i] = 0
		default:
			y.I[i] = 0
		}
	})
	return single(y, nil)
}

func foldEye(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	x := in[0]
	if len(x.Shape) != 2 {
		return nil, fmt.Errorf("shape %v is not a matrix", x.Shape)
	}
	if err := c.charge(2, x.Shape...); err != nil {
		return nil, err
	}
	cells := make([]float64, x.Len())
	c.walk(x.Shape, func(i int, at []int) { cells[i] = float64(bit(int64(at[1]-at[0]) == c.attrInt("k", 0))) })
	d := onnx.DType(c.attrInt("dtype", int64(x.DType)))
	if !d.Known() {
		return nil, c.unsupported("a matrix of type %s", d)
	}
	return single(make1(d, x.Shape, cells), nil)
}
