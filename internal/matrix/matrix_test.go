package matrix

import (
	"context"
	"errors"
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

func anyProduct(rng *rand.Rand) *Product[float64] {
	t, rows, cols, sum := 1+rng.IntN(3), 1+rng.IntN(2*blockRows), 1+rng.IntN(300), 1+rng.IntN(blockSum/8)
	if rng.IntN(4) == 0 {
		sum += blockSum
	}
	p := &Product[float64]{Coef: real(rng)}
	a, na := layout(rng, t, rows, sum)
	b, nb := layout(rng, t, sum, cols)
	c, nc := layout(rng, t, rows, cols)
	p.A, p.B, p.C = reals(rng, na), reals(rng, nb), reals(rng, nc)
	p.Batch.A, p.Batch.B, p.Batch.C = a[0], b[0], c[0]
	p.Rows.A, p.Rows.C, p.Cols.B, p.Cols.C, p.Sum.A, p.Sum.B = a[1], c[1], b[2], c[2], a[2], b[1]
	return p
}

// naive is the definition.
func naive(p *Product[float64]) []float64 {
	out := slices.Clone(p.C)
	for t := range p.Batch.A {
		for i := range p.Rows.A {
			for j := range p.Cols.B {
				at := p.Batch.C[t] + p.Rows.C[i] + p.Cols.C[j]
				for k := range p.Sum.A {
					x := float64(p.Coef * p.A[p.Batch.A[t]+p.Rows.A[i]+p.Sum.A[k]])
					out[at] += float64(x * p.B[p.Batch.B[t]+p.Sum.B[k]+p.Cols.B[j]])
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
		want, before := naive(p), slices.Clone(p.C)
		for _, threads := range []int{1, 2, 7} {
			runtime.GOMAXPROCS(threads)
			copy(p.C, before)
			require.NoError(t, p.Add(never))
			require.True(t, same(p.C, want), "%d threads: %d·(%d×%d×%d)", threads, len(p.Batch.A), len(p.Rows.A), len(p.Sum.A), len(p.Cols.B))
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
		p := &Product[int64]{Coef: 1<<40 + 3, A: make([]int64, len(shape.A)), B: make([]int64, len(shape.B)), C: make([]int64, len(shape.C)),
			Batch: shape.Batch, Rows: shape.Rows, Cols: shape.Cols, Sum: shape.Sum}
		require.Equal(t, c.block > 0, p.Exact(c.a, c.b), "%+v", c)
		require.Equal(t, c.block, p.block, "%+v", c)
		if c.block == 0 {
			continue
		}
		sign := int64(1)
		for i := range p.A {
			if p.A[i] = c.a; i%97 == 0 {
				p.A[i] = -c.a + min(c.a, 1)
			}
		}
		for i := range p.B {
			if p.B[i] = sign * c.b; i%89 == 0 {
				sign = -sign
			}
		}
		for i := range p.C {
			p.C[i] = rng.Int64()
		}
		want := slices.Clone(p.C)
		for t := range p.Batch.A {
			for i := range p.Rows.A {
				for j := range p.Cols.B {
					for k := range p.Sum.A {
						want[p.Batch.C[t]+p.Rows.C[i]+p.Cols.C[j]] += p.Coef * p.A[p.Batch.A[t]+p.Rows.A[i]+p.Sum.A[k]] * p.B[p.Batch.B[t]+p.Sum.B[k]+p.Cols.B[j]]
					}
				}
			}
		}
		require.NoError(t, p.Add(never))
		require.Equal(t, want, p.C, "%+v", c)
	}
}

// Nothing is added over empty axes but to nothing, and the error of who is asked ends a product.
func TestEmptyAndCancelled(t *testing.T) {
	p := anyProduct(rand.New(rand.NewPCG(5, 6)))
	before := slices.Clone(p.C)
	require.ErrorIs(t, p.Add(func() error { return context.Canceled }), context.Canceled)
	require.True(t, same(p.C, before))
	failing := errors.New("nobody waits")
	var calls atomic.Int32
	require.ErrorIs(t, p.Add(func() error { calls.Add(1); return failing }), failing)
	require.Positive(t, calls.Load())
	q := *p
	q.Sum.A, q.Sum.B = nil, nil
	require.NoError(t, q.Add(never))
	require.True(t, same(p.C, before))
	q.Rows.A, q.Rows.C = nil, nil
	require.NoError(t, q.Add(never))
}

// A product of the size that a language model of 135 million parameters has in its feed-forward layers, with 64 tokens; weights stand as
// [out, in].
func BenchmarkProduct(b *testing.B) {
	const rows, sum, cols = 64, 576, 1536
	p := &Product[float64]{Coef: 1, A: make([]float64, rows*sum), B: make([]float64, sum*cols), C: make([]float64, rows*cols)}
	line := func(n, step int) (out []int) {
		for i := range n {
			out = append(out, i*step)
		}
		return out
	}
	p.Batch.A, p.Batch.B, p.Batch.C = []int{0}, []int{0}, []int{0}
	p.Rows.A, p.Rows.C, p.Cols.C, p.Sum.A = line(rows, sum), line(rows, cols), line(cols, 1), line(sum, 1)
	for name, steps := range map[string][2]int{"out,in": {sum, 1}, "in,out": {1, cols}} {
		p.Cols.B, p.Sum.B = line(cols, steps[0]), line(sum, steps[1])
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_ = p.Add(never)
			}
			b.ReportMetric(float64(b.N)*rows*sum*cols/b.Elapsed().Seconds()/1e9, "Gproducts/s")
		})
	}
}
