// Package synthetic makes small transformers as float graphs, for tests that need a model of any depth and no ONNX file.
package synthetic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
)

// GPT returns a GPT-2-like language model: LayerNorm with bias, learned positions, biases, GELU, as Graph otherwise.
func GPT(layers, d, heads, T, vocab int, seed uint64) *ir.Graph {
	m := newMaker(d, heads, T, vocab, seed)
	m.gpt = true
	return m.build(layers)
}

// Graph returns a LLaMA-like language model in the canonical form that the passes produce: RMSNorm, causal attention with
// heads heads and rotary positions, a SiLU-gated MLP of width 2d, tied embeddings. d must be a multiple of heads, d/heads even.
func Graph(layers, d, heads, T, vocab int, seed uint64) *ir.Graph {
	return newMaker(d, heads, T, vocab, seed).build(layers)
}

// Sketch is GPT, or Graph, with an MLP of any width, whose weights have no cells: it can be sized up and not run.
func Sketch(gpt bool, layers, d, heads, T, vocab, width int) *ir.Graph {
	m := newMaker(d, heads, T, vocab, 0)
	m.gpt, m.width, m.sketch = gpt, width, true
	return m.build(layers)
}

func newMaker(d, heads, T, vocab int, seed uint64) *maker {
	m := &maker{g: &ir.Graph{Name: "synthetic", Stage: ir.StageFloat, Causal: true}, rng: rand.New(rand.NewPCG(seed, 1))}
	m.T, m.d, m.h, m.v, m.width = T, d, heads, vocab, 2*d
	return m
}

type maker struct {
	g              *ir.Graph
	rng            *rand.Rand
	T, d, h, v     int
	width          int // of the MLP
	cos, sin, turn ir.ValueID
	mask           ir.ValueID
	scope          string
	gpt            bool
	sketch         bool
}

func (m *maker) build(layers int) *ir.Graph {
	g := m.g
	ids := g.AddIDs("ids", m.T, m.v)
	hot := g.Add(ir.OpOneHot, "embed", "embed onehot", []int{m.T, m.v}, []ir.ValueID{ids.ID}, nil)
	table := m.weight("embed.weight", 0.5, m.v, m.d)
	m.constants()
	x := m.einsum("embed", "tv,vd->td", hot.ID, table)
	if m.gpt {
		x = m.add("positions", x, m.weight("positions.weight", 0.2, m.T, m.d))
	}
	for l := range layers {
		m.scope = fmt.Sprintf("layers.%d.", l)
		x = m.attention(x)
		x = m.mlp(x)
	}
	m.scope = ""
	y := m.norm("norm", x)
	g.Return(m.einsum("logits", "td,vd->tv", y, table))
	return g
}

func (m *maker) attention(x ir.ValueID) ir.ValueID {
	y := m.norm("input_norm", x)
	if m.gpt {
		return m.plainAttention(x, y)
	}
	q := m.rope("q", m.einsum("q_proj", "ti,(he)i->the", y, m.weight("q_proj.weight", 0, m.d, m.d)))
	k := m.rope("k", m.einsum("k_proj", "ti,(he)i->the", y, m.weight("k_proj.weight", 0, m.d, m.d)))
	v := m.einsum("v_proj", "ti,(he)i->the", y, m.weight("v_proj.weight", 0, m.d, m.d))
	return m.attend(x, q, k, v)
}

func (m *maker) plainAttention(x, y ir.ValueID) ir.ValueID {
	project := func(name string) ir.ValueID {
		return m.bias(name, m.einsum(name, "ti,(he)i->t(he)", y, m.weight(name+".weight", 0, m.d, m.d)), m.d)
	}
	split := func(id ir.ValueID) ir.ValueID { return m.einsum("heads", "t(he)->the", id) }
	q, k, v := project("q_proj"), project("k_proj"), project("v_proj")
	return m.attend(x, split(q), split(k), split(v))
}

// bias adds a vector to every line.
func (m *maker) bias(name string, x ir.ValueID, width int) ir.ValueID {
	b := m.weight(name+".bias", 0.1, 1, width)
	m.g.Value(b).Shape = []int{width}
	a, c := m.term("td->td", 0), m.term("d->td", 1)
	a.Extents, c.Extents = []int{m.T, width}, []int{width, m.T}
	return m.g.Add(ir.OpEinsum, m.scope+name, m.scope+name+"_biased", []int{m.T, width}, []ir.ValueID{x, b}, &ir.EinsumAttr{Terms: []ir.Term{a, c}}).ID
}

func (m *maker) attend(x, q, k, v ir.ValueID) ir.ValueID {
	s := m.einsum("scores", "the,she->hts", q, k)
	attr := &ir.SoftmaxAttr{Scale: 1 / math.Sqrt(float64(m.d/m.h)), HasMask: true}
	p := m.g.Add(ir.OpSoftmax, m.scope+"softmax", m.scope+"softmax", []int{m.h, m.T, m.T}, []ir.ValueID{s, m.mask}, attr).ID
	a := m.einsum("context", "hts,she->t(he)", p, v)
	o := m.einsum("o_proj", "ti,oi->to", a, m.weight("o_proj.weight", 0, m.d, m.d))
	return m.add("attn_residual", x, o)
}

func (m *maker) mlp(x ir.ValueID) ir.ValueID {
	y := m.norm("post_norm", x)
	if m.gpt {
		fc := m.bias("fc", m.einsum("fc", "ti,oi->to", y, m.weight("fc.weight", 0, m.width, m.d)), m.width)
		act := m.g.Add(ir.OpUnary, m.scope+"gelu", m.scope+"gelu", []int{m.T, 2 * m.d}, []ir.ValueID{fc}, &ir.UnaryAttr{Fn: "gelu"}).ID
		proj := m.bias("proj", m.einsum("proj", "ti,oi->to", act, m.weight("proj.weight", 0, m.d, m.width)), m.d)
		return m.add("mlp_residual", x, proj)
	}
	gate := m.einsum("gate_proj", "ti,oi->to", y, m.weight("gate_proj.weight", 0, m.width, m.d))
	up := m.einsum("up_proj", "ti,oi->to", y, m.weight("up_proj.weight", 0, m.width, m.d))
	act := m.g.Add(ir.OpUnary, m.scope+"silu", m.scope+"silu", []int{m.T, 2 * m.d}, []ir.ValueID{gate}, &ir.UnaryAttr{Fn: "silu"}).ID
	h := m.einsum("gated", "to,to->to", act, up)
	return m.add("mlp_residual", x, m.einsum("down_proj", "ti,oi->to", h, m.weight("down_proj.weight", 0, m.d, m.width)))
}

// rope rotates the pairs (i, i+half) of every head: x·cos + rotate(x)·sin, the rotation as a signed permutation matrix.
func (m *maker) rope(name string, x ir.ValueID) ir.ValueID {
	e := m.d / m.h
	shape := []int{m.T, m.h, e}
	a := m.term("the,te->the", 0, 1)
	b := m.term("thf,fe,te->the", 0, 2, 3)
	n := m.g.Add(ir.OpEinsum, m.scope+name+"_rope", m.scope+name+"_rope", shape, []ir.ValueID{x, m.cos, m.turn, m.sin}, &ir.EinsumAttr{Terms: []ir.Term{a, b}})
	return n.ID
}

func (m *maker) add(name string, x, y ir.ValueID) ir.ValueID {
	shape := []int{m.T, m.d}
	terms := []ir.Term{m.term("td->td", 0), m.term("td->td", 1)}
	return m.g.Add(ir.OpEinsum, m.scope+name, m.scope+name, shape, []ir.ValueID{x, y}, &ir.EinsumAttr{Terms: terms}).ID
}

func (m *maker) norm(name string, x ir.ValueID) ir.ValueID {
	gamma := m.g.NewValue(m.scope+name+".weight", []int{m.d})
	for range m.d {
		gamma.Data = append(gamma.Data, 1+float64(0.2*m.normal()))
	}
	m.define(ir.OpWeight, gamma)
	attr, in := &ir.NormAttr{Eps: 1e-5, HasGamma: true}, []ir.ValueID{x, gamma.ID}
	if m.gpt {
		beta := m.weight(name+".bias", 0.1, 1, m.d)
		m.g.Value(beta).Shape = []int{m.d}
		attr.Center, attr.HasBeta, in = true, true, append(in, beta)
	}
	return m.g.Add(ir.OpNorm, m.scope+name, m.scope+name, []int{m.T, m.d}, in, attr).ID
}

func (m *maker) constants() {
	e := m.d / m.h
	cos, sin, turn := m.g.NewValue("cos", []int{m.T, e}), m.g.NewValue("sin", []int{m.T, e}), m.g.NewValue("rotate", []int{e, e})
	turn.Data = make([]float64, e*e)
	for i := range e / 2 {
		turn.Data[(i+e/2)*e+i] = -1
		turn.Data[i*e+i+e/2] = 1
	}
	mask := m.g.NewValue("mask", []int{m.T, m.T})
	for t := range m.T {
		for i := range e {
			angle := float64(float64(t) * portable.Pow(10000, -float64(i%(e/2))/float64(e/2)))
			cos.Data = append(cos.Data, portable.Cos(angle))
			sin.Data = append(sin.Data, portable.Sin(angle))
		}
		for s := range m.T {
			hidden := 0.0
			if s > t {
				hidden = 1
			}
			mask.Data = append(mask.Data, hidden)
		}
	}
	for _, v := range []*ir.Value{cos, sin, turn, mask} {
		m.define(ir.OpConst, v)
	}
	m.cos, m.sin, m.turn, m.mask = cos.ID, sin.ID, turn.ID, mask.ID
}

// weight makes a normal random matrix with the given deviation, 0 for one over the square root of its columns.
func (m *maker) weight(name string, dev float64, rows, cols int) ir.ValueID {
	v := m.g.NewValue(m.scope+name, []int{rows, cols})
	if dev == 0 {
		dev = 1 / math.Sqrt(float64(cols))
	}
	for i := 0; i < rows*cols && !m.sketch; i++ {
		v.Data = append(v.Data, float64(dev*m.normal()))
	}
	m.define(ir.OpWeight, v)
	return v.ID
}

// normal draws a normally distributed number of single precision: the last bits of what the library draws differ between platforms.
func (m *maker) normal() float64 { return float64(float32(m.rng.NormFloat64())) }

func (m *maker) define(op ir.Op, v *ir.Value) {
	n := &ir.Node{Op: op, Origin: v.Name, Out: []ir.ValueID{v.ID}}
	v.Def = n
	m.g.Nodes = append(m.g.Nodes, n)
}

// einsum adds a product of values; labels get their extents from the operands' shapes, the last label of a group in
// parentheses being the width of a head.
func (m *maker) einsum(name, spec string, in ...ir.ValueID) ir.ValueID {
	parts, out, _ := strings.Cut(spec, "->")
	extent := map[byte]int{'e': m.d / m.h, 'h': m.h}
	t := ir.Term{Coef: 1}
	for i, p := range strings.Split(parts, ",") {
		t.In = append(t.In, i)
		for a, group := range axes(p) {
			if len(group) == 1 {
				extent[group[0]] = m.g.Value(in[i]).Shape[a]
			}
		}
	}
	labels := map[byte]int{}
	number := func(spec string) (list [][]int) {
		for _, group := range axes(spec) {
			var ls []int
			for _, c := range []byte(group) {
				if _, ok := labels[c]; !ok {
					labels[c] = len(t.Extents)
					t.Extents = append(t.Extents, extent[c])
				}
				ls = append(ls, labels[c])
			}
			list = append(list, ls)
		}
		return list
	}
	for _, p := range strings.Split(parts, ",") {
		t.Axes = append(t.Axes, number(p))
	}
	t.Out = number(out)
	var shape []int
	for _, ls := range t.Out {
		n := 1
		for _, l := range ls {
			n *= t.Extents[l]
		}
		shape = append(shape, n)
	}
	return m.g.Add(ir.OpEinsum, m.scope+name, m.scope+name, shape, in, &ir.EinsumAttr{Terms: []ir.Term{t}}).ID
}

// term makes one term over the node's inputs in; the labels t, h, e, f, d have the model's extents.
func (m *maker) term(spec string, in ...int) ir.Term {
	extent := map[byte]int{'t': m.T, 'h': m.h, 'e': m.d / m.h, 'f': m.d / m.h, 'd': m.d}
	parts, out, _ := strings.Cut(spec, "->")
	t := ir.Term{Coef: 1, In: in}
	labels := map[rune]int{}
	number := func(s string) (list [][]int) {
		for _, c := range s {
			if _, ok := labels[c]; !ok {
				labels[c] = len(t.Extents)
				t.Extents = append(t.Extents, extent[byte(c)])
			}
			list = append(list, []int{labels[c]})
		}
		return list
	}
	for _, p := range strings.Split(parts, ",") {
		t.Axes = append(t.Axes, number(p))
	}
	t.Out = number(out)
	return t
}

// axes splits "t(he)" into the groups "t", "he".
func axes(s string) []string {
	var out []string
	for i := 0; i < len(s); i++ {
		if s[i] == '(' {
			end := strings.IndexByte(s[i:], ')') + i
			out = append(out, s[i+1:end])
			i = end
			continue
		}
		out = append(out, s[i:i+1])
	}
	return out
}

// Shorter is a graph of this package with fewer positions, of which it must have as many as no other axis has cells: the same weights, but
// for the rows of positions that are left out.
func Shorter(g *ir.Graph, positions int) *ir.Graph {
	T := g.Inputs[0].Shape[0]
	cut := func(shape []int) []int {
		out := slices.Clone(shape)
		for a, d := range out {
			if d == T {
				out[a] = positions
			}
		}
		return out
	}
	s := &ir.Graph{Name: g.Name, Stage: g.Stage, Causal: g.Causal, Inputs: slices.Clone(g.Inputs), Outputs: slices.Clone(g.Outputs)}
	for _, ports := range [][]ir.Port{s.Inputs, s.Outputs} {
		for i := range ports {
			ports[i].Shape = cut(ports[i].Shape)
		}
	}
	for _, v := range g.Values {
		w := s.NewValue(v.Name, cut(v.Shape))
		w.Data = corner(v.Data, v.Shape, w.Shape)
	}
	for _, n := range g.Nodes {
		m := *n
		if a, ok := n.Attr.(*ir.EinsumAttr); ok {
			b := &ir.EinsumAttr{Terms: slices.Clone(a.Terms)}
			for i := range b.Terms {
				b.Terms[i].Extents = cut(b.Terms[i].Extents)
			}
			m.Attr = b
		}
		s.Nodes = append(s.Nodes, &m)
		for _, o := range m.Out {
			s.Value(o).Def = &m
		}
	}
	return s
}

// corner lists the cells of a box with the least indices.
func corner(data []float64, box, shape []int) []float64 {
	if len(data) == 0 || len(shape) == 0 {
		return data
	}
	rows := len(data) / box[0]
	var out []float64
	for i := range shape[0] {
		out = append(out, corner(data[i*rows:(i+1)*rows], box[1:], shape[1:])...)
	}
	return out
}
