package cpu

import (
	"math/bits"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/montgomery"
)

// Sums of integers times field elements. The Montgomery form is linear: the sum's is Σ v_i·m_i with m_i that of element i, an integer sum
// that is reduced once. An integer v enters as the unsigned v + 2^51 (v + 2^63 where there are no wide vectors), and as many times the sum
// of the elements is subtracted at the end.
//
// Where the processor has AVX-512 IFMA, Montgomery forms are cut into five limbs of 52 bits, and eight products are added at a time: their
// low 52 bits to the sum of the limb, the others to that of the next one. An integer beyond ±2^51 does not fit; the sums say so, and what
// they belong to is computed again without vectors.

// integers are the cell types.
type integers interface{ int16 | int32 | int64 }

const (
	limbs     = 5
	lanes     = 8
	limbBits  = 52
	shortBits = 51      // of the magnitude of integers that the kernels take
	sumTerms  = 1 << 11 // a sum of as many low and high words stays below 2^64
)

// wideVectors chooses between the two ways.
var wideVectors = montgomery.Available()

var (
	shortOffset = field.Pow2(shortBits)
	longOffset  = field.Pow2(63)
)

// join returns the element whose Montgomery form is Σ sum[j]·2^(52·j).
func join(sum *[limbs + 1]uint64) field.Element {
	var w field.Wide
	w[0] = sum[0]
	addShifted(&w, 0, sum[1], 52)
	addShifted(&w, 1, sum[2], 40)
	addShifted(&w, 2, sum[3], 28)
	addShifted(&w, 3, sum[4], 16)
	addShifted(&w, 4, sum[5], 4)
	return w.Reduce()
}

// addShifted adds x·2^n at word k, 0 < n < 64.
func addShifted(w *field.Wide, k int, x uint64, n uint) {
	var c uint64
	w[k], c = bits.Add64(w[k], x<<n, 0)
	w[k+1], _ = bits.Add64(w[k+1], x>>(64-n), c)
}

// weights are coefficients prepared for inner products with many rows of integers.
type weights struct {
	coef   vec
	sum    field.Element
	planes []uint64 // with wide vectors: for every eight coefficients the limbs, eight of each; zeros behind the last one
}

func newWeights(coef vec) weights {
	w := weights{coef: coef, sum: coef.Sum()}
	if !wideVectors {
		return w
	}
	w.planes = make([]uint64, (len(coef)+lanes-1)/lanes*lanes*limbs)
	for i := range coef {
		for j, x := range montgomery.Limbs(&coef[i]) {
			w.planes[(i/lanes*limbs+j)*lanes+i%lanes] = x
		}
	}
	return w
}

// dotInts returns Σ w[i]·cells[i], as many cells as weights.
func dotInts[T integers](cells []T, w *weights) field.Element {
	if wideVectors {
		if sum, ok := dotShort(cells, w); ok {
			return sum
		}
	}
	var acc field.Wide
	for i, v := range cells {
		acc.MulAdd(&w.coef[i], uint64(int64(v))^1<<63)
	}
	return sub(acc.Reduce(), mul(w.sum, longOffset))
}

// dotTensor is dotInts for the cells of a tensor from lo up to hi-1.
func dotTensor(t *integer.Tensor, lo, hi int, w *weights) field.Element {
	switch {
	case t.V != nil:
		return dotInts(t.V[lo:hi], w)
	case t.Mid != nil:
		return dotInts(t.Mid[lo:hi], w)
	default:
		return dotInts(t.Short[lo:hi], w)
	}
}

// dotShort is dotInts with vectors; false if there is an integer that does not fit.
func dotShort[T integers](cells []T, w *weights) (total field.Element, ok bool) {
	for at := 0; at < len(cells); at += sumTerms {
		part, planes := cells[at:min(len(cells), at+sumTerms)], w.planes[at*limbs:]
		var acc [(limbs + 1) * lanes]uint64
		whole := len(part) &^ (lanes - 1)
		far := dotKernel(&acc, part[:whole], planes)
		if rest := part[whole:]; len(rest) > 0 {
			var last [lanes]T
			copy(last[:], rest)
			far = dotKernel(&acc, last[:], planes[whole*limbs:]) || far
		}
		if far {
			return total, false
		}
		var sum [limbs + 1]uint64
		for j := range sum {
			for _, x := range acc[j*lanes : (j+1)*lanes] {
				sum[j] += x
			}
		}
		total = add(total, join(&sum))
	}
	return sub(total, mul(w.sum, shortOffset)), true
}

// foldWidth is the number of columns that are summed at a time: what is kept of them fits the caches.
const foldWidth = 512

// foldRows is how many rows a kernel takes at a time.
const foldRows = 4

// foldScratch is the working memory of one worker.
type foldScratch[T integers] struct {
	sums  []uint64 // for every eight columns the six sums, eight of each
	wide  []field.Wide
	short [foldRows][foldWidth]T // rows that end early
	rows  [][]T
	prod  vec
}

// scratches hands out working memory to the workers of one call.
func scratches[T integers](p pool) func(w int) *foldScratch[T] {
	all := make([]*foldScratch[T], p.threads)
	return func(w int) *foldScratch[T] {
		if all[w] == nil {
			all[w] = &foldScratch[T]{}
		}
		return all[w]
	}
}

// foldColumns sets dst[k] to Σ_i coef[i]·rows[i][from+k], for at most foldWidth columns; cells behind the end of a row are zero. Memory that
// is fresh is written first: a page that is read before takes two faults, and the second stops all processors for a moment.
func foldColumns[T integers](s *foldScratch[T], dst vec, rows [][]T, from int, coef vec) {
	clear(dst)
	switch {
	case len(rows) < foldRows:
		foldFew(s, dst, rows, from, coef)
	case !wideVectors:
		foldWords(s, dst, rows, from, coef)
	default:
		for i := 0; i < len(rows); i += sumTerms {
			end := min(len(rows), i+sumTerms)
			if !foldShort(s, dst, rows[i:end], from, coef[i:end]) {
				foldWords(s, dst, rows[i:end], from, coef[i:end])
			}
		}
	}
}

// foldFew adds what foldColumns sets, row by row: an integer that is written to the lowest limb stands for itself times 2^−256.
func foldFew[T integers](s *foldScratch[T], dst vec, rows [][]T, from int, coef vec) {
	if s.prod == nil {
		s.prod = make(vec, foldWidth)
	}
	for i, row := range rows {
		cells := row[min(from, len(row)):min(from+len(dst), len(row))]
		prod := s.prod[:len(cells)]
		for k, v := range cells {
			prod[k] = field.Element{uint64(int64(v)) ^ 1<<63}
		}
		c, off := mul(coef[i], montgomeryRadix), mul(coef[i], longOffset)
		scaleVec(prod, prod, &c)
		addVec(dst[:len(prod)], dst[:len(prod)], prod)
		fill(prod, off)
		subVec(dst[:len(prod)], dst[:len(prod)], prod)
	}
}

// foldWords adds what foldColumns sets, without vectors.
func foldWords[T integers](s *foldScratch[T], dst vec, rows [][]T, from int, coef vec) {
	if s.wide == nil {
		s.wide = make([]field.Wide, foldWidth)
	}
	acc := s.wide[:len(dst)]
	clear(acc)
	for i, row := range rows {
		c := coef[i]
		cells := row[min(from, len(row)):min(from+len(dst), len(row))]
		for k, v := range cells {
			acc[k].MulAdd(&c, uint64(int64(v))^1<<63)
		}
		for k := len(cells); k < len(acc); k++ {
			acc[k].MulAdd(&c, 1<<63)
		}
	}
	off := mul(coef.Sum(), longOffset)
	for k := range dst {
		dst[k] = add(dst[k], sub(acc[k].Reduce(), off))
	}
}

// foldShort adds what foldColumns sets, with vectors, for at most sumTerms rows; false, and nothing is added, if there is an integer that does not fit.
func foldShort[T integers](s *foldScratch[T], dst vec, rows [][]T, from int, coef vec) bool {
	if s.sums == nil {
		s.sums = make([]uint64, wordsOf(foldWidth))
	}
	sums := s.sums[:wordsOf(len(dst))]
	clear(sums)
	if !addProducts(s, sums, rows, from, coef) {
		return false
	}
	off := mul(coef.Sum(), shortOffset)
	reduceSums(dst, sums, &off)
	return true
}

// wordsOf is how many words the sums of so many columns are: of every eight columns six, eight of each.
func wordsOf(columns int) int { return (columns + lanes - 1) / lanes * lanes * (limbs + 1) }

// addProducts adds the products of rows to the words of sums, of at most sumTerms rows together; false, and the words mean nothing, if there
// is an integer that does not fit.
func addProducts[T integers](s *foldScratch[T], sums []uint64, rows [][]T, from int, coef vec) bool {
	columns := len(sums) / (limbs + 1)
	for i := 0; i < len(rows); i += foldRows {
		var cells [foldRows][]T
		var c [foldRows * limbs]uint64
		for r := range cells {
			var row []T
			if i+r < len(rows) {
				row = rows[i+r]
				x := montgomery.Limbs(&coef[i+r])
				copy(c[r*limbs:], x[:])
			}
			cells[r] = s.whole(r, row[min(from, len(row)):], columns)
		}
		if foldKernel(sums, &cells, &c, columns) {
			return false
		}
	}
	return true
}

// reduceSums adds what words of sums stand for to dst, less off.
func reduceSums(dst vec, sums []uint64, off *field.Element) {
	for k := range dst {
		var sum [limbs + 1]uint64
		for j := range sum {
			sum[j] = sums[(k/lanes*(limbs+1)+j)*lanes+k%lanes]
		}
		dst[k] = add(dst[k], sub(join(&sum), *off))
	}
}

// whole returns at least n cells of a row, zeros behind its end.
func (s *foldScratch[T]) whole(r int, row []T, n int) []T {
	if len(row) >= n {
		return row
	}
	clear(s.short[r][copy(s.short[r][:n], row):n])
	return s.short[r][:n]
}
