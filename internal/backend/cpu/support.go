package cpu

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/montgomery"
)

// chunkBits says how large the chunks are in which layers are stored: 2^chunkBits entries x of every quarter of the leaves, which is 64
// leaves. Rows of 576, 768 or 12288 cells are whole chunks, so that their padding costs nothing.
const (
	chunkBits   = 4
	chunkLeaves = 4 << chunkBits
)

// support says which entries x of a layer are stored: those of some chunks, in ascending order one behind the other, or a prefix of all.
// What is not stored is the fraction 0/1. A chunk of 2^bits entries is half as large in the layer above, and so after a variable of x is
// bound; above chunks of one entry everything up to the last one is stored.
type support struct {
	chunks []int // their numbers, shared by all layers; nil: the prefix
	bits   int   // log2 of a chunk's entries
	limit  int   // chunks are below it, and so many are stored when they have shrunk to single entries
	used   int   // how many entries are stored
	tiles  []piece
}

// piece is a part of the stored entries, at most a tile, all of whose x belong to one block of as many.
type piece struct {
	lo, hi int // among the stored entries
	block  int // x / tile
}

// prefix is the support of the entries below used.
func prefix(used int) *support {
	s := &support{used: used}
	for lo := 0; lo < used; lo += tile {
		s.tiles = append(s.tiles, piece{lo, min(used, lo+tile), lo / tile})
	}
	return s
}

// chunked is the support of chunks of 2^bits entries.
func chunked(chunks []int, bits, limit int) *support {
	s := &support{chunks: chunks, bits: bits, limit: limit, used: len(chunks) << bits}
	perBlock := log2(tile) - bits
	for k, c := range chunks {
		if block := c >> perBlock; k == 0 || block != s.tiles[len(s.tiles)-1].block {
			s.tiles = append(s.tiles, piece{lo: k << bits, block: block})
		}
		s.tiles[len(s.tiles)-1].hi = (k + 1) << bits
	}
	return s
}

// scattered tells that entries of the next support are not pairs of stored neighbours: chunks of one entry have no inner variable.
func (s *support) scattered() bool { return s.chunks != nil && s.bits == 0 }

// end is the number of entries up to the last one that matters.
func (s *support) end() int {
	if s.chunks == nil {
		return s.used
	}
	return s.limit << s.bits
}

// above is the support when the lowest variable of x is gone.
func (s *support) above() *support {
	if s.chunks != nil && s.bits > 0 {
		return chunked(s.chunks, s.bits-1, s.limit)
	}
	return prefix((s.end() + 1) / 2)
}

// x returns the entry that is stored at a place.
func (s *support) x(at int) int {
	if s.chunks == nil {
		return at
	}
	return s.chunks[at>>s.bits]<<s.bits | at&(1<<s.bits-1)
}

// runs calls visit for every run of consecutive entries of a tile of chunks: n entries from x on, stored from at on.
func (s *support) runs(t piece, visit func(at, x, n int)) {
	for k, last := t.lo>>s.bits, t.hi>>s.bits; k < last; {
		from := k
		for k++; k < last && s.chunks[k] == s.chunks[k-1]+1; k++ {
		}
		visit(from<<s.bits, s.chunks[from]<<s.bits, (k-from)<<s.bits)
	}
}

// ofTile returns the entries of a table over the lowest variables of x that belong to a tile's entries; gathered is used if they do not
// stand together.
func (s *support) ofTile(t piece, table, gathered vec) vec {
	n := t.hi - t.lo
	if first := s.x(t.lo); s.x(t.hi-1) == first+n-1 {
		return table[first%tile:][:n]
	}
	s.runs(t, func(at, x, n int) { copy(gathered[at-t.lo:], table[x%tile:][:n]) })
	return gathered[:n]
}

// supports are the chunks of leaves that are not all padding.
type supports struct {
	varying      *support // all but the constant ones
	single, rest *support // of these: those of one lookup, with padding among its cells or without; and the others, those of tables and of several
	kinds        []uint64 // of chunks of one lookup: leaf i is a cell if bit i is set. The first has no padding
	kindOf       []int32  // of every one of them
	constant     *support // those of one lookup, too, without padding, whose denominators are all equal, a chunk as one entry
	q            vec      // these denominators
}

// leafSupports finds chunks of 2^bits entries x, hence 4 times as many leaves; constant ones are looked for if there are layers above
// chunks of one entry. A box has a cell among the leaves of an aligned range exactly if the first of them is one, or the block begins
// inside; and all are cells exactly if the last one is too.
func leafSupports(blocks []leafBlock, bits int, above bool) (s supports) {
	varying, single, rest, constant := []int{}, []int{}, []int{}, []int{}
	size, seen := 4<<bits, -1
	whole := uint64(1)<<size - 1
	s.kinds = []uint64{whole}
	kinds := map[uint64]int32{whole: 0}
	for i := range blocks {
		b := &blocks[i]
		for c := b.start / size; c*size < b.end; c++ {
			if c == seen || !b.inBox(max(b.start, c*size)) {
				continue
			}
			seen = c
			if b.Mult != nil || i+1 < len(blocks) && blocks[i+1].start < (c+1)*size {
				varying, rest = append(varying, c), append(rest, c)
				continue
			}
			cells := b.cellsAmong(c*size, size)
			if cells == whole && above && b.equal(c*size, size) {
				constant = append(constant, c)
				s.q = append(s.q, b.denominator(c*size))
				continue
			}
			kind, ok := kinds[cells]
			if !ok {
				kind = int32(len(s.kinds))
				kinds[cells], s.kinds = kind, append(s.kinds, cells)
			}
			varying, single, s.kindOf = append(varying, c), append(single, c), append(s.kindOf, kind)
		}
	}
	if seen < 0 {
		seen, varying, rest = 0, []int{0}, []int{0} // one default leaf keeps an empty tree ordinary
	}
	s.varying, s.single, s.rest = chunked(slices.Clip(varying), bits, seen+1), chunked(slices.Clip(single), bits, seen+1), chunked(rest, bits, seen+1)
	s.constant = chunked(slices.Clip(constant), 0, seen+1)
	return s
}

// within returns the range of tiles whose blocks are those of one group of 2^shift blocks.
func (s *support) within(group, shift int) (lo, hi int) {
	at := func(block int) int {
		i, _ := slices.BinarySearchFunc(s.tiles, block, func(t piece, block int) int { return t.block - block })
		return i
	}
	return at(group << shift), at((group + 1) << shift)
}

// halves returns where store writes to, if entries of the support above are pairs of neighbours.
func (s *support) halves(to *[2]vec, t piece) [2][]field.Element {
	return [2][]field.Element{to[0][t.lo/2:], to[1][t.lo/2:]}
}

// store writes a tile's entries, split along the lowest variable of x, to the two arrays over the support above. Where a prefix ends in an
// even entry, the odd one beside it becomes pad.
func (s *support) store(to *[2]vec, t piece, src vec, pad field.Element) {
	if !s.scattered() {
		split(to[0][t.lo/2:], to[1][t.lo/2:], src, &pad)
		return
	}
	for i := range src {
		x := s.chunks[t.lo+i]
		to[x&1][x>>1] = src[i]
	}
}

// output is where a tile of an array goes that is bound: computed and split in one go where there are kernels for that, as store does it.
type output struct {
	*support
	at  piece
	to  *[2]vec
	pad field.Element
	tmp vec
}

// direct says whether kernels can write to where the tile goes.
func (o *output) direct() bool { return montgomery.Available() && !o.scattered() }

// end writes what stands beside a last even entry.
func (o *output) end() {
	if n := o.at.hi - o.at.lo; n%2 == 1 {
		o.to[1][o.at.lo/2+n/2] = o.pad
	}
}

func (o *output) put(v vec) { o.store(o.to, o.at, v, o.pad) }

// mul puts a·b.
func (o *output) mul(a, b vec) {
	if !o.direct() {
		mulVec(o.tmp, a, b)
		o.put(o.tmp)
		return
	}
	h := o.halves(o.to, o.at)
	montgomery.MulSplit(scalars, h[0], h[1], a, b)
	o.end()
}

// lerp puts lo + c·(hi − lo).
func (o *output) lerp(lo, hi vec, c *field.Element) {
	if !o.direct() {
		lerp(o.tmp, lo, hi, c)
		o.put(o.tmp)
		return
	}
	h := o.halves(o.to, o.at)
	montgomery.LerpSplit(scalars, h[0], h[1], lo, hi, c)
	o.end()
}

// axpy puts a + c·b.
func (o *output) axpy(a, b vec, c *field.Element) {
	if !o.direct() {
		scaleVec(o.tmp, b, c)
		addVec(o.tmp, o.tmp, a)
		o.put(o.tmp)
		return
	}
	h := o.halves(o.to, o.at)
	montgomery.AxpySplit(scalars, h[0], h[1], a, b, c)
	o.end()
}
