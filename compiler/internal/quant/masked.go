package quant

import (
	"math"
	"slices"
	"sync"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// A mask that is an input takes maskWeight off the scores that it masks, which hides them where scores lie nearer to each other. Where those of
// calibration may not, the model is run with masks that take much more off as well, and refused if a softmax tells the two apart.

const (
	maskWeight = 512     // as in package frontend
	hiddenBy   = 32      // from which distance below the greatest score on a weight is nothing
	heavier    = 1 << 10 // what masks are multiplied by for comparison
	unmasked   = 0x1p-11 // from which difference on a softmax tells
	mostSteps  = 1 << 12 // bounds the terms that are looked at
)

// twins are values of a graph as they would be if masks that are inputs took more off.
type twins struct {
	m     *measure
	heavy map[ir.ValueID][]int // per sum: its terms that mask
	need  map[ir.ValueID]bool  // sums that have a twin
	steps int

	g    *ir.Graph               // with the twins
	of   map[ir.ValueID]*ir.Node // per twin of a softmax: the softmax
	bits map[ir.ValueID]bool     // values that are to be zeros and ones, else it is no mask

	mu    sync.Mutex
	worst float64 // the greatest difference between a softmax and its twin
	where *ir.Node
	other bool // some value of bits is something else
}

// hides refuses a model of which a softmax shows, on a sample, what a mask that is an input masks.
func (m *measure) hides(left *budget.Budget) error {
	t := &twins{m: m, heavy: map[ir.ValueID][]int{}, need: map[ir.ValueID]bool{}, of: map[ir.ValueID]*ir.Node{}, bits: map[ir.ValueID]bool{}}
	far := false
	for _, n := range m.f.Nodes {
		if a, is := n.Attr.(*ir.SoftmaxAttr); is {
			masked, reach := t.look(n.In[0], a.Scale)
			far = far || masked && !(2*reach <= maskWeight-hiddenBy)
		}
	}
	if !far {
		return nil
	}
	t.build()
	err := forEach(left, len(m.Samples), 1, []*ir.Graph{t.g}, 0, func(from, to int) error { return t.run(left, m.Samples[from:to]) })
	if err == nil && t.worst > unmasked && !t.other {
		return t.where.Errorf("its scores lie so far apart that a mask that is an input, which takes %d off them, leaves weights that are wrong by up to %.3g; scale queries or keys down, or give the mask with the model, --fix NAME=FILE",
			maskWeight, t.worst)
	}
	return err
}

// look finds what masks a value by which scores, times a factor, are computed, and bounds what the others of its terms add up to.
func (t *twins) look(id ir.ValueID, factor float64) (masked bool, reach float64) {
	most := float64(math.Abs(factor) * t.m.Max[id])
	n := t.m.f.Value(id).Def
	a, is := n.Attr.(*ir.EinsumAttr)
	if t.steps += 1; !is || t.steps > mostSteps {
		return false, most
	}
	var heavy []int
	for i, term := range a.Terms {
		coef := float64(term.Coef * factor)
		alone := len(term.In) < 2 && !summed(&term)
		if alone && math.Abs(math.Abs(coef)-maskWeight) < 1e-6 {
			heavy = append(heavy, i)
			continue
		}
		if alone && len(term.In) == 1 {
			inner, r := t.look(n.In[term.In[0]], coef)
			masked, reach = masked || inner, reach+r
			continue
		}
		r := math.Abs(coef)
		for l, out := range term.InOut() {
			if !out {
				r = float64(r * float64(term.Extents[l]))
			}
		}
		for _, k := range term.In {
			r = float64(r * t.m.Max[n.In[k]])
		}
		reach += r
	}
	if len(heavy) > 0 {
		t.heavy[id], masked = heavy, true
	}
	if !masked {
		return false, most
	}
	t.need[id] = true
	return true, reach
}

// build makes the graph.
func (t *twins) build() {
	g := *t.m.f
	g.Values, g.Nodes, t.g = slices.Clone(g.Values), nil, &g
	twin := map[ir.ValueID]ir.ValueID{}
	for _, n := range t.m.f.Nodes {
		g.Nodes = append(g.Nodes, n)
		in := slices.Clone(n.In)
		for k, id := range in {
			if w, is := twin[id]; is {
				in[k] = w
			}
		}
		v := g.Value(n.Out[0])
		switch {
		case t.need[v.ID]:
			e := &ir.EinsumAttr{}
			for _, term := range n.Attr.(*ir.EinsumAttr).Terms {
				e.Terms = append(e.Terms, term.Clone())
			}
			for _, i := range t.heavy[v.ID] {
				e.Terms[i].Coef = float64(e.Terms[i].Coef * heavier)
				for _, k := range e.Terms[i].In {
					t.bits[n.In[k]] = true
				}
			}
			twin[v.ID] = g.Derive(n, n.Op, v.Name, v.Shape, in, e).ID
		case n.Op == ir.OpSoftmax && in[0] != n.In[0]:
			t.of[g.Derive(n, n.Op, v.Name, v.Shape, in, n.Attr).ID] = n
		}
	}
}

// run compares every softmax with its twin.
func (t *twins) run(left *budget.Budget, batch []Input) error {
	seen := make([]map[ir.ValueID][]float64, len(batch))
	for r := range seen {
		seen[r] = map[ir.ValueID][]float64{}
	}
	return eval.EachFloat(left, t.g, elementsOf(batch), func(r int, v *ir.Value, cells []float64) error {
		if t.bits[v.ID] && slices.ContainsFunc(cells, func(x float64) bool { return x != 0 && x != 1 }) {
			t.mu.Lock()
			t.other = true
			t.mu.Unlock()
		}
		n := t.of[v.ID]
		if n == nil {
			if v.Def.Op == ir.OpSoftmax {
				seen[r][v.ID] = cells
			}
			return nil
		}
		worst := 0.0
		for i, x := range seen[r][n.Out[0]] {
			worst = max(worst, math.Abs(x-cells[i]))
		}
		delete(seen[r], n.Out[0])
		t.mu.Lock()
		defer t.mu.Unlock()
		if worst > t.worst {
			t.worst, t.where = worst, n
		}
		return nil
	})
}
