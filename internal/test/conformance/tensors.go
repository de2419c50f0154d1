package conformance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// log2 returns ⌈log2 d⌉.
func log2(d int) int {
	n := 0
	for 1<<n < d {
		n++
	}
	return n
}

// tensor draws a tensor; bits bounds its values.
func (s *Source) tensor(shape []int, bits int) *integer.Tensor {
	size := 1
	for _, d := range shape {
		size *= d
	}
	return &integer.Tensor{Shape: shape, V: s.Ints(size, bits)}
}

// short is a tensor in 16 bits or 32, if its values fit.
func short(t *integer.Tensor) *integer.Tensor {
	s := &integer.Tensor{Shape: t.Shape, V: slices.Clone(t.V)}
	s.Shorten()
	return s
}

func evalMany(t *testing.T, s *Source, ref, cand backend.Run) {
	var evals []backend.Eval
	shared := s.Elements(30)
	for i, shape := range [][]int{
		{}, {1}, {2}, {1, 1, 1}, {3}, {5, 7}, {8, 16}, {1, 33}, {33, 1}, {4, 1, 3}, {2, 3, 5, 7}, {130, 70}, {3, 513}, {1000}, {17 * 256}, {3, 20 * 256},
	} {
		bits, v := 0, s.tensor(shape, []int{15, 31, 62}[i%3])
		for _, d := range shape {
			bits += log2(d)
		}
		evals = append(evals,
			backend.Eval{T: v, Point: s.Edgy(bits)},
			backend.Eval{T: v, Point: s.Elements(bits)},
			backend.Eval{T: v, Point: shared[:bits]},
			backend.Eval{T: s.tensor(shape, 8), Point: shared[:bits]},
		)
	}
	evaluate := func(r backend.Run, change func(*integer.Tensor) *integer.Tensor) []field.Element {
		own := slices.Clone(evals)
		for i := range own {
			own[i].T = r.Load(change(own[i].T.(*integer.Tensor)))
		}
		return r.EvalMany(own)
	}
	same := func(t *integer.Tensor) *integer.Tensor { return t }
	want := evaluate(ref, same)
	equal(t, "evaluations", want, evaluate(cand, same))
	equal(t, "evaluations of tensors of 16 bits and 32", want, evaluate(cand, short))
	equal(t, "evaluations of tensors of 16 bits and 32, by the reference", want, evaluate(ref, short))
	equal(t, "none", nil, cand.EvalMany(nil))
}

// partialCase is one way to fold a tensor: per label its extent and f (folded), 1 (folded with ones) or v (variable); order
// lists the variable labels as they take up result bits, lowest first.
type partialCase struct {
	extents []int
	kinds   string
	order   []int
	spare   int // result bits that no label uses
}

func partials(t *testing.T, s *Source, ref, cand backend.Run) {
	for _, c := range []partialCase{
		{nil, "", nil, 0},
		{nil, "", nil, 2},
		{[]int{5}, "f", nil, 0},
		{[]int{5}, "1", nil, 0},
		{[]int{5}, "v", []int{0}, 0},
		{[]int{7, 9}, "fv", []int{1}, 0},
		{[]int{7, 9}, "vf", []int{0}, 0},
		{[]int{7, 9}, "v1", []int{0}, 0},
		{[]int{7, 9}, "1v", []int{1}, 1},
		{[]int{7, 9}, "vv", []int{1, 0}, 0},
		{[]int{7, 9}, "vv", []int{0, 1}, 0},
		{[]int{3, 64, 5}, "fvf", []int{1}, 0},
		{[]int{3, 64, 5}, "vfv", []int{2, 0}, 0},
		{[]int{3, 64, 5}, "vfv", []int{0, 2}, 0},
		{[]int{1, 4, 1, 6}, "vffv", []int{3, 0}, 0},
		{[]int{2, 3, 4, 5}, "fv1f", []int{1}, 0},
		{[]int{2, 3, 4, 5}, "ffff", nil, 0},
		{[]int{2, 3, 4, 5}, "vvvv", []int{2, 0, 3, 1}, 1},
		{[]int{130, 200}, "fv", []int{1}, 0},
		{[]int{130, 200}, "vf", []int{0}, 0},
		{[]int{4, 40, 50}, "vvf", []int{1, 0}, 0},
		{[]int{40, 4, 50}, "fvv", []int{2, 1}, 0},
		{[]int{70, 100}, "vv", []int{1, 0}, 0},
	} {
		t.Run(fmt.Sprintf("%v%s%v", c.extents, c.kinds, c.order), func(t *testing.T) {
			for _, bits := range []int{7, 16, 62} {
				comparePartial(t, s, ref, cand, c, bits)
			}
		})
	}
}

func comparePartial(t *testing.T, s *Source, ref, cand backend.Run, c partialCase, bits int) {
	labels := make([]backend.Label, len(c.extents))
	for i, d := range c.extents {
		labels[i] = backend.Label{Extent: d, Var: -1}
		if c.kinds[i] == 'f' {
			labels[i].Point = s.Edgy(log2(d))
		}
	}
	next := 0
	for _, i := range c.order {
		labels[i].Var = next
		next += log2(c.extents[i])
	}
	v := s.tensor(c.extents, bits)
	// The tensor's own shape need not be the labels': only the order of the values counts.
	v.Shape = []int{len(v.V)}
	of := func(r backend.Run, tensors ...*integer.Tensor) []backend.Vector {
		var all []backend.Partial
		for _, t := range tensors {
			all = append(all, backend.Partial{T: r.Load(t), Labels: labels, Bits: next + c.spare})
		}
		return r.Partials(all)
	}
	equalVectors(t, "partial, also of 16 bits and 32", ref, cand, of(ref, v, v), of(cand, v, short(v)))
}

// copyElements protects an input that a method may consume.
func copyElements(v []field.Element) []field.Element { return append([]field.Element(nil), v...) }
