package field

import "math/bits"

// Sums of products integer × element, reduced once. The Montgomery form is linear: Σ w_i·e_i in Montgomery form is
// Σ w_i·mont(e_i), so that the limbs of the e_i are multiplied as plain integers. Every limb of the element has its own words
// for Σ w_i·e_i[limb]; no carry passes from one limb to the next before the end.

// Acc accumulates Σ w_i·e_i for any int64 w_i but -2^63. The zero value is an empty sum. 2^63 terms fit.
type Acc struct {
	pos, neg [4][3]uint64
}

// MulAdd adds w·e.
func (a *Acc) MulAdd(e *Element, w int64) {
	if w >= 0 {
		mulAddWide(&a.pos, e, uint64(w))
	} else {
		mulAddWide(&a.neg, e, uint64(-w))
	}
}

// Reduce returns the sum so far; the accumulator keeps it.
func (a *Acc) Reduce() Element {
	p, n := reduceWide(&a.pos), reduceWide(&a.neg)
	p.Sub(&p, &n)
	return p
}

func mulAddWide(a *[4][3]uint64, e *Element, w uint64) {
	for l := range a {
		hi, lo := bits.Mul64(e[l], w)
		var c uint64
		a[l][0], c = bits.Add64(a[l][0], lo, 0)
		a[l][1], c = bits.Add64(a[l][1], hi, c)
		a[l][2] += c
	}
}

// reduceWide joins the limbs' words to one integer and reduces it.
func reduceWide(a *[4][3]uint64) Element {
	var v [7]uint64
	for l := range a {
		var c uint64
		v[l], c = bits.Add64(v[l], a[l][0], 0)
		v[l+1], c = bits.Add64(v[l+1], a[l][1], c)
		v[l+2], c = bits.Add64(v[l+2], a[l][2], c)
		for k := l + 3; c != 0 && k < len(v); k++ {
			v[k], c = bits.Add64(v[k], 0, c)
		}
	}
	return reduceWords(v[:])
}

// mac returns (lo, hi) + c·w.
func mac(lo, hi, c, w uint64) (uint64, uint64) {
	h, l := bits.Mul64(c, w)
	lo, carry := bits.Add64(lo, l, 0)
	hi, _ = bits.Add64(hi, h, carry)
	return lo, hi
}

// reduceWords returns the element whose Montgomery form is the integer v (least significant word first) modulo p, by Horner's
// rule on the words above 2^256.
func reduceWords(v []uint64) Element {
	for len(v) > 5 && v[len(v)-1] == 0 {
		v = v[:len(v)-1]
	}
	if len(v) == 5 {
		return reduce5(v[0], v[1], v[2], v[3], v[4])
	}
	var r Element
	for i := len(v) - 1; i >= 0; i-- {
		r.Mul(&r, &shift64)
		w := Element{v[i]}
		r.Add(&r, &w)
	}
	return r
}

// reduce5 returns the element whose Montgomery form is Σ v_i·2^(64·i) modulo p: v4·2^256 is the Montgomery form of v4.
func reduce5(v0, v1, v2, v3, v4 uint64) Element {
	r := reduce4(v0, v1, v2, v3)
	if v4 != 0 {
		top := FromUint64(v4)
		r.Add(&r, &top)
	}
	return r
}

// reduce4 reduces an integer below 2^256 < 6p. The highest word tells how often p is in it, or that it is once more: a loop would end where no
// processor foresees.
func reduce4(a, b, c, d uint64) Element {
	m := &multiples[d/(p3+1)]
	var x uint64
	a, x = bits.Sub64(a, m[0], 0)
	b, x = bits.Sub64(b, m[1], x)
	c, x = bits.Sub64(c, m[2], x)
	d, _ = bits.Sub64(d, m[3], x)
	a1, x := bits.Sub64(a, p0, 0)
	b1, x := bits.Sub64(b, p1, x)
	c1, x := bits.Sub64(c, p2, x)
	d1, x := bits.Sub64(d, p3, x)
	if x != 0 {
		return Element{a, b, c, d}
	}
	return Element{a1, b1, c1, d1}
}

// multiples are those of p below 2^256.
var multiples = func() (m [6][4]uint64) {
	for k := 1; k < len(m); k++ {
		var x uint64
		for i, p := range [4]uint64{p0, p1, p2, p3} {
			m[k][i], x = bits.Add64(m[k-1][i], p, x)
		}
	}
	return m
}()

// The words of p.
const (
	p0 = 0x3c208c16d87cfd47
	p1 = 0x97816a916871ca8d
	p2 = 0xb85045b68181585d
	p3 = 0x30644e72e131a029
)

// shift64 is 2^64.
var shift64 = Pow2(64)

// smallBound bounds what the fast kernels take: |w| < 2^31.
const smallBound = 1 << 31

// dotRun is the number of terms after which the fast kernel looks for values that it cannot take.
const dotRun = 1 << 9

// DotInt64 returns Σ w[i]·e[i] for |w[i]| < 2^63; the slices have equal length. Values below 2^31 take the fast path, zeros cost next
// to nothing.
func DotInt64(w []int64, e []Element) Element {
	if len(w) != len(e) {
		panic("field: slices of different length")
	}
	var total signed
	var slow *Acc
	for len(w) > 0 {
		n := min(len(w), dotRun)
		if small(w[:n]) {
			dotSmall(&total, w[:n], e[:n])
		} else {
			if slow == nil {
				slow = new(Acc)
			}
			for i, x := range w[:n] {
				slow.MulAdd(&e[i], int64(x))
			}
		}
		w, e = w[n:], e[n:]
	}
	sum := total.reduce()
	if slow != nil {
		t := slow.Reduce()
		sum.Add(&sum, &t)
	}
	return sum
}

// small says that all values fit 32 bits with sign; for int32 without looking.
func small[T int32 | int64](w []T) bool {
	if edge := T(smallBound - 1); edge+1 < 0 {
		return true // int32 overflows here, so all its values fit
	}
	var far uint64
	for _, x := range w {
		far |= uint64(int64(x)+smallBound) >> 32
	}
	return far == 0
}

// signed collects signed products: a pair (low, high) for every limb, high in two's complement. 2^31 terms fit.
type signed [8]uint64

// dotSmall adds Σ w[i]·e[i] for small w. A negative factor enters as its two's complement w + 2^64, which
// adds 2^64·e[limb] too much.
func dotSmall(total *signed, w []int64, e []Element) {
	a := *total
	e = e[:len(w)]
	for i := range w {
		x := int64(w[i])
		if x == 0 {
			continue
		}
		u, mask, el := uint64(x), uint64(x>>63), &e[i]
		a[0], a[1] = mac(a[0], a[1], el[0], u)
		a[1] -= el[0] & mask
		a[2], a[3] = mac(a[2], a[3], el[1], u)
		a[3] -= el[1] & mask
		a[4], a[5] = mac(a[4], a[5], el[2], u)
		a[5] -= el[2] & mask
		a[6], a[7] = mac(a[6], a[7], el[3], u)
		a[7] -= el[3] & mask
	}
	*total = a
}

// reduce returns the element that the sum represents.
func (a *signed) reduce() Element {
	s1, s3, s5 := extend(a[1]), extend(a[3]), extend(a[5])
	v1, c := bits.Add64(a[2], a[1], 0)
	v2, c := bits.Add64(a[4], s1, c)
	v3, c := bits.Add64(a[6], s1, c)
	v4, _ := bits.Add64(a[7], s1, c)
	v2, c = bits.Add64(v2, a[3], 0)
	v3, c = bits.Add64(v3, s3, c)
	v4, _ = bits.Add64(v4, s3, c)
	v3, c = bits.Add64(v3, a[5], 0)
	v4, _ = bits.Add64(v4, s5, c)
	if v4>>63 == 0 {
		return reduce5(a[0], v1, v2, v3, v4)
	}
	v0, b := bits.Sub64(0, a[0], 0)
	v1, b = bits.Sub64(0, v1, b)
	v2, b = bits.Sub64(0, v2, b)
	v3, b = bits.Sub64(0, v3, b)
	v4, _ = bits.Sub64(0, v4, b)
	r := reduce5(v0, v1, v2, v3, v4)
	return *r.Neg(&r)
}

// extend returns the word that continues a two's complement number upwards.
func extend(x uint64) uint64 { return uint64(int64(x) >> 63) }

// Wide accumulates Σ u_i·e_i for any uint64 u_i, as one integer that is the Montgomery form of the sum, not reduced. The zero value is an
// empty sum. 2^66 terms fit.
type Wide [6]uint64

// MulAdd adds u·e.
func (a *Wide) MulAdd(e *Element, u uint64) {
	h0, l0 := bits.Mul64(e[0], u)
	h1, l1 := bits.Mul64(e[1], u)
	h2, l2 := bits.Mul64(e[2], u)
	h3, l3 := bits.Mul64(e[3], u)
	var c uint64
	l1, c = bits.Add64(l1, h0, 0)
	l2, c = bits.Add64(l2, h1, c)
	l3, c = bits.Add64(l3, h2, c)
	h3 += c
	a[0], c = bits.Add64(a[0], l0, 0)
	a[1], c = bits.Add64(a[1], l1, c)
	a[2], c = bits.Add64(a[2], l2, c)
	a[3], c = bits.Add64(a[3], l3, c)
	a[4], c = bits.Add64(a[4], h3, c)
	a[5] += c
}

// Reduce returns the sum so far; the accumulator keeps it. What stands above 2^256 is multiplied by it, by its Montgomery form.
func (a *Wide) Reduce() Element {
	r, top := reduce4(a[0], a[1], a[2], a[3]), Element{a[4], a[5]}
	top.Mul(&top, &squaredRadix)
	return *r.Add(&r, &top)
}

// squaredRadix has the Montgomery form 2^512: a product with it multiplies by 2^256.
var squaredRadix = Pow2(256)
