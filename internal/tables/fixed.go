package tables

import "math/bits"

// one62 is 1 with 62 fractional bits, the format of all function values in [0, 1].
const one62 = 1 << 62

// u128 is an unsigned integer of 128 bits.
type u128 struct{ hi, lo uint64 }

// shl shifts left by s, right (dropping bits) for negative s; what does not fit saturates.
func (a u128) shl(s int) u128 {
	switch {
	case a == u128{}:
		return a
	case s < 0:
		return a.shr(-s)
	case s > bits.LeadingZeros64(a.hi)+len0(a):
		return u128{^uint64(0), ^uint64(0)}
	case s >= 64:
		return u128{a.lo << (s - 64), 0}
	default:
		return u128{a.hi<<s | a.lo>>(64-s), a.lo << s}
	}
}

// len0 returns the leading zeros of the low word if the high word is zero.
func len0(a u128) int {
	if a.hi != 0 {
		return 0
	}
	return bits.LeadingZeros64(a.lo)
}

func (a u128) shr(s int) u128 {
	switch {
	case s >= 128:
		return u128{}
	case s >= 64:
		return u128{0, a.hi >> (s - 64)}
	default:
		return u128{a.hi >> s, a.lo>>s | a.hi<<(64-s)}
	}
}

// round returns a·2^-s rounded half up, saturated to 64 bits.
func (a u128) round(s int) uint64 {
	if s > 128 {
		return 0
	}
	if s > 0 {
		half := a.shr(s-1).lo & 1
		a = a.shr(s)
		var c uint64
		a.lo, c = bits.Add64(a.lo, half, 0)
		a.hi += c
	} else {
		a = a.shl(-s)
	}
	if a.hi != 0 {
		return ^uint64(0)
	}
	return a.lo
}

func (a u128) less(b u128) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

func (a u128) sub(b u128) u128 {
	lo, c := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, c)
	return u128{hi, lo}
}

// ln 2 with 128 fractional bits.
const (
	ln2Hi = 0xb17217f7d1cf79ab
	ln2Lo = 0xc9e3b39803f2f6af
)

// mulLn2 returns k·ln 2 with 64 fractional bits.
func mulLn2(k uint64) u128 {
	hi, lo := bits.Mul64(k, ln2Hi)
	carry, _ := bits.Mul64(k, ln2Lo)
	lo, c := bits.Add64(lo, carry, 0)
	return u128{hi + c, lo}
}

// quotLn2 returns ⌊t / ln 2⌋ for t < 64 with 64 fractional bits.
func quotLn2(t u128) uint64 {
	const invLn2 = 0xb8aa3b295c17f0bb // 1/ln 2 with 63 fractional bits
	hi, _ := bits.Mul64(t.hi<<58|t.lo>>6, invLn2)
	k := hi >> 57
	// The estimate truncates; it may be one too small.
	if !t.less(mulLn2(k + 1)) {
		k++
	}
	return k
}

// terms of the series of exp(−r), r < ln 2: the next one is below 2^-71.
const terms = 20

// reciprocals[n] = ⌊2^64 / n⌋ for n ≥ 2.
var reciprocals = func() (r [terms + 1]uint64) {
	for n := 2; n <= terms; n++ {
		r[n], _ = bits.Div64(1, 0, uint64(n))
	}
	return r
}()

// expFraction returns exp(−r) with 63 fractional bits, for r < ln 2 given with 64.
func expFraction(r uint64) uint64 {
	// 1 − r(1 − r/2(1 − r/3(…))): every bracket lies in (0, 1].
	const one63 = 1 << 63
	v := uint64(one63)
	for n := terms; n > 1; n-- {
		p, _ := bits.Mul64(r, v)
		p, _ = bits.Mul64(p, reciprocals[n])
		v = one63 - p
	}
	p, _ := bits.Mul64(r, v)
	return one63 - p
}

// expNeg returns exp(−t) with 62 fractional bits; t has 64.
func expNeg(t u128) uint64 {
	if t.hi >= 64 {
		return 0
	}
	k := quotLn2(t)
	r := t.sub(mulLn2(k))
	return u128{lo: expFraction(r.lo)}.round(int(k) + 1)
}

// expPos returns exp(t)·2^out, rounded and saturated.
func expPos(t u128, out int) uint64 {
	if t.hi >= 64 {
		return ^uint64(0)
	}
	if t == (u128{}) {
		return unit(one62, out)
	}
	k := quotLn2(t) + 1
	r := mulLn2(k).sub(t)
	return u128{lo: expFraction(r.lo)}.round(63 - int(k) - out)
}

// sigmoid returns 1/(1+exp(−x)) with 62 fractional bits, where |x| = t.
func sigmoid(t u128, neg bool) uint64 {
	e := expNeg(t)
	num := uint64(one62)
	if neg {
		num = e
	}
	return div62(num, one62+e)
}

// tanh returns tanh(t) with 62 fractional bits.
func tanh(t u128) uint64 {
	e := expNeg(t.shl(1))
	return div62(one62-e, one62+e)
}

// div62 returns ⌊a·2^62 / b⌋ for a ≤ b.
func div62(a, b uint64) uint64 {
	q, _ := bits.Div64(a>>2, a<<62, b)
	return q
}

// geluTanhArg returns 2·√(2/π)·(|x| + 0.044715·|x|³) with 64 fractional bits: ½(1 + tanh(a)) is the sigmoid of 2a.
func geluTanhArg(x sample) u128 {
	const (
		cubic = 44715 << 64 / 1000000
		scale = 15957691216057307117597842397375 << 62 / 10000000000000000000000000000000
	)
	if x.t.hi >= 8 { // the argument exceeds 49, the sigmoid is 0 or 1 to 2^-70
		return u128{hi: 64}
	}
	v := x.t.shr(6).lo // 58 fractional bits from here on
	p, _ := bits.Mul64(mulShift(v, v, 58), cubic)
	p += 1 << 58
	u := mulShift(mulShift(v, p, 58), scale, 62)
	return u128{lo: u}.shl(6)
}

// mulShift returns ⌊a·b / 2^s⌋, 0 < s < 64; the result fits a word.
func mulShift(a, b uint64, s uint) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi<<(64-s) | lo>>s
}
