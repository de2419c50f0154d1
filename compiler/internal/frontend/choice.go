package frontend

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
)

// Integers that are computed from inputs choose cells: by a row of zeros and one 1, made of comparisons with all that the integer may be.

func init() {
	register(handlers, map[string]handler{"OneHot": oneHot, "Mod": modulo})
	folders["OneHot"] = foldOneHot
}

// maxChoices bounds how many integers one may be that is made a row of.
const maxChoices = 1 << 22

// within is the interval of the cells of an activation of integers.
func (c *call) within(p *val) (interval.Interval, error) {
	i := c.b.integers(p.id)
	if i == nil || !i.In(-maxInteger, maxInteger) {
		return interval.Interval{}, c.unsupported("chooses by %q, which may be %s; integers below 2^31 are supported", p.name, anyOf(i))
	}
	return *i, nil
}

// assert gives a value of integers bounds that follow from what it means.
func (c *call) assert(v *val, lo, hi int64) *val {
	i := interval.Of(lo, hi)
	c.b.intervals[v.id] = &i
	return v
}

// fromEnd is p, and n more where that is negative: what counts from the end of an axis of n.
func (c *call) fromEnd(p *val, n int) (*val, error) {
	i, err := c.within(p)
	if err != nil || i.Lo.Sign() >= 0 {
		return p, err
	}
	self := only(p)
	below := c.greater(p.shape, factor{id: none}, self)
	y := c.einsum(p.shape, product(p.shape, 1, self), product(p.shape, float64(n), only(below)))
	lo, hi := i.Lo.Int64()+int64(n), i.Hi.Int64()
	if hi < 0 {
		return c.assert(y, lo, hi+int64(n)), nil
	}
	return c.assert(y, min(lo, 0), max(hi, int64(n)-1)), nil
}

// reached are, behind the axes of p, the indicators of p ≥ each of the bounds first, first + step, …, count of them.
func (c *call) reached(p *val, first, step, count int) (*val, error) {
	shape := append(append([]int{}, p.shape...), count)
	x, err := c.reshapeTo(p, append(append([]int{}, p.shape...), 1))
	if err != nil {
		return nil, err
	}
	below := make([]float64, count)
	for k := range below {
		below[k] = float64(first + k*step - 1)
	}
	if err := c.charge(1, shape...); err != nil {
		return nil, err
	}
	f := factor{coef: 1, id: c.public(c.n.Name+".bounds", []int{count}, below), shape: []int{count}}
	return c.greater(shape, only(x), f), nil
}

// digit is, for p in [0, count) that steps say the bounds of, a row of count cells with one 1, at p: the differences of what it reaches.
func (c *call) digit(reached *val, count int) *val {
	rows := reached.shape[:len(reached.shape)-1]
	shape := append(append([]int{}, rows...), count)
	jumps, start := make([]float64, (count-1)*count), make([]float64, count)
	for k := range count - 1 {
		jumps[k*count+k], jumps[k*count+k+1] = -1, 1
	}
	start[0] = 1
	from, ext := ir.IdentityAxes(append(append([]int{}, shape...), count-1))
	last := len(rows)
	out := from[:last+1]
	t := ir.Term{Coef: 1, Extents: ext, In: []int{int(reached.id), int(c.public(c.n.Name+".jumps", []int{count - 1, count}, jumps))}, Out: out}
	k := from[last+1]
	t.Axes = [][][]int{append(append([][]int{}, from[:last]...), k), {k, from[last]}}
	one := product(shape, 1, factor{coef: 1, id: c.public(c.n.Name+".start", []int{count}, start), shape: []int{count}})
	return c.assert(c.einsum(shape, t, one), 0, 1)
}

// rows are, behind the axes of p, n cells of which that at p is 1 and all others are 0; where p is none of 0, …, n−1, all are. Of more than a
// few integers p is two digits, each compared with what it may be, so that a row takes twice the root of the number of comparisons.
func (c *call) rows(p *val, n int) (*val, error) {
	i, err := c.within(p)
	if err != nil {
		return nil, err
	}
	lo, hi := i.Lo.Int64(), i.Hi.Int64()
	if hi < 0 || lo >= int64(n) {
		return nil, c.unsupported("chooses by integers in %s one of %d, which it never is; give the inputs another range: --range NAME=LO:HI", i, n)
	}
	return c.rowsIn(p, lo, hi, n)
}

// rowsOfAxis are rows of an index of an axis of n. How they are made follows from the axis alone: of a model at several lengths, what indices
// may be differs, and its table does not.
func (c *call) rowsOfAxis(p *val, n int) (*val, error) { return c.rowsIn(p, 0, int64(n)-1, n) }

// rowsIn is rows of p in [lo, hi].
func (c *call) rowsIn(p *val, lo, hi int64, n int) (*val, error) {
	m, first := int(hi-lo+1), lo
	if m > maxChoices {
		return nil, c.unsupported("chooses by integers in [%d, %d], more than %d; give the inputs a narrower range: --range NAME=LO:HI", lo, hi, maxChoices)
	}
	few := 1
	if m > 16 {
		few = 1 << ((bits.Len(uint(m-1)) + 1) / 2)
	}
	var digits []*val
	rest := p
	if few > 1 {
		count := (m + few - 1) / few
		over, err := c.reached(p, int(lo)+few, few, count-1)
		if err != nil {
			return nil, err
		}
		digits = append(digits, c.digit(over, count))
		last := append([]int{}, p.shape...)
		axes, ext := ir.IdentityAxes(append(last, count-1))
		sum := ir.Term{Coef: -float64(few), Extents: ext, In: []int{int(over.id)}, Axes: [][][]int{axes}, Out: axes[:len(p.shape)]}
		rest = c.assert(c.einsum(p.shape, product(p.shape, 1, only(p)), product(p.shape, -float64(lo)), sum), 0, int64(few)-1)
		lo, m = 0, few
	}
	if m > 1 {
		over, err := c.reached(rest, int(lo)+1, 1, m-1)
		if err != nil {
			return nil, err
		}
		digits = append(digits, c.digit(over, m))
	}
	return c.joined(p, digits, first, n)
}

// joined are the rows of n cells of numbers that lie first above what their digits say.
func (c *call) joined(p *val, digits []*val, first int64, n int) (*val, error) {
	shape := append(append([]int{}, p.shape...), n)
	whole := append([]int{}, shape...)
	strides := []int64{-1}
	stride := int64(1)
	for k := len(digits) - 1; k >= 0; k-- {
		stride *= int64(digits[k].shape[len(p.shape)])
	}
	for _, d := range digits {
		count := d.shape[len(p.shape)]
		stride /= int64(count)
		whole, strides = append(whole, count), append(strides, stride)
	}
	at := whole[len(p.shape):]
	axes, ext := ir.IdentityAxes(whole)
	where := c.add(ir.OpAffine, c.b.unique("number"), at, nil, &ir.AffineAttr{Offset: first, Strides: strides})
	t := ir.Term{Coef: 1, Extents: ext, In: []int{int(where.ID)}, Axes: [][][]int{axes[len(p.shape):]}, Out: axes[:len(shape)]}
	for k, d := range digits {
		t.In = append(t.In, int(d.id))
		t.Axes = append(t.Axes, append(append([][]int{}, axes[:len(p.shape)]...), axes[len(shape)+k]))
	}
	v := c.assert(c.einsum(shape, t), 0, 1)
	return v, c.sizes([]*val{v})
}

// index is a computed integer that counts on an axis of n, from its beginning: what it may be is on the axis.
func (c *call) index(p *val, n int) (*val, error) {
	i, err := c.within(p)
	if err != nil {
		return nil, err
	}
	if !i.In(-int64(n), int64(n)-1) {
		return nil, c.unsupported("an index, computed from an input, may be anything in %s, and the axis has %d; if those of the inputs are fewer, say so: --range NAME=LO:HI", i, n)
	}
	return c.fromEnd(p, n)
}

// gatherBy is a Gather by integers that are computed from inputs.
func (c *call) gatherBy(x, p *val, a int) (*val, error) {
	p, err := c.index(p, x.shape[a])
	if err != nil {
		return nil, err
	}
	shape := append(append(append([]int{}, x.shape[:a]...), p.shape...), x.shape[a+1:]...)
	if y, err := c.uniform(x, shape); y != nil || err != nil {
		return y, err
	}
	hot, err := c.rowsOfAxis(p, x.shape[a])
	if err != nil {
		return nil, err
	}
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	axes, ext := ir.IdentityAxes(append(append([]int{}, shape...), x.shape[a]))
	k := axes[len(shape)]
	behind := a + len(p.shape)
	t := ir.Term{Coef: 1, Extents: ext, In: []int{int(hot.id), int(id)}, Out: axes[:len(shape)]}
	t.Axes = [][][]int{append(append([][]int{}, axes[a:behind]...), k), append(append(append([][]int{}, axes[:a]...), k), axes[behind:len(shape)]...)}
	y := c.einsum(shape, t)
	if i := c.b.integers(id); i != nil { // a cell of x
		c.b.intervals[y.id] = i
	}
	return y, nil
}

// uniform is what is taken, wherever, from constants that are all alike: a constant. It is nil of others.
func (c *call) uniform(x *val, shape []int) (*val, error) {
	if x.c == nil || x.c.DType.IsFloat() || slices.ContainsFunc(x.c.I, func(v int64) bool { return v != x.c.I[0] }) {
		return nil, nil
	}
	if err := c.charge(1, shape...); err != nil {
		return nil, err
	}
	t := &onnx.Tensor{DType: x.c.DType, Shape: shape, I: make([]int64, ir.Size(shape))}
	for i := range t.I {
		t.I[i] = x.c.I[0]
	}
	y := constant(x.name, t)
	y.mark, y.moved = x.mark, x.moved
	return y, nil
}

// oneHot is off + (on − off)·row.
func oneHot(c *call) ([]*val, error) {
	if err := c.args(3); err != nil {
		return nil, err
	}
	p, depth, values := c.in[0], c.in[1], c.in[2]
	if depth.private {
		return nil, c.secret(depth, "a depth")
	}
	if p.inputFree() || depth.c == nil {
		return nil, c.unsupported("indices that are constants, or a depth that depends on an input; export the model without it")
	}
	n, err := c.depth(depth.c, values.shape)
	if err != nil {
		return nil, err
	}
	a, err := axis(c.attrInt("axis", -1), len(p.shape)+1)
	if err != nil {
		return nil, err
	}
	if p.input != nil { // indices are what a cast to int64 makes of them
		if p, err = c.castIDs(p, onnx.Int64); err == nil {
			p, err = c.number(p)
		}
		if err != nil {
			return nil, err
		}
	}
	if p, err = c.fromEnd(p, n); err != nil {
		return nil, err
	}
	hot, err := c.rows(p, n)
	if err != nil {
		return nil, err
	}
	perm := make([]int, 0, len(hot.shape))
	for k := range len(p.shape) {
		perm = append(perm, k)
	}
	perm = append(perm[:a:a], append([]int{len(p.shape)}, perm[a:]...)...)
	if hot, err = c.transposeBy(hot, perm); err != nil {
		return nil, err
	}
	return one(c.between(hot, values))
}

// depth is how many cells a row has, of values of a shape.
func (c *call) depth(t *onnx.Tensor, values []int) (int, error) {
	if t.Len() != 1 || ir.Size(values) != 2 {
		return 0, fmt.Errorf("a depth of shape %v and values of shape %v", t.Shape, values)
	}
	size := floats(t)[0]
	if !(size >= 1 && size <= maxTokens) || size != math.Trunc(size) {
		return 0, c.unsupported("a depth of %g; whole numbers up to 2^20 are supported", size)
	}
	return int(portable.Clamp(size)), nil
}

// foldOneHot is oneHot of constants. An index is cut off to an integer, and counts from the end where it is negative.
func foldOneHot(c *call, in []*onnx.Tensor) ([]*onnx.Tensor, error) {
	if err := need(in, 3); err != nil {
		return nil, err
	}
	n, err := c.depth(in[1], in[2].Shape)
	if err != nil {
		return nil, err
	}
	a, err := axis(c.attrInt("axis", -1), len(in[0].Shape)+1)
	if err != nil {
		return nil, err
	}
	at, behind, k := floats(in[0]), ir.Size(in[0].Shape[a:]), 0
	shape := slices.Insert(slices.Clone(in[0].Shape), a, n)
	if err := c.charge(2, shape...); err != nil {
		return nil, err
	}
	which := make([]int, ir.Size(shape))
	for i := range which {
		c.poll(i)
		k = i/(behind*n)*behind + i%behind
		p := math.Trunc(at[k])
		if p < 0 {
			p += float64(n)
		}
		which[i] = int(bit(p == float64(i/behind%n)))
	}
	return single(index(in[2], shape, which), nil)
}

// between is off where a row has 0 and on where it has 1, of values off and on.
func (c *call) between(hot, values *val) (*val, error) {
	var fs [2]factor
	for k := range fs {
		if values.pair() {
			fs[k] = factor{coef: floats(values.c)[k], id: none}
			continue
		}
		v, err := c.selectAxis(values, 0, []int{k})
		if err != nil {
			return nil, err
		}
		if values.c != nil && values.mark == nil {
			fs[k] = factor{coef: floats(values.c)[k], id: none}
			continue
		}
		fs[k] = factor{coef: 1, id: v.id, shape: []int{1}}
	}
	y := c.einsum(hot.shape, product(hot.shape, 1, fs[0]), product(hot.shape, 1, only(hot), fs[1]), product(hot.shape, -1, only(hot), fs[0]))
	y.dtype = values.dtype
	if i := c.b.integers(y.id); i != nil && fs[0].id == none && fs[1].id == none {
		c.assert(y, portable.Clamp(math.Min(fs[0].coef, fs[1].coef)), portable.Clamp(math.Max(fs[0].coef, fs[1].coef)))
	}
	return y, nil
}

// pair says that a value is a tensor of two integers of the file, undecided, which tell as little as the scalar that each of them is.
func (v *val) pair() bool {
	if v.c == nil || v.dtype.IsFloat() || v.mark == nil || v.mark.forced {
		return false
	}
	t, ok := v.mark.key.(*onnx.Tensor)
	return ok && t.Len() == 2
}

// idsOf is what a run finds out of an input: that its elements index a table of so many rows.
type idsOf struct {
	name string
	rows int
}

// rowsOf is the number of rows of the tables that an input indexes, the fewest that a run before found; 0 if none did.
func (b *builder) rowsOf(in *input) int {
	n := 0
	for key := range b.hidden {
		if k, ok := key.(idsOf); ok && k.name == in.Name && (n == 0 || k.rows < n) {
			n = k.rows
		}
	}
	return n
}

// indexedRows is the number of rows of the tables that an input of the model indexes somewhere, 0 if none is seen to. Where it is not known
// yet it is 1, until what indexes the first of them notes it.
func (b *builder) indexedRows(in *input) int {
	moved, n := map[string]bool{in.Name: true}, 0
	for _, node := range b.main.nodes {
		if !standard(node, b.functions) || len(node.Inputs) == 0 {
			continue
		}
		switch node.Op {
		case "Identity", "Cast", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand":
			bits := slices.ContainsFunc(node.Attrs, func(a *onnx.Attr) bool { return a.Name == "to" && onnx.DType(a.I) == onnx.Bool })
			moved[node.Outputs[0]] = moved[node.Inputs[0]] && !bits
		case "Gather":
			along := slices.IndexFunc(node.Attrs, func(a *onnx.Attr) bool { return a.Name == "axis" && a.I != 0 })
			if len(node.Inputs) < 2 || !moved[node.Inputs[1]] || along >= 0 {
				continue
			}
			table := b.main.get(node.Inputs[0])
			if table == nil || len(table.shape) == 0 || table.shape[0] == 0 {
				in.guess = n == 0
				n = max(n, 1)
			} else if n == 0 || in.guess || table.shape[0] < n {
				n, in.guess = table.shape[0], false
			}
		}
	}
	return n
}

// indexes notes that an input indexes a table of n rows, which this run took it for something else than.
func (c *call) indexes(in *input, n int) error {
	c.b.found = append(c.b.found, idsOf{in.Name, n})
	return fmt.Errorf("the input %q indexes %d rows", in.Name, n) // the run is repeated
}

// numberOf is an input of ids as numbers.
func (c *call) numberOf(v *val, port *ir.Port) *val {
	hot, n := c.hot(v.input), port.Vocab()
	count := make([]float64, n)
	for k := range count {
		count[k] = float64(k)
	}
	axes, ext := ir.IdentityAxes(append(append([]int{}, v.shape...), n))
	last := len(v.shape)
	t := ir.Term{Coef: 1, Extents: ext, In: []int{int(hot), int(c.public("numbers of ids", []int{n}, count))}, Out: axes[:last]}
	t.Axes = [][][]int{{concatAxes(axes[:last]), axes[last]}, {axes[last]}}
	return c.assert(c.einsum(v.shape, t), 0, int64(n)-1)
}

// concatAxes is one axis of the labels of several.
func concatAxes(axes [][]int) []int {
	out := []int{}
	for _, a := range axes {
		out = append(out, a...)
	}
	return out
}

// hot are the one-hot rows of an input of ids.
func (c *call) hot(in *input) ir.ValueID {
	if in.onehot == none {
		in.onehot = c.add(ir.OpOneHot, "", []int{in.port.Shape[0], in.port.Vocab()}, []ir.ValueID{in.port.Value}, nil).ID
	}
	return in.onehot
}
