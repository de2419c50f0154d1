package group

import (
	"math/bits"

	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"
)

// Independent affine additions share one inversion: 5M + 1S each, less than any formula with projective coordinates. All products
// are taken over whole vectors, which gnark-crypto vectorises on processors with AVX-512 and which elsewhere keeps the
// multiplier busy (the usual chain of prefix products would wait for every product).

// sumOp asks for dst[d] = a[a] ± b[|b|], minus where b is negative. Index 0 of the slice b is therefore never used.
type sumOp struct{ d, a, b int32 }

// batchOps, a power of two, is how many additions share an inversion: the inversion is then a few percent of the work, and the
// scratch fits the second-level cache.
const batchOps = 512

// adder performs queued additions. Operations in the queue are independent of each other: none reads what another writes.
type adder struct {
	dst, a, b      []Affine
	ops            []sumOp
	seen           uint64                   // keeps touch's loads alive
	tree           [2 * batchOps]fp.Element // denominators, then the levels of their product tree
	inv, num, x, y [batchOps]fp.Element
}

// newAdder returns an adder over these slices; they may be the same.
func newAdder(dst, a, b []Affine) *adder {
	return &adder{dst: dst, a: a, b: b, ops: make([]sumOp, 0, batchOps)}
}

// add queues an addition.
func (q *adder) add(d, a, b int32) {
	q.ops = append(q.ops, sumOp{d, a, b})
	if len(q.ops) == batchOps {
		q.flush()
	}
}

// operands returns the operation's operands and whether the second is subtracted.
func (q *adder) operands(o sumOp) (a, b *Affine, neg bool) {
	if o.b < 0 {
		return &q.a[o.a], &q.b[-o.b], true
	}
	return &q.a[o.a], &q.b[o.b], false
}

// flush performs the queued additions.
func (q *adder) flush() {
	q.touch()
	q.slopes()
	n := len(q.ops)
	if n == 0 {
		return
	}
	q.invert(n)
	slope, y := fp.Vector(q.num[:n]), fp.Vector(q.y[:n])
	slope.Mul(slope, q.inv[:n])
	y.Mul(slope, slope)
	for i, o := range q.ops {
		a, b, _ := q.operands(o)
		x := &q.x[i]
		sub(x, &y[i], &a.X)
		sub(x, x, &b.X)
		sub(&y[i], &a.X, x)
	}
	y.Mul(y, slope)
	for i, o := range q.ops {
		a, d := &q.a[o.a], &q.dst[o.d]
		sub(&d.Y, &y[i], &a.Y)
		d.X = q.x[i]
	}
	q.ops = q.ops[:0]
}

// touch reads a word of every table entry that is needed. Nothing depends on these loads, so that many cache misses are under way
// at once, which the long arithmetic of slopes would not allow.
func (q *adder) touch() {
	seen := uint64(0)
	for _, o := range q.ops {
		seen ^= q.b[max(o.b, -o.b)].X[0]
	}
	q.seen = seen
}

// slopes computes numerators and denominators of the slopes, and drops the operations whose result needs none.
func (q *adder) slopes() {
	n := 0
	for _, o := range q.ops {
		a, b, neg := q.operands(o)
		den, num := &q.tree[n], &q.num[n]
		sub(den, &b.X, &a.X)
		if neg {
			num.Neg(&b.Y)
			sub(num, num, &a.Y)
		} else {
			sub(num, &b.Y, &a.Y)
		}
		if !generic(den, a, b) && special(den, num, &q.dst[o.d], a, b, neg) {
			continue
		}
		q.ops[n] = o
		n++
	}
	q.ops = q.ops[:n]
}

// generic says that a ± b is given by the chord: neither point is neutral and the abscissas differ.
func generic(den *fp.Element, a, b *Affine) bool {
	return !den.IsZero() && !(a.X.IsZero() && a.Y.IsZero()) && !(b.X.IsZero() && b.Y.IsZero())
}

// special treats what is not generic: it stores the result and returns true, except for a doubling, for which it sets the
// slope of the tangent, 3x²/2y.
func special(den, num *fp.Element, d, a, b *Affine, neg bool) bool {
	switch {
	case b.IsInfinity():
		*d = *a
	case a.IsInfinity():
		*d = *b
		if neg {
			d.Y.Neg(&d.Y)
		}
	case a.Y.Equal(&b.Y) == neg: // opposite points; y = 0 does not occur in a group of odd order
		*d = Affine{}
	default:
		den.Double(&a.Y)
		var square fp.Element
		square.Square(&a.X)
		num.Double(&square)
		num.Add(num, &square)
		return false
	}
	return true
}

// leaf is the size of the product tree's top, which is inverted element by element.
const leaf = 8

// invert stores the inverses of tree[:n], none of which is zero, in inv[:n]: products of halves up to the top, then every half's
// inverse is its parent's times the other half.
func (q *adder) invert(n int) {
	size := leaf
	for size < n {
		size *= 2
	}
	for i := n; i < size; i++ {
		q.tree[i].SetOne()
	}
	at := 0
	for s := size; s > leaf; s /= 2 {
		next := fp.Vector(q.tree[at+s : at+s+s/2])
		next.Mul(q.tree[at:at+s/2], q.tree[at+s/2:at+s])
		at += s
	}
	invertFew(q.inv[:leaf], q.tree[at:at+leaf])
	for s := 2 * leaf; s <= size; s *= 2 {
		at -= s
		lo, hi := fp.Vector(q.inv[:s/2]), fp.Vector(q.inv[s/2:s])
		hi.Mul(lo, q.tree[at:at+s/2])
		lo.Mul(lo, q.tree[at+s/2:at+s])
	}
}

// invertFew stores the inverses of a, none of which is zero, in out.
func invertFew(out, a []fp.Element) {
	run := fp.One()
	for i := range a {
		out[i] = run
		run.Mul(&run, &a[i])
	}
	run.Inverse(&run)
	for i := len(a) - 1; i >= 0; i-- {
		out[i].Mul(&out[i], &run)
		run.Mul(&run, &a[i])
	}
}

// The modulus of the coordinates' field.
const (
	q0 = 0x43e1f593f0000001
	q1 = 0x2833e84879b97091
	q2 = 0xb85045b68181585d
	q3 = 0x30644e72e131a029
)

// sub stores x − y in z, without the library's branch on the borrow, which no processor predicts.
func sub(z, x, y *fp.Element) {
	var b uint64
	z0, b := bits.Sub64(x[0], y[0], 0)
	z1, b := bits.Sub64(x[1], y[1], b)
	z2, b := bits.Sub64(x[2], y[2], b)
	z3, b := bits.Sub64(x[3], y[3], b)
	m := -b
	z[0], b = bits.Add64(z0, q0&m, 0)
	z[1], b = bits.Add64(z1, q1&m, b)
	z[2], b = bits.Add64(z2, q2&m, b)
	z[3], _ = bits.Add64(z3, q3&m, b)
}
