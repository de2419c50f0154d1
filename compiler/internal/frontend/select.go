package frontend

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/plan"
)

// Selection from activations: Slice, Split, Gather and Concat are products with 0/1 constants. An axis of extent n is cut into
// blocks of the largest extent g that the selection respects, so that the constant is a matrix of blocks, (n'/g)×(n/g), or
// a vector where one block is chosen. Selections of a weight's axis are resolved by the passes.

func init() {
	register(handlers, map[string]handler{"Slice": slice, "Split": split, "Gather": gather, "Concat": concat})
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// selectAxis returns x with axis a replaced by the cells idx of it.
func (c *call) selectAxis(x *val, a int, idx []int) (*val, error) {
	n, m := x.shape[a], len(idx)
	shape := append([]int{}, x.shape...)
	if shape[a] = m; m == 0 {
		return noCells("", x.dtype, shape), nil
	}
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	axes, ext := ir.IdentityAxes(x.shape)
	t := ir.Term{Coef: 1, Extents: ext, In: []int{int(id)}, Axes: [][][]int{axes}, Out: append([][]int{}, axes...)}
	start, step, regular := progression(idx)
	switch {
	case m == n && start == 0 && step == 1 && regular:
		return c.einsum(shape, t), nil
	case n == 1:
		t.Extents = append(t.Extents, m)
		t.Out[a] = []int{len(t.Extents) - 1}
		return c.einsum(shape, t), nil
	}
	g := 1
	if regular && step == 1 {
		g = gcd(gcd(start, m), n)
	}
	if T := c.b.tokens(); m == T && start == 0 && n > T && n < 2*T {
		g = 1 // positions whose end is cut off, behind a padded window: causality is seen on whole axes
	}
	if regular && step > 1 && step&(step-1) == 0 && n%step == 0 && m == n/step {
		err = c.strided(&t, a, start%step, step)
	} else {
		err = c.blocks(&t, a, idx, g)
	}
	if err != nil {
		return nil, err
	}
	return c.einsum(shape, t), nil
}

// progression says whether idx is start, start+step, …; a single index has step 1.
func progression(idx []int) (start, step int, ok bool) {
	if len(idx) == 0 {
		return 0, 0, false
	}
	start, step = idx[0], 1
	if len(idx) > 1 {
		step = idx[1] - idx[0]
	}
	for i, x := range idx {
		if x != start+i*step {
			return 0, 0, false
		}
	}
	return start, step, step > 0
}

// strided selects every step-th cell of axis a: the axis is (i, r), r = start. A step that is no power of two would ask for another storage
// of the axis, which not every axis can have; it is a map like any other.
func (c *call) strided(t *ir.Term, a, start, step int) error {
	if err := c.charge(1, step); err != nil {
		return err
	}
	l := t.Axes[0][a][0]
	r := t.Split(l, step)
	e := make([]float64, step)
	e[start] = 1
	t.Out[a] = []int{l}
	t.In = append(t.In, int(c.public(fmt.Sprintf("select %d of %d", start, step), []int{step}, e)))
	t.Axes = append(t.Axes, [][]int{{r}})
	return nil
}

// blocks selects blocks of g cells of axis a; idx lists the cells.
func (c *call) blocks(t *ir.Term, a int, idx []int, g int) error {
	l := t.Axes[0][a][0]
	n := t.Extents[l]
	rows, cols := len(idx)/g, n/g
	if err := c.charge(1, rows, cols); err != nil {
		return err
	}
	t.Out[a] = []int{}
	if g > 1 {
		t.Out[a] = []int{t.Split(l, g)}
	}
	t.Axes[0][a] = append([]int{l}, t.Out[a]...)
	m := make([]float64, rows*cols)
	for r := 0; r < rows; r++ {
		m[r*cols+idx[r*g]/g] = 1
	}
	if rows == 1 {
		t.In = append(t.In, int(c.public(fmt.Sprintf("select %d of %d", idx[0]/g, cols), []int{cols}, m)))
		t.Axes = append(t.Axes, [][]int{{l}})
		return nil
	}
	row := len(t.Extents)
	t.Extents = append(t.Extents, rows)
	t.Out[a] = append([]int{row}, t.Out[a]...)
	t.In = append(t.In, int(c.public(fmt.Sprintf("select %d of %d", rows, cols), []int{rows, cols}, m)))
	t.Axes = append(t.Axes, [][]int{{row}, {l}})
	return nil
}

func slice(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	picks, err := c.slicePicks(x.shape)
	if err != nil {
		return nil, err
	}
	for a, idx := range picks {
		if idx == nil {
			continue
		}
		if x, err = c.selectAxis(x, a, idx); err != nil {
			return nil, err
		}
	}
	y := *x
	return []*val{&y}, nil
}

// slicePicks returns for every axis the chosen cells, nil where all are.
func (c *call) slicePicks(shape []int) ([][]int, error) {
	var lists [4][]int64
	names := []string{"starts", "ends", "axes", "steps"}
	for i, name := range names {
		v, ok, err := c.intsAttrOr(name, i+1)
		if err != nil {
			return nil, err
		}
		if !ok && i < 2 {
			return nil, fmt.Errorf("%s are missing", name)
		}
		lists[i] = v
	}
	starts, ends, axes, steps := lists[0], lists[1], lists[2], lists[3]
	if len(ends) != len(starts) || axes != nil && len(axes) != len(starts) || steps != nil && len(steps) != len(starts) {
		return nil, fmt.Errorf("starts, ends, axes and steps have different lengths")
	}
	picks := make([][]int, len(shape))
	for i := range starts {
		a, step := int64(i), int64(1)
		if axes != nil {
			a = axes[i]
		}
		if steps != nil {
			step = steps[i]
		}
		k, err := axis(a, len(shape))
		if err != nil || step == 0 {
			return nil, fmt.Errorf("axis %d, step %d: %w", a, step, err)
		}
		if err := c.charge(2, shape[k]); err != nil {
			return nil, err
		}
		picks[k] = sliceIndices(starts[i], ends[i], step, int64(shape[k]))
	}
	return picks, nil
}

// sliceIndices lists start, start+step, … before end, by the clamping rules of ONNX.
func sliceIndices(start, end, step, n int64) []int {
	clamp := func(v, lo, hi int64) int64 {
		if v < 0 {
			v += n
		}
		return max(lo, min(v, hi))
	}
	if n == 0 {
		return []int{}
	}
	if step > 0 {
		s, e, step := clamp(start, 0, n), clamp(end, 0, n), min(step, n)
		return steps(s, step, (e-s+step-1)/step)
	}
	s, e, step := clamp(start, 0, n-1), clamp(end, -1, n-1), max(step, -n)
	return steps(s, step, (e-s+step+1)/step)
}

func steps(start, step, n int64) []int {
	idx := make([]int, max(n, 0))
	for i := range idx {
		idx[i] = int(start + int64(i)*step)
	}
	return idx
}

// span lists n cells from one on.
func (c *call) span(start, n int) ([]int, error) {
	if err := c.charge(1, n); err != nil {
		return nil, err
	}
	return steps(int64(start), 1, int64(n)), nil
}

func split(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	a, parts, err := c.splitParts(x.shape)
	if err != nil {
		return nil, err
	}
	var outs []*val
	at := 0
	for _, p := range parts {
		idx, err := c.span(at, p)
		if err != nil {
			return nil, err
		}
		v, err := c.selectAxis(x, a, idx)
		if err != nil {
			return nil, err
		}
		outs = append(outs, v)
		at += p
	}
	return outs, nil
}

// splitParts returns the axis and the extents of a Split's outputs.
func (c *call) splitParts(shape []int) (int, []int, error) {
	a, err := axis(c.attrInt("axis", 0), len(shape))
	if err != nil {
		return 0, nil, err
	}
	sizes, given, err := c.intsAttrOr("split", 1)
	if err != nil {
		return 0, nil, err
	}
	n := shape[a]
	k := len(c.n.Outputs)
	if given {
		k = len(sizes)
	}
	if k == 0 {
		return 0, nil, fmt.Errorf("has no outputs")
	}
	var parts []int
	total := 0
	for i := 0; i < k; i++ {
		p := (n + k - 1) / k
		if given {
			if sizes[i] < 0 || sizes[i] > int64(n) {
				return 0, nil, fmt.Errorf("part %d has extent %d", i, sizes[i])
			}
			p = int(sizes[i])
		} else {
			p = min(p, n-total)
		}
		parts = append(parts, p)
		total += p
	}
	if total != n {
		return 0, nil, fmt.Errorf("parts %v do not add up to %d", parts, n)
	}
	return a, parts, nil
}

func gather(c *call) ([]*val, error) {
	if err := c.args(2); err != nil {
		return nil, err
	}
	x, ind := c.in[0], c.in[1]
	a, err := axis(c.attrInt("axis", 0), len(x.shape))
	if err != nil {
		return nil, err
	}
	if ind.private {
		return nil, c.secret(ind, "an index")
	}
	if ind.input != nil && a == 0 {
		return one(c.embed(x, ind))
	}
	if ind.input != nil {
		if ind, err = c.number(ind); err != nil {
			return nil, err
		}
	}
	if ind.c == nil {
		return one(c.gatherBy(x, ind, a))
	}
	idx, err := c.indices(ind.c, a, x.shape)
	if err != nil {
		return nil, err
	}
	y, err := c.selectAxis(x, a, idx)
	if err != nil {
		return nil, err
	}
	shape := append(append(append([]int{}, x.shape[:a]...), ind.shape...), x.shape[a+1:]...)
	return one(c.reshapeTo(y, shape))
}

// embed is the lookup of token ids in a table: the product of their one-hot vectors with it.
func (c *call) embed(table, ids *val) (*val, error) {
	vocab := table.shape[0]
	if ids.dtype != onnx.Int64 && ids.dtype != onnx.Int32 {
		return nil, fmt.Errorf("indices of type %s; they must be int32 or int64", ids.dtype)
	}
	if ids.input.guess {
		return nil, c.indexes(ids.input, vocab)
	}
	if n := c.b.rowsOf(ids.input); n > 0 && n < vocab || ids.input.port != nil && ids.input.port.Kind == plan.IDs && ids.input.port.Vocab() < vocab {
		if ids.input.port != nil {
			n = ids.input.port.Vocab()
		}
		span, err := c.span(0, n) // no id reads the rows behind them
		if err != nil {
			return nil, err
		}
		if table, err = c.selectAxis(table, 0, span); err != nil {
			return nil, err
		}
		vocab = n
	}
	if err := ids.narrow.keeps(c, vocab); err != nil {
		return nil, err
	}
	if _, err := c.decide(ids.input, plan.IDs, vocab); err != nil {
		return nil, err
	}
	hot := c.hot(ids.input)
	id, err := c.use(table)
	if err != nil {
		return nil, err
	}
	shape := append(append([]int{}, ids.shape...), table.shape[1:]...)
	axes, ext := ir.IdentityAxes(append(append([]int{}, shape...), vocab))
	v, rank := axes[len(shape)], len(ids.shape)
	t := ir.Term{Coef: 1, Extents: ext, In: []int{int(hot), int(id)}, Out: axes[:len(shape)]}
	t.Axes = [][][]int{{concatAxes(axes[:rank]), v}, append([][]int{v}, axes[rank:len(shape)]...)}
	return c.einsum(shape, t), nil
}

func concat(c *call) ([]*val, error) {
	x, a, err := c.alongAxis(0)
	if err != nil {
		return nil, err
	}
	shape := append([]int{}, x.shape...)
	shape[a] = 0
	g := 0
	var parts []*val
	for i := range c.in {
		v, err := c.arg(i)
		if err != nil {
			return nil, err
		}
		if len(v.shape) != len(shape) {
			return nil, c.unsupported("input %d of shape %v cannot be joined with shape %v", i, v.shape, x.shape)
		}
		if v.shape[a] == 0 {
			continue
		}
		parts = append(parts, v)
		shape[a] += v.shape[a]
		g = gcd(g, v.shape[a])
	}
	if len(parts) == 1 {
		y := *parts[0]
		return []*val{&y}, nil
	}
	if x.dtype.IsFloat() && slices.ContainsFunc(parts, func(v *val) bool { return c.maskedPart(v) != nil }) {
		return one(c.joinMasked(parts, shape, a, g))
	}
	var ts []ir.Term
	at := 0
	for _, v := range parts {
		t, err := c.placed(v, shape, a, at, g)
		if err != nil {
			return nil, err
		}
		ts = append(ts, t)
		at += v.shape[a]
	}
	y := c.einsum(shape, ts...)
	c.b.joins(y.id, parts)
	if a == len(shape)-1 && len(parts) == shape[a] { // each one column: indices on several axes
		y.parts = parts
	}
	return []*val{y}, nil
}

// joins notes of a Concat that a cell of it is one of a part's, and not a sum of cells of all of them.
func (b *builder) joins(id ir.ValueID, parts []*val) {
	var hull interval.Interval
	for i, v := range parts {
		if v.id == none {
			return
		}
		x := b.integers(v.id)
		if x == nil {
			return
		}
		if i == 0 {
			hull = *x
		} else {
			hull = hull.Or(*x)
		}
	}
	b.intervals[id] = &hull
}

// placed is the term of one part of a Concat: v at offset at of axis a, in blocks of g cells.
func (c *call) placed(v *val, shape []int, a, at, g int) (ir.Term, error) {
	for i, d := range shape {
		if i != a && d != v.shape[i] {
			return ir.Term{}, fmt.Errorf("shape %v does not fit %v", v.shape, shape)
		}
	}
	id, err := c.use(v)
	if err != nil {
		return ir.Term{}, err
	}
	whole := append([]int{}, v.shape...)
	whole[a] = 1 // axis a gets labels of its own
	axes, ext := ir.IdentityAxes(whole)
	rows, cols := shape[a]/g, v.shape[a]/g
	row := len(ext)
	t := ir.Term{Coef: 1, Extents: append(ext, rows, cols, g), In: []int{int(id)}, Axes: [][][]int{axes}, Out: append([][]int{}, axes...)}
	if err := c.charge(1, rows, cols); err != nil {
		return ir.Term{}, err
	}
	t.Axes[0][a], t.Out[a] = []int{row + 1, row + 2}, []int{row, row + 2}
	m := make([]float64, rows*cols)
	for j := 0; j < cols; j++ {
		m[(at/g+j)*cols+j] = 1
	}
	t.In = append(t.In, int(c.public(fmt.Sprintf("place %d in %d", at/g, rows), []int{rows, cols}, m)))
	t.Axes = append(t.Axes, [][]int{{row}, {row + 1}})
	return t, nil
}
