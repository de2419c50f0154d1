package cpu

import "github.com/zkllmc/zkllmc/internal/field"

// Sums of integers times field elements go through the field's vector inner product: an integer v is written as the element whose
// lowest limb is v + 2^63, the weights carry the factor 2^256 that this lacks, and 2^63 times the sum of the weights is subtracted
// at the end. Only one limb per integer is ever written. Where the processor has no wide vectors, the field package's accumulators
// of word products are faster.

// wideVectors chooses between the two ways.
var wideVectors = field.WideVectors()

// integers are the cell types.
type integers interface{ int32 | int64 }

// columnGroup is how many columns are read together: neighbours in memory, so a cache line is used while it is there.
const columnGroup = 4

// intScratch is the working memory of one worker; all but the lowest limbs of raw stay zero.
type intScratch struct {
	raw  [columnGroup]vec
	prod vec
	rows [][]int64
}

func newIntScratch() *intScratch {
	s := &intScratch{prod: make(vec, tile)}
	for i := range s.raw {
		s.raw[i] = make(vec, tile)
	}
	return s
}

// scratches hands out working memory to the workers of one call.
func (p pool) scratches() func(w int) *intScratch {
	all := make([]*intScratch, p.threads)
	return func(w int) *intScratch {
		if all[w] == nil {
			all[w] = newIntScratch()
		}
		return all[w]
	}
}

// weights are coefficients prepared for integer sums.
type weights struct {
	scaled vec           // times 2^256; without wide vectors the coefficients themselves
	offset field.Element // 2^63·Σ; without wide vectors 0
}

func newWeights(coef vec) weights {
	if !wideVectors {
		return weights{scaled: coef}
	}
	w := weights{scaled: make(vec, len(coef))}
	scaleVec(w.scaled, coef, &montgomeryRadix)
	w.offset = mul(coef.Sum(), offsetElement)
	return w
}

// dotInts returns Σ w[i]·cells[i].
func dotInts[T integers](s *intScratch, cells []T, w *weights) (sum field.Element) {
	if !wideVectors {
		return dotWords(cells, w.scaled)
	}
	for at := 0; at < len(cells); at += tile {
		part := cells[at:min(len(cells), at+tile)]
		raw := s.raw[0][:len(part)]
		for i, v := range part {
			raw[i][0] = uint64(int64(v)) ^ intOffset
		}
		sum = add(sum, dot(raw, w.scaled[at:at+len(part)]))
	}
	return sub(sum, w.offset)
}

// dotWords is dotInts without vectors. The accumulator takes all integers but −2^63.
func dotWords[T integers](cells []T, coef vec) field.Element {
	var acc field.Acc
	for i, v := range cells {
		addWords(&acc, &coef[i], int64(v))
	}
	return acc.Reduce()
}

// addWords adds v·e.
func addWords(acc *field.Acc, e *field.Element, v int64) {
	switch v {
	case 0:
	case -1 << 63:
		acc.MulAdd(e, -1<<62)
		acc.MulAdd(e, -1<<62)
	default:
		acc.MulAdd(e, v)
	}
}

// columnWords is foldColumns without vectors and without the offset.
func columnWords[T integers](dst vec, rows [][]T, from int, coef vec) {
	acc := make([]field.Acc, len(dst))
	for i, row := range rows {
		if from >= len(row) {
			continue
		}
		for k, v := range row[from:min(len(row), from+len(dst))] {
			addWords(&acc[k], &coef[i], int64(v))
		}
	}
	for k := range dst {
		dst[k] = add(dst[k], acc[k].Reduce())
	}
}

// fewRows is the number of rows up to which multiplying rows by their weights beats an inner product per column: that costs as
// much as some ten products even where it is short.
const fewRows = 8

// foldFew is foldColumns row by row.
func foldFew[T integers](s *intScratch, dst vec, rows [][]T, from int, scaled vec) {
	raw, prod := s.raw[0][:len(dst)], s.prod[:len(dst)]
	for i, row := range rows {
		cells := row[min(from, len(row)):min(from+len(dst), len(row))]
		for k, v := range cells {
			raw[k][0] = uint64(int64(v)) ^ intOffset
		}
		for k := len(cells); k < len(raw); k++ {
			raw[k][0] = intOffset
		}
		scaleVec(prod, raw, &scaled[i])
		addVec(dst, dst, prod)
	}
}

// foldColumns adds Σ_i w[i]·(rows[i][from+k] + 2^63) to dst[k] for at most a tile of rows and of columns, where scaled are the
// rows' weights times 2^256; cells behind the end of a row are zero.
func foldColumns[T integers](s *intScratch, dst vec, rows [][]T, from int, scaled vec) {
	if !wideVectors {
		columnWords(dst, rows, from, scaled)
		return
	}
	if len(rows) <= fewRows {
		foldFew(s, dst, rows, from, scaled)
		return
	}
	for k := 0; k < len(dst); k += columnGroup {
		group := min(columnGroup, len(dst)-k)
		for i, row := range rows {
			if at := from + k; at+columnGroup <= len(row) {
				cells := (*[columnGroup]T)(row[at:])
				s.raw[0][i][0] = uint64(int64(cells[0])) ^ intOffset
				s.raw[1][i][0] = uint64(int64(cells[1])) ^ intOffset
				s.raw[2][i][0] = uint64(int64(cells[2])) ^ intOffset
				s.raw[3][i][0] = uint64(int64(cells[3])) ^ intOffset
				continue
			}
			for g := range group {
				var v int64
				if at := from + k + g; at < len(row) {
					v = int64(row[at])
				}
				s.raw[g][i][0] = uint64(v) ^ intOffset
			}
		}
		for g := range group {
			dst[k+g] = add(dst[k+g], dot(s.raw[g][:len(rows)], scaled))
		}
	}
}
