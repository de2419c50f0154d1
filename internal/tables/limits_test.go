package tables

import "testing"

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
	}{{0, 0, 1, true}, {0, 0, 30, true}, {0, 0, 0, false}, {0, 0, 31, false}, {1, 0, 1, false}, {maxInput - 1, maxInput - 1, 1, true}, {maxInput, maxInput, 1, false}} {
		if _, _, err := Pieces("silu", c.lo, c.hi, 5, c.low, 5); (err == nil) != c.ok {
			t.Errorf("pieces %+v: %v", c, err)
		}
	}
	refused := func(dbits, ebits int) (yes bool) {
		defer func() { yes = recover() != nil }()
		Exp(dbits, ebits, 1)
		return false
	}
	for _, c := range [][2]int{{-1, 0}, {25, 0}, {0, -1}, {0, 49}} {
		if !refused(c[0], c[1]) {
			t.Errorf("an exponential of %d to %d bits is accepted", c[0], c[1])
		}
	}
	if refused(0, 0) || refused(0, 48) {
		t.Error("exponentials of the largest size are refused")
	}
}
