// Package poly evaluates multilinear extensions (MLE) and interpolates polynomials on small integers.
//
// Conventions: a point lists the lowest variable first, point[0] belongs to the least significant bit of an index. A tensor's
// axes are row-major, the last axis is the lowest; every axis of extent d has ⌈log2 d⌉ variables and is padded with zeros, so
// that the point of a tensor holds the last axis' variables first, then those of the axis before it, and so on.
package poly

import (
	"math/bits"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/parallel"
)

// Element is a field element.
type Element = field.Element

// Log2Ceil returns ⌈log2 d⌉: the number of variables of an axis of extent d. It is 0 for d ≤ 1.
func Log2Ceil(d int) int {
	if d <= 1 {
		return 0
	}
	return bits.Len64(uint64(d - 1))
}

// all is what large tables and sums are computed on.
var all *parallel.Pool // all processors

// chunkBits is the size of the pieces in which a table is built: small enough for the first-level cache.
const chunkBits = 9

// Eq returns the table of eq(point, i) for i = 0, …, 2^n − 1.
func Eq(point []Element) []Element {
	n := len(point)
	out := make([]Element, 1<<n)
	if n <= chunkBits {
		out[0] = field.One()
		grow(out, point)
		return out
	}
	high := Eq(point[chunkBits:])
	fill := func(c int) {
		chunk := out[c<<chunkBits : (c+1)<<chunkBits]
		chunk[0] = high[c]
		grow(chunk, point[:chunkBits])
	}
	if n <= 12 {
		for c := range high {
			fill(c)
		}
		return out
	}
	all.Run(len(high), func(_, c int) { fill(c) })
	return out
}

// grow turns out[0] = v into the table v·eq(point, ·).
func grow(out []Element, point []Element) {
	for i := range point {
		lo, hi := field.Vector(out[:1<<i]), field.Vector(out[1<<i:2<<i])
		hi.ScalarMul(lo, &point[i])
		lo.Sub(lo, hi)
	}
}

// EqAt returns eq(a, b) = Π_i (a_i·b_i + (1−a_i)(1−b_i)); the points have equal length.
func EqAt(a, b []Element) Element {
	if len(a) != len(b) {
		panic("poly: points of different length")
	}
	acc := field.One()
	for i := range a {
		t := eq1(&a[i], &b[i])
		acc.Mul(&acc, &t)
	}
	return acc
}

// eq1 returns a·b + (1−a)(1−b) = 1 − a − b + 2ab.
func eq1(a, b *Element) Element {
	var t Element
	t.Mul(a, b)
	t.Double(&t)
	t.Sub(&t, a)
	t.Sub(&t, b)
	one := field.One()
	t.Add(&t, &one)
	return t
}

// EqIndex returns eq(point, idx); it is 0 for an index outside the cube.
func EqIndex(point []Element, idx uint64) Element {
	if len(point) < 64 && idx>>len(point) != 0 {
		return Element{}
	}
	acc, one := field.One(), field.One()
	for i := range point {
		if i < 64 && idx>>i&1 == 1 {
			acc.Mul(&acc, &point[i])
		} else {
			var t Element
			t.Sub(&one, &point[i])
			acc.Mul(&acc, &t)
		}
	}
	return acc
}

// Valid returns Σ_{i<d} eq(point, i), the MLE of the indicator of [0, d), in time linear in the number of variables. It is 0 for
// d ≤ 0 and 1 where [0, d) covers the cube.
func Valid(point []Element, d int) Element {
	if d <= 0 {
		return Element{}
	}
	if covers(len(point), d) {
		return field.One()
	}
	// Indices below d agree with d above some bit that is 1 in d and 0 in the index; below it they are free (the sum is 1).
	var sum, free Element
	prefix, one := field.One(), field.One()
	for i := len(point) - 1; i >= 0; i-- {
		free.Sub(&one, &point[i])
		free.Mul(&free, &prefix)
		if bit(d, i) {
			sum.Add(&sum, &free)
			prefix.Sub(&prefix, &free)
		} else {
			prefix = free
		}
	}
	return sum
}

// ValidPair returns Σ_{i<d} eq(a, i)·eq(b, i), in time linear in the number of variables; the points have equal length.
func ValidPair(a, b []Element, d int) Element {
	if len(a) != len(b) {
		panic("poly: points of different length")
	}
	n := len(a)
	// low[i] is the sum over the i lowest variables, free.
	low := make([]Element, n+1)
	low[0] = field.One()
	for i := range a {
		t := eq1(&a[i], &b[i])
		low[i+1].Mul(&low[i], &t)
	}
	if d <= 0 {
		return Element{}
	}
	if covers(n, d) {
		return low[n]
	}
	var sum, zero, one, t Element
	prefix := field.One()
	for i := n - 1; i >= 0; i-- {
		one.Mul(&a[i], &b[i])
		zero = eq1(&a[i], &b[i])
		zero.Sub(&zero, &one)
		if bit(d, i) {
			t.Mul(&prefix, &zero)
			t.Mul(&t, &low[i])
			sum.Add(&sum, &t)
			prefix.Mul(&prefix, &one)
		} else {
			prefix.Mul(&prefix, &zero)
		}
	}
	return sum
}

func covers(n, d int) bool { return n < 63 && d>>n != 0 }

func bit(d, i int) bool { return i < 63 && d>>i&1 == 1 }
