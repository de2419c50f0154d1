package cpu

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
)

// bottomLayer is the sumcheck over the leaves. They are split: chunks of looked up cells of one lookup, whose numerators are all 1 but for
// padding, and the others, those of tables. As long as variables inside of chunks are bound the round's polynomial is the sum of both. With the
// first variable that joins chunks the first part's leaves, bound as far as that, become part of the other.
type bottomLayer struct {
	t      *tree
	single *singleLayer // nil if there are no such chunks, or when they are part of the rest
	rest   *layer
}

var _ backend.LayerRounds = (*bottomLayer)(nil)

func newBottomLayer(t *tree, s []field.Element, lambda field.Element) *bottomLayer {
	l := &bottomLayer{t: t}
	l.rest = newLayer(t, t.restLevels(), t.n-1, s, lambda, func(w, i int) (p, q quarters, onlyOnes bool) {
		return t.leafTile(w, t.leafSet, t.rest, t.rest.tiles[i])
	})
	if len(t.single.tiles) > 0 {
		l.single = newSingleLayer(t, s, lambda)
	}
	l.rest.join = func(target [4][2]vec) {
		if l.single != nil {
			l.single.joinTo(l.rest, target)
			l.single = nil
		}
		l.rest.joinConstant(target)
	}
	return l
}

// restLevels are arrays for the rest. Above chunks of one entry they are those of the tree, which has been asked all its layers by then; the
// other part of the leaves is in the arrays of larger ones.
func (t *tree) restLevels() []level {
	levels, shared := make([]level, len(t.levels)), t.n-1-t.rest.bits
	allocate(levels, supportsAbove(len(levels), t.rest), t.n-1, shared)
	copy(levels[:shared+1], t.levels)
	return levels
}

func (l *bottomLayer) First() field.Element {
	inf := l.rest.First()
	if l.single != nil {
		inf = add(inf, l.single.first())
	}
	return inf
}

func (l *bottomLayer) Bind(rho field.Element) {
	l.rest.Bind(rho)
	if l.single != nil {
		l.single.rho = &rho
	}
}

func (l *bottomLayer) Round() (delta, inf field.Element) {
	delta, inf = l.rest.Round()
	if l.single != nil {
		d, i := l.single.round()
		delta, inf = add(delta, d), add(inf, i)
	}
	return delta, inf
}

func (l *bottomLayer) Claims() (a0, a1, b0, b1 field.Element) {
	a0, a1, b0, b1 = l.rest.Claims()
	l.t.free()
	return a0, a1, b0, b1
}

// singleLayer is the sumcheck over chunks of leaves whose numerators are all 1, or 0 for padding, for the variables inside of chunks. With
// u = p + λq the summand is
//
//	F = p⁰q¹ + p¹q⁰ + λq⁰q¹ = (u⁰u¹ − p⁰p¹)/λ.
//
// So two arrays instead of four are bound, u⁰ and u¹, without the eq weight: with w = eq(s_{i+1}…,·) of the variables behind the round's
// own, their h(0) = Σ w·u⁰_lo·u¹_lo / λ, h(1) = Σ w·u⁰_hi·u¹_hi / λ and h∞ = Σ w·(u⁰_hi − u⁰_lo)(u¹_hi − u¹_lo) / λ. The second sum
// follows from the round before, C = (1−σ)·h(0) + σ·h(1). What p⁰p¹ takes from them is the same all over chunks of a kind, but for the weight,
// see chunkKind: of chunks without padding it is the same of h(0) and of h(1), and is left out.
type singleLayer struct {
	t       *tree
	leaves  leafSet  // u
	stored  *support // of the variables that are not bound
	kinds   []chunkKind
	lambda  field.Element
	unitBy  field.Element   // 1/λ
	s       []field.Element // the points of the free variables x
	inverse []field.Element // 1/σ for every entry of s

	rho   *field.Element   // a challenge that is not yet applied
	bound int              // challenges applied
	v     [2][2]vec        // u⁰, u¹, each as lo and hi of the lowest free variable
	sums  [3]field.Element // λh(0), λh(1), λh∞ of the last round
	known *field.Element   // λC of the coming round if known

	late   int             // how many challenges are
	delays []lateChallenge // what is not kept, see delay
}

// lateChallenge is one that tiles are bound to which are not kept.
type lateChallenge struct {
	rho   field.Element
	under *support // of what it was bound to
}

func newSingleLayer(t *tree, s []field.Element, lambda field.Element) *singleLayer {
	l := &singleLayer{t: t, leaves: combine(t.blocks, lambda), stored: t.single, lambda: lambda, s: slices.Clone(s)}
	l.kinds = newKinds(&t.supports, s)
	if l.late = t.n - 2 - t.kept; l.late == spared {
		l.late++ // so that one of the two targets is enough, for the other is that of joinTo
	}
	l.inverse = field.BatchInvert(append(slices.Clone(s), lambda))
	l.unitBy = l.inverse[len(s)]
	return l
}

// first sums Σ eq(s,x)·δu⁰·δu¹ / λ with the differences δ along b; where they are those of λq, from integers, λ·Σ eq(s,x)·δq⁰·δq¹.
func (l *singleLayer) first() field.Element {
	inner, outer := eqTables(l.s)
	prepared := newWeights(inner)
	l.t.run(len(l.stored.tiles), func(w, i int) {
		s, at := l.t.worker(w), l.stored.tiles[i]
		if sum, ok := l.firstOfIntegers(s.leaf, at, &prepared); ok {
			s.total[0] = add(s.total[0], mul(sum, outer[at.block]))
			return
		}
		_, u, _ := l.t.leafTile(w, l.leaves, l.stored, at)
		n := at.hi - at.lo
		d0, d1 := s.v[0][:n], s.v[1][:n]
		subVec(d0, u[0][1], u[0][0])
		subVec(d1, u[1][1], u[1][0])
		mulVec(d0, d0, l.stored.ofTile(at, inner, s.v[2]))
		s.total[1] = add(s.total[1], mul(dot(d0, d1), outer[at.block]))
	})
	total := l.t.collect()
	_, inf := l.ofPadding(l.s)
	return add(mul(l.lambda, total[0]), mul(l.unitBy, sub(total[1], inf)))
}

// firstOfIntegers is the sum of a whole tile of leaves, computed from their integers, where it can be.
func (l *singleLayer) firstOfIntegers(leaf *leafScratch, at piece, inner *weights) (sum field.Element, ok bool) {
	n := at.hi - at.lo
	if len(inner.coef) != n || l.stored.x(at.hi-1) != l.stored.x(at.lo)+n-1 {
		return sum, false
	}
	leaf.find(l.t.leafSet, l.stored, at)
	d, factors, ok := leaf.differences(n)
	for i := range d {
		sum = add(sum, mul(dotInts(d[i], inner), factors[i]))
	}
	return sum, ok
}

func (l *singleLayer) round() (delta, inf field.Element) {
	l.apply()
	if l.known != nil {
		rest := mul(sub(one(), l.s[0]), l.sums[0])
		l.sums[1] = mul(sub(*l.known, rest), l.inverse[0])
	}
	delta, inf = l.ofPadding(l.s[1:])
	return mul(sub(sub(l.sums[1], l.sums[0]), delta), l.unitBy), mul(sub(l.sums[2], inf), l.unitBy)
}

// halves returns u⁰ and u¹ of a tile along the variable that is to be bound.
func (l *singleLayer) halves(w int, at piece) (q quarters) {
	if l.bound == 0 {
		_, q, _ = l.t.leafTile(w, l.leaves, l.stored, at)
		return q
	}
	if n := len(l.delays); n > 0 {
		return l.delayed(w, n-1, at)
	}
	for c := range q {
		q[c] = [2]vec{l.v[c][0][at.lo:at.hi], l.v[c][1][at.lo:at.hi]}
	}
	return q
}

// apply binds the noted challenge tile by tile, stores u⁰ and u¹ split along the next variable, and adds up the next round's sums.
func (l *singleLayer) apply() {
	rho := *l.rho
	l.bindKinds(&rho)
	if l.bound > 0 {
		l.predict(rho)
		l.s, l.inverse = l.s[1:], l.inverse[1:]
	}
	src, stored := l.stored, l.stored.above()
	inner, outer := eqTables(l.s[1:])
	if l.bound == 0 {
		l.bindRuns(&rho)
	}
	if l.bound < l.late {
		l.delay(rho, stored, inner, outer)
	} else {
		target := l.target(stored.used)
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
		l.v, l.delays = target, nil
	}
	total := l.t.collect()
	l.stored, l.sums = stored, [3]field.Element(total[:3])
	l.rho, l.bound = nil, l.bound+1
}

// bindRuns prepares the blocks for bindIntegers.
func (l *singleLayer) bindRuns(rho *field.Element) {
	for i := range l.leaves.blocks {
		if b := &l.leaves.blocks[i]; b.runs != nil {
			b.runs = b.runs.bind(&b.linear, &l.leaves.padding, rho)
		}
	}
}

// bindIntegers binds a tile of leaves to the first challenge from their integers, where it can.
func (l *singleLayer) bindIntegers(leaf *leafScratch, at piece, target *[2][2]vec) bool {
	leaf.find(l.leaves, l.stored, at)
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
func (l *singleLayer) delay(rho field.Element, stored *support, inner, outer vec) {
	l.delays = append(l.delays, lateChallenge{rho, l.stored})
	l.t.run(len(stored.tiles), func(w, i int) {
		s, at := l.t.worker(w), stored.tiles[i]
		l.addSums(s, l.delayed(w, len(l.delays)-1, at), stored.ofTile(at, inner, s.v[2]), &outer[at.block])
	})
}

// delayed computes a tile that a delay did not keep, which is the worker's until it asks for another one of the same.
func (l *singleLayer) delayed(w, delay int, at piece) [2][2]vec {
	s, d := l.t.worker(w), &l.delays[delay]
	target := [2][2]vec{s.bound[delay][0], s.bound[delay][1]}
	lo, hi := d.under.within(at.block, 1)
	for k := lo; k < hi; k++ {
		here := d.under.tiles[k]
		to := piece{here.lo - d.under.tiles[lo].lo, here.hi - d.under.tiles[lo].lo, here.block}
		var q quarters
		if delay > 0 {
			q = l.delayed(w, delay-1, here)
		} else if s.leaf.find(l.leaves, d.under, here); s.leaf.fillBound(&target, to.lo, here.hi-here.lo) {
			continue
		} else {
			_, q, _ = l.t.leafTile(w, l.leaves, d.under, here)
		}
		for c := range q {
			out := output{d.under, to, &target[c], field.Element{}, s.v[c][:here.hi-here.lo]}
			out.lerp(q[c][0], q[c][1], &d.rho)
		}
	}
	return cutOut(target, 0, at.hi-at.lo)
}

// predict works out C of the next round: h(ρ).
func (l *singleLayer) predict(rho field.Element) {
	c := add(l.sums[0], mul(rho, sub(l.sums[1], l.sums[0])))
	c = add(c, mul(sub(mul(rho, rho), rho), l.sums[2]))
	l.known = &c
}

// target returns where a bind writes: the arrays of one of the two lowest layers that are kept, in turns, which are large enough.
func (l *singleLayer) target(size int) (v [2][2]vec) {
	at := l.t.kept - (l.bound-l.late)%2
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
func (l *singleLayer) addSums(s *scratch, v [2][2]vec, weights vec, outer *field.Element) {
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

// joinTo binds the noted challenge and writes what comes out to the arrays of the layer over all leaves, which has bound it too: P = w·p⁰,
// G = w·(p¹ + λq¹) = w·u¹ with the eq weight w in that layer's scale, q⁰ and q¹.
func (l *singleLayer) joinTo(all *layer, target [4][2]vec) {
	rho := *l.rho
	l.bindKinds(&rho)
	weights := all.weights()
	l.t.run(len(l.stored.tiles), func(w, i int) {
		s, at := l.t.worker(w), l.stored.tiles[i]
		n, from := at.hi-at.lo, l.halves(w, at)
		kinds, weight := l.t.kindOf[at.lo:at.hi], s.v[arrP][:n]
		weights(weight, l.stored, at, s.v[4])
		for c, a := range []int{arrQ0, arrQ1} {
			u := s.v[a][:n]
			lerp(u, from[c][0], from[c][1], &rho)
			if a == arrQ1 {
				mulVec(s.v[arrG][:n], weight, u)
			}
			for k := range u {
				u[k].Sub(&u[k], &l.kinds[kinds[k]].p[c][0])
			}
			scaleVec(u, u, &l.unitBy)
		}
		for k := range weight {
			if kind := kinds[k]; kind > 0 {
				weight[k].Mul(&weight[k], &l.kinds[kind].p[0][0])
			}
		}
		for a := range target {
			l.stored.store(&target[a], at, s.v[a][:n], field.Element{})
		}
	})
}

// chunkKind is what chunks with the same padding have in common.
type chunkKind struct {
	p      [2]vec        // numerators of even and of odd leaves, over the variables inside of a chunk that are not bound
	weight field.Element // of all of them: Σ eq of the variables that join chunks
}

// newKinds prepares those of a support, for the point of a layer above the leaves.
func newKinds(t *supports, s []field.Element) []chunkKind {
	kinds := make([]chunkKind, len(t.kinds))
	for i, cells := range t.kinds {
		for c := range kinds[i].p {
			p := make(vec, 2<<t.single.bits)
			for k := range p {
				if cells>>(2*k+c)&1 == 1 {
					p[k].SetOne()
				}
			}
			kinds[i].p[c] = p
		}
	}
	if len(kinds) > 1 {
		inner, outer := eqTables(s[t.single.bits:])
		for k, chunk := range t.single.chunks {
			if kind := &kinds[t.kindOf[k]]; t.kindOf[k] > 0 {
				kind.weight = add(kind.weight, mul(inner[chunk%len(inner)], outer[chunk/len(inner)]))
			}
		}
	}
	return kinds
}

// bindKinds binds their lowest variable.
func (l *singleLayer) bindKinds(rho *field.Element) {
	var none field.Element
	for i := range l.kinds {
		for c, p := range l.kinds[i].p {
			lo, hi := make(vec, len(p)/2), make(vec, len(p)/2)
			split(lo, hi, p, &none)
			lerp(lo, lo, hi, rho)
			l.kinds[i].p[c] = lo
		}
	}
}

// ofPadding is what numerators take from h(1) − h(0) and from h∞ of a round, λ times, by the point of the variables behind the round's own.
func (l *singleLayer) ofPadding(s []field.Element) (delta, inf field.Element) {
	if len(l.kinds) == 1 {
		return delta, inf
	}
	weights := eqTable(s[:log2(len(l.kinds[0].p[0]))-1])
	for _, kind := range l.kinds[1:] {
		var d, i field.Element
		for x, w := range weights {
			lo0, hi0, lo1, hi1 := kind.p[0][2*x], kind.p[0][2*x+1], kind.p[1][2*x], kind.p[1][2*x+1]
			d = add(d, mul(w, sub(mul(hi0, hi1), mul(lo0, lo1))))
			i = add(i, mul(w, mul(sub(hi0, lo0), sub(hi1, lo1))))
		}
		delta, inf = add(delta, mul(d, kind.weight)), add(inf, mul(i, kind.weight))
	}
	return delta, inf
}
