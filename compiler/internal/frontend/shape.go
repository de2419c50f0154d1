package frontend

import (
	"fmt"
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/ir"
)

// Movement of activations: reshapes, transpositions, broadcasts. All of them are Einsums of one operand.

func init() {
	register(handlers, map[string]handler{
		"Identity": passThrough, "Dropout": passThrough, "Cast": cast, "CastLike": cast,
		"Reshape": reshape, "Flatten": reshape, "Squeeze": reshape, "Unsqueeze": reshape,
		"Transpose": transpose, "Expand": expand, "Tile": tile, "Shape": shapeOf, "Size": shapeOf, "EyeLike": eyeLike,
		"IsNaN": isNaN, "IsInf": neverNaN, "ConstantOfShape": refuseDynamicShape,
	})
}

func refuseDynamicShape(c *call) ([]*val, error) {
	return nil, c.unsupported("a shape depends on an input; shapes must be constants")
}

func passThrough(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	y := *x
	return []*val{&y}, nil
}

// cast passes activations and weights through where the type keeps them: the IR computes on real numbers, of which ids are not part.
func cast(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	to, err := c.castTo()
	if err != nil {
		return nil, err
	}
	if x.input != nil {
		return one(c.castIDs(x, to))
	}
	if x.indices {
		if most, ok := largest[to]; !ok || int64(x.shape[len(x.shape)-1]) > most {
			return nil, c.unsupported("a cast of indices below %d to %s, which does not hold them", x.shape[len(x.shape)-1], to)
		}
		return passThrough(c)
	}
	if to == onnx.Bool && !x.inputFree() && !c.b.isBit(x.id) {
		return one(c.nonzero(x))
	}
	if (to == onnx.Int64 || to == onnx.Int32) && x.dtype.IsFloat() && !x.inputFree() && c.b.integers(x.id) == nil {
		y, err := c.unary("trunc", x)
		if err != nil {
			return nil, err
		}
		y.dtype = to
		return []*val{y}, nil
	}
	if i := c.integersOf(x); i != nil && !to.IsFloat() && i.In(-maxInteger, maxInteger) && !fits(*i, to) {
		if y := c.wrapped(x, *i, to); y != nil {
			return []*val{y}, nil
		}
	}
	if err := c.exact(x, to); err != nil {
		return nil, err
	}
	y := *x
	y.dtype = to
	return []*val{&y}, nil
}

// integersOf is the interval of an activation of an integer type, nil of anything else.
func (c *call) integersOf(x *val) *interval.Interval {
	if x.inputFree() || x.dtype.IsFloat() || x.dtype == onnx.Bool {
		return nil
	}
	return c.b.integers(x.id)
}

// exact refuses a cast that rounds or wraps: of real numbers to integers, and of integers to a type that does not hold them.
func (c *call) exact(x *val, to onnx.DType) error {
	switch {
	case x.inputFree() || x.dtype.IsFloat() && to.IsFloat():
		return nil
	case to == onnx.Bool || to.IsFloat() && c.b.g.Value(x.id).Def.Op == ir.OpUnary: // of a real number without its fraction
		return nil
	case x.dtype.IsFloat() && c.b.integers(x.id) == nil:
		return c.unsupported("a cast of a value that depends on an input to %s, which would round it", to)
	}
	if i := c.b.integers(x.id); i == nil || !fits(*i, to) {
		return c.unsupported("a cast of integers, which may be %s, to %s, which does not hold them; if those of the inputs are fewer, say so: --range NAME=LO:HI", anyOf(i), to)
	}
	return nil
}

// largest is up to which integers, of both signs where it has any, a type holds all.
var largest = map[onnx.DType]int64{onnx.Int8: math.MaxInt8, onnx.Uint8: math.MaxUint8, onnx.Int16: math.MaxInt16, onnx.Uint16: math.MaxUint16,
	onnx.Int32: math.MaxInt32, onnx.Uint32: math.MaxUint32, onnx.Int64: math.MaxInt64, onnx.Uint64: math.MaxInt64,
	onnx.Int4: 7, onnx.Uint4: 15, onnx.Int2: 1, onnx.Uint2: 3,
	onnx.BFloat16: 1 << 8, onnx.Float16: 1 << 11, onnx.Float32: 1 << 24, onnx.Float64: 1 << 53}

// unsigned says that a type has no negative numbers.
func unsigned(d onnx.DType) bool {
	return d == onnx.Uint2 || d == onnx.Uint4 || d == onnx.Uint8 || d == onnx.Uint16 || d == onnx.Uint32 || d == onnx.Uint64
}

// limits are the least and the greatest of the integers that a type holds one and all, those of 64 bits but for the least one.
func limits(d onnx.DType) (least, most int64, ok bool) {
	most, ok = largest[d]
	switch {
	case unsigned(d):
	case d.IsFloat() || d == onnx.Int64:
		least = -most
	default:
		least = -most - 1
	}
	return least, most, ok
}

// fits says that a type holds all integers of an interval.
func fits(i interval.Interval, to onnx.DType) bool {
	least, most, ok := limits(to)
	return ok && i.In(least, most)
}

// castIDs passes an input of integers on. A narrow type would make others of large ones; whoever uses them, and knows how many there are,
// asks.
func (c *call) castIDs(x *val, to onnx.DType) (*val, error) {
	most, ok := largest[to]
	if !ok {
		return nil, c.unsupported("a cast of an input of integers to %s", to)
	}
	y := *x
	y.whole = x.whole || x.input.DType.IsFloat()
	if y.dtype = to; x.narrow == nil || most < x.narrow.most {
		y.narrow = &narrowing{c: c, to: to, most: most}
	}
	if y.unsigned == nil && unsigned(to) {
		y.unsigned = &narrowing{c: c, to: to, most: most}
	}
	return &y, nil
}

// narrowing is the cast of an input of integers that keeps the fewest of them: those up to most. Another is the first to a type without
// negative ones.
type narrowing struct {
	c    *call
	to   onnx.DType
	most int64
}

// keeps refuses ids of a vocabulary that a cast on their way has made others of.
func (n *narrowing) keeps(c *call, vocab int) error {
	if n == nil || int64(vocab)-1 <= n.most {
		return nil
	}
	return n.c.unsupported("casts token ids to %s, which keeps those up to %d, but node %q looks them up in %d rows; export the model without this cast, or cast to int64",
		n.to, n.most, c.n.Name, vocab)
}

// shapeOf folds Shape and Size of anything: shapes are fixed at compile time.
func shapeOf(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	t := shapeTensor(c, x.shape)
	return []*val{constant("", t)}, nil
}

// eyeLike folds EyeLike of anything: only the shape and the type of its operand count.
func eyeLike(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	if len(x.shape) != 2 {
		return nil, fmt.Errorf("shape %v is not a matrix", x.shape)
	}
	if err := c.charge(1, x.shape...); err != nil {
		return nil, err
	}
	t := make1(x.dtype, x.shape, make([]float64, ir.Size(x.shape)))
	ts, err := c.run(foldEye, []*onnx.Tensor{t})
	if err != nil {
		return nil, err
	}
	return []*val{constant("", ts[0])}, nil
}

// neverNaN folds tests for NaN and infinity on activations: the IR's reals are finite, and rows that are all masked, which is
// where exporters expect NaN, are refused.
func neverNaN(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	if err := c.charge(1, x.shape...); err != nil {
		return nil, err
	}
	return []*val{constant("", &onnx.Tensor{DType: onnx.Bool, Shape: x.shape, I: make([]int64, ir.Size(x.shape))})}, nil
}

// reshape serves every operator that keeps the cells in their order.
func reshape(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	shape, err := c.newShape(x.shape)
	if err != nil {
		return nil, err
	}
	if x.input != nil {
		y := *x
		y.shape = shape
		return []*val{&y}, nil
	}
	return one(c.reshapeTo(x, shape))
}

// reshapeTo views x in another shape. Where the two shapes cut the cells at places that no common factorisation has, the
// reshape goes through one axis of all cells.
func (c *call) reshapeTo(x *val, shape []int) (*val, error) {
	if ir.Size(shape) == 0 {
		return noCells("", x.dtype, shape), nil
	}
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	if t, ok := ir.Reshape(int(id), x.shape, shape); ok {
		return c.einsum(shape, t), nil
	}
	flat := []int{ir.Size(shape)}
	t, _ := ir.Reshape(int(id), x.shape, flat)
	f := c.einsum(flat, t)
	t, _ = ir.Reshape(int(f.id), flat, shape)
	return c.einsum(shape, t), nil
}

// newShape computes the result's shape of Reshape, Flatten, Squeeze and Unsqueeze.
func (c *call) newShape(old []int) ([]int, error) {
	switch c.n.Op {
	case "Reshape":
		want, ok, err := c.intsAttrOr("shape", 1)
		if err != nil || !ok {
			return nil, fmt.Errorf("no shape: %w", err)
		}
		return reshapeShape(old, want, c.attrInt("allowzero", 0) != 0)
	case "Flatten":
		a := c.attrInt("axis", 1)
		if a < 0 {
			a += int64(len(old))
		}
		if a < 0 || a > int64(len(old)) {
			return nil, fmt.Errorf("axis %d is outside of rank %d", a, len(old))
		}
		return []int{ir.Size(old[:a]), ir.Size(old[a:])}, nil
	case "Squeeze":
		axes, ok, err := c.intsAttrOr("axes", 1)
		if err != nil {
			return nil, err
		}
		return squeezeShape(old, axes, ok)
	}
	axes, _, err := c.intsAttrOr("axes", 1)
	if err != nil {
		return nil, err
	}
	return unsqueezeShape(old, axes)
}

func reshapeShape(old []int, want []int64, allowZero bool) ([]int, error) {
	shape := make([]int, len(want))
	infer, n := -1, 1
	for i, d := range want {
		switch {
		case d == -1 && infer < 0:
			infer = i
			continue
		case d == 0 && !allowZero && i < len(old):
			shape[i] = old[i]
		case d >= 0 && d < 1<<31:
			shape[i] = int(d)
		default:
			return nil, fmt.Errorf("cannot reshape %v to %v", old, want)
		}
		n *= shape[i]
	}
	total := ir.Size(old)
	if infer >= 0 {
		if n == 0 || total%n != 0 {
			return nil, fmt.Errorf("cannot reshape %v to %v", old, want)
		}
		shape[infer] = total / n
		n = total
	}
	if n != total {
		return nil, fmt.Errorf("cannot reshape %v to %v", old, want)
	}
	return shape, nil
}

func squeezeShape(old []int, axes []int64, given bool) ([]int, error) {
	set, err := axisSet(axes, len(old))
	if err != nil {
		return nil, err
	}
	shape := []int{}
	for i, d := range old {
		switch {
		case given && !set[i], !given && d != 1:
			shape = append(shape, d)
		case d != 1:
			return nil, fmt.Errorf("axis %d has extent %d and cannot be squeezed", i, d)
		}
	}
	return shape, nil
}

func unsqueezeShape(old []int, axes []int64) ([]int, error) {
	set, err := axisSet(axes, len(old)+len(axes))
	if err != nil {
		return nil, err
	}
	shape := make([]int, len(set))
	k := 0
	for i := range shape {
		if shape[i] = 1; !set[i] {
			shape[i] = old[k]
			k++
		}
	}
	return shape, nil
}

func transpose(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	perm, err := permutation(c.attr("perm"), len(x.shape))
	if err != nil {
		return nil, err
	}
	return one(c.transposeBy(x, perm))
}

func permutation(a *onnx.Attr, rank int) ([]int, error) {
	perm := make([]int, rank)
	for i := range perm {
		perm[i] = rank - 1 - i
	}
	if a == nil {
		return perm, nil
	}
	if len(a.Ints) != rank {
		return nil, fmt.Errorf("perm %v does not fit rank %d", a.Ints, rank)
	}
	if _, err := axisSet(a.Ints, rank); err != nil {
		return nil, fmt.Errorf("perm %v: %w", a.Ints, err)
	}
	for i, p := range a.Ints {
		perm[i], _ = axis(p, rank)
	}
	return perm, nil
}

func (c *call) transposeBy(x *val, perm []int) (*val, error) {
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	axes, ext := ir.IdentityAxes(x.shape)
	t := ir.Term{Coef: 1, Extents: ext, In: []int{int(id)}, Axes: [][][]int{axes}}
	var shape []int
	for _, p := range perm {
		t.Out = append(t.Out, axes[p])
		shape = append(shape, x.shape[p])
	}
	return c.einsum(shape, t), nil
}

// broadcast returns the common shape of several tensors.
func broadcast(shapes ...[]int) ([]int, error) {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	out := make([]int, rank)
	for i := range out {
		out[i] = 1
	}
	for _, s := range shapes {
		for i, d := range s {
			o := &out[rank-len(s)+i]
			if *o == 1 {
				*o = d
			} else if d != 1 && d != *o {
				return nil, fmt.Errorf("shapes %v do not broadcast", shapes)
			}
		}
	}
	return out, nil
}

// broadcastAxes gives the axes of an operand of the given shape in a term with one label per axis of the result.
func broadcastAxes(shape []int, out [][]int) [][]int {
	axes := make([][]int, len(shape))
	for i, d := range shape {
		axes[i] = []int{}
		if d != 1 {
			axes[i] = append(axes[i], out[len(out)-len(shape)+i]...)
		}
	}
	return axes
}

func expand(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	want, err := c.constInts(1, "shape", nil)
	if err != nil {
		return nil, err
	}
	shape, err := expandShape(x.shape, want)
	if err != nil {
		return nil, err
	}
	if x.input != nil {
		y := *x
		y.shape = shape
		return []*val{&y}, nil
	}
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	out, ext := ir.IdentityAxes(shape)
	t := ir.Term{Coef: 1, Extents: ext, In: []int{int(id)}, Axes: [][][]int{broadcastAxes(x.shape, out)}, Out: out}
	return []*val{c.einsum(shape, t)}, nil
}

func expandShape(old []int, want []int64) ([]int, error) {
	w := make([]int, len(want))
	for i, d := range want {
		if d < 0 || d > maxCells {
			return nil, fmt.Errorf("cannot expand to %v", want)
		}
		w[i] = int(d)
	}
	shape, err := broadcast(old, w)
	if err != nil {
		return nil, err
	}
	return shape, checkCells(shape)
}

// tile repeats x: an axis of the result is made of the repetition, which x does not have, and the axis.
func tile(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	reps, err := c.constInts(1, "repeats", nil)
	if err != nil {
		return nil, err
	}
	if len(reps) != len(x.shape) {
		return nil, fmt.Errorf("%d repeats for rank %d", len(reps), len(x.shape))
	}
	for i, r := range reps {
		if r < 1 || r > maxCells {
			return nil, fmt.Errorf("repeats %v are out of range", reps)
		}
		// Cells of an axis that fills no power of two are chosen one by one: as parts of an axis they would be bounded by sums of all.
		if n := x.shape[i]; r > 1 && n&(n-1) != 0 {
			all := int(min(r, maxCells)) * n
			at, err := c.span(0, all)
			if err != nil {
				return nil, err
			}
			for k := range at {
				at[k] %= n
			}
			dtype := x.dtype
			if x, err = c.selectAxis(x, i, at); err != nil {
				return nil, err
			}
			x.dtype, reps = dtype, slices.Clone(reps)
			reps[i] = 1
		}
	}
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	axes, ext := ir.IdentityAxes(x.shape)
	t := ir.Term{Coef: 1, Extents: ext, In: []int{int(id)}, Axes: [][][]int{axes}}
	shape := make([]int, len(reps))
	for i, r := range reps {
		t.Extents = append(t.Extents, int(r))
		t.Out = append(t.Out, append([]int{len(t.Extents) - 1}, axes[i]...))
		shape[i] = x.shape[i] * int(r)
	}
	return []*val{c.einsum(shape, t)}, checkCells(shape)
}

func checkCells(shape []int) error {
	if n, ok := size(1, shape...); !ok || n > maxCells {
		return fmt.Errorf("shape %v has more than %d cells", shape, maxCells)
	}
	return nil
}
