// Package rule is what the rules of hints are made of: a rule says how committed tensors come about from what a hint names. Rules stand
// beside the gadgets whose hints they are, in packages of their own, for provers only: no verifier links them. They carry no soundness.
package rule

import (
	"sync"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/int128"
	"github.com/zkllmc/zkllmc/internal/parallel"
)

// Run is a run of the witness generator, as rules see it.
type Run interface {
	// Emit assigns a witness tensor and returns its cells. They may be others than those given, where a test plays a prover who lies: what
	// else a hint yields is computed from them.
	Emit(id circuit.ID, v []int64) []int64
	// Cells are the cells of a tensor that is assigned.
	Cells(id circuit.ID) []int64
	// Shape is that of what is computed of a tensor, which may be a part: some positions of a text. Cell is where cell i of it stands in the
	// whole tensor.
	Shape(id circuit.ID) []int
	Cell(id circuit.ID, i int) []int
	// Wide says whether a tensor is wide, Name what errors call it. Table is the name and the columns of the table that a hint reads.
	Wide(id circuit.ID) bool
	Name(id circuit.ID) string
	Table(h *circuit.Hint) (name string, cols [][]int64)
	// Make returns memory for cells, which hold anything. It is the rule's until it ends.
	Make(n int) []int64
	// Checked says that an input for which a rule is not defined is an error; else any cells will do.
	Checked() bool
	// Pool is what rules share their work out on.
	Pool() *parallel.Pool
}

// Rule computes the results of a hint, whose inputs have the given cells, nil for one that is not there; of a wide input they are the lower
// words of all cells, and then the upper ones. A hint with several results computes them one after the other, each from those before it.
type Rule func(r Run, h *circuit.Hint, in [][]int64) error

// chunk is how many cells a task computes.
const chunk = 1 << 14

// Cells computes n independent cells in parallel.
func Cells(r Run, n int, f func(i int) int64) []int64 {
	v := r.Make(n)
	r.Pool().Chunks(n, chunk, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			v[i] = f(i)
		}
	})
	return v
}

// EachCell calls f for 0..n-1 in parallel and returns the error of the first cell that has one.
func EachCell(p *parallel.Pool, n int, f func(i int) error) error {
	var mu sync.Mutex
	first, at := error(nil), n
	p.Chunks(n, chunk, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			if err := f(i); err != nil {
				mu.Lock()
				if i < at {
					first, at = err, i
				}
				mu.Unlock()
				return
			}
		}
	})
	return first
}

// Cell is the index of a row-major cell.
func Cell(shape []int, i int) []int {
	idx := make([]int, len(shape))
	for a := len(shape) - 1; a >= 0; a-- {
		idx[a] = i % shape[a]
		i /= shape[a]
	}
	return idx
}

// Quotient is ⌊(v + 2^(shift-1)) / 2^shift⌋.
func Quotient(v, shift int64) int64 {
	return (v + int64(1)<<shift>>1) >> shift
}

// WideQuotient is Quotient of a cell of a wide tensor, given its words.
func WideQuotient(v, high, shift int64) int128.Int {
	return int128.Join(v, high).Plus(int128.Of(int64(1) << shift >> 1)).Shift(shift)
}

// Limbs emits the limbs first, first+1, … of values; the last one takes all that is left, so that a value beyond its limbs shows.
func Limbs(r Run, out []circuit.ID, first int, radix int64, v []int64) {
	for k, id := range out {
		shift, mask := int64(first+k)*radix, int64(1)<<radix-1
		if k == len(out)-1 {
			mask = -1
		}
		r.Emit(id, Cells(r, len(v), func(i int) int64 { return v[i] >> shift & mask }))
	}
}
