package ir

import (
	"math"
	"math/rand"
	"slices"
	"testing"
)

// TestEinsumPathsAgree compares the nested loops with the sums in big integers on random terms.
func TestEinsumPathsAgree(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	for round := 0; round < 200; round++ {
		term := anyTerm(r)
		var in [][]int64
		for _, axes := range term.Axes {
			x := make([]int64, cellsOf(term, axes))
			for i := range x {
				x[i] = int64(r.Intn(21) - 10)
			}
			in = append(in, x)
		}
		n := cellsOf(term, term.Out)
		fast := make([]int64, n)
		if err := addTerm(nil, &term, []operation[int64]{{in: in, out: fast}}, nil); err != nil {
			t.Fatal(err)
		}
		slow, err := intEinsumBig(&term, in, n)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(fast, slow) {
			t.Fatalf("got %v, want %v", fast, slow)
		}
	}
}

func intEinsumBig(term *Term, in [][]int64, n int) ([]int64, error) {
	cells := make([]bigCells, len(in))
	for k := range in {
		cells[k].v = in[k]
	}
	sums, err := sumBig(nil, []Term{*term}, cells, n)
	out := make([]int64, len(sums))
	for i := range sums {
		out[i] = sums[i].Int64()
	}
	return out, err
}

func cellsOf(t Term, axes [][]int) int {
	n := 1
	for _, a := range axes {
		n *= t.AxisExtent(a)
	}
	return n
}

func anyTerm(r *rand.Rand) Term {
	t := Term{ICoef: int64(r.Intn(5) - 2)}
	labels := 1 + r.Intn(4)
	for l := 0; l < labels; l++ {
		t.Extents = append(t.Extents, 1+r.Intn(4))
	}
	for k := r.Intn(10); k >= 0; k-- {
		t.In, t.Axes = append(t.In, len(t.In)), append(t.Axes, anyAxes(r, labels))
	}
	t.Out = anyAxes(r, labels)
	return t
}

// sameInteger compares the matrix products of a term over integers, some of them with magnitudes that need short sums or leave no room at
// all, with the loops.
func sameInteger(t *testing.T, term *Term, reals [][]float64) {
	term.ICoef = int64(term.Coef)
	var in [][]int64
	for k, x := range reals {
		in = append(in, make([]int64, len(x)))
		for i, v := range x {
			in[k][i] = int64(v) << (len(x) % 30)
		}
	}
	want, got := make([]int64, cellsOf(*term, term.Out)), make([]int64, cellsOf(*term, term.Out))
	newWalker(nil, term, &operation[int64]{in: in, out: want}).all(term)
	if err := addProducts(nil, term, []operation[int64]{{in: in, out: got}}, nil); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%+v: %v, want %v", term, got, want)
	}
}

// inParts computes a term again with one operand or both elsewhere, alone and side by side with a run in which what is not elsewhere has other
// cells. It returns how often less than all of an operand was read.
func inParts(t *testing.T, term *Term, in [][]float64, before, want []float64) (parts int) {
	for elsewhere := 1; elsewhere < 4; elsewhere++ {
		given, other, from := slices.Clone(in), slices.Clone(in), make([]*reader[float64], 2)
		for k := range in {
			if elsewhere>>k&1 == 0 {
				other[k] = slices.Clone(in[k])
				slices.Reverse(other[k])
				continue
			}
			given[k], from[k] = nil, &reader[float64]{read: func(dst []float64, at int) error {
				if len(dst) < len(in[k]) {
					parts++
				}
				if n := copy(dst, in[k][at:]); n < len(dst) {
					t.Fatalf("%+v: %d cells are read from %d on", term, len(dst), at)
				}
				return nil
			}}
		}
		second := operation[float64]{in: other, out: slices.Clone(before)}
		if err := addProducts(nil, term, []operation[float64]{second}, nil); err != nil {
			t.Fatal(err)
		}
		beside := slices.Clone(other)
		for k := range given {
			if given[k] == nil {
				beside[k] = nil
			}
		}
		for _, part := range []int{1, 5, 40} {
			alone := []operation[float64]{{in: given, out: slices.Clone(before)}}
			both := []operation[float64]{{in: given, out: slices.Clone(before)}, {in: beside, out: slices.Clone(before)}}
			for _, runs := range [][]operation[float64]{alone, both}[btoi(part != 5):] {
				if err := addStored(nil, term, runs, from, part); err != nil {
					t.Fatal(err)
				}
				for r, want := range [][]float64{want, second.out}[:len(runs)] {
					if !slices.Equal(runs[r].out, want) {
						t.Fatalf("%+v: run %d of %d in parts of %d %v, want %v", term, r, len(runs), part, runs[r].out, want)
					}
				}
			}
		}
	}
	return parts
}

// anyMatrices is a term of two operands whose labels mostly have a place in matrix products.
func anyMatrices(r *rand.Rand) Term {
	t := Term{Coef: float64(r.Intn(5) - 2), In: []int{0, 1}}
	var has [3][]int // labels of the operands and of the result
	for l := range 2 + r.Intn(4) {
		t.Extents = append(t.Extents, 1+r.Intn(18))
		in := []int{0b011, 0b011, 0b101, 0b110, 0b101, 0b110, 0b111, 0b001, 0b010, 0b100}[r.Intn(10)]
		for k := range has {
			if in>>k&1 == 1 {
				has[k] = append(has[k], l)
			}
		}
	}
	axes := func(labels []int) (out [][]int) {
		for _, i := range r.Perm(len(labels)) {
			if len(out) > 0 && r.Intn(3) == 0 {
				out[len(out)-1] = append(out[len(out)-1], labels[i])
			} else {
				out = append(out, []int{labels[i]})
			}
		}
		return out
	}
	t.Axes, t.Out = [][][]int{axes(has[0]), axes(has[1])}, axes(has[2])
	return t
}

func anyAxes(r *rand.Rand, labels int) (out [][]int) {
	for _, l := range r.Perm(labels)[:r.Intn(labels+1)] {
		if len(out) > 0 && r.Intn(3) == 0 {
			out[len(out)-1] = append(out[len(out)-1], l)
		} else {
			out = append(out, []int{l})
		}
	}
	return out
}

// TestPairwiseRounds computes products of several operands, which are taken two at a time where that is cheaper, and compares with the
// sum over all labels at once.
func TestPairwiseRounds(t *testing.T) {
	r := rand.New(rand.NewSource(5))
	cut := 0
	for range 300 {
		term := anyTerm(r)
		term.Coef = r.NormFloat64()
		var in [][]float64
		for _, axes := range term.Axes {
			x := make([]float64, cellsOf(term, axes))
			for i := range x {
				x[i] = r.NormFloat64()
			}
			in = append(in, x)
		}
		if len(term.Pairwise(nil)) > 1 {
			cut++
		}
		got, want := make([]float64, cellsOf(term, term.Out)), make([]float64, cellsOf(term, term.Out))
		if err := addTerm(nil, &term, []operation[float64]{{in: in, out: got}}, nil); err != nil {
			t.Fatal(err)
		}
		newWalker(nil, &term, &operation[float64]{in: in, out: want}).all(&term)
		for i := range want {
			if math.Abs(got[i]-want[i]) > 1e-12*(1+math.Abs(want[i])) {
				t.Fatalf("%+v: cell %d is %g, want %g", term, i, got[i], want[i])
			}
		}
	}
	if cut < 20 {
		t.Errorf("only %d terms were cut", cut)
	}
}

// TestMatricesAreLoops computes terms of two operands as matrix products and compares with the loops over their labels: with integers,
// whose sums are exact, cell by cell, and with reals up to their rounding. Rows, columns, batches, labels that one operand sums alone and
// labels that none has occur in all layouts. With operands that are read in parts, of whatever size, the results have the same bits.
func TestMatricesAreLoops(t *testing.T) {
	r := rand.New(rand.NewSource(7))
	matrices, parts := 0, 0
	for round := range 1500 {
		term := anyMatrices(r)
		exact := round%2 == 0
		cell := func() float64 {
			if exact {
				return float64(r.Intn(41) - 20)
			}
			return r.Float64() - 0.5
		}
		in := [][]float64{make([]float64, cellsOf(term, term.Axes[0])), make([]float64, cellsOf(term, term.Axes[1]))}
		for _, x := range in {
			for i := range x {
				x[i] = cell()
			}
		}
		want := make([]float64, cellsOf(term, term.Out))
		for i := range want {
			want[i] = cell()
		}
		got := slices.Clone(want)
		newWalker(nil, &term, &operation[float64]{in: in, out: want}).all(&term)
		before := slices.Clone(got)
		m := matricesOf(&term, []operation[float64]{{in: in, out: got}}, -1, nil)
		if m == nil {
			continue
		}
		if err := m.add(nil, wholeSpans(&term), nil); err != nil {
			t.Fatal(err)
		}
		matrices++
		if round%8 < 2 {
			parts += inParts(t, &term, in, before, got)
		}
		if exact {
			sameInteger(t, &term, in)
		}
		for i := range want {
			if d := math.Abs(got[i] - want[i]); d > 1e-11 || exact && d > 0 {
				t.Fatalf("%+v: cell %d is %v, want %v", term, i, got[i], want[i])
			}
		}
	}
	if matrices < 100 {
		t.Errorf("%d matrix products", matrices)
	}
	if parts < 100 {
		t.Errorf("%d reads of a part", parts)
	}
}
