// Package montgomery multiplies runs of field elements, eight at a time, on processors with AVX-512 IFMA. An element is four 64-bit words,
// least significant first, below a modulus q of 254 bits, and stands for itself times 2^256, as gnark-crypto keeps it. Results
// are reduced: they are the same words that single multiplications give. Elsewhere Available is false and nothing here may be called.
//
// In registers an element has five limbs of 52 bits, for which Montgomery's reduction divides by 2^260: one factor enters 16-fold, which
// costs nothing, since words are shifted into limbs anyway.
package montgomery

import "math/big"

const (
	words    = 4
	limbs    = 5
	limbBits = 52
	limbMask = 1<<limbBits - 1
	lanes    = 8
)

// Lanes is how many elements kernels work on at a time.
const Lanes = lanes

// DotTerms is how many products Dot adds up at most: their columns stay below 2^64.
const DotTerms = 256

// Words are four words of 64 bits.
type Words interface{ ~[words]uint64 }

// Modulus holds the constants of a modulus for the kernels: its limbs, −1/q mod 2^52, a mask, four permutations, the limbs of 2q, and
// 2^RunBits.
type Modulus struct{ table [48]uint64 }

// New prepares an odd modulus of 254 bits.
func New(q *big.Int) *Modulus {
	if q.BitLen() != 254 || q.Bit(0) == 0 {
		panic("montgomery: not an odd modulus of 254 bits")
	}
	m := &Modulus{}
	var w [words]uint64
	rest := new(big.Int).Set(q)
	for i := range w {
		w[i] = new(big.Int).And(rest, new(big.Int).SetUint64(1<<64-1)).Uint64()
		rest.Rsh(rest, 64)
	}
	once, twice := cut(w[:], 0), cut(w[:], 1)
	copy(m.table[:], once[:])
	base := new(big.Int).Lsh(big.NewInt(1), limbBits)
	inverse := new(big.Int).ModInverse(q, base)
	m.table[limbs] = new(big.Int).Sub(base, inverse).Uint64()
	m.table[limbs+1] = limbMask
	copy(m.table[8:], []uint64{0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15})
	copy(m.table[24:], []uint64{2 | 8<<32, 5 | 11<<32, 14 | 20<<32, 17 | 23<<32})
	copy(m.table[32:], twice[:])
	m.table[37] = 1 << RunBits
	copy(m.table[40:], []uint64{0, 4, 2, 6, 1, 5, 3, 7})
	return m
}

// Available says whether this processor has what the package needs.
func Available() bool { return available }

var available = haveKernels()

// Limbs returns an element's words in limbs of 52 bits, least significant first.
func Limbs[E Words](e *E) [limbs]uint64 { return cut((*e)[:], 0) }

// cut returns 2^left times an element in limbs.
func cut(w []uint64, left uint) [limbs]uint64 {
	return [limbs]uint64{
		w[0] << left & limbMask,
		(w[0]>>(52-left) | w[1]<<(12+left)) & limbMask,
		(w[1]>>(40-left) | w[2]<<(24+left)) & limbMask,
		(w[2]>>(28-left) | w[3]<<(36+left)) & limbMask,
		w[3] >> (16 - left),
	}
}

// Mul sets dst[i] = a[i]·b[i] for all i. The slices have one length, here and below; dst may be an operand.
func Mul[E Words](m *Modulus, dst, a, b []E) {
	whole := len(dst) &^ (lanes - 1)
	a, b = a[:len(dst)], b[:len(dst)]
	if whole > 0 {
		mulKernel(&m.table[0], &dst[0][0], &a[0][0], &b[0][0], whole)
	}
	if whole < len(dst) {
		var x, y [lanes]E
		copy(x[:], a[whole:])
		copy(y[:], b[whole:])
		mulKernel(&m.table[0], &x[0][0], &x[0][0], &y[0][0], lanes)
		copy(dst[whole:], x[:])
	}
}

// Scale sets dst[i] = a[i]·c.
func Scale[E Words](m *Modulus, dst, a []E, c *E) {
	factor := cut((*c)[:], 4)
	whole := len(dst) &^ (lanes - 1)
	a = a[:len(dst)]
	if whole > 0 {
		scaleKernel(&m.table[0], &dst[0][0], &a[0][0], &factor[0], whole)
	}
	if whole < len(dst) {
		var x [lanes]E
		copy(x[:], a[whole:])
		scaleKernel(&m.table[0], &x[0][0], &x[0][0], &factor[0], lanes)
		copy(dst[whole:], x[:])
	}
}

// Lerp sets dst[i] = lo[i] + c·(hi[i] − lo[i]).
func Lerp[E Words](m *Modulus, dst, lo, hi []E, c *E) {
	factor := cut((*c)[:], 4)
	whole := len(dst) &^ (lanes - 1)
	lo, hi = lo[:len(dst)], hi[:len(dst)]
	if whole > 0 {
		lerpKernel(&m.table[0], &dst[0][0], &lo[0][0], &hi[0][0], &factor[0], whole)
	}
	if whole < len(dst) {
		var x, y [lanes]E
		copy(x[:], lo[whole:])
		copy(y[:], hi[whole:])
		lerpKernel(&m.table[0], &x[0][0], &x[0][0], &y[0][0], &factor[0], lanes)
		copy(dst[whole:], x[:])
	}
}

// LerpPairs sets dst[i] = a[2i] + c·(a[2i+1] − a[2i]). dst and a have no elements in common.
func LerpPairs[E Words](m *Modulus, dst, a []E, c *E) {
	factor := cut((*c)[:], 4)
	whole := len(dst) &^ (lanes - 1)
	a = a[:2*len(dst)]
	if whole > 0 {
		lerpPairsKernel(&m.table[0], &dst[0][0], &a[0][0], &factor[0], whole)
	}
	if whole < len(dst) {
		var x [2 * lanes]E
		var out [lanes]E
		copy(x[:], a[2*whole:])
		lerpPairsKernel(&m.table[0], &out[0][0], &x[0][0], &factor[0], lanes)
		copy(dst[whole:], out[:])
	}
}

// Dot returns Σ a[i]·b[i] of at most DotTerms products, as an integer of which the least significant word comes first.
func Dot[E Words](m *Modulus, a, b []E) (s [2*words + 1]uint64) {
	if len(a) > DotTerms {
		panic("montgomery: too many products")
	}
	b = b[:len(a)]
	whole := len(a) &^ (lanes - 1)
	var sums, last [2 * limbs]uint64
	if whole > 0 {
		dotKernel(&m.table[0], &sums[0], &a[0][0], &b[0][0], whole)
	}
	if whole < len(a) {
		var x, y [lanes]E
		copy(x[:], a[whole:])
		copy(y[:], b[whole:])
		dotKernel(&m.table[0], &last[0], &x[0][0], &y[0][0], lanes)
	}
	return join(&sums, &last)
}

// join adds up columns, of all DotTerms products at most: then what a column carries to the next one still fits it.
func join(a, b *[2 * limbs]uint64) [2*words + 1]uint64 {
	var l [2 * limbs]uint64
	carry := uint64(0)
	for j := range l {
		x := a[j] + b[j] + carry
		l[j], carry = x&limbMask, x>>limbBits
	}
	l[9] |= carry << limbBits
	return [2*words + 1]uint64{
		l[0] | l[1]<<52, l[1]>>12 | l[2]<<40, l[2]>>24 | l[3]<<28, l[3]>>36 | l[4]<<16,
		l[4]>>48 | l[5]<<4 | l[6]<<56, l[6]>>8 | l[7]<<44, l[7]>>20 | l[8]<<32, l[8]>>32 | l[9]<<20, l[9] >> 44,
	}
}
