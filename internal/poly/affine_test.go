package poly

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/field"
)

// The walk gives what the cells of the indicator give, for equations that few, many and no indices solve, on boxes of any extents.
func TestEvalAffine(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	solved := 0
	for range 4000 {
		shape := make([]int, 1+rng.IntN(4))
		strides := make([]int64, len(shape))
		offset, n := rng.Int64N(41)-20, 0
		for a := range shape {
			shape[a] = 1 + rng.IntN([]int{2, 5, 17}[rng.IntN(3)])
			strides[a] = rng.Int64N(2*int64(1+rng.IntN(12))+1) - 6
			n += Log2Ceil(shape[a])
		}
		if rng.IntN(10) == 0 {
			offset *= 1 << 20
		}
		point := make([]Element, n)
		for i := range point {
			if point[i] = field.FromInt64(rng.Int64()); rng.IntN(6) == 0 {
				point[i] = field.FromInt64(rng.Int64N(2)) // a corner of the cube: also outside of the box
			}
		}
		cells := AffineCells(offset, strides, shape)
		for i, v := range cells {
			sum, at := offset, i
			for a := len(shape) - 1; a >= 0; a-- {
				sum += strides[a] * int64(at%shape[a])
				at /= shape[a]
			}
			require.Equal(t, sum == 0, v == 1, "cell %d of %v, %d %v", i, shape, offset, strides)
			solved += int(v)
		}
		want, got := EvalInts(cells, shape, point), EvalAffine(offset, strides, shape, point)
		require.True(t, want.Equal(&got), "offset %d, strides %v, shape %v", offset, strides, shape)
	}
	require.Greater(t, solved, 3000, "the equations are solved somewhere")
}

// The work of a slice of a long axis follows its bits, not its cells.
func TestAffineWork(t *testing.T) {
	for _, c := range []struct {
		offset  int64
		strides []int64
		shape   []int
		most    int64
	}{
		{0, []int64{1, -1}, []int{1 << 20, 1 << 20}, 20 * 4 * 3},
		{-768, []int64{1, -1}, []int{2304, 768}, 12 * 4 * 4 * 3},
		{3, []int64{-1, 2, 1}, []int{64, 32, 7}, 6 * 8 * 2 * 5},
	} {
		require.LessOrEqual(t, AffineWork(c.offset, c.strides, c.shape), c.most, "%v", c.shape)
	}
}

// What an evaluation keeps is bounded by its work: strides of 2^30 on axes of one bit are cheap.
func TestAffineMemory(t *testing.T) {
	half := []Element{field.Half, field.Half}
	for _, strides := range [][]int64{{1 << 30, -1 << 30}, {1 << 30, 1 << 30}, {-1 << 30, 1}} {
		shape := []int{2, 2}
		want, got := EvalInts(AffineCells(0, strides, shape), shape, half), EvalAffine(0, strides, shape, half)
		require.True(t, want.Equal(&got), "%v", strides)
		allocated := testing.AllocsPerRun(1, func() { EvalAffine(0, strides, shape, half) })
		require.Less(t, allocated, 100.0)
	}
}

func BenchmarkEvalAffine(b *testing.B) {
	shape := []int{2304, 768}
	point := make([]Element, 22)
	for i := range point {
		point[i] = field.FromInt64(int64(i)*12345678901 + 7)
	}
	for b.Loop() {
		EvalAffine(-768, []int64{1, -1}, shape, point)
	}
}

// AffineLower is what the cells say.
func TestAffineLower(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	lower := 0
	for range 3000 {
		var shape []int
		var strides []int64
		for range 2 + rng.IntN(2) {
			shape, strides = append(shape, 1+rng.IntN(6)), append(strides, rng.Int64N(7)-3)
		}
		offset := rng.Int64N(9) - 4
		p := rng.Perm(len(shape))
		row, col := p[0], p[1]
		want := true
		for i, v := range AffineCells(offset, strides, shape) {
			var x [3]int
			for a := len(shape) - 1; a >= 0; a-- {
				x[a] = i % shape[a]
				i /= shape[a]
			}
			want = want && (v == 0 || x[col] <= x[row])
		}
		if want {
			lower++
		}
		require.Equal(t, want, AffineLower(offset, strides, shape, row, col), "%d %v %v %d %d", offset, strides, shape, row, col)
	}
	require.Greater(t, lower, 500)
}
