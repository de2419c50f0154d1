package matrix

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func never() error { return nil }

// real is a number of any magnitude, some of them such that sums overflow, vanish or have no value.
func real(rng *rand.Rand) float64 {
	switch rng.IntN(40) {
	case 0:
		return math.Float64frombits(rng.Uint64())
	case 1:
		return math.Copysign(0, -1)
	}
	return math.Ldexp(rng.Float64()-0.5, rng.IntN(60)-30)
}

func reals(rng *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = real(rng)
	}
	return x
}

// same says that numbers have the same bits, or are none both.
func same(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool {
		return math.Float64bits(x) == math.Float64bits(y) || x != x && y != y
	})
}

// The functions that a processor has vectors for give the bits of the portable one, which are those of a sum in order.
func TestTiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	kinds := vectors()
	for range 200 {
		n := rng.IntN(70)
		a, b, before := reals(rng, n*tileRows), reals(rng, n*tileCols), [tileRows * tileCols]float64(reals(rng, tileRows*tileCols))
		want := before
		for i := range want {
			for k := range n {
				want[i] += float64(a[k*tileRows+i/tileCols] * b[k*tileCols+i%tileCols])
			}
		}
		for name, f := range kinds {
			got := before
			f(n, a, b, &got)
			require.True(t, same(got[:], want[:]), "%s: %v, want %v", name, got, want)
		}
	}
}

// layout numbers the cells of a tensor with the given extents in an order of its axes that is drawn, with gaps, and returns the places
// along each axis.
func layout(rng *rand.Rand, extents ...int) (places [][]int, size int) {
	places, size = make([][]int, len(extents)), 1
	for _, axis := range rng.Perm(len(extents)) {
		for i := range extents[axis] {
			places[axis] = append(places[axis], i*size)
		}
		size = size*extents[axis] + rng.IntN(3)
	}
	return places, size
}

// anyProduct is one of up to three tensors A and B.
func anyProduct(rng *rand.Rand) *Product[float64] {
	t, rows, cols, sum := 1+rng.IntN(3), 1+rng.IntN(2*leastRows), 1+rng.IntN(300), 1+rng.IntN(blockSum/8)
	left, right := 1, 1
	switch rng.IntN(4) {
	case 0:
		sum += blockSum
	case 1:
		t, rows, cols = 1, rows+mostRows, 1+rng.IntN(50)
	default:
		t, left, right = 1, 1+rng.IntN(3), 1+rng.IntN(3)
	}
	p := &Product[float64]{Coef: real(rng)}
	a, na := layout(rng, t, rows, sum)
	b, nb := layout(rng, t, sum, cols)
	c, nc := layout(rng, t, rows, cols)
	p.A, p.B = tensors(rng, left, na), tensors(rng, right, nb)
	p.C = tensors(rng, len(p.A)*len(p.B), nc)
	p.Batch.A, p.Batch.B, p.Batch.C = a[0], b[0], c[0]
	p.Rows.A, p.Rows.C, p.Cols.B, p.Cols.C, p.Sum.A, p.Sum.B = a[1], c[1], b[2], c[2], a[2], b[1]
	return p
}

func tensors(rng *rand.Rand, n, cells int) (out [][]float64) {
	for range n {
		out = append(out, reals(rng, cells))
	}
	return out
}

func copies[T any](x [][]T) (out [][]T) {
	for _, cells := range x {
		out = append(out, slices.Clone(cells))
	}
	return out
}

// naive is the definition, with the cells of C that were there before.
func naive[T float64 | int64](p *Product[T], before [][]T) [][]T {
	out := copies(before)
	for x, a := range p.A {
		for y, b := range p.B {
			to := out[x*len(p.B)+y]
			for t := range p.Batch.A {
				for i := range p.Rows.A {
					for j := range p.Cols.B {
						at := p.Batch.C[t] + p.Rows.C[i] + p.Cols.C[j]
						for k := range p.Sum.A {
							scaled := T(p.Coef * a[p.Batch.A[t]+p.Rows.A[i]+p.Sum.A[k]])
							to[at] += T(scaled * b[p.Batch.B[t]+p.Sum.B[k]+p.Cols.B[j]])
						}
					}
				}
			}
		}
	}
	return out
}

// A product has the bits of its definition, in every layout, on one processor and on many.
func TestProducts(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	rng := rand.New(rand.NewPCG(3, 4))
	for range 16 {
		p := anyProduct(rng)
		before := copies(p.C)
		want := naive(p, before)
		for _, threads := range []int{1, 2, 7} {
			runtime.GOMAXPROCS(threads)
			p.C = copies(before)
			require.NoError(t, p.Add(never))
			require.True(t, slices.EqualFunc(p.C, want, same), "%d threads: %d·%d·%d·(%d×%d×%d)", threads, len(p.A), len(p.B), len(p.Batch.A), len(p.Rows.A), len(p.Sum.A), len(p.Cols.B))
		}
	}
}

// A product of integers is exact with the longest sums that Exact allows for their magnitudes, at the extremes of these, also where the
// coefficient leads beyond 2^53; what Exact refuses has no sums of sixteen.
func TestIntegers(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for _, c := range []struct {
		a, b  int64
		block int
	}{{0, 7, 512}, {1 << 15, 1 << 15, 512}, {1 << 22, 1 << 22, 512}, {1<<22 + 1, 1 << 22, 511}, {1 << 31, 1 << 18, 16}, {1<<24 - 1, 1 << 24, 32},
		{1 << 31, 1<<18 + 1, 0}, {1 << 62, 1, 0}, {1 << 62, 1 << 62, 0}} {
		shape := anyProduct(rng)
		p := &Product[int64]{Coef: 1<<40 + 3, Batch: shape.Batch, Rows: shape.Rows, Cols: shape.Cols, Sum: shape.Sum}
		p.A, p.B, p.C = integersLike(shape.A), integersLike(shape.B), integersLike(shape.C)
		require.Equal(t, c.block > 0, p.Exact(c.a, c.b), "%+v", c)
		require.Equal(t, c.block, p.block, "%+v", c)
		if c.block == 0 {
			continue
		}
		sign := int64(1)
		for _, x := range p.A {
			for i := range x {
				if x[i] = c.a; i%97 == 0 {
					x[i] = -c.a + min(c.a, 1)
				}
			}
		}
		for _, x := range p.B {
			for i := range x {
				if x[i] = sign * c.b; i%89 == 0 {
					sign = -sign
				}
			}
		}
		for _, x := range p.C {
			for i := range x {
				x[i] = rng.Int64()
			}
		}
		want := naive(p, p.C)
		require.NoError(t, p.Add(never))
		require.Equal(t, want, p.C, "%+v", c)
	}
}

func integersLike(x [][]float64) (out [][]int64) {
	for _, cells := range x {
		out = append(out, make([]int64, len(cells)))
	}
	return out
}

// Nothing is added over empty axes but to nothing, and the error of who is asked ends a product.
func TestEmptyAndCancelled(t *testing.T) {
	p := anyProduct(rand.New(rand.NewPCG(5, 6)))
	before := copies(p.C)
	require.ErrorIs(t, p.Add(func() error { return context.Canceled }), context.Canceled)
	require.True(t, slices.EqualFunc(p.C, before, same))
	failing := errors.New("nobody waits")
	var calls atomic.Int32
	require.ErrorIs(t, p.Add(func() error { calls.Add(1); return failing }), failing)
	require.Positive(t, calls.Load())
	q := *p
	q.Sum.A, q.Sum.B = nil, nil
	require.NoError(t, q.Add(never))
	require.True(t, slices.EqualFunc(p.C, before, same))
	q.Rows.A, q.Rows.C = nil, nil
	require.NoError(t, q.Add(never))
}

// Products of the size that a language model of 135 million parameters has in its feed-forward layers, with 64 tokens of one input and of
// six; weights stand as [out, in] and [in, out].
func BenchmarkProduct(b *testing.B) {
	const rows, sum, cols = 64, 576, 1536
	line := func(n, step int) (out []int) {
		for i := range n {
			out = append(out, i*step)
		}
		return out
	}
	for _, inputs := range []int{1, 6} {
		p := &Product[float64]{Coef: 1, B: [][]float64{make([]float64, sum*cols)}}
		for range inputs {
			p.A, p.C = append(p.A, make([]float64, rows*sum)), append(p.C, make([]float64, rows*cols))
		}
		p.Batch.A, p.Batch.B, p.Batch.C = []int{0}, []int{0}, []int{0}
		p.Rows.A, p.Rows.C, p.Cols.C, p.Sum.A = line(rows, sum), line(rows, cols), line(cols, 1), line(sum, 1)
		for name, steps := range map[string][2]int{"out,in": {sum, 1}, "in,out": {1, cols}} {
			p.Cols.B, p.Sum.B = line(cols, steps[0]), line(sum, steps[1])
			b.Run(fmt.Sprintf("%d/%s", inputs, name), func(b *testing.B) {
				for b.Loop() {
					_ = p.Add(never)
				}
				b.ReportMetric(float64(b.N)*float64(inputs)*rows*sum*cols/b.Elapsed().Seconds()/1e9, "Gproducts/s")
			})
		}
	}
}
