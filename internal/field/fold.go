package field

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// foldBlock is the number of columns whose accumulators (64 bytes each) stay in the first-level cache while all rows pass.
const foldBlock = 256

// FoldRows returns out[j] = Σ_i coef[i]·rows[i][j] for j < width. Rows may be shorter than width, not longer. Fewer than 2^32
// rows. Groups of zeros are skipped; large folds use all processors.
func FoldRows(rows [][]int32, coef []Element, width int) []Element {
	return foldRows(rows, coef, width, runtime.GOMAXPROCS(0))
}

// foldRows is FoldRows on the given number of processors.
func foldRows(rows [][]int32, coef []Element, width, threads int) []Element {
	if len(rows) != len(coef) {
		panic("field: rows and coefficients differ in number")
	}
	for _, row := range rows {
		if len(row) > width {
			panic("field: row longer than the width")
		}
	}
	out := make([]Element, width)
	if len(rows)*width < 1<<14 {
		threads = 1
	}
	block := foldBlock
	if threads > 1 {
		block = min(block, max(32, (width+threads-1)/threads))
	}
	blocks := (width + block - 1) / block
	var next atomic.Int64
	var wg sync.WaitGroup
	for range max(1, min(threads, blocks)) {
		wg.Go(func() {
			for b := int(next.Add(1)) - 1; b < blocks; b = int(next.Add(1)) - 1 {
				foldColumns(out[b*block:min((b+1)*block, width)], rows, coef, b*block)
			}
		})
	}
	wg.Wait()
	return out
}

// signedCoef is a coefficient and its negative, so that the sign of a factor selects instead of branching.
type signedCoef [2]Element

// foldColumns folds the columns from, …, from+len(out)−1.
func foldColumns(out []Element, rows [][]int32, coef []Element, from int) {
	var fast [foldBlock]narrow
	var slow []Acc
	var group [2][]int32
	var coefs [2]signedCoef
	n := 0
	for i, row := range rows {
		if len(row) <= from || coef[i].IsZero() {
			continue
		}
		row = row[from:min(len(row), from+len(out))]
		if !small(row) {
			if slow == nil {
				slow = make([]Acc, len(out))
			}
			for j, x := range row {
				slow[j].MulAdd(&coef[i], int64(x))
			}
			continue
		}
		group[n] = row
		coefs[n][0] = coef[i]
		coefs[n][1].Neg(&coef[i])
		if n++; n == len(group) {
			foldGroup(&fast, &group, &coefs)
			n = 0
		}
	}
	for i := range n {
		foldOne(fast[:], group[i], &coefs[i])
	}
	for j := range out {
		out[j] = fast[j].reduce()
		if slow != nil {
			t := slow[j].Reduce()
			out[j].Add(&out[j], &t)
		}
	}
}

// foldGroup adds two rows: with more, the compiler runs out of registers.
func foldGroup(acc *[foldBlock]narrow, rows *[2][]int32, coefs *[2]signedCoef) {
	n := min(len(rows[0]), len(rows[1]))
	r0, r1 := rows[0][:n], rows[1][:n]
	for j := range r0 {
		x0, x1 := int64(r0[j]), int64(r1[j])
		if x0|x1 == 0 {
			continue
		}
		w0, c0 := factor(x0, &coefs[0])
		w1, c1 := factor(x1, &coefs[1])
		a := &acc[j&(foldBlock-1)]
		lo, hi := mac(a[0], a[1], c0[0], w0)
		a[0], a[1] = mac(lo, hi, c1[0], w1)
		lo, hi = mac(a[2], a[3], c0[1], w0)
		a[2], a[3] = mac(lo, hi, c1[1], w1)
		lo, hi = mac(a[4], a[5], c0[2], w0)
		a[4], a[5] = mac(lo, hi, c1[2], w1)
		lo, hi = mac(a[6], a[7], c0[3], w0)
		a[6], a[7] = mac(lo, hi, c1[3], w1)
	}
	for i, row := range rows {
		foldOne(acc[n:], row[n:], &coefs[i])
	}
}

// foldOne adds one row.
func foldOne(acc []narrow, row []int32, coef *signedCoef) {
	for j, x := range row {
		if x == 0 {
			continue
		}
		w, c := factor(int64(x), coef)
		a := &acc[j]
		a[0], a[1] = mac(a[0], a[1], c[0], w)
		a[2], a[3] = mac(a[2], a[3], c[1], w)
		a[4], a[5] = mac(a[4], a[5], c[2], w)
		a[6], a[7] = mac(a[6], a[7], c[3], w)
	}
}

// factor returns |x| and the coefficient with the sign of x.
func factor(x int64, c *signedCoef) (uint64, *Element) {
	sign := x >> 63
	return uint64((x ^ sign) - sign), &c[sign&1]
}
