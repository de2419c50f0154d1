package frontend

import (
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Scores that are masked and then written into others, in blocks, as attention over a window is put together: what moves cells by a table cannot take
// −∞, which a product makes no number of. So the constant that masks is moved by itself, and is added to what is moved without it.

// movesCells are the operators that move cells of the inputs that are listed, by what else the node has; nil is all of them.
var movesCells = map[string][]int{"Reshape": {0}, "Transpose": {0}, "Slice": {0}, "Expand": {0}, "Squeeze": {0}, "Unsqueeze": {0}, "Flatten": {0}, "Identity": {0}, "Split": {0},
	"Tile": {0}, "Gather": {0}, "Concat": nil, "Where": {1, 2}, "ScatterND": {0, 2}, "ScatterElements": {0, 2}}

// moves says whether a node moves cells of a tensor that is its input.
func moves(n *onnx.Node, name string) bool {
	at, known := movesCells[n.Op]
	if !known {
		return false
	}
	for i, in := range n.Inputs {
		if in == name && (at == nil || slices.Contains(at, i)) {
			return true
		}
	}
	return false
}

// written says whether cells of a tensor come to a place where something is written into a tensor, or is: by moves alone.
func (b *builder) written(p place) bool {
	if is, known := p.s.written[p.name]; known {
		return is
	}
	if p.s.written == nil {
		p.s.written = map[string]bool{}
	}
	p.s.written[p.name] = false // for a graph that is none
	next := p.outside()
	for _, n := range p.s.usersOf(p.name) {
		if !standard(n, b.functions) || !moves(n, p.name) {
			continue
		}
		if n.Op == "ScatterND" || n.Op == "ScatterElements" {
			p.s.written[p.name] = true
			return true
		}
		for _, o := range n.Outputs {
			next = append(next, place{p.s, o})
		}
	}
	for _, q := range next {
		if b.written(q) {
			p.s.written[p.name] = true
			return true
		}
	}
	return false
}

// apartFromMask moves scores and what masks them each by itself, where what is written into a tensor comes of it. It returns nil where nothing masks, or where
// the node moves cells by what an input says.
func (c *call) apartFromMask(h handler, f folder) ([]*val, error) {
	at, known := movesCells[c.key()]
	if !known || c.attrString("reduction", "none") != "none" || len(c.n.Outputs) != 1 {
		return nil, nil
	}
	parts, some := make([]*maskedSum, len(c.in)), false
	for i, v := range c.in {
		switch moved := at == nil || slices.Contains(at, i); {
		case v == nil:
		case !moved && !v.inputFree(), !moved && v.c == nil && c.n.Op != "Where", moved && !v.dtype.IsFloat():
			return nil, nil
		case moved:
			if m := c.maskedPart(v); m != nil && slices.ContainsFunc(m.cells, infinite) {
				parts[i] = m
				some = some || len(m.rest) > 0 || c.n.Op != "Where" // which is a mask then
			}
		}
	}
	if !some || !c.writes() {
		return nil, nil
	}
	scores, masks := slices.Clone(c.in), slices.Clone(c.in)
	if c.n.Op == "Where" { // by bits that are public, since one side is −∞ somewhere
		bits, err := c.condition(c.in[0], []*val{c.in[1], c.in[2]})
		if err != nil {
			return nil, err
		}
		scores[0], masks[0] = constant(c.in[0].name, bits), constant(c.in[0].name, bits)
	}
	for i, v := range c.in {
		var err error
		switch moved := at == nil || slices.Contains(at, i); {
		case v == nil || !moved:
		case parts[i] != nil:
			scores[i], masks[i], err = parts[i].parted(v)
		default:
			masks[i], err = c.filled(v, 0)
		}
		if err != nil {
			return nil, err
		}
	}
	return c.joinedAgain(h, f, scores, masks)
}

func infinite(x float64) bool { return math.IsInf(x, -1) }

// writes says that the node writes into a tensor, or that its result comes to such a node.
func (c *call) writes() bool {
	return c.n.Op == "ScatterND" || c.n.Op == "ScatterElements" || c.b.written(place{c.s, c.n.Outputs[0]})
}

// parted are scores without what masks them, and that in the shape of the scores.
func (m *maskedSum) parted(v *val) (scores, mask *val, err error) {
	if err := m.c.charge(2, v.shape...); err != nil {
		return nil, nil, err
	}
	mask = constant(v.name, &onnx.Tensor{DType: v.dtype, Shape: v.shape, F: spread(m.c, m.cells, m.dims, v.shape)})
	if len(m.rest) == 0 {
		scores, err = m.c.filled(v, 0)
		return scores, mask, err
	}
	return m.c.einsum(m.shape, m.rest...), mask, nil
}

// joinedAgain is what the node makes of scores, plus what it makes of their masks.
func (c *call) joinedAgain(h handler, f folder, scores, masks []*val) ([]*val, error) {
	rest, mask := *c, *c
	rest.in, mask.in = scores, masks
	ms, err := mask.fold(f)
	if err != nil {
		return nil, err
	}
	left, free := []*val(nil), !slices.ContainsFunc(scores, func(v *val) bool { return v != nil && !v.inputFree() })
	if free {
		left, err = rest.fold(f)
	} else {
		left, err = h(&rest)
	}
	if err != nil {
		return nil, err
	}
	y, cells := left[0], floats(ms[0].c)
	if !slices.ContainsFunc(cells, func(x float64) bool { return x != 0 }) {
		return left, nil
	}
	self, err := c.factor(y)
	if err != nil {
		return nil, err
	}
	ts := []ir.Term{product(y.shape, 1, self), product(y.shape, 1, factor{coef: 1, id: c.public(c.n.Name+".mask", y.shape, cells), shape: y.shape})}
	sum := c.einsum(y.shape, ts...)
	sum.dtype, sum.masked = y.dtype, c.maskedOf(y.shape, ts)
	return []*val{sum}, nil
}
