// Package field is the scalar field F of the protocol's group: the integers modulo the order
//
//	p = 21888242871839275222246405745257275088696311157297823662689037894645226208583
//
// of Grumpkin. This package and package group are the only ones that name the curve.
//
// An Element is kept in Montgomery form: four 64-bit limbs, least significant first, that hold e·2^256 mod p. Stored and sent
// elements are 32 bytes, big-endian, reduced (Encode, Decode). Besides the arithmetic of gnark-crypto the package offers what
// the prover's hot loops need: products of elements with small integers, summed without reducing every term (small.go).
//
// No function here is constant-time.
package field

import (
	"errors"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/grumpkin/fr"
)

// Element is an element of F. The zero value is 0.
type Element = fr.Element

const (
	// Bytes is the length of an encoded element.
	Bytes = fr.Bytes
	// Bits is the bit length of p.
	Bits = fr.Bits
	// WideBytes is the least number of uniform bytes that Uniform reduces: the bias is below 2^-129.
	WideBytes = 48
)

// ErrEncoding is returned for bytes that are not the canonical encoding of an element.
var ErrEncoding = errors.New("field: not a canonical 32-byte big-endian element")

// Half is 1/2.
var Half = half()

func half() Element {
	e := fr.One()
	e.Halve()
	return e
}

// Modulus returns p.
func Modulus() *big.Int { return fr.Modulus() }

// One returns 1.
func One() Element { return fr.One() }

// FromInt64 returns v mod p.
func FromInt64(v int64) Element {
	var e Element
	e.SetInt64(v)
	return e
}

// FromUint64 returns v mod p.
func FromUint64(v uint64) Element { return fr.NewElement(v) }

// Pow2 returns 2^k mod p; k may be negative.
func Pow2(k int) Element {
	base := fr.NewElement(2)
	if k < 0 {
		base, k = Half, -k
	}
	e := fr.One()
	for ; k > 0; k >>= 1 {
		if k&1 == 1 {
			e.Mul(&e, &base)
		}
		base.Square(&base)
	}
	return e
}

// Powers returns x^0, x^1, …, x^(n-1).
func Powers(x Element, n int) []Element {
	out := make([]Element, n)
	acc := fr.One()
	for i := range out {
		out[i] = acc
		acc.Mul(&acc, &x)
	}
	return out
}

// Uniform reduces a big-endian integer modulo p. With WideBytes or more uniform bytes the result is uniform up to a
// statistical distance of 2^-129; fewer bytes are a programming error and panic.
func Uniform(wide []byte) Element {
	if len(wide) < WideBytes {
		panic("field: Uniform needs at least 48 bytes")
	}
	var e Element
	e.SetBytes(wide)
	return e
}

// ShortBits is the number of random bits in a short challenge.
const ShortBits = 125

// ShortChallenge maps 16 bytes to x·2^-128 mod p, where x is the low 125 bits of b read as a big-endian integer (the top three
// bits of b[0] are dropped). Its Montgomery form is x·2^-128·2^256 = x·2^128 < 2^253 < p, that is, the limbs {0, 0, x_lo,
// x_hi}: a multiplication by it costs half, and a sumcheck round needs no more than 125 bits of randomness.
func ShortChallenge(b [16]byte) Element {
	var lo, hi uint64
	for i := range 8 {
		hi = hi<<8 | uint64(b[i])
		lo = lo<<8 | uint64(b[8+i])
	}
	return Element{0, 0, lo, hi & (1<<(ShortBits-64) - 1)}
}

// Encode appends the 32 bytes of e to dst: big-endian, reduced.
func Encode(dst []byte, e *Element) []byte {
	b := e.Bytes()
	return append(dst, b[:]...)
}

// Decode reads an element from exactly 32 big-endian bytes and refuses values that are not reduced.
func Decode(b []byte) (Element, error) {
	if len(b) != Bytes {
		return Element{}, ErrEncoding
	}
	var e Element
	if err := e.SetBytesCanonical(b); err != nil {
		return Element{}, ErrEncoding
	}
	return e, nil
}

// BatchInvert returns the inverses of all elements at the price of one inversion; the inverse of 0 is 0.
func BatchInvert(a []Element) []Element { return fr.BatchInvert(a) }
