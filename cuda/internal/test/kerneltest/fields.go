package kerneltest

import (
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

// fieldOperations is how many results there are of each pair.
const fieldOperations = 7

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
