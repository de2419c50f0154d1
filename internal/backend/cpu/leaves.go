package cpu

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/montgomery"
)

// leafBlock is a block prepared for filling tiles of leaves.
type leafBlock struct {
	*backend.Block
	cols       []column
	mult       column
	start, end int // leaves of the padded box, cut behind the last cell of the box
	linear
	shape   []int  // Shape with trailing full axes merged into one
	rowBits int    // log2 of the last axis of shape, padded
	lines   *lines // of the table whose lines the cells are, nil if they do not help
	runs    *integerRuns
}

// leafSet is what tiles of leaves are computed of: numerators and denominators, or 1 + λq of cells and λ of padding alone, which is p + λq of both.
type leafSet struct {
	blocks   []leafBlock
	padding  field.Element // denominators of padding
	combined bool          // without numerators
}

// linear is the constant and the factors of columns in denominators, and what they are computed with: base and coefficients for integers that
// stand as elements (rawInt), and, where the processor has them, kernels for integers below 2^51, each for two columns at most.
type linear struct {
	constant field.Element
	factors  []field.Element
	base     field.Element
	coef     []field.Element
	kernels  []*montgomery.Affine[field.Element]
}

func newLinear(constant field.Element, factors []field.Element) linear {
	l := linear{constant: constant, factors: factors, base: constant}
	for _, f := range factors {
		l.base = sub(l.base, mul(f, offsetElement))
		l.coef = append(l.coef, mul(f, montgomeryRadix))
	}
	if !montgomery.Available() {
		return l
	}
	for group := range slices.Chunk(factors, 2) {
		l.kernels = append(l.kernels, newAffine(constant, group...))
		constant = field.Element{}
	}
	return l
}

// newAffine prepares a constant plus one or two columns with factors.
func newAffine(constant field.Element, factors ...field.Element) *montgomery.Affine[field.Element] {
	folded := make(vec, len(factors))
	for i, f := range factors {
		constant = sub(constant, mul(f, shortOffset))
		folded[i] = mul(f, limbRadix)
	}
	return montgomery.NewAffine(scalars, constant, folded...)
}

// limbRadix is 2^52, in which kernels want coefficients.
var limbRadix = field.Pow2(limbBits)

// lines are those of a table whose first column counts up from first, but for a few.
type lines struct {
	cols  []column
	first int64
	q     vec // their denominators
}

// montgomeryRadix is 2^256 as an element: an element whose lowest limb is set to an integer v directly stands for v·2^-256, so
// a product with c·2^256 gives c·v and saves the conversion of v.
var montgomeryRadix = func() field.Element {
	e := field.Element{}
	e.SetUint64(1 << 32)
	for range 3 {
		e.Square(&e)
	}
	return e
}()

// intOffset is added to integers to make them unsigned; its multiple of the coefficient is subtracted again in the constant.
const intOffset = 1 << 63

// rawInt is the element with the lowest limb v + intOffset.
func rawInt(v int64) field.Element { return field.Element{uint64(v) ^ intOffset} }

// offsetElement is intOffset in the field.
var offsetElement = func() (e field.Element) { e.SetUint64(intOffset); return }()

// prepareBlocks orders the blocks by offset and works out the constants of q = Beta − ID − Σ Gamma[i]·Cols[i].
func prepareBlocks(blocks []backend.Block) []leafBlock {
	out := make([]leafBlock, 0, len(blocks))
	tables := map[*backend.Block]*lines{}
	for i := range blocks {
		b := leafBlock{Block: &blocks[i], cols: make([]column, len(blocks[i].Cols)), start: blocks[i].Offset, shape: mergeAxes(blocks[i].Shape)}
		for k, col := range blocks[i].Cols {
			b.cols[k] = columnOf(ints(col))
		}
		if blocks[i].Mult != nil {
			b.mult = columnOf(ints(blocks[i].Mult))
		}
		b.rowBits = log2(b.shape[len(b.shape)-1])
		last := 0
		for _, d := range b.shape {
			last = last<<log2(d) | (d - 1)
		}
		b.end = b.start + last + 1
		factors := make([]field.Element, len(b.Cols))
		for i := range factors {
			factors[i].Neg(&b.Gamma[i])
		}
		b.linear = newLinear(sub(b.Beta, b.ID), factors)
		b.runs = newIntegerRuns(&b)
		if size(b.shape) > 0 {
			out = append(out, b)
		}
	}
	for i := range out {
		b := &out[i]
		if t, ok := tables[b.Lines]; ok {
			b.lines = t
		} else if b.Lines != nil && len(b.Lines.Cols) == len(b.Cols) && len(b.kernels) == 0 {
			b.lines = denominatorsOf(out, b.Lines)
			tables[b.Lines] = b.lines
		}
	}
	slices.SortFunc(out, func(a, b leafBlock) int { return a.start - b.start })
	return out
}

// combine returns leaves p + λq of lookups, whose numerators are all 1, and of padding.
func combine(blocks []leafBlock, lambda field.Element) leafSet {
	return leafSet{affine(blocks, lambda), lambda, true}
}

// affine returns the blocks with 1 + λq for every denominator q.
func affine(blocks []leafBlock, lambda field.Element) []leafBlock {
	out, tables, unit := slices.Clone(blocks), map[*lines]*lines{}, one()
	for i := range out {
		b := &out[i]
		factors := make(vec, len(b.factors))
		scaleVec(factors, b.factors, &lambda)
		b.linear = newLinear(add(unit, mul(lambda, b.constant)), factors)
		if b.lines == nil {
			continue
		}
		scaled, ok := tables[b.lines]
		if !ok {
			scaled = &lines{cols: b.lines.cols, first: b.lines.first, q: make(vec, len(b.lines.q))}
			scaleVec(scaled.q, b.lines.q, &lambda)
			for k := range scaled.q {
				scaled.q[k].Add(&scaled.q[k], &unit)
			}
			tables[b.lines] = scaled
		}
		b.lines = scaled
	}
	return out
}

// denominatorsOf computes the denominators of a table's lines; nil where its first column does not tell the line.
func denominatorsOf(blocks []leafBlock, table *backend.Block) *lines {
	i := slices.IndexFunc(blocks, func(b leafBlock) bool { return b.Block == table })
	if i < 0 || len(table.Cols) == 0 {
		return nil
	}
	cols := blocks[i].cols
	l := &lines{cols: cols, first: cols[0].at(0), q: make(vec, cols[0].len())}
	counted, raw := 0, make(vec, len(l.q))
	for k := range l.q {
		if cols[0].at(k) == l.first+int64(k) {
			counted++
		}
	}
	if counted < len(l.q)/2 {
		return nil
	}
	blocks[i].denominators(l.q, raw, 0)
	return l
}

// mergeAxes joins axes whose lower neighbours fill their power of two: cells and leaves then advance together across them.
func mergeAxes(shape []int) []int {
	out := []int{1}
	for i := len(shape) - 1; i >= 0; i-- {
		if low := out[0]; low&(low-1) == 0 {
			out[0] = low * shape[i]
		} else {
			out = append([]int{shape[i]}, out...)
		}
	}
	return out
}

// size is the number of cells of a box.
func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// log2 returns ⌈log2 d⌉.
func log2(d int) int {
	n := 0
	for 1<<n < d {
		n++
	}
	return n
}

// cellOfRow returns the first cell of a row (the leaves of the padded box, divided by the padded last axis), or −1 if the row
// lies outside the box.
func (b *leafBlock) cellOfRow(row int) int {
	cell, stride := 0, b.shape[len(b.shape)-1]
	for a := len(b.shape) - 2; a >= 0; a-- {
		d := b.shape[a]
		bits := log2(d)
		i := row & (1<<bits - 1)
		if i >= d {
			return -1
		}
		cell, stride, row = cell+i*stride, stride*d, row>>bits
	}
	return cell
}

// inBox tells whether a leaf of the padded box is a cell.
func (b *leafBlock) inBox(leaf int) bool {
	in := leaf - b.start
	return in&(1<<b.rowBits-1) < b.shape[len(b.shape)-1] && b.cellOfRow(in>>b.rowBits) >= 0
}

// cell returns the cell of a leaf that is one.
func (b *leafBlock) cell(leaf int) int {
	in := leaf - b.start
	return b.cellOfRow(in>>b.rowBits) + in&(1<<b.rowBits-1)
}

// cellsAmong says which of at most 64 leaves are cells: bit i stands for the i-th.
func (b *leafBlock) cellsAmong(leaf, n int) (cells uint64) {
	var runs [32]span
	for _, sp := range b.spans(runs[:0], leaf, max(leaf, b.start), min(leaf+n, b.end)) {
		cells |= (1<<sp.n - 1) << sp.at
	}
	return cells
}

// equal tells whether n leaves, all of them cells, have one denominator because they have the same columns. An aligned range of cells without
// padding lies in one row.
func (b *leafBlock) equal(leaf, n int) bool {
	cell := b.cell(leaf)
	for _, col := range b.cols {
		if !col.constant(cell, n) {
			return false
		}
	}
	return true
}

func constant[T integers](v []T) bool {
	for _, x := range v[1:] {
		if x != v[0] {
			return false
		}
	}
	return true
}

// denominator computes one.
func (b *leafBlock) denominator(leaf int) field.Element {
	q := make(vec, 1)
	b.denominators(q, make(vec, 1), b.cell(leaf))
	return q[0]
}

// span is a run of leaves that are consecutive cells of a block.
type span struct {
	b           *leafBlock
	at, cell, n int // at is relative to the tile
}

// spans appends the runs of in-box leaves of the block among leaves [lo, hi) of the tree.
func (b *leafBlock) spans(out []span, base, lo, hi int) []span {
	extent := b.shape[len(b.shape)-1]
	for lo < hi {
		in := lo - b.start
		row, pos := in>>b.rowBits, in&(1<<b.rowBits-1)
		next := min(hi, lo-pos+1<<b.rowBits)
		if n := min(extent-pos, hi-lo); n > 0 {
			if cell := b.cellOfRow(row); cell >= 0 {
				out = append(out, span{b, lo - base, cell + pos, n})
			}
		}
		lo = next
	}
	return out
}

// segment is a range of leaves of one block that kernels take at once: a run of cells, or aligned chunks, in whose columns padding is 0.
type segment struct {
	b     *leafBlock
	at, n int // relative to the tile
	cols  [2][]int16
}

// gap is a run of padding in a segment.
type gap struct {
	b      *leafBlock
	at, to int // relative to the tile
}

// leafScratch is the working memory for a tile of leaves.
type leafScratch struct {
	q, p, raw vec
	d         [3][]int64 // per entry
	padding   field.Element
	spans     []span
	segments  []segment
	gaps      []gap
	ints      [2][]int16 // of segments with gaps
}

func newLeafScratch() *leafScratch {
	s := &leafScratch{q: make(vec, 4*tile), p: make(vec, 4*tile), raw: make(vec, 4*tile)}
	for i := range s.d {
		s.d[i] = make([]int64, tile)
	}
	for i := range s.ints {
		s.ints[i] = make([]int16, 4*tile)
	}
	return s
}

// find lists the runs of cells of a tile.
func (s *leafScratch) find(of leafSet, sup *support, t piece) {
	s.spans, s.padding = s.spans[:0], of.padding
	sup.runs(t, func(at, x, n int) { s.cover(of.blocks, 4*x, 4*n, 4*(at-t.lo)) })
}

// fillLeaves computes the leaves of a tile, whose runs were found, in their natural order, and reports whether every numerator is 1, or not
// wanted; if not, they are in s.p.
func (s *leafScratch) fillLeaves(t piece, combined bool) (allOnes bool) {
	n, ones, covered := 4*(t.hi-t.lo), 0, 0
	for _, sp := range s.spans {
		covered += sp.n
		if sp.b.Mult == nil {
			ones += sp.n
		}
	}
	if covered < n {
		fill(s.q[:n], s.padding)
	}
	for _, sp := range s.spans {
		s.denominators(sp)
	}
	if ones == n || combined {
		return true
	}
	clear(s.p[:n])
	for _, sp := range s.spans {
		s.numerators(sp)
	}
	return false
}

// fillQuarters computes the denominators of a tile of n entries at once to where they belong, and says whether it could: every leaf has to be a
// looked up cell, in runs that kernels take, or padding beside integers of 16 bits.
func (s *leafScratch) fillQuarters(q *quarters, n int) bool {
	covered := 0
	for _, sp := range s.spans {
		if sp.b.Mult != nil || len(sp.b.kernels) != 1 || sp.n%montgomery.Lanes != 0 || sp.at%4 != 0 {
			return s.fillGathered(q, n)
		}
		covered += sp.n
	}
	if covered < 4*n {
		return s.fillGathered(q, n)
	}
	s.gaps = s.gaps[:0]
	for _, sp := range s.spans {
		dst, kernel := q.leaves(sp.at/4, n), sp.b.kernels[0]
		if !sp.b.columns(0, sp.cell, sp.n, func(cols [2][]int16) bool { return montgomery.FillQuarters(kernel, dst, cols, sp.n) },
			func(cols [2][]int64) bool { return montgomery.FillQuarters(kernel, dst, cols, sp.n) }) {
			return false
		}
	}
	return true
}

// fillGathered is fillQuarters of segments.
func (s *leafScratch) fillGathered(q *quarters, n int) bool {
	if !s.integers(4*n, montgomery.Lanes) {
		return false
	}
	for _, seg := range s.segments {
		montgomery.FillQuarters(seg.b.kernels[0], q.leaves(seg.at/4, n), seg.cols, seg.n)
	}
	s.eachGap(func(_ *leafBlock, i int) { q[i&1][i>>1&1][i>>2] = s.padding })
	return true
}

// leaves are the quarters from an entry up to another one, in the order of the leaves of an entry.
func (q *quarters) leaves(from, to int) [4][]field.Element {
	v := q.slice(from, to)
	return [4][]field.Element{v[0][0], v[1][0], v[0][1], v[1][1]}
}

// unitNumerators sets those of a tile of n entries that fillQuarters could fill, to 1 or, of padding, to 0.
func (s *leafScratch) unitNumerators(p *quarters, n int) {
	for _, v := range p.leaves(0, n) {
		fill(v, one())
	}
	s.eachGap(func(_ *leafBlock, i int) { p[i&1][i>>1&1][i>>2] = field.Element{} })
}

// eachGap visits the leaves of a tile that are padding.
func (s *leafScratch) eachGap(visit func(b *leafBlock, leaf int)) {
	for _, g := range s.gaps {
		for i := g.at; i < g.to; i++ {
			visit(g.b, i)
		}
	}
}

// fillPairs is sum for a tile of n entries whose runs were found, without its leaves, from a place of the layer above on; it says whether it could:
// every leaf has to be a looked up cell of 16 bits or padding, in segments of eight pairs.
func (s *leafScratch) fillPairs(p, q *quarters, from, n int) bool {
	if !s.integers(4*n, 16) {
		return false
	}
	for _, seg := range s.segments {
		at, pairs := from+seg.at/8, seg.n/2
		seg.b.runs.pairs.Fill(p.leaves(at, at+pairs/4), q.leaves(at, at+pairs/4), seg.cols, pairs)
	}
	for _, g := range s.gaps {
		if g.at%2 == 1 { // a cell and padding: 1/q, and q + k and qk, of k = 0 for padding, were computed
			i := (g.at - 1) / 2
			p, q := &p[i&1][i>>1&1][from+i>>2], &q[i&1][i>>1&1][from+i>>2]
			q.Sub(p, &g.b.constant)
			p.SetOne()
		}
		for i := (g.at + 1) / 2; i < g.to/2; i++ {
			p[i&1][i>>1&1][from+i>>2] = field.Element{}
			q[i&1][i>>1&1][from+i>>2].SetOne()
		}
	}
	return true
}

// fillBound binds the second lowest variable of the leaves of a tile, whose runs were found, as fillPairs: to the arrays of even leaves and of odd
// ones, split, from an entry on.
func (s *leafScratch) fillBound(to *[2][2]vec, from, n int) bool {
	if from%2 == 1 || !s.integers(4*n, 32) {
		return false
	}
	for _, seg := range s.segments {
		at, runs := (from+seg.at/4)/2, seg.n/4
		half := func(c, b int) []field.Element { return to[c][b][at : at+runs/2] }
		seg.b.runs.bound.Fill([2][]field.Element{half(0, 0), half(0, 1)}, [2][]field.Element{half(1, 0), half(1, 1)}, seg.cols, runs)
	}
	s.eachGap(func(b *leafBlock, i int) {
		e := &to[i&1][i>>2&1][(from+i>>2)>>1]
		e.Add(e, &b.runs.inGaps[i>>1&1])
	})
	return true
}

// fillBoundPairs binds the layer above a tile of n entries whose runs were found, as fillPairs, from an even entry of that layer on; padding
// has to be in pairs.
func (s *leafScratch) fillBoundPairs(p, g vec, q0, q1 [2][]field.Element, from, n int) bool {
	if !s.integers(4*n, 64) || s.gapsOff(2) {
		return false
	}
	for _, seg := range s.segments {
		at, runs := from+seg.at/8, seg.n/8
		half := func(q [2][]field.Element) [2][]field.Element { return [2][]field.Element{q[0][at/2:], q[1][at/2:]} }
		seg.b.runs.boundPairs.Fill(p[at:], g[at:], half(q0), half(q1), seg.cols, runs)
	}
	for _, gap := range s.gaps {
		for i := gap.at; i < gap.to; i += 2 {
			at, off := from+i>>3, &gap.b.runs.pairsInGaps[i>>2&1]
			q, sum := &q0[at&1][at>>1], &p[at]
			if i>>1&1 == 1 {
				q, sum = &q1[at&1][at>>1], &g[at]
			}
			sum.Add(sum, &off[i>>1&1])
			q.Add(q, &off[2])
		}
	}
	return true
}

// gapsOff tells whether padding begins elsewhere than at multiples of a power of two.
func (s *leafScratch) gapsOff(multiple int) bool {
	return slices.ContainsFunc(s.gaps, func(g gap) bool { return g.at%multiple != 0 })
}

// differences computes the products of the differences along the second lowest variable, of even leaves and of odd ones, as fillPairs:
// integers for every entry of the tile with a factor for all of them. It says whether it could: the leaves of a tile have to have the
// same factors, and the four of an entry to be cells or padding.
func (s *leafScratch) differences(n int) (d [][]int64, factors vec, ok bool) {
	if !s.integers(4*n, 4) || s.gapsOff(4) {
		return nil, nil, false
	}
	own := s.segments[0].b.factors
	for i := range own {
		for j := i; j < len(own); j++ {
			factors = append(factors, mul(own[i], own[j]))
		}
	}
	for _, seg := range s.segments {
		if !slices.Equal(own, seg.b.factors) {
			return nil, nil, false
		}
		d = d[:0]
		for i := range own {
			for j := i; j < len(own); j++ {
				d = append(d, s.d[len(d)][:n])
				multiplyDifferences(d[len(d)-1][seg.at/4:][:seg.n/4], seg.cols[i], seg.cols[j], i == j)
			}
		}
	}
	return d, factors, true
}

// multiplyDifferences multiplies those of two columns, or of one, over runs of four cells.
func multiplyDifferences(d []int64, v, w []int16, one bool) {
	for i := range d {
		v, w := (*[4]int16)(v[4*i:]), (*[4]int16)(w[4*i:])
		v0, v1 := int64(v[2])-int64(v[0]), int64(v[3])-int64(v[1])
		if one {
			d[i] = v0 * v1
			continue
		}
		w0, w1 := int64(w[2])-int64(w[0]), int64(w[3])-int64(w[1])
		d[i] = v0*w1 + v1*w0
	}
}

// integers cuts n leaves into segments whose places and lengths are multiples of a power of two, at most of a chunk, where they are looked up
// cells of 16 bits, and padding.
func (s *leafScratch) integers(n, multiple int) bool {
	s.segments, s.gaps = s.segments[:0], s.gaps[:0]
	covered := 0
	for _, sp := range s.spans {
		if sp.b.runs == nil {
			return false
		}
		if (sp.n|sp.at)%multiple != 0 {
			return s.gather(n)
		}
		covered += sp.n
	}
	if covered < n {
		return s.gather(n)
	}
	for _, sp := range s.spans {
		seg := segment{b: sp.b, at: sp.at, n: sp.n}
		for i, c := range sp.b.cols {
			seg.cols[i] = c.short[sp.cell : sp.cell+sp.n]
		}
		s.segments = append(s.segments, seg)
	}
	return true
}

// gather copies n leaves, whole chunks, to segments of one block each, and lists padding.
func (s *leafScratch) gather(n int) bool {
	if n%chunkLeaves != 0 {
		return false
	}
	end := 0 // of the last segment
	for k := 0; k < len(s.spans); {
		b, first, at := s.spans[k].b, s.spans[k].at&^(chunkLeaves-1), end
		if b.runs == nil || first != end {
			return false // chunks of two blocks, or of a table
		}
		for ; k < len(s.spans) && s.spans[k].b == b; k++ {
			sp := &s.spans[k]
			s.pad(b, at, sp.at)
			for i, c := range b.cols {
				copy(s.ints[i][sp.at:], c.short[sp.cell:sp.cell+sp.n])
			}
			at = sp.at + sp.n
		}
		end = (at + chunkLeaves - 1) &^ (chunkLeaves - 1)
		s.pad(b, at, end)
		s.segments = append(s.segments, segment{b, first, end - first, [2][]int16{s.ints[0][first:end], s.ints[1][first:end]}})
	}
	return end == n
}

// pad makes a gap of leaves, if it is one.
func (s *leafScratch) pad(b *leafBlock, at, to int) {
	if at == to {
		return
	}
	s.gaps = append(s.gaps, gap{b, at, to})
	for i := range s.ints {
		clear(s.ints[i][at:to])
	}
}

// integerRuns are kernels for leaves with denominators K + f·v or K + f·v + g·w of integers of 16 bits. The sum of two neighbours is
// 2K + f(v + v') + g(w + w'), their product K² + Kf(v + v') + Kg(w + w') + f²vv' + fg(vw' + v'w) + g²ww'.
type integerRuns struct {
	pairs      *montgomery.Pairs[field.Element]
	bound      *montgomery.Bound[field.Element] // of integers between which a variable is bound, nil before it is
	boundPairs *montgomery.BoundPairs[field.Element]

	// What padding adds to what was computed of zeros, if the variable that is bound is 0 there and if it is 1: to sums of bound; and to p, to
	// p + λq and to q of pairs.
	inGaps      [2]field.Element
	pairsInGaps [2][3]field.Element
}

// newIntegerRuns returns nil where there are none.
func newIntegerRuns(b *leafBlock) *integerRuns {
	if !montgomery.Available() || b.Mult != nil || len(b.cols) < 1 || len(b.cols) > 2 ||
		slices.ContainsFunc(b.cols, func(c column) bool { return c.short == nil }) {
		return nil
	}
	k := b.constant
	return &integerRuns{pairs: montgomery.NewPairs[field.Element](scalars, newRuns(add(k, k), b.factors), newRuns(mul(k, k), b.products()))}
}

// products are the coefficients of products of denominators, for one column or two.
func (l *linear) products() (out vec) {
	for _, f := range l.factors {
		out = append(out, mul(l.constant, f))
	}
	for i, f := range l.factors {
		for _, g := range l.factors[i:] {
			out = append(out, mul(f, g))
		}
	}
	return out
}

// newRuns prepares a base and coefficients for integers of 33 bits.
func newRuns(base field.Element, coefficients []field.Element) montgomery.Linear {
	folded := make(vec, len(coefficients))
	for i, c := range coefficients {
		base = sub(base, mul(c, runOffset))
		folded[i] = mul(c, limbRadix)
	}
	return montgomery.NewLinear(base, folded...)
}

var runOffset = field.Pow2(montgomery.RunBits)

// bind returns runs of the same cells and other denominators, bound to a challenge, beside padding that has another one than zeros.
func (r *integerRuns) bind(l *linear, padding, rho *field.Element) *integerRuns {
	return &integerRuns{
		bound:  montgomery.NewBound[field.Element](scalars, newRuns(l.constant, between(l.factors, rho))),
		inGaps: [2]field.Element(between(vec{sub(*padding, l.constant)}, rho)),
	}
}

// between are the coefficients of values at 0 and at 1 of a variable that is bound, for each coefficient of a value.
func between(coefficients vec, rho *field.Element) (out vec) {
	for _, c := range coefficients {
		hi := mul(c, *rho)
		out = append(out, sub(c, hi), hi)
	}
	return out
}

// bindPairs prepares what a challenge binds of p, q and p + λq of the layer above.
func (r *integerRuns) bindPairs(l *linear, rho, lambda *field.Element) {
	k, products := l.constant, l.products()
	both := make(vec, len(products))
	scaleVec(both, products, lambda)
	addVec(both[:len(l.factors)], both[:len(l.factors)], l.factors)
	twice, square := add(k, k), mul(k, k)
	combined := add(twice, mul(*lambda, square))
	r.boundPairs = montgomery.NewBoundPairs[field.Element](scalars, newRuns(twice, between(l.factors, rho)), newRuns(square, between(products, rho)),
		newRuns(combined, between(both, rho)))
	off := between(vec{sub(field.Element{}, twice), sub(*lambda, combined), sub(one(), square)}, rho)
	r.pairsInGaps = [2][3]field.Element{{off[0], off[2], off[4]}, {off[1], off[3], off[5]}}
}

// cover appends the spans of leaves [base, base+n), which stand in the tile from at on.
func (s *leafScratch) cover(blocks []leafBlock, base, n, at int) {
	first, _ := slices.BinarySearchFunc(blocks, base, func(b leafBlock, at int) int {
		if b.end <= at {
			return -1
		}
		return 1
	})
	for i := first; i < len(blocks) && blocks[i].start < base+n; i++ {
		b := &blocks[i]
		s.spans = b.spans(s.spans, base-at, max(base, b.start), min(base+n, b.end))
	}
}

// denominators computes the denominators of one run.
func (s *leafScratch) denominators(sp span) {
	if q := s.q[sp.at : sp.at+sp.n]; sp.b.lines == nil || !sp.b.look(q, sp.cell) {
		sp.b.denominators(q, s.raw[:sp.n], sp.cell)
	}
}

// column is a tensor's cells: long, or where that is nil mid, or else short.
type column struct {
	long  []int64
	mid   []int32
	short []int16
}

func columnOf(t *integer.Tensor) column { return column{t.V, t.Mid, t.Short} }

func (c column) len() int { return max(len(c.long), len(c.mid), len(c.short)) }

func (c column) at(i int) int64 {
	switch {
	case c.long != nil:
		return c.long[i]
	case c.mid != nil:
		return int64(c.mid[i])
	}
	return int64(c.short[i])
}

// constant tells whether n cells are equal.
func (c column) constant(cell, n int) bool {
	switch {
	case c.long != nil:
		return constant(c.long[cell : cell+n])
	case c.mid != nil:
		return constant(c.mid[cell : cell+n])
	}
	return constant(c.short[cell : cell+n])
}

// cells are n of 64 bits.
func (c column) cells(cell, n int) []int64 {
	if c.long != nil {
		return c.long[cell : cell+n]
	}
	out := make([]int64, n)
	for i := range out {
		out[i] = c.at(cell + i)
	}
	return out
}

// columns calls the function that fits the columns of a kernel, with n entries from a cell on.
func (b *leafBlock) columns(kernel, cell, n int, short func([2][]int16) bool, long func([2][]int64) bool) bool {
	cols := b.cols[2*kernel:][:b.kernels[kernel].Columns()]
	if !slices.ContainsFunc(cols, func(c column) bool { return c.short == nil }) {
		var s [2][]int16
		for i, c := range cols {
			s[i] = c.short[cell : cell+n]
		}
		return short(s)
	}
	var l [2][]int64
	for i, c := range cols {
		l[i] = c.cells(cell, n)
	}
	return long(l)
}

// denominators computes the denominators of consecutive cells.
func (b *leafBlock) denominators(q, raw vec, cell int) {
	near := len(b.kernels) > 0
	for i, kernel := range b.kernels {
		to := q
		if i > 0 {
			to = raw
		}
		near = b.columns(i, cell, len(q), func(cols [2][]int16) bool { return montgomery.Fill(kernel, to, cols) },
			func(cols [2][]int64) bool { return montgomery.Fill(kernel, to, cols) })
		if !near {
			break
		}
		if i > 0 {
			addVec(q, q, raw)
		}
	}
	if !near {
		b.byElements(q, raw, cell)
	}
}

// byElements computes q = base + Σ coef·column of consecutive cells.
func (b *leafBlock) byElements(q, raw vec, cell int) {
	fill(q, b.base)
	for i, col := range b.cols {
		for k := range q {
			raw[k] = rawInt(col.at(cell + k))
		}
		scaleVec(raw, raw, &b.coef[i])
		addVec(q, q, raw)
	}
}

// look takes the denominators of consecutive cells from the lines of the table. It gives up where too many cells are not the line that the
// first column tells, as lines of clamped values are.
func (b *leafBlock) look(q vec, cell int) bool {
	misses := 0
	for k := range q {
		if at := b.line(cell + k); at >= 0 {
			q[k] = b.lines.q[at]
			continue
		}
		if misses++; misses > len(q)/8 {
			return false
		}
		q[k] = b.base
		for i, col := range b.cols {
			q[k] = add(q[k], mul(rawInt(col.at(cell+k)), b.coef[i]))
		}
	}
	return true
}

// line returns the line that a cell is, −1 if it is not the one that its first column tells.
func (b *leafBlock) line(cell int) int {
	at := uint64(b.cols[0].at(cell) - b.lines.first)
	if at >= uint64(len(b.lines.q)) {
		return -1
	}
	for i, col := range b.lines.cols {
		if col.at(int(at)) != b.cols[i].at(cell) {
			return -1
		}
	}
	return int(at)
}

// numerators writes 1 or −Mult over one run.
func (s *leafScratch) numerators(sp span) {
	p := s.p[sp.at : sp.at+sp.n]
	if sp.b.Mult == nil {
		fill(p, one())
		return
	}
	for k := range p {
		m := sp.b.mult.at(sp.cell + k)
		if p[k].SetZero(); m != 0 { // most lines of a table are those of no cell
			p[k].SetInt64(m)
			p[k].Neg(&p[k])
		}
	}
}
