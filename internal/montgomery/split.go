package montgomery

// Functions that write results of even index to one slice and those of odd index to another: results of a round of a sumcheck, which the
// next round pairs. For n operands there are ⌈n/2⌉ and ⌊n/2⌋ results; longer slices keep what stands behind. Results must not be operands.

// tail is the memory for less than eight elements behind the last whole run.
type tail[E Words] struct {
	in        [4][lanes]E
	even, odd [2][lanes / 2]E
}

// take copies what is left of operands.
func (t *tail[E]) take(whole int, operands ...[]E) {
	for i, v := range operands {
		copy(t.in[i][:], v[whole:])
	}
}

// give copies results to where they belong: as many as are left of n.
func (t *tail[E]) give(i, n int, even, odd []E) {
	whole := n &^ (lanes - 1)
	copy(even[whole/2:(n+1)/2], t.even[i][:])
	copy(odd[whole/2:n/2], t.odd[i][:])
}

// MulSplit computes a[i]·b[i].
func MulSplit[E Words](m *Modulus, even, odd, a, b []E) {
	n := len(a)
	whole := n &^ (lanes - 1)
	if whole > 0 {
		mulSplitKernel(&m.table[0], &even[0][0], &odd[0][0], &a[0][0], &b[0][0], whole)
	}
	if whole < n {
		var t tail[E]
		t.take(whole, a, b)
		mulSplitKernel(&m.table[0], &t.even[0][0][0], &t.odd[0][0][0], &t.in[0][0][0], &t.in[1][0][0], lanes)
		t.give(0, n, even, odd)
	}
}

// LerpSplit computes lo[i] + c·(hi[i] − lo[i]).
func LerpSplit[E Words](m *Modulus, even, odd, lo, hi []E, c *E) {
	factor, n := cut((*c)[:], 4), len(lo)
	whole := n &^ (lanes - 1)
	if whole > 0 {
		lerpSplitKernel(&m.table[0], &even[0][0], &odd[0][0], &lo[0][0], &hi[0][0], &factor[0], whole)
	}
	if whole < n {
		var t tail[E]
		t.take(whole, lo, hi)
		lerpSplitKernel(&m.table[0], &t.even[0][0][0], &t.odd[0][0][0], &t.in[0][0][0], &t.in[1][0][0], &factor[0], lanes)
		t.give(0, n, even, odd)
	}
}

// AxpySplit computes a[i] + c·b[i].
func AxpySplit[E Words](m *Modulus, even, odd, a, b []E, c *E) {
	factor, n := cut((*c)[:], 4), len(a)
	whole := n &^ (lanes - 1)
	if whole > 0 {
		axpySplitKernel(&m.table[0], &even[0][0], &odd[0][0], &a[0][0], &b[0][0], &factor[0], whole)
	}
	if whole < n {
		var t tail[E]
		t.take(whole, a, b)
		axpySplitKernel(&m.table[0], &t.even[0][0][0], &t.odd[0][0][0], &t.in[0][0][0], &t.in[1][0][0], &factor[0], lanes)
		t.give(0, n, even, odd)
	}
}

// Fractions adds fractions, p0[i]/q0[i] + p1[i]/q1[i]: p = p0·q1 + p1·q0 and q = q0·q1. The halves of p and q are even ones and odd ones.
func Fractions[E Words](m *Modulus, p, q *[2][]E, p0, p1, q0, q1 []E) {
	n := len(q0)
	whole := n &^ (lanes - 1)
	if whole > 0 {
		fractionsKernel(&m.table[0], &p[0][0][0], &p[1][0][0], &q[0][0][0], &q[1][0][0], &p0[0][0], &p1[0][0], &q0[0][0], &q1[0][0], whole)
	}
	if whole < n {
		var t tail[E]
		t.take(whole, p0, p1, q0, q1)
		fractionsKernel(&m.table[0], &t.even[0][0][0], &t.odd[0][0][0], &t.even[1][0][0], &t.odd[1][0][0],
			&t.in[0][0][0], &t.in[1][0][0], &t.in[2][0][0], &t.in[3][0][0], lanes)
		t.give(0, n, p[0], p[1])
		t.give(1, n, q[0], q[1])
	}
}

// UnitFractions adds fractions 1/q0[i] + 1/q1[i]: p = q0 + q1 and q = q0·q1.
func UnitFractions[E Words](m *Modulus, p, q *[2][]E, q0, q1 []E) {
	n := len(q0)
	whole := n &^ (lanes - 1)
	if whole > 0 {
		onesKernel(&m.table[0], &p[0][0][0], &p[1][0][0], &q[0][0][0], &q[1][0][0], &q0[0][0], &q1[0][0], whole)
	}
	if whole < n {
		var t tail[E]
		t.take(whole, q0, q1)
		onesKernel(&m.table[0], &t.even[0][0][0], &t.odd[0][0][0], &t.even[1][0][0], &t.odd[1][0][0], &t.in[0][0][0], &t.in[1][0][0], lanes)
		t.give(0, n, p[0], p[1])
		t.give(1, n, q[0], q[1])
	}
}
