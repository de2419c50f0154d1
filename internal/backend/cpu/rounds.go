package cpu

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/field"
)

// layer is the sumcheck of layer j of the tree (SPEC.md 9.5), rearranged so that a round consists of inner products.
//
// With G = p¹ + λq¹ the summand is F = p⁰q¹ + Gq⁰. After round 1 the arrays P = eq(s,·)·p⁰ and G = eq(s,·)·(p¹+λq¹) carry the eq
// weight inside. Binding the lowest free variable with σ in s to ρ turns the weights eq(σ,X)·w into w, so
//
//	P' = (1−ρ)/(1−σ)·P_lo + ρ/σ·P_hi,   G' likewise,   q' = q_lo + ρ(q_hi − q_lo);
//
// of the first two the factor (1−ρ)/(1−σ) is left out and collected in scale, so that each costs one multiplication. With the sums
//
//	ll = Σ P_lo·q¹_lo + G_lo·q⁰_lo,   lh = Σ P_lo·q¹_hi + …,   hl = Σ P_hi·q¹_lo + …,   hh = Σ P_hi·q¹_hi + …
//
// the round polynomial has h(0) = ll/(1−σ), h(1) = hh/σ, h∞ = (hh − hl)/σ + (ll − lh)/(1−σ). Since h is known at one point from
// the round before (C = ll + hh), hh is computed in the first of these rounds only.
//
// Where nothing is stored F is the constant λ, which adds the same to h(0) and h(1) and nothing to h∞; of it only the cell beside a last
// odd one is ever written, and once, when chunks have shrunk to single entries, all up to the last entry.
type layer struct {
	t       *tree
	levels  []level // the layer below is the lowest; the arrays of those above are written to
	kept    int     // the lowest layer that has arrays
	j       int
	tile    func(w, i int) (p, q quarters, onlyOnes bool) // of the layer below
	join    func(target [4][2]vec)                        // adds what is not stored in chunks when these are single entries; may be nil
	lambda  field.Element
	s       []field.Element // the points of the free variables x
	inverse []field.Element // 1/σ and 1/(1−σ) for every entry of s, alternating
	inner   vec             // eq table of the lowest variables of x: one tile
	outer   vec             // eq table of the others

	rho     *field.Element // a challenge that is not yet applied
	bound   int            // challenges applied
	v       [4][2]vec      // P, G, q⁰, q¹, each as lo and hi of the lowest free variable
	stored  *support       // of the variables above it
	scale   field.Element  // P and G are to be multiplied by it
	unscale field.Element  // 1/scale
	sums    [4]field.Element
	h       [3]field.Element // h(0), Δ, h∞ of the last round over what is stored
	known   *field.Element   // ll + hh of the coming round if known
	last    [4]field.Element

	delays []lateBind // what is not kept, see delay
}

// lateBind computes tiles that are bound to a challenge and not kept.
type lateBind struct {
	compute func(w, i int, out *[4]output)
	under   *support         // of what was bound
	pads    [4]field.Element // beside it
}

// The four arrays of layer.v.
const (
	arrP = iota
	arrG
	arrQ0
	arrQ1
)

// The four sums of a round.
const (
	sumLL = iota
	sumLH
	sumHL
	sumHH
)

func newLayer(t *tree, levels []level, kept int, s []field.Element, lambda field.Element, tile func(w, i int) (p, q quarters, onlyOnes bool)) *layer {
	l := &layer{t: t, levels: levels, kept: kept, j: len(s) + 1, tile: tile, lambda: lambda, s: slices.Clone(s), scale: one(), unscale: one()}
	l.inverse = make([]field.Element, 2*len(s))
	unit := one()
	for i := range s {
		l.inverse[2*i] = s[i]
		l.inverse[2*i+1].Sub(&unit, &s[i])
	}
	l.inverse = field.BatchInvert(l.inverse)
	l.inner, l.outer = eqTables(s)
	return l
}

// eqTables returns eq for the lowest variables, those of a tile, and for the others.
func eqTables(s []field.Element) (inner, outer vec) {
	cut := min(len(s), log2(tile))
	return eqTable(s[:cut]), eqTable(s[cut:])
}

// below is the layer that is summed over.
func (l *layer) below() *level { return &l.levels[l.j+1] }

// First sums h∞ = Σ eq(s,x)·(δp⁰δq¹ + δp¹δq⁰ + λδq⁰δq¹) with the differences δ along b; the weights of a tile's outer variables
// are multiplied to its sum.
func (l *layer) First() field.Element {
	below := l.below()
	l.t.run(len(below.tiles), func(w, i int) {
		s, at := l.t.worker(w), below.tiles[i]
		p, q, onlyOnes := l.tile(w, i)
		n := len(q[0][0])
		d0, d1, dp := s.v[0][:n], s.v[1][:n], s.v[2][:n]
		subVec(d0, q[0][1], q[0][0])
		subVec(d1, q[1][1], q[1][0])
		w0, inner := s.v[3][:n], below.ofTile(at, l.inner, s.v[4])
		mulVec(w0, d0, inner)
		sum := mul(l.lambda, dot(w0, d1))
		if !onlyOnes {
			subVec(dp, p[1][1], p[1][0])
			sum = add(sum, dot(w0, dp))
			subVec(dp, p[0][1], p[0][0])
			mulVec(dp, dp, inner)
			sum = add(sum, dot(dp, d1))
		}
		s.total[0] = add(s.total[0], mul(sum, l.outer[at.block]))
	})
	return l.t.collect()[0]
}

// collect adds up and clears the workers' sums.
func (t *tree) collect() (total [4]field.Element) {
	for _, s := range t.scratch {
		if s == nil {
			continue
		}
		for i := range total {
			total[i] = add(total[i], s.total[i])
		}
		s.total = [4]field.Element{}
	}
	return total
}

// Bind only notes the challenge: it is applied together with the next round's sums.
func (l *layer) Bind(rho field.Element) { l.rho = &rho }

func (l *layer) Round() (delta, inf field.Element) {
	l.apply()
	if l.known != nil {
		l.sums[sumHH] = sub(*l.known, l.sums[sumLL])
	}
	inverseS, inverseT := l.inverse[0], l.inverse[1]
	for i := range l.sums {
		l.sums[i] = mul(l.sums[i], l.scale)
	}
	h0, h1 := mul(l.sums[sumLL], inverseT), mul(l.sums[sumHH], inverseS)
	hl, lh := mul(l.sums[sumHL], inverseS), mul(l.sums[sumLH], inverseT)
	l.h = [3]field.Element{h0, sub(h1, h0), sub(add(h0, h1), add(hl, lh))}
	return l.h[1], l.h[2]
}

func (l *layer) Claims() (a0, a1, b0, b1 field.Element) {
	l.apply()
	l.v = [4][2]vec{}
	a0, g := mul(l.last[arrP], l.scale), mul(l.last[arrG], l.scale)
	b0, b1 = l.last[arrQ0], l.last[arrQ1]
	return a0, sub(g, mul(l.lambda, b1)), b0, b1
}

// apply binds the noted challenge.
func (l *layer) apply() {
	if l.rho == nil {
		return
	}
	rho := *l.rho
	l.rho = nil
	if l.bound == 0 {
		l.bindFirst(rho)
	} else {
		l.bindNext(rho)
	}
	l.bound++
}

// target returns where a bind writes: the arrays of layer j−bound, of the very size needed, since layers above the one asked are
// no longer used. After the last bind there is a single cell left and no target.
func (l *layer) target() (v [4][2]vec, stored *support) {
	at := l.j - l.bound
	if at < 2 {
		for a := range v {
			v[a] = [2]vec{make(vec, 1), make(vec, 1)}
		}
		return v, prefix(1)
	}
	up := &l.levels[at]
	return [4][2]vec{up.p[0], up.p[1], up.q[0], up.q[1]}, up.support
}

// bindFirst fixes b: four arrays over x from the eight of the layer below, then multiplied by the eq weights.
func (l *layer) bindFirst(rho field.Element) {
	below := l.below()
	if l.j == l.t.bottom()-2 && l.j+1 > l.t.kept {
		l.bindRuns(&rho)
	}
	compute := func(w, i int, out *[4]output) {
		s, at := l.t.worker(w), below.tiles[i]
		n := at.hi - at.lo
		weight, g, q1 := s.v[4][:n], s.v[5][:n], out[arrQ1].tmp
		scaleVec(weight, below.ofTile(at, l.inner, g), &l.outer[at.block])
		if l.bindIntegers(w, i, g, out) {
			out[arrG].mul(g, weight)
			out[arrP].mul(out[arrP].tmp, weight)
			return
		}
		p, q, onlyOnes := l.tile(w, i)
		out[arrQ0].lerp(q[0][0], q[0][1], &rho)
		lerp(q1, q[1][0], q[1][1], &rho)
		out[arrQ1].put(q1)
		scaleVec(g, q1, &l.lambda)
		if onlyOnes {
			mulVec(g, g, weight)
			addVec(g, g, weight)
			out[arrG].put(g)
			out[arrP].put(weight)
			return
		}
		p1 := out[arrG].tmp
		lerp(p1, p[1][0], p[1][1], &rho)
		addVec(g, g, p1)
		out[arrG].mul(g, weight)
		lerp(p1, p[0][0], p[0][1], &rho)
		out[arrP].mul(p1, weight)
	}
	l.pass(below.support, true, compute)
}

// bindRuns prepares the blocks of leaves for bindIntegers.
func (l *layer) bindRuns(rho *field.Element) {
	for i := range l.t.blocks {
		if b := &l.t.blocks[i]; b.runs != nil {
			b.runs.bindPairs(&b.linear, rho, &l.lambda)
		}
	}
}

// bindIntegers binds a tile of the layer above the leaves from their integers, where it can: q⁰ and q¹ go where they belong, p⁰ to its
// array's scratch memory, and p¹ + λq¹ to g.
func (l *layer) bindIntegers(w, i int, g vec, out *[4]output) bool {
	if l.j != l.t.bottom()-2 || l.j+1 <= l.t.kept || !out[arrQ0].direct() {
		return false
	}
	leaf, leaves, p := l.t.worker(w).leaf, &l.t.levels[l.t.bottom()], out[arrP].tmp
	q0, q1 := out[arrQ0].halves(out[arrQ0].to, out[arrQ0].at), out[arrQ1].halves(out[arrQ1].to, out[arrQ1].at)
	lo, hi := leaves.within(l.below().tiles[i].block, 1)
	for k := lo; k < hi; k++ {
		at := leaves.tiles[k]
		leaf.find(l.t.leafSet, leaves.support, at)
		if from := at.lo - leaves.tiles[lo].lo; from%4 != 0 || !leaf.fillBoundPairs(p, g, q0, q1, from/2, at.hi-at.lo) {
			return false
		}
	}
	return true
}

// delay adds up the next round's sums and keeps nothing: what was bound is computed again when the next challenge is, and is half as large then.
func (l *layer) delay(src *support, withHH bool, compute func(w, i int, out *[4]output)) {
	l.delays = append(l.delays, lateBind{compute, src, l.padCell(src)})
	stored := l.levels[l.j-l.bound].support
	l.t.run(len(stored.tiles), func(w, i int) {
		at := stored.tiles[i]
		l.addSums(l.t.worker(w), l.delayed(w, len(l.delays)-1, at), 0, at.hi-at.lo, withHH)
	})
	l.v, l.stored, l.sums = [4][2]vec{}, stored, l.t.collect()
}

// delayed computes a tile of the arrays that a delay did not keep, which is the worker's until it asks for another one of the same.
func (l *layer) delayed(w, delay int, at piece) (v [4][2]vec) {
	s, d := l.t.worker(w), &l.delays[delay]
	lo, hi := d.under.within(at.block, 1)
	for k := lo; k < hi; k++ {
		here := d.under.tiles[k]
		var out [4]output
		for a := range out {
			to := piece{here.lo - d.under.tiles[lo].lo, here.hi - d.under.tiles[lo].lo, here.block}
			out[a] = output{d.under, to, &s.bound[delay][a], d.pads[a], s.v[a][:here.hi-here.lo]}
		}
		d.compute(w, k, &out)
	}
	for a := range v {
		v[a] = [2]vec{s.bound[delay][a][0][:at.hi-at.lo], s.bound[delay][a][1][:at.hi-at.lo]}
	}
	return v
}

// halves returns the arrays of a tile as lo and hi of the variable that is to be bound, after so many delays.
func (l *layer) halves(w, delays int, at piece) (v [4][2]vec) {
	if delays > 0 {
		return l.delayed(w, delays-1, at)
	}
	for a := range v {
		v[a] = [2]vec{l.v[a][0][at.lo:at.hi], l.v[a][1][at.lo:at.hi]}
	}
	return v
}

// pass computes P, G, q⁰, q¹ over the variables that are left in s tile by tile, stores them split along the lowest, where arrays of that size
// are kept, and adds up the next round's sums.
func (l *layer) pass(src *support, withHH bool, compute func(w, i int, out *[4]output)) {
	if l.j-l.bound > l.kept {
		l.delay(src, withHH, compute)
		return
	}
	target, stored := l.target()
	pad := l.padCell(src)
	if src.scattered() {
		l.fillPadding(target, src.end())
	}
	l.t.run(len(src.tiles), func(w, i int) {
		s, at := l.t.worker(w), src.tiles[i]
		var out [4]output
		for a := range out {
			out[a] = output{src, at, &target[a], pad[a], s.v[a][:at.hi-at.lo]}
		}
		compute(w, i, &out)
		if !src.scattered() {
			l.addSums(s, target, at.lo/2, (at.hi+1)/2, withHH)
		}
	})
	if src.scattered() {
		if l.join != nil {
			l.join(target)
		}
		l.known = nil // what was padding counts from now on
		l.t.run(len(stored.tiles), func(w, i int) {
			l.addSums(l.t.worker(w), target, stored.tiles[i].lo, stored.tiles[i].hi, true)
		})
	}
	l.v, l.stored, l.sums, l.delays = target, stored, l.t.collect(), nil
	for a := range l.last {
		if stored.used > 0 {
			l.last[a] = target[a][0][0]
		}
	}
}

// addSums adds up the next round's sums over a range of two halves.
func (l *layer) addSums(s *scratch, v [4][2]vec, lo, hi int, withHH bool) {
	pair := func(i, x, y int) {
		t := add(dot(v[arrP][x][lo:hi], v[arrQ1][y][lo:hi]), dot(v[arrG][x][lo:hi], v[arrQ0][y][lo:hi]))
		s.total[i] = add(s.total[i], t)
	}
	pair(sumLL, 0, 0)
	pair(sumLH, 0, 1)
	pair(sumHL, 1, 0)
	if withHH {
		pair(sumHH, 1, 1)
	}
}

// padCell returns P, G, q⁰, q¹ at the first cell behind a prefix over the variables left in s, if it is an odd one: 0/1 fractions.
func (l *layer) padCell(src *support) (pad [4]field.Element) {
	pad[arrQ0].SetOne()
	pad[arrQ1].SetOne()
	if src.chunks == nil && src.used%2 == 1 && src.used < 1<<len(l.s) {
		pad[arrG] = mul(mul(l.lambda, eqAt(l.s, src.used)), l.unscale)
	}
	return pad
}

// fillPadding sets two halves to 0/1 fractions up to the end of the variables left in s, or the even entry behind it.
func (l *layer) fillPadding(target [4][2]vec, end int) {
	end = min((end+1)&^1, 1<<len(l.s))
	weights, all, unit := l.weights(), prefix(end), one()
	l.t.chunks(end, tile, func(w, lo, hi int) {
		g := l.t.worker(w).v[0][:hi-lo]
		weights(g, all, piece{lo, hi, lo / tile}, nil)
		scaleVec(g, g, &l.lambda)
		split(target[arrG][0][lo/2:], target[arrG][1][lo/2:], g, &field.Element{})
		for half := range 2 {
			n := (hi - lo + 1) / 2
			clear(target[arrP][half][lo/2:][:n])
			fill(target[arrQ0][half][lo/2:][:n], unit)
			fill(target[arrQ1][half][lo/2:][:n], unit)
		}
	})
}

// weights returns what computes the eq weights of entries over the variables left in s, as P and G carry them.
func (l *layer) weights() func(dst vec, s *support, at piece, gathered vec) {
	inner, outer := eqTables(l.s)
	scaleVec(outer, outer, &l.unscale)
	return func(dst vec, s *support, at piece, gathered vec) {
		scaleVec(dst, s.ofTile(at, inner, gathered), &outer[at.block])
	}
}

// joinConstant writes constant chunks to where they become entries. Before, they add the same to both ends of every round's polynomial.
func (l *layer) joinConstant(target [4][2]vec) {
	weights, chunks := l.weights(), l.t.constant
	l.t.run(len(chunks.tiles), func(w, i int) {
		s, at := l.t.worker(w), chunks.tiles[i]
		p, q := l.t.constantTile(w, at, l.t.bottom()-l.j-1)
		weight, g := s.v[2][:len(p)], s.v[3][:len(p)]
		weights(weight, chunks, at, s.v[4])
		scaleVec(g, q, &l.lambda)
		addVec(g, g, p)
		mulVec(g, g, weight)
		mulVec(p, p, weight)
		for a, v := range [4]vec{p, g, q, q} {
			chunks.store(&target[a], at, v, field.Element{})
		}
	})
}

// bindNext fixes the lowest variable of x.
func (l *layer) bindNext(rho field.Element) {
	ratio, onlyHi := l.rescale(rho)
	stored, delays := l.stored, len(l.delays)
	l.s, l.inverse = l.s[1:], l.inverse[2:]
	l.predict(rho, l.padCell(stored)[arrG])
	l.pass(stored, false, func(w, i int, out *[4]output) {
		src := l.halves(w, delays, stored.tiles[i])
		for _, a := range []int{arrP, arrG} {
			if onlyHi {
				out[a].put(src[a][1])
			} else {
				out[a].axpy(src[a][0], src[a][1], &ratio)
			}
		}
		for _, a := range []int{arrQ0, arrQ1} {
			out[a].lerp(src[a][0], src[a][1], &rho)
		}
	})
}

// rescale moves the coefficient of the lower half into scale and returns the ratio of the upper half's to it; at ρ = 1 only the
// upper half is left.
func (l *layer) rescale(rho field.Element) (ratio field.Element, onlyHi bool) {
	unit := one()
	c0, c1 := mul(sub(unit, rho), l.inverse[1]), mul(rho, l.inverse[0])
	if c0.IsZero() {
		l.scale, l.unscale = mul(l.scale, c1), mul(l.unscale, l.s[0])
		return ratio, true
	}
	var inverse field.Element
	inverse.Inverse(&c0)
	l.scale, l.unscale = mul(l.scale, c0), mul(l.unscale, inverse)
	return mul(c1, inverse), false
}

// predict works out ll + hh of the next round: h(ρ) over what is stored, and the pad cell's share.
func (l *layer) predict(rho, pad field.Element) {
	c := add(l.h[0], mul(rho, l.h[1]))
	c = add(c, mul(sub(mul(rho, rho), rho), l.h[2]))
	c = add(mul(c, l.unscale), pad)
	l.known = &c
}
