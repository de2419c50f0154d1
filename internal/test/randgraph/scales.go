package randgraph

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/ir"
)

// Scaled draws a decoder of the usual form, and the same function of other weights: scales are moved between the weights on both sides of
// activations, channel by channel or of all channels alike, and the residual stream gets another magnitude. Activations and weights of the
// second have magnitudes from 1e-9 to 1e5, some of them in one channel alone. What outliers an embedding has, both have.
func Scaled(seed uint64) (plain, scaled *ir.Graph) {
	d := newDecoder(seed)
	d.draw()
	plain = d.g
	scaled = d.copied()
	d.move(scaled)
	return plain, scaled
}

// decoder draws a decoder and remembers where its scales may go.
type decoder struct {
	seed          uint64
	rng           *rand.Rand
	g             *ir.Graph
	T, V, D, F    int
	hot           ir.ValueID
	edges         []edge
	stream, norms []ir.ValueID // what is added to the residual stream, and the normalisations that read it
}

// edge is an activation: its channels are the last axis of the weights before it, and the first one of those behind it, or where lasts is
// set the last of these too, as of queries and keys.
type edge struct {
	before, behind []ir.ValueID
	lasts          bool
}

func newDecoder(seed uint64) *decoder {
	rng := stream(seed, streamShape)
	d := &decoder{seed: seed, rng: rng, T: 2 + rng.IntN(4), V: 4 + rng.IntN(5), D: 4 + rng.IntN(5), F: 4 + rng.IntN(5)}
	d.g = &ir.Graph{Name: fmt.Sprintf("scaled%d", seed), Stage: ir.StageFloat}
	return d
}

func (d *decoder) draw() {
	ids := d.g.AddIDs("ids", d.T, d.V)
	d.hot = d.g.Add(ir.OpOneHot, "onehot", "onehot", []int{d.T, d.V}, []ir.ValueID{ids.ID}, nil).ID
	table := d.weight(d.V, d.D)
	d.outliers(d.g.Value(table).Data)
	d.stream = append(d.stream, table)
	x := d.sum("tv,vd->td", d.hot, table)
	for range 1 + d.rng.IntN(2) {
		if d.rng.IntN(2) == 0 {
			x = d.attention(x)
		}
		x = d.mlp(x)
	}
	head := d.weight(d.D, d.V)
	d.g.Return(d.sum("td,dv->tv", d.norm(x, head), head))
}

// outliers makes a row, a column or a cell of an embedding another size, of some.
func (d *decoder) outliers(cells []float64) {
	kind, by := d.rng.IntN(6), math.Pow(10, 1+4*d.rng.Float64())
	at := d.rng.IntN(len(cells))
	for i := range cells {
		if kind == 0 && i/d.D == at/d.D || kind == 1 && i%d.D == at%d.D || kind == 2 && i == at {
			cells[i] *= by
		}
	}
}

func (d *decoder) attention(x ir.ValueID) ir.ValueID {
	q, k, v, o := d.weight(d.D, d.F), d.weight(d.D, d.F), d.weight(d.D, d.F), d.weight(d.F, d.D)
	n := d.norm(x, q, k, v)
	scores := d.sum("tf,sf->ts", d.sum("td,df->tf", n, q), d.sum("td,df->tf", n, k))
	mask := d.g.NewValue("mask", []int{d.T, d.T})
	for i := range d.T * d.T {
		mask.Data = append(mask.Data, map[bool]float64{true: 1}[i%d.T > i/d.T])
	}
	p := d.g.Add(ir.OpSoftmax, "softmax", "softmax", []int{d.T, d.T}, []ir.ValueID{scores, d.define(ir.OpConst, mask)}, &ir.SoftmaxAttr{Scale: 1 / math.Sqrt(float64(d.F)), HasMask: true})
	context := d.sum("ts,sf->tf", p.ID, d.sum("td,df->tf", n, v))
	d.edges = append(d.edges, edge{before: []ir.ValueID{q}, behind: []ir.ValueID{k}, lasts: true}, edge{before: []ir.ValueID{v}, behind: []ir.ValueID{o}})
	d.stream = append(d.stream, o)
	return d.add(x, d.sum("tf,fd->td", context, o))
}

func (d *decoder) mlp(x ir.ValueID) ir.ValueID {
	up, down := d.weight(d.D, d.F), d.weight(d.F, d.D)
	behind := []ir.ValueID{up}
	activations := []string{"silu", "gelu", "gelu_tanh", "sigmoid", "tanh", "relu"}
	fn := activations[d.rng.IntN(len(activations))]
	gated := d.rng.IntN(2) == 0
	var gate ir.ValueID
	if gated {
		gate = d.weight(d.D, d.F)
		behind = append(behind, gate)
	}
	n := d.norm(x, behind...)
	u := d.sum("td,df->tf", n, up)
	a := d.g.Add(ir.OpUnary, fn, fn, []int{d.T, d.F}, []ir.ValueID{u}, &ir.UnaryAttr{Fn: fn}).ID
	switch {
	case gated:
		a = d.sum("tf,tf->tf", a, d.sum("td,df->tf", n, gate))
		d.edges = append(d.edges, edge{before: []ir.ValueID{gate}, behind: []ir.ValueID{down}})
	case fn == "relu":
		d.edges = append(d.edges, edge{before: []ir.ValueID{up}, behind: []ir.ValueID{down}})
	}
	d.stream = append(d.stream, down)
	return d.add(x, d.sum("tf,fd->td", a, down))
}

// norm normalises the stream; the weights take what comes of it.
func (d *decoder) norm(x ir.ValueID, behind ...ir.ValueID) ir.ValueID {
	a := &ir.NormAttr{Center: d.rng.IntN(2) == 0, Eps: []float64{1e-12, 1e-6, 1e-5}[d.rng.IntN(3)], HasGamma: true}
	gamma := d.weight(d.D)
	in, before := []ir.ValueID{x, gamma}, []ir.ValueID{gamma}
	for i := range d.g.Value(gamma).Data {
		d.g.Value(gamma).Data[i]++
	}
	if d.rng.IntN(3) == 0 {
		a.HasBeta = true
		beta := d.weight(d.D)
		in, before = append(in, beta), append(before, beta)
	}
	d.edges = append(d.edges, edge{before: before, behind: behind})
	n := d.g.Add(ir.OpNorm, "norm", "norm", []int{d.T, d.D}, in, a).ID
	d.norms = append(d.norms, n)
	return n
}

// weight draws a weight whose products with cells of size 1 are of size 1.
func (d *decoder) weight(shape ...int) ir.ValueID {
	v := d.g.NewValue(fmt.Sprintf("w%d", len(d.g.Values)), shape)
	rng := stream(d.seed, streamData+len(d.g.Values))
	for range ir.Size(shape) {
		v.Data = append(v.Data, rng.NormFloat64()/math.Sqrt(float64(shape[0])))
	}
	return d.define(ir.OpWeight, v)
}

func (d *decoder) define(op ir.Op, v *ir.Value) ir.ValueID {
	v.Def = &ir.Node{Op: op, Origin: v.Name, Out: []ir.ValueID{v.ID}}
	d.g.Nodes = append(d.g.Nodes, v.Def)
	return v.ID
}

// sum adds an Einsum of one term; labels are letters.
func (d *decoder) sum(spec string, in ...ir.ValueID) ir.ValueID {
	return d.terms(spec, d.term(spec, in...))
}

func (d *decoder) add(x, y ir.ValueID) ir.ValueID {
	return d.terms("residual", d.term("td->td", x), d.term("td->td", y))
}

func (d *decoder) terms(origin string, ts ...ir.Term) ir.ValueID {
	var shape []int
	for _, labels := range ts[0].Out {
		shape = append(shape, ts[0].AxisExtent(labels))
	}
	in, attr := ir.Bind(ts)
	return d.g.Add(ir.OpEinsum, origin, "sum", shape, in, attr).ID
}

func (d *decoder) term(spec string, in ...ir.ValueID) ir.Term {
	from, to, _ := strings.Cut(spec, "->")
	t := ir.Term{Coef: 1}
	labels := map[rune]int{}
	for i, s := range strings.Split(from, ",") {
		var axes [][]int
		for a, c := range []rune(s) {
			if _, ok := labels[c]; !ok {
				labels[c] = len(labels)
				t.Extents = append(t.Extents, d.g.Value(in[i]).Shape[a])
			}
			axes = append(axes, []int{labels[c]})
		}
		t.In, t.Axes = append(t.In, int(in[i])), append(t.Axes, axes)
	}
	for _, c := range to {
		t.Out = append(t.Out, []int{labels[c]})
	}
	return t
}

// copied is the graph with cells and attributes of its own.
func (d *decoder) copied() *ir.Graph {
	c := *d.g
	c.Values, c.Nodes = slices.Clone(d.g.Values), slices.Clone(d.g.Nodes)
	for i, n := range d.g.Nodes {
		m := *n
		if a, ok := n.Attr.(*ir.NormAttr); ok {
			b := *a
			m.Attr = &b
		}
		c.Nodes[i] = &m
		for _, id := range n.Out {
			v := *d.g.Values[id]
			v.Def, v.Data = &m, slices.Clone(v.Data)
			c.Values[id] = &v
		}
	}
	return &c
}

// move moves scales of a copy.
func (d *decoder) move(g *ir.Graph) {
	d.rng = stream(d.seed, streamHead)
	for _, e := range d.edges {
		width := last(g.Value(e.before[0]).Shape)
		by := d.scales(width)
		for _, id := range e.before {
			v := g.Value(id)
			for i := range v.Data {
				v.Data[i] *= by[i%width]
			}
		}
		for _, id := range e.behind {
			v := g.Value(id)
			for i := range v.Data {
				k := i / last(v.Shape)
				if e.lasts {
					k = i % width
				}
				v.Data[i] /= by[k]
			}
		}
	}
	if d.rng.IntN(2) == 0 {
		d.resize(g, magnitude(d.rng))
	}
}

// resize gives the residual stream another magnitude: what is added to it, and the epsilons of the normalisations that read it.
func (d *decoder) resize(g *ir.Graph, by float64) {
	for _, id := range d.stream {
		for i := range g.Value(id).Data {
			g.Value(id).Data[i] *= by
		}
	}
	for _, id := range d.norms {
		g.Value(id).Def.Attr.(*ir.NormAttr).Eps *= by * by
	}
}

func last(shape []int) int { return shape[len(shape)-1] }

// magnitude is evenly drawn by its logarithm.
func magnitude(rng *rand.Rand) float64 { return math.Pow(10, 14*rng.Float64()-9) }

// scales draws what the channels of an activation are multiplied with: nothing, one number, one channel by much, each by another number,
// each by a power of two.
func (d *decoder) scales(n int) []float64 {
	by := make([]float64, n)
	kind, all, at := d.rng.IntN(5), magnitude(d.rng), d.rng.IntN(n)
	for i := range by {
		switch by[i] = 1; kind {
		case 1:
			by[i] = all
		case 2:
			if i == at {
				by[i] = math.Pow(10, 1+4*d.rng.Float64())
			}
		case 3:
			by[i] = math.Pow(10, 4*d.rng.Float64()-2)
		case 4:
			by[i] = math.Ldexp(1, d.rng.IntN(13)-6)
		}
	}
	return by
}
