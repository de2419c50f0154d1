package host

import (
	"slices"
	"sort"

	"github.com/zkllmc/zkllmc/internal/parallel"
)

// finder finds the line of a table that holds given values. Tables of circuits are nearly dense in a few of their columns (the
// key): the values there index an array of lines. A table for which that fails is searched by bisection.
type finder struct {
	cols     [][]int64
	key      []int
	lo, span []int64
	dense    []int32 // line + 1, by key
	rest     []int   // the columns that are not in the key
	sorted   []int   // lines in lexicographic order, where there is no key
}

func newFinder(cols [][]int64) *finder {
	f := &finder{cols: cols}
	n := min(len(cols), 8)
	for size := 1; size <= n; size++ {
		for set := 1; set < 1<<n; set++ {
			if key := members(set); len(key) == size && f.index(key) {
				for j := range cols {
					if !slices.Contains(key, j) {
						f.rest = append(f.rest, j)
					}
				}
				return f
			}
		}
	}
	f.sorted = make([]int, len(cols[0]))
	for i := range f.sorted {
		f.sorted[i] = i
	}
	sort.SliceStable(f.sorted, func(a, b int) bool { return f.compareLines(f.sorted[a], f.sorted[b]) < 0 })
	return f
}

func members(set int) []int {
	var m []int
	for j := 0; set>>j != 0; j++ {
		if set>>j&1 == 1 {
			m = append(m, j)
		}
	}
	return m
}

// index tries some columns as the key.
func (f *finder) index(key []int) bool {
	lines := len(f.cols[0])
	limit := int64(max(1<<20, 8*lines))
	size := int64(1)
	lo, span := make([]int64, len(key)), make([]int64, len(key))
	for i, j := range key {
		a, b := f.cols[j][0], f.cols[j][0]
		for _, v := range f.cols[j] {
			a, b = min(a, v), max(b, v)
		}
		if b-a < 0 || b-a >= limit/size {
			return false
		}
		lo[i], span[i] = a, b-a+1
		size *= span[i]
	}
	f.key, f.lo, f.span, f.dense = key, lo, span, make([]int32, size)
	for line := range lines {
		p := f.slot(func(j int) int64 { return f.cols[j][line] })
		switch old := f.dense[p]; {
		case old == 0:
			f.dense[p] = int32(line + 1)
		case f.compareLines(int(old-1), line) != 0:
			f.dense = nil
			return false
		}
	}
	return true
}

// slot is the index of a key, -1 if it is outside the table's box.
func (f *finder) slot(value func(col int) int64) int64 {
	p := int64(0)
	for i, j := range f.key {
		d := value(j) - f.lo[i]
		if d < 0 || d >= f.span[i] {
			return -1
		}
		p = p*f.span[i] + d
	}
	return p
}

func (f *finder) compareLines(a, b int) int {
	for _, c := range f.cols {
		if c[a] != c[b] {
			if c[a] < c[b] {
				return -1
			}
			return 1
		}
	}
	return 0
}

// find returns the line that holds the cells i of the columns of a table without a key, -1 if there is none.
func (f *finder) find(cols [][]int64, i int) int {
	k := sort.Search(len(f.sorted), func(k int) bool { return f.compareCell(f.sorted[k], cols, i) >= 0 })
	if k < len(f.sorted) && f.compareCell(f.sorted[k], cols, i) == 0 {
		return f.sorted[k]
	}
	return -1
}

// compareCell orders a line against the cells i of the columns.
func (f *finder) compareCell(line int, cols [][]int64, i int) int {
	for j, c := range f.cols {
		if v := cols[j][i]; c[line] != v {
			if c[line] < v {
				return -1
			}
			return 1
		}
	}
	return 0
}

// count adds the number of cells per line to counts and returns the first cell without a line, -1 if there is none.
func (f *finder) count(pool *parallel.Pool, cols [][]int64, counts []int64) int {
	if f.direct() {
		return countColumn(f, pool, cols[0], counts)
	}
	if f.dense != nil {
		return countCells(pool, len(cols[0]), counts, func(counts []int64, lo, hi int) int { return f.countKeyed(cols, counts, lo, hi) })
	}
	return countCells(pool, len(cols[0]), counts, func(counts []int64, lo, hi int) int {
		bad := -1
		for i := lo; i < hi; i++ {
			if line := f.find(cols, i); line >= 0 {
				counts[line]++
			} else if bad < 0 {
				bad = i
			}
		}
		return bad
	})
}

// direct tells that a table has one column, of which a value's place in dense says all.
func (f *finder) direct() bool { return len(f.cols) == 1 && f.dense != nil }

// countColumn is count for such a table.
func countColumn[T int16 | int32 | int64](f *finder, pool *parallel.Pool, column []T, counts []int64) int {
	return countCells(pool, len(column), counts, func(counts []int64, lo, hi int) int {
		bad := -1
		for i, x := range column[lo:hi] {
			if d := uint64(int64(x) - f.lo[0]); d < uint64(len(f.dense)) && f.dense[d] > 0 {
				counts[f.dense[d]-1]++
			} else if bad < 0 {
				bad = lo + i
			}
		}
		return bad
	})
}

// keyed is how many cells countKeyed works out keys of at a time.
const keyed = 256

// countKeyed counts the cells from lo up to hi-1 for a table with a key: a cell whose key is that of a line is equal to it in those columns.
func (f *finder) countKeyed(cols [][]int64, counts []int64, lo, hi int) (bad int) {
	bad = -1
	var slots [keyed]int64
	for at := lo; at < hi; at += keyed {
		slot := slots[:min(keyed, hi-at)]
		clear(slot)
		for k, j := range f.key {
			from, span := f.lo[k], f.span[k]
			for i, x := range cols[j][at : at+len(slot)] {
				if d := uint64(x - from); slot[i] >= 0 && d < uint64(span) {
					slot[i] = slot[i]*span + int64(d)
				} else {
					slot[i] = -1
				}
			}
		}
		for i, s := range slot {
			line := -1
			if s >= 0 {
				line = int(f.dense[s]) - 1
			}
			for _, j := range f.rest {
				if line >= 0 && f.cols[j][line] != cols[j][at+i] {
					line = -1
				}
			}
			if line >= 0 {
				counts[line]++
			} else if bad < 0 {
				bad = at + i
			}
		}
	}
	return bad
}

// countCells has the cells of n counted in parts, which are added up.
func countCells(pool *parallel.Pool, n int, counts []int64, count func(counts []int64, lo, hi int) (bad int)) int {
	parts := pool.Threads()
	if parts == 1 || n < len(counts)/4 || n < 1<<14 {
		return count(counts, 0, n) // clearing and adding counters would cost more than it saves
	}
	bad := make([]int, parts)
	sums := make([][]int64, parts)
	pool.Run(parts, func(_, p int) {
		sums[p] = make([]int64, len(counts))
		bad[p] = count(sums[p], p*n/parts, (p+1)*n/parts)
	})
	first := -1
	for p := range parts {
		if first < 0 {
			first = bad[p]
		}
		for line, m := range sums[p] {
			counts[line] += m
		}
	}
	return first
}
