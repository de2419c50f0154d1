package frontend

import (
	"math"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

// maskThreshold separates masks from biases: an additive cell of at most this much makes a softmax weight vanish.
const maskThreshold = -1e3

// maskOr returns a private or undecided tensor as a public constant if it is a mask: its cells are 0 or at most maskThreshold,
// both occur, and the node's result feeds a Softmax; or at most beyondScores, and nothing but an order is made of it. A Where has the pattern in its condition, so its sides may lack the zeros.
//
// The cells may be computed from anything, from the signs of a weight, say, by arithmetic alone. So every tensor behind them is noted,
// and patterns refuses the model if one of them is a weight elsewhere: only what serves in masks and nowhere else becomes public.
func (c *call) maskOr(v *val) (*val, error) {
	hidden := v.private || v.c != nil && v.mark != nil
	if !hidden || len(v.shape) < 1 || c.b.class.forced[v.name] || v.mark != nil && v.mark.forced {
		return v, nil
	}
	most := float64(maskThreshold)
	if !c.feedsSoftmax() {
		if !c.onlyOrdered() {
			return v, nil
		}
		most = beyondScores // an order sees how far other numbers are
	}
	t, err := v.force()
	if err != nil {
		return nil, err
	}
	var zeros, masked int
	for _, x := range floats(t) {
		switch {
		case x == 0:
			zeros++
		case x <= most:
			masked++
		default:
			return v, nil
		}
	}
	if zeros == 0 && c.n.Op != "Where" || masked == 0 {
		return v, nil
	}
	if v.mark == nil { // nobody could tell what else the cells serve as
		return nil, c.secret(v, "a mask")
	}
	c.pattern(v.mark, false)
	return constant(v.name, t), nil
}

// beyondScores is a number that no score lies beyond, and no weight either: of a private tensor's cells at most it, none is told but that
// it masks.
const beyondScores = -1e30

// partedMask is a private tensor that masks and is a weight besides, in two: what masks, public, and what is left, private.
type partedMask struct{ mask, rest *val }

// partMasks takes the masks out of a sum's private operands that hold weights besides: distances from a position, as ALiBi adds them to
// scores, that are the least float where they mask. The cells of at most beyondScores are an operand of their own, public as all masks
// are; in their place stands zero. What is left is a weight of the same name.
//
// Of a tensor that the file holds, moved at most, that tells only which cells are no weights. It may be parted anywhere, and be neither a
// weight as a whole nor what another mask is computed from. Cells that are computed, from the signs of a weight, say, would tell of the
// weight that is left: patterns refuses them.
func (c *call) partMasks() error {
	for i, v := range c.in {
		if v == nil || !v.private || v.mark == nil || v.mark.forced || c.b.class.forced[v.name] || len(v.shape) == 0 {
			continue
		}
		if !c.mayMask(i) || !c.feedsSoftmax() {
			continue
		}
		if v.over != nil {
			c.in = append(slices.Clone(c.in), v.over.mask)
			c.in[i] = v.over.rest
			continue
		}
		t, err := v.tensor()
		if err != nil {
			return err
		}
		p, known := c.b.parted[t]
		if !known {
			if p, err = c.part(v); err != nil {
				return err
			}
			c.b.parted[t] = p
		}
		if p == nil {
			continue
		}
		c.pattern(v.mark, v.moved)
		c.in = append(slices.Clone(c.in), p.mask)
		c.in[i] = p.rest
	}
	return nil
}

// part parts a tensor's cells, nil where none masks or nothing weighs: maskOr takes a tensor of zeros and masks of any size as it is.
func (c *call) part(v *val) (*partedMask, error) {
	t, err := v.force()
	if err != nil {
		return nil, err
	}
	cells := floats(t)
	masks := func(x float64) bool { return x <= beyondScores }
	weighs := func(x float64) bool { return x != 0 && !(x <= maskThreshold) }
	if !t.DType.IsFloat() || !slices.ContainsFunc(cells, masks) || !slices.ContainsFunc(cells, weighs) {
		return nil, nil
	}
	if err := c.charge(2, v.shape...); err != nil {
		return nil, err
	}
	mask := &onnx.Tensor{Name: t.Name, DType: t.DType, Shape: t.Shape, F: make([]float64, len(cells))}
	rest := &onnx.Tensor{Name: t.Name, DType: t.DType, Shape: t.Shape, F: make([]float64, len(cells))}
	for i, x := range cells {
		if masks(x) {
			mask.F[i] = x
		} else {
			rest.F[i] = x
		}
	}
	left := &val{name: v.name, shape: v.shape, dtype: v.dtype, private: true, w: rest, id: none, mark: v.mark, rest: true}
	return &partedMask{constant(v.name, mask), left}, nil
}

// overlay notes what a Where of input-free values is that puts a number beyond all scores into a private tensor: a mask, of which the
// condition alone says where it is, plus the tensor. Which cells the mask has is so computed from none of the tensor's, so that scores may be
// masked by it and the tensor stay a weight: patterns knows the one by the condition's mark and the other by its own. In what masks, the
// tensor's cells make no difference: beside such a number none of them is left in single precision.
func (c *call) overlay(v *val) error {
	cond, x, y := c.in[0], c.in[1], c.in[2]
	yes, no, rest := x.c, &onnx.Tensor{DType: v.dtype, F: []float64{0}}, y
	if !hides(x) {
		yes, no, rest = no, y.c, x
	}
	if !v.dtype.IsFloat() || hides(x) == hides(y) || cond.mark != nil && cond.mark.forced {
		return nil
	}
	bits, err := cond.force()
	if err != nil {
		return err
	}
	kept, err := rest.force()
	if err != nil || slices.ContainsFunc(floats(kept), func(x float64) bool { return !(math.Abs(x) <= maxChosen) }) {
		return err
	}
	ts, err := foldWhere(c, []*onnx.Tensor{bits, yes, no})
	if err != nil || !slices.Contains(ts[0].F, 0) || !slices.ContainsFunc(ts[0].F, func(x float64) bool { return x != 0 }) {
		return err
	}
	mask := constant(v.name, ts[0])
	if mask.mark = cond.mark; cond.private {
		mask.private, mask.w, mask.c = true, ts[0], nil
	}
	v.over = &partedMask{mask, rest}
	return nil
}

// hides says whether a value is public and has cells of at most beyondScores alone.
func hides(v *val) bool {
	return v.c != nil && v.mark == nil && v.c.Len() > 0 && !slices.ContainsFunc(floats(v.c), func(x float64) bool { return !(x <= beyondScores) })
}

// mayMask says whether the node adds operand i to the others. A factor is no mask, whatever its cells; that of a private value and a
// scalar is judged where the product meets an activation, by the cells that it has there.
func (c *call) mayMask(i int) bool {
	switch c.key() {
	case "Add", "Sum":
		return true
	case "Sub":
		return i == 0
	}
	return false
}

// vanishing says whether a value is a public constant of which all cells make softmax weights vanish.
func vanishing(v *val) bool {
	if v.c == nil || v.mark != nil || v.c.Len() == 0 {
		return false
	}
	for _, x := range floats(v.c) {
		if !(x <= maskThreshold) {
			return false
		}
	}
	return true
}

// place is a tensor of a scope.
type place struct {
	s    *scope
	name string
}

// feedsSoftmax says whether the node's result reaches a Softmax through elementwise operators and movement only. What one search finds
// is kept: long sums would be searched from each of their terms.
func (c *call) feedsSoftmax() bool {
	f := &softmaxSearch{from: map[place]place{}, functions: c.b.functions}
	f.leave(place{}, c.s, c.n.Outputs)
	for len(f.todo) > 0 && f.found == nil {
		p := f.todo[len(f.todo)-1]
		f.todo = f.todo[:len(f.todo)-1]
		f.follow(p)
	}
	if f.found != nil { // so does all on the way to there
		for p := *f.found; p.s != nil; p = f.from[p] {
			p.s.note(p.name, true)
		}
		return true
	}
	for p := range f.from {
		p.s.note(p.name, false)
	}
	return false
}

// passesMask are the operators through which a mask comes to a softmax.
var passesMask = map[string]bool{"Add": true, "Sub": true, "Mul": true, "Div": true, "Where": true, "Reshape": true, "Transpose": true, "Cast": true,
	"Squeeze": true, "Unsqueeze": true, "Expand": true, "Identity": true, "Concat": true, "QuantizeLinear": true, "DequantizeLinear": true}

// softmaxSearch is a search: the tensors that were reached, each with the one before it, those whose users are still to be looked at, and
// one that feeds a Softmax.
type softmaxSearch struct {
	from      map[place]place
	todo      []place
	found     *place
	functions map[functionName]*onnx.Function
}

// leave goes on to tensors of a scope.
func (f *softmaxSearch) leave(from place, s *scope, names []string) {
	for _, name := range names {
		p := place{s, name}
		if _, seen := f.from[p]; seen || name == "" {
			continue
		}
		f.from[p] = from
		switch feeds, known := s.feeds[name]; {
		case !known:
			f.todo = append(f.todo, p)
		case feeds:
			f.found = &p
		}
	}
}

// follow looks at the users of a tensor.
func (f *softmaxSearch) follow(p place) {
	for _, q := range p.outside() {
		f.leave(p, q.s, []string{q.name})
	}
	for _, n := range p.s.usersOf(p.name) {
		if !standard(n, f.functions) {
			continue
		}
		switch {
		case n.Op == "Softmax", n.Op == "ReduceLogSumExp":
			f.found = &p
		case passesMask[n.Op], p.s.guardsOnly(n, p.name):
			f.leave(p, p.s, n.Outputs)
		}
	}
}

// outside lists what a result of a function or a branch is called by the node that it is of.
func (p place) outside() (out []place) {
	for i, o := range p.s.outs {
		if o == p.name && p.s.caller != nil && i < len(p.s.caller.n.Outputs) {
			out = append(out, place{p.s.caller.s, p.s.caller.n.Outputs[i]})
		}
	}
	return out
}

// onlyMasks says whether the node's results go nowhere but into scores of a Softmax or of a maximum, as summands that nothing scales. What masks there may
// be replaced by another number that does; in an output, beside a factor or in a comparison it is the number that the file says.
func (c *call) onlyMasks() bool {
	for _, o := range c.n.Outputs {
		if o != "" && !c.b.summand(place{c.s, o}) {
			return false
		}
	}
	return true
}

// summand is onlyMasks of one tensor.
func (b *builder) summand(p place) bool {
	if p.s.summands == nil {
		p.s.summands = map[string]bool{}
	}
	if is, known := p.s.summands[p.name]; known {
		return is
	}
	p.s.summands[p.name] = false // for a graph that is none
	p.s.summands[p.name] = b.summandOfAll(p)
	return p.s.summands[p.name]
}

func (b *builder) summandOfAll(p place) bool {
	if p.s.caller == nil && slices.Contains(p.s.outs, p.name) { // an output of the model
		return false
	}
	next, users := p.outside(), p.s.usersOf(p.name)
	if len(next)+len(users) == 0 {
		return false
	}
	for _, n := range users {
		if !standard(n, b.functions) || !addsTo(n, p.name) && !p.s.guardsOnly(n, p.name) {
			return false
		}
		for _, o := range n.Outputs {
			if o != "" && !slices.Contains([]string{"Softmax", "ReduceMax", "ArgMax", "Shape", "Size"}, n.Op) {
				next = append(next, place{p.s, o})
			}
		}
	}
	for _, q := range next {
		if !b.summand(q) {
			return false
		}
	}
	return true
}

// addsTo says whether a node moves the cells of a tensor, adds them to others or chooses among them, or is a Softmax or the greatest of them.
func addsTo(n *onnx.Node, name string) bool {
	uses := 0
	for i, in := range n.Inputs {
		if in != name {
			continue
		}
		uses++
		switch n.Op {
		case "Add", "Sum", "Concat", "Shape", "Size":
		case "Where":
			if i == 0 {
				return false
			}
		case "Softmax", "ReduceMax", "ArgMax", "Sub", "Reshape", "Transpose", "Cast", "Squeeze", "Unsqueeze", "Expand", "Identity", "Slice", "Split", "Tile", "Gather":
			if i > 0 {
				return false
			}
		default:
			return false
		}
	}
	return uses > 0 // else a branch of the node uses it
}

// guardsOnly says whether a node is a tensor's greatest or least of it and constants that guard against overflow, of which nothing comes.
func (s *scope) guardsOnly(n *onnx.Node, name string) bool {
	return (n.Op == "Max" || n.Op == "Min") && !slices.ContainsFunc(n.Inputs, func(in string) bool { return in != name && !guards(n.Op, s.get(in)) })
}

// usersOf returns the nodes of a scope that use a tensor, in a branch perhaps.
func (s *scope) usersOf(name string) []*onnx.Node {
	if s.users == nil {
		s.users = map[string][]*onnx.Node{}
		for _, n := range s.nodes {
			for _, in := range onnx.Uses(n) {
				if u := s.users[in]; len(u) == 0 || u[len(u)-1] != n {
					s.users[in] = append(u, n)
				}
			}
		}
	}
	return s.users[name]
}

// note keeps what a search found of a tensor.
func (s *scope) note(name string, feeds bool) {
	if s.feeds == nil {
		s.feeds = map[string]bool{}
	}
	s.feeds[name] = feeds
}
