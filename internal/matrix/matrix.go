// Package matrix multiplies matrices of real numbers, bit for bit alike on every platform and for any number of processors: each product is
// rounded before it is added, and each cell's products are added one after the other, in the order of the summed index. Vectors and
// threads divide the cells among themselves, never a sum. Matrices of integers go the same way, where nothing is rounded: sums in doubles
// are exact up to 2^53.
package matrix

import (
	"cmp"
	"runtime"
	"sync"

	"github.com/zkllmc/zkllmc/internal/parallel"
	"github.com/zkllmc/zkllmc/internal/portable"
)

// Product is a batch of products: for all t, i and j
//
//	C[t,i,j] += Coef·Σ_k A[t,i,k]·B[t,k,j]
//
// Of reals, Coef is multiplied to A; integers are added modulo 2^64. The tensors are laid out in any way: cell (t, i, k) of A is at
// Batch.A[t] + Rows.A[i] + Sum.A[k], and so on. No two cells of C are at one place.
//
// There may be several tensors A, B or both, all laid out in the same way, as where different inputs meet the same weights: that of A[x] and
// B[y] is added to C[x·len(B)+y].
type Product[T float64 | int64] struct {
	Coef    T
	A, B, C [][]T

	Batch struct{ A, B, C []int } // of one length
	Rows  struct{ A, C []int }
	Cols  struct{ B, C []int }
	Sum   struct{ A, B []int }

	block int // summed indices that are packed at one time
}

// Exact prepares a product of integers whose magnitudes in A and B are at most a and b, neither more than 2^62. It says false where their
// sums are not exact in doubles; then the product cannot be computed here.
func (p *Product[T]) Exact(a, b int64) bool {
	const limit, least = 1 << 53, 16
	a, b = max(a, 1), max(b, 1)
	if a > limit/b || limit/(a*b) < least {
		return false
	}
	p.block = int(min(limit/(a*b), blockSum))
	return true
}

// A tile is what the innermost function computes, a panel as many columns of B, a block what is packed at one time: 64 KiB of B, and of A from
// 256 KiB, if there is so much, up to 1 MiB, if every processor has work then. They stay in the caches of one core.
const (
	tileRows  = 4
	tileCols  = 16
	leastRows = 64
	mostRows  = 256
	blockSum  = 512
)

// alone is the number of multiplications up to which a product is not divided among threads.
const alone = 1 << 17

// Add computes the product on all processors. poll is asked now and then, between some million multiplications, and its error ends it.
func (p *Product[T]) Add(poll func() error) error {
	rows, cols := len(p.A)*len(p.Rows.A), len(p.B)*len(p.Cols.B)
	if len(p.Batch.A) == 0 || rows == 0 || cols == 0 {
		return nil
	}
	workers := runtime.GOMAXPROCS(0)
	if _, reals := any(p.A).([][]float64); reals {
		p.block = blockSum
	}
	j := p.job(workers * 4)
	tasks := len(p.Batch.A) * j.rowBlocks * j.colBlocks
	if workers = min(workers, tasks); len(p.Batch.A)*rows*cols*len(p.Sum.A) <= alone {
		workers = 1
	}
	errs := make([]error, workers)
	parallel.New(workers).Run(tasks, func(worker, task int) {
		if errs[worker] != nil {
			return
		}
		if errs[worker] = poll(); errs[worker] == nil {
			s := scratch.Get().(*buffers)
			j.task(task, s)
			scratch.Put(s)
		}
	})
	return cmp.Or(errs...)
}

// job cuts a product into tasks: of so many rows and panels that packing costs little, and so few that every share of the work is one.
func (p *Product[T]) job(shares int) *job[T] {
	j := &job[T]{Product: p, panels: ceil(len(p.Cols.B), tileCols)}
	rows, panels := len(p.A)*len(p.Rows.A), len(p.B)*j.panels
	cut := func(size int) {
		j.rows = size
		j.rowBlocks = ceil(rows, size)
		tasks := len(p.Batch.A) * j.rowBlocks
		j.width = min(max(ceil(panels*tasks, shares), 4), 16)
		j.colBlocks = ceil(panels, j.width)
	}
	cut(mostRows)
	for j.rows > leastRows && len(p.Batch.A)*j.rowBlocks*j.colBlocks < shares {
		cut(j.rows / 2)
	}
	return j
}

func ceil(a, b int) int { return (a + b - 1) / b }

// buffers are what one thread packs into, and the tile it computes.
type buffers struct {
	a []float64
	b [tileCols * blockSum]float64
	c [tileRows * tileCols]float64
}

var scratch = sync.Pool{New: func() any { return new(buffers) }}

// job is a product cut into tasks.
type job[T float64 | int64] struct {
	*Product[T]
	rows, width          int // of a task: rows of all A, and panels of all B
	panels               int // of one B
	rowBlocks, colBlocks int
}

// task computes one block of all C.
func (j *job[T]) task(at int, s *buffers) {
	t, at := at/(j.rowBlocks*j.colBlocks), at%(j.rowBlocks*j.colBlocks)
	row, panel := at/j.colBlocks*j.rows, at%j.colBlocks*j.width
	rows := min(j.rows, len(j.A)*len(j.Rows.A)-row)
	last := min(panel+j.width, len(j.B)*j.panels)
	for k := 0; k < len(j.Sum.A); k += j.block {
		sumA, sumB := cut(j.Sum.A, k, j.block), cut(j.Sum.B, k, j.block)
		j.packRows(s, t, row, rows, sumA)
		for n := panel; n < last; n++ {
			y, col := n/j.panels, n%j.panels*tileCols
			packCols(s.b[:], j.B[y][j.Batch.B[t]:], cut(j.Cols.B, col, tileCols), sumB)
			j.addPanel(s, t, row, rows, y, cut(j.Cols.C, col, tileCols), len(sumA))
		}
	}
}

// row is a row of all A: of which, and where it begins in that.
func (j *job[T]) row(i int) (x, at int) { return i / len(j.Rows.A), i % len(j.Rows.A) }

// addPanel adds the products of packed rows and a packed panel of B[y] to C.
func (j *job[T]) addPanel(s *buffers, t, row, rows, y int, cols []int, n int) {
	var to [tileRows][]T
	for i := 0; i < rows; i += tileRows {
		for r := range tileRows {
			if to[r] = nil; i+r < rows {
				x, at := j.row(row + i + r)
				to[r] = j.C[x*len(j.B)+y][j.Batch.C[t]+j.Rows.C[at]:]
			}
		}
		packed := s.a[i*n : (i+tileRows)*n]
		switch to := any(&to).(type) {
		case *[tileRows][]float64:
			s.addReals(to, packed, n, cols)
		case *[tileRows][]int64:
			s.addIntegers(to, any(j.Coef).(int64), packed, n, cols)
		}
	}
}

func cut(x []int, from, n int) []int { return x[from:min(from+n, len(x))] }

// packRows writes rows of A, of reals times coef, tileRows of them interleaved, with zeros for those that a tile has too many.
func (j *job[T]) packRows(s *buffers, t, row, rows int, sum []int) {
	coef := j.Coef
	if _, reals := any(coef).(float64); !reals {
		coef = 1
	}
	if n := ceil(rows, tileRows) * tileRows * len(sum); len(s.a) < n {
		s.a = make([]float64, n)
	}
	for i := 0; i < rows; i += tileRows {
		part := s.a[i*len(sum) : (i+tileRows)*len(sum)]
		for r := range tileRows {
			if i+r >= rows {
				for k := range sum {
					part[k*tileRows+r] = 0
				}
				continue
			}
			x, at := j.row(row + i + r)
			from := j.A[x][j.Batch.A[t]+j.Rows.A[at]:]
			for k, o := range sum {
				part[k*tileRows+r] = float64(T(coef * from[o]))
			}
		}
	}
}

// packCols writes a panel of B, line by line, with zeros for columns that it lacks.
func packCols[T float64 | int64](dst []float64, b []T, cols, sum []int) {
	switch {
	case len(cols) < tileCols:
		clear(dst[:len(sum)*tileCols])
		for k, o := range sum {
			for n, c := range cols {
				dst[k*tileCols+n] = float64(b[o+c])
			}
		}
	case adjacent(cols):
		for k, o := range sum {
			line := (*[tileCols]float64)(dst[k*tileCols:])
			for n, x := range (*[tileCols]T)(b[o+cols[0]:]) {
				line[n] = float64(x)
			}
		}
	case adjacent(sum):
		for from := 0; from < len(sum); from += 32 { // lines that the nearest cache holds until all columns are written
			lines := cut(sum, from, 32)
			for n, c := range cols {
				to := dst[from*tileCols+n:]
				for k, x := range b[c+lines[0]:][:len(lines)] {
					to[k*tileCols] = float64(x)
				}
			}
		}
	default:
		for k, o := range sum {
			line := (*[tileCols]float64)(dst[k*tileCols:])
			for n, c := range cols {
				line[n] = float64(b[o+c])
			}
		}
	}
}

// adjacent says that offsets follow each other without a gap.
func adjacent(x []int) bool {
	for i, o := range x {
		if o != x[0]+i {
			return false
		}
	}
	return true
}

// addReals adds to one tile of C, of which it has the rows, the products of n steps of packed A and B.
func (s *buffers) addReals(rows *[tileRows][]float64, a []float64, n int, cols []int) {
	clear(s.c[:])
	whole := len(cols) == tileCols && adjacent(cols)
	for i, c := range rows {
		line := s.c[i*tileCols:][:len(cols)]
		switch {
		case c == nil:
		case whole:
			copy(line, c[cols[0]:])
		default:
			for k, o := range cols {
				line[k] = c[o]
			}
		}
	}
	tile(n, a, s.b[:n*tileCols], &s.c)
	for i, c := range rows {
		line := s.c[i*tileCols:][:len(cols)]
		switch {
		case c == nil:
		case whole:
			copy(c[cols[0]:], line)
		default:
			for k, o := range cols {
				c[o] = line[k]
			}
		}
	}
}

// addIntegers does the same times a coefficient, which may take a sum beyond what doubles hold.
func (s *buffers) addIntegers(rows *[tileRows][]int64, coef int64, a []float64, n int, cols []int) {
	clear(s.c[:])
	tile(n, a, s.b[:n*tileCols], &s.c)
	for i, c := range rows {
		if c != nil {
			for k, o := range cols {
				c[o] += coef * portable.Clamp(s.c[i*tileCols+k]) // exact: less than 2^53
			}
		}
	}
}

// tilePortable adds a[k,i]·b[k,j] to cell (i, j) of a tile, for one k after the other.
func tilePortable(n int, a, b []float64, c *[tileRows * tileCols]float64) {
	for i := range tileRows {
		for j := 0; j < tileCols; j += 4 {
			s := (*[4]float64)(c[i*tileCols+j:])
			s0, s1, s2, s3 := s[0], s[1], s[2], s[3]
			for k := range n {
				x, y := a[k*tileRows+i], (*[4]float64)(b[k*tileCols+j:])
				s0 += float64(x * y[0])
				s1 += float64(x * y[1])
				s2 += float64(x * y[2])
				s3 += float64(x * y[3])
			}
			s[0], s[1], s[2], s[3] = s0, s1, s2, s3
		}
	}
}
