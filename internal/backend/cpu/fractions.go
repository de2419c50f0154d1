package cpu

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
)

// quarters is a layer of 2^L entries, L ≥ 2, in four arrays: the entry with index bits (c, b, x), c lowest, is v[c][b][x]. Only
// the entries x of the layer's support are stored; everywhere else the fractions are 0/1.
//
// For the layer sumcheck above it c tells the child, b is the variable of round 1, x holds the others. All accesses are then
// contiguous: layer L−1 is computed for b = 0 and b = 1 as vectors over x.
type quarters [2][2]vec

// levels is one layer of the tree.
type level struct {
	*support
	p, q quarters
	// ones is set at the leaves: tiles whose numerators are all 1 have no p. Other tiles have their own quarters.
	leaf bool
	own  []*quarters
	// blocks is set at leaves that are not kept: a tile is computed whenever it is asked for.
	blocks []leafBlock
}

// tree is the fraction tree; levels[L] is layer L for 2 ≤ L ≤ max(n, 2). Layers already asked are overwritten by the
// sumchecks of the layers below, see layer.pass.
type tree struct {
	pool
	n       int
	kept    int // the largest number of leaves that are kept
	root    [4]field.Element
	levels  []level
	scratch []*scratch
}

// scratch is the working memory of one worker.
type scratch struct {
	leaf *leafScratch
	p, q quarters // of a tile of leaves that is not kept
	v    [6]vec
	sums [4]field.Element
}

// Fractions computes the leaves tile by tile and all layers above.
func (b *processor) Fractions(n int, blocks []backend.Block) backend.FractionTree {
	t := &tree{pool: b.pool, n: n, kept: b.keptLeaves, levels: make([]level, max(n, 2)+1), scratch: make([]*scratch, b.threads)}
	prepared := prepareBlocks(blocks)
	bottom := len(t.levels) - 1
	leaves := leafSupport(prepared, min(chunkBits, bottom-2))
	if end := leaves.end(); end > 1<<(bottom-2) {
		panic(fmt.Sprintf("cpu: blocks reach leaf %d of a tree of 2^%d", 4*end, n))
	}
	t.allocate(leaves, prepared)
	t.build(prepared)
	t.root = t.layerOne()
	return t
}

// allocate makes the arrays of all layers; a layer has about half as many entries as the one below. Leaves are a third of all.
func (t *tree) allocate(s *support, blocks []leafBlock) {
	bottom := len(t.levels) - 1
	if s.used > collected {
		runtime.GC() // what is garbage by now would stay beside the tree
	}
	for j := bottom; j >= 2; j-- {
		l := &t.levels[j]
		l.support = s
		switch {
		case j < bottom:
			l.p, l.q = newQuarters(s.used), newQuarters(s.used)
		case 4*s.used > t.kept:
			l.leaf, l.blocks = true, blocks
		default:
			l.leaf, l.q, l.own = true, newQuarters(s.used), make([]*quarters, len(s.tiles))
		}
		s = s.above()
	}
}

// fusedLayers is how many layers are computed together, so that 2^fusedLayers tiles of leaves and the sums above them are still
// in the second-level cache when they are read.
const fusedLayers = 3

// build computes the leaves and the layers above.
func (t *tree) build(blocks []leafBlock) {
	bottom := len(t.levels) - 1
	leaves := &t.levels[bottom]
	top := max(2, bottom-fusedLayers)
	t.run(leaves.end()>>fusedLayers/tile+1, func(w, group int) {
		lo, hi := leaves.within(group, fusedLayers)
		for i := lo; i < hi && leaves.blocks == nil; i++ {
			t.fillLeaves(w, blocks, i)
		}
		for j := bottom - 1; j >= top; j-- {
			lo, hi := t.levels[j+1].within(group, fusedLayers-(bottom-1-j))
			for i := lo; i < hi; i++ {
				t.sumUp(w, j, i)
			}
		}
	})
	for j := top - 1; j >= 2; j-- {
		if t.levels[j+1].scattered() {
			t.fillUnits(j)
		}
		t.run(len(t.levels[j+1].tiles), func(w, i int) { t.sumUp(w, j, i) })
	}
}

// fillUnits sets all of a layer to 0/1, where not all entries will be written.
func (t *tree) fillUnits(j int) {
	for c := range 2 {
		for b := range 2 {
			fill(t.levels[j].q[c][b], one())
		}
	}
}

// worker returns the scratch memory of a worker.
func (t *tree) worker(w int) *scratch {
	if t.scratch[w] == nil {
		s := &scratch{}
		for i := range s.v {
			s.v[i] = make(vec, tile)
		}
		t.scratch[w] = s
	}
	return t.scratch[w]
}

// newQuarters allocates four arrays of n elements in one piece.
func newQuarters(n int) (q quarters) {
	slab := make(vec, 4*n)
	for i := range 4 {
		q[i&1][i>>1] = slab[i*n : (i+1)*n : (i+1)*n]
	}
	return q
}

// leaves computes a tile of leaves, which is in the worker's scratch memory, in natural order.
func (t *tree) leaves(w int, blocks []leafBlock, i int) (s *leafScratch, n int, onlyOnes bool) {
	own := t.worker(w)
	if own.leaf == nil {
		own.leaf = newLeafScratch()
	}
	l := &t.levels[len(t.levels)-1]
	at := l.tiles[i]
	return own.leaf, 4 * (at.hi - at.lo), own.leaf.fillLeaves(blocks, l.support, at)
}

// fillLeaves keeps a tile of leaves: q always, p only if some numerator is not 1.
func (t *tree) fillLeaves(w int, blocks []leafBlock, i int) {
	s, n, ones := t.leaves(w, blocks, i)
	leaves := &t.levels[len(t.levels)-1]
	leaves.q.scatter(leaves.tiles[i].lo, s.q[:n])
	if !ones {
		p := newQuarters(n / 4)
		p.scatter(0, s.p[:n])
		leaves.own[i] = &p
	}
}

// freshTile computes a tile of leaves that are not kept. It is the worker's until it asks for another one.
func (t *tree) freshTile(w int, blocks []leafBlock, i int) (p, q quarters, onlyOnes bool) {
	s, n, ones := t.leaves(w, blocks, i)
	own := t.worker(w)
	if own.q[0][0] == nil {
		own.p, own.q = newQuarters(tile), newQuarters(tile)
	}
	own.q.scatter(0, s.q[:n])
	if !ones {
		own.p.scatter(0, s.p[:n])
	}
	return own.p.slice(0, n/4), own.q.slice(0, n/4), ones
}

// scatter writes entries in their natural order from x = at on.
func (q *quarters) scatter(at int, src vec) {
	a, b, c, d := q[0][0][at:], q[1][0][at:], q[0][1][at:], q[1][1][at:]
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

// tile returns the quarters of tile i of layer j, for a worker; onlyOnes means that all numerators are 1 and p is not there.
func (t *tree) tile(w, j, i int) (p, q quarters, onlyOnes bool) {
	l := &t.levels[j]
	if l.blocks != nil {
		return t.freshTile(w, l.blocks, i)
	}
	at := l.tiles[i]
	q = l.q.slice(at.lo, at.hi)
	switch {
	case !l.leaf:
		p = l.p.slice(at.lo, at.hi)
	case l.own[i] != nil:
		p = *l.own[i]
	default:
		onlyOnes = true
	}
	return p, q, onlyOnes
}

// sumUp computes the part of layer j above tile i of layer j+1: p = p⁰q¹ + p¹q⁰, q = q⁰q¹.
func (t *tree) sumUp(w, j, i int) {
	s, l, below := t.worker(w), &t.levels[j], &t.levels[j+1]
	p, q, onlyOnes := t.tile(w, j+1, i)
	n, at := len(q[0][0]), below.tiles[i]
	sum, tmp := s.v[0][:n], s.v[1][:n]
	for b := range 2 {
		if onlyOnes {
			addVec(sum, q[0][b], q[1][b])
		} else {
			mulVec(sum, p[0][b], q[1][b])
			mulVec(tmp, p[1][b], q[0][b])
			addVec(sum, sum, tmp)
		}
		below.store(&l.p[b], at, sum, field.Element{})
		mulVec(tmp, q[0][b], q[1][b])
		below.store(&l.q[b], at, tmp, one())
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
		p = newQuarters(1)
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
	large := t.levels[len(t.levels)-1].used > collected
	t.levels = nil
	if large {
		runtime.GC()
	}
}

// collected is the entries of the lowest layer, 384 bytes each with all above it, from which on it pays to call the collector.
const collected = 1 << 20

// Layer starts the sumcheck of layer j over the arrays of layer j+1.
func (t *tree) Layer(j int, s []field.Element, lambda field.Element) backend.LayerRounds {
	if j < 1 || j >= t.n || len(s) != j-1 {
		panic(fmt.Sprintf("cpu: layer %d of %d at a point of %d coordinates", j, t.n, len(s)))
	}
	unit := one()
	if slices.ContainsFunc(s, func(e field.Element) bool { return e.IsZero() || e == unit }) {
		return newPlainLayer(t, j, s, lambda)
	}
	return newLayer(t, j, s, lambda)
}
