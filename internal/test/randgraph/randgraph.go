// Package randgraph draws random programs for property tests: float graphs of the op table (Graph) and circuits that are made by
// calling the gadgets (Circuit). Everything follows from a seed. Every step has a generator of its own, so that a program with
// fewer steps is a prefix of the one with more, which is how a failing program is made small.
package randgraph

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/zkllmc/zkllmc/ir"
)

// Streams of a seed's random numbers.
const (
	streamShape = iota
	streamHead
	streamStep = 1 << 10 // plus the step
	streamRoot = 1 << 15 // plus the step
	streamJump = 1 << 16 // plus the step
	streamData = 1 << 20 // plus the number of the tensor
)

func stream(seed uint64, n int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(n))) }

// Limits of what is drawn.
const (
	maxCells = 256  // of a tensor
	maxLoop  = 8192 // products of a term
	maxRank  = 4
	MaxSteps = 9 // between embedding and logits
)

// grapher draws a float graph.
type grapher struct {
	g     *ir.Graph
	seed  uint64
	rng   *rand.Rand // of the step
	ids   ir.ValueID
	hot   ir.ValueID
	pool  []ir.ValueID // activations
	given []ir.ValueID // weights and constants
	used  map[ir.ValueID]bool
	T, V  int
}

// Graph draws a float graph of at most steps steps between embedding and logits; 0 for as many as the seed wants.
func Graph(seed uint64, steps int) *ir.Graph {
	rng := stream(seed, streamShape)
	d := &grapher{seed: seed, rng: rng, used: map[ir.ValueID]bool{}, T: 1 + rng.IntN(6), V: 2 + rng.IntN(8)}
	d.g = &ir.Graph{Name: fmt.Sprintf("random%d", seed), Stage: ir.StageFloat}
	ids := d.g.AddIDs("ids", d.T, d.V)
	d.ids = ids.ID
	d.hot = d.g.Add(ir.OpOneHot, "onehot", "onehot", []int{d.T, d.V}, []ir.ValueID{ids.ID}, nil).ID
	d.embed(1 + rng.IntN(9))
	n := 1 + rng.IntN(MaxSteps)
	if steps > 0 {
		n = min(n, steps)
	}
	layers, block := 1, n
	if rng.IntN(3) == 0 {
		layers, block = 2+rng.IntN(2), min(n, 1+rng.IntN(3))
	}
	d.layers(layers, block)
	for i := block; i < n; i++ {
		d.rng = stream(seed, streamStep+i)
		d.step(i)
	}
	d.rng = stream(seed, streamHead)
	d.head()
	return d.g
}

// embed adds the first activation.
func (d *grapher) embed(width int) {
	table := d.tensor(ir.OpWeight, []int{d.V, width})
	if v := d.g.Value(table); d.rng.IntN(3) == 0 { // calibrated on token 0 alone, all others saturate
		for i := range width {
			v.Data[i] /= 32
		}
	}
	t := ir.Term{Coef: 1, Extents: []int{d.T, d.V, width}, In: []int{int(d.hot), int(table)}, Axes: [][][]int{{{0}, {1}}, {{1}, {2}}}, Out: [][]int{{0}, {2}}}
	d.einsum("embed", []int{d.T, width}, t)
}

// layers draws a block of steps and repeats it with other weights. A repeated block takes one value, and hands on one of its shape.
func (d *grapher) layers(n, steps int) {
	if n == 1 {
		for i := range steps {
			d.rng = stream(d.seed, streamStep+i)
			d.step(i)
		}
		return
	}
	base := d.pool[:len(d.pool)-1]
	x := d.pool[len(d.pool)-1]
	shape := d.g.Value(x).Shape
	given := len(d.given)
	for range n {
		d.pool = append(append([]ir.ValueID(nil), base...), x)
		d.given = d.given[:given]
		for i := range steps {
			d.rng = stream(d.seed, streamStep+i)
			d.step(i)
		}
		d.rng = stream(d.seed, streamStep+steps)
		y := d.term(shape, int(d.pool[len(d.pool)-1]))
		axes, extents := ir.IdentityAxes(shape)
		carry := ir.Term{Coef: 1, Extents: extents, In: []int{int(x)}, Axes: [][][]int{axes}, Out: axes}
		x = d.einsum("carry", shape, carry, y)
	}
	d.pool = append(append([]ir.ValueID(nil), base...), x)
}

// step adds one operation.
func (d *grapher) step(i int) {
	origin := fmt.Sprintf("step%d", i)
	if rng := stream(d.seed, streamRoot+i); rng.IntN(10) == 0 {
		d.root(origin, ir.Roots[rng.IntN(len(ir.Roots))], []float64{1, 1, -1}[rng.IntN(3)])
		return
	}
	if rng := stream(d.seed, streamJump+i); rng.IntN(12) == 0 {
		d.jump(origin, rng.IntN(len(ir.Roundings)+1), []float64{1, -1}[rng.IntN(2)])
		return
	}
	if ops := pairwise(); len(ops) > 0 && d.rng.IntN(8) == 0 {
		x := d.pick()
		d.apply(ops[d.rng.IntN(len(ops))], origin, x, []ir.ValueID{d.alike(x)}, nil)
		return
	}
	switch k := d.rng.IntN(22); {
	case k < 9:
		d.sum(origin)
	case k >= 20:
		d.window(origin)
	case k < 12 && d.rng.IntN(3) == 0:
		d.gate(origin)
	case k < 12:
		if i := d.rng.IntN(len(ir.Functions) + 1); i < len(ir.Functions) {
			d.apply(ir.OpUnary, origin, d.pick(), nil, &ir.UnaryAttr{Fn: ir.Functions[i]})
		} else {
			d.apply(ir.OpStep, origin, d.pick(), nil, nil)
		}
	case k < 17:
		d.norm(origin)
	default:
		d.softmax(origin)
	}
}

// gate applies a function to channels of which one is far larger than the others, and takes that back behind it.
func (d *grapher) gate(origin string) {
	x := d.pick()
	shape := d.g.Value(x).Shape
	if len(shape) == 0 {
		return
	}
	axes, extents := ir.IdentityAxes(shape)
	last := len(shape) - 1
	up, down := d.g.NewValue("up", shape[last:]), d.g.NewValue("down", shape[last:])
	for i := range shape[last] {
		by := 1.0
		if i == 0 {
			by = 500
		}
		up.Data, down.Data = append(up.Data, by), append(down.Data, 1/by)
	}
	times := func(x ir.ValueID, by *ir.Value) ir.ValueID {
		t := ir.Term{Coef: 1, Extents: extents, In: []int{int(x), int(d.define(ir.OpWeight, by))}, Axes: [][][]int{axes, axes[last:]}, Out: axes}
		return d.einsumTerms(origin, shape, []ir.Term{t.Clone()})
	}
	fn := []string{"silu", "gelu", "gelu_tanh", "relu"}[d.rng.IntN(4)]
	d.apply(ir.OpUnary, origin, times(x, up), nil, &ir.UnaryAttr{Fn: fn})
	times(d.pool[len(d.pool)-1], down)
}

// root applies a root or a reciprocal to the squares of an activation and 1, of which reciprocals are drawn with either sign.
func (d *grapher) root(origin, fn string, sign float64) {
	if fn != "reciprocal" {
		sign = 1
	}
	d.apply(ir.OpUnary, origin, d.squares(origin, d.pick(), sign), nil, &ir.UnaryAttr{Fn: fn})
}

// squares adds the squares of an activation and 1, of a sign.
func (d *grapher) squares(origin string, x ir.ValueID, sign float64) ir.ValueID {
	shape := d.g.Value(x).Shape
	axes, extents := ir.IdentityAxes(shape)
	square := ir.Term{Coef: sign, Extents: extents, In: []int{int(x), int(x)}, Axes: [][][]int{axes, axes}, Out: axes}
	one := ir.Term{Coef: sign, Extents: extents, In: []int{}, Axes: [][][]int{}, Out: axes}
	return d.einsumTerms(origin, shape, []ir.Term{square.Clone(), one.Clone()})
}

// jump rounds an activation as the k-th of ir.Roundings does, or takes its remainder, behind the last of them, by the squares of what is alike
// and 1, of a sign. It is first moved off what another order of sums would round to another integer.
func (d *grapher) jump(origin string, k int, sign float64) {
	x := d.pick()
	shape := d.g.Value(x).Shape
	axes, extents := ir.IdentityAxes(shape)
	times := ir.Term{Coef: d.coef(), Extents: extents, In: []int{int(x)}, Axes: [][][]int{axes}, Out: axes}
	off := ir.Term{Coef: 0.37, Extents: extents, In: []int{}, Axes: [][][]int{}, Out: axes}
	moved := d.einsumTerms(origin, shape, []ir.Term{times.Clone(), off.Clone()})
	if k < len(ir.Roundings) {
		d.apply(ir.OpUnary, origin, moved, nil, &ir.UnaryAttr{Fn: ir.Roundings[k]})
		return
	}
	by := d.squares(origin, d.alike(x), sign)
	d.used[by] = true
	d.apply(ir.OpFmod, origin, moved, []ir.ValueID{by}, nil)
}

// pairwise lists the operations of the op table that take two tensors cell by cell, and no attributes, and any second one.
func pairwise() []ir.Op {
	var out []ir.Op
	for _, i := range ir.Ops() {
		if i.Is(ir.StageFloat) && i.Elementwise && i.MinIn == 2 && i.MaxIn == 2 && i.Op != ir.OpFmod {
			out = append(out, i.Op)
		}
	}
	return out
}

// alike returns a value of the shape of x: another activation if there is one, else a weight or a constant.
func (d *grapher) alike(x ir.ValueID) ir.ValueID {
	shape := d.g.Value(x).Shape
	for _, i := range d.rng.Perm(len(d.pool)) {
		if id := d.pool[i]; id != x && slices.Equal(d.g.Value(id).Shape, shape) {
			d.used[id] = true
			return id
		}
	}
	return d.leaf(shape)
}

// pick chooses an activation, a late one rather than an early one.
func (d *grapher) pick() ir.ValueID {
	n := len(d.pool)
	if d.rng.IntN(2) == 0 {
		return d.pool[n-1]
	}
	return d.pool[d.rng.IntN(n)]
}

// apply adds an operation that keeps the shape.
func (d *grapher) apply(op ir.Op, origin string, x ir.ValueID, more []ir.ValueID, attr ir.Attr) {
	d.used[x] = true
	d.pool = append(d.pool, d.g.Add(op, origin, origin, d.g.Value(x).Shape, append([]ir.ValueID{x}, more...), attr).ID)
}

// sum adds an Einsum of one to three terms.
func (d *grapher) sum(origin string) {
	first := d.term(nil, int(d.pick()))
	shape := first.shapeOf()
	terms := []ir.Term{first.Term}
	for d.rng.IntN(4) == 0 && len(terms) < 3 {
		terms = append(terms, d.term(shape, int(d.pick())).Term)
	}
	if d.rng.IntN(8) == 0 && ir.Size(shape) <= maxCells { // a bias that is a whole tensor, or a constant everywhere
		axes, extents := ir.IdentityAxes(shape)
		t := ir.Term{Coef: d.coef(), Extents: extents, Out: axes, In: []int{}, Axes: [][][]int{}}
		if d.rng.IntN(2) == 0 {
			t.In, t.Axes = []int{int(d.leaf(shape))}, [][][]int{axes}
		}
		terms = append(terms, t)
	}
	d.rng.Shuffle(len(terms), func(i, j int) { terms[i], terms[j] = terms[j], terms[i] })
	d.einsumTerms(origin, shape, terms)
}

// einsum adds an Einsum of a given term and a drawn one.
func (d *grapher) einsum(origin string, shape []int, t ir.Term, more ...drawn) ir.ValueID {
	terms := []ir.Term{t}
	for _, m := range more {
		terms = append(terms, m.Term)
	}
	return d.einsumTerms(origin, shape, terms)
}

func (d *grapher) einsumTerms(origin string, shape []int, terms []ir.Term) ir.ValueID {
	for i := range terms {
		for _, id := range terms[i].In {
			d.used[ir.ValueID(id)] = true
		}
		if d.rng.IntN(3) > 0 { // the passes normalise; the op table does not ask for it
			terms[i].Normalise()
		}
	}
	in, attr := ir.Bind(terms)
	id := d.g.Add(ir.OpEinsum, origin, origin, shape, in, attr).ID
	d.pool = append(d.pool, id)
	return id
}

// window slides windows over an axis of an activation, over its edges too, and weighs their cells or takes the larger of the outermost.
func (d *grapher) window(origin string) {
	x := d.pick()
	shape := d.g.Value(x).Shape
	if len(shape) == 0 {
		return
	}
	a := d.rng.IntN(len(shape))
	taps, apart, step := 2+d.rng.IntN(2), 1+d.rng.IntN(2), 1+d.rng.IntN(2)
	before := d.rng.IntN(apart*(taps-1) + 1)
	out := 1 + (shape[a]+before-1)/step // windows may reach beyond the end
	if d.rng.IntN(2) == 0 {             // that look back only
		step, before, out = 1, apart*(taps-1), shape[a]
	}
	if ir.Size(shape)/shape[a]*out*taps > maxCells {
		return
	}
	d.used[x] = true
	if d.rng.IntN(3) == 0 {
		first := d.gather(origin, x, a, out, 1, []int64{int64(before), 1, int64(-step), 0})
		last := d.gather(origin, x, a, out, 1, []int64{int64(before - apart*(taps-1)), 1, int64(-step), 0})
		d.apply(ir.OpMax, origin, first, []ir.ValueID{last}, nil)
		return
	}
	u := d.gather(origin, x, a, out, taps, []int64{int64(before), 1, int64(-step), int64(-apart)})
	axes, extents := ir.IdentityAxes(append(append([]int{}, d.g.Value(u).Shape[:a+1]...), d.g.Value(u).Shape[a+2:]...))
	k := []int{len(extents)}
	t := ir.Term{Coef: d.coef(), Extents: append(extents, taps), In: []int{int(u), int(d.leaf([]int{taps}))}, Out: axes}
	t.Axes = [][][]int{append(append(append([][]int{}, axes[:a+1]...), k), axes[a+1:]...), {k}}
	d.einsumTerms(origin, append(append([]int{}, d.g.Value(u).Shape[:a+1]...), d.g.Value(u).Shape[a+2:]...), []ir.Term{t.Clone()})
}

// gather is a map of indices times an activation: the axis becomes windows and, unless there is one, their cells. The equation is an offset
// and the strides of the axis, the windows and the cells.
func (d *grapher) gather(origin string, x ir.ValueID, a, out, taps int, equation []int64) ir.ValueID {
	shape := d.g.Value(x).Shape
	axes, extents := ir.IdentityAxes(shape)
	if shape[a] == 1 {
		axes[a], extents = []int{len(extents)}, append(extents, 1)
	}
	o, k := []int{len(extents)}, []int{len(extents) + 1}
	t := ir.Term{Coef: 1, Extents: append(extents, out, taps), Axes: [][][]int{axes, {axes[a], o, k}}}
	t.Out = append(append([][]int{}, axes[:a]...), o)
	result := append(append([]int{}, shape[:a]...), out)
	if taps > 1 {
		t.Out, result = append(t.Out, k), append(result, taps)
	}
	t.Out, result = append(t.Out, axes[a+1:]...), append(result, shape[a+1:]...)
	v := d.g.NewValue(fmt.Sprintf("map%d", len(d.g.Values)), []int{shape[a], out, taps})
	t.In = []int{int(x), int(d.define(ir.OpAffine, v))}
	v.Def.Attr = &ir.AffineAttr{Offset: equation[0], Strides: equation[1:]}
	return d.einsumTerms(origin, result, []ir.Term{t.Clone()})
}

// norm adds a normalisation over the last axis.
func (d *grapher) norm(origin string) {
	x := d.pick()
	shape := d.g.Value(x).Shape
	if len(shape) == 1 && d.rng.IntN(8) > 0 { // refused: a root of shape []
		return
	}
	width := shape[len(shape)-1:]
	a := &ir.NormAttr{Center: d.rng.IntN(2) == 0, Eps: []float64{1e-6, 1e-5, 1e-3, 1}[d.rng.IntN(4)], HasGamma: d.rng.IntN(3) > 0, HasBeta: d.rng.IntN(2) == 0}
	var more []ir.ValueID
	for _, has := range []bool{a.HasGamma, a.HasBeta} {
		if has {
			more = append(more, d.leaf(width))
		}
	}
	d.apply(ir.OpNorm, origin, x, more, a)
}

// leaf returns a weight or constant of the shape, an old one now and then.
func (d *grapher) leaf(shape []int) ir.ValueID {
	if d.rng.IntN(4) == 0 {
		for _, id := range d.given {
			if fmt.Sprint(d.g.Value(id).Shape) == fmt.Sprint(shape) {
				return id
			}
		}
	}
	if d.rng.IntN(4) == 0 {
		return d.tensor(ir.OpConst, shape)
	}
	return d.tensor(ir.OpWeight, shape)
}

// softmax adds a softmax over the last axis, with one of several masks.
func (d *grapher) softmax(origin string) {
	x := d.pick()
	shape := d.g.Value(x).Shape
	if len(shape) == 1 {
		return
	}
	a := &ir.SoftmaxAttr{Scale: []float64{1, 0.35, 0.1, 2, 8}[d.rng.IntN(5)], HasMask: d.rng.IntN(3) > 0}
	var more []ir.ValueID
	if a.HasMask {
		v := d.g.NewValue("mask", shape[len(shape)-1-d.rng.IntN(len(shape)):])
		v.Data = maskData(d.rng, v.Shape)
		more = []ir.ValueID{d.define(ir.OpConst, v)}
	}
	d.apply(ir.OpSoftmax, origin, x, more, a)
}

// maskData is a mask of the shape, 1 where masked: causal, padding-like (the last cells of each row), random, or empty. No row is
// all masked.
func maskData(rng *rand.Rand, shape []int) []float64 {
	data := make([]float64, ir.Size(shape))
	w := shape[len(shape)-1]
	kind, cut := rng.IntN(4), 1+rng.IntN(w)
	for r := 0; r*w < len(data); r++ {
		row := data[r*w : (r+1)*w]
		for j := range row {
			hide := false
			switch kind {
			case 0:
				hide = len(shape) > 1 && j > r%shape[len(shape)-2]
			case 1:
				hide = j >= cut
			case 2:
				hide = rng.IntN(2) == 0
			}
			if hide {
				row[j] = 1
			}
		}
		if kind == 2 {
			row[rng.IntN(w)] = 0
		}
	}
	return data
}

// head adds the logits: a sum over what nothing has used yet, so that little of the program is dead.
func (d *grapher) head() {
	shape := []int{d.T, d.V}
	terms := []ir.Term{d.term(shape, int(d.pool[len(d.pool)-1])).Term}
	for i := len(d.pool) - 2; i >= 0 && len(terms) < 3; i-- {
		if !d.used[d.pool[i]] && d.rng.IntN(2) == 0 {
			terms = append(terms, d.term(shape, int(d.pool[i])).Term)
		}
	}
	d.g.Return(d.einsumTerms("head", shape, terms))
}

// tensor makes a weight or constant with random cells.
func (d *grapher) tensor(op ir.Op, shape []int) ir.ValueID {
	v := d.g.NewValue(fmt.Sprintf("%s%d", map[ir.Op]string{ir.OpWeight: "w", ir.OpConst: "c"}[op], len(d.g.Values)), shape)
	rng := stream(d.seed, streamData+len(d.g.Values)) // not the step's: repeated blocks have different weights
	if op == ir.OpConst {
		rng = stream(d.seed, streamData+d.rng.IntN(1000)) // but the same constants
	}
	v.Data = cells(rng, shape)
	id := d.define(op, v)
	d.given = append(d.given, id)
	return id
}

func (d *grapher) define(op ir.Op, v *ir.Value) ir.ValueID {
	n := &ir.Node{Op: op, Origin: v.Name, Out: []ir.ValueID{v.ID}}
	v.Def = n
	d.g.Nodes = append(d.g.Nodes, n)
	return v.ID
}

// cells draws the cells of a weight or constant: normal at several sizes, one magnitude, one outlier, ones.
func cells(rng *rand.Rand, shape []int) []float64 {
	data := make([]float64, ir.Size(shape))
	dev := []float64{1, 1, 1, 1, 1, 1, 0.1, 5, 1e-4}[rng.IntN(9)] / math.Sqrt(float64(shape[len(shape)-1]))
	kind := rng.IntN(12)
	for i := range data {
		switch kind {
		case 0:
			data[i] = dev * float64(rng.IntN(3)-1)
		case 1:
			data[i] = dev
		case 2:
			data[i] = 1
		default:
			data[i] = dev * rng.NormFloat64()
		}
	}
	if kind == 3 {
		data[rng.IntN(len(data))] = 40 * dev
	}
	return data
}

// coef draws a term's coefficient.
func (d *grapher) coef() float64 {
	return []float64{1, 1, 1, 1, 1, 1, 1, -1, -1, 0.5, 2, 0.125, 0.3, -1.7, 1e-3, 30}[d.rng.IntN(16)]
}
