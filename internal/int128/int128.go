// Package int128 holds integers of 128 bits, in two's complement: what provers compute with where a cell leaves 64. Arithmetic wraps.
package int128

import "math/bits"

// Int is Hi·2^64 + Lo.
type Int struct {
	Hi int64
	Lo uint64
}

// Of is v.
func Of(v int64) Int { return Int{v >> 63, uint64(v)} }

// Join is v + 2^64·high.
func Join(v, high int64) Int { return Int{high + v>>63, uint64(v)} }

// Split returns v and high such that a = v + 2^64·high.
func (a Int) Split() (v, high int64) {
	v = int64(a.Lo)
	return v, a.Hi - v>>63
}

// Product is a·b.
func Product(a, b int64) Int {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	return Int{int64(hi) - a>>63&b - b>>63&a, lo}
}

// Plus is a + b.
func (a Int) Plus(b Int) Int {
	lo, carry := bits.Add64(a.Lo, b.Lo, 0)
	return Int{a.Hi + b.Hi + int64(carry), lo}
}

// Minus is a − b.
func (a Int) Minus(b Int) Int {
	lo, borrow := bits.Sub64(a.Lo, b.Lo, 0)
	return Int{a.Hi - b.Hi - int64(borrow), lo}
}

// Times is a·b.
func (a Int) Times(b Int) Int {
	hi, lo := bits.Mul64(a.Lo, b.Lo)
	return Int{int64(hi) + a.Hi*int64(b.Lo) + int64(a.Lo)*b.Hi, lo}
}

// Shift is ⌊a/2^n⌋, for n up to 127.
func (a Int) Shift(n int64) Int {
	if n >= 64 {
		return Int{a.Hi >> 63, uint64(a.Hi >> (n - 64))}
	}
	return Int{a.Hi >> n, a.Lo>>n | uint64(a.Hi)<<(64-n)}
}

// Int64 is a, wrapped at 64 bits.
func (a Int) Int64() int64 { return int64(a.Lo) }

// Less says whether a < b.
func (a Int) Less(b Int) bool { return a.Hi < b.Hi || a.Hi == b.Hi && a.Lo < b.Lo }

// Within is the one of lo ≤ hi and a that lies between the others.
func (a Int) Within(lo, hi int64) int64 {
	switch {
	case a.Less(Of(lo)):
		return lo
	case Of(hi).Less(a):
		return hi
	}
	return int64(a.Lo)
}
