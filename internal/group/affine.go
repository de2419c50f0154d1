package group

// Independent affine additions share one inversion: 5M + 1S each, less than any formula with projective coordinates. All products
// are taken over whole vectors, which gnark-crypto vectorises on processors with AVX-512 and which elsewhere keeps the
// multiplier busy (the usual chain of prefix products would wait for every product). A prover's kernels do a whole addition.

// Sum asks for dst[D] = a[A] + b[B], or a[A] − b[^B] where B is negative.
type Sum struct{ D, A, B int32 }

// adder performs queued additions. Operations in the queue are independent of each other: none reads what another writes.
type adder struct {
	inverter
	dst, a, b []Affine
	ops       []Sum
	seen      uint64 // keeps touch's loads alive
	num, x, y coords // of as many operations as are performed at a time where kernels do not do it
	kernel    func(dst, a, b []Affine, ops []Sum)
}

// idle holds adders that nobody uses: they have more memory than few additions are worth. It is no sync.Pool, so that what a verification
// allocates does not depend on when garbage is collected.
var idle = make(chan *adder, 256)

// newAdder returns an adder over these slices; they may be the same. It can be given back once its queue is empty.
func newAdder(dst, a, b []Affine) *adder {
	var q *adder
	select {
	case q = <-idle:
	default:
		n := batchOps
		if kernels != nil {
			n = kernelOps
		}
		slab := make(coords, 3*n)
		q = &adder{inverter: newInverter(n), ops: make([]Sum, 0, batchOps), num: slab[:n:n], x: slab[n : 2*n : 2*n], y: slab[2*n:]}
	}
	q.dst, q.a, q.b = dst, a, b
	return q
}

func (q *adder) giveBack() {
	q.dst, q.a, q.b = nil, nil, nil
	select {
	case idle <- q:
	default:
	}
}

// add queues dst[d] = a[a] + b[b], or a[a] − b[^b] where b is negative.
func (q *adder) add(d, a, b int32) {
	q.ops = append(q.ops, Sum{D: d, A: a, B: b})
	if len(q.ops) == batchOps {
		q.flush()
	}
}

// operands returns the operation's operands and a mask, all ones where the second is subtracted. There is no branch on the sign:
// signs are random where it matters.
func (q *adder) operands(o Sum) (a, b *Affine, mask uint64) {
	sign := o.B >> 31
	return &q.a[o.A], &q.b[o.B^sign], uint64(int64(sign))
}

// flush performs the queued additions.
func (q *adder) flush() {
	if kernels != nil && len(q.ops) >= kernelOps {
		q.chords()
	}
	for ops := q.ops; len(ops) > 0; {
		n := min(len(ops), len(q.x))
		q.perform(ops[:n])
		ops = ops[n:]
	}
	q.ops = q.ops[:0]
}

// perform performs operations.
func (q *adder) perform(ops []Sum) {
	q.touch(ops)
	ops = q.slopes(ops)
	n := len(ops)
	if n == 0 {
		return
	}
	q.invert(n)
	slope, y := q.num[:n], q.y[:n]
	slope.Mul(slope, q.inv[:n])
	y.Mul(slope, slope)
	for i, o := range ops {
		a, b, _ := q.operands(o)
		x := &q.x[i]
		sub(x, &y[i], &a.X)
		sub(x, x, &b.X)
		sub(&y[i], &a.X, x)
	}
	y.Mul(y, slope)
	for i, o := range ops {
		a, d := &q.a[o.A], &q.dst[o.D]
		sub(&d.Y, &y[i], &a.Y)
		d.X = q.x[i]
	}
}

// kernelOps is how many operations pay for an inversion of their own.
const kernelOps = 64

// chords performs as many of the operations as kernels can. What is left is special, or less than eight.
func (q *adder) chords() {
	if q.kernel == nil {
		q.kernel = kernels.NewAdder(batchOps)
	}
	n := 0
	for i, o := range q.ops {
		a, b, _ := q.operands(o)
		if a.X[0] != b.X[0] && a.Y[0] != 0 && b.Y[0] != 0 { // as in generic, and read as early as in touch
			q.ops[i], q.ops[n] = q.ops[n], o
			n++
		}
	}
	if n -= n % AddLanes; n > 0 {
		q.kernel(q.dst, q.a, q.b, q.ops[:n])
		q.ops = q.ops[:copy(q.ops, q.ops[n:])]
	}
}

// touch reads a word of every table entry that is needed. Nothing depends on these loads, so that many cache misses are under way
// at once, which the long arithmetic of slopes would not allow.
func (q *adder) touch(ops []Sum) {
	seen := uint64(0)
	for _, o := range ops {
		seen ^= q.b[o.B^o.B>>31].X[0]
	}
	q.seen = seen
}

// slopes computes numerators and denominators of the slopes, and drops the operations whose result needs none. It returns those that are left.
func (q *adder) slopes(ops []Sum) []Sum {
	n := 0
	for _, o := range ops {
		a, b, mask := q.operands(o)
		den, num := &q.tree[n], &q.num[n]
		sub(den, &b.X, &a.X)
		negateIf(num, &b.Y, mask)
		sub(num, num, &a.Y)
		if !generic(den, a, b) && special(den, num, &q.dst[o.D], a, b, mask != 0) {
			continue
		}
		ops[n] = o
		n++
	}
	return ops[:n]
}

// generic says that a ± b is given by the chord: neither point is neutral and the abscissas differ. A limb that is not zero
// almost always settles it.
func generic(den *coord, a, b *Affine) bool {
	if den[0] != 0 && a.Y[0] != 0 && b.Y[0] != 0 {
		return true
	}
	return !den.IsZero() && !(a.X.IsZero() && a.Y.IsZero()) && !(b.X.IsZero() && b.Y.IsZero())
}

// special treats what is not generic: it stores the result and returns true, except for a doubling, for which it sets the
// slope of the tangent, 3x²/2y.
func special(den, num *coord, d, a, b *Affine, neg bool) bool {
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
		var square coord
		square.Square(&a.X)
		num.Double(&square)
		num.Add(num, &square)
		return false
	}
	return true
}
