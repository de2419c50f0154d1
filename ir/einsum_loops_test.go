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
		if err := addTerm(nil, fast, &term, in, nil); err != nil {
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
	return sumBig(nil, []Term{*term}, func(*Term) [][]int64 { return in }, n)
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
	axes := func() [][]int {
		var out [][]int
		for _, l := range r.Perm(labels)[:r.Intn(labels+1)] {
			if len(out) > 0 && r.Intn(3) == 0 {
				out[len(out)-1] = append(out[len(out)-1], l)
			} else {
				out = append(out, []int{l})
			}
		}
		return out
	}
	for k := r.Intn(10); k >= 0; k-- {
		t.In, t.Axes = append(t.In, len(t.In)), append(t.Axes, axes())
	}
	t.Out = axes()
	return t
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
		if err := addTerm(nil, got, &term, in, nil); err != nil {
			t.Fatal(err)
		}
		newWalker(nil, want, &term, in).all(&term)
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
