package portable

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// distance is how many numbers lie between two, in units in the last place.
func distance(a, b float64) uint64 {
	if a == b || a != a && b != b {
		return 0
	}
	if a != a || b != b || math.Signbit(a) != math.Signbit(b) {
		return math.MaxUint64
	}
	x, y := math.Float64bits(a), math.Float64bits(b)
	return max(x, y) - min(x, y)
}

// TestLikeMath compares with package math over many magnitudes. That has errors of its own: math.Exp is infinite from 709.7 on and
// math.Log wrong for subnormal numbers on amd64, both good to some units elsewhere.
func TestLikeMath(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	special := []float64{0, math.Copysign(0, -1), 1, -1, 0.5, -0.5, 2, -2, 3, 20, -20, math.Pi, math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64,
		math.SmallestNonzeroFloat64, 1e-310, -1e-310, 709.7, 710, -745, -746, 0x1p-1022, 1e300, 1e22, math.Pi / 4, math.Nextafter(math.Pi/4, 1)}
	sample := func(i int) float64 {
		if i < len(special) {
			return special[i]
		}
		x := (rng.Float64() - 0.5) * math.Exp2(float64(rng.IntN(24)-12))
		if i%50 == 0 {
			x *= math.Exp2(float64(rng.IntN(2000) - 1000))
		}
		return x
	}
	for _, f := range []struct {
		name       string
		ours, math func(float64) float64
		within     uint64
	}{
		{"exp", Exp, math.Exp, 2}, {"log", Log, math.Log, 1}, {"sin", Sin, math.Sin, 2}, {"cos", Cos, math.Cos, 2},
		{"tanh", Tanh, math.Tanh, 6}, {"erf", Erf, math.Erf, 8}, {"atan", Atan, math.Atan, 6}, {"acos", Acos, math.Acos, 2},
		{"sigmoid", Sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, 3},
	} {
		for i := range 40000 {
			x := sample(i)
			if (f.name == "exp" || f.name == "sigmoid") && math.Abs(x) > 700 && math.Abs(x) < 750 || f.name == "log" && math.Abs(x) < 0x1p-1022 {
				continue
			}
			d := distance(f.ours(x), f.math(x))
			// math.Sin, Cos and Acos are good to 2^-52 absolutely, not relatively.
			if d > f.within && !(f.within == 2 && math.Abs(f.ours(x)-f.math(x)) < 3e-15) {
				t.Errorf("%s(%v) is %v, want %v: %d units", f.name, x, f.ours(x), f.math(x), d)
				break
			}
		}
	}
	for i := range 40000 {
		x, y := sample(i%len(special)+i/len(special)), sample(i/len(special))
		if i > 1000 {
			x, y = math.Abs(sample(i)), sample(i)
		}
		if d := distance(Pow(x, y), math.Pow(x, y)); d > 4096 && math.Abs(Pow(x, y)) > 1e-300 && !(math.Abs(y) > 1e3) {
			t.Errorf("%v^%v is %v, want %v: %d units", x, y, Pow(x, y), math.Pow(x, y), d)
			break
		}
		if d := distance(Atan2(x, y), math.Atan2(x, y)); d > 8 {
			t.Errorf("atan2(%v, %v) is %v, want %v", x, y, Atan2(x, y), math.Atan2(x, y))
			break
		}
	}
}

// TestSameBits fixes the bits of results of every branch: they are the same on every platform that runs this test. The true values,
// rounded, end in the digits on the right.
func TestSameBits(t *testing.T) {
	for _, c := range []struct {
		got  float64
		want string
	}{
		{Exp(1), "0x1.5bf0a8b14576ap+01"},               // 769
		{Exp(-700.25), "0x1.af5fe9a485c8ep-1011"},       // c8e
		{Exp(709.7), "0x1.d75ae7a50ee14p+1023"},         // e14
		{Log(10), "0x1.26bb1bbb55516p+01"},              // 516
		{Log(1e-310), "-0x1.64e69394d9508p+09"},         // 508
		{Sin(1e6), "-0x1.6664b2568d867p-02"},            // 867
		{Sin(1e22), "-0x1.b453ab76bf397p-01"},           // 397
		{Cos(1e300), "-0x1.2699022adc4c1p-01"},          // 4c1
		{Pow(10000, -0.03125), "0x1.7ff2224115d9ap-01"}, // d9a
		{Pow(1.1, 3), "0x1.54bc6a7ef9db4p+00"},          // db4
		{Tanh(0.1), "0x1.983d7795f413bp-04"},            // 13a
		{Tanh(1.5), "0x1.cf6f9786df577p-01"},            // 577
		{Erf(0.7), "0x1.5b08c21171647p-01"},             // 646
		{Erf(3.3), "0x1.ffff9966790c7p-01"},             // 0c8
		{Atan(0.3), "0x1.2a73a661eaf06p-02"},            // f06
		{Atan2(-3, -4), "-0x1.3fc176b7a856p+01"},        // 560
		{Acos(0.1), "0x1.787b22ce3f59p+00"},             // 590
	} {
		if got := fmt.Sprintf("%x", c.got); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// TestConversions are exact, or say that they are not.
func TestConversions(t *testing.T) {
	for _, c := range []struct {
		x  float64
		v  int64
		ok bool
	}{
		{1.9, 1, true}, {-1.9, -1, true}, {0x1p63, math.MaxInt64, false}, {-0x1p63, math.MinInt64, true}, {-0x1.8p63, math.MinInt64, false},
		{math.Inf(1), math.MaxInt64, false}, {math.Inf(-1), math.MinInt64, false}, {math.NaN(), 0, false}, {math.Nextafter(0x1p63, 0), 1<<63 - 1024, true},
	} {
		v, ok := Int64(c.x)
		if ok != c.ok || ok && v != c.v || Clamp(c.x) != c.v {
			t.Errorf("%v: %d, %v, %d", c.x, v, ok, Clamp(c.x))
		}
	}
}
