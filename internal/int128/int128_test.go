package int128

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

var wrap = new(big.Int).Lsh(big.NewInt(1), 128)

// of is the integer that a stands for.
func of(a Int) *big.Int {
	x := new(big.Int).Lsh(big.NewInt(a.Hi), 64)
	return x.Add(x, new(big.Int).SetUint64(a.Lo))
}

// wrapped is x modulo 2^128, with sign.
func wrapped(x *big.Int) *big.Int {
	x = new(big.Int).Mod(x, wrap)
	if x.Bit(127) == 1 {
		x.Sub(x, wrap)
	}
	return x
}

// TestAgainstBig compares every operation with big integers, at the ends of ranges and in between.
func TestAgainstBig(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	ends := []int64{0, 1, -1, 2, -2, 1 << 32, -1 << 32, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1, math.MinInt64 + 1}
	word := func() int64 {
		if rng.IntN(2) == 0 {
			return ends[rng.IntN(len(ends))]
		}
		return int64(rng.Uint64()) >> rng.IntN(64)
	}
	for range 20000 {
		v, w := word(), word()
		a, b := Join(v, word()), Join(w, word())
		x, y := of(a), of(b)
		n := rng.Int64N(128)
		low, high := a.Split()
		for what, c := range map[string]struct{ got, want *big.Int }{
			"wrapped": {big.NewInt(a.Int64()), big.NewInt(int64(new(big.Int).And(x, new(big.Int).SetUint64(math.MaxUint64)).Uint64()))},
			"of":      {of(Of(v)), big.NewInt(v)},
			"join":    {of(Join(low, high)), x},
			"product": {of(Product(v, w)), new(big.Int).Mul(big.NewInt(v), big.NewInt(w))},
			"plus":    {of(a.Plus(b)), wrapped(new(big.Int).Add(x, y))},
			"minus":   {of(a.Minus(b)), wrapped(new(big.Int).Sub(x, y))},
			"times":   {of(a.Times(b)), wrapped(new(big.Int).Mul(x, y))},
			"shift":   {of(a.Shift(n)), new(big.Int).Rsh(x, uint(n))},
		} {
			if c.got.Cmp(c.want) != 0 {
				t.Fatalf("%s of %v, %v by %d: %v, want %v", what, x, y, n, c.got, c.want)
			}
		}
		if x.IsInt64() && (high != 0 || low != x.Int64()) {
			t.Fatalf("%v splits into %d and %d", x, low, high)
		}
		if a.Less(b) != (x.Cmp(y) < 0) {
			t.Fatalf("%v < %v is %v", x, y, a.Less(b))
		}
		lo, hi := min(v, w), max(v, w)
		want := x
		if want.Cmp(big.NewInt(lo)) < 0 {
			want = big.NewInt(lo)
		}
		if want.Cmp(big.NewInt(hi)) > 0 {
			want = big.NewInt(hi)
		}
		if got := a.Within(lo, hi); want.Cmp(big.NewInt(got)) != 0 {
			t.Fatalf("%v within [%d, %d] is %d", x, lo, hi, got)
		}
	}
}
