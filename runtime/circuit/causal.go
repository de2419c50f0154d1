package circuit

import (
	"errors"
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/runtime/interval"
)

// Causality is derived here, from the finished description, and believed from nobody: Finish refuses a circuit that is declared
// causal and is not seen to be (protocol sections 6 and 11). What it means: the row t of the output is a function of the weights and
// of the tokens at positions up to t.
//
// The witness is unique (each gadget argues so for its own constraints), hence it is the function that the hints compute, whichever
// prover made it. So the analysis follows values from the tokens to the output, through all factors of every term and all inputs of
// every hint. It keeps for every tensor its time axes: a cell depends on the tokens at positions up to the largest of its indices on
// these axes, and on none where it has no such axis. A tensor that is late may depend on anything.
//
//   - Weights, constants and affine tensors have no time axis. The public one-hot rows of the tokens, and the private ones, have axis 0. All other
//     public tensors say what the statement claims or where its prompt ends: they are late.
//   - A term passes a time axis on where it is one whole label and one whole axis of the result. A time label that is summed over is
//     allowed in one case: another factor is zero wherever this label exceeds a label of the result, which then is a time axis.
//   - The results of an elementwise hint are as its input. Of zkAttn see attention.
//   - A lookup ties its columns together, as a zero-check does with the cells that it adds up. So a constraint must not know more than
//     the hint that it is about: of all hints whose results occur in its columns, however deep, the last. Each result of this hint
//     that occurs must have the constraint's shape and all its time axes; if not, all results of the hint are late.
//
// Whatever is not understood is late: an axis that is split or merged, a hint of an unknown kind, a witness that no hint yields.

// ErrNotCausal says that a circuit is declared causal and was not seen to be.
var ErrNotCausal = errors.New("it is declared causal, but its output at a position may depend on later tokens")

// timing says what of the tokens a tensor depends on.
type timing struct {
	late bool
	why  string // late: the first reason, with the tensor's name
	axes []bool // of the tensor's axes, which are time axes
}

func lateBecause(format string, args ...any) timing {
	return timing{late: true, why: fmt.Sprintf(format, args...)}
}

// with returns the timing that also depends on what other does; both are of one shape.
func (t timing) with(other timing) timing {
	switch {
	case t.late:
		return t
	case other.late:
		return other
	}
	axes := slices.Clone(t.axes)
	for a, is := range other.axes {
		axes[a] = axes[a] || is
	}
	return timing{axes: axes}
}

// covers says whether every time axis of other is one of t.
func (t timing) covers(other timing) bool {
	if t.late || other.late {
		return t.late
	}
	for a, is := range other.axes {
		if is && !t.axes[a] {
			return false
		}
	}
	return true
}

// causality is one analysis of a circuit.
type causality struct {
	c     *Circuit
	owner []int // per tensor: the last hint whose results occur in it, however deep; -1: none, the output counting as none
	by    []int // per witness: the hint that yields it, -1: none, -2: several
	time  []*timing
	low   map[corner]bool
	about [][]constraint // per hint: the constraints about it

	proven []interval.Interval
}

// corner names the claim that a tensor is zero wherever its index on axis col exceeds that on axis row.
type corner struct {
	t        ID
	row, col int
}

// constraint is a lookup's columns, or the one tensor of a zero-check.
type constraint []ID

// checkCausal refuses a circuit that is declared causal unless its output is seen to be.
func (c *Circuit) checkCausal(proven []interval.Interval) error {
	if !c.Causal || c.Output < 0 {
		return nil
	}
	t := c.timeOfOutput(proven)
	why := t.why
	for a, is := range t.axes {
		if is && a != 0 && !t.late {
			t.late, why = true, fmt.Sprintf("tensor %s: axis %d runs over positions too", c.Tensor(c.Output).Name, a)
		}
	}
	if t.late {
		return fmt.Errorf("circuit %s: %w: %s", c.Name, ErrNotCausal, why)
	}
	return nil
}

func (c *Circuit) timeOfOutput(proven []interval.Interval) timing {
	a := &causality{c: c, proven: proven, time: make([]*timing, len(c.Tensors)), low: map[corner]bool{}}
	a.findOwners()
	a.findConstraints()
	for h := range c.Hints {
		a.hint(h)
	}
	return a.at(c.Output)
}

// findOwners runs through the tensors in the order of their definition.
func (a *causality) findOwners() {
	a.by, a.owner = make([]int, len(a.c.Tensors)), make([]int, len(a.c.Tensors))
	for i := range a.by {
		a.by[i] = -1
	}
	for h := range a.c.Hints {
		for _, id := range a.c.Hints[h].Out {
			if a.by[id] != -1 {
				a.by[id] = -2
				continue
			}
			a.by[id] = h
		}
	}
	for i := range a.c.Tensors {
		a.owner[i] = max(a.by[i], -1)
		for _, term := range a.c.Tensors[i].Def {
			for _, f := range term.Factors {
				if f.T != a.c.Output { // what is revealed of the output says nothing of how it came about
					a.owner[i] = max(a.owner[i], a.owner[f.T])
				}
			}
		}
	}
}

func (a *causality) findConstraints() {
	a.about = make([][]constraint, len(a.c.Hints))
	add := func(cols constraint) {
		last := -1
		for _, id := range cols {
			if id != a.c.Output || a.c.Tensor(id).Kind == Witness {
				last = max(last, a.owner[id])
			}
		}
		if last >= 0 {
			a.about[last] = append(a.about[last], cols)
		}
	}
	for _, l := range a.c.Lookups {
		add(l.Cols)
	}
	for _, z := range a.c.Zeros {
		add(constraint{z})
	}
}

// at is the timing of a tensor all of whose owners are known.
func (a *causality) at(id ID) timing {
	if a.time[id] == nil {
		t := a.compute(id)
		a.time[id] = &t
	}
	return *a.time[id]
}

func (a *causality) compute(id ID) timing {
	t := a.c.Tensor(id)
	r := timing{axes: make([]bool, len(t.Shape))}
	switch t.Kind {
	case Weight, Const, Affine:
	case Public:
		if t.Source != TokenOneHot {
			return lateBecause("tensor %s: it is computed from what the statement claims", t.Name)
		}
		r.axes[0] = true
	case Witness:
		return lateBecause("tensor %s: no hint, or more than one, or a later one says how it comes about", t.Name)
	case Virtual:
		for i := range t.Def {
			if r = a.term(t, &t.Def[i], r); r.late {
				return r
			}
		}
	}
	return r
}

// term adds the time axes of one term to the result's.
func (a *causality) term(t *Tensor, term *Term, r timing) timing {
	outAxis := map[int]int{} // axes of the result that are one label
	for axis, labels := range term.Out {
		if len(labels) == 1 {
			outAxis[labels[0]] = axis
		}
	}
	for _, f := range term.Factors {
		x := a.at(f.T)
		if x.late {
			return x
		}
		for axis, is := range x.axes {
			labels := f.Axes[axis]
			if !is || len(labels) == 0 { // an axis of one position is position 0
				continue
			}
			if len(labels) > 1 {
				return lateBecause("tensor %s: the positions of %s are split", t.Name, a.c.Tensor(f.T).Name)
			}
			out, ok := outAxis[labels[0]]
			if !ok {
				out, ok = a.rowOf(term, labels[0], outAxis)
			}
			if !ok {
				return lateBecause("tensor %s: it sums %s over positions, or merges them with another axis", t.Name, a.c.Tensor(f.T).Name)
			}
			r.axes[out] = true
		}
	}
	return r
}

// rowOf finds the axis of the result that bounds a summed label: some factor is zero where the label exceeds it.
func (a *causality) rowOf(term *Term, label int, outAxis map[int]int) (int, bool) {
	for _, f := range term.Factors {
		for col, cl := range f.Axes {
			if len(cl) != 1 || cl[0] != label {
				continue
			}
			for row, rl := range f.Axes {
				if len(rl) != 1 || row == col {
					continue
				}
				if out, ok := outAxis[rl[0]]; ok && a.lower(corner{f.T, row, col}) {
					return out, true
				}
			}
		}
	}
	return 0, false
}

// lower says whether a tensor is zero wherever its index on one axis exceeds that on another: constants by their values, virtual
// tensors if a factor of each term is, e, z_u and z_d of a masked zkAttn (recorded by attention), and what an elementwise hint that
// makes zero of zero makes of such a tensor.
func (a *causality) lower(k corner) bool {
	if is, ok := a.low[k]; ok {
		return is
	}
	t := a.c.Tensor(k.t)
	is := false
	switch t.Kind {
	case Const, Affine:
		is = lowerCells(t.KnownCells(), t.Shape, k.row, k.col)
	case Virtual:
		is = true
		for i := range t.Def {
			is = is && a.lowerTerm(&t.Def[i], k)
		}
	case Witness:
		is = a.by[k.t] >= 0 && a.keepsZero(&a.c.Hints[a.by[k.t]], k)
	}
	a.low[k] = is
	return is
}

// keepsZero says whether a hint's result is zero where its first input is, and that input is lower in the corner.
func (a *causality) keepsZero(h *Hint, k corner) bool {
	if !equalShape(a.c.Tensor(h.In[0]).Shape, a.c.Tensor(k.t).Shape) {
		return false
	}
	zero := false
	switch h.Kind {
	case HintRescale:
		zero = true
	case HintClamp:
		p, ok := h.Clamp()
		zero = ok && k.t == h.Out[0] && p.Lo <= 0 && p.Hi >= 0
	case HintTable:
		p, ok := h.Lookup()
		if ok && h.Table >= 0 && h.Table < len(a.c.Tables) && p.Column >= 0 && p.Column < int64(len(a.c.Tables[h.Table].Cols)) {
			col := a.c.Tables[h.Table].Cols[p.Column]
			zero = p.First <= 0 && -p.First < int64(len(col)) && col[-p.First] == 0
		}
	}
	return zero && a.lower(corner{h.In[0], k.row, k.col})
}

func (a *causality) lowerTerm(term *Term, k corner) bool {
	rows, cols := term.Out[k.row], term.Out[k.col]
	if len(rows) != 1 || len(cols) != 1 {
		return false
	}
	for _, f := range term.Factors {
		row, col := -1, -1
		for axis, labels := range f.Axes {
			if len(labels) == 1 && labels[0] == rows[0] {
				row = axis
			}
			if len(labels) == 1 && labels[0] == cols[0] {
				col = axis
			}
		}
		if row >= 0 && col >= 0 && a.lower(corner{f.T, row, col}) {
			return true
		}
	}
	return false
}

// lowerCells says whether all cells with an index on axis col beyond that on axis row are zero.
func lowerCells(values []int64, shape []int, row, col int) bool {
	stride := func(axis int) int { return Size(shape[axis+1:]) }
	for i, v := range values {
		if v != 0 && i/stride(col)%shape[col] > i/stride(row)%shape[row] {
			return false
		}
	}
	return true
}

// hint times the results of a hint, and makes them late if a constraint about them knows more.
func (a *causality) hint(h int) {
	hint := &a.c.Hints[h]
	for _, id := range hint.In {
		if id >= 0 && a.owner[id] >= h {
			a.set(h, lateBecause("tensor %s: it is made from %s, which comes later", a.c.Tensor(hint.Out[0]).Name, a.c.Tensor(id).Name), nil)
			return
		}
	}
	switch hint.Kind {
	case HintTokens:
		a.tokens(h)
	case HintAttn:
		a.attention(h)
	case HintRescale, HintClamp, HintLimbs, HintTable, HintRsqrt, HintRecip:
		a.set(h, a.at(hint.In[0]), a.c.Tensor(hint.In[0]).Shape)
	default:
		a.set(h, lateBecause("tensor %s: hint %d is unknown", a.c.Tensor(hint.Out[0]).Name, hint.Kind), nil)
	}
	// zkAttn looks at its constraints itself. Private tokens are inputs: what constrains them restricts them and computes nothing.
	if hint.Kind != HintAttn && hint.Kind != HintTokens {
		a.constraints(h)
	}
}

// set gives the results of a hint the timing of a tensor of the given shape. Those of another shape, and those of several hints, are late.
func (a *causality) set(h int, t timing, shape []int) {
	for _, id := range a.c.Hints[h].Out {
		if a.by[id] != h {
			continue
		}
		own := t
		if !t.late && !equalShape(shape, a.c.Tensor(id).Shape) {
			own = lateBecause("tensor %s: it has other axes than what it is made from", a.c.Tensor(id).Name)
		}
		a.time[id] = &own
	}
}

// tokens times the one-hot rows of private tokens.
func (a *causality) tokens(h int) {
	a.set(h, timing{axes: []bool{true, false}}, []int{a.c.Length, a.c.Vocab})
}

// constraints makes the results of a hint late if a constraint about them depends on more than they do.
func (a *causality) constraints(h int) {
	for _, cols := range a.about[h] {
		shape := a.c.Tensor(cols[0]).Shape
		t := timing{axes: make([]bool, len(shape))}
		for _, id := range cols {
			t = t.with(a.at(id))
		}
		for _, id := range a.resultsIn(h, cols) {
			w := a.at(id)
			if !w.late && (!equalShape(a.c.Tensor(id).Shape, shape) || !w.covers(t)) {
				why := t
				if !t.late {
					why = lateBecause("tensor %s: %s constrains it and depends on later positions", a.c.Tensor(id).Name, a.c.Tensor(cols[0]).Name)
				}
				a.set(h, why, nil)
				return
			}
		}
	}
}

// resultsIn lists the results of a hint that occur in a constraint.
func (a *causality) resultsIn(h int, cols constraint) (out []ID) {
	seen := map[ID]bool{}
	var visit func(id ID)
	visit = func(id ID) {
		if seen[id] || a.owner[id] != h {
			return
		}
		seen[id] = true
		if a.c.Tensor(id).Kind == Witness {
			out = append(out, id)
		}
		for _, term := range a.c.Tensor(id).Def {
			for _, f := range term.Factors {
				if f.T != a.c.Output {
					visit(f.T)
				}
			}
		}
	}
	for _, id := range cols {
		visit(id)
	}
	return out
}
