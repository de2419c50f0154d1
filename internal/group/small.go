package group

import (
	"sync"

	"github.com/zkllmc/zkllmc/internal/parallel"
)

// Commitments to rows of small integers. Bases are taken in groups of two or three; a group has a table of all combinations of
// base-17 digits (digits.go). A row's values at a group's positions then cost one affine addition for every digit position:
// for 16-bit values four additions per two or three values, for zeros none. Rows proceed in lock step, so that the additions of
// many rows share an inversion, and a group's table stays in the cache while all rows use it.
//
// Pair tables are small (9 kB) and kept; triple tables (157 kB) are computed on the fly, used by all rows and forgotten,
// which pays for many rows.

// SmallBases are bases prepared for sums with small integer coefficients. It is safe for concurrent use.
type SmallBases struct {
	points []Affine
	pairs  []Affine // the kept tables, one after the other
	once   []sync.Once
	alloc  sync.Once
}

// NewSmallBases prepares bases; the slice is kept and must not change. Tables are computed when first needed.
func NewSmallBases(points []Affine) *SmallBases {
	n := (len(points) + 1) / 2
	return &SmallBases{points: points, once: make([]sync.Once, n)}
}

const (
	// tripleCost is when triple tables pay: with d digits they save d/2 − d/3 additions per value, and cost 2456/3 per base, so that
	// the (non-zero) values per base, times d, must exceed this.
	tripleCost = 2 * (tableThree - 1)
	// blockRows bounds the rows in lock step, and with it the memory of the accumulators.
	blockRows = 1 << 13
	// lockStep is the number of independent additions that a step should offer.
	lockStep = 2 * batchOps
)

// CommitRows returns Σ_j rows[i][j]·G_j for every row, on a pool. Rows may be shorter than the bases, not longer. Any
// int32 is allowed; the cost grows with the number of base-17 digits, and zeros are free.
func (b *SmallBases) CommitRows(p *parallel.Pool, rows [][]int32) []Affine {
	out := make([]Affine, 0, len(rows))
	for len(rows) > 0 {
		n := min(len(rows), blockRows)
		c := newCommitter(b, rows[:n], p)
		out = append(out, c.finish(c.sum())...)
		rows = rows[n:]
	}
	return out
}

// committer commits one block of rows.
type committer struct {
	bases  *SmallBases
	rows   [][]int32
	pool   *parallel.Pool
	digits int // digit positions of the largest value
	size   int // bases per group
	groups int // groups that the longest row touches
}

func newCommitter(b *SmallBases, rows [][]int32, p *parallel.Pool) *committer {
	c := &committer{bases: b, rows: rows, pool: p, size: 2}
	var largest uint32
	width, values := 0, 0
	for _, row := range rows {
		for _, v := range row {
			largest = max(largest, uint32(max(v, -v)))
			if v != 0 {
				values++
			}
		}
		width = max(width, len(row))
	}
	if width > len(b.points) {
		panic("group: row longer than the bases")
	}
	c.digits = digitsFor(largest)
	if values/max(width, 1)*min(c.digits, 4) > tripleCost { // few values have more digits than 16 bits need
		c.size = 3
	}
	c.groups = (width + c.size - 1) / c.size
	return c
}

// sum returns Σ_j rows[i][j]·G_j digit by digit: entry i·digits + k is the sum of the k-th digits.
func (c *committer) sum() []Affine {
	if c.size == 2 {
		c.bases.preparePairs(c.pool, c.groups)
	}
	cells := len(c.rows) * c.digits
	workers := max(1, min(c.pool.Threads(), c.groups))
	perWorker := (c.groups + workers - 1) / workers
	// Few rows: a worker walks several ranges of groups at once, with accumulators of their own.
	streams := 1
	if cells > 0 {
		streams = max(1, min(lockStep/cells, perWorker/8))
	}
	acc := make([]Affine, workers*streams*cells)
	c.pool.Run(workers, func(_, w int) {
		lo := min(w*perWorker, c.groups)
		hi := min(lo+perWorker, c.groups)
		c.walk(acc[w*streams*cells:(w+1)*streams*cells], lo, hi, streams)
	})
	return c.merge(acc, workers*streams)
}

// walk adds the groups lo, …, hi−1 of all rows, in streams of consecutive groups.
func (c *committer) walk(acc []Affine, lo, hi, streams int) {
	steps := (hi - lo + streams - 1) / streams
	q := newAdder(acc, acc, nil)
	w := excerpt{committer: c}
	var scratch []Affine
	if c.size == 3 {
		scratch = make([]Affine, streams*tableThree)
	}
	for step := range steps {
		for s := range streams {
			if g := lo + s*steps + step; g < hi && c.size == 3 {
				fillTable(q, scratch[s*tableThree:(s+1)*tableThree], c.groupBases(g))
			}
		}
		q.dst, q.a, q.b = acc, acc, scratch
		if c.size == 2 {
			q.b = c.bases.pairs
		}
		for s := range streams {
			if g := lo + s*steps + step; g < min(hi, lo+(s+1)*steps) {
				if streams == 1 {
					w.move(g)
				}
				c.queue(q, g, s, &w)
			}
		}
		q.flush()
	}
}

// groupBases returns the bases of a group; the last one may be short, and then its missing bases are neutral.
func (c *committer) groupBases(g int) []Affine {
	lo := g * c.size
	hi := lo + c.size
	if hi <= len(c.bases.points) {
		return c.bases.points[lo:hi]
	}
	return append(append([]Affine{}, c.bases.points[lo:]...), make([]Affine, hi-len(c.bases.points))...)
}

// excerpt is a copy of some columns of all rows, row by row. Where there are many rows, each lies in memory of its own, and reading a few
// cells of all of them takes as long as reading many.
type excerpt struct {
	*committer
	cells    []int32
	from, to int // groups
}

// excerptGroups is how many groups an excerpt has: their columns are some cache lines of a row.
const excerptGroups = 16

// move makes the excerpt have a group.
func (w *excerpt) move(g int) {
	if g < w.to {
		return
	}
	width := excerptGroups * w.size
	if w.cells == nil {
		w.cells = make([]int32, len(w.rows)*width)
	}
	w.from, w.to = g, g+excerptGroups
	for i, row := range w.rows {
		to := w.cells[i*width : (i+1)*width]
		clear(to[copy(to, row[min(g*w.size, len(row)):]):])
	}
}

// at returns the cells of row i from a group on.
func (w *excerpt) at(i, g int) []int32 {
	if w.from <= g && g < w.to {
		return w.cells[(i*excerptGroups+g-w.from)*w.size:]
	}
	row := w.rows[i]
	return row[min(g*w.size, len(row)):]
}

// queue queues the additions of one group for all rows.
func (c *committer) queue(q *adder, g, stream int, w *excerpt) {
	table := int32(stream * tableThree)
	if c.size == 2 {
		table = int32(g * tableTwo)
	}
	at := int32(stream * len(c.rows) * c.digits)
	for i := range c.rows {
		var off [maxDigits]int32
		if c.offsets(&off, w.at(i, g)) {
			for k := range c.digits {
				switch o := off[k]; {
				case o > 0:
					q.add(at+int32(k), at+int32(k), table+o)
				case o < 0:
					q.subtract(at+int32(k), at+int32(k), table-o)
				}
			}
		}
		at += int32(c.digits)
	}
}

// offsets computes a row's table offsets at a group, one for each digit position, and says whether one is not 0. The row is given from the
// group on.
func (c *committer) offsets(off *[maxDigits]int32, row []int32) bool {
	if c.size > len(row) {
		var v [3]int32
		if len(row) == 0 {
			return false
		}
		copy(v[:], row)
		row = v[:]
	}
	if c.size == 2 {
		if row[0]|row[1] == 0 {
			return false
		}
		addDigits(off, row[0], base)
		addDigits(off, row[1], 1)
		return true
	}
	if row[0]|row[1]|row[2] == 0 {
		return false
	}
	addDigits(off, row[0], base*base)
	addDigits(off, row[1], base)
	addDigits(off, row[2], 1)
	return true
}

// merge adds the accumulators of n streams, halving their number with every step.
func (c *committer) merge(acc []Affine, n int) []Affine {
	cells := len(c.rows) * c.digits
	for n > 1 {
		h := n / 2
		// Stream i takes stream n−h+i.
		c.pool.Split(h*cells, func(lo, hi int) {
			q := newAdder(acc, acc, acc[(n-h)*cells:])
			for i := lo; i < hi; i++ {
				q.add(int32(i), int32(i), int32(i))
			}
			q.flush()
		})
		n -= h
	}
	return acc[:cells]
}

// finish evaluates the digits by Horner's rule.
func (c *committer) finish(sums []Affine) []Affine {
	out := make([]Jac, len(c.rows))
	c.pool.Split(len(out), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			acc := neutral()
			for k := c.digits - 1; k >= 0; k-- {
				once := acc
				for range 4 {
					acc.DoubleAssign()
				}
				acc.AddAssign(&once)
				acc.AddMixed(&sums[i*c.digits+k])
			}
			out[i] = acc
		}
	})
	return batchToAffine(out)
}

// preparePairs computes the tables of the first n pairs that are still missing.
func (b *SmallBases) preparePairs(p *parallel.Pool, n int) {
	if p == nil {
		p = parallel.New(0)
	}
	c := committer{bases: b, size: 2}
	b.alloc.Do(func() { b.pairs = make([]Affine, len(b.once)*tableTwo) })
	adders := make([]*adder, p.Threads())
	p.Run(n, func(worker, g int) {
		b.once[g].Do(func() {
			if adders[worker] == nil {
				adders[worker] = newAdder(nil, nil, nil)
			}
			fillTable(adders[worker], b.pairs[g*tableTwo:(g+1)*tableTwo], c.groupBases(g))
		})
	})
}
