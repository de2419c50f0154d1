package passes

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/ir"
)

// maskThreshold separates masks from biases, as in the frontend.
const maskThreshold = -1e3

// hidden is how far below the greatest number that is added to a row's scores a mask lies at least: e^-256 is 0 in single precision, with all
// that scores differ by besides.
const hidden = 256

// swamped and blurred bound what a mask leaves of scores in every cell of a row, as one for padding at the left does. A number of at most
// swamped beside which no score is seen, in no format, makes all alike; one above blurred only rounds the scores. In between formats
// differ. Above -blurred nothing is masked, and scores are rounded alike.
const (
	swamped = -1e30
	blurred = -1e5
)

// masks gives every Softmax its scale and its mask: factors and constants that stand between the scores and the Softmax are
// pulled into it. An additive constant cell of at most maskThreshold masks its position if it is far below the row's greatest; other cells stay as a
// bias.
func masks(g *ir.Graph, left *budget.Budget) error {
	for _, n := range g.Nodes {
		if n.Op != ir.OpSoftmax {
			continue
		}
		if err := pullMask(g, left, n); err != nil {
			return err
		}
	}
	return nil
}

// scores is the argument of a Softmax, scale·x·factor + bias; factor and bias are dense over trailing axes, nil if absent.
type scores struct {
	g      *ir.Graph
	left   *budget.Budget
	n      *ir.Node
	err    error // of the budget, where the constants cost too much
	shape  []int
	x      ir.ValueID
	scale  float64
	factor []float64
	bias   []float64
}

func pullMask(g *ir.Graph, left *budget.Budget, n *ir.Node) error {
	a := *n.Attr.(*ir.SoftmaxAttr)
	s := &scores{g: g, left: left, n: n, shape: g.Value(n.In[0]).Shape, x: n.In[0], scale: a.Scale}
	for s.step() && s.err == nil {
	}
	if s.err != nil {
		return s.err
	}
	a.Scale = s.scale
	in := []ir.ValueID{s.x}
	if s.bias != nil || s.factor != nil {
		mask, plain, err := s.split(n)
		if err != nil {
			return err
		}
		if !plain {
			in[0] = s.biased(n)
			a.Scale = 1
		}
		if mask != nil {
			in = append(in, addConst(g, n, n.Origin+".mask", suffix(s.shape, len(mask)), mask).ID)
			a.HasMask = true
		}
	}
	n.In, n.Attr = in, &a
	return nil
}

// step looks through one Einsum: one activation term and constant terms, all elementwise.
func (s *scores) step() bool {
	var act *ir.Term
	var added []ir.Term
	for _, t := range terms(s.g, s.x) {
		consts, others := constOperands(s.g, t)
		switch {
		case len(others) == 0:
			added = append(added, t)
		case len(others) == 1 && act == nil && sameAxes(t, others[0]) && onlyOut(s.g, t, consts):
			c := t
			act = &c
		default:
			return s.apart() || s.opened()
		}
	}
	if act == nil || s.lifts(*act) && slices.ContainsFunc(s.added(nil, added), masking) {
		return false
	}
	s.bias = s.added(s.bias, added)
	consts, others := constOperands(s.g, *act)
	if len(consts) > 0 {
		t := act.Clone()
		t.In = append(append([]int{}, t.In[:others[0]]...), t.In[others[0]+1:]...)
		t.Axes = append(append([][][]int{}, t.Axes[:others[0]]...), t.Axes[others[0]+1:]...)
		f := s.dense(t, 1)
		if s.factor == nil {
			s.factor = f
		} else {
			a, b := s.level(s.factor, f)
			for i := range a {
				a[i] = float64(a[i] * b[i])
			}
			s.factor = a
		}
	}
	s.x = ir.ValueID(act.In[others[0]])
	s.scale = float64(s.scale * act.Coef)
	return true
}

// masking says that what is added to a score makes its weight vanish.
func masking(x float64) bool { return x <= maskThreshold }

// lifts says that a term may bring back what a constant masks, as 1e9·m does in x + 1e9·m − 1e9: by its coefficient and its constants, of which
// scores have none so great.
func (s *scores) lifts(t ir.Term) bool {
	_, hi := s.g.UsualTerm(t, 4, nil)
	return hi >= -maskThreshold
}

// apart looks through an Einsum that is more than one activation cell by cell, scores in another order or a sum of two, say: constant terms
// that mask are taken off it, and an Einsum of the others is left.
func (s *scores) apart() bool {
	var added, rest []ir.Term
	for _, t := range terms(s.g, s.x) {
		if _, others := constOperands(s.g, t); len(others) == 0 {
			added = append(added, t)
		} else {
			rest = append(rest, t)
		}
	}
	bias := s.added(nil, added)
	if len(rest) == 0 || !slices.ContainsFunc(bias, masking) || slices.ContainsFunc(rest, s.lifts) {
		return false
	}
	s.bias = s.combine(s.bias, bias, nil)
	in, attr := ir.Bind(rest)
	s.x = s.g.Derive(s.g.Value(s.x).Def, ir.OpEinsum, "", s.shape, in, attr).ID
	return true
}

// opened looks into what a term of an Einsum moves, repeats or puts beside others: constants that mask there become terms here, and what is left of it is
// a value of its own.
func (s *scores) opened() bool {
	ts := terms(s.g, s.x)
	for i, t := range ts {
		_, others := constOperands(s.g, t)
		if len(others) != 1 {
			continue
		}
		def := s.g.Value(ir.ValueID(t.In[others[0]])).Def
		var added, rest []ir.Term
		for _, d := range terms(s.g, ir.ValueID(t.In[others[0]])) {
			if _, active := constOperands(s.g, d); len(active) > 0 {
				rest = append(rest, d)
			} else if c, ok := ir.Compose(t, others[0], d); ok {
				added = append(added, c)
			} else {
				return false
			}
		}
		far := func(d ir.Term) bool { lo, _ := s.g.UsualTerm(d, 0, nil); return masking(lo) }
		if len(rest) == 0 || !slices.ContainsFunc(added, far) || slices.ContainsFunc(rest, s.lifts) {
			continue
		}
		in, attr := ir.Bind(rest)
		left := t.Clone()
		left.In[others[0]] = int(s.g.Derive(def, ir.OpEinsum, "", s.g.Value(ir.ValueID(t.In[others[0]])).Shape, in, attr).ID)
		in, attr = ir.Bind(slices.Concat(ts[:i], []ir.Term{left}, added, ts[i+1:]))
		s.x = s.g.Derive(s.g.Value(s.x).Def, ir.OpEinsum, "", s.shape, in, attr).ID
		return true
	}
	return false
}

// added adds constant terms to a bias.
func (s *scores) added(bias []float64, ts []ir.Term) []float64 {
	for _, t := range ts {
		bias = s.combine(bias, s.dense(t, float64(s.scale*t.Coef)), s.factor)
	}
	return bias
}

// onlyOut says whether the constants of a term have labels of the result only.
func onlyOut(g *ir.Graph, t ir.Term, consts []int) bool {
	out := t.InOut()
	for _, k := range consts {
		for l, has := range t.InOperand(k) {
			if has && !out[l] {
				return false
			}
		}
	}
	return true
}

// dense evaluates a constant term over the trailing axes of the scores that it depends on.
func (s *scores) dense(t ir.Term, coef float64) []float64 {
	used := make([]bool, len(t.Extents))
	ks := make([]int, len(t.In))
	for k := range t.In {
		ks[k] = k
		for l, has := range t.InOperand(k) {
			used[l] = used[l] || has
		}
	}
	first := len(t.Out)
	for a := len(t.Out) - 1; a >= 0; a-- {
		for _, l := range t.Out[a] {
			if used[l] {
				first = a
			}
		}
	}
	var labels []int
	for _, axis := range t.Out[first:] {
		labels = append(labels, axis...)
	}
	out, err := evalConsts(s.left, s.g, s.n, t, ks, labels)
	if err != nil {
		s.err = err
		return []float64{0}
	}
	for i := range out {
		if out[i] != 0 {
			out[i] = float64(out[i] * coef)
		}
	}
	return out
}

// level repeats the shorter of two trailing tensors to the length of the longer.
func (s *scores) level(a, b []float64) ([]float64, []float64) {
	n := max(len(a), len(b))
	grow := func(x []float64) []float64 {
		y := make([]float64, n)
		for i := range y {
			y[i] = x[i%len(x)]
		}
		return y
	}
	return grow(a), grow(b)
}

// combine adds b·factor to a.
func (s *scores) combine(a, b, factor []float64) []float64 {
	if factor != nil {
		x, f := s.level(b, factor)
		for i := range x {
			if x[i] != 0 && f[i] != 0 {
				x[i] = float64(x[i] * f[i])
			} else {
				x[i] = 0
			}
		}
		b = x
	}
	if a == nil {
		return b
	}
	x, y := s.level(a, b)
	for i := range x {
		x[i] += y[i]
	}
	return x
}

// suffix is the shape of a tensor of n cells over trailing axes.
func suffix(shape []int, n int) []int {
	size := 1
	for a := len(shape) - 1; a >= 0; a-- {
		if size *= shape[a]; size >= n {
			return shape[a:]
		}
	}
	return shape
}

// split separates the mask from the rest: it zeroes factor and bias where the mask decides, and says whether nothing but the
// mask is left.
func (s *scores) split(n *ir.Node) (mask []float64, plain bool, err error) {
	if s.factor == nil {
		s.factor = []float64{1}
	}
	if s.bias == nil {
		s.bias = []float64{0}
	}
	w := make([]float64, s.shape[len(s.shape)-1]) // masks cover at least one row
	s.factor, _ = s.level(s.factor, w)
	s.factor, s.bias = s.level(s.factor, s.bias)
	mask = make([]float64, len(s.bias))
	any := false
	plain = true
	for r := 0; r < len(mask); r += len(w) {
		row, factor := s.bias[r:r+len(w)], s.factor[r:r+len(w)]
		top := slices.Max(row)
		if top <= swamped && !math.IsInf(top, -1) {
			even(row, factor, mask[r:r+len(w)], top)
			any, plain = any || slices.Contains(mask[r:r+len(w)], 1), false
			continue
		}
		if top >= -blurred {
			return nil, false, unsupported(n, "a constant adds %.3g to scores of row %d that it does not mask, of which single precision leaves little; let it be 0 where nothing is masked", top, r/len(w))
		}
		masks := min(maskThreshold, top-hidden)
		if constantRow(row) || masking(top) && !math.IsInf(top, -1) {
			s.lift(n, r/len(w), row, top)
			masks = -hidden
		}
		open := false
		for i, x := range row {
			if x <= masks {
				mask[r+i], row[i], factor[i] = 1, 0, 1
				any = true
				continue
			}
			open = true
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return nil, false, unsupported(n, "a constant that is added to its argument is not finite")
			}
			plain = plain && x == 0 && factor[i] == 1
		}
		if !open {
			return nil, false, unsupported(n, "row %d is all masked; every row needs a position that it may attend to", r/len(w))
		}
	}
	if !any {
		mask = nil
	}
	return mask, plain, nil
}

// even keeps the cells of a row that have the greatest of its numbers, and gives them one score: 0.
func even(bias, factor, mask []float64, top float64) {
	for i := range bias {
		mask[i], factor[i] = 1, 1
		if bias[i] == top {
			mask[i], factor[i] = 0, 0
		}
		bias[i] = 0
	}
}

// lift adds one number to all of a row, which changes nothing: then 0 is its greatest. It tells of the first row of which a mask leaves nothing.
func (s *scores) lift(n *ir.Node, row int, cells []float64, top float64) {
	for i := range cells {
		cells[i] -= top
	}
	const leaves = "which weighs the scores as if none were masked; formats of fewer digits leave something else of them: do not rely on such rows"
	if top <= blurred && !slices.ContainsFunc(s.g.Notes, func(note string) bool { return strings.HasSuffix(note, leaves) }) {
		s.g.Notes = append(s.g.Notes, fmt.Sprintf("node %q (Softmax): its mask takes %g off all of row %d, %s", n.Origin, -top, row, leaves))
	}
}

func constantRow(row []float64) bool {
	for _, x := range row {
		if x != row[0] || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}

// biased adds the Einsum scale·x·factor + bias.
func (s *scores) biased(n *ir.Node) ir.ValueID {
	t := identityTerm(s.g, s.x)
	t.Coef = s.scale
	tail := func(data []float64, name string) (int, [][]int) {
		shape := suffix(s.shape, len(data))
		v := addConst(s.g, n, n.Origin+name, shape, data)
		return int(v.ID), t.Clone().Out[len(s.shape)-len(shape):]
	}
	ts := []ir.Term{t}
	if !constantRow(s.factor) || s.factor[0] != 1 {
		id, axes := tail(s.factor, ".factor")
		ts[0].In, ts[0].Axes = append(ts[0].In, id), append(ts[0].Axes, axes)
	}
	if !constantRow(s.bias) || s.bias[0] != 0 {
		id, axes := tail(s.bias, ".bias")
		ts = append(ts, ir.Term{Coef: 1, Extents: append([]int{}, t.Extents...), In: []int{id}, Axes: [][][]int{axes}, Out: t.Clone().Out})
	}
	for i := range ts {
		ts[i] = ts[i].Clone()
		ts[i].Normalise()
	}
	in, attr := ir.Bind(ts)
	return s.g.Derive(n, ir.OpEinsum, "", s.shape, in, attr).ID
}

// scales moves the coefficient of a score product into the Softmax that alone uses it, so that the product itself is free of
// coefficients.
func scales(g *ir.Graph) error {
	count := uses(g)
	for _, n := range g.Nodes {
		if n.Op != ir.OpSoftmax || count[n.In[0]] != 1 {
			continue
		}
		d := g.Value(n.In[0]).Def
		ts := terms(g, n.In[0])
		if len(ts) != 1 || ts[0].Coef == 1 || len(ts[0].In) == 0 || ts[0].Coef == 0 {
			continue
		}
		a := *n.Attr.(*ir.SoftmaxAttr)
		a.Scale = float64(a.Scale * ts[0].Coef)
		ts[0].Coef = 1
		setTerms(d, ts)
		n.Attr = &a
	}
	return nil
}
