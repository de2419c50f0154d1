package witness

import (
	"errors"
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/circuit"
)

// ErrWhole says that positions of a generation cannot be computed one after the other: each takes a whole pass.
var ErrWhole = errors.New("positions cannot be computed by themselves")

// rowPlan says how the positions of a generation are computed one after the other, from what Finish has derived of causality: a cell
// depends on the tokens up to the largest of its indices on the time axes of its tensor. A band of positions of a tensor is the cells whose
// index on one of its time axes, which it follows, lies in the band, and whose other such indices are not beyond it. Where a tensor has
// several time axes, as the scores of an attention, its bands leave out cells, which nothing of the same band and nothing before it needs:
// rows that are above the diagonal. They are computed at the end, with the whole tensor.
type rowPlan struct {
	c       *circuit.Circuit
	steps   []rowStep
	lookups []int        // that can be counted by rows
	follow  []int        // per tensor: the axis, or one of the following
	boxOf   []circuit.ID // per hint of a step: the tensor whose band its cells are
	yields  map[circuit.ID]int
}

const (
	timeless  = -1 // depends on no token
	undecided = -2 // has several time axes
	unplanned = -3 // is not computed by rows
)

// rowStep computes a virtual tensor, or the results of a hint.
type rowStep struct {
	virtual circuit.ID // -1 for a hint
	hint    int
	once    bool // depends on no token
}

// planRows orders what the output, and all lookups of tensors with one time axis, are computed from. The error is ErrWhole, with a reason.
func planRows(c *circuit.Circuit) (*rowPlan, error) {
	p := &rowPlan{c: c, follow: make([]int, len(c.Tensors)), boxOf: make([]circuit.ID, len(c.Hints)), yields: map[circuit.ID]int{}}
	if c.Generation == nil {
		return nil, fmt.Errorf("%w: circuit %s is no generation", ErrWhole, c.Name)
	}
	for h := range c.Hints {
		for _, id := range c.Hints[h].Out {
			p.yields[id] = h
		}
	}
	for i := range p.follow {
		p.follow[i] = unplanned
	}
	if err := p.visit(c.Generation.Output); err != nil {
		return nil, err
	}
	for i, l := range c.Lookups {
		if !p.countable(&l) {
			continue
		}
		for _, id := range l.Cols {
			if err := p.visit(id); err != nil {
				return nil, err
			}
		}
		p.lookups = append(p.lookups, i)
	}
	for i := range p.steps {
		if err := p.decide(&p.steps[len(p.steps)-1-i]); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// countable says whether no column has several time axes or may depend on anything, and those that have one have the same.
func (p *rowPlan) countable(l *circuit.Lookup) bool {
	at := timeless
	for _, id := range l.Cols {
		axes, ok := p.c.TimeAxes(id)
		switch a := followed(axes); {
		case !ok, a == undecided, at != timeless && a != timeless && a != at:
			return false
		default:
			at = max(at, a)
		}
	}
	return true
}

// followed is the one time axis, timeless or undecided.
func followed(axes []bool) int {
	a := slices.Index(axes, true)
	if a >= 0 && slices.Contains(axes[a+1:], true) {
		return undecided
	}
	return a
}

// whole is the error about a tensor.
func (p *rowPlan) whole(id circuit.ID, format string, args ...any) error {
	return fmt.Errorf("%w: circuit %s: tensor %s %s", ErrWhole, p.c.Name, p.c.Tensor(id).Name, fmt.Sprintf(format, args...))
}

// visit adds the steps that a tensor needs, and its own.
func (p *rowPlan) visit(id circuit.ID) error {
	if p.follow[id] != unplanned {
		return nil
	}
	t := p.c.Tensor(id)
	axes, ok := p.c.TimeAxes(id)
	if !ok {
		return p.whole(id, "may depend on any position")
	}
	p.follow[id] = followed(axes)
	step := rowStep{virtual: id, hint: -1, once: p.follow[id] == timeless}
	var needs []circuit.ID
	switch t.Kind {
	case circuit.Virtual:
		for i := range t.Def {
			for _, f := range t.Def[i].Factors {
				needs = append(needs, f.T)
			}
		}
	case circuit.Witness:
		step.virtual, step.hint = -1, p.yields[id]
		h := &p.c.Hints[step.hint]
		for _, out := range h.Out {
			axes, ok := p.c.TimeAxes(out)
			if !ok {
				return p.whole(out, "may depend on any position")
			}
			p.follow[out] = followed(axes)
			step.once = step.once && p.follow[out] == timeless
		}
		needs = h.In
	default:
		return nil
	}
	for _, need := range needs {
		if need < 0 {
			continue
		}
		if err := p.visit(need); err != nil {
			return err
		}
	}
	p.steps = append(p.steps, step)
	return nil
}

// want makes a tensor follow an axis. One with a single time axis follows that: its earlier positions stand.
func (p *rowPlan) want(id circuit.ID, axis int) error {
	axes := p.timeAxes(id)
	switch {
	case followed(axes) != undecided:
		return nil
	case axis < 0 || !axes[axis]:
		return p.whole(id, "is needed at positions that are not those of what is made from it")
	case p.follow[id] != undecided && p.follow[id] != axis:
		return p.whole(id, "is needed by rows of two axes")
	}
	p.follow[id] = axis
	return nil
}

// decide says which axes the inputs of a step follow. Steps are decided from the last to the first: what uses a tensor comes before it.
func (p *rowPlan) decide(s *rowStep) error {
	switch {
	case s.once:
		return nil
	case s.hint >= 0:
		return p.decideHint(s.hint)
	case p.follow[s.virtual] < 0:
		return p.whole(s.virtual, "has positions along several axes, and nothing says which are its rows")
	}
	t, follow := p.c.Tensor(s.virtual), p.follow[s.virtual]
	axes := p.timeAxes(s.virtual)
	for i := range t.Def {
		term := &t.Def[i]
		for a, is := range axes {
			if is && len(term.Out[a]) > 1 {
				return p.whole(s.virtual, "has positions that are split")
			}
		}
		for _, f := range term.Factors {
			axis := -1
			for a, labels := range f.Axes {
				if len(labels) == 1 && slices.Equal(labels, term.Out[follow]) {
					axis = a
				}
			}
			if err := p.want(f.T, axis); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *rowPlan) decideHint(hint int) error {
	h := &p.c.Hints[hint]
	p.boxOf[hint] = h.Out[0]
	switch h.Kind {
	case circuit.HintInput:
		return nil
	case circuit.HintAttn:
		return p.decideAttention(hint)
	}
	shape := p.c.Tensor(h.Out[0]).Shape
	follow := p.decided(h.Out)
	for _, id := range slices.Concat(h.Out, h.In) {
		if !slices.Equal(p.c.Tensor(id).Shape, shape) {
			return p.whole(id, "has another shape than what is made from it, or with it")
		}
		if err := p.want(id, follow); err != nil {
			return err
		}
	}
	return nil
}

// decideAttention: rows of an attention see columns up to their own position, which are masked beyond. Where columns are no positions, the
// results are as the scores.
func (p *rowPlan) decideAttention(hint int) error {
	h := &p.c.Hints[hint]
	s := h.In[0]
	shape, axes := p.c.Tensor(s).Shape, p.timeAxes(s)
	col := len(shape) - 1
	for _, id := range slices.Backward(h.Out) { // the first one that has the scores' shape: it depends on all that they depend on
		if len(p.c.Tensor(id).Shape) == col+1 {
			p.boxOf[hint] = id
		}
	}
	if m := h.In[1]; m >= 0 {
		if k := len(p.c.Tensor(m).Shape); k > col+1 || !slices.Equal(p.c.Tensor(m).Shape, shape[col+1-k:]) {
			return p.whole(m, "is a mask of another shape than the scores")
		}
	}
	follow := p.decided(h.In[:1], h.Out)
	if axes[col] {
		follow = col - 1
	}
	for _, id := range slices.Concat(h.Out, h.In[:1]) {
		if err := p.want(id, follow); err != nil {
			return err
		}
	}
	return nil
}

// decided is an axis that one of the tensors follows.
func (p *rowPlan) decided(lists ...[]circuit.ID) int {
	for _, id := range slices.Concat(lists...) {
		if p.follow[id] >= 0 {
			return p.follow[id]
		}
	}
	return undecided
}

func (p *rowPlan) timeAxes(id circuit.ID) []bool {
	axes, _ := p.c.TimeAxes(id)
	return axes
}
