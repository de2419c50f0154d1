package backend

import (
	"context"
	"slices"

	"github.com/zkllmc/zkllmc/internal/integer"
)

// Program is the computation of a witness, operation by operation, on tensors that the backend holds. It reads tensors of its session, and
// runs of the session read its own, until it is closed. It is not safe for concurrent use.
type Program interface {
	// Err returns what the backend failed with: what came after it means nothing.
	Err() error
	// Within makes what follows part of a job, which may limit its threads.
	Within(ctx context.Context)
	// Close frees what the program holds.
	Close()

	// Load takes a tensor that nobody changes any more.
	Load(t *integer.Tensor) Tensor
	// Zeros returns a tensor of zeros, whose cells may become those of a wide one if it is wide.
	Zeros(shape []int, wide bool) Tensor
	// Words are the two tensors in whose place runs ask about a wide tensor, lower ones and upper ones; the tensor itself and nil if it is
	// not wide.
	Words(t Tensor) (lower, upper Tensor)
	// Cells gives the cells of a part away, in a tensor of its shape. They must not be changed.
	Cells(p Part) *integer.Tensor
	// Put writes the cells of a part, in row-major order; of a wide tensor the lower 64 bits, the upper ones in High.
	Put(p Part, cells *integer.Tensor)
	// Free frees tensors before the program ends. One that is not there is nil.
	Free(tensors ...Tensor)
	// Written says that nothing is written to tensors any more. They are read: they may be kept in less memory, where that suits what reads them.
	Written(tensors ...Bounded)
	// Settle says that nothing is computed from tensors any more, but by runs, and that no fixed operand is multiplied with again: they may
	// be kept in less memory.
	Settle(tensors ...Bounded)

	// Einsum adds a sum of terms to a part.
	Einsum(to Part, terms []Term)
	// Hint computes what a hint yields. It says whether the backend knows the kind, and whether the hint is defined for the inputs: if not,
	// what it yields means nothing, and whoever asked computes it by himself.
	Hint(h *Hint) (known, defined bool)
	// Counter begins to count how often the lines of a table are looked up.
	Counter(table []Tensor) Counter
	// Nonzero returns how many cells of a part are not zero, and which is the first, −1 if there is none.
	Nonzero(p Part) (n, first int)
}

// Range is the indices from Lo up to Hi, exclusive.
type Range struct{ Lo, Hi int }

// Bounded is a tensor with the range in which its cells lie, unless somebody lies.
type Bounded struct {
	T      Tensor
	Lo, Hi int64
}

// Part is a box of a tensor's cells, one range for every axis; all of them if Box is nil.
type Part struct {
	T   Tensor
	Box []Range
}

// Whole is all cells of a tensor.
func Whole(t Tensor) Part { return Part{T: t} }

// Term is Coef·Σ Π Factors[i][x], summed over all values of the labels 0, 1, …, of which label l has Extents[l], that are not in Out. An
// axis of the result, or of a factor, is a list of labels, the first slowest. No factor has a label twice. An axis of the result that a part
// cuts is one label in every term.
type Term struct {
	Coef    int64
	Extents []int
	Out     [][]int
	Factors []Operand
}

// Operand is a factor of a term.
type Operand struct {
	T    Tensor
	Axes [][]int
	// Known, if it is not nil, says how many indices of every axis count: what lies behind meets zeros alone.
	Known []int
	// Fixed says that the same cells will be multiplied again: they may be kept as it is best.
	Fixed bool
}

// Ranges are those of the labels of a term which a part of the result asks for; nil if there is nothing to sum up, and labels or a cut axis.
func (t *Term) Ranges(box []Range) []Range {
	r := make([]Range, len(t.Extents))
	for l, e := range t.Extents {
		r[l].Hi = e
	}
	for a, cut := range box {
		n := 1
		for _, l := range t.Out[a] {
			n *= t.Extents[l]
		}
		switch whole := cut == (Range{0, n}); {
		case len(t.Out[a]) == 1:
			r[t.Out[a][0]] = cut
		case !whole && len(t.Out[a]) > 1:
			panic("backend: a part of an axis that is several labels")
		case !whole && cut.Hi <= cut.Lo: // an axis of one index that is left out
			return nil
		}
	}
	for _, f := range t.Factors {
		for a, n := range f.Known {
			if labels := f.Axes[a]; len(labels) == 1 {
				r[labels[0]].Hi = min(r[labels[0]].Hi, n)
			}
		}
	}
	return r
}

// Products is how many products of integers a part of a sum of terms takes. What only one factor is summed up over is summed up first, and no
// product where there is more to the term.
func Products(terms []Term, box []Range) (sum int64) {
	for i := range terms {
		t := &terms[i]
		r := t.Ranges(box)
		if r == nil && len(t.Extents) > 0 {
			continue
		}
		n := int64(max(1, len(t.Factors)-1))
		for l, of := range r {
			if !t.summedAlone(l) {
				n *= int64(max(0, of.Hi-of.Lo))
			}
		}
		sum += n
	}
	return sum
}

// summedAlone says whether a label is summed over, and of one factor alone, which does not have all of the term's labels.
func (t *Term) summedAlone(label int) bool {
	of := func(axes [][]int) bool {
		return slices.ContainsFunc(axes, func(labels []int) bool { return slices.Contains(labels, label) })
	}
	if of(t.Out) {
		return false
	}
	var with []Operand
	for _, f := range t.Factors {
		if of(f.Axes) {
			with = append(with, f)
		}
	}
	if len(with) != 1 {
		return false
	}
	labels := 0
	for _, axis := range with[0].Axes {
		labels += len(axis)
	}
	return labels < len(t.Extents)
}

// Hint says how tensors come about from others, by the name of a kind and its parameters, in the order of package circuit (hints.go), which
// says what kinds yield. Whoever computes a witness does by itself what a backend does not know.
type Hint struct {
	Kind   string
	Params []int64
	Table  []Tensor // the columns of the table that it reads, if it does
	In     []Part   // T is nil where an input is not there
	Out    []Part
}

// Counter counts the lines of a table.
type Counter interface {
	// Count adds the cells of lookups, each of parts of one shape, one for every column of the table. It returns the first lookup that has a
	// cell which is no line, and its first one; −1 and −1 if there is none. Such cells are not counted. Lookups come many at a time, since
	// those of a position of a text are too small to be shared out one by one.
	Count(lookups [][]Part) (lookup, cell int)
	// Multiplicities are the counts. Nothing is counted any more.
	Multiplicities() Tensor
}
