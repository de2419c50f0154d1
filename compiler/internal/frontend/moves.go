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
		"GatherElements": foldGatherElements, "GatherND": foldGatherND, "ScatterElements": foldScatter, "ScatterND": foldScatter,
	} {
		handlers[op] = along(movedApart(fold))
	}
	folders["ScatterElements"], folders["ScatterND"] = foldScatter, foldScatter
}

func moved(fold folder) spelling {
	return func(c *call) (*onnx.Function, error) {
		if err := c.args(2); err != nil {
			return nil, err
		}
		if c.attrString("reduction", "none") != "none" {
			return reduced(c)
		}
		indices := c.in[1]
		if indices.private {
			return nil, c.secret(indices, "an index")
		}
		if indices.c == nil {
			return nil, c.unsupported("the indices depend on an input; they must be constants")
		}
		s := c.speller("data", "indices", "updates")
		all := s.add("Reshape", "data", s.ints(-1))
		if c.has(2) {
			all = s.with(s.add("Concat", all, s.add("Reshape", "updates", s.ints(-1))), intOf("axis", 0))
		}
		from, err := c.sources(fold)
		if err != nil {
			return nil, err
		}
		return s.function(s.add("Reshape", s.add("Gather", all, s.ints(from.I...)), s.shape(from.Shape)))
	}
}

// sources has the number of the cell that every cell of the result is: those of the data count from 0 on, then those of the updates.
func (c *call) sources(fold folder) (*onnx.Tensor, error) {
	numbers := []*onnx.Tensor{numbered(c.in[0].shape, 0), c.in[1].c}
	if c.has(2) {
		numbers = append(numbers, numbered(c.in[2].shape, ir.Size(c.in[0].shape)))
	}
	from, err := fold(c, numbers)
	if err != nil {
		return nil, err
	}
	return from[0], nil
}

// numbered is a tensor whose cells are numbers, in order.
func numbered(shape []int, first int) *onnx.Tensor {
	t := &onnx.Tensor{DType: onnx.Int64, Shape: shape, I: make([]int64, ir.Size(shape))}
	for i := range t.I {
		t.I[i] = int64(first + i)
	}
	return t
}

// targets lists for every cell of updates the cell of a tensor of a shape that it goes to.
func (c *call) targets(x []int, ind, up *onnx.Tensor) ([]int, error) {
	if c.n.Op == "ScatterND" {
		return c.blockTargets(x, ind, up.Shape)
	}
	a, err := axis(c.attrInt("axis", 0), len(x))
	if err != nil || len(ind.Shape) != len(x) || !slices.Equal(up.Shape, ind.Shape) {
		return nil, fmt.Errorf("updates of shape %v at indices of shape %v do not fit %v", up.Shape, ind.Shape, x)
	}
	cells, err := whole(ind)
	if err != nil {
		return nil, err
	}
	if err := c.charge(2, ind.Shape...); err != nil {
		return nil, err
	}
	out, strides := make([]int, len(cells)), rowStrides(x)
	c.walk(ind.Shape, func(i int, pos []int) {
		for j, p := range pos {
			if j == a {
				var e error
				if p, e = axis(cells[i], x[a]); e != nil {
					err = e
				}
			} else if p >= x[j] {
				err = fmt.Errorf("indices of shape %v for shape %v", ind.Shape, x)
				p = 0
			}
			out[i] += p * strides[j]
		}
	})
	return out, err
}

// blockTargets is targets of ScatterND, whose indices name blocks of cells.
func (c *call) blockTargets(x []int, ind *onnx.Tensor, up []int) ([]int, error) {
	r := len(ind.Shape)
	if r == 0 || ind.Shape[r-1] > len(x) {
		return nil, fmt.Errorf("indices of shape %v for shape %v", ind.Shape, x)
	}
	w := ind.Shape[r-1]
	if !slices.Equal(up, slices.Concat(ind.Shape[:r-1], x[w:])) {
		return nil, fmt.Errorf("updates of shape %v do not fit", up)
	}
	cells, err := whole(ind)
	if err != nil {
		return nil, err
	}
	if err := c.charge(2, up...); err != nil {
		return nil, err
	}
	strides, block := rowStrides(x), ir.Size(x[w:])
	out := make([]int, 0, ir.Size(up))
	for i := range ir.Size(ind.Shape[:r-1]) {
		k, err := ndOffset(cells[i*w:(i+1)*w], x, strides)
		if err != nil {
			return nil, err
		}
		for j := range block {
			out = append(out, k+j)
		}
	}
	return out, nil
}

// reductions are what ScatterElements and ScatterND may do with a cell and an update of it: the operator, and a cell that changes nothing; of
// an extremum every cell is that for itself.
var reductions = map[string]struct {
	op      string
	neutral float64
	self    bool
}{"add": {"Add", 0, false}, "mul": {"Mul", 1, false}, "max": {"Max", 0, true}, "min": {"Min", 0, true}}

// foldScatter writes updates over cells, or reduces them with these, one after the other.
func foldScatter(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 3); err != nil {
		return nil, err
	}
	x, up := in[0], in[2]
	if up.DType.IsFloat() != x.DType.IsFloat() {
		return nil, fmt.Errorf("updates of type %s for type %s", up.DType, x.DType)
	}
	at, err := c.targets(x.Shape, in[1], up)
	if err != nil {
		return nil, err
	}
	y, err := c.expanded(x, x.Shape)
	if err != nil {
		return nil, err
	}
	name := c.attrString("reduction", "none")
	r, known := reductions[name]
	if !known && name != "none" {
		return nil, fmt.Errorf("unknown reduction %q", name)
	}
	for i, k := range at {
		c.poll(i)
		switch {
		case x.DType.IsFloat() && known:
			y.F[k] = realOps[r.op](y.F[k], up.F[i])
		case x.DType.IsFloat():
			y.F[k] = up.F[i]
		case known:
			y.I[k] = x.DType.Wrap(integerOps[r.op](x.DType, y.I[k], up.I[i]))
		default:
			y.I[k] = up.I[i]
		}
	}
	return single(y, nil)
}

// reduced reduces cells with the updates that go to them: in rounds, of which each takes at most one update for a cell.
func reduced(c *call) (*onnx.Function, error) {
	if err := c.args(3); err != nil {
		return nil, err
	}
	x, indices, up := c.in[0], c.in[1], c.in[2]
	r, known := reductions[c.attrString("reduction", "none")]
	switch {
	case !known:
		return nil, fmt.Errorf("unknown reduction %q", c.attrString("reduction", "none"))
	case indices.private:
		return nil, c.secret(indices, "an index")
	case indices.c == nil:
		return nil, c.unsupported("the indices depend on an input; they must be constants")
	}
	at, err := c.targets(x.shape, indices.c, &onnx.Tensor{Shape: up.shape})
	if err != nil {
		return nil, err
	}
	n := ir.Size(x.shape)
	s := c.speller("data", "indices", "updates")
	y, updates := s.add("Reshape", "data", s.ints(-1)), s.add("Reshape", "updates", s.ints(-1))
	cells, nothing, first := s.with(s.add("Concat", updates, s.constant(make1(x.dtype, []int{1}, []float64{r.neutral}))), intOf("axis", 0)), len(at), 0
	if r.self {
		cells, first = s.with(s.add("Concat", y, updates), intOf("axis", 0)), n
	}
	for left := slices.Repeat([]bool{true}, len(at)); slices.Contains(left, true); {
		if err := c.charge(1, n); err != nil {
			return nil, err
		}
		from, taken := make([]int64, n), make([]bool, n)
		for k := range from {
			if from[k] = int64(nothing); r.self {
				from[k] = int64(k)
			}
		}
		for i, k := range at {
			if left[i] && !taken[k] {
				left[i], taken[k], from[k] = false, true, int64(first+i)
			}
		}
		y = s.add(r.op, y, s.add("Gather", cells, s.ints(from...)))
	}
	return s.function(s.add("Reshape", y, s.shape(x.shape)))
}
