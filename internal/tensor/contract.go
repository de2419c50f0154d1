package tensor

import "math"

// Tile sizes of a contraction: blockM×blockN lines of the two sides per task, tileM×tileN in registers.
const (
	blockM = 256
	blockN = 64
	tileM  = 4
	tileN  = 2
)

// contraction is a term as batched matrix products: out[b, m, n] += coef·Σ_k A[b, m, k]·B[b, n, k], each index a list of offsets into the
// operands. Factors that a term has beside the two scale the lines of a side.
type contraction struct {
	*nest
	batchOut []int
	a, b     side
}

// side is one of the two factors that are multiplied, by lines.
type side struct {
	factor int
	cells
	batch, line, k []int // offsets of the batches, the lines and the products' index
	out            []int // offsets of the lines in the result
	scales         []scale
	measured
}

// scale is a factor that does not depend on the lines of the other side, nor on the products' index.
type scale struct {
	v           []int64
	batch, line []int
}

// measured is what is known of the cells of a factor.
type measured struct {
	lo, hi int64
	sparse bool // at most one cell in eight is nonzero
}

// kinds are the loops of a nest that is a contraction.
type kinds struct{ batch, m, n, k []loop }

// contract runs the term as dense matrix products if it is one and big enough, and says so. Where a factor is mostly zeros it
// declines and notes the factor: the loops skip zeros.
func (n *nest) contract() bool {
	a, b, ok := n.multiplied()
	if !ok {
		return false
	}
	l, ok := n.sort(a, b)
	if !ok {
		return false
	}
	c := contraction{nest: n, batchOut: offsets(l.batch, -1), a: n.side(a, l.batch, l.m, l.k), b: n.side(b, l.batch, l.n, l.k)}
	for j := range n.vals {
		if j != a && j != b && !c.addScale(j, &l) {
			return false
		}
	}
	if len(c.a.line) > len(c.b.line) || n.kept(a) {
		c.a, c.b = c.b, c.a
	}
	packed := n.kept(c.b.factor)
	if len(c.a.k) < 8 || len(c.b.line) < tileM || len(c.a.line) < tileN && !packed {
		return false
	}
	for _, s := range []*side{&c.a, &c.b} {
		if s == &c.b && packed {
			s.measured = measured{lo: math.MinInt16, hi: math.MaxInt16}
			continue
		}
		if s.measured = n.measure(s.factor); s.sparse {
			n.hoist = s.factor
			return false
		}
	}
	if !narrowPays || !c.narrow() {
		c.wide()
	}
	return true
}

// multiplied finds the two factors that share what is summed over.
func (n *nest) multiplied() (a, b int, ok bool) {
	a, b = -1, -1
	for _, l := range n.loops {
		if l.out != 0 {
			continue
		}
		x, y := -1, -1
		for j, s := range l.in {
			switch {
			case s == 0:
			case x < 0:
				x = j
			case y < 0:
				y = j
			default:
				return 0, 0, false
			}
		}
		if y < 0 || a >= 0 && (x != a || y != b) {
			return 0, 0, false
		}
		a, b = x, y
	}
	return a, b, a >= 0
}

// sort tells the loops apart. A loop of the result in neither of the two factors makes no contraction.
func (n *nest) sort(a, b int) (k kinds, ok bool) {
	for _, l := range n.loops {
		switch inA, inB := l.in[a] != 0, l.in[b] != 0; {
		case l.out == 0:
			k.k = append(k.k, l)
		case inA && inB:
			k.batch = append(k.batch, l)
		case inA:
			k.m = append(k.m, l)
		case inB:
			k.n = append(k.n, l)
		default:
			return k, false
		}
	}
	return k, true
}

func (n *nest) side(j int, batch, line, k []loop) side {
	return side{factor: j, cells: n.vals[j], batch: offsets(batch, j), line: offsets(line, j), k: offsets(k, j), out: offsets(line, -1)}
}

// addScale makes factor j a scale of one of the sides.
func (c *contraction) addScale(j int, l *kinds) bool {
	along := func(loops []loop) bool {
		for _, x := range loops {
			if x.in[j] != 0 {
				return true
			}
		}
		return false
	}
	s, lines := &c.a, l.m
	if along(l.n) {
		s, lines = &c.b, l.n
		if along(l.m) {
			return false
		}
	}
	s.scales = append(s.scales, scale{v: c.vals[j].wide(), batch: offsets(l.batch, j), line: offsets(lines, j)})
	return true
}

// factors are the products of the scales of every line of a side in a batch, nil if there are none.
func (s *side) factors(batch int) []int64 {
	if len(s.scales) == 0 {
		return nil
	}
	f := make([]int64, len(s.line))
	for i := range f {
		f[i] = 1
		for _, x := range s.scales {
			f[i] *= x.v[x.batch[batch]+x.line[i]]
		}
	}
	return f
}

// measure looks at all cells of a factor that the loops run over.
func (n *nest) measure(j int) measured {
	var mine []loop
	for _, l := range n.loops {
		if l.in[j] != 0 {
			mine = append(mine, l)
		}
	}
	inner := loop{extent: 1, in: make([]int, len(n.vals))}
	for i, l := range mine {
		if l.in[j] == 1 {
			inner = l
			mine = append(mine[:i:i], mine[i+1:]...)
			break
		}
	}
	m, nonzero, cells := measured{lo: math.MaxInt64, hi: math.MinInt64}, 0, 0
	for _, o := range offsets(mine, j) {
		switch from := n.vals[j].from(o); {
		case from.v != nil:
			nonzero += measureRun(&m, from.v[:inner.extent])
		case from.mid != nil:
			nonzero += measureRun(&m, from.mid[:inner.extent])
		default:
			nonzero += measureRun(&m, from.short[:inner.extent])
		}
		cells += inner.extent
	}
	m.sparse = nonzero <= cells/8
	return m
}

// measureRun takes a run of cells into account and returns how many are not zero.
func measureRun[T int16 | int32 | int64](m *measured, run []T) (nonzero int) {
	for _, x := range run {
		m.lo, m.hi = min(m.lo, int64(x)), max(m.hi, int64(x))
		if x != 0 {
			nonzero++
		}
	}
	return nonzero
}

// offsets lists the offsets of all index values of some loops, first loop slowest, in a factor (or the result for j < 0).
func offsets(loops []loop, j int) []int {
	list := []int{0}
	for _, l := range loops {
		s := l.out
		if j >= 0 {
			s = l.in[j]
		}
		next := make([]int, 0, len(list)*l.extent)
		for _, o := range list {
			for i := range l.extent {
				next = append(next, o+i*s)
			}
		}
		list = next
	}
	return list
}

// blocks calls f for all pairs of up to blockM lines of a and blockN lines of b, batch by batch.
func (c *contraction) blocks(f func(batch, m0, m1, n0, n1 int)) {
	ms, ns := (len(c.a.line)+blockM-1)/blockM, (len(c.b.line)+blockN-1)/blockN
	c.pool.Run(len(c.batchOut)*ms*ns, func(_, task int) {
		b, m, n := task/(ms*ns), task/ns%ms, task%ns
		f(b, m*blockM, min((m+1)*blockM, len(c.a.line)), n*blockN, min((n+1)*blockN, len(c.b.line)))
	})
}

// wide multiplies integers of 64 bits.
func (c *contraction) wide() {
	c.a.v, c.b.v = c.a.wide(), c.b.wide()
	c.blocks(c.wideBlock)
}

// wideBlock computes the cells [m0, m1)×[n0, n1) of a batch. Both operands are packed tile by tile, with zeros beyond the edge.
func (c *contraction) wideBlock(batch, m0, m1, n0, n1 int) {
	k := len(c.a.k)
	av, bv := c.a.v[c.a.batch[batch]:], c.b.v[c.b.batch[batch]:]
	as, bs := c.a.factors(batch), c.b.factors(batch)
	bp := make([]int64, (n1-n0+tileN-1)/tileN*tileN*k)
	for n := n0; n < n1; n += tileN {
		pack(bp[(n-n0)*k:(n-n0+tileN)*k], bv, c.b.line[n:min(n+tileN, n1)], c.b.k, tileN)
	}
	ap := make([]int64, tileM*k)
	for m := m0; m < m1; m += tileM {
		if rest := m1 - m; rest < tileM {
			clear(ap)
		}
		pack(ap, av, c.a.line[m:min(m+tileM, m1)], c.a.k, tileM)
		for n := n0; n < n1; n += tileN {
			acc := micro(ap, bp[(n-n0)*k:(n-n0+tileN)*k])
			for i := range min(tileM, m1-m) {
				c.add(batch, m+i, n, min(tileN, n1-n), acc[i*tileN:], c.coef, as, bs)
			}
		}
	}
}

// add adds w times a few neighbouring sums of a line to the result.
func (c *contraction) add(batch, m, n, count int, sums []int64, w int64, as, bs []int64) {
	if as != nil {
		w *= as[m]
	}
	at := c.batchOut[batch] + c.a.out[m]
	for j, o := range c.b.out[n : n+count] {
		v := w * sums[j]
		if bs != nil {
			v *= bs[n+j]
		}
		c.out[at+o] += v
	}
}

// pack writes lines of v side by side: dst[k·width + i] = v[lines[i] + ks[k]].
func pack(dst, v []int64, lines, ks []int, width int) {
	for i, l := range lines {
		for k, o := range ks {
			dst[k*width+i] = v[l+o]
		}
	}
}

// micro returns the tileM×tileN products of two packed tiles.
func micro(a, b []int64) [tileM * tileN]int64 {
	var c00, c01, c10, c11, c20, c21, c30, c31 int64
	for len(a) >= tileM && len(b) >= tileN {
		b0, b1 := b[0], b[1]
		a0, a1, a2, a3 := a[0], a[1], a[2], a[3]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
		a, b = a[tileM:], b[tileN:]
	}
	return [tileM * tileN]int64{c00, c01, c10, c11, c20, c21, c30, c31}
}
