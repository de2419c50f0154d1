package tensor

// Tile sizes of a contraction: rows×cols cells of the result per task, tileM×tileN in registers.
const (
	blockM = 64
	blockN = 64
	tileM  = 4
	tileN  = 2
)

// contraction is a two-factor term as batched matrix products: out[b, m, n] += coef·Σ_k A[b, m, k]·B[b, k, n], each index a list of
// offsets into the operands.
type contraction struct {
	*nest
	batchA, batchB, batchOut []int
	mA, mOut                 []int
	nB, nOut                 []int
	kA, kB                   []int
}

// contract runs the term as dense matrix products if it is one and big enough, and says so. Where a factor is mostly zeros it
// declines and notes the factor: the loops skip zeros.
func (n *nest) contract() bool {
	if len(n.vals) != 2 {
		return false
	}
	var batch, m, nn, k []loop
	for _, l := range n.loops {
		switch a, b, o := l.in[0] != 0, l.in[1] != 0, l.out != 0; {
		case a && b && o:
			batch = append(batch, l)
		case a && o:
			m = append(m, l)
		case b && o:
			nn = append(nn, l)
		case a && b:
			k = append(k, l)
		default:
			return false
		}
	}
	if len(k) == 0 {
		return false
	}
	for j, v := range n.vals {
		if sparse(v) {
			n.hoist = j
			return false
		}
	}
	c := contraction{nest: n}
	c.batchOut, c.batchA, c.batchB = offsets(batch, -1), offsets(batch, 0), offsets(batch, 1)
	c.mOut, c.mA = offsets(m, -1), offsets(m, 0)
	c.nOut, c.nB = offsets(nn, -1), offsets(nn, 1)
	c.kA, c.kB = offsets(k, 0), offsets(k, 1)
	if len(c.mA) < tileM || len(c.nB) < tileN || len(c.kA) < 8 {
		return false
	}
	c.run()
	return true
}

// sparse says whether at most one cell in eight is nonzero.
func sparse(v []int64) bool {
	nonzero, limit := 0, len(v)/8
	for _, x := range v {
		if x != 0 {
			if nonzero++; nonzero > limit {
				return false
			}
		}
	}
	return true
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

func (c *contraction) run() {
	ms, ns := (len(c.mA)+blockM-1)/blockM, (len(c.nB)+blockN-1)/blockN
	Parallel(len(c.batchA)*ms*ns, func(task int) {
		b, m, n := task/(ms*ns), task/ns%ms, task%ns
		c.block(b, m*blockM, min((m+1)*blockM, len(c.mA)), n*blockN, min((n+1)*blockN, len(c.nB)))
	})
}

// block computes the cells [m0, m1)×[n0, n1) of a batch. Both operands are packed tile by tile, with zeros beyond the edge.
func (c *contraction) block(b, m0, m1, n0, n1 int) {
	k := len(c.kA)
	av, bv := c.vals[0][c.batchA[b]:], c.vals[1][c.batchB[b]:]
	bp := make([]int64, (n1-n0+tileN-1)/tileN*tileN*k)
	for n := n0; n < n1; n += tileN {
		pack(bp[(n-n0)*k:(n-n0+tileN)*k], bv, c.nB[n:min(n+tileN, n1)], c.kB, tileN)
	}
	ap := make([]int64, tileM*k)
	for m := m0; m < m1; m += tileM {
		if rest := m1 - m; rest < tileM {
			clear(ap)
		}
		pack(ap, av, c.mA[m:min(m+tileM, m1)], c.kA, tileM)
		for n := n0; n < n1; n += tileN {
			acc := micro(ap, bp[(n-n0)*k:(n-n0+tileN)*k])
			for i, mo := range c.mOut[m:min(m+tileM, m1)] {
				for j, no := range c.nOut[n:min(n+tileN, n1)] {
					c.out[c.batchOut[b]+mo+no] += c.coef * acc[i*tileN+j]
				}
			}
		}
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
