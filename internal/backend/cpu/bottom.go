package cpu

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
)

// bottomLayer is the sumcheck over the leaves. They are split: chunks of looked up cells, whose numerators are all 1, and the others, those
// of tables and those beside padding. As long as variables inside of chunks are bound the round's polynomial is the sum of both. With the
// first variable that joins chunks the first part's leaves, bound as far as that, become part of the other.
type bottomLayer struct {
	t    *tree
	ones *onesLayer // nil if there are no such chunks, or when they are part of the rest
	rest *layer
}

var _ backend.LayerRounds = (*bottomLayer)(nil)

func newBottomLayer(t *tree, s []field.Element, lambda field.Element) *bottomLayer {
	l := &bottomLayer{t: t}
	levels := make([]level, len(t.levels))
	allocate(levels, t.rest, t.n-1)
	l.rest = newLayer(t, levels, s, lambda, func(w, i int) (p, q quarters, onlyOnes bool) {
		return t.leafTile(w, t.blocks, t.rest, t.rest.tiles[i])
	})
	if len(t.ones.tiles) > 0 {
		l.ones = newOnesLayer(t, s, lambda)
	}
	l.rest.join = func(target [4][2]vec) {
		if l.ones != nil {
			l.ones.joinTo(l.rest, target)
			l.ones = nil
		}
		l.rest.joinConstant(target)
	}
	return l
}

func (l *bottomLayer) First() field.Element {
	inf := l.rest.First()
	if l.ones != nil {
		inf = add(inf, l.ones.first())
	}
	return inf
}

func (l *bottomLayer) Bind(rho field.Element) {
	l.rest.Bind(rho)
	if l.ones != nil {
		l.ones.rho = &rho
	}
}

func (l *bottomLayer) Round() (delta, inf field.Element) {
	delta, inf = l.rest.Round()
	if l.ones != nil {
		d, i := l.ones.round()
		delta, inf = add(delta, d), add(inf, i)
	}
	return delta, inf
}

func (l *bottomLayer) Claims() (a0, a1, b0, b1 field.Element) {
	a0, a1, b0, b1 = l.rest.Claims()
	l.t.free()
	return a0, a1, b0, b1
}

// onesLayer is the sumcheck over chunks of leaves all of whose numerators are 1, for the variables inside of chunks. With u = 1 + λq the
// summand is
//
//	F = q¹ + q⁰ + λq⁰q¹ = (u⁰u¹ − 1)/λ,
//
// and the constant adds the same to h(0) and h(1). So two arrays instead of four are bound, u⁰ and u¹, without the eq weight: with
// w = eq(s_{i+1}…,·) of the variables behind the round's own, h(0) = Σ w·u⁰_lo·u¹_lo / λ, h(1) = Σ w·u⁰_hi·u¹_hi / λ and
// h∞ = Σ w·(u⁰_hi − u⁰_lo)(u¹_hi − u¹_lo) / λ. The second sum follows from the round before, C = (1−σ)·h(0) + σ·h(1).
type onesLayer struct {
	t       *tree
	blocks  []leafBlock // with u for q
	stored  *support    // of the variables that are not bound
	lambda  field.Element
	unitBy  field.Element   // 1/λ
	s       []field.Element // the points of the free variables x
	inverse []field.Element // 1/σ for every entry of s

	rho   *field.Element   // a challenge that is not yet applied
	bound int              // challenges applied
	v     [2][2]vec        // u⁰, u¹, each as lo and hi of the lowest free variable
	sums  [3]field.Element // λh(0), λh(1), λh∞ of the last round
	known *field.Element   // λC of the coming round if known

	again *field.Element // the challenge that tiles were bound to which are not kept, see delay; else nil
	under *support       // of these tiles
}

func newOnesLayer(t *tree, s []field.Element, lambda field.Element) *onesLayer {
	l := &onesLayer{t: t, blocks: affine(t.blocks, lambda), stored: t.ones, lambda: lambda, s: slices.Clone(s)}
	l.inverse = field.BatchInvert(append(slices.Clone(s), lambda))
	l.unitBy = l.inverse[len(s)]
	return l
}

// first sums λ·Σ eq(s,x)·δq⁰·δq¹ with the differences δ along b.
func (l *onesLayer) first() field.Element {
	inner, outer := eqTables(l.s)
	prepared := newWeights(inner)
	l.t.run(len(l.stored.tiles), func(w, i int) {
		s, at := l.t.worker(w), l.stored.tiles[i]
		if sum, ok := l.firstOfIntegers(s.leaf, at, &prepared); ok {
			s.total[0] = add(s.total[0], mul(sum, outer[at.block]))
			return
		}
		_, q, _ := l.t.leafTile(w, l.t.blocks, l.stored, at)
		n := at.hi - at.lo
		d0, d1 := s.v[0][:n], s.v[1][:n]
		subVec(d0, q[0][1], q[0][0])
		subVec(d1, q[1][1], q[1][0])
		mulVec(d0, d0, l.stored.ofTile(at, inner, s.v[2]))
		s.total[0] = add(s.total[0], mul(dot(d0, d1), outer[at.block]))
	})
	return mul(l.lambda, l.t.collect()[0])
}

// firstOfIntegers is the sum of a whole tile of leaves, computed from their integers, where it can be.
func (l *onesLayer) firstOfIntegers(leaf *leafScratch, at piece, inner *weights) (sum field.Element, ok bool) {
	n := at.hi - at.lo
	if len(inner.coef) != n || l.stored.x(at.hi-1) != l.stored.x(at.lo)+n-1 {
		return sum, false
	}
	leaf.find(l.t.blocks, l.stored, at)
	d, factors, ok := leaf.differences(n)
	for i := range d {
		sum = add(sum, mul(dotInts(d[i], inner), factors[i]))
	}
	return sum, ok
}

func (l *onesLayer) round() (delta, inf field.Element) {
	l.apply()
	if l.known != nil {
		rest := mul(sub(one(), l.s[0]), l.sums[0])
		l.sums[1] = mul(sub(*l.known, rest), l.inverse[0])
	}
	return mul(sub(l.sums[1], l.sums[0]), l.unitBy), mul(l.sums[2], l.unitBy)
}

// halves returns u⁰ and u¹ of a tile along the variable that is to be bound.
func (l *onesLayer) halves(w int, at piece) (q quarters) {
	if l.bound == 0 {
		_, q, _ = l.t.leafTile(w, l.blocks, l.stored, at)
		return q
	}
	if l.again != nil {
		return l.delayed(w, at)
	}
	for c := range q {
		q[c] = [2]vec{l.v[c][0][at.lo:at.hi], l.v[c][1][at.lo:at.hi]}
	}
	return q
}

// apply binds the noted challenge tile by tile, stores u⁰ and u¹ split along the next variable, and adds up the next round's sums.
func (l *onesLayer) apply() {
	rho := *l.rho
	if l.bound > 0 {
		l.predict(rho)
		l.s, l.inverse = l.s[1:], l.inverse[1:]
	}
	src, stored := l.stored, l.stored.above()
	inner, outer := eqTables(l.s[1:])
	if l.bound == 0 && l.t.kept < l.t.n-2 {
		l.delay(rho, stored, inner, outer)
	} else {
		target := l.target(stored.used)
		if l.bound == 0 {
			l.bindRuns(&rho)
		}
		l.t.run(len(src.tiles), func(w, i int) {
			s, at := l.t.worker(w), src.tiles[i]
			if l.bound > 0 || !l.bindIntegers(s.leaf, at, &target) {
				from := l.halves(w, at)
				for c := range from {
					out := output{src, at, &target[c], field.Element{}, s.v[c][:at.hi-at.lo]}
					out.lerp(from[c][0], from[c][1], &rho)
				}
			}
			at = piece{at.lo / 2, at.hi / 2, at.block / 2}
			l.addSums(s, cutOut(target, at.lo, at.hi), stored.ofTile(at, inner, s.v[2]), &outer[at.block])
		})
		l.v, l.again = target, nil
	}
	total := l.t.collect()
	l.stored, l.sums = stored, [3]field.Element(total[:3])
	l.rho, l.bound = nil, l.bound+1
}

// bindRuns prepares the blocks for bindIntegers.
func (l *onesLayer) bindRuns(rho *field.Element) {
	for i := range l.blocks {
		if b := &l.blocks[i]; b.runs != nil {
			b.runs = b.runs.bind(&b.linear, rho)
		}
	}
}

// bindIntegers binds a tile of leaves to the first challenge from their integers, where it can.
func (l *onesLayer) bindIntegers(leaf *leafScratch, at piece, target *[2][2]vec) bool {
	leaf.find(l.blocks, l.stored, at)
	return leaf.fillBound(target, at.lo, at.hi-at.lo)
}

// cutOut returns the entries from lo up to hi-1 of both halves.
func cutOut(v [2][2]vec, lo, hi int) (out [2][2]vec) {
	for c := range v {
		out[c] = [2]vec{v[c][0][lo:hi], v[c][1][lo:hi]}
	}
	return out
}

// delay adds up the next round's sums and keeps nothing, as layer.delay.
func (l *onesLayer) delay(rho field.Element, stored *support, inner, outer vec) {
	l.again, l.under = &rho, l.stored
	l.t.run(len(stored.tiles), func(w, i int) {
		s, at := l.t.worker(w), stored.tiles[i]
		l.addSums(s, l.delayed(w, at), stored.ofTile(at, inner, s.v[2]), &outer[at.block])
	})
}

// delayed computes a tile that delay did not keep, which is the worker's until it asks for another one.
func (l *onesLayer) delayed(w int, at piece) [2][2]vec {
	s := l.t.worker(w)
	lo, hi := l.under.within(at.block, 1)
	for k := lo; k < hi; k++ {
		here := l.under.tiles[k]
		_, q, _ := l.t.leafTile(w, l.blocks, l.under, here)
		for c := range q {
			to := piece{here.lo - l.under.tiles[lo].lo, here.hi - l.under.tiles[lo].lo, here.block}
			out := output{l.under, to, &s.bound[c], field.Element{}, s.v[c][:here.hi-here.lo]}
			out.lerp(q[c][0], q[c][1], l.again)
		}
	}
	return cutOut([2][2]vec{s.bound[0], s.bound[1]}, 0, at.hi-at.lo)
}

// predict works out C of the next round: h(ρ).
func (l *onesLayer) predict(rho field.Element) {
	c := add(l.sums[0], mul(rho, sub(l.sums[1], l.sums[0])))
	c = add(c, mul(sub(mul(rho, rho), rho), l.sums[2]))
	l.known = &c
}

// target returns where a bind writes: the arrays of layer n−2−bound, which are large enough.
func (l *onesLayer) target(size int) (v [2][2]vec) {
	at := l.t.n - 2 - l.bound
	for c := range v {
		var slab vec
		if at < 2 {
			slab = make(vec, 2*size)
		} else {
			slab = l.t.levels[at].slab[c]
		}
		v[c] = [2]vec{slab[:size], slab[size : 2*size]}
	}
	return v
}

// addSums adds up the next round's sums over a tile of two halves, the second one only where it does not follow from the others.
func (l *onesLayer) addSums(s *scratch, v [2][2]vec, weights vec, outer *field.Element) {
	n := len(weights)
	half := func(c, b int) vec { return v[c][b] }
	left, right := s.v[3][:n], s.v[4][:n]
	sum := func(i int, a, b vec) {
		mulVec(left, a, weights)
		s.total[i] = add(s.total[i], mul(dot(left, b), *outer))
	}
	sum(0, half(0, 0), half(1, 0))
	if l.known == nil {
		sum(1, half(0, 1), half(1, 1))
	}
	subVec(left, half(0, 1), half(0, 0))
	subVec(right, half(1, 1), half(1, 0))
	sum(2, left, right)
}

// joinTo binds the noted challenge and writes what comes out to the arrays of the layer over all leaves, which has bound it too: P = w,
// G = w·(1 + λq¹) = w·u¹ with the eq weight w in that layer's scale, q⁰ and q¹.
func (l *onesLayer) joinTo(all *layer, target [4][2]vec) {
	rho, unit := *l.rho, one()
	weights := all.weights()
	l.t.run(len(l.stored.tiles), func(w, i int) {
		s, at := l.t.worker(w), l.stored.tiles[i]
		n, from := at.hi-at.lo, l.halves(w, at)
		weight := s.v[arrP][:n]
		weights(weight, l.stored, at, s.v[4])
		for c, a := range []int{arrQ0, arrQ1} {
			u := s.v[a][:n]
			lerp(u, from[c][0], from[c][1], &rho)
			if a == arrQ1 {
				mulVec(s.v[arrG][:n], weight, u)
			}
			for k := range u {
				u[k].Sub(&u[k], &unit)
			}
			scaleVec(u, u, &l.unitBy)
		}
		for a := range target {
			l.stored.store(&target[a], at, s.v[a][:n], field.Element{})
		}
	})
}
