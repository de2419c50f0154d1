package group

import (
	"math"

	"github.com/consensys/gnark-crypto/ecc"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/parallel"
)

// The bucket method cuts scalars into signed windows and adds points up in buckets, like the library's, but affine and in
// vectors: within a window all neighbours of the same bucket are added in pairs at the same time, then pairs of those, until a
// point per bucket is left, and buckets halve by halve the same way. An addition then costs about 60 ns where vector multiplication is
// fast, against 250 ns for a mixed one. (Of no number of points is the library's way faster there.)

// wideVectors says that products of coordinates are much faster in vectors than one by one.
var wideVectors = field.WideVectors()

// MSM returns Σ scalars[i]·points[i] on all processors. The slices have equal length.
func MSM(points []Affine, scalars []field.Element) Jac {
	return MSMOn(nil, points, scalars)
}

// MSMOn is MSM on a pool.
func MSMOn(p *parallel.Pool, points []Affine, scalars []field.Element) Jac {
	if len(points) != len(scalars) {
		panic("group: points and scalars differ in number")
	}
	if p == nil {
		p = parallel.New(0) // all processors that there are now, whatever changes meanwhile
	}
	if wideVectors && len(points) > 0 {
		return newBuckets(points, scalars, p).sum()
	}
	sum := neutral()
	if len(points) == 0 {
		return sum
	}
	if _, err := sum.MultiExp(points, scalars, ecc.MultiExpConfig{NbTasks: min(p.Threads(), 1024)}); err != nil {
		panic("group: " + err.Error()) // only unequal lengths and a bad task count are refused
	}
	return sum
}

// buckets is one sum under way.
type buckets struct {
	points  []Affine
	scalars [][4]uint64
	pool    *parallel.Pool
	bits    int // of a window
	windows int
	count   int      // of the buckets of a window, 2^(bits−1)
	group   int      // windows that are filled together
	sums    []Affine // per window; bucket k holds the sum of the points with digit ±(k+1)
}

// newBuckets chooses the window by the number of additions. Each bucket takes two in the reduction, and its part in the last,
// short vectors of the halving.
func newBuckets(points []Affine, scalars []field.Element, p *parallel.Pool) *buckets {
	m := &buckets{points: points, scalars: make([][4]uint64, len(scalars)), pool: p}
	for i := range scalars {
		if !points[i].IsInfinity() { // those are left out: all their digits are 0
			m.scalars[i] = scalars[i].Bits()
		}
	}
	best := math.MaxInt
	for bits := 3; bits <= 16; bits++ {
		windows := (field.Bits + bits) / bits // one more bit for the last carry
		if cost := windows * (len(points) + bucketCost<<(bits-1)); cost < best {
			best, m.bits, m.windows = cost, bits, windows
		}
	}
	m.count = 1 << (m.bits - 1)
	m.group = max(1, min(groupOps/len(points), (m.windows+p.Threads()-1)/p.Threads()))
	m.sums = make([]Affine, m.windows*m.count)
	return m
}

// bucketCost is what a bucket costs besides its points, in additions.
const bucketCost = 3

// groupOps is how many points, counted once per window, are lined up together: the windows of few points would leave little to add at the
// same time.
const groupOps = 2 * batchOps

// sum adds everything up.
func (m *buckets) sum() Jac {
	groups := (m.windows + m.group - 1) / m.group
	scratch := make([]*bucketScratch, min(m.pool.Threads(), groups)) // all at once: what a verification allocates depends on nobody's schedule
	for i := range scratch {
		scratch[i] = m.newScratch()
	}
	m.pool.Run(groups, func(worker, i int) {
		from, to := i*m.group, min(m.windows, (i+1)*m.group)
		m.fill(scratch[worker], from, to)
	})
	together := m.together() // m.group or more, so that there is scratch for every worker
	m.pool.Run((m.windows+together-1)/together, func(worker, i int) {
		m.halve(scratch[worker].adder, i*together, min(m.windows, (i+1)*together))
	})
	for _, s := range scratch {
		s.giveBack()
	}
	total := neutral()
	for w := m.windows - 1; w >= 0; w-- {
		sums := m.sums[w*m.count:]
		for bit := m.count; bit > 0; bit /= 2 {
			total.DoubleAssign()
			if bit < m.count {
				total.AddMixed(&sums[bit])
			}
		}
		total.AddMixed(&sums[0])
	}
	return total
}

// together is how many windows are halved at the same time: few buckets would leave little to add, and an inversion for each step.
func (m *buckets) together() int {
	return max(m.group, min(2*batchOps/m.count, (m.windows+m.pool.Threads()-1)/m.pool.Threads()))
}

// digits writes the signed digits of all scalars in a window: the window's bits plus the bit below, less 2^bits if the highest is set
// (Booth's recoding, which needs no carry).
func (m *buckets) digits(dst []int32, w int) {
	at := max(0, w*m.bits-1)
	limb, shift, under := at/64, uint(at%64), uint(0)
	if w == 0 {
		under = 1 // nothing is below
	}
	next, mask := limb, uint64(0) // of what the window has in the next limb
	if limb < 3 && shift+uint(m.bits) >= 64 {
		next, mask = limb+1, ^uint64(0)
	}
	for i := range m.scalars {
		k := &m.scalars[i]
		v := (k[limb]>>shift | k[next]&mask<<(64-shift)) << under & (1<<(m.bits+1) - 1)
		dst[i] = int32(v+1)>>1 - int32(v>>m.bits)<<m.bits
	}
}

// bucketScratch is the working memory of one worker: a pile for every bucket, window by window, for a group of windows.
type bucketScratch struct {
	piles
	digits []int32 // window by window
	next   []int32 // per bucket
	sums   []Affine
}

func (m *buckets) newScratch() *bucketScratch {
	n, buckets := m.group*len(m.points), m.group*m.count
	return &bucketScratch{
		piles: piles{
			adder: newAdder(nil, nil, nil), line: make([]int32, n),
			start: make([]int32, buckets), size: make([]int32, buckets), open: make([]int32, 0, min(n/2, buckets)),
		},
		digits: make([]int32, n), next: make([]int32, buckets), sums: make([]Affine, (n+min(n, buckets))/2),
	}
}

// fill sums the buckets of the windows from, …, to−1.
func (m *buckets) fill(s *bucketScratch, from, to int) {
	m.sort(s, from, to)
	s.collapse(s.sums, m.points)
	for b, n := range s.size {
		if n > 0 {
			m.sums[from*m.count+b] = s.total(b)
		}
	}
}

// sort lines the points up by bucket.
func (m *buckets) sort(s *bucketScratch, from, to int) {
	clear(s.size)
	n := len(m.points)
	for w := from; w < to; w++ {
		digits, size := s.digits[(w-from)*n:][:n], s.size[(w-from)*m.count:][:m.count]
		m.digits(digits, w)
		for _, d := range digits {
			if d != 0 {
				size[max(d, -d)-1]++
			}
		}
	}
	total := int32(0)
	for b, n := range s.size {
		s.start[b], total = total, total+n
	}
	copy(s.next, s.start)
	for w := from; w < to; w++ {
		next := s.next[(w-from)*m.count:][:m.count]
		for i, d := range s.digits[(w-from)*n:][:n] {
			if d == 0 {
				continue
			}
			b := max(d, -d) - 1
			s.line[next[b]] = int32(i) ^ d>>31
			next[b]++
		}
	}
}

// halve leaves the sum of all buckets of a window in bucket 0, and that of the buckets whose number has bit j in bucket 2^j: the buckets with the
// highest bit are added to those without, and stay to be added up among themselves as what is below them is halved again.
func (m *buckets) halve(q *adder, from, to int) {
	sums, count := m.sums[from*m.count:to*m.count], int32(m.count)
	q.dst, q.a, q.b = sums, sums, sums
	for half := count / 2; half > 0; half /= 2 {
		for w := int32(0); w < int32(len(sums)); w += count {
			for part := int32(0); part < count; part = max(2*half, 2*part) {
				for i := w + part; i < w+part+half; i++ {
					q.add(i, i, i+half)
				}
			}
		}
		q.flush()
	}
}
