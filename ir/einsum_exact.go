package ir

import (
	"math"

	"github.com/zkllmc/zkllmc/internal/budget"
)

// Sums of real numbers that cancel. A choice is the sum c·x + y − c·y: where c is 1 nothing is left of y, and of x only what the greater y has left
// of it. y may be the least float of a mask. So cells that are far less than what was added up on the way are added up again, exactly.

// cancelled is from which part of the greatest partial sum on a cell has lost so many digits that its terms are added up again.
const cancelled = 0x1p-24

// peaked are the magnitudes of partial sums, the greatest of each cell.
func peaked(peaks, sums []float64) []float64 {
	if peaks == nil {
		peaks = make([]float64, len(sums))
	}
	for i, x := range sums {
		peaks[i] = math.Max(peaks[i], math.Abs(x))
	}
	return peaks
}

// restore replaces cells of an Einsum, of reals, that cancelled by the sums of its terms, rounded once. peaks has those of three terms and more: two
// are rounded once as they are.
func restore[T number](runs []*Run, n *Node, in, res [][][]T, peaks [][]float64) error {
	lost, some := make([][]int, len(runs)), false
	for r, p := range peaks {
		for i, most := range p {
			if x := math.Abs(float64(res[r][0][i])); x < float64(cancelled*most) && !math.IsInf(most, 0) {
				lost[r], some = append(lost[r], i), true
			}
		}
	}
	if !some {
		return nil
	}
	work, _ := costEinsum(runs[0].Graph, n)
	if err := runs[0].Budget.Work(budget.Product(work, len(runs))); err != nil {
		return err
	}
	sums := make([][]exact, len(runs))
	for r := range runs {
		sums[r] = make([]exact, len(lost[r]))
	}
	for k := range n.Attr.(*EinsumAttr).Terms {
		term := results[T](runs, n)
		if err := addTermOf(runs, n, k, in, term); err != nil {
			return err
		}
		for r := range runs {
			for j, i := range lost[r] {
				sums[r][j].add(float64(term[r][0][i]))
			}
		}
	}
	for r := range runs {
		for j, i := range lost[r] {
			res[r][0][i] = T(sums[r][j].rounded())
		}
	}
	return nil
}

// Greatest is the largest magnitude among the factors and constants of the sums that a value is made of. known keeps what is found. Cells that
// lie elsewhere are not looked at.
func (g *Graph) Greatest(id ValueID, known map[ValueID]float64) (most float64) {
	if m, ok := known[id]; ok {
		return m
	}
	v := g.Value(id)
	for _, x := range v.Data {
		most = math.Max(most, math.Abs(x))
	}
	a, sum := v.Def.Attr.(*EinsumAttr)
	u, unary := v.Def.Attr.(*UnaryAttr)
	if sum {
		for _, t := range a.Terms {
			most = math.Max(most, math.Abs(t.Coef))
		}
	}
	if sum || v.Def.Op == OpMax || unary && u.Fn == "relu" {
		for _, in := range v.Def.In {
			most = math.Max(most, g.Greatest(in, known))
		}
	}
	known[id] = most
	return most
}

// exact is a sum of doubles as doubles of which none has a digit that another one has, by ascending magnitude (Shewchuk, Adaptive Precision
// Floating-Point Arithmetic, section 2.4).
type exact []float64

// add adds a number that is finite.
func (e *exact) add(x float64) {
	kept := (*e)[:0]
	for _, y := range *e {
		if math.Abs(x) < math.Abs(y) {
			x, y = y, x
		}
		high := x + y
		if low := y - (high - x); low != 0 {
			kept = append(kept, low)
		}
		x = high
	}
	*e = append(kept, x)
}

// rounded is the sum up to half a unit of its last place or little more.
func (e exact) rounded() (sum float64) {
	for _, x := range e {
		sum += x
	}
	return sum
}
