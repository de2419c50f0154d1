package tensor

import (
	"math"
	"slices"
	"sync"
)

// Products of integers of few bits. The lines of b are integers of 16 bits; those of a may have up to 33, and are cut into digits of
// digitBits, the lowest ones from 0 to 2^digitBits − 1, the highest one with the sign: each digit is a row of its own for the kernels, and
// a row's products are added up without a carry (see maxRun). Which operands fit is measured, not believed: a prover who lies in a test
// has cells beyond their bounds.
const (
	digitBits = 8
	maxDigits = 4
)

// digits is how many digits hold all integers of a range, 0 if maxDigits do not.
func (m measured) digits() int {
	for d := 1; d <= maxDigits; d++ {
		if shift := digitBits * (d - 1); m.lo>>shift >= -maxDigit && m.hi>>shift <= maxDigit {
			return d
		}
	}
	return 0
}

// has16 says whether all integers of a range have 16 bits.
func (m measured) has16() bool { return m.lo >= math.MinInt16 && m.hi <= math.MaxInt16 }

// matrix is rows of integers as the kernels read them: of a multiple of dotStep cells, as many as a multiple of dotTile, zeros behind.
type matrix struct {
	cells []int16
	width int
}

func newMatrix(rows, k int) matrix {
	width := (k + dotStep - 1) / dotStep * dotStep
	return matrix{make([]int16, (rows+dotTile-1)/dotTile*dotTile*width), width}
}

func (m matrix) row(i int) []int16 { return m.cells[i*m.width:] }

// Packs keeps fixed factors as the kernels read them, for whoever multiplies with the same ones again and again. A nil one keeps nothing. It
// is not safe for concurrent use.
type Packs struct {
	kept map[*int16][]packed // by the first cell
}

// packed is a factor as a side of a contraction with these offsets, by batch.
type packed struct {
	batch, line, k []int
	rows           []matrix
}

// NewPacks returns an empty store.
func NewPacks() *Packs { return &Packs{kept: map[*int16][]packed{}} }

// kept says whether a factor is kept, or will be when it is multiplied with: one that is fixed and of 16 bits.
func (n *nest) kept(factor int) bool {
	return n.packs != nil && narrowPays && n.term.Factors[factor].Fixed && n.vals[factor].short != nil
}

// of returns the lines of side b, all batches.
func (p *Packs) of(c *contraction) []matrix {
	first := &c.b.short[0]
	for _, s := range p.kept[first] {
		if slices.Equal(s.batch, c.b.batch) && slices.Equal(s.line, c.b.line) && slices.Equal(s.k, c.b.k) {
			return s.rows
		}
	}
	kept := make([]matrix, len(c.batchOut))
	for i := range kept {
		kept[i] = newMatrix(len(c.b.line), len(c.b.k))
	}
	blocks := (len(c.b.line) + blockN - 1) / blockN
	c.nest.pool.Run(len(kept)*blocks, func(_, task int) {
		batch, n0 := task/blocks, task%blocks*blockN
		n1 := min(n0+blockN, len(c.b.line))
		m := kept[batch]
		c.b.shorten(matrix{m.cells[n0*m.width:], m.width}, batch, n0, n1)
	})
	p.kept[first] = append(p.kept[first], packed{c.b.batch, c.b.line, c.b.k, kept})
	return kept
}

// gathered is how many cells of a line are collected at a time where they lie far apart, usually a power of two: more would displace each
// other in the first-level cache.
const gathered = 8

// shorten writes the lines [n0, n1) of a batch as rows.
func (s *side) shorten(dst matrix, batch, n0, n1 int) {
	switch from := s.from(s.batch[batch]); {
	case from.v != nil:
		shorten(s, dst, from.v, n0, n1)
	case from.mid != nil:
		shorten(s, dst, from.mid, n0, n1)
	default:
		shorten(s, dst, from.short, n0, n1)
	}
}

func shorten[T int16 | int32 | int64](s *side, dst matrix, v []T, n0, n1 int) {
	n := len(s.k)
	if consecutive(s.k) {
		for i, l := range s.line[n0:n1] {
			row := dst.row(i)[:n]
			for k, x := range v[l+s.k[0]:][:n] {
				row[k] = int16(x)
			}
		}
		return
	}
	k := 0
	for ; k+gathered <= n; k += gathered {
		o := (*[gathered]int)(s.k[k:])
		for i, l := range s.line[n0:n1] {
			row, w := (*[gathered]int16)(dst.row(i)[k:]), v[l:]
			row[0], row[1], row[2], row[3] = int16(w[o[0]]), int16(w[o[1]]), int16(w[o[2]]), int16(w[o[3]])
			row[4], row[5], row[6], row[7] = int16(w[o[4]]), int16(w[o[5]]), int16(w[o[6]]), int16(w[o[7]])
		}
	}
	for i, l := range s.line[n0:n1] {
		row := dst.row(i)
		for k := k; k < n; k++ {
			row[k] = int16(v[l+s.k[k]])
		}
	}
}

// consecutive says whether offsets follow each other one by one. That the last is as far from the first as it would be does not say so: what
// is summed over several labels may be a run of cells in another order.
func consecutive(k []int) bool {
	for i, o := range k {
		if o != k[0]+i {
			return false
		}
	}
	return true
}

// cut writes the lines of a batch as rows of digits, those of a line together.
func (s *side) cut(batch, digits int) matrix {
	switch from := s.from(s.batch[batch]); {
	case from.v != nil:
		return cut(s, from.v, digits)
	case from.mid != nil:
		return cut(s, from.mid, digits)
	default:
		return cut(s, from.short, digits)
	}
}

func cut[T int16 | int32 | int64](s *side, v []T, digits int) matrix {
	m := newMatrix(len(s.line)*digits, len(s.k))
	for i, l := range s.line {
		for d := range digits {
			row, shift, mask := m.row(i*digits + d)[:len(s.k)], digitBits*d, int64(1)<<digitBits-1
			if d == digits-1 {
				mask = -1
			}
			for k, o := range s.k {
				row[k] = int16(int64(v[l+o]) >> shift & mask)
			}
		}
	}
	return m
}

// narrow multiplies with the kernels for integers of few bits; false if the operands do not fit.
func (c *contraction) narrow() bool {
	if !c.b.has16() || c.a.digits() == 0 {
		c.a, c.b = c.b, c.a
	}
	digits := c.a.digits()
	if !c.b.has16() || digits == 0 {
		return false
	}
	cut := make([]matrix, len(c.batchOut))
	c.nest.pool.Run(len(cut), func(_, batch int) { cut[batch] = c.a.cut(batch, digits) })
	var kept []matrix
	if c.kept(c.b.factor) {
		kept = c.packs.of(c)
	}
	pool := sync.Pool{New: func() any { m := newMatrix(blockN, len(c.b.k)); return &m }}
	c.blocks(func(batch, m0, m1, n0, n1 int) {
		if kept != nil {
			m := kept[batch]
			c.narrowBlock(batch, digits, cut[batch], matrix{m.cells[n0*m.width:], m.width}, m0, m1, n0, n1)
			return
		}
		own := pool.Get().(*matrix)
		c.b.shorten(*own, batch, n0, n1)
		c.narrowBlock(batch, digits, cut[batch], *own, m0, m1, n0, n1)
		pool.Put(own)
	})
	return true
}

// narrowBlock computes the cells [m0, m1)×[n0, n1) of a batch; b begins with line n0.
func (c *contraction) narrowBlock(batch, digits int, a, b matrix, m0, m1, n0, n1 int) {
	as, bs := c.a.factors(batch), c.b.factors(batch)
	var sums, run products // once a block: what kernels write to lies on the heap
	for row := m0 * digits; row < m1*digits; row += dotTile {
		for n := n0; n < n1; n += dotTile {
			dotRows(&sums, &run, a.row(row), b.row(n-n0), a.width)
			for i := range min(dotTile, m1*digits-row) {
				m, d := (row+i)/digits, (row+i)%digits
				c.add(batch, m, n, min(dotTile, n1-n), sums[i*dotTile:], c.coef<<(digitBits*d), as, bs)
			}
		}
	}
}

// dotRows is dot for rows of any width, a run of which is multiplied at a time.
func dotRows(sums, run *products, a, b []int16, width int) {
	dot(sums, a, width, b, width, min(maxRun, width))
	for k := maxRun; k < width; k += maxRun {
		dot(run, a[k:], width, b[k:], width, min(maxRun, width-k))
		for i, x := range run {
			sums[i] += x
		}
	}
}
