package frontend

import (
	"errors"
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
)

// Constant folding of movement, selection, generation, reductions and products.

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
		"GatherElements": foldGatherElements, "ScatterND": foldScatterND, "CumSum": foldCumSum, "NonZero": foldNonZero,
		"MatMul": foldMatMul, "DequantizeLinear": foldDequantize,
		"ReduceSum": foldReduce, "ReduceMean": foldReduce, "ReduceMax": foldReduce, "ReduceMin": foldReduce, "ReduceProd": foldReduce,
		"ReduceAll": foldReduce, "ReduceAny": foldReduce,
	} {
		folders[op] = f
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
	r := len(ind.Shape)
	if c.attrInt("batch_dims", 0) != 0 || r == 0 || ind.Shape[r-1] > len(x.Shape) {
		return nil, c.unsupported("batch dimensions, or indices of shape %v", ind.Shape)
	}
	w := ind.Shape[r-1]
	cells, err := whole(ind)
	if err != nil {
		return nil, err
	}
	shape := append(append([]int{}, ind.Shape[:r-1]...), x.Shape[w:]...)
	if err := c.charge(2, shape...); err != nil {
		return nil, err
	}
	strides, block := rowStrides(x.Shape), ir.Size(x.Shape[w:])
	at := make([]int, 0, ir.Size(shape))
	for i := 0; i < ir.Size(ind.Shape[:r-1]); i++ {
		k, err := ndOffset(cells[i*w:(i+1)*w], x.Shape, strides)
		if err != nil {
			return nil, err
		}
		for j := 0; j < block; j++ {
			at = append(at, k+j)
		}
	}
	return single(index(x, shape, at), nil)
}

func foldScatterND(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 3); err != nil {
		return nil, err
	}
	x, ind, up := in[0], in[1], in[2]
	r := len(ind.Shape)
	if c.attrString("reduction", "none") != "none" || r == 0 || ind.Shape[r-1] > len(x.Shape) {
		return nil, c.unsupported("a reduction, or indices of shape %v", ind.Shape)
	}
	w := ind.Shape[r-1]
	strides, block := rowStrides(x.Shape), ir.Size(x.Shape[w:])
	rows := ir.Size(ind.Shape[:r-1])
	if up.Len() != rows*block || up.DType.IsFloat() != x.DType.IsFloat() {
		return nil, fmt.Errorf("updates of shape %v do not fit", up.Shape)
	}
	cells, err := whole(ind)
	if err != nil {
		return nil, err
	}
	if err := c.charge(1, append([]int{block}, ind.Shape[:r-1]...)...); err != nil { // not memory but time
		return nil, err
	}
	y, err := c.expanded(x, x.Shape)
	if err != nil {
		return nil, err
	}
	for i := 0; i < rows; i++ {
		k, err := ndOffset(cells[i*w:(i+1)*w], x.Shape, strides)
		if err != nil {
			return nil, err
		}
		if x.DType.IsFloat() {
			copy(y.F[k:k+block], up.F[i*block:])
		} else {
			copy(y.I[k:k+block], up.I[i*block:])
		}
	}
	return single(y, nil)
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

func foldCumSum(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 2); err != nil {
		return nil, err
	}
	x := in[0]
	if in[1].Len() != 1 || c.attrInt("exclusive", 0) != 0 || c.attrInt("reverse", 0) != 0 {
		return nil, c.unsupported("exclusive or reverse sums")
	}
	a, err := axis(in[1].Cells()[0], len(x.Shape))
	if err != nil {
		return nil, err
	}
	if err := c.charge(1, x.Shape...); err != nil {
		return nil, err
	}
	r := &onnx.Tensor{DType: x.DType, Shape: x.Shape, F: append([]float64(nil), x.F...), I: append([]int64(nil), x.I...)}
	step := rowStrides(x.Shape)[a]
	c.walk(x.Shape, func(i int, at []int) {
		switch {
		case at[a] == 0:
		case x.DType.IsFloat():
			r.F[i] += r.F[i-step]
		default:
			r.I[i] = x.DType.Wrap(r.I[i] + r.I[i-step])
		}
	})
	return single(r, nil)
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
		default:
			out[k] += x.F[i]
		}
	})
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
	ra, rb := len(a.Shape), len(b.Shape)
	if ra < 2 || rb < 2 || a.Shape[ra-1] != b.Shape[rb-2] || a.DType.IsFloat() != b.DType.IsFloat() {
		return nil, fmt.Errorf("shapes %v and %v of types %s and %s cannot be multiplied", a.Shape, b.Shape, a.DType, b.DType)
	}
	n, k, m := a.Shape[ra-2], a.Shape[ra-1], b.Shape[rb-1]
	batch, err := broadcast(a.Shape[:ra-2], b.Shape[:rb-2])
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
	shape := append(append([]int{}, batch...), n, m)
	if !a.DType.IsFloat() {
		r := &onnx.Tensor{DType: a.DType, Shape: shape, I: matrices(c, spread(c, a.I, a.Shape, left), spread(c, b.I, b.Shape, right), ir.Size(batch), n, k, m)}
		for i, v := range r.I {
			r.I[i] = a.DType.Wrap(v)
		}
		return single(r, nil)
	}
	return single(&onnx.Tensor{DType: a.DType, Shape: shape, F: matrices(c, spread(c, a.F, a.Shape, left), spread(c, b.F, b.Shape, right), ir.Size(batch), n, k, m)}, nil)
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

// foldDequantize turns integer weights into real ones: (x − zero)·scale, per tensor or along one axis.
func foldDequantize(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 2); err != nil {
		return nil, err
	}
	x, scale := in[0], in[1]
	shape := make([]int, len(x.Shape))
	for i := range shape {
		shape[i] = 1
	}
	if scale.Len() != 1 {
		a, err := axis(c.attrInt("axis", 1), len(x.Shape))
		if err != nil || c.attrInt("block_size", 0) != 0 || scale.Len() != x.Shape[a] {
			return nil, c.unsupported("scales of shape %v for shape %v; per tensor and per axis are supported", scale.Shape, x.Shape)
		}
		shape[a] = scale.Len()
	}
	if err := c.charge(4+copied(x), x.Shape...); err != nil {
		return nil, err
	}
	s := spread(c, floats(scale), shape, x.Shape)
	out := append([]float64(nil), floats(x)...)
	if len(in) > 2 && in[2] != nil {
		if in[2].Len() != scale.Len() {
			return nil, fmt.Errorf("scale and zero point have different shapes")
		}
		for i, z := range spread(c, floats(in[2]), shape, x.Shape) {
			out[i] -= z
		}
	}
	for i := range out {
		out[i] = float64(out[i] * s[i])
	}
	return single(make1(onnx.Float32, x.Shape, out), nil)
}
