package cpu

import (
	"github.com/zkllmc/zkllmc/runtime/field"
	"github.com/zkllmc/zkllmc/runtime/group"
)

// The MSM cuts scalars into signed windows and adds points up in buckets, like the library's, but affine and in vectors: within a
// window all neighbours of the same bucket are added in pairs at the same time, then pairs of those, until a point per bucket is
// left. An addition then costs about 60 ns where vector multiplication is fast, against 250 ns for a mixed one.

// directMSM is the number of points below which the fixed costs (the reduction of the buckets) do not pay.
const directMSM = 256

// MSM chooses the way by size.
func (b *backend) MSM(points []group.Affine, scalars []field.Element) group.Affine {
	if len(points) < directMSM || !wideVectors {
		sum := group.MSMThreads(points, scalars, b.threads)
		return group.ToAffine(&sum)
	}
	m := newMSM(points, scalars)
	workers := make([]*msmScratch, b.threads)
	b.run(m.windows, func(worker, w int) {
		if workers[worker] == nil {
			workers[worker] = m.newScratch()
		}
		m.accumulate(workers[worker], w)
	})
	sums := m.reduce(b.pool)
	total := group.Neutral()
	for w := m.windows - 1; w >= 0; w-- {
		for range m.bits {
			total.DoubleAssign()
		}
		total.AddAssign(&sums[w])
	}
	return group.ToAffine(&total)
}

// msm is one sum under way.
type msm struct {
	points  []group.Affine
	scalars [][4]uint64
	bits    int // of a window
	windows int
	buckets []group.Affine // per window 2^(bits−1); bucket k holds the sum of the points with digit ±(k+1)
}

// newMSM chooses the window by the number of additions, those of the reduction counted double for their shorter vectors.
func newMSM(points []group.Affine, scalars []field.Element) *msm {
	m := &msm{points: points, scalars: make([][4]uint64, len(scalars))}
	for i := range scalars {
		m.scalars[i] = scalars[i].Bits()
	}
	best := 1 << 62
	for bits := 5; bits <= 14; bits++ {
		windows := (field.Modulus().BitLen() + bits) / bits // one more bit for the last carry
		if cost := windows * (len(points) + 4<<(bits-1)); cost < best {
			best, m.bits, m.windows = cost, bits, windows
		}
	}
	m.buckets = make([]group.Affine, m.windows<<(m.bits-1))
	return m
}

// digit returns the signed digit of a scalar in a window: the window's bits plus the bit below, less 2^bits if the highest is set
// (Booth's recoding, which needs no carry).
func (m *msm) digit(k *[4]uint64, w int) int {
	at := w*m.bits - 1
	var v uint64
	if at < 0 {
		v = k[0] << 1
	} else if limb := at / 64; limb < 4 {
		v = k[limb] >> (at % 64)
		if limb < 3 && at%64 != 0 {
			v |= k[limb+1] << (64 - at%64)
		}
	}
	v &= 1<<(m.bits+1) - 1
	return int(v+1)>>1 - int(v>>m.bits)<<m.bits
}

// msmScratch is the working memory of one worker.
type msmScratch struct {
	adder      *adder
	digits     []int32
	sorted     []group.Affine
	size, next []int // per bucket
}

func (m *msm) newScratch() *msmScratch {
	count := 1 << (m.bits - 1)
	return &msmScratch{
		adder: newAdder(), digits: make([]int32, len(m.points)), sorted: make([]group.Affine, len(m.points)),
		size: make([]int, count), next: make([]int, count),
	}
}

// accumulate sums the buckets of a window: it sorts the points by bucket, then halves every bucket until one point is left.
func (m *msm) accumulate(s *msmScratch, w int) {
	digits, size, next, sorted, total := s.digits, s.size, s.next, s.sorted, 0
	clear(size)
	for i := range m.scalars {
		d := m.digit(&m.scalars[i], w)
		if m.points[i].IsInfinity() {
			d = 0
		}
		if digits[i] = int32(d); d != 0 {
			size[max(d, -d)-1]++
		}
	}
	for b := range size {
		next[b], total = total, total+size[b]
	}
	for i, d := range digits {
		if d == 0 {
			continue
		}
		b := max(d, -d) - 1
		p := &sorted[next[b]]
		next[b]++
		if *p = m.points[i]; d < 0 {
			p.Y.Neg(&p.Y)
		}
	}
	m.halve(sorted, size, s.adder)
	at := 0
	for b, n := range size {
		if n == 1 {
			m.buckets[w*len(size)+b] = sorted[at]
			at++
		}
	}
}

// halve adds neighbours in every bucket until each has at most one point; the points move together.
func (m *msm) halve(sorted []group.Affine, size []int, a *adder) {
	for again := true; again; {
		again = false
		from, to := 0, 0
		for b, n := range size {
			for range n / 2 {
				// The adder has read both operands when it writes, and writes only behind what was read.
				a.add(&sorted[from], &sorted[from+1], &sorted[to])
				from, to = from+2, to+1
			}
			if n%2 == 1 {
				sorted[to] = sorted[from]
				from, to = from+1, to+1
			}
			size[b] = (n + 1) / 2
			again = again || size[b] > 1
		}
		a.flush()
	}
}

// reduce returns Σ_k (k+1)·bucket_k of every window. Windows are cut into segments; all segments run their sums at the same time.
func (m *msm) reduce(p pool) []group.Jac {
	count := 1 << (m.bits - 1)
	length := min(16, count)
	lanes := m.windows * count / length
	run, weighted := make([]group.Affine, lanes), make([]group.Affine, lanes)
	p.chunks(lanes, max(adderLanes/2, (lanes+p.threads-1)/p.threads), func(_, lo, hi int) {
		a := newAdder()
		for k := length - 1; k >= 0; k-- {
			for i := lo; i < hi; i++ {
				a.add(&run[i], &m.buckets[i*length+k], &run[i])
			}
			a.flush()
			for i := lo; i < hi; i++ {
				a.add(&weighted[i], &run[i], &weighted[i])
			}
			a.flush()
		}
	})
	out, per := make([]group.Jac, m.windows), count/length
	p.chunks(m.windows, 4, func(_, lo, hi int) {
		for w := lo; w < hi; w++ {
			out[w] = joinSegments(run[w*per:(w+1)*per], weighted[w*per:(w+1)*per], length)
		}
	})
	return out
}

// joinSegments returns Σ_s weighted_s + length·Σ_s s·run_s: segment s lies s·length buckets up. The length is a power of two.
func joinSegments(run, weighted []group.Affine, length int) group.Jac {
	above, sum := group.Neutral(), group.Neutral()
	for s := len(run) - 1; s >= 1; s-- {
		above.AddMixed(&run[s])
		sum.AddAssign(&above)
	}
	for ; length > 1; length /= 2 {
		sum.DoubleAssign()
	}
	for s := range weighted {
		sum.AddMixed(&weighted[s])
	}
	return sum
}

// adderLanes is how many additions wait for each other.
const adderLanes = 512

// adder collects independent additions and does them together.
type adder struct {
	n              int
	ax, ay, bx, by coords
	d, slope       coords
	to             []*group.Affine
	odd            []int // lanes that the chord does not cover
	inverses       inverter
}

func newAdder() *adder {
	slab := make(coords, 6*adderLanes)
	next := func() coords {
		v := slab[:adderLanes:adderLanes]
		slab = slab[adderLanes:]
		return v
	}
	a := &adder{ax: next(), ay: next(), bx: next(), by: next(), d: next(), slope: next()}
	a.to, a.inverses = make([]*group.Affine, adderLanes), newInverter(adderLanes)
	return a
}

// add notes *to = *p + *q; the operands are read now, the result is there after flush, or earlier.
func (a *adder) add(p, q, to *group.Affine) {
	if a.n == adderLanes {
		a.flush()
	}
	i := a.n
	a.ax[i], a.ay[i], a.bx[i], a.by[i], a.to[i] = p.X, p.Y, q.X, q.Y, to
	a.n++
}

// flush does the waiting additions. Lanes with a neutral operand or equal x are done by the library's complete formula.
func (a *adder) flush() {
	n := a.n
	if a.n = 0; n == 0 {
		return
	}
	ax, ay, bx, by, d, slope := a.ax[:n], a.ay[:n], a.bx[:n], a.by[:n], a.d[:n], a.slope[:n]
	d.Sub(bx, ax)
	a.odd = a.odd[:0]
	for i := range d {
		if d[i].IsZero() || ax[i].IsZero() && ay[i].IsZero() || bx[i].IsZero() && by[i].IsZero() {
			a.odd = append(a.odd, i)
			d[i].SetOne()
		}
	}
	for _, i := range a.odd {
		p, q := group.Affine{X: ax[i], Y: ay[i]}, group.Affine{X: bx[i], Y: by[i]}
		a.to[i].Add(&p, &q)
	}
	a.inverses.run(d)
	slope.Sub(by, ay)
	slope.Mul(slope, d)
	d.Mul(slope, slope)
	d.Sub(d, ax)
	d.Sub(d, bx) // the third x
	ax.Sub(ax, d)
	ax.Mul(ax, slope)
	ax.Sub(ax, ay)
	odd := a.odd
	for i := range d {
		if len(odd) > 0 && odd[0] == i {
			odd = odd[1:]
			continue
		}
		a.to[i].X, a.to[i].Y = d[i], ax[i]
	}
}
