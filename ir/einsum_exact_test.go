package ir

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestExactSums adds up numbers that lie up to 2^200 apart, with others that take most of them off again, and compares with big numbers.
func TestExactSums(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		var e exact
		want := new(big.Float).SetPrec(4000)
		for range 1 + rng.IntN(6) {
			x := math.Ldexp(rng.Float64()-0.5, rng.IntN(200)-100)
			for _, y := range []float64{x, -x, math.Ldexp(rng.Float64(), -30)}[:1+rng.IntN(3)] {
				e.add(y)
				want.Add(want, new(big.Float).SetFloat64(y))
			}
		}
		if sum, _ := want.Float64(); math.Abs(e.rounded()-sum) > math.Abs(sum)*0x1p-51 {
			t.Fatalf("%g, want %g", e.rounded(), sum)
		}
	}
}

// TestSumsThatCancel runs c·x + y − c·y, and the same in every other order, beside numbers that leave nothing of x in a sum; two runs side by
// side give the same bits.
func TestSumsThatCancel(t *testing.T) {
	const n = 4
	x, y, c := []float64{0.3, -7, 1e-12, 5}, []float64{-1e30, math.MaxFloat32, 1e16, 1e200}, []float64{1, 1, 1, 0}
	want := []float64{0.3, -7, 1e-12, 1e200}
	axes, extents := IdentityAxes([]int{n})
	term := func(coef float64, in ...int) Term {
		t := Term{Coef: coef, Extents: extents, In: in, Out: axes}
		for range in {
			t.Axes = append(t.Axes, axes)
		}
		return t.Clone()
	}
	terms := []Term{term(1, 2, 0), term(1, 1), term(-1, 2, 1)}
	for _, order := range [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		g := &Graph{Stage: StageFloat}
		var in []ValueID
		for range 3 {
			in = append(in, g.Add(OpConst, "", "x", []int{n}, nil, nil).ID)
		}
		v := g.Add(OpEinsum, "", "chosen", []int{n}, in, &EinsumAttr{Terms: []Term{terms[order[0]], terms[order[1]], terms[order[2]]}})
		runs, cells := []*Run{{Graph: g}, {Graph: g}}, [][][]float64{{x, y, c}, {x, y, c}}
		got, err := Floats(runs, v.Def, cells)
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range got {
			for i, z := range run[0] {
				if z != want[i] {
					t.Errorf("in the order %v cell %d is %g, want %g", order, i, z, want[i])
				}
			}
		}
	}
}
