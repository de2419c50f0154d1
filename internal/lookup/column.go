package lookup

import (
	"math/bits"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/poly"
)

// column is one column of a table, prepared for evaluation at a point. Ranges, and tables glued together from a few ranges, are
// runs with a closed form; everything else is summed line by line.
type column struct {
	values []int64
	runs   []run // nil: summed line by line
}

// run is first, first+step, first+2·step, … on the lines from start up to the next run's start.
type run struct {
	start       int
	first, step int64
}

// runCost weighs the closed form of one run per variable against one line of the dense sum: four multiplications against one
// integer multiply-accumulate.
const runCost = 32

// newColumn prefers runs where they are cheaper; one run always is.
func newColumn(values []int64) column {
	n := len(values)
	return column{values: values, runs: findRuns(values, max(1, n/(runCost*bits.Len(uint(n)))))}
}

// findRuns cuts a column greedily into runs; nil if it takes more than limit, or where a difference might not fit 64 bits.
func findRuns(values []int64, limit int) []run {
	const bound = int64(1) << 62
	var runs []run
	for i := 0; i < len(values); {
		if len(runs) == limit {
			return nil
		}
		r := run{start: i, first: values[i]}
		for ; i < len(values); i++ {
			if values[i] < -bound || values[i] >= bound {
				return nil
			}
			if i == r.start+1 {
				r.step = values[i] - values[i-1]
			} else if i > r.start+1 && values[i]-values[i-1] != r.step {
				break
			}
		}
		runs = append(runs, r)
	}
	return runs
}

// at evaluates the column's MLE.
func (c *column) at(point []field.Element) field.Element {
	if c.runs != nil {
		return c.runsAt(point)
	}
	return poly.EvalInts(c.values, []int{len(c.values)}, point)
}

// runsAt sums first + (x − start)·step over every run's lines x: differences of the sums over all lines below a boundary.
func (c *column) runsAt(point []field.Element) field.Element {
	var sum, count, index, v, w field.Element // sums of eq and of x·eq below the run's start
	for i, r := range c.runs {
		end := len(c.values)
		if i+1 < len(c.runs) {
			end = c.runs[i+1].start
		}
		nextCount, nextIndex := below(end, point)
		step := field.FromInt64(r.step)
		v = field.FromInt64(int64(r.start)) // first − start·step
		v.Mul(&v, &step)
		w = field.FromInt64(r.first)
		v.Sub(&w, &v)
		w.Sub(&nextCount, &count)
		sum.Add(&sum, v.Mul(&v, &w))
		w.Sub(&nextIndex, &index)
		sum.Add(&sum, w.Mul(&w, &step))
		count, index = nextCount, nextIndex
	}
	return sum
}

// below returns Σ_{x<d} eq(point,x) and Σ_{x<d} x·eq(point,x) for 0 ≤ d ≤ 2^len(point), from the lowest variable up: with its
// bit i set, d has all 2^i lower indices with x_i = 0 below it and, with x_i = 1, those below its own low part.
func below(d int, point []field.Element) (count, index field.Element) {
	var fullIndex, one, lo, v field.Element
	one.SetOne()
	bit := one // 2^i
	for i := range point {
		r := &point[i]
		lo.Sub(&one, r)
		if d>>i&1 == 1 {
			v.Mul(&bit, &count)
			index.Add(&index, &v)
			index.Sub(&index, &fullIndex)
			index.Mul(&index, r)
			index.Add(&index, &fullIndex)
			count.Mul(&count, r)
			count.Add(&count, &lo)
		} else {
			count.Mul(&count, &lo)
			index.Mul(&index, &lo)
		}
		fullIndex.Add(&fullIndex, v.Mul(&bit, r))
		bit.Double(&bit)
	}
	if d>>len(point) != 0 {
		return one, fullIndex
	}
	return count, index
}
