package weights_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/weights"
)

// drawn are cells that single precision holds, or does not.
func drawn(n int, single bool) []float64 {
	rng := rand.New(rand.NewPCG(1, 2))
	x := make([]float64, n)
	for i := range x {
		if x[i] = rng.NormFloat64(); single {
			x[i] = float64(float32(x[i]))
		}
	}
	return x
}

// alike reads cells in parts of several sizes, in any order, and as a whole, and compares them with what they should be.
func alike[T any](t *testing.T, want []T, c weights.Cells[T]) {
	t.Helper()
	require.Equal(t, len(want), c.Len())
	all, err := weights.All(c)
	require.NoError(t, err)
	require.Equal(t, want, all)
	for _, part := range []int{1, 7, 100} {
		for from := len(want) / part * part; from >= 0; from -= part {
			got := make([]T, min(part, len(want)-from))
			require.NoError(t, c.Read(got, from))
			require.Equal(t, want[from:from+len(got)], got, "%d from %d on", part, from)
		}
	}
	next := 0
	require.NoError(t, weights.Each(c, func(from int, cells []T) error {
		require.Equal(t, next, from)
		next += len(cells)
		return nil
	}))
	require.Equal(t, len(want), next)
}

// Cells in memory are what they were, to the last bit, in half of theirs only where that holds all of them.
func TestCompact(t *testing.T) {
	negative := math.Copysign(0, -1)
	for _, x := range [][]float64{nil, {negative, 1e-45, -math.MaxFloat32}, drawn(300, true), drawn(300, false), {1, 0.1}, {1e300}} {
		alike[float64](t, append(make([]float64, 0), x...), weights.Compact(x))
	}
	cells, err := weights.All(weights.Compact([]float64{negative}))
	require.NoError(t, err)
	require.True(t, math.Signbit(cells[0]))
	x, y := drawn(9, true), drawn(9, true)
	require.True(t, weights.Identical[float64](weights.Held[float64](x), weights.Held[float64](x)))
	require.False(t, weights.Identical[float64](weights.Held[float64](x), weights.Held[float64](y)), "equal, elsewhere")
	single := weights.Compact(x)
	require.True(t, weights.Identical(single, single))
	require.False(t, weights.Identical(single, weights.Compact(x)))
	require.False(t, weights.Identical[float64](single, weights.Held[float64](x)))
}

// Powers of two go to the cells of their index, whatever part is read; of a scaled tensor scaled once more both count.
func TestScaled(t *testing.T) {
	const outer, axis, inner = 3, 5, 4
	x, by := drawn(outer*axis*inner, false), []int{0, 3, -2, 10, -60}
	want, twice := make([]float64, len(x)), make([]float64, len(x))
	for i, v := range x {
		want[i] = math.Ldexp(v, by[i/inner%axis])
		twice[i] = math.Ldexp(want[i], []int{1, 2, 3}[i/(axis*inner)])
	}
	scaled := weights.Scaled(weights.Held[float64](x), inner, by)
	alike[float64](t, want, scaled)
	alike[float64](t, twice, weights.Scaled(scaled, axis*inner, []int{1, 2, 3}))
}

// The corner of a box has the least indices on every axis.
func TestCorner(t *testing.T) {
	box := make(weights.Held[int16], 4*3*5)
	for i := range box {
		box[i] = int16(i)
	}
	for _, shape := range [][]int{{4, 3, 5}, {2, 3, 5}, {4, 2, 5}, {4, 3, 2}, {1, 2, 3}, {1, 1, 1}} {
		want := []int16{}
		for i := range shape[0] {
			for j := range shape[1] {
				for k := range shape[2] {
					want = append(want, int16((i*3+j)*5+k))
				}
			}
		}
		alike(t, want, weights.Corner[int16](box, []int{4, 3, 5}, shape))
	}
	require.True(t, weights.Identical[int16](box, weights.Corner[int16](box, []int{4, 3, 5}, []int{4, 3, 5})))
	alike(t, []int16{7}, weights.Corner[int16](weights.Held[int16]{7}, nil, nil))
}

// Integers are the nearest multiples of the unit, of two the even one, and the rest is what they leave: together they are the cells in the
// finer unit. One outside of the range is an error that names it.
func TestRounded(t *testing.T) {
	x := append(drawn(200, false), 0.5, 1.5, -0.5, -2.5)
	const unit, finer = 64, 7
	upper, lower := make([]int16, len(x)), make([]int16, len(x))
	for i, v := range x {
		upper[i] = int16(math.RoundToEven(v * unit))
		lower[i] = int16(math.RoundToEven(v*unit*(1<<finer)) - float64(upper[i])*(1<<finer))
		require.LessOrEqual(t, math.Abs(float64(lower[i])), float64(int(1)<<finer/2))
	}
	beyond := func(cell int, v int64) error { return errors.New("beyond") }
	r := weights.Rounding{Unit: unit, Lo: -1 << 15, Hi: 1<<15 - 1, Beyond: beyond}
	alike(t, upper, weights.Rounded(weights.Held[float64](x), r))
	r.Finer = finer
	alike(t, lower, weights.Rounded(weights.Held[float64](x), r))

	var cell int
	var value int64
	r = weights.Rounding{Unit: 1, Lo: -8, Hi: 7, Beyond: func(c int, v int64) error { cell, value = c, v; return errors.New("beyond") }}
	c := weights.Rounded(weights.Held[float64]{1, 7.4, 7.6, 2, -8.4, math.Inf(-1)}, r)
	require.NoError(t, c.Read(make([]int16, 2), 0))
	require.NoError(t, c.Read(make([]int16, 2), 3))
	require.ErrorContains(t, c.Read(make([]int16, 2), 1), "beyond")
	require.Equal(t, []int64{2, 8}, []int64{int64(cell), value})
	require.Error(t, c.Read(make([]int16, 1), 5))
	_, err := weights.All(c)
	require.Error(t, err)
}
