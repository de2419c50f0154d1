// Package matrix multiplies matrices of real numbers, bit for bit alike on every platform and for any number of processors: each product is
// rounded before it is added, and each cell's products are added one after the other, in the order of the summed index. Vectors and
// threads divide the cells among themselves, never a sum. Matrices of integers go the same way, where nothing is rounded: sums in doubles
// are exact up to 2^53.
package matrix

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/zkllmc/zkllmc/internal/portable"
)

// Product is a batch of products: for all t, i and j
//
//	C[t,i,j] += Coef·Σ_k A[t,i,k]·B[t,k,j]
//
// Of reals, Coef is multiplied to A; integers are added modulo 2^64. The tensors are laid out in any way: cell (t, i, k) of A is at
// Batch.A[t] + Rows.A[i] + Sum.A[k], and so on. No two cells of C are at one place.
type Product[T float64 | int64] struct {
	Coef    T
	A, B, C []T

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

// A tile is what the innermost function computes, a panel as many columns of B, a block what is packed at one time: 256 KiB of A and 64 KiB
// of B, which stay in the caches of one core.
const (
	tileRows  = 4
	tileCols  = 16
	blockRows = 64
	blockSum  = 512
)

// alone is the number of multiplications up to which a product is not divided among threads.
const alone = 1 << 17

// Add computes the product on all processors. poll is asked now and then, between some million multiplications, and its error ends it.
func (p *Product[T]) Add(poll func() error) error {
	rows, cols := len(p.Rows.A), len(p.Cols.B)
	if len(p.Batch.A) == 0 || rows == 0 || cols == 0 {
		return nil
	}
	workers := runtime.GOMAXPROCS(0)
	j := job[T]{Product: p, rowBlocks: ceil(rows, blockRows)}
	if _, reals := any(p.A).([]float64); reals {
		p.block = blockSum
	}
	j.width = p.width(workers * 4)
	j.colBlocks = ceil(cols, j.width)
	tasks := len(p.Batch.A) * j.rowBlocks * j.colBlocks
	if workers = min(workers, tasks); len(p.Batch.A)*rows*cols*len(p.Sum.A) <= alone {
		workers = 1
	}
	var next atomic.Int64
	work := func() error {
		s := scratch.Get().(*buffers)
		defer scratch.Put(s)
		for {
			at := int(next.Add(1)) - 1
			if at >= tasks {
				return nil
			}
			if err := poll(); err != nil {
				return err
			}
			j.task(at, s)
		}
	}
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for i := range workers - 1 {
		wg.Go(func() { errs[i] = work() })
	}
	errs[workers-1] = work()
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// width is the number of columns of one task: so many that packing A for them costs little, so few that every worker gets its share.
func (p *Product[T]) width(shares int) int {
	tasks := len(p.Batch.A) * ceil(len(p.Rows.A), blockRows)
	width := ceil(len(p.Cols.B)*tasks, shares)
	return min(max(ceil(width, tileCols)*tileCols, 4*tileCols), 16*tileCols)
}

func ceil(a, b int) int { return (a + b - 1) / b }

// buffers are what one thread packs into, and the tile it computes.
type buffers struct {
	a [blockRows * blockSum]float64
	b [tileCols * blockSum]float64
	c [tileRows * tileCols]float64
}

var scratch = sync.Pool{New: func() any { return new(buffers) }}

// job is a product cut into tasks.
type job[T float64 | int64] struct {
	*Product[T]
	width                int
	rowBlocks, colBlocks int
}

// task computes one block of C.
func (j *job[T]) task(at int, s *buffers) {
	t, at := at/(j.rowBlocks*j.colBlocks), at%(j.rowBlocks*j.colBlocks)
	row, col := at/j.colBlocks*blockRows, at%j.colBlocks*j.width
	a, b, c := j.A[j.Batch.A[t]:], j.B[j.Batch.B[t]:], j.C[j.Batch.C[t]:]
	rowsA, rowsC := cut(j.Rows.A, row, blockRows), cut(j.Rows.C, row, blockRows)
	colsB, colsC := cut(j.Cols.B, col, j.width), cut(j.Cols.C, col, j.width)
	for k := 0; k < len(j.Sum.A); k += j.block {
		sumA, sumB := cut(j.Sum.A, k, j.block), cut(j.Sum.B, k, j.block)
		packRows(s.a[:], a, rowsA, sumA, j.Coef)
		for n := 0; n < len(colsB); n += tileCols {
			packCols(s.b[:], b, cut(colsB, n, tileCols), sumB)
			at := cut(colsC, n, tileCols)
			for i := 0; i < len(rowsC); i += tileRows {
				rows, packed := cut(rowsC, i, tileRows), s.a[i*len(sumA):]
				switch c := any(c).(type) {
				case []float64:
					s.addReals(c, packed, len(sumA), rows, at)
				case []int64:
					s.addIntegers(c, any(j.Coef).(int64), packed, len(sumA), rows, at)
				}
			}
		}
	}
}

func cut(x []int, from, n int) []int { return x[from:min(from+n, len(x))] }

// packRows writes the rows of A, of reals times coef, tileRows of them interleaved, with zeros for those that a tile has too many.
func packRows[T float64 | int64](dst []float64, a []T, rows, sum []int, coef T) {
	if _, reals := any(a).([]float64); !reals {
		coef = 1
	}
	for i := 0; i < len(rows); i += tileRows {
		part := dst[i*len(sum) : (i+tileRows)*len(sum)]
		for r := range tileRows {
			if i+r >= len(rows) {
				for k := range sum {
					part[k*tileRows+r] = 0
				}
				continue
			}
			from := a[rows[i+r]:]
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

// addReals adds to one tile of C the products of n steps of packed A and B.
func (s *buffers) addReals(c, a []float64, n int, rows, cols []int) {
	clear(s.c[:])
	for i, r := range rows {
		for k, o := range cols {
			s.c[i*tileCols+k] = c[r+o]
		}
	}
	tile(n, a[:n*tileRows], s.b[:n*tileCols], &s.c)
	for i, r := range rows {
		for k, o := range cols {
			c[r+o] = s.c[i*tileCols+k]
		}
	}
}

// addIntegers does the same times a coefficient, which may take a sum beyond what doubles hold.
func (s *buffers) addIntegers(c []int64, coef int64, a []float64, n int, rows, cols []int) {
	clear(s.c[:])
	tile(n, a[:n*tileRows], s.b[:n*tileCols], &s.c)
	for i, r := range rows {
		for k, o := range cols {
			c[r+o] += coef * portable.Clamp(s.c[i*tileCols+k]) // exact: less than 2^53
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
