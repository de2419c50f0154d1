package cpu

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/montgomery"
)

// quarters is a layer of 2^L entries, L ≥ 2, in four arrays: the entry with index bits (c, b, x), c lowest, is v[c][b][x]. Only
// the entries x of the layer's support are stored; everywhere else the fractions are 0/1.
//
// For the layer sumcheck above it c tells the child, b is the variable of round 1, x holds the others. All accesses are then
// contiguous: layer L−1 is computed for b = 0 and b = 1 as vectors over x.
type quarters [2][2]vec

// level is one layer of the tree.
type level struct {
	*support
	slab [2]vec // p and q, each four arrays in one piece
	p, q quarters
}

// tree is the fraction tree; levels[L] is layer L for 2 ≤ L ≤ max(n, 2). The two lowest layers, three quarters of all, are not kept, or up to
// spared more where memory is short: a tile of theirs is computed whenever it is asked for. Layers already asked are overwritten by the sumchecks of the layers below, see layer.pass.
type tree struct {
	pool
	supports // of the leaves
	n        int
	leafSet
	root    [4]field.Element
	levels  []level
	kept    int // the lowest layer that is
	scratch []*scratch
}

// scratch is the working memory of one worker.
type scratch struct {
	leaf  *leafScratch
	p, q  quarters                            // of a tile of leaves
	sums  [1 + spared]struct{ p, q quarters } // of a tile of the layer above, of the one above that, and so on
	bound [spared + 1][4][2]vec               // arrays that are not kept, by how many challenges they are bound to, see layer.delay and singleLayer.delay
	v     [6]vec
	total [4]field.Element
}

// spared is how many layers above the two lowest are not kept at most. Above more of them single leaves of different chunks would meet.
const spared = chunkBits - 2

// Fractions computes the leaves tile by tile and all layers above.
func (b *run) Fractions(n int, blocks []backend.Block) backend.FractionTree {
	return b.newTree(n, blocks, b.tight)
}

// newTree keeps fewer layers as long as the others are said not to fit.
func (b *run) newTree(n int, blocks []backend.Block, tight func(bytes uint64) bool) *tree {
	t := &tree{pool: b.ending, n: n, leafSet: leafSet{blocks: prepareBlocks(blocks), padding: one()}, levels: make([]level, max(n, 2)+1), scratch: make([]*scratch, b.threads)}
	bottom := t.bottom()
	t.supports = leafSupports(t.blocks, min(chunkBits, bottom-2), bottom-2 > chunkBits)
	if end := t.varying.end(); end > 1<<(bottom-2) {
		panic(fmt.Sprintf("cpu: blocks reach leaf %d of a tree of 2^%d", 4*end, n))
	}
	if t.varying.used > collected {
		runtime.GC() // what is garbage by now would stay beside the tree
	}
	support := supportsAbove(len(t.levels), t.varying)
	for t.kept = bottom - 2; t.kept > bottom-2-spared && t.varying.bits == chunkBits && tight(layerBytes(support[:t.kept+1])); {
		t.kept--
	}
	allocate(t.levels, support, t.kept, 1)
	t.build()
	t.root = t.layerOne()
	return t
}

// bottom is the number of the layer of leaves.
func (t *tree) bottom() int { return len(t.levels) - 1 }

// supportsAbove are the supports of layers from that of the lowest on; a layer has about half as many entries as the one below.
func supportsAbove(layers int, lowest *support) []*support {
	out := make([]*support, layers)
	for j := layers - 1; j >= 2; j-- {
		out[j], lowest = lowest, lowest.above()
	}
	return out
}

// layerBytes is what the arrays of layers take.
func layerBytes(layers []*support) (sum uint64) {
	for _, s := range layers[2:] {
		sum += 2 * 4 * field.Bytes * uint64(s.used)
	}
	return sum
}

// allocate sets the supports of all layers, and makes the arrays of layers above one up to stored.
func allocate(levels []level, supports []*support, stored, above int) {
	for j := 2; j < len(levels); j++ {
		l := &levels[j]
		l.support = supports[j]
		if above < j && j <= stored {
			for k, q := range []*quarters{&l.p, &l.q} {
				l.slab[k] = make(vec, 4*l.used)
				*q = quartersOf(l.slab[k])
			}
		}
	}
}

// fusedLayers is how many layers are computed together, so that 2^fusedLayers tiles of leaves and the sums above them are still
// in the second-level cache when they are read.
const fusedLayers = 3

// build computes the layers that are kept.
func (t *tree) build() {
	bottom := t.bottom()
	top := max(2, bottom-fusedLayers)
	t.run(t.levels[bottom].end()>>fusedLayers/tile+1, func(w, group int) {
		for j := min(bottom-2, t.kept); j >= top; j-- {
			lo, hi := t.levels[j+1].within(group, fusedLayers-(bottom-1-j))
			for i := lo; i < hi; i++ {
				t.sumUp(w, j, i)
			}
		}
	})
	for j := min(top, bottom-1) - 1; j >= 2; j-- {
		if t.levels[j+1].scattered() {
			t.fillScattered(j)
		}
		t.run(len(t.levels[j+1].tiles), func(w, i int) { t.sumUp(w, j, i) })
	}
}

// fillScattered sets all of a layer, the first above chunks of one entry, to 0/1, and what is above constant chunks.
func (t *tree) fillScattered(j int) {
	l := &t.levels[j]
	fill(l.slab[1], one())
	t.run(len(t.constant.tiles), func(w, i int) {
		at := t.constant.tiles[i]
		p, q := t.constantTile(w, at, t.bottom()-j)
		for b := range 2 {
			t.constant.store(&l.p[b], at, p, field.Element{})
			t.constant.store(&l.q[b], at, q, field.Element{})
		}
	})
}

// constantTile computes p and q of constant chunks, which are the same all over a chunk, some layers above the leaves. They are in the
// first two vectors of the worker.
func (t *tree) constantTile(w int, at piece, layers int) (p, q vec) {
	s, n := t.worker(w), at.hi-at.lo
	p, q = s.v[0][:n], s.v[1][:n]
	fill(p, one())
	copy(q, t.q[at.lo:at.hi])
	for range layers {
		mulVec(p, p, q)
		addVec(p, p, p)
		mulVec(q, q, q)
	}
	return p, q
}

// worker returns the scratch memory of a worker.
func (t *tree) worker(w int) *scratch {
	if t.scratch[w] == nil {
		s := &scratch{leaf: newLeafScratch()}
		s.p, s.q = quartersOf(make(vec, 4*tile)), quartersOf(make(vec, 4*tile))
		for i := range t.bottom() - 1 - t.kept {
			s.sums[i].p, s.sums[i].q = quartersOf(make(vec, 4*tile)), quartersOf(make(vec, 4*tile))
			for a := range s.bound[i] {
				s.bound[i][a] = [2]vec{make(vec, tile), make(vec, tile)}
			}
		}
		for i := range s.v {
			s.v[i] = make(vec, tile)
		}
		t.scratch[w] = s
	}
	return t.scratch[w]
}

// quartersOf cuts a vector into four arrays.
func quartersOf(slab vec) (q quarters) {
	n := len(slab) / 4
	for i := range 4 {
		q[i&1][i>>1] = slab[i*n : (i+1)*n : (i+1)*n]
	}
	return q
}

// scatter writes entries in their natural order from x = 0 on.
func (q *quarters) scatter(src vec) {
	a, b, c, d := q[0][0], q[1][0], q[0][1], q[1][1]
	for i := 0; i < len(src)/4; i++ {
		e := (*[4]field.Element)(src[4*i:])
		a[i], b[i], c[i], d[i] = e[0], e[1], e[2], e[3]
	}
}

// slice cuts out x in [lo, hi).
func (q *quarters) slice(lo, hi int) (out quarters) {
	for c := range 2 {
		for b := range 2 {
			out[c][b] = q[c][b][lo:hi]
		}
	}
	return out
}

// leafTile computes a tile of leaves, which is the worker's until it asks for another one; onlyOnes means that all numerators are 1, or not
// wanted, and p is not there.
func (t *tree) leafTile(w int, of leafSet, s *support, at piece) (p, q quarters, onlyOnes bool) {
	own, n := t.worker(w), at.hi-at.lo
	own.leaf.find(of, s, at)
	if own.leaf.fillQuarters(&own.q, n) {
		if onlyOnes = of.combined || len(own.leaf.gaps) == 0; !onlyOnes {
			own.leaf.unitNumerators(&own.p, n)
		}
		return own.p.slice(0, n), own.q.slice(0, n), onlyOnes
	}
	onlyOnes = own.leaf.fillLeaves(at, of.combined)
	own.q.scatter(own.leaf.q[:4*n])
	if !onlyOnes {
		own.p.scatter(own.leaf.p[:4*n])
	}
	return own.p.slice(0, n), own.q.slice(0, n), onlyOnes
}

// sumTile computes a tile of a layer that is not kept, above the leaves, which is the worker's until it asks for another one of that layer.
func (t *tree) sumTile(w, j, i int) (p, q quarters) {
	own, below := t.worker(w), &t.levels[j+1]
	to := &own.sums[t.bottom()-1-j]
	lo, hi := below.within(t.levels[j].tiles[i].block, 1)
	first, n := below.tiles[lo].lo, 0
	for k := lo; k < hi; k++ {
		at := below.tiles[k]
		at.lo, at.hi = at.lo-first, at.hi-first
		n = at.hi / 2
		if j+1 == t.bottom() && t.fillPairs(w, below.support, below.tiles[k], &to.p, &to.q, at.lo) {
			continue
		}
		p, q, onlyOnes := t.tile(w, j+1, k)
		own.sum(below.support, at, p, q, onlyOnes, &to.p, &to.q)
	}
	return to.p.slice(0, n), to.q.slice(0, n)
}

// fillPairs computes what is above a tile of leaves from their integers, where it can; the tile's first entry is at a place of the tile above.
func (t *tree) fillPairs(w int, s *support, at piece, p, q *quarters, from int) bool {
	leaf := t.worker(w).leaf
	leaf.find(t.leafSet, s, at)
	return from%2 == 0 && leaf.fillPairs(p, q, from/2, at.hi-at.lo)
}

// tile returns the quarters of tile i of layer j, for a worker; onlyOnes means that all numerators are 1 and p is not there.
func (t *tree) tile(w, j, i int) (p, q quarters, onlyOnes bool) {
	l := &t.levels[j]
	switch at := l.tiles[i]; {
	case j == t.bottom():
		return t.leafTile(w, t.leafSet, l.support, at)
	case j > t.kept:
		p, q = t.sumTile(w, j, i)
		return p, q, false
	default:
		return l.p.slice(at.lo, at.hi), l.q.slice(at.lo, at.hi), false
	}
}

// sumUp computes the part of layer j above tile i of layer j+1.
func (t *tree) sumUp(w, j, i int) {
	p, q, onlyOnes := t.tile(w, j+1, i)
	below := &t.levels[j+1]
	t.worker(w).sum(below.support, below.tiles[i], p, q, onlyOnes, &t.levels[j].p, &t.levels[j].q)
}

// sum stores the layer above a tile: p = p⁰q¹ + p¹q⁰, q = q⁰q¹.
func (s *scratch) sum(below *support, at piece, p, q quarters, onlyOnes bool, toP, toQ *quarters) {
	for b := range 2 {
		if montgomery.Available() && !below.scattered() {
			sumSplit(below.halves(&toP[b], at), below.halves(&toQ[b], at), p, q, b, onlyOnes)
			continue
		}
		n := len(q[0][0])
		sum, tmp := s.v[0][:n], s.v[1][:n]
		if onlyOnes {
			addVec(sum, q[0][b], q[1][b])
		} else {
			mulVec(sum, p[0][b], q[1][b])
			mulVec(tmp, p[1][b], q[0][b])
			addVec(sum, sum, tmp)
		}
		below.store(&toP[b], at, sum, field.Element{})
		mulVec(tmp, q[0][b], q[1][b])
		below.store(&toQ[b], at, tmp, one())
	}
}

// sumSplit is sum for one b, where entries of the layer above are neighbours of the tile's.
func sumSplit(toP, toQ [2][]field.Element, p, q quarters, b int, onlyOnes bool) {
	if onlyOnes {
		montgomery.UnitFractions(scalars, &toP, &toQ, q[0][b], q[1][b])
	} else {
		montgomery.Fractions(scalars, &toP, &toQ, p[0][b], p[1][b], q[0][b], q[1][b])
	}
	if n := len(q[0][b]); n%2 == 1 {
		toP[1][n/2], toQ[1][n/2] = field.Element{}, one()
	}
}

// Root returns layer 1, which was kept.
func (t *tree) Root() (a0, a1, b0, b1 field.Element) {
	return t.root[0], t.root[1], t.root[2], t.root[3]
}

// layerOne computes layer 1: the leaves themselves if n = 1, otherwise the sums of layer 2.
func (t *tree) layerOne() (r [4]field.Element) {
	p, q, onlyOnes := t.tile(0, 2, 0)
	if onlyOnes {
		for i := range 4 {
			p[i&1][i>>1][0].SetOne()
		}
	}
	if t.n == 1 {
		return [4]field.Element{p[0][0][0], p[1][0][0], q[0][0][0], q[1][0][0]}
	}
	for y := range 2 {
		r[y] = add(mul(p[0][y][0], q[1][y][0]), mul(p[1][y][0], q[0][y][0]))
		r[2+y] = mul(q[0][y][0], q[1][y][0])
	}
	return r
}

// free gives a tree's memory back after its last layer. What follows would else be allocated beside it: the collector waits until there is
// as much again.
func (t *tree) free() {
	large := t.varying.used > collected
	t.levels, t.scratch = nil, nil
	if large {
		runtime.GC()
	}
}

// collected is the entries of the lowest layer from which on it pays to call the collector.
const collected = 1 << 20

// Layer starts the sumcheck of layer j over the arrays of layer j+1.
func (t *tree) Layer(j int, s []field.Element, lambda field.Element) backend.LayerRounds {
	if j < 1 || j >= t.n || len(s) != j-1 {
		panic(fmt.Sprintf("cpu: layer %d of %d at a point of %d coordinates", j, t.n, len(s)))
	}
	unit := one()
	if slices.ContainsFunc(s, func(e field.Element) bool { return e.IsZero() || e == unit }) || lambda.IsZero() {
		return newPlainLayer(t, j, s, lambda)
	}
	if j == t.n-1 {
		return newBottomLayer(t, s, lambda)
	}
	l := newLayer(t, t.levels, t.kept, s, lambda, func(w, i int) (p, q quarters, onlyOnes bool) { return t.tile(w, j+1, i) })
	l.join = l.joinConstant
	return l
}
