package circuit

import (
	"errors"
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/interval"
)

// Causality is derived here, from the finished description, and believed from nobody: Finish refuses a generation whose output
// is not seen to be causal (SPEC.md 16.6). What it means: the row t of the output is a function of the weights and
// of the tokens at positions up to t.
//
// Every gadget argues that its constraints leave its results one value, whatever its inputs are within their declared bounds, hence the
// witness is the function that the hints compute, whichever prover made it. For a circuit that is made of something else than gadgets the
// result means nothing: a zero-check of a rounded value, or a declared bound that does not hold, ties the values that it is computed from
// to each other, and is not seen. Generated code calls gadgets alone, and gives the arguments of its bounds. So the analysis follows values
// from the tokens to the output, through all factors of every term and all inputs of every hint. It keeps for every tensor its time axes: a
// cell depends on the tokens at positions up to the largest of its indices on these axes, and on none where it has no such axis. A tensor
// that is late may depend on anything.
//
//   - Weights, constants and affine tensors have no time axis. The public one-hot rows of the tokens, or the private ones, have axis 0. All
//     other public tensors say what the statement claims or where its prompt ends, as do the public rows beside private ones: they are late.
//   - A term passes a time axis on where it is one whole label and one whole axis of the result. A time label that is summed over is
//     allowed in one case: another factor is zero wherever this label exceeds a label of the result, which then is a time axis.
//   - The results of an elementwise hint are as its input. Of zkAttn see attention.
//
// Beside that, no constraint may know more than the results that it is about (see constraints): it would compute them from something else
// than their hint does. Whatever is not understood is late, or makes the circuit not causal: an axis that is split or merged, a hint of an
// unknown kind, a witness that no hint yields, or several do, a constraint that is no gadget's.

// ErrNotCausal says that a circuit is a generation and was not seen to be causal.
var ErrNotCausal = errors.New("generations need a causal model, but its output at a position may depend on later tokens")

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

// constraint is a lookup's columns, or the one tensor of a zero-check.
type constraint struct {
	cols   []ID
	lookup int // its number, -1 for others
}

// causality is one analysis of a circuit.
type causality struct {
	c      *Circuit
	proven []interval.Interval
	ranges [][]interval.Interval // of the tables' columns

	by       []int // per witness: the hint that yields it, -1: none, -2: several
	owner    []int // per tensor: the last hint whose results occur in it, however deep, -1: none
	time     []timing
	virtuals [][]ID         // per owner from -1 on: the virtual tensors, in the order of their definition
	about    [][]constraint // per hint: the constraints of which it is the last owner
	looked   [][]column     // per tensor: where it is looked up
	rest     map[ID][]ID    // per tensor: virtual tensors that are it less something, and looked up
	uses     map[ID][]ID    // per result of zkAttn: the virtual tensors that it is a factor of

	claims  map[ID]bool // what ties the statement to the circuit, see findClaims; and zkAttn's divisions: nothing is looked for in them
	excused map[int]bool
	low     map[corner]bool
	walked  int
	cells   int
	wrong   string // why a constraint is not understood
}

// column is a column of a table that a tensor is looked up in.
type column struct{ lookup, table, col int }

// Limits of the analysis, far beyond what models need: behind them a circuit is not understood.
const (
	maxWalked     = 1 << 21 // tensors looked at in constraints
	maxCellsSeen  = 1 << 27 // cells looked at for zeros
	maxLowerDepth = 1 << 10 // tensors on the way to one that is zero in a corner
	maxFactors    = 64      // of a term that sums over positions
)

// checkCausal refuses a generation unless its output is seen to be.
func (c *Circuit) checkCausal(proven []interval.Interval) error {
	if c.Generation == nil {
		return nil
	}
	times, t := c.timeOfOutput(proven)
	why := t.why
	for a, is := range t.axes {
		if is && a != 0 && !t.late {
			t.late, why = true, fmt.Sprintf("tensor %s: axis %d runs over positions too", c.Tensor(c.Generation.Output).Name, a)
		}
	}
	if t.late {
		return fmt.Errorf("circuit %s: %w: %s", c.Name, ErrNotCausal, why)
	}
	c.times = times
	return nil
}

// TimeAxes says which axes of a tensor run over the positions of a generation: a cell depends on the tokens at positions up to the largest
// of its indices on them, and on none if there is no such axis. It says false of a tensor that may depend on any token, or on what the
// statement claims, and of all tensors of a function.
func (c *Circuit) TimeAxes(id ID) (axes []bool, ok bool) {
	if c.times == nil || c.times[id].late {
		return nil, false
	}
	return c.times[id].axes, true
}

// timeOfOutput times all tensors, and returns the output's timing too.
func (c *Circuit) timeOfOutput(proven []interval.Interval) (times []timing, output timing) {
	n := len(c.Tensors)
	a := &causality{
		c: c, proven: proven, ranges: c.tableRanges(), by: make([]int, n), owner: make([]int, n), time: make([]timing, n), looked: make([][]column, n),
		virtuals: make([][]ID, len(c.Hints)+1), about: make([][]constraint, len(c.Hints)),
		rest: map[ID][]ID{}, uses: map[ID][]ID{}, excused: map[int]bool{}, low: map[corner]bool{},
	}
	a.findYielders()
	a.findClaims()
	a.findOwners()
	a.index()
	a.findConstraints()
	a.given()
	for h := range c.Hints {
		a.hint(h)
		for _, id := range a.virtuals[h+1] {
			a.time[id] = a.virtual(id)
		}
		if a.constraints(h); a.wrong != "" {
			return nil, timing{late: true, why: a.wrong}
		}
	}
	return a.time, a.time[c.Generation.Output]
}

func (a *causality) findYielders() {
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
}

// findOwners runs through the tensors in the order of their definition.
func (a *causality) findOwners() {
	for i := range a.c.Tensors {
		a.owner[i] = max(a.by[i], -1)
		if a.claims[ID(i)] {
			continue
		}
		for _, term := range a.c.Tensors[i].Def {
			for _, f := range term.Factors {
				a.owner[i] = max(a.owner[i], a.owner[f.T])
			}
		}
		if a.c.Tensors[i].Kind == Virtual {
			a.virtuals[a.owner[i]+1] = append(a.virtuals[a.owner[i]+1], ID(i))
		}
	}
}

// index notes where tensors are looked up, and what zkAttn's results and remainders occur in.
func (a *causality) index() {
	for n, l := range a.c.Lookups {
		for k, id := range l.Cols {
			a.looked[id] = append(a.looked[id], column{n, l.Table, k})
		}
	}
	for i := range a.c.Tensors {
		t := &a.c.Tensors[i]
		if len(t.Def) > 0 && len(t.Def[0].Factors) == 1 && len(a.looked[i]) > 0 {
			v := t.Def[0].Factors[0].T
			a.rest[v] = append(a.rest[v], t.ID)
		}
		for _, term := range t.Def {
			for _, f := range term.Factors {
				if h := a.by[f.T]; h >= 0 && a.c.Hints[h].Kind == HintAttn {
					a.uses[f.T] = append(a.uses[f.T], t.ID)
				}
			}
		}
	}
}

func (a *causality) findConstraints() {
	add := func(c constraint) {
		last := -1
		for _, id := range c.cols {
			last = max(last, a.owner[id])
		}
		if last >= 0 {
			a.about[last] = append(a.about[last], c)
		}
	}
	for n, l := range a.c.Lookups {
		add(constraint{l.Cols, n})
	}
	for _, z := range a.c.Zeros {
		add(constraint{[]ID{z}, -1})
	}
	for _, h := range a.c.Hints { // limbs say of their value that it lies in a range, which is about the value's own hint
		if h.Kind == HintLimbs {
			add(constraint{h.In[:1], -1})
		}
	}
}

// given times what depends on no hint.
func (a *causality) given() {
	for i := range a.c.Tensors {
		t := &a.c.Tensors[i]
		free := timing{axes: make([]bool, len(t.Shape))}
		switch {
		case t.Kind == Public && a.c.tells(t):
			free.axes[0] = true
			a.time[i] = free
		case t.Kind == Public || a.claims[t.ID]:
			a.time[i] = lateBecause("tensor %s: it is computed from what the statement claims", t.Name)
		case t.Kind == Witness:
			a.time[i] = lateBecause("tensor %s: no hint, or more than one, or a later one says how it comes about", t.Name)
		case t.Kind != Virtual:
			a.time[i] = free
		}
	}
	for _, id := range a.virtuals[0] {
		a.time[id] = a.virtual(id)
	}
}

// virtual times a virtual tensor all of whose factors are timed.
func (a *causality) virtual(id ID) timing {
	t := a.c.Tensor(id)
	r := timing{axes: make([]bool, len(t.Shape))}
	for i := range t.Def {
		if r = a.term(t, &t.Def[i], r); r.late {
			return r
		}
	}
	return r
}

// term adds the time axes of one term to the result's.
func (a *causality) term(t *Tensor, term *Term, r timing) timing {
	outAxis := wholeAxes(term.Out)
	for _, f := range term.Factors {
		x := a.time[f.T]
		if x.late {
			return x
		}
		for axis, is := range x.axes {
			labels := f.Axes[axis]
			if !is || a.c.Tensor(f.T).Shape[axis] == 1 { // an axis of one position is position 0
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

// wholeAxes are the axes that are one label, by label.
func wholeAxes(axes [][]int) map[int]int {
	out := map[int]int{}
	for axis, labels := range axes {
		if len(labels) == 1 {
			out[labels[0]] = axis
		}
	}
	return out
}

// rowOf finds the axis of the result that bounds a summed label: some factor is zero where the label exceeds it.
func (a *causality) rowOf(term *Term, label int, outAxis map[int]int) (int, bool) {
	if len(term.Factors) > maxFactors {
		return 0, false
	}
	for _, f := range term.Factors {
		for col, cl := range f.Axes {
			if len(cl) != 1 || cl[0] != label {
				continue
			}
			for row, rl := range f.Axes {
				if len(rl) != 1 || row == col {
					continue
				}
				if out, ok := outAxis[rl[0]]; ok && a.lower(corner{f.T, row, col}, 0) {
					return out, true
				}
			}
		}
	}
	return 0, false
}

// hint times the results of a hint.
func (a *causality) hint(h int) {
	hint := &a.c.Hints[h]
	name := a.c.Tensor(hint.Out[0]).Name
	for _, id := range hint.In {
		if id >= 0 && a.owner[id] >= h {
			a.set(h, lateBecause("tensor %s: it is made from %s, which comes later", name, a.c.Tensor(id).Name), nil)
			return
		}
	}
	switch hint.Kind {
	case HintInput:
		a.tokens(h)
	case HintAttn:
		a.attention(h)
	case HintRescale, HintClamp, HintWide, HintLimbs, HintTable, HintRsqrt, HintRecip:
		a.set(h, a.time[hint.In[0]], a.c.Tensor(hint.In[0]).Shape)
	default:
		a.set(h, lateBecause("tensor %s: hint %d is unknown", name, hint.Kind), nil)
	}
}

// set gives the results of a hint the timing of a tensor of the given shape. Those of another shape, and those of several hints, are late.
func (a *causality) set(h int, t timing, shape []int) {
	for _, id := range a.c.Hints[h].Out {
		if a.by[id] != h {
			continue
		}
		a.time[id] = t
		if !t.late && !equalShape(shape, a.c.Tensor(id).Shape) {
			a.time[id] = lateBecause("tensor %s: it has other axes than what it is made from", a.c.Tensor(id).Name)
		}
	}
}

// tokens times the one-hot rows of private tokens, of which there are one.
func (a *causality) tokens(h int) {
	for other := range a.c.Hints {
		if other != h && a.c.Hints[other].Kind == HintInput || !a.c.Generation.Private {
			a.set(h, lateBecause("tensor %s: it is not the one private input", a.c.Tensor(a.c.Hints[h].Out[0]).Name), nil)
			return
		}
	}
	a.set(h, timing{axes: []bool{true, false}}, []int{a.c.Generation.Length, a.c.Generation.Vocab})
}
