package group

// Independent affine additions share one inversion: 5M + 1S each, less than any formula with projective coordinates. All products
// are taken over whole vectors, which gnark-crypto vectorises on processors with AVX-512 and which elsewhere keeps the
// multiplier busy (the usual chain of prefix products would wait for every product). A prover's kernels do a whole addition.

// Sum asks for dst[D] = a[A] + b[B], or a[A] − b[^B] where B is negative.
type Sum struct{ D, A, B int32 }

// adder performs queued additions. Operations in the queue are independent of each other: none reads what another writes.
type adder struct {
	inverter
	dst, a, b   []Affine
	ops         []Sum
	seen        uint64 // keeps touch's loads alive
	ax, ay, bx  coords // the operands of as many operations as are performed at a time where kernels do not do it
	num, result coords
	kernel      func(dst, a, b []Affine, ops []Sum)
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
		slab := make(coords, 5*n)
		next := func() coords {
			v := slab[:n:n]
			slab = slab[n:]
			return v
		}
		q = &adder{inverter: newInverter(n), ops: make([]Sum, 0, batchOps), ax: next(), ay: next(), bx: next(), num: next(), result: next()}
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
		n := min(len(ops), len(q.ax))
		q.perform(ops[:n])
		ops = ops[n:]
	}
	q.ops = q.ops[:0]
}

// perform performs operations: their operands are copied into runs of coordinates, which are computed with as vectors.
func (q *adder) perform(ops []Sum) {
	n := len(ops)
	q.touch(ops)
	ax, ay, bx, num, den := q.ax[:n], q.ay[:n], q.bx[:n], q.num[:n], q.tree[:n]
	for i, o := range ops {
		a, b, mask := q.operands(o)
		ax[i], ay[i], bx[i] = a.X, a.Y, b.X
		negateIf(&num[i], &b.Y, mask)
	}
	den.Sub(bx, ax)
	num.Sub(num, ay)
	for i := range ops {
		if a, b, mask := q.operands(ops[i]); !generic(&den[i], a, b) && special(&den[i], &num[i], &q.dst[ops[i].D], a, b, mask != 0) {
			den[i].SetOne()
			ops[i].D = done
		}
	}
	q.invert(n)
	slope, x, y := num, bx, q.result[:n]
	slope.Mul(num, q.inv[:n])
	y.Mul(slope, slope)
	y.Sub(y, ax)
	x.Sub(y, bx)
	ax.Sub(ax, x)
	y.Mul(ax, slope)
	y.Sub(y, ay)
	for i, o := range ops {
		if o.D != done {
			d := &q.dst[o.D]
			d.X, d.Y = x[i], y[i]
		}
	}
}

// touch reads a word of every operand. Nothing depends on these loads, so that many cache misses are under way at once, more than where
// operands are copied.
func (q *adder) touch(ops []Sum) {
	seen := uint64(0)
	for _, o := range ops {
		seen ^= q.a[o.A].X[0] ^ q.b[o.B^o.B>>31].X[0]
	}
	q.seen = seen
}

// done is the destination of operations whose result is stored already.
const done = -1

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
		if a.X[0] != b.X[0] && a.Y[0] != 0 && b.Y[0] != 0 { // as in generic
			q.ops[i], q.ops[n] = q.ops[n], o
			n++
		}
	}
	if n -= n % AddLanes; n > 0 {
		q.kernel(q.dst, q.a, q.b, q.ops[:n])
		q.ops = q.ops[:copy(q.ops, q.ops[n:])]
	}
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
