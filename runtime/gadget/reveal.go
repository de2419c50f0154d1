package gadget

import "github.com/zkllmc/zkllmc/internal/circuit"

// Output declares an output port that a tensor carries, and binds what statements say of it. A port that reveals nothing needs no
// constraint.
func Output(b *circuit.Builder, p circuit.Port, x circuit.ID) {
	port := b.Output(p, x)
	shape := b.Shape(x)
	if n := len(shape); n == 0 || n != 2 && b.Generates() || n < 2 && p.Reveal == circuit.Argmax {
		b.Fail("output %q has shape %v", p.Name, shape)
		return
	}
	var selected []circuit.Factor // of the rows that a statement speaks of; none where it speaks of all
	if b.Generates() && p.Reveal != circuit.Nothing {
		selected = append(selected, factor(b.View("reveal.selected", circuit.Selected, port), 0))
	}
	switch p.Reveal {
	case circuit.Values:
		revealValues(b, port, x, selected)
	case circuit.Argmax:
		revealArgmax(b, port, x, selected)
	}
}

// revealed is coef·a·x, cell by cell: a, of the first axis, is 1 in the rows that a statement speaks of.
func revealed(b *circuit.Builder, coef int64, x circuit.ID, selected []circuit.Factor) circuit.Term {
	t := circuit.Scaled(b, coef, x)
	t.Factors = append(append([]circuit.Factor(nil), selected...), t.Factors...)
	return t
}

// revealValues binds an output to the statement: a·x − P is zero-checked, P the public values and a the public selector.
//
// Unique: x is an integer tensor; both sides lie within its bounds (the verifier refuses a statement outside them, so that v and
// v + p are not both accepted), hence equal as integers where a = 1. Elsewhere both sides are zero and nothing is revealed.
func revealValues(b *circuit.Builder, port int, x circuit.ID, selected []circuit.Factor) {
	public := b.View("reveal.values", circuit.PortValues, port)
	b.Zero(b.VirtualBound("reveal", b.Shape(x), 0, 0, "zero-checked", revealed(b, 1, x, selected), circuit.Scaled(b, -1, public)))
}

// revealArgmax proves that the public index i is the arg-max of every revealed row (a = 1), ties to the lowest index. With
// best[row] = Σ_j ArgmaxAt[row,j]·x[row,j], which is a·x[row,i], the gap
//
//	g[row,j] = best[row] − a·x[row,j] − ArgmaxBelow[row,j]
//
// is looked up in [0, 2^k) that covers the width of the bounds of x.
//
// Unique: all factors are integers, so g is (no wrap), and g ≥ 0 says x[row,i] ≥ x[row,j] for j ≥ i and x[row,i] ≥ x[row,j] + 1 for
// j < i: i is the first index of the maximum, of which there is one. An equal element at a lower index gives g = −1, which is
// in no range. At the first index of the maximum every g lies in [0, hi − lo]: a witness exists. Where a = 0 the public tensors
// vanish (ArgmaxAt and ArgmaxBelow contain a) and so does g.
func revealArgmax(b *circuit.Builder, port int, x circuit.ID, selected []circuit.Factor) {
	shape := b.Shape(x)
	lo, hi := b.Bounds(x)
	at := b.View("reveal.at", circuit.ArgmaxAt, port)
	below := b.View("reveal.below", circuit.ArgmaxBelow, port)
	sum := circuit.Product(b, 1, at, x)
	sum.Out = sum.Out[:len(shape)-1]
	best := b.VirtualBound("reveal.best", shape[:len(shape)-1], min(lo, 0), max(hi, 0), "a row of the first factor has at most one 1 and zeros", sum)
	slack(b, "reveal.gap", hi-lo, shape, circuit.Spread(b, 1, best, shape, 0), revealed(b, -1, x, selected), circuit.Scaled(b, -1, below))
}
