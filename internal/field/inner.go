package field

import (
	"math/bits"

	"github.com/consensys/gnark-crypto/utils/cpu"
)

// WideVectors says whether this processor has the vector instructions (AVX-512 IFMA) that make the operations of Vector much
// faster than as many single ones.
func WideVectors() bool { return cpu.SupportAVX512 }

// InnerProduct returns Σ a[i]·b[i]; the slices have equal length. The products are summed before they are reduced.
func InnerProduct(a, b []Element) Element { return Vector(a).InnerProduct(b) }

// columns holds Σ_k (word k)·2^(64·k) with a count of carries for every word: 2^60 products fit.
type columns struct {
	word, carry [8]uint64
}

// add adds c·d·2^(64·k).
func (s *columns) add(k int, c, d uint64) {
	hi, lo := bits.Mul64(c, d)
	var x uint64
	s.word[k&7], x = bits.Add64(s.word[k&7], lo, 0)
	s.carry[k&7] += x
	s.word[(k+1)&7], x = bits.Add64(s.word[(k+1)&7], hi, 0)
	s.carry[(k+1)&7] += x
}

// innerProduct is the portable form of InnerProduct.
func innerProduct(a, b []Element) Element {
	var s columns
	b = b[:len(a)]
	for i := range a {
		x, y := &a[i], &b[i]
		for k := range 4 {
			s.add(k, x[k], y[0])
			s.add(k+1, x[k], y[1])
			s.add(k+2, x[k], y[2])
			s.add(k+3, x[k], y[3])
		}
	}
	return s.reduce()
}

// reduce returns the element: the sum holds products of two Montgomery forms, one factor 2^256 too many.
func (s *columns) reduce() Element {
	var v [9]uint64
	var c uint64
	copy(v[:8], s.word[:])
	for k := range 8 {
		v[k+1], c = bits.Add64(v[k+1], s.carry[k], 0)
		for j := k + 2; c != 0 && j < len(v); j++ {
			v[j], c = bits.Add64(v[j], 0, c)
		}
	}
	return reduceSum(v)
}

// reduceSum returns the element whose Montgomery form is the sum divided by 2^256, as a sum of products of Montgomery forms is.
func reduceSum(s [9]uint64) Element {
	lo, e := reduce4(s[0], s[1], s[2], s[3]), reduce4(s[4], s[5], s[6], s[7])
	lo.Mul(&lo, &montgomeryOne)
	e.Add(&e, &lo)
	top := FromUint64(s[8])
	return *e.Add(&e, &top)
}

// montgomeryOne has the Montgomery form 1: a product with it divides by 2^256.
var montgomeryOne = Element{1}
