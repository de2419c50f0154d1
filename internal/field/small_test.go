package field

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// naiveDot is Σ w·e over the integers.
func naiveDot(w []int64, e []Element) Element {
	sum := new(big.Int)
	for i := range w {
		t := e[i].BigInt(new(big.Int))
		sum.Add(sum, t.Mul(t, big.NewInt(w[i])))
	}
	return fromBig(sum)
}

// extremes has elements whose Montgomery forms have extreme limbs.
func extremes() []Element {
	largest := Element{p0 - 1, p1, p2, p3}
	return []Element{{}, {1}, {0, 1}, {0, 0, 1}, {0, 0, 0, 1}, largest, {math.MaxUint64, math.MaxUint64, math.MaxUint64, p3 - 1}}
}

// someInts draws n integers below the bound, zeros and the extremes more often.
func someInts(r *rand.Rand, n int, bound int64) []int64 {
	w := make([]int64, n)
	for i := range w {
		switch r.IntN(6) {
		case 0:
		case 1:
			w[i] = bound
		case 2:
			w[i] = -bound
		default:
			w[i] = r.Int64N(bound) - bound/2
		}
	}
	return w
}

func TestDots(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{0, 1, 2, 7, 100, dotRun, dotRun + 1, 3*dotRun - 1} {
		e := append(randomElements(r, n), extremes()...)
		r.Shuffle(len(e), func(i, j int) { e[i], e[j] = e[j], e[i] })
		for _, bound := range []int64{1, 1 << 15, math.MaxInt32, math.MaxInt32 + 2, 1 << 40, 1<<62 - 1, math.MaxInt64} {
			w := someInts(r, len(e), bound)
			want := naiveDot(w, e)
			if got := DotInt64(w, e); !got.Equal(&want) {
				t.Fatalf("DotInt64, n = %d, bound = %d", n, bound)
			}
			var acc Acc
			for i := range w {
				acc.MulAdd(&e[i], w[i])
			}
			if got := acc.Reduce(); !got.Equal(&want) {
				t.Fatalf("Acc, n = %d, bound = %d", n, bound)
			}
		}
	}
	least := []int64{math.MinInt32, math.MinInt32}
	e := extremes()[5:]
	want := naiveDot(least, e)
	if got := DotInt64(least, e); !got.Equal(&want) {
		t.Fatal("least int32")
	}
}

// TestDotMixed has runs on both paths.
func TestDotMixed(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	e := randomElements(r, 4*dotRun)
	w := append(someInts(r, 2*dotRun, 100), someInts(r, dotRun, 1<<50)...)
	w = append(w, someInts(r, dotRun, 100)...)
	want := naiveDot(w, e)
	if got := DotInt64(w, e); !got.Equal(&want) {
		t.Fatal("mixed magnitudes")
	}
}

// TestManyTerms sums a million extreme terms of one sign.
func TestManyTerms(t *testing.T) {
	const n = 1 << 20
	largest := Element{p0 - 1, p1, p2, p3}
	for _, sign := range []int64{1, -1} {
		for _, w := range []int64{math.MaxInt32, 1<<62 - 1} {
			var acc Acc
			for range n {
				acc.MulAdd(&largest, sign*w)
			}
			want := FromInt64(sign * w)
			count := FromInt64(n)
			want.Mul(&want, &count).Mul(&want, &largest)
			if got := acc.Reduce(); !got.Equal(&want) {
				t.Fatalf("a million times %d", sign*w)
			}
		}
		ws, es := make([]int64, n), make([]Element, n)
		for i := range ws {
			ws[i], es[i] = sign*math.MaxInt32, largest
		}
		want := FromInt64(sign * math.MaxInt32)
		count := FromInt64(n)
		want.Mul(&want, &count).Mul(&want, &largest)
		if got := DotInt64(ws, es); !got.Equal(&want) {
			t.Fatal("DotInt64 of a million terms")
		}
	}
}

func TestInnerProduct(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 6))
	for _, n := range []int{0, 1, 2, 15, 16, 17, 100, 1000} {
		a, b := append(randomElements(r, n), extremes()...), append(randomElements(r, n), extremes()...)
		r.Shuffle(len(a), func(i, j int) { a[i], a[j] = a[j], a[i] })
		var want, p Element
		for i := range a {
			want.Add(&want, p.Mul(&a[i], &b[i]))
		}
		if got := InnerProduct(a, b); !got.Equal(&want) {
			t.Fatalf("n = %d", n)
		}
		if got := innerProduct(a, b); !got.Equal(&want) {
			t.Fatalf("portable, n = %d", n)
		}
	}
	if got := InnerProduct(nil, nil); !got.IsZero() {
		t.Fatal("empty product")
	}
}

func TestReduceWords(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	inverse := Pow2(-256)
	for n := 5; n <= 9; n++ {
		for k := range 50 {
			v := make([]uint64, n)
			x := new(big.Int)
			for i := n - 1; i >= 0; i-- {
				v[i] = r.Uint64()
				if k == 0 {
					v[i] = math.MaxUint64
				}
				x.Lsh(x, 64).Add(x, new(big.Int).SetUint64(v[i]))
			}
			want := fromBig(x)
			want.Mul(&want, &inverse)
			if got := reduceWords(v); !got.Equal(&want) {
				t.Fatalf("%d words", n)
			}
		}
	}
}

// TestReduceFourWords reduces numbers around every multiple of p below 2^256, where the highest word does and does not tell the multiple.
func TestReduceFourWords(t *testing.T) {
	r, p, limit := rand.New(rand.NewPCG(1, 9)), Modulus(), new(big.Int).Lsh(big.NewInt(1), 256)
	words := func(x *big.Int) (w Element) {
		for i := range w {
			w[i] = new(big.Int).And(new(big.Int).Rsh(x, uint(64*i)), new(big.Int).SetUint64(math.MaxUint64)).Uint64()
		}
		return w
	}
	check := func(x *big.Int) {
		t.Helper()
		if x.Sign() < 0 || x.Cmp(limit) >= 0 {
			return
		}
		w := words(x)
		if got, want := reduce4(w[0], w[1], w[2], w[3]), words(new(big.Int).Mod(x, p)); got != want {
			t.Fatalf("%v is reduced to %v, want %v", w, got, want)
		}
	}
	for k := range int64(7) {
		multiple := new(big.Int).Mul(p, big.NewInt(k))
		for _, shift := range []uint{0, 63, 64, 128, 191, 192, 193} {
			d := new(big.Int).Lsh(big.NewInt(1), shift)
			for range 3 {
				check(new(big.Int).Add(multiple, d))
				check(new(big.Int).Sub(multiple, d))
				d.Sub(d, big.NewInt(1))
			}
		}
		boundary := new(big.Int).Lsh(new(big.Int).SetUint64((p3+1)*uint64(min(k, 5))), 192)
		for _, d := range []int64{-2, -1, 0, 1} {
			check(new(big.Int).Add(boundary, big.NewInt(d)))
			check(new(big.Int).Add(boundary, new(big.Int).Lsh(big.NewInt(d), 190)))
		}
	}
	check(new(big.Int).Sub(limit, big.NewInt(1)))
	for range 1000 {
		check(new(big.Int).SetBits([]big.Word{big.Word(r.Uint()), big.Word(r.Uint()), big.Word(r.Uint()), big.Word(r.Uint())}))
	}
}

// Wide takes every unsigned integer, and a million of the greatest.
func TestWide(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 8))
	e := append(randomElements(r, 50), extremes()...)
	var acc Wide
	sum := new(big.Int)
	for i := range e {
		for _, u := range []uint64{0, 1, r.Uint64(), math.MaxUint64} {
			acc.MulAdd(&e[i], u)
			term := e[i].BigInt(new(big.Int))
			sum.Add(sum, term.Mul(term, new(big.Int).SetUint64(u)))
			want := fromBig(sum)
			if got := acc.Reduce(); !got.Equal(&want) {
				t.Fatalf("element %d times %d", i, u)
			}
		}
	}
	largest := Element{p0 - 1, p1, p2, p3}
	acc = Wide{}
	const n = 1 << 20
	for range n {
		acc.MulAdd(&largest, math.MaxUint64)
	}
	want, count := FromUint64(math.MaxUint64), FromInt64(n)
	want.Mul(&want, &count).Mul(&want, &largest)
	if got := acc.Reduce(); !got.Equal(&want) {
		t.Fatal("a million times the greatest")
	}
}

// TestVector compares runs with single elements, in place too, over lengths beside the vectors' and the sums' limits.
func TestVector(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{0, 1, 7, 8, 9, 127, 129, 255, 256, 257, 600} {
		a, b, c := Vector(randomElements(r, n)), Vector(randomElements(r, n)), randomElements(r, 1)[0]
		var sum, dot Element
		product, scaled, lerp := make(Vector, n), make(Vector, n), make(Vector, n)
		for i := range a {
			product[i].Mul(&a[i], &b[i])
			scaled[i].Mul(&a[i], &c)
			lerp[i].Sub(&b[i], &a[i])
			lerp[i].Mul(&lerp[i], &c)
			lerp[i].Add(&lerp[i], &a[i])
			sum.Add(&sum, &a[i])
			dot.Add(&dot, &product[i])
		}
		check := func(want Vector, f func(v Vector)) {
			t.Helper()
			got := slices.Clone(a)
			f(got)
			if !slices.Equal(want, got) {
				t.Fatalf("length %d", n)
			}
		}
		check(product, func(v Vector) { v.Mul(v, b) })
		check(scaled, func(v Vector) { v.ScalarMul(v, &c) })
		check(lerp, func(v Vector) { v.Lerp(v, b, &c) })
		for _, got := range []struct{ got, want Element }{{a.Sum(), sum}, {a.InnerProduct(b), dot}} {
			if !got.got.Equal(&got.want) {
				t.Fatalf("sum of %d", n)
			}
		}
	}
	for _, f := range []func(){
		func() { make(Vector, 2).Mul(make(Vector, 3), make(Vector, 2)) },
		func() { make(Vector, 2).ScalarMul(make(Vector, 1), new(Element)) },
		func() { make(Vector, 2).Lerp(make(Vector, 2), make(Vector, 3), new(Element)) },
		func() { make(Vector, 2).InnerProduct(make(Vector, 3)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("lengths differ")
				}
			}()
			f()
		}()
	}
}
