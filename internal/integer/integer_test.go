package integer

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWords puts the words of wide tensors together again, of cells of up to 125 bits; a tensor that is not wide is its own lower words.
func TestWords(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	x := Tensor{Shape: []int{7, 100}, V: make([]int64, 700), High: make([]int64, 700)}
	for i := range x.V {
		x.V[i], x.High[i] = int64(rng.Uint64()), (rng.Int64N(1<<61)-1<<60)>>rng.IntN(61)
	}
	copy(x.V, []int64{0, -1, math.MinInt64, math.MaxInt64, math.MinInt64, 1 << 62})
	copy(x.High, []int64{0, 0, 0, 0, 1<<60 - 1, -1 << 60})
	join := func(low, high int64, bits uint) *big.Int {
		y := new(big.Int).Lsh(big.NewInt(high), bits)
		return y.Add(y, big.NewInt(low))
	}
	low, high := x.Words()
	for i := range x.V {
		if low.V[i] < 0 || low.V[i] >= 1<<WordBits || join(low.V[i], high.V[i], WordBits).Cmp(join(x.V[i], x.High[i], 64)) != 0 {
			t.Fatalf("%d + 2^64·%d is %d + 2^%d·%d", x.V[i], x.High[i], low.V[i], WordBits, high.V[i])
		}
	}
	narrow := Tensor{Shape: []int{1}, V: []int64{-5}}
	if low, high := narrow.Words(); low != &narrow || high != nil {
		t.Error("a tensor that is not wide is cut")
	}
}

// TestShorten: values that fit 16 bits, or 32, all of them, are kept in as many, and are the same.
func TestShorten(t *testing.T) {
	for _, test := range []struct {
		v    []int64
		bits int
	}{
		{[]int64{0, 1<<15 - 1, -1 << 15}, 16}, {[]int64{5, 1 << 15}, 32}, {[]int64{-1<<15 - 1}, 32}, {[]int64{1<<31 - 1, -1 << 31}, 32},
		{[]int64{1 << 31}, 64}, {[]int64{7, -1<<31 - 1}, 64}, {[]int64{1 << 40}, 64}, {[]int64{}, 16},
	} {
		x := Tensor{Shape: []int{len(test.v)}, V: test.v}
		x.Shorten()
		require.Equal(t, []bool{test.bits == 16, test.bits == 32, test.bits == 64}, []bool{x.Short != nil, x.Mid != nil, x.V != nil})
		require.Equal(t, len(test.v), x.Len())
		require.Equal(t, test.v, x.All())
		x.Shorten()
		require.Equal(t, test.v, x.All())
		if part := x.Run(0, len(test.v)/2); len(test.v) > 1 {
			require.Equal(t, test.v[:len(test.v)/2], part.All())
		}
	}
	wide := Tensor{Shape: []int{1}, V: []int64{1}, High: []int64{1}}
	wide.Shorten()
	require.Equal(t, []int64{1}, wide.V)
}

// TestOutside finds the first cell beyond either end of a range, in either type.
func TestOutside(t *testing.T) {
	for _, test := range []struct {
		v      []int64
		lo, hi int64
		at     int
	}{
		{nil, 0, 0, -1}, {[]int64{-3, 4, 0}, -3, 4, -1}, {[]int64{-3, 4, 0}, -2, 4, 0}, {[]int64{-3, 0, 4, 5}, -3, 3, 2},
		{[]int64{1<<15 - 1, -1 << 15}, -1<<15 + 1, 1 << 40, 1}, {[]int64{1<<15 - 1, -1 << 15}, math.MinInt64, math.MaxInt64, -1},
	} {
		long, mid, short := Tensor{V: test.v}, Tensor{}, Tensor{}
		for _, x := range test.v {
			mid.Mid, short.Short = append(mid.Mid, int32(x)), append(short.Short, int16(x))
		}
		require.Equal(t, test.at, long.Outside(test.lo, test.hi))
		require.Equal(t, test.at, mid.Outside(test.lo, test.hi))
		require.Equal(t, test.at, short.Outside(test.lo, test.hi))
	}
	far := Tensor{V: []int64{0, math.MinInt64, math.MaxInt64}}
	require.Equal(t, 1, far.Outside(-1, math.MaxInt64))
}
