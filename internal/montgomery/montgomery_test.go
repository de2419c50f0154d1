package montgomery

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"
	"github.com/consensys/gnark-crypto/ecc/grumpkin/fr"
	"github.com/stretchr/testify/require"
)

// need skips where the kernels do not run.
func need(t testing.TB) {
	t.Helper()
	if !Available() {
		t.Skip("this processor has no AVX-512 IFMA")
	}
}

// edges are words at the limits of limbs and of the modulus.
func edges(q *big.Int) (out []*big.Int) {
	for _, shift := range []uint{0, 1, 51, 52, 63, 64, 103, 104, 128, 155, 156, 192, 207, 208, 252, 253} {
		p := new(big.Int).Lsh(big.NewInt(1), shift)
		out = append(out, p, new(big.Int).Sub(p, big.NewInt(1)))
	}
	for _, d := range []int64{1, 2, 3} {
		out = append(out, new(big.Int).Sub(q, big.NewInt(d)))
	}
	return append(out, new(big.Int).Rsh(q, 1), new(big.Int).Rsh(q, 4))
}

// run returns n reduced elements as words: edges and random ones mixed.
func run[E Words](r *rand.Rand, q *big.Int, n int) []E {
	out, special := make([]E, n), edges(q)
	for i := range out {
		x := special[r.IntN(len(special))]
		if r.IntN(2) == 0 {
			x = new(big.Int)
			for range words {
				x.Lsh(x, 64).Or(x, new(big.Int).SetUint64(r.Uint64()))
			}
			x.Mod(x, q)
		}
		for k := range words {
			out[i][k] = new(big.Int).And(new(big.Int).Rsh(x, uint(64*k)), new(big.Int).SetUint64(1<<64-1)).Uint64()
		}
	}
	return out
}

// field is what the kernels are compared with: the library's elements.
type field[E any] interface {
	*E
	Mul(a, b *E) *E
	Add(a, b *E) *E
	Sub(a, b *E) *E
}

// compare runs every kernel over runs of all short lengths and some longer ones, in place and not.
func compare[E Words, P field[E]](t *testing.T, q *big.Int, reduce func([9]uint64) E) {
	need(t)
	m, r := New(q), rand.New(rand.NewPCG(1, 2))
	lengths := []int{64, 200, 256}
	for n := range 26 {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		a, b, c := run[E](r, q, n), run[E](r, q, n), run[E](r, q, 1)[0]
		product, scaled, lerp, total := make([]E, n), make([]E, n), make([]E, n), *new(E)
		for i := range a {
			P(&product[i]).Mul(&a[i], &b[i])
			P(&scaled[i]).Mul(&a[i], &c)
			P(&lerp[i]).Sub(&b[i], &a[i])
			P(&lerp[i]).Mul(&lerp[i], &c)
			P(&lerp[i]).Add(&lerp[i], &a[i])
			P(&total).Add(&total, &product[i])
		}
		got := make([]E, n)
		Mul(m, got, a, b)
		require.Equal(t, product, got)
		Scale(m, got, a, &c)
		require.Equal(t, scaled, got)
		Lerp(m, got, a, b, &c)
		require.Equal(t, lerp, got)
		require.Equal(t, total, reduce(Dot(m, a, b)))
		pairs := make([]E, 0, 2*n)
		for i := range a {
			pairs = append(pairs, a[i], b[i])
		}
		got = make([]E, n)
		LerpPairs(m, got, pairs, &c)
		require.Equal(t, lerp, got)
		copy(got, a)
		Mul(m, got, got, b)
		require.Equal(t, product, got)
		copy(got, b)
		Lerp(m, got, a, got, &c)
		require.Equal(t, lerp, got)
		Scale(m, a, a, &c)
		require.Equal(t, scaled, a)
	}
}

// compareSplit does so for the kernels whose results are split.
func compareSplit[E Words, P field[E]](t *testing.T, q *big.Int) {
	need(t)
	m, r := New(q), rand.New(rand.NewPCG(3, 4))
	lengths := []int{64, 200, 257}
	for n := range 26 {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		var v [4][]E
		for i := range v {
			v[i] = run[E](r, q, n)
		}
		c := run[E](r, q, 1)[0]
		want := make([][]E, 6)
		for k := range want {
			want[k] = make([]E, n)
		}
		for i := range n {
			x := make([]P, 4)
			for k := range x {
				x[k] = P(&v[k][i])
			}
			var tmp E
			P(&want[0][i]).Mul(x[0], x[1])
			P(&want[1][i]).Sub(x[1], x[0])
			P(&want[1][i]).Mul(&want[1][i], &c)
			P(&want[1][i]).Add(&want[1][i], x[0])
			P(&want[2][i]).Mul(x[1], &c)
			P(&want[2][i]).Add(&want[2][i], x[0])
			P(&want[3][i]).Mul(x[0], x[3])
			P(&want[3][i]).Add(&want[3][i], P(&tmp).Mul(x[1], x[2]))
			P(&want[4][i]).Mul(x[2], x[3])
			P(&want[5][i]).Add(x[2], x[3])
		}
		check := func(k int, got [2][]E) {
			t.Helper()
			for i := range n + 2 {
				at := got[i%2][i/2]
				if i < n {
					require.Equal(t, want[k][i], at, "result %d, %d of %d", k, i, n)
				} else {
					require.Equal(t, *new(E), at, "behind result %d of %d", k, n)
				}
			}
		}
		halves := func() (h [2][]E) { return [2][]E{make([]E, n/2+2), make([]E, n/2+2)} }
		h, g := halves(), halves()
		MulSplit(m, h[0], h[1], v[0], v[1])
		check(0, h)
		h = halves()
		LerpSplit(m, h[0], h[1], v[0], v[1], &c)
		check(1, h)
		h = halves()
		AxpySplit(m, h[0], h[1], v[0], v[1], &c)
		check(2, h)
		h = halves()
		Fractions(m, &h, &g, v[0], v[1], v[2], v[3])
		check(3, h)
		check(4, g)
		h, g = halves(), halves()
		UnitFractions(m, &h, &g, v[2], v[3])
		check(5, h)
		check(4, g)
	}
}

func TestSplit(t *testing.T) {
	compareSplit[fr.Element](t, fr.Modulus())
	compareSplit[fp.Element](t, fp.Modulus())
}

// sumIn divides a sum by 2^256.
func sumIn(q *big.Int, s [9]uint64) *big.Int {
	x := new(big.Int)
	for k := len(s) - 1; k >= 0; k-- {
		x.Lsh(x, 64).Or(x, new(big.Int).SetUint64(s[k]))
	}
	return x.Mul(x, new(big.Int).ModInverse(new(big.Int).Lsh(big.NewInt(1), 256), q)).Mod(x, q)
}

func toWords(x *big.Int) (w [words]uint64) {
	for k := range w {
		w[k] = new(big.Int).And(new(big.Int).Rsh(x, uint(64*k)), new(big.Int).SetUint64(1<<64-1)).Uint64()
	}
	return w
}

// TestScalars and TestCoordinates compare with the library over both fields of the curve.
func TestScalars(t *testing.T) {
	compare[fr.Element](t, fr.Modulus(), func(s [9]uint64) fr.Element { return toWords(sumIn(fr.Modulus(), s)) })
}

func TestCoordinates(t *testing.T) {
	compare[fp.Element](t, fp.Modulus(), func(s [9]uint64) fp.Element { return toWords(sumIn(fp.Modulus(), s)) })
}

// TestLargestSums: 256 products of the largest elements, whose columns come closest to 2^64.
func TestLargestSums(t *testing.T) {
	need(t)
	q := fr.Modulus()
	a := make([]fr.Element, DotTerms)
	for i := range a {
		a[i] = toWords(new(big.Int).Sub(q, big.NewInt(1)))
	}
	square := new(big.Int).Sub(q, big.NewInt(1))
	square.Mul(square, square).Mul(square, big.NewInt(DotTerms))
	s := Dot(New(q), a, a)
	got := new(big.Int)
	for k := len(s) - 1; k >= 0; k-- {
		got.Lsh(got, 64).Or(got, new(big.Int).SetUint64(s[k]))
	}
	require.Zero(t, square.Cmp(got))
	require.Panics(t, func() { Dot(New(q), make([]fr.Element, DotTerms+1), make([]fr.Element, DotTerms+1)) })
}

// TestModulus refuses what the bounds of the kernels do not hold for.
func TestModulus(t *testing.T) {
	require.Panics(t, func() { New(new(big.Int).Lsh(big.NewInt(1), 253)) })
	require.Panics(t, func() { New(big.NewInt(97)) })
}

func Benchmark(b *testing.B) {
	need(b)
	const n = 256
	m, r := New(fr.Modulus()), rand.New(rand.NewPCG(1, 2))
	x, y := run[fr.Element](r, fr.Modulus(), n), run[fr.Element](r, fr.Modulus(), n)
	dst := make(fr.Vector, n)
	for name, f := range map[string]func(){
		"mul":         func() { Mul(m, dst, x, y) },
		"scale":       func() { Scale(m, dst, x, &y[0]) },
		"lerp":        func() { Lerp(m, dst, x, y, &y[0]) },
		"dot":         func() { Dot(m, x, y) },
		"library mul": func() { dst.Mul(x, y) },
		"library dot": func() { v := fr.Vector(x); v.InnerProduct(y) },
		"single": func() {
			for i := range x {
				dst[i].Mul(&x[i], &y[i])
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
		})
	}
}

// compareAffine compares sums over columns of integers, at the limits of their range too, and that one beyond is told wherever it stands.
func compareAffine[T Ints](t *testing.T, bits int) {
	need(t)
	q, r := fr.Modulus(), rand.New(rand.NewPCG(5, 6))
	m, most := New(q), int64(1)<<(bits-1)
	value := func() T {
		switch r.IntN(4) {
		case 0:
			return T(most - 1)
		case 1:
			return T(-most)
		}
		return T(r.Int64N(2*most) - most)
	}
	power := func(k int) (e fr.Element) { return *e.SetBigInt(new(big.Int).Lsh(big.NewInt(1), uint(k))) }
	for columns := 1; columns <= 2; columns++ {
		for _, n := range []int{0, 1, 7, 8, 9, 24, 200} {
			base, coef := run[fr.Element](r, q, 1)[0], run[fr.Element](r, q, columns)
			var cols [2][]T
			want, scaled, shifted := make([]fr.Element, n), make([]fr.Element, columns), base
			for i := range want {
				want[i] = base
			}
			for c := range columns {
				half, fold := power(AffineBits), power(limbBits)
				scaled[c].Mul(&coef[c], &fold)
				shifted.Sub(&shifted, half.Mul(&half, &coef[c]))
				cols[c] = make([]T, n)
				for i := range cols[c] {
					cols[c][i] = value()
					var v fr.Element
					v.SetInt64(int64(cols[c][i]))
					want[i].Add(&want[i], v.Mul(&v, &coef[c]))
				}
			}
			a, got := NewAffine(m, shifted, scaled...), make([]fr.Element, n)
			require.Equal(t, columns, a.Columns())
			require.True(t, Fill(a, got, cols))
			require.Equal(t, want, got)
			if n%lanes == 0 {
				var quarters [4][]fr.Element
				for k := range quarters {
					quarters[k] = make([]fr.Element, n/4+1)
				}
				require.True(t, FillQuarters(a, quarters, cols, n))
				for i := range want {
					require.Equal(t, want[i], quarters[i%4][i/4])
				}
				if n > 0 && bits > AffineBits {
					tellsFar(t, a, cols, n, quarters)
				}
			}
		}
	}
	require.Panics(t, func() { NewAffine[fr.Element](m, fr.Element{}) })
	require.Panics(t, func() { FillQuarters(NewAffine(m, fr.Element{}, fr.Element{}), [4][]fr.Element{}, [2][]T{}, 4) })
}

// tellsFar puts an integer beyond the range into every place.
func tellsFar[T Ints](t *testing.T, a *Affine[fr.Element], cols [2][]T, n int, quarters [4][]fr.Element) {
	for c := range a.columns {
		for i := range n {
			for _, far := range []int64{1 << AffineBits, -1<<AffineBits - 1, 1<<63 - 1, -1 << 63} {
				kept := cols[c][i]
				cols[c][i] = T(far)
				require.False(t, Fill(a, make([]fr.Element, n), cols))
				require.False(t, FillQuarters(a, quarters, cols, n))
				cols[c][i] = kept
			}
		}
	}
}

func TestAffine(t *testing.T) {
	t.Run("16 bits", func(t *testing.T) { compareAffine[int16](t, 16) })
	t.Run("64 bits", func(t *testing.T) { compareAffine[int64](t, AffineBits+1) })
}

// TestRunsOfIntegers compares sums over neighbours in one column and in two with the library, of columns that begin anywhere, at the limits of 16
// bits too. What stands behind results is left alone.
func TestRunsOfIntegers(t *testing.T) {
	need(t)
	q, r := fr.Modulus(), rand.New(rand.NewPCG(7, 8))
	m := New(q)
	power := func(k int) (e fr.Element) { return *e.SetBigInt(new(big.Int).Lsh(big.NewInt(1), uint(k))) }
	half, fold := power(RunBits), power(limbBits)
	integer := func(v int64) (e fr.Element) { return *e.SetInt64(v) }
	linear := func(base fr.Element, coef []fr.Element, v ...int64) fr.Element {
		for i := range v {
			x := integer(v[i])
			base.Add(&base, x.Mul(&x, &coef[i]))
		}
		return base
	}
	prepare := func(base fr.Element, coef []fr.Element) Linear {
		scaled := make([]fr.Element, len(coef))
		for i := range coef {
			var x fr.Element
			base.Sub(&base, x.Mul(&half, &coef[i]))
			scaled[i].Mul(&coef[i], &fold)
		}
		return NewLinear(base, scaled...)
	}
	column := func(n int) []int16 {
		v := make([]int16, n+3)[3:]
		for i := range v {
			switch r.IntN(4) {
			case 0:
				v[i] = 1<<15 - 1
			case 1:
				v[i] = -1 << 15
			default:
				v[i] = int16(r.IntN(1<<16) - 1<<15)
			}
		}
		return v
	}
	for _, n := range []int{0, 8, 16, 40, 256} {
		for columns := 1; columns <= 2; columns++ {
			base, coef := run[fr.Element](r, q, 6), run[fr.Element](r, q, 11)
			add, times, halves := coef[:columns], coef[2:][:3*columns-1], coef[7:][:2*columns]
			cols := [2][]int16{column(2 * n), column(2 * n)}
			var p, s [4][]fr.Element
			for k := range p {
				p[k], s[k] = make([]fr.Element, n/4+1), make([]fr.Element, n/4+1)
			}
			NewPairs[fr.Element](m, prepare(base[0], add), prepare(base[1], times)).Fill(p, s, cols, n)
			for i := range n {
				v, v1, w, w1 := int64(cols[0][2*i]), int64(cols[0][2*i+1]), int64(cols[1][2*i]), int64(cols[1][2*i+1])
				sums, all := []int64{v + v1}, []int64{v + v1, v * v1}
				if columns == 2 {
					sums, all = []int64{v + v1, w + w1}, []int64{v + v1, w + w1, v * v1, v*w1 + v1*w, w * w1}
				}
				require.Equal(t, linear(base[0], add, sums...), p[i%4][i/4], "sum %d of %d", i, n)
				require.Equal(t, linear(base[1], times, all...), s[i%4][i/4], "product %d of %d", i, n)
			}
			cols = [2][]int16{column(4 * n), column(4 * n)}
			var out [2][2][]fr.Element
			for k := range 4 {
				out[k/2][k%2] = make([]fr.Element, n/2+1)
			}
			NewBound[fr.Element](m, prepare(base[2], halves)).Fill(out[0], out[1], cols, n)
			for i := range n {
				for c := range 2 {
					var v []int64
					for _, col := range cols[:columns] {
						v = append(v, int64(col[4*i+c]), int64(col[4*i+c+2]))
					}
					require.Equal(t, linear(base[2], halves, v...), out[c][i%2][i/2], "run %d of %d", i, n)
				}
			}
			cols = [2][]int16{column(8 * n), column(8 * n)}
			twice := func(n int) []fr.Element { return run[fr.Element](r, q, 2*n) }
			lower, upper, other := twice(columns), twice(3*columns-1), twice(3*columns-1)
			var sum [2][]fr.Element
			var q0, q1 [2][]fr.Element
			for k := range 2 {
				sum[k], q0[k], q1[k] = make([]fr.Element, n+1), make([]fr.Element, n/2+1), make([]fr.Element, n/2+1)
			}
			eight := NewBoundPairs[fr.Element](m, prepare(base[3], lower), prepare(base[4], upper), prepare(base[5], other))
			eight.Fill(sum[0], sum[1], q0, q1, cols, n)
			for i := range n {
				for c := range 2 {
					var adds, all [2][]int64
					for half := range 2 {
						at := 8*i + 4*half + 2*c
						v, v1, w, w1 := int64(cols[0][at]), int64(cols[0][at+1]), int64(cols[1][at]), int64(cols[1][at+1])
						adds[half], all[half] = []int64{v + v1}, []int64{v + v1, v * v1}
						if columns == 2 {
							adds[half], all[half] = []int64{v + v1, w + w1}, []int64{v + v1, w + w1, v * v1, v*w1 + v1*w, w * w1}
						}
					}
					mix := func(x [2][]int64) (out []int64) {
						for k := range x[0] {
							out = append(out, x[0][k], x[1][k])
						}
						return out
					}
					if c == 0 {
						require.Equal(t, linear(base[3], lower, mix(adds)...), sum[0][i], "run %d of %d", i, n)
						require.Equal(t, linear(base[4], upper, mix(all)...), q0[i%2][i/2], "run %d of %d", i, n)
					} else {
						require.Equal(t, linear(base[5], other, mix(all)...), sum[1][i], "run %d of %d", i, n)
						require.Equal(t, linear(base[4], upper, mix(all)...), q1[i%2][i/2], "run %d of %d", i, n)
					}
				}
			}
			for k := range 4 {
				require.Zero(t, p[k][n/4])
				require.Zero(t, s[k][n/4])
				require.Zero(t, out[k/2][k%2][n/2])
				require.Zero(t, sum[k%2][n])
				require.Zero(t, q0[k%2][n/2])
				require.Zero(t, q1[k%2][n/2])
			}
		}
	}
	of := func(n int) Linear { return prepare(half, make([]fr.Element, n)) }
	for _, n := range [][2]int{{0, 2}, {1, 1}, {1, 5}, {2, 2}, {3, 8}} {
		require.Panics(t, func() { NewPairs[fr.Element](m, of(n[0]), of(n[1])) })
	}
	for _, n := range []int{0, 1, 3, 6} {
		require.Panics(t, func() { NewBound[fr.Element](m, of(n)) })
	}
	for _, n := range [][3]int{{2, 4, 10}, {2, 10, 10}, {4, 10, 4}, {6, 16, 16}, {0, 4, 4}} {
		require.Panics(t, func() { NewBoundPairs[fr.Element](m, of(n[0]), of(n[1]), of(n[2])) })
	}
	v := make([]int16, 64)
	require.Panics(t, func() {
		NewBoundPairs[fr.Element](m, of(2), of(4), of(4)).Fill(nil, nil, [2][]fr.Element{}, [2][]fr.Element{}, [2][]int16{v}, 4)
	})
	require.Panics(t, func() {
		NewPairs[fr.Element](m, of(1), of(2)).Fill([4][]fr.Element{}, [4][]fr.Element{}, [2][]int16{v}, 4)
	})
	require.Panics(t, func() { NewBound[fr.Element](m, of(2)).Fill([2][]fr.Element{}, [2][]fr.Element{}, [2][]int16{v}, 4) })
}
