package group

import "github.com/zkllmc/zkllmc/internal/parallel"

// Commitments to rows of small integers. A row's points are added up in piles by the absolute values of their coefficients; a pile takes one
// addition less than it has points. What is left is Σ k·P_k over the values k that occur. With k = 2^h·a + b that is 2^h·Σ a·R_a + Σ b·C_b, where
// R_a is the sum of all P_k with this a and C_b that of all with this b: two sums of the same kind with fewer piles, for two additions per value
// that occurs. So a row falls into parts of ever fewer bits, until there is one point for every bit. All piles of a step are summed up
// independently of each other. Where a row has fewer cells than there are values its coefficients are cut before the first step.

// bucketCells is how many cells are added up at a time, by one task: the points of a row of that many still fit a cache.
const bucketCells = 1 << 16

// CommitRows returns Σ_j rows[i][j]·points[j] for every row, on a pool. Rows may be shorter than the points, not longer. Any int32 is allowed; the
// cost grows with the number of bits, and zeros are free.
func CommitRows(p *parallel.Pool, points []Affine, rows [][]int32) []Affine {
	width := 1
	for _, row := range rows {
		width = max(width, len(row))
	}
	if width > max(1, len(points)) {
		panic("group: row longer than the bases")
	}
	out, tasks := make([]Jac, len(rows)), tasksPerThread*p.Threads()
	workers := make([]*bucketed, p.Threads())
	p.Chunks(len(rows), max(1, min(bucketCells/width, (len(rows)+tasks-1)/tasks)), func(w, lo, hi int) {
		if workers[w] == nil {
			workers[w] = &bucketed{piles: piles{adder: newAdder(nil, nil, nil)}}
		}
		all, first := widths(rows[lo:hi])
		workers[w].commit(out[lo:hi], points, rows[lo:hi], all, first)
	})
	for _, s := range workers {
		if s != nil {
			s.giveBack()
		}
	}
	return batchToAffine(out)
}

// tasksPerThread is how many tasks rows are cut into at least, so that all threads end at about the same time.
const tasksPerThread = 4

// bucketed is the working memory of one worker.
type bucketed struct {
	piles
	items []item
	keys  []uint32    // of the piles, ascending
	next  []int32     // per key: the number of its points, then where the next of them goes in line
	sums  [2][]Affine // of the piles, in turns
}

// item puts a point, by its place as in piles, into the pile of a key.
type item struct {
	key   uint32
	place int32
}

// commit stores the commitments of some rows, whose coefficients have so many bits and are first cut into parts of w, both powers of two. The key
// of a part's value k is part·2^w + k; the lowest part of a row comes first.
func (s *bucketed) commit(out []Jac, points []Affine, rows [][]int32, all, w int) {
	s.values(rows, all, w)
	s.stack(len(rows) * all / w << w)
	s.sum(0, points)
	for turn := 1; w > 1; turn ^= 1 {
		w /= 2
		s.cut(w)
		s.stack(len(rows) * all / w << w)
		s.sum(turn, s.dst)
	}
	// Keys are now twice the number of a bit, plus 1.
	at := len(s.keys)
	for i := len(rows) - 1; i >= 0; i-- {
		sum := neutral()
		for bit := (i+1)*all - 1; bit >= i*all; bit-- {
			sum.DoubleAssign()
			if at > 0 && s.keys[at-1] == uint32(2*bit+1) {
				at--
				point := s.total(at)
				sum.AddMixed(&point)
			}
		}
		out[i] = sum
	}
}

// widths returns how many bits coefficients have, and of how many the parts are that they are cut into at first: powers of two.
func widths(rows [][]int32) (all, first int) {
	cells, largest := 0, uint32(0)
	for _, row := range rows {
		for _, v := range row {
			sign := v >> 31
			largest = max(largest, uint32(v^sign-sign))
			cells -= int(int64(v|-v) >> 63) // no branch on what nothing predicts
		}
	}
	all = 1
	for largest>>all != 0 {
		all *= 2
	}
	cost := func(w int) int { // in additions; of as many cells as there are values about ¾ of the values occur
		parts, values := len(rows)*all/w, 1<<w
		if w == all {
			values = int(largest)
		}
		return cells*(all/w) + parts*(min(cells/len(rows), values)*3/4+1<<w/keysPerAddition)
	}
	first = min(all, mostBits)
	for w := first / 2; w >= leastBits; w /= 2 {
		if cost(w) < cost(first) {
			first = w
		}
	}
	return all, first
}

const (
	// mostBits and leastBits bound the parts that coefficients are cut into at first.
	mostBits, leastBits = 16, 4
	// keysPerAddition is how many keys that do not occur cost an addition.
	keysPerAddition = 32
)

// values makes the items of all rows, whose coefficients are cut into parts of w of their bits.
func (s *bucketed) values(rows [][]int32, all, w int) {
	s.items = s.items[:0]
	base, mask := uint32(0), uint32(1)<<w-1
	for _, row := range rows {
		for shift := 0; shift < all; shift += w {
			for j, v := range row {
				sign := v >> 31
				if k := uint32(v^sign-sign) >> shift & mask; k != 0 {
					s.items = append(s.items, item{base + k, int32(j) ^ sign})
				}
			}
			base += mask + 1
		}
	}
}

// cut makes the items of the next step, whose parts have w bits: every value that occurred in a part of 2w bits is one of each of two.
func (s *bucketed) cut(w int) {
	s.items = s.items[:0]
	mask := uint32(1)<<w - 1
	for i, key := range s.keys {
		place, base := s.line[s.start[i]], key>>(2*w)<<(w+1)
		if k := key & mask; k != 0 {
			s.items = append(s.items, item{base + k, place})
		}
		if k := key >> w & mask; k != 0 {
			s.items = append(s.items, item{base + mask + 1 + k, place})
		}
	}
}

// stack makes piles of the items, whose keys are below the given number.
func (s *bucketed) stack(keys int) {
	if cap(s.next) < keys {
		s.next = make([]int32, keys)
	}
	next := s.next[:keys]
	clear(next)
	for _, it := range s.items {
		next[it.key]++
	}
	s.keys, s.start, s.size = s.keys[:0], s.start[:0], s.size[:0]
	at := int32(0)
	for key, n := range next {
		if n > 0 {
			s.keys, s.start, s.size = append(s.keys, uint32(key)), append(s.start, at), append(s.size, n)
			next[key], at = at, at+n
		}
	}
	if cap(s.line) < int(at) {
		s.line = make([]int32, at+at/4)
	}
	s.line = s.line[:at]
	for _, it := range s.items {
		s.line[next[it.key]] = it.place
		next[it.key]++
	}
}

// sum leaves one point of every pile.
func (s *bucketed) sum(turn int, points []Affine) {
	need := 0
	for _, n := range s.size {
		need += int(n+1) / 2
	}
	if cap(s.sums[turn]) < need {
		s.sums[turn] = make([]Affine, need+need/4) // the next row may have a few more
	}
	s.collapse(s.sums[turn][:need], points)
}
