package tables

import (
	"math"
	"testing"
)

// Sizes at their limits and one beyond.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		lo, hi  int64
		in, out int
		ok      bool
	}{
		{-maxInput, 1 - maxInput, 0, 0, true}, {-maxInput - 1, -maxInput, 0, 0, false},
		{maxInput - 1, maxInput, 0, 0, true}, {maxInput, maxInput + 1, 0, 0, false},
		{0, 1, minInScale, minOutScale, true}, {0, 1, maxInScale, maxOutScale, true},
	} {
		if _, err := Eval("silu", c.lo, c.hi, c.in, c.out); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, c := range []struct {
		lo, hi int64
		low    int
		ok     bool
	}{{0, 0, 1, true}, {0, 0, 30, true}, {0, 0, 0, false}, {0, 0, 31, false}, {1, 0, 1, false}, {maxInput - 1, maxInput - 1, 1, true}, {maxInput, maxInput, 1, false}, {math.MaxInt64, math.MaxInt64, 1, false}} {
		if _, _, err := Pieces("silu", c.lo, c.hi, 5, c.low, 5); (err == nil) != c.ok {
			t.Errorf("pieces %+v: %v", c, err)
		}
	}
	for _, c := range []struct {
		dbits, ebits int
		unit         float64
		ok           bool
	}{
		{0, 0, 1, true}, {0, 48, 1, true}, {-1, 0, 1, false}, {25, 0, 1, false}, {0, -1, 1, false}, {0, 49, 1, false},
		{1, 1, LeastUnit, true}, {1, 1, math.Nextafter(LeastUnit, 0), false}, {1, 1, 0, false}, {1, 1, math.Copysign(0, -1), false}, {1, 1, -1, false},
		{1, 1, math.MaxFloat64, true}, {1, 1, math.Inf(1), false}, {1, 1, math.Inf(-1), false}, {1, 1, math.NaN(), false},
	} {
		if _, err := Exp(c.dbits, c.ebits, c.unit); (err == nil) != c.ok {
			t.Errorf("exponentials %+v: %v", c, err)
		}
	}
}
