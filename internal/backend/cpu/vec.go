package cpu

import "github.com/zkllmc/zkllmc/internal/field"

// tile is the number of elements that vector code works on at a time: six vectors of 8 KiB fit the first-level cache (48 KiB on
// current machines), and the fixed cost of a vector call is lost in 256 elements.
const tile = 256

// vec is a contiguous run of elements.
type vec = field.Vector

// The operations below are element by element; the destination may be one of the operands.

func mulVec(dst, a, b vec)                     { dst.Mul(a, b) }
func addVec(dst, a, b vec)                     { dst.Add(a, b) }
func subVec(dst, a, b vec)                     { dst.Sub(a, b) }
func scaleVec(dst, a vec, c *field.Element)    { dst.ScalarMul(a, c) }
func dot(a, b vec) field.Element               { return a.InnerProduct(b) }
func mul(a, b field.Element) (z field.Element) { z.Mul(&a, &b); return }
func add(a, b field.Element) (z field.Element) { z.Add(&a, &b); return }
func sub(a, b field.Element) (z field.Element) { z.Sub(&a, &b); return }

// lerp sets dst = lo + r·(hi − lo).
func lerp(dst, lo, hi vec, r *field.Element) { dst.Lerp(lo, hi, r) }

// fill sets every element of dst to c.
func fill(dst vec, c field.Element) {
	for i := range dst {
		dst[i] = c
	}
}

// split writes the elements of even index to lo and those of odd index to hi. Where src ends in an even index, hi gets pad at
// the end.
func split(lo, hi, src vec, pad *field.Element) {
	n := len(src) / 2
	lo, hi = lo[:n+len(src)%2], hi[:n+len(src)%2]
	for i := range n {
		pair := (*[2]field.Element)(src[2*i:])
		lo[i], hi[i] = pair[0], pair[1]
	}
	if len(src)%2 == 1 {
		lo[n], hi[n] = src[2*n], *pad
	}
}

// one returns 1.
func one() (e field.Element) { e.SetOne(); return }

// eqTable returns eq(s, x) for all x, the lowest variable first.
func eqTable(s []field.Element) vec {
	out := make(vec, 1<<len(s))
	out[0].SetOne()
	for i := range s {
		n := 1 << i
		scaleVec(out[n:2*n], out[:n], &s[i])
		subVec(out[:n], out[:n], out[n:2*n])
	}
	return out
}

// eqAt returns eq(s, x) at a single x.
func eqAt(s []field.Element, x int) field.Element {
	out, unit := one(), one()
	for i := range s {
		f := s[i]
		if x>>i&1 == 0 {
			f.Sub(&unit, &f)
		}
		out.Mul(&out, &f)
	}
	return out
}
