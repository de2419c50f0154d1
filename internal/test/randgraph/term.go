package randgraph

import (
	"fmt"
	"math/rand/v2"

	"github.com/zkllmc/zkllmc/ir"
)

// drawn is a term whose In are ids of whatever it is drawn over.
type drawn struct{ ir.Term }

// shapeOf is the shape of the term's result.
func (d drawn) shapeOf() []int {
	shape := make([]int, len(d.Out))
	for a, labels := range d.Out {
		shape[a] = d.AxisExtent(labels)
	}
	return shape
}

// size is the number of products of a term.
func (d drawn) size() int { return ir.Size(d.Extents) }

// operands is what terms are drawn over.
type operands interface {
	shape(id int) []int
	another(rng *rand.Rand) int             // any tensor
	leafOf(rng *rand.Rand, shape []int) int // a new weight or constant
	old(rng *rand.Rand) (id int, ok bool)   // a weight or constant that is there
	inner(rng *rand.Rand, extent int) bool  // whether the part of an axis behind its first one may have this extent
}

// inner: the planner stores an axis in the parts that it is ever split into, and looks at it through a map where two splits do not fit.
func (d *grapher) inner(rng *rand.Rand, extent int) bool {
	return powerOfTwo(extent) || rng.IntN(2) == 0
}

// inner: a circuit splits axes at powers of two.
func (c *caller) inner(_ *rand.Rand, extent int) bool { return powerOfTwo(extent) }

func powerOfTwo(n int) bool { return n&(n-1) == 0 }

func (d *grapher) shape(id int) []int { return d.g.Value(ir.ValueID(id)).Shape }

func (d *grapher) another(rng *rand.Rand) int {
	switch rng.IntN(40) {
	case 0:
		return int(d.ids)
	case 1, 2, 3:
		return int(d.hot)
	}
	return int(d.pick())
}

func (d *grapher) leafOf(rng *rand.Rand, shape []int) int {
	switch rng.IntN(10) {
	case 0, 1:
		return int(d.tensor(ir.OpConst, shape))
	case 2:
		return int(d.affine(rng, shape))
	}
	return int(d.tensor(ir.OpWeight, shape))
}

func (d *grapher) old(rng *rand.Rand) (int, bool) {
	if len(d.given) == 0 {
		return 0, false
	}
	return int(d.given[rng.IntN(len(d.given))]), true
}

// affine makes a map of indices.
func (d *grapher) affine(rng *rand.Rand, shape []int) ir.ValueID {
	a := &ir.AffineAttr{Offset: rng.Int64N(7) - 3}
	for range shape {
		a.Strides = append(a.Strides, rng.Int64N(7)-3)
	}
	v := d.g.NewValue(fmt.Sprintf("map%d", len(d.g.Values)), shape)
	id := d.define(ir.OpAffine, v)
	v.Def.Attr = a
	return id
}

// term draws a term over the graph's tensors with operand x among its factors.
func (d *grapher) term(want []int, x int) drawn {
	t := drawTerm(d.rng, d, want, x)
	t.Coef, t.ICoef = d.coef(), 1
	return t
}

// drawTerm draws a term with operand x and, unless want is nil, a result of that shape. What it draws first may be too large; the
// last attempt has no other factor than x, and always fits.
func drawTerm(rng *rand.Rand, ops operands, want []int, x int) drawn {
	for try := 0; ; try++ {
		b := &termBuilder{rng: rng, ops: ops, fit: want != nil || try > 2}
		if want != nil {
			b.wanted(want)
		}
		b.operand(x)
		for try < 4 && len(b.in) < 4 && rng.IntN(4*len(b.in)) < 3 {
			b.more()
		}
		if want == nil {
			b.result()
		}
		t := b.finish()
		if try >= 8 || t.size() <= maxLoop && ir.Size(t.shapeOf()) <= maxCells && len(t.Extents) <= 9 {
			return b.withLeaves(t)
		}
	}
}

// termBuilder collects the labels of a term. Weights that are not made yet are operands -1 until the term is final, so that a
// rejected term leaves nothing behind.
type termBuilder struct {
	rng  *rand.Rand
	ops  operands
	fit  bool // prefer labels that are there to new ones
	ext  []int
	in   []int
	axes [][][]int
	out  [][]int
}

func (b *termBuilder) label(extent int) int {
	b.ext = append(b.ext, extent)
	return len(b.ext) - 1
}

// fresh returns new labels for an axis: one, two if it can be split, perhaps none for extent 1.
func (b *termBuilder) fresh(extent int) []int {
	if extent == 1 && b.rng.IntN(2) == 0 {
		return []int{}
	}
	low := extent & -extent
	for low > 1 && low == extent && b.rng.IntN(2) == 0 {
		low /= 2
	}
	if odd := extent / low; odd > 1 && b.ops.inner(b.rng, odd) {
		low = odd
	}
	if low > 1 && b.rng.IntN(4) == 0 {
		return []int{b.label(extent / low), b.label(low)}
	}
	return []int{b.label(extent)}
}

func (b *termBuilder) wanted(shape []int) {
	for _, d := range shape {
		b.out = append(b.out, b.fresh(d))
	}
}

// operand adds a tensor as a factor: its axes take labels of the same extent where there are any, else new ones.
func (b *termBuilder) operand(id int) {
	taken := map[int]bool{}
	var axes [][]int
	for _, d := range b.ops.shape(id) {
		axes = append(axes, b.match(d, taken))
	}
	b.in, b.axes = append(b.in, id), append(b.axes, axes)
}

// match finds labels for an axis that the operand does not have yet.
func (b *termBuilder) match(extent int, taken map[int]bool) []int {
	if b.fit || b.rng.IntN(4) > 0 {
		for _, l := range b.rng.Perm(len(b.ext)) {
			if !taken[l] && b.ext[l] == extent && extent > 1 {
				taken[l] = true
				return []int{l}
			}
			for _, m := range b.rng.Perm(len(b.ext)) {
				if low := b.ext[m]; l != m && !taken[l] && !taken[m] && b.ext[l]*low == extent && low > 1 && b.ops.inner(b.rng, low) {
					taken[l], taken[m] = true, true
					return []int{l, m}
				}
			}
		}
	}
	labels := b.fresh(extent)
	for _, l := range labels {
		taken[l] = true
	}
	return labels
}

// more adds another factor: a new weight, one that is there, another tensor, or one that is a factor already, with the same labels or
// others.
func (b *termBuilder) more() {
	switch k := b.rng.IntN(10); {
	case k < 5:
		b.weight()
	case k < 6:
		if id, ok := b.ops.old(b.rng); ok {
			b.operand(id)
		}
	case k < 8:
		b.operand(b.ops.another(b.rng))
	default:
		i := b.rng.IntN(len(b.in))
		if b.in[i] < 0 {
			return
		}
		if b.rng.IntN(2) == 0 {
			b.in, b.axes = append(b.in, b.in[i]), append(b.axes, b.axes[i])
			return
		}
		b.operand(b.in[i])
	}
}

// weight adds a factor that is a new tensor over some of the labels and perhaps a new one.
func (b *termBuilder) weight() {
	var labels []int
	for _, l := range b.rng.Perm(len(b.ext)) {
		if b.rng.IntN(3) > 0 && len(labels) < 3 {
			labels = append(labels, l)
		}
	}
	if len(labels) == 0 || b.rng.IntN(4) == 0 && !b.fit {
		labels = append(labels, b.label(1+b.rng.IntN(6)))
	}
	b.in, b.axes = append(b.in, -1), append(b.axes, b.group(labels))
}

// group makes axes of labels: one each, or two merged.
func (b *termBuilder) group(labels []int) [][]int {
	axes := [][]int{}
	for _, l := range labels {
		if n := b.ext[l]; len(axes) > 0 && len(axes[len(axes)-1]) > 0 && b.rng.IntN(4) == 0 && b.ops.inner(b.rng, n) {
			axes[len(axes)-1] = append(axes[len(axes)-1], l)
			continue
		}
		axes = append(axes, []int{l})
	}
	return axes
}

// result chooses the axes of the result: some labels in any order, sometimes a label that no factor has, sometimes an axis of extent 1.
func (b *termBuilder) result() {
	var keep []int
	for _, l := range b.rng.Perm(len(b.ext)) {
		if len(keep) < maxRank && b.rng.IntN(4) > 0 {
			keep = append(keep, l)
		}
	}
	if len(keep) == 0 || b.rng.IntN(8) == 0 {
		keep = append(keep, b.label(1+b.rng.IntN(5)))
	}
	b.out = b.group(keep)
	if b.rng.IntN(10) == 0 {
		b.out = append(b.out, []int{})
	}
}

func (b *termBuilder) finish() drawn {
	return drawn{ir.Term{Coef: 1, ICoef: 1, Extents: b.ext, In: b.in, Axes: b.axes, Out: b.out}.Clone()}
}

// withLeaves makes the new weights of a final term.
func (b *termBuilder) withLeaves(t drawn) drawn {
	for i, id := range t.In {
		if id >= 0 {
			continue
		}
		shape := make([]int, len(t.Axes[i]))
		for a, labels := range t.Axes[i] {
			shape[a] = t.AxisExtent(labels)
		}
		t.In[i] = b.ops.leafOf(b.rng, shape)
	}
	return t
}
