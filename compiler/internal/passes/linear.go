package passes

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/ir"
)

// linear collapses everything that is linear in one activation with constant coefficients, rotary embeddings above all, into one
// Einsum of the activation with one constant:
//
//	x·cos + concat(−x₂, x₁)·sin   becomes   out[t,h,a,i] = Σ_b x[t,h,b,i]·R[t,a,b,i]
//
// for every spelling of the left side out of slices, concatenations, negations and products with constants.
func linear(g *ir.Graph, left *budget.Budget) error {
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		if n.Op != ir.OpEinsum {
			continue
		}
		ts, ok := expandLinear(g, n)
		if !ok {
			continue
		}
		t, ok, err := mergeLinear(g, left, n, ts)
		if err != nil {
			return err
		}
		if ok {
			setTerms(n, []ir.Term{t})
		}
	}
	return nil
}

const maxLinearTerms = 64

// expandLinear inlines the operands of a node until all terms are products of constants with one and the same activation.
func expandLinear(g *ir.Graph, n *ir.Node) ([]ir.Term, bool) {
	ts := ir.Free(n)
	for {
		latest, distinct := -1, 0
		for _, t := range ts {
			_, others := constOperands(g, t)
			if len(others) != 1 {
				return nil, false
			}
			if id := t.In[others[0]]; id != latest {
				distinct++
				latest = max(latest, id)
			}
		}
		if sameRoot(g, ts) {
			return ts, len(ts) > 1 && hasTensorConst(g, ts) && op(g, latest) != ir.OpWeight
		}
		if distinct == 0 || len(ts) > maxLinearTerms {
			return nil, false
		}
		if ts = inlineValue(g, ts, latest); ts == nil {
			return nil, false
		}
	}
}

func sameRoot(g *ir.Graph, ts []ir.Term) bool {
	root := -1
	for _, t := range ts {
		_, others := constOperands(g, t)
		if id := t.In[others[0]]; root >= 0 && id != root {
			return false
		} else {
			root = id
		}
	}
	return true
}

func hasTensorConst(g *ir.Graph, ts []ir.Term) bool {
	for _, t := range ts {
		if len(t.In) > 1 {
			return true
		}
	}
	return false
}

// inlineValue replaces a value by its definition in all terms; nil if that is not an Einsum or does not compose.
func inlineValue(g *ir.Graph, ts []ir.Term, id int) []ir.Term {
	def := terms(g, ir.ValueID(id))
	if def == nil {
		return nil
	}
	var out []ir.Term
	for _, t := range ts {
		k := 0
		for k < len(t.In) && t.In[k] != id {
			k++
		}
		if k == len(t.In) {
			out = append(out, t)
			continue
		}
		for _, d := range def {
			c, ok := ir.Compose(t, k, d)
			if !ok {
				return nil
			}
			out = append(out, c)
		}
	}
	return out
}

// mergeLinear adds up terms in one activation: the constants become one tensor R.
func mergeLinear(g *ir.Graph, left *budget.Budget, n *ir.Node, ts []ir.Term) (ir.Term, bool, error) {
	for i := range ts { // the activation first
		_, others := constOperands(g, ts[i])
		ts[i] = front(ts[i], others[0])
	}
	if !refineTogether(ts) {
		return ir.Term{}, false, nil
	}
	m := newMerger(ts)
	data, ok, err := m.matrix(g, left, n, ts)
	if !ok || err != nil {
		return ir.Term{}, false, err
	}
	var shape []int
	var axes [][]int
	for _, l := range m.dims {
		shape = append(shape, m.extents[l])
		axes = append(axes, []int{l})
	}
	r := addConst(g, n, n.Origin+".linear", shape, data)
	t := ir.Term{Coef: 1, Extents: m.extents, In: []int{ts[0].In[0], int(r.ID)}, Axes: [][][]int{m.rootAxes, axes}, Out: m.outAxes}
	return t.Clone(), true, nil
}

// front moves operand k of a term to the front.
func front(t ir.Term, k int) ir.Term {
	c := t.Clone()
	in, axes := c.In[k], c.Axes[k]
	c.In = append([]int{in}, append(append([]int{}, c.In[:k]...), c.In[k+1:]...)...)
	c.Axes = append([][][]int{axes}, append(append([][][]int{}, c.Axes[:k]...), c.Axes[k+1:]...)...)
	return c
}

// refineTogether splits labels until all terms cut every axis of the result and of operand 0 at the same places.
func refineTogether(ts []ir.Term) bool {
	get := []func(t *ir.Term) [][]int{
		func(t *ir.Term) [][]int { return t.Out },
		func(t *ir.Term) [][]int { return t.Axes[0] },
	}
	for round := 0; round < 16; round++ {
		changed := false
		for _, axes := range get {
			for a := range axes(&ts[0]) {
				for i := 1; i < len(ts); i++ {
					c, ok := refinePair(&ts[0], &ts[i], a, axes)
					if !ok {
						return false
					}
					changed = changed || c
				}
			}
		}
		if !changed {
			return true
		}
	}
	return false
}

// refinePair aligns one axis of two terms; changed says whether a label was split.
func refinePair(s, t *ir.Term, a int, axes func(*ir.Term) [][]int) (changed, ok bool) {
	for p := 1; ; p++ {
		x, y := axes(s)[a], axes(t)[a]
		if p > len(x) && p > len(y) {
			return changed, true
		}
		if p > len(x) || p > len(y) {
			return changed, false
		}
		lx, ly := x[len(x)-p], y[len(y)-p]
		ex, ey := s.Extents[lx], t.Extents[ly]
		switch {
		case ex == ey:
			continue
		case ex > ey && ex%ey == 0:
			s.Split(lx, ey)
		case ey > ex && ey%ex == 0:
			t.Split(ly, ex)
		default:
			return changed, false
		}
		changed = true
	}
}

// merger holds the common labels of terms that are cut alike: one label per place of the result; a place of the activation shares
// the label of a place of the result if all terms do, and has one of its own otherwise.
type merger struct {
	extents           []int
	outAxes, rootAxes [][]int
	outSlot           []slot // by common label of the result: where it stands
	rootSlot          []slot // places of the activation with a label of their own
	rootLabel         []int  // their labels
	dims              []int  // labels of R
}

type slot struct{ axis, pos int }

func newMerger(ts []ir.Term) *merger {
	m := &merger{}
	for a, axis := range ts[0].Out {
		m.outAxes = append(m.outAxes, []int{})
		for p, l := range axis {
			m.outAxes[a] = append(m.outAxes[a], len(m.extents))
			m.outSlot = append(m.outSlot, slot{a, p})
			m.extents = append(m.extents, ts[0].Extents[l])
		}
	}
	for a, axis := range ts[0].Axes[0] {
		m.rootAxes = append(m.rootAxes, []int{})
		for p, l := range axis {
			common := m.shared(ts, slot{a, p})
			if common < 0 {
				common = len(m.extents)
				m.extents = append(m.extents, ts[0].Extents[l])
				m.rootSlot = append(m.rootSlot, slot{a, p})
				m.rootLabel = append(m.rootLabel, common)
			}
			m.rootAxes[a] = append(m.rootAxes[a], common)
		}
	}
	return m
}

// shared returns the label of the result that a place of the activation has in every term, -1 if there is none.
func (m *merger) shared(ts []ir.Term, s slot) int {
	for o, w := range m.outSlot {
		all := true
		for _, t := range ts {
			all = all && t.Out[w.axis][w.pos] == t.Axes[0][s.axis][s.pos]
		}
		if all {
			return o
		}
	}
	return -1
}

// matrix computes R over the labels that it depends on.
func (m *merger) matrix(g *ir.Graph, left *budget.Budget, n *ir.Node, ts []ir.Term) ([]float64, bool, error) {
	depends := make([]bool, len(m.extents))
	for _, t := range ts {
		m.mark(t, depends)
	}
	var shape []int
	for l, d := range depends {
		if d {
			m.dims = append(m.dims, l)
			shape = append(shape, m.extents[l])
		}
	}
	if budget.Product(shape...) > 1<<26 {
		return nil, false, nil
	}
	if err := left.Cells(ir.Size(shape)); err != nil {
		if left.Poll() != nil {
			return nil, false, err
		}
		return nil, false, exceeds(n, fmt.Sprintf("a linear map with constants of shape %v", shape), err)
	}
	r := make([]float64, ir.Size(shape))
	for _, t := range ts {
		if err := m.add(g, left, n, t, r); err != nil {
			return nil, false, err
		}
	}
	return r, true, nil
}

// local maps the labels of a term to the common labels that they stand at: a label may stand in the result and in a place of
// the activation that has its own label, in which case R is diagonal in the two.
func (m *merger) local(t ir.Term) [][]int {
	at := make([][]int, len(t.Extents))
	for o, s := range m.outSlot {
		l := t.Out[s.axis][s.pos]
		at[l] = append(at[l], o)
	}
	for i, s := range m.rootSlot {
		l := t.Axes[0][s.axis][s.pos]
		at[l] = append(at[l], m.rootLabel[i])
	}
	return at
}

func (m *merger) mark(t ir.Term, depends []bool) {
	at := m.local(t)
	for k := 1; k < len(t.In); k++ {
		for l, has := range t.InOperand(k) {
			if has && len(at[l]) > 0 {
				depends[at[l][0]] = true
			}
		}
	}
	for _, c := range m.rootLabel {
		depends[c] = true
	}
	for _, c := range at {
		if len(c) > 1 {
			depends[c[0]], depends[c[1]] = true, true
		}
	}
}

// add adds the constants of one term to R.
func (m *merger) add(g *ir.Graph, left *budget.Budget, n *ir.Node, t ir.Term, r []float64) error {
	at := m.local(t)
	// The term's labels in the order of R's; a label that stands twice is counted once.
	var labels, step []int
	stride := map[int]int{}
	s := 1
	for i := len(m.dims) - 1; i >= 0; i-- {
		stride[m.dims[i]] = s
		s *= m.extents[m.dims[i]]
	}
	for l := range t.Extents {
		d := 0
		for _, c := range at[l] {
			d += stride[c]
		}
		if d > 0 {
			labels, step = append(labels, l), append(step, d)
		}
	}
	ks := make([]int, 0, len(t.In))
	for k := 1; k < len(t.In); k++ {
		ks = append(ks, k)
	}
	data, err := evalConsts(left, g, n, t, ks, labels)
	if err != nil {
		return err
	}
	pos := make([]int, len(labels))
	for _, x := range data {
		off := 0
		for j, p := range pos {
			off += p * step[j]
		}
		r[off] += float64(t.Coef * x)
		for j := len(pos) - 1; j >= 0; j-- {
			if pos[j]++; pos[j] < t.Extents[labels[j]] {
				break
			}
			pos[j] = 0
		}
	}
	return nil
}
