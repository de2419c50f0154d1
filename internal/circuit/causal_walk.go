package circuit

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// What occurs in constraints: a witness that a constraint ties to later tokens is not what its hint makes of earlier ones.

// constraints looks for one that knows more than it may. Of the hint that a constraint is about, the last that occurs in it, the inputs
// may occur, whatever they are made of. Any other witness that occurs must not be constrained by what it does not depend on: for every
// time axis of the constraint's cells it has a time axis that runs along. Otherwise something may be computed by this constraint from
// what its hint does not know, and nothing that was found out of anything holds.
func (a *causality) constraints(h int) {
	for _, c := range a.about[h] {
		if c.lookup >= 0 && a.excused[c.lookup] {
			continue
		}
		rank := len(a.c.Tensor(c.cols[0]).Shape)
		t := timing{axes: make([]bool, rank)}
		for _, id := range c.cols {
			t = t.with(a.time[id])
		}
		w := walk{a: a, hint: &a.c.Hints[h], first: c.cols[0], t: t, seen: map[string]bool{}}
		for _, id := range c.cols {
			axes := make([]int, rank)
			for i := range axes {
				axes[i] = i
			}
			w.visit(id, axes, 0)
		}
	}
}

// walk goes through what occurs in a constraint. axes says of every axis of a tensor along which axis of the constraint's cells it runs,
// -1: of none.
type walk struct {
	a     *causality
	hint  *Hint
	first ID
	t     timing
	seen  map[string]bool
}

func (w *walk) visit(id ID, axes []int, depth int) {
	a := w.a
	key := walkKey(id, axes)
	if a.wrong != "" || a.owner[id] < 0 && a.by[id] != -2 || a.claims[id] || w.seen[key] {
		return
	}
	w.seen[key] = true
	if a.walked++; a.walked > maxWalked || depth > maxLowerDepth {
		a.wrong = fmt.Sprintf("tensor %s: too much goes into its constraint to be followed", a.c.Tensor(w.first).Name)
		return
	}
	result := slices.Contains(w.hint.Out, id)
	if !result && slices.Contains(w.inputs(), id) {
		return
	}
	if a.c.Tensor(id).Kind == Witness {
		if !w.runsAlong(a.time[id], axes) {
			why := "depends on later positions"
			if w.t.late {
				why = "may depend on all of them: " + w.t.why
			}
			a.wrong = fmt.Sprintf("tensor %s: %s constrains it and %s", a.c.Tensor(id).Name, a.c.Tensor(w.first).Name, why)
		}
		return
	}
	for _, term := range a.c.Tensor(id).Def {
		outAxis := wholeAxes(term.Out)
		for _, f := range term.Factors {
			next := make([]int, len(f.Axes))
			for i, labels := range f.Axes {
				next[i] = -1
				if len(labels) == 1 {
					if out, ok := outAxis[labels[0]]; ok {
						next[i] = axes[out]
					}
				}
			}
			w.visit(f.T, next, depth+1)
		}
	}
}

// inputs are those of the hint that a constraint may be about and know all of: as many as its rule takes, and none where its results may
// depend on anything, for then the constraint might compute the inputs from the results.
func (w *walk) inputs() []ID {
	switch {
	case w.t.late || w.hint.Kind < HintRescale || w.hint.Kind == HintInput || w.hint.Kind > HintWide:
		return nil
	case w.hint.Kind == HintAttn:
		return w.hint.In[:min(len(w.hint.In), 2)]
	}
	return w.hint.In[:1]
}

// walkKey tells a tensor on one way from others.
func walkKey(id ID, axes []int) string {
	key := binary.LittleEndian.AppendUint32(make([]byte, 0, 4*(1+len(axes))), uint32(id))
	for _, a := range axes {
		key = binary.LittleEndian.AppendUint32(key, uint32(a))
	}
	return string(key)
}

// runsAlong says whether a witness depends, along the axes that it shares with the constraint's cells, on all that these depend on.
func (w *walk) runsAlong(x timing, axes []int) bool {
	if x.late || w.t.late {
		return x.late
	}
	for at, is := range w.t.axes {
		along := !is
		for i, to := range axes {
			along = along || to == at && x.axes[i]
		}
		if !along {
			return false
		}
	}
	return true
}
