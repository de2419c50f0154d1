package montgomery

// Sums of what is computed of runs of integers of 16 bits, in one column or two.

// RunBits bounds the integers x of a Linear: −2^33 ≤ x < 2^33.
const RunBits = 33

// Linear is base + Σ c·x of integers x, in limbs.
type Linear []uint64

// NewLinear prepares it. The caller gives base − Σ c·2^33 and the coefficients 2^52-fold.
func NewLinear[E Words](base E, coefficients ...E) Linear {
	var l Linear
	for _, e := range append([]E{base}, coefficients...) {
		words := Limbs(&e)
		l = append(l, words[:]...)
	}
	return l
}

// Pairs are two sums over neighbours v, v' of a column or neighbours v, v' and w, w' of two: one of v + v', w + w', the other of these, vv',
// vw' + v'w and ww'; where there is no w, of v + v', and of v + v' and vv'.
type Pairs[E Words] struct {
	m         *Modulus
	columns   int
	constants Linear
}

// NewPairs prepares them.
func NewPairs[E Words](m *Modulus, sum, product Linear) *Pairs[E] {
	columns := len(sum)/limbs - 1
	if columns < 1 || columns > 2 || len(product) != limbs*3*columns {
		panic("montgomery: not the sums of one or two columns")
	}
	return &Pairs[E]{m, columns, append(append(Linear{}, sum...), product...)}
}

// Fill computes both sums of n neighbours that stand in the columns one behind the other, a multiple of eight: p[i mod 4][i/4] and q[i
// mod 4][i/4] take those of the i-th.
func (a *Pairs[E]) Fill(p, q [4][]E, cols [2][]int16, n int) {
	if n%lanes != 0 {
		panic("montgomery: not a multiple of eight")
	}
	if n == 0 {
		return
	}
	table, constants, first := &a.m.table[0], &a.constants[0], cols[0][:2*n]
	p0, p1, p2, p3, q0, q1, q2, q3 := &p[0][0][0], &p[1][0][0], &p[2][0][0], &p[3][0][0], &q[0][0][0], &q[1][0][0], &q[2][0][0], &q[3][0][0]
	if a.columns == 1 {
		pairs1Quarters(table, p0, p1, p2, p3, q0, q1, q2, q3, constants, &first[0], n)
		return
	}
	second := cols[1][:2*n]
	pairs2Quarters(table, p0, p1, p2, p3, q0, q1, q2, q3, constants, &first[0], &second[0], n)
}

// Bound are sums over runs of four integers of one or two columns: of the first and the third of each column, and of the second and the fourth.
type Bound[E Words] struct {
	m         *Modulus
	columns   int
	constants Linear
}

// NewBound prepares them.
func NewBound[E Words](m *Modulus, sum Linear) *Bound[E] {
	columns := len(sum) / limbs / 2
	if columns < 1 || columns > 2 || len(sum) != limbs*(1+2*columns) {
		panic("montgomery: not the sums of one or two columns")
	}
	return &Bound[E]{m, columns, sum}
}

// Fill computes the sums of n runs, a multiple of eight: first[i mod 2][i/2] over the first and the third integers of run i, second over
// the others.
func (a *Bound[E]) Fill(first, second [2][]E, cols [2][]int16, n int) {
	if n%lanes != 0 {
		panic("montgomery: not a multiple of eight")
	}
	if n == 0 {
		return
	}
	table, constants, v := &a.m.table[0], &a.constants[0], cols[0][:4*n]
	if a.columns == 1 {
		bound1Split(table, &first[0][0][0], &first[1][0][0], &second[0][0][0], &second[1][0][0], constants, &v[0], n)
		return
	}
	w := cols[1][:4*n]
	bound2Split(table, &first[0][0][0], &first[1][0][0], &second[0][0][0], &second[1][0][0], constants, &v[0], &w[0], n)
}

// BoundPairs are sums over runs of eight integers v of one column or two: of the sums of Pairs, and of these and the products, of the
// first and the third pair of neighbours, or of the second and the fourth, each followed by that of the other.
type BoundPairs[E Words] struct {
	m         *Modulus
	columns   int
	constants Linear
}

// NewBoundPairs prepares them: a sum of sums, one of sums and products, and another one of these.
func NewBoundPairs[E Words](m *Modulus, sum, product, other Linear) *BoundPairs[E] {
	columns := len(sum) / limbs / 2
	if columns < 1 || columns > 2 || len(sum) != limbs*(1+2*columns) || len(product) != limbs*(6*columns-1) || len(other) != len(product) {
		panic("montgomery: not the sums of one or two columns")
	}
	return &BoundPairs[E]{m, columns, append(append(append(Linear{}, sum...), product...), other...)}
}

// Fill computes the sums of n runs, a multiple of eight: p[i] that of sums over the first and the third pair of run i, g[i] the other one
// over the second and the fourth, q0[i mod 2][i/2] and q1[i mod 2][i/2] that of products over both.
func (a *BoundPairs[E]) Fill(p, g []E, q0, q1 [2][]E, cols [2][]int16, n int) {
	if n%lanes != 0 {
		panic("montgomery: not a multiple of eight")
	}
	if n == 0 {
		return
	}
	table, constants, v := &a.m.table[0], &a.constants[0], cols[0][:8*n]
	even0, odd0, even1, odd1 := &q0[0][0][0], &q0[1][0][0], &q1[0][0][0], &q1[1][0][0]
	if a.columns == 1 {
		boundPairs1Split(table, &p[0][0], &g[0][0], even0, odd0, even1, odd1, constants, &v[0], n)
		return
	}
	w := cols[1][:8*n]
	boundPairs2Split(table, &p[0][0], &g[0][0], even0, odd0, even1, odd1, constants, &v[0], &w[0], n)
}
