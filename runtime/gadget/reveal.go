package gadget

import "github.com/zkllmc/zkllmc/runtime/circuit"

// checkLogits declares the circuit's output and returns its shape [T, V], or nil.
func checkLogits(b *circuit.Builder, logits circuit.ID) []int {
	shape, cfg := b.Shape(logits), b.Config()
	if len(shape) != 2 || shape[0] != cfg.Length || shape[1] != cfg.Vocab {
		b.Fail("logits have shape %v, want [%d %d]", shape, cfg.Length, cfg.Vocab)
		return nil
	}
	b.Output(logits)
	return shape
}

// RevealLogits binds the logits to the statement: a_t·ℓ[t,j] − Public(Logits)[t,j] is zero-checked, a_t the public selector.
//
// Unique: ℓ is an integer tensor; both sides lie within its bounds (the verifier refuses a statement outside them, so that v and
// v + p are not both accepted), hence equal as integers where a_t = 1. Elsewhere both sides are zero and nothing is revealed.
func RevealLogits(b *circuit.Builder, logits circuit.ID) {
	shape := checkLogits(b, logits)
	if shape == nil {
		return
	}
	lo, hi := b.Bounds(logits)
	selected := b.Public("reveal.selected", circuit.Selected, 0, 1)
	public := b.Public("reveal.logits", circuit.Logits, min(lo, 0), max(hi, 0))
	b.Zero(b.VirtualBound("reveal", shape, 0, 0, "zero-checked",
		product(1, shape, []int{0, 1}, factor(selected, 0), factor(logits, 0, 1)), Scaled(b, -1, public)))
}

// RevealArgmax proves that the public token i_t is the arg-max of the logits at every revealed position (a_t = 1), ties to the
// lowest index. With best[t] = Σ_j NextOneHot[t,j]·ℓ[t,j], which is a_t·ℓ[t,i_t], the gap
//
//	g[t,j] = best[t] − a_t·ℓ[t,j] − NextLess[t,j]
//
// is looked up in [0, 2^k) that covers the width of the logits' bounds.
//
// Unique: all factors are integers, so g is (no wrap), and g ≥ 0 says ℓ[t,i_t] ≥ ℓ[t,j] for j ≥ i_t and ℓ[t,i_t] ≥ ℓ[t,j] + 1 for
// j < i_t: i_t is the first index of the maximum, of which there is one. An equal logit at a lower index gives g = −1, which is
// in no range. At the first index of the maximum every g lies in [0, hi − lo]: a witness exists. Where a_t = 0 the public tensors
// vanish (NextOneHot and NextLess contain a_t) and so does g.
func RevealArgmax(b *circuit.Builder, logits circuit.ID) {
	shape := checkLogits(b, logits)
	if shape == nil {
		return
	}
	lo, hi := b.Bounds(logits)
	selected := b.Public("reveal.selected", circuit.Selected, 0, 1)
	next := b.Public("reveal.next", circuit.NextOneHot, 0, 1)
	less := b.Public("reveal.less", circuit.NextLess, 0, 1)
	best := b.VirtualBound("reveal.best", shape[:1], min(lo, 0), max(hi, 0), "a row of the first factor has at most one 1 and zeros",
		product(1, shape, []int{0}, factor(next, 0, 1), factor(logits, 0, 1)))
	slack(b, "reveal.gap", hi-lo, shape,
		Spread(b, 1, best, shape, 0),
		product(-1, shape, []int{0, 1}, factor(selected, 0), factor(logits, 0, 1)),
		Scaled(b, -1, less))
}
