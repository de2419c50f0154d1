package poly

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/zkllmc/zkllmc/internal/field"
)

func random(r *rand.Rand, n int) []Element {
	out := make([]Element, n)
	for i := range out {
		var b [48]byte
		for k := range b {
			b[k] = byte(r.Uint32())
		}
		out[i] = field.Uniform(b[:])
	}
	return out
}

// eqNaive is the definition of eq at an index.
func eqNaive(point []Element, idx int) Element {
	acc, one := field.One(), field.One()
	for i, x := range point {
		if idx>>i&1 == 0 {
			x.Sub(&one, &x)
		}
		acc.Mul(&acc, &x)
	}
	return acc
}

// cube returns an index as a point of the cube.
func cube(idx, n int) []Element {
	out := make([]Element, n)
	for i := range out {
		out[i] = field.FromInt64(int64(idx >> i & 1))
	}
	return out
}

func TestLog2Ceil(t *testing.T) {
	for d, want := range map[int]int{0: 0, 1: 0, 2: 1, 3: 2, 4: 2, 5: 3, 8: 3, 9: 4, 1 << 20: 20, 1<<20 + 1: 21, 1 << 30: 30, 1<<30 + 1: 31, math.MaxInt: bits.UintSize - 1} {
		if got := Log2Ceil(d); got != want {
			t.Errorf("Log2Ceil(%d) = %d", d, got)
		}
	}
}

func TestEq(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{0, 1, 2, 5, chunkBits, chunkBits + 1, 12, 13, 14} {
		point := random(r, n)
		table := Eq(point)
		if len(table) != 1<<n {
			t.Fatalf("n = %d: %d entries", n, len(table))
		}
		for i := 0; i < len(table); i += 1 + len(table)/300 {
			want := eqNaive(point, i)
			if !table[i].Equal(&want) {
				t.Fatalf("n = %d, entry %d", n, i)
			}
			if got := EqIndex(point, uint64(i)); !got.Equal(&want) {
				t.Fatalf("EqIndex, n = %d, entry %d", n, i)
			}
			if got := EqAt(point, cube(i, n)); !got.Equal(&want) {
				t.Fatalf("EqAt, n = %d, entry %d", n, i)
			}
		}
		if got := EqIndex(point, 1<<n); !got.IsZero() {
			t.Fatal("EqIndex outside the cube")
		}
		a, b := random(r, n), random(r, n)
		want := field.InnerProduct(Eq(a), Eq(b))
		if got := EqAt(a, b); !got.Equal(&want) {
			t.Fatalf("EqAt, n = %d", n)
		}
	}
	if got := EqIndex(random(r, 70), math.MaxUint64); got.IsZero() {
		t.Fatal("EqIndex of a long point")
	}
}

func TestValid(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 7 {
		a, b := random(r, n), random(r, n)
		ea, eb := Eq(a), Eq(b)
		var sum, pair Element
		for d := -1; d <= 1<<n+2; d++ {
			if d > 0 && d <= 1<<n {
				var p Element
				sum.Add(&sum, &ea[d-1])
				pair.Add(&pair, p.Mul(&ea[d-1], &eb[d-1]))
			}
			if got := Valid(a, d); !got.Equal(&sum) {
				t.Fatalf("Valid, n = %d, d = %d", n, d)
			}
			if got := ValidPair(a, b, d); !got.Equal(&pair) {
				t.Fatalf("ValidPair, n = %d, d = %d", n, d)
			}
		}
	}
}

// TestValidLong has more variables than an index has bits.
func TestValidLong(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	a, b := random(r, 70), random(r, 70)
	const d = 5
	var sum, pair, p Element
	for i := range uint64(d) {
		x, y := EqIndex(a, i), EqIndex(b, i)
		sum.Add(&sum, &x)
		pair.Add(&pair, p.Mul(&x, &y))
	}
	if got := Valid(a, d); !got.Equal(&sum) {
		t.Fatal("Valid")
	}
	if got := ValidPair(a, b, d); !got.Equal(&pair) {
		t.Fatal("ValidPair")
	}
}

func TestEvalInts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	shapes := [][]int{{}, {1}, {7}, {3, 5}, {1, 1, 4}, {2, 3, 4}, {5, 1, 3}, {5000}, {3, 2048}, {3, 2049}, {2, 1500, 3}, {700, 3, 5},
		{9, 33, 65}, {100, 1}, {40, 2047}, {2, 3000, 40}, {0, 4}, {4, 0}}
	for _, shape := range shapes {
		size := 1
		n := 0
		for _, d := range shape {
			size *= d
			n += Log2Ceil(d)
		}
		point, vals := random(r, n), make([]int64, size)
		for i := range vals {
			switch r.IntN(4) {
			case 0:
			case 1:
				vals[i] = r.Int64() - 1<<62
			default:
				vals[i] = int64(r.IntN(1<<16) - 1<<15)
			}
		}
		var want Element
		index := make([]int, len(shape))
		tables := make([][]Element, len(shape))
		for k, at := len(shape)-1, 0; k >= 0; k-- {
			bits := Log2Ceil(shape[k])
			tables[k] = Eq(point[at : at+bits])
			at += bits
		}
		for _, v := range vals {
			term := field.FromInt64(v)
			for k, i := range index {
				term.Mul(&term, &tables[k][i])
			}
			want.Add(&want, &term)
			for k := len(index) - 1; k >= 0; k-- {
				if index[k]++; index[k] < shape[k] {
					break
				}
				index[k] = 0
			}
		}
		if got := EvalInts(vals, shape, point); !got.Equal(&want) {
			t.Errorf("shape %v", shape)
		}
	}
}

// horner evaluates a polynomial given by coefficients.
func horner(c []Element, x Element) Element {
	var y Element
	for i := len(c) - 1; i >= 0; i-- {
		y.Mul(&y, &x)
		y.Add(&y, &c[i])
	}
	return y
}

// TestExtrapolate continues x³ − 2x + 1 from its values at 0 … 3, and a constant.
func TestExtrapolate(t *testing.T) {
	f := func(x int64) int64 { return x*x*x - 2*x + 1 }
	vals := make([]Element, 4)
	for i := range vals {
		vals[i].SetInt64(f(int64(i)))
	}
	for i, v := range Extrapolate(vals, 9) {
		if want := field.FromInt64(f(int64(i))); v != want {
			t.Errorf("value at %d is %s, want %s", i, v.String(), want.String())
		}
	}
	for _, v := range Extrapolate(vals[:1], 3) {
		if v != vals[0] {
			t.Errorf("a constant goes on with %s", v.String())
		}
	}
	if n := len(Extrapolate(vals, 2)); n != len(vals) {
		t.Errorf("%d values left of %d", n, len(vals))
	}
}

func TestLagrange(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	for _, d := range []int{0, 1, 2, 3, 7, 31, 32, 33, 100} {
		coef := random(r, d+1)
		evals := make([]Element, d+1)
		for i := range evals {
			evals[i] = horner(coef, field.FromInt64(int64(i)))
		}
		for _, x := range append(random(r, 2), field.FromInt64(0), field.FromInt64(1), field.FromInt64(int64(d)), field.FromInt64(-3)) {
			want := horner(coef, x)
			if got := field.InnerProduct(LagrangeAt(d, x), evals); !got.Equal(&want) {
				t.Fatalf("LagrangeAt, d = %d", d)
			}
		}
	}
	if len(LagrangeAt(-1, field.One())) != 0 {
		t.Fatal("coefficients of nothing")
	}
}

func BenchmarkEq(b *testing.B) {
	for _, n := range []int{8, 12, 16, 20} {
		point := random(rand.New(rand.NewPCG(1, 1)), n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				Eq(point)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N<<n), "ns/entry")
		})
	}
}

func BenchmarkEvalInts(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, shape := range [][]int{{1 << 20}, {1024, 1000}, {64, 12, 64, 20}} {
		size, n := 1, 0
		for _, d := range shape {
			size *= d
			n += Log2Ceil(d)
		}
		vals, point := make([]int64, size), random(r, n)
		for i := range vals {
			vals[i] = int64(r.IntN(1<<16) - 1<<15)
		}
		b.Run(fmt.Sprint(shape), func(b *testing.B) {
			for b.Loop() {
				EvalInts(vals, shape, point)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/value")
		})
	}
}

func BenchmarkValid(b *testing.B) {
	point := random(rand.New(rand.NewPCG(1, 1)), 20)
	for b.Loop() {
		Valid(point, 777777)
	}
}

func BenchmarkLagrangeAt(b *testing.B) {
	x := random(rand.New(rand.NewPCG(1, 1)), 1)[0]
	for _, d := range []int{3, 400} {
		b.Run(fmt.Sprint(d), func(b *testing.B) {
			for b.Loop() {
				LagrangeAt(d, x)
			}
		})
	}
}
