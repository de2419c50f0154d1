package kerneltest

import (
	"math"
	"math/big"
	"math/rand"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

// operations are what fields of both moduli have.
type operations[E any] interface {
	*E
	Add(x, y *E) *E
	Sub(x, y *E) *E
	Mul(x, y *E) *E
	Neg(x *E) *E
	Square(x *E) *E
	Inverse(x *E) *E
}

// fieldExtremes are elements whose limbs carry far, or not at all, in Montgomery form: one is 1.
func fieldExtremes[E ~[4]uint64, P operations[E]](one E) []E {
	var zero, minusOne, half, almost E
	P(&minusOne).Neg(&one)
	P(&half).Add(&one, &one)
	P(&half).Inverse(&half)
	P(&almost).Neg(&E{1})    // limbs of p−1: the largest there is
	P(&zero).Sub(&one, &one) // computed, like the others
	top := uint64(0x30644e72e131a028)
	return []E{
		zero, one, minusOne, half, almost, {1}, {0, 1}, {0, 0, 1}, {0, 0, 0, 1}, {^uint64(0)}, {^uint64(0), ^uint64(0), ^uint64(0), top}, {0, 0, 0, top},
		{1 << 32}, {1<<32 - 1}, {1<<32 - 1, 1<<32 - 1, 1<<32 - 1, 1<<28 - 1}, {^uint64(1<<32 - 1), ^uint64(1<<32 - 1), 0, 1 << 60},
	}
}

// fields compares single operations of both fields: all pairs of extreme elements, and random ones.
func fields(t require.TestingT, d device.Device) {
	with(t, d, func(m *memory) {
		compareField(m, "check_scalars", fieldExtremes(field.One()))
		var one group.Coordinate
		one.SetOne()
		compareField(m, "check_coordinates", fieldExtremes(one))
	})
}

// powers compares products one after the other.
func powers(t require.TestingT, d device.Device) {
	with(t, d, func(m *memory) {
		r := rand.New(rand.NewSource(4))
		a, want := elements(r, 64), make([]field.Element, 64)
		for i := range a {
			want[i] = a[i]
			for range 5 {
				want[i].Mul(&want[i], &a[i])
			}
		}
		out := room[field.Element](m, len(a))
		m.launch("check_powers", 2, 32, out, put(m, a), 5)
		require.Equal(m, want, get[field.Element](m, out, len(a)))
	})
}

// sums compares sums of products of elements and integers of 64 bits.
func sums(t require.TestingT, d device.Device) {
	r := rand.New(rand.NewSource(3))
	integers := []int64{0, 1, -1, 2, math.MaxInt16, math.MinInt16, math.MaxInt32, math.MinInt32, math.MaxInt32 + 1, math.MinInt32 - 1, math.MaxInt64, math.MinInt64}
	var a []field.Element
	var c []int64
	for _, e := range append(fieldExtremes(field.One()), elements(r, 20)...) {
		for _, v := range append(integers, r.Int63()-r.Int63()) {
			a, c = append(a, e), append(c, v)
		}
	}
	for _, v := range []int64{3, -3, 1<<31 + 1, 1<<62 + 1} { // beside 0 as the other product: what is left of these is the modulus at least until it is reduced
		a, c = append([]field.Element{worst(v), {}}, a...), append([]int64{v, 0}, c...)
		a, c = append(a, field.Element{}, field.Element{}), append(c, 0, 0)
	}
	with(t, d, func(m *memory) {
		n := len(a)
		out := room[field.Element](m, 2*n)
		m.launch("check_sums", 2, 64, out, put(m, a), put(m, c), n)
		shift := new(field.Element).SetUint64(1 << 48)
		shift.Square(shift).Inverse(shift)
		product := func(i int) field.Element {
			e := new(field.Element).SetInt64(c[i])
			return *e.Mul(e, &a[i])
		}
		for i, got := range get[[2]field.Element](m, out, n) {
			sum := product(i)
			if other := product(n - 1 - i); 2*i+1 != n {
				sum.Add(&sum, &other)
			}
			require.Equal(m, [2]field.Element{sum, *new(field.Element).Mul(&sum, shift)}, got, "%x times %d, and another product", a[i], c[i])
		}
	})
}

// productSums compares sums of products that are reduced at the end.
func productSums(t require.TestingT, d device.Device) {
	const times = 1 << 8
	extremes := append(fieldExtremes(field.One()), elements(rand.New(rand.NewSource(5)), 4)...)
	var a, b []field.Element
	for _, x := range extremes {
		for _, y := range extremes {
			a, b = append(a, x), append(b, y)
		}
	}
	with(t, d, func(m *memory) {
		out := room[field.Element](m, len(a))
		m.launch("check_product_sums", 2, 64, out, put(m, a), put(m, b), len(a), times)
		got := get[field.Element](m, out, len(a))
		var behind, count field.Element
		count.SetUint64(times)
		for i := len(a) - 1; i >= 0; i-- {
			var product, want field.Element
			product.Mul(&a[i], &b[i])
			want.Mul(&product, &count)
			require.Equal(m, *want.Add(&want, &behind), got[i], "%x times %x, and those behind", a[i], b[i])
			behind.Add(&behind, &product)
		}
	})
}

// worst is an element whose limbs, times an odd integer v, are the modulus but for a multiple of 2^96.
func worst(v int64) field.Element {
	p, shift := field.Modulus(), new(big.Int).Lsh(big.NewInt(1), 96)
	low := new(big.Int).ModInverse(new(big.Int).Mod(big.NewInt(v), shift), shift)
	low.Mod(low.Mul(low, p), shift)
	if v < 0 {
		low.Sub(shift, low) // its product is the modulus less the sign
	}
	top := new(big.Int).Rsh(p, 96)
	low.Add(low, top.Lsh(top.Sub(top, big.NewInt(1)), 96))
	var e field.Element
	for i := range e {
		e[i] = new(big.Int).Rsh(low, uint(64*i)).Uint64()
	}
	return e
}

// fieldOperations is how many results there are of each pair.
const fieldOperations = 9

func compareField[E ~[4]uint64, P operations[E]](m *memory, kernel string, extremes []E) {
	var a, b []E
	for _, x := range extremes {
		for _, y := range extremes {
			a, b = append(a, x), append(b, y)
		}
	}
	r := rand.New(rand.NewSource(1))
	for range 500 {
		// Reduced, since the highest limb is below the modulus'; where it is the same, a difference with 1 decides.
		draw := func() E {
			return E{r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64() % 0x30644e72e131a029}
		}
		a, b = append(a, draw()), append(b, draw())
	}
	n := len(a)
	out := room[E](m, fieldOperations*n)
	m.launch(kernel, 3, 64, out, put(m, a), put(m, b), n)
	got := get[E](m, out, fieldOperations*n)
	for i := range a {
		var want [fieldOperations]E
		P(&want[0]).Add(&a[i], &b[i])
		P(&want[1]).Sub(&a[i], &b[i])
		P(&want[2]).Neg(&a[i])
		P(&want[3]).Mul(&a[i], &b[i])
		want[4] = want[3]
		P(&want[5]).Square(&a[i])
		P(&want[6]).Inverse(&a[i])
		var other E
		P(&want[7]).Add(&want[3], P(&other).Mul(&want[0], &a[i]))
		P(&want[8]).Square(&b[i])
		P(&want[8]).Add(&want[8], P(&other).Mul(&a[i], &want[1]))
		for k := range want {
			if got[fieldOperations*i+k] != want[k] {
				require.Equal(m, want[k], got[fieldOperations*i+k], "%s: operation %d of %x and %x", kernel, k, a[i], b[i])
			}
		}
	}
}

// combine compares sums of scaled vectors.
func combine(t require.TestingT, d device.Device) {
	r := rand.New(rand.NewSource(2))
	for i, n := range lengths {
		with(t, d, func(m *memory) {
			vecs, coefs := make([][]field.Element, 1+i%4), elements(r, 1+i%4)
			pointers, want := make([]device.Pointer, len(vecs)), make(field.Vector, n)
			for k := range vecs {
				vecs[k] = elements(r, n)
				pointers[k] = put(m, vecs[k])
				scaled := make(field.Vector, n)
				scaled.ScalarMul(vecs[k], &coefs[k])
				want.Add(want, scaled)
			}
			out := room[field.Element](m, n)
			m.launch("combine", 2, 128, out, put(m, pointers), put(m, coefs), len(vecs), n)
			require.Equal(m, []field.Element(want), get[field.Element](m, out, n), "%d vectors of %d", len(vecs), n)
		})
	}
}
