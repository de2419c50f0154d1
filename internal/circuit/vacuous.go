package circuit

import (
	"errors"
	"fmt"
)

// A statement says something of a port only if constraints tie it to what the port says. Finish looks for them in terms, lookups and
// zero-checks and refuses a port without; whoever builds a circuit is not asked.

// Why Finish refuses a port.
var (
	ErrUnbound = errors.New("no constraint ties it to what a statement says of it")
	ErrVacuous = errors.New("it is revealed and depends on nothing that is committed")
	ErrUnused  = errors.New("it is public and no constraint uses it")
	ErrCarried = errors.New("no tensor carries it")

	ErrNoLookup = errors.New("it has no lookup, hence nothing that a proof would bind") // of a circuit
)

func (c *Circuit) checkPort(i int, p *Port) error {
	if p.T < 0 || int(p.T) >= len(c.Tensors) {
		return ErrCarried
	}
	if p.Out {
		return c.checkOutput(i, p)
	}
	t := c.Tensor(p.T)
	shape, view := p.Shape, PortValues
	if p.Kind == IDs {
		shape, view = append(append([]int(nil), shape...), p.Vocab()), OneHot
	}
	if !equalShape(t.Shape, shape) {
		return fmt.Errorf("%w: tensor %s has shape %v, want %v", ErrCarried, t.Name, t.Shape, shape)
	}
	if !p.Public() {
		return c.checkPrivate(i, p, t)
	}
	if t.Kind != Public || t.View != view || t.Port != i {
		return fmt.Errorf("%w: it is public, and tensor %s is not computed from it", ErrUnbound, t.Name)
	}
	if !c.constrained()[p.T] {
		return ErrUnused
	}
	return nil
}

// checkPrivate wants a witness within the port's range, which checkCovered has seen to be looked up over its whole box; rows of ids
// that sum up to 1; and in a generation the public tokens tied to the public rows.
func (c *Circuit) checkPrivate(i int, p *Port, t *Tensor) error {
	lo, hi := p.Lo, p.Hi
	if p.Kind == IDs {
		lo, hi = 0, 1
	}
	if t.Kind != Witness || t.Mult || t.Lo < lo || t.Hi > hi {
		return fmt.Errorf("%w: it is private, and %s tensor %s in [%d, %d] is no witness within its range", ErrUnbound, t.Kind, t.Name, t.Lo, t.Hi)
	}
	if p.Kind != IDs {
		return nil
	}
	axes := identity(len(t.Shape))
	sum := []Term{{Coef: 1, Extents: t.Shape, Factors: []Factor{{p.T, axes}}, Out: axes[:len(axes)-1]}, {Coef: -1, Extents: p.Shape, Out: axes[:len(axes)-1]}}
	if !c.zeroChecked(sum) {
		return fmt.Errorf("%w: the rows of %s are not checked to have one 1 each", ErrUnbound, t.Name)
	}
	if c.Generation == nil {
		return nil
	}
	for _, known := range c.views(Known, i) {
		for _, public := range c.views(OneHot, i) {
			row := Factor{known, axes[:1]}
			if c.zeroChecked([]Term{
				{Coef: 1, Extents: t.Shape, Factors: []Factor{row, {p.T, axes}}, Out: axes},
				{Coef: -1, Extents: t.Shape, Factors: []Factor{row, {public, axes}}, Out: axes},
			}) {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: the tokens of the answer are not checked to be those of %s", ErrUnbound, t.Name)
}

// Claimed says which tensors are computed, by terms or by hints, from what a statement claims of outputs.
func (c *Circuit) Claimed() []bool {
	is, by := make([]bool, len(c.Tensors)), make([][]ID, len(c.Tensors))
	for _, h := range c.Hints {
		for _, id := range h.Out {
			by[id] = append(by[id], h.In...)
		}
	}
	for again := true; again; { // one round does, and another finds nothing new, unless a hint looks ahead
		again = false
		for i := range c.Tensors {
			t := &c.Tensors[i]
			from := t.Kind == Public && c.Ports[t.Port].Out
			for _, term := range t.Def {
				for _, f := range term.Factors {
					from = from || is[f.T]
				}
			}
			for _, id := range by[i] {
				from = from || id >= 0 && is[id]
			}
			again = again || from && !is[i]
			is[i] = from
		}
	}
	return is
}

func (c *Circuit) checkOutput(i int, p *Port) error {
	if !equalShape(c.Tensor(p.T).Shape, p.Shape) {
		return fmt.Errorf("%w: tensor %s has shape %v, want %v", ErrCarried, c.Tensor(p.T).Name, c.Tensor(p.T).Shape, p.Shape)
	}
	if !p.Public() {
		return nil
	}
	if !c.reaches(p.T, func(t *Tensor) bool { return t.Kind == Weight || t.Kind == Witness && !t.Mult }) {
		return ErrVacuous
	}
	if c.Generation == nil && c.Claimed()[p.T] { // of a generation checkCausal sees it
		return fmt.Errorf("%w: tensor %s is computed from what it claims of outputs", ErrUnbound, c.Tensor(p.T).Name)
	}
	if p.Reveal == Values && !c.valuesBound(i, p) || p.Reveal == Argmax && !c.argmaxBound(i, p) {
		return fmt.Errorf("%w (%v)", ErrUnbound, p.Reveal)
	}
	return nil
}

// selections lists what the rows of an output are multiplied with where they are revealed: nothing, or the selector of a generation.
func (c *Circuit) selections(i int) [][]Factor {
	if c.Generation == nil {
		return [][]Factor{nil}
	}
	var out [][]Factor
	for _, id := range c.views(Selected, i) {
		out = append(out, []Factor{{id, identity(1)}})
	}
	return out
}

// valuesBound looks for the zero-check of a·T − P, T the output's tensor and P the public values.
func (c *Circuit) valuesBound(i int, p *Port) bool {
	axes := identity(len(p.Shape))
	for _, selected := range c.selections(i) {
		for _, public := range c.views(PortValues, i) {
			if c.zeroChecked([]Term{
				{Coef: 1, Extents: p.Shape, Factors: append(selected, Factor{p.T, axes}), Out: axes},
				{Coef: -1, Extents: p.Shape, Factors: []Factor{{public, axes}}, Out: axes},
			}) {
				return true
			}
		}
	}
	return false
}

// argmaxBound looks for a looked-up tensor that is gap − Σ positive·(witness ≥ 0), the lowest limb of gap, in a table without negative
// lines: so gap is not negative. It must be best − a·T − below, where best[row] = Σ_j at[row, j]·T[row, j].
func (c *Circuit) argmaxBound(i int, p *Port) bool {
	axes := identity(len(p.Shape))
	rows := axes[:len(axes)-1]
	for _, l := range c.Lookups {
		v := c.Tensor(l.Cols[0])
		if len(l.Cols) != 1 || v.Kind != Virtual || !equalShape(v.Shape, p.Shape) || least(c.Tables[l.Table].Cols[0]) < 0 {
			continue
		}
		rest := c.withoutLimbs(v)
		for _, selected := range c.selections(i) {
			for _, at := range c.views(ArgmaxAt, i) {
				for _, below := range c.views(ArgmaxBelow, i) {
					for _, best := range c.bests(rest, at, p) {
						if sameTerms(rest, []Term{
							{Coef: 1, Extents: p.Shape, Factors: []Factor{{best, rows}}, Out: axes},
							{Coef: -1, Extents: p.Shape, Factors: append(selected, Factor{p.T, axes}), Out: axes},
							{Coef: -1, Extents: p.Shape, Factors: []Factor{{below, axes}}, Out: axes},
						}) {
							return true
						}
					}
				}
			}
		}
	}
	return false
}

// bests lists the factors of terms that are Σ_j at[row, j]·T[row, j].
func (c *Circuit) bests(terms []Term, at ID, p *Port) []ID {
	axes := identity(len(p.Shape))
	want := []Term{{Coef: 1, Extents: p.Shape, Factors: []Factor{{at, axes}, {p.T, axes}}, Out: axes[:len(axes)-1]}}
	var out []ID
	for _, t := range terms {
		for _, f := range t.Factors {
			if d := c.Tensor(f.T); d.Kind == Virtual && equalShape(d.Shape, p.Shape[:len(p.Shape)-1]) && sameTerms(d.Def, want) {
				out = append(out, f.T)
			}
		}
	}
	return out
}

// withoutLimbs leaves out the terms −c·w with c > 0 and a witness w ≥ 0 cell by cell, which make a tensor smaller, and returns the terms of
// what is left.
func (c *Circuit) withoutLimbs(v *Tensor) (rest []Term) {
	axes := identity(len(v.Shape))
	for _, t := range v.Def {
		if len(t.Factors) == 1 && t.Coef < 0 {
			w := c.Tensor(t.Factors[0].T)
			if w.Kind == Witness && w.Lo >= 0 && sameTerm(t, Term{Coef: t.Coef, Extents: v.Shape, Factors: []Factor{{w.ID, axes}}, Out: axes}) {
				continue
			}
		}
		rest = append(rest, t)
	}
	if len(rest) == 1 && len(rest[0].Factors) == 1 { // the tensor of the gap itself
		gap := c.Tensor(rest[0].Factors[0].T)
		if gap.Kind == Virtual && sameTerm(rest[0], Term{Coef: 1, Extents: v.Shape, Factors: []Factor{{gap.ID, axes}}, Out: axes}) {
			return gap.Def
		}
	}
	return rest
}

// views lists the public tensors of one view of a port.
func (c *Circuit) views(v View, port int) (out []ID) {
	for i := range c.Tensors {
		if t := &c.Tensors[i]; t.Kind == Public && t.View == v && t.Port == port {
			out = append(out, t.ID)
		}
	}
	return out
}

// zeroChecked says whether a tensor of exactly these terms is zero-checked.
func (c *Circuit) zeroChecked(terms []Term) bool {
	for _, z := range c.Zeros {
		if sameTerms(c.Tensor(z).Def, terms) {
			return true
		}
	}
	return false
}

// constrained says of every tensor whether a lookup or a zero-check depends on it.
func (c *Circuit) constrained() []bool {
	used := make([]bool, len(c.Tensors))
	for _, l := range c.Lookups {
		for _, id := range l.Cols {
			used[id] = true
		}
	}
	for _, z := range c.Zeros {
		used[z] = true
	}
	for i := len(c.Tensors) - 1; i >= 0; i-- {
		for _, t := range c.Tensors[i].Def {
			for _, f := range t.Factors {
				used[f.T] = used[f.T] || used[i] && t.Coef != 0
			}
		}
	}
	return used
}

// reaches says whether a tensor, or one that it is computed from by terms, satisfies f.
func (c *Circuit) reaches(id ID, f func(*Tensor) bool) bool {
	want := make([]bool, len(c.Tensors))
	want[id] = true
	for i := int(id); i >= 0; i-- {
		if !want[i] {
			continue
		}
		if f(&c.Tensors[i]) {
			return true
		}
		for _, t := range c.Tensors[i].Def {
			for _, factor := range t.Factors {
				want[factor.T] = want[factor.T] || t.Coef != 0
			}
		}
	}
	return false
}

// identity is the axes of a tensor whose axis a is label a.
func identity(n int) [][]int {
	axes := make([][]int, n)
	for a := range axes {
		axes[a] = []int{a}
	}
	return axes
}

// sameTerms says whether two sums are the same, term by term in any order. Labels must be numbered alike, factors of a term may come in any
// order.
func sameTerms(a, b []Term) bool {
	if len(a) != len(b) {
		return false
	}
	taken := make([]bool, len(b))
	for _, x := range a {
		found := false
		for k := range b {
			if !taken[k] && !found && sameTerm(x, b[k]) {
				taken[k], found = true, true
			}
		}
		if !found {
			return false
		}
	}
	return true
}

func sameTerm(a, b Term) bool {
	if a.Coef != b.Coef || !equalShape(a.Extents, b.Extents) || !equalAxes(a.Out, b.Out) || len(a.Factors) != len(b.Factors) {
		return false
	}
	taken := make([]bool, len(b.Factors))
	for _, f := range a.Factors {
		found := false
		for k, g := range b.Factors {
			if !taken[k] && !found && f.T == g.T && equalAxes(f.Axes, g.Axes) {
				taken[k], found = true, true
			}
		}
		if !found {
			return false
		}
	}
	return true
}

func equalAxes(a, b [][]int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !equalShape(a[i], b[i]) {
			return false
		}
	}
	return true
}

func least(values []int64) int64 {
	lo := values[0]
	for _, v := range values {
		lo = min(lo, v)
	}
	return lo
}
