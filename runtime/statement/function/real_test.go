package function

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/zkllmc/zkllmc/internal/circuit"
)

// nearest is x·2^scale rounded half to even, by arithmetic on fractions of any size.
func nearest(x float64, scale int) *big.Int {
	r := new(big.Rat).SetFloat64(x)
	two := new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(1), uint(max(scale, -scale))))
	if scale < 0 {
		two.Inv(two)
	}
	r.Mul(r, two)
	floor := new(big.Int).Div(r.Num(), r.Denom()) // Euclidean: the floor
	rest := new(big.Rat).Sub(r, new(big.Rat).SetInt(floor))
	switch rest.Cmp(big.NewRat(1, 2)) {
	case 1:
		floor.Add(floor, big.NewInt(1))
	case 0:
		if floor.Bit(0) == 1 {
			floor.Add(floor, big.NewInt(1))
		}
	}
	return floor
}

// The rounding of reals is that of exact arithmetic, on random bits, halves, and at the ends of the range.
func TestRound(t *testing.T) {
	check := func(x float64, scale int) {
		t.Helper()
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return
		}
		want := nearest(x, scale)
		got, exact, err := round(x, scale)
		switch inside := want.CmpAbs(new(big.Int).Lsh(big.NewInt(1), 62)) < 0; {
		case inside && (err != nil || got != want.Int64()):
			t.Errorf("%v·2^%d: %d, %v, want %v", x, scale, got, err, want)
		case !inside && !errors.Is(err, ErrRange):
			t.Errorf("%v·2^%d: %d, %v", x, scale, got, err)
		case inside && exact != (math.Ldexp(float64(got), -scale) == x) && want.BitLen() <= 53:
			t.Errorf("%v·2^%d is called exact: %v", x, scale, exact)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		check(math.Float64frombits(rng.Uint64()), rng.IntN(241)-120)
		check(rng.NormFloat64()*100, rng.IntN(40)-8)
		check((float64(rng.IntN(2000)-1000)+0.5)/8, 3)
	}
	for scale := -120; scale <= 120; scale++ {
		for e := -1074; e < 1024; e += 7 {
			check(math.Ldexp(1, e), scale)
			check(-math.Ldexp(1.5, e), scale)
		}
	}
	for _, x := range []float64{0, math.Copysign(0, -1), 0.5, 1.5, 2.5, -0.5, -1.5, math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 62, 1<<62 - 512, math.Nextafter(0.5, 0), math.Nextafter(0.5, 1)} {
		check(x, 0)
	}
}

// What a port does not take is an error, and nothing is clamped.
func TestElement(t *testing.T) {
	reals := &circuit.Port{Kind: circuit.Reals, Lo: -16, Hi: 15, Scale: 3}
	bits := &circuit.Port{Kind: circuit.Booleans, Hi: 1}
	for _, test := range []struct {
		p    *circuit.Port
		x    float64
		want int64
		err  error
	}{
		{reals, 1, 8, nil}, {reals, -2, -16, nil}, {reals, 1.875, 15, nil}, {reals, 0.0625, 0, nil}, {reals, 0.1875, 2, nil}, {reals, -0.1875, -2, nil},
		{reals, 1.9375, 0, ErrRange}, {reals, -2.0625, -16, nil}, {reals, -2.07, 0, ErrRange}, {reals, 1e300, 0, ErrRange},
		{reals, math.NaN(), 0, ErrNotFinite}, {reals, math.Inf(1), 0, ErrNotFinite}, {reals, math.Inf(-1), 0, ErrNotFinite},
		{bits, 1, 1, nil}, {bits, 0, 0, nil}, {bits, 0.5, 0, ErrInteger}, {bits, 2, 0, ErrRange}, {bits, -1, 0, ErrRange}, {bits, math.NaN(), 0, ErrNotFinite},
	} {
		got, err := Element(test.p, test.x)
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%v: %d, %v, want %d, %v", test.x, got, err, test.want, test.err)
		}
		if err == nil && test.p == reals && Number(reals, got) != math.Round(test.x*8)/8 && math.Abs(test.x*8-math.Trunc(test.x*8)) != 0.5 {
			t.Errorf("%v stands for %v", got, Number(reals, got))
		}
	}
}
