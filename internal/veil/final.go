package veil

import (
	"encoding/binary"
	"fmt"
	"sort"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/poly"
)

// restLength is the length at which folding stops and the vector is sent: five rounds less cost 10 points, the vector 16
// scalars, and the work of both sides' last rounds is saved.
const restLength = 16

// Finish sends the product block and the final argument (SPEC.md 12 and 13) and, on the verifier's side, returns
// nil exactly if every check that was registered holds, but for the argument's soundness error.
//
// Messages:
//  1. products: the block (f(0), g(0), h(0), h(m+1), …, h(2m)) as a committed vector; ← c; f(c), g(c) in clear.
//  2. ← ν; ← θ
//  3. D = Σ d_i G_i + ρ_D·H and t_D = ⟨d, L⟩, d uniform; ← e
//  4. φ = e·ρ_P + ρ_D; ← x
//  5. rounds: L_k, R_k; ← x_k; at last the remaining vector.
func (c *Channel) Finish() error {
	if c.err != nil {
		return c.err
	}
	c.multiply()
	nu := c.Challenge("nu")
	theta := c.Challenge("theta")
	if c.err == nil && theta.IsZero() {
		c.Fail(fmt.Errorf("%w: θ = 0", ErrForbidden))
	}
	if c.mode == proving && c.err == nil && c.count.Pads != c.npads {
		c.Fail(fmt.Errorf("veil: %d pads used of %d", c.count.Pads, c.npads))
	}
	if c.err != nil {
		return c.err
	}
	c.npads = c.count.Pads
	c.segments[0].n = c.npads
	// A false check survives ν as a root of a polynomial of degree the number of checks; a commitment that borrows another
	// segment's generators survives θ as one of a Laurent polynomial of twice the number of segments.
	c.Charge("final form: nu", int64(len(c.linear)), FullBits)
	c.Charge("final form: theta", int64(2*len(c.segments)), FullBits)
	a := c.arrange(theta)
	if c.mode != counting { // to whom it matters only how long the argument is
		a.assemble(nu)
	}
	a.run()
	return c.err
}

// multiply reduces the product checks to three linear checks: f and g interpolate the operands at 1..m and are random at 0,
// h = f·g. f(c) and g(c) are uniform and independent of the witness; they are absorbed before every later challenge, or they
// would be free variables of the final form.
func (c *Channel) multiply() {
	m := len(c.products)
	if m == 0 {
		return
	}
	var f, g, h []field.Element // f(0..m), g(0..m), h(0..2m)
	block := c.Vector("product block", m+3, func() []field.Element {
		f, g, h = c.interpolate()
		return append([]field.Element{f[0], g[0], h[0]}, h[m+1:]...)
	})
	if c.err != nil {
		return
	}
	ch := c.Challenge("c")
	if isSmall(ch, 2*m) {
		c.Fail(fmt.Errorf("%w: c interpolates a product", ErrForbidden))
		return
	}
	short, long := poly.LagrangeAt(m, ch), poly.LagrangeAt(2*m, ch)
	c.Charge("product block", int64(2*m), FullBits)
	clear := c.clear("f(c), g(c)", 2, func() []field.Element {
		return []field.Element{field.InnerProduct(short, f), field.InnerProduct(short, g)}
	})
	var ef, eg, eh Accumulator
	ef.Add(short[0], block[0])
	eg.Add(short[0], block[1])
	eh.Add(long[0], block[2])
	for i, p := range c.products {
		ef.Add(short[i+1], p.x)
		eg.Add(short[i+1], p.y)
		eh.Add(long[i+1], p.z)
	}
	for i := m + 1; i <= 2*m; i++ {
		eh.Add(long[i], block[3+i-m-1])
	}
	var hc field.Element
	hc.Mul(&clear[0], &clear[1])
	c.Zero("product block f", ef.Expr().Sub(Constant(clear[0])))
	c.Zero("product block g", eg.Expr().Sub(Constant(clear[1])))
	c.Zero("product block h", eh.Expr().Sub(Constant(hc)))
}

// isSmall says whether c is one of the integers 0..n.
func isSmall(c field.Element, n int) bool {
	return c.IsUint64() && c.Uint64() <= uint64(n)
}

// interpolate returns f and g at 0..m and h = f·g at 0..2m.
func (c *Channel) interpolate() (f, g, h []field.Element) {
	m := len(c.products)
	r := c.rnd.Uniform("product block", 2)
	f, g = make([]field.Element, m+1), make([]field.Element, m+1)
	f[0], g[0] = r[0], r[1]
	for i, p := range c.products {
		f[i+1], g[i+1] = c.Value(p.x), c.Value(p.y)
	}
	h = make([]field.Element, 2*m+1)
	longF, longG := poly.Extrapolate(f, len(h)), poly.Extrapolate(g, len(h))
	for i := range h {
		h[i].Mul(&longF[i], &longG[i])
	}
	return f, g, h
}

// argument is the final argument over one vector that holds every segment.
type argument struct {
	c      *Channel
	n      int             // padded length
	order  []int           // segment indices by falling padded size
	offset []int           // per segment: its first position
	weight []field.Element // per segment: θ^s
	form   []field.Element // L: one form for all checks, segment s scaled by θ^{-s}
	target field.Element   // t
}

// arrange numbers the segments from 1 and puts them one behind the other.
func (c *Channel) arrange(theta field.Element) *argument {
	a := &argument{c: c, order: make([]int, len(c.segments)), offset: make([]int, len(c.segments)), weight: make([]field.Element, len(c.segments))}
	for i := range a.order {
		a.order[i] = i
	}
	sort.SliceStable(a.order, func(i, j int) bool {
		return padded(c.segments[a.order[i]].n) > padded(c.segments[a.order[j]].n)
	})
	pos := 0
	power := theta
	for _, s := range a.order {
		a.offset[s] = pos
		pos += padded(c.segments[s].n)
		a.weight[s] = power
		power.Mul(&power, &theta)
	}
	a.n = padded(max(pos, 1))
	return a
}

// assemble numbers the checks from 1 and builds form and target.
func (a *argument) assemble(nu field.Element) {
	c := a.c
	a.form = make([]field.Element, a.n)
	a.sum(nu)
	inverse := field.BatchInvert(a.weight)
	for s := range c.segments {
		for j := 0; j < c.segments[s].n; j++ {
			at := &a.form[a.offset[s]+j]
			at.Mul(at, &inverse[s])
		}
	}
}

// sum adds the linear checks up, check k times ν^k, into form (not yet scaled by θ) and target. What checks say of defined expressions
// is added up first, and then each of these, from the last to the first, is replaced by its definition, which names earlier ones
// only: the work is linear in the lengths of checks and definitions, whatever they would be written out.
func (a *argument) sum(nu field.Element) {
	c := a.c
	named := make([]field.Element, len(c.defined))
	var v field.Element
	add := func(coef field.Element, e Expr) {
		for _, t := range e.Terms {
			at := named
			pos := t.W.Pos
			if t.W.Seg != Defined {
				at, pos = a.form, pos+a.offset[t.W.Seg]
			}
			v.Mul(&coef, &t.C)
			at[pos].Add(&at[pos], &v)
		}
		v.Mul(&coef, &e.Const)
		a.target.Sub(&a.target, &v)
	}
	coef := nu
	for _, l := range c.linear {
		add(coef, l.expr)
		for j := range l.dense {
			v.Mul(&coef, &l.dense[j])
			at := &a.form[a.offset[l.seg]+j]
			at.Add(at, &v)
		}
		coef.Mul(&coef, &nu)
	}
	for i := len(c.defined) - 1; i >= 0; i-- {
		add(named[i], c.defined[i])
	}
}

func padded(n int) int {
	p := 1
	for p < n {
		p *= 2
	}
	return p
}

// generators returns the generator of every position; the identity at padding.
func (a *argument) generators() []group.Affine {
	g := make([]group.Affine, a.n)
	for s := range a.c.segments {
		seg := &a.c.segments[s]
		copy(g[a.offset[s]:a.offset[s]+seg.n], seg.gens()[:seg.n])
	}
	return g
}

// run sends the messages; the verifier ends with one multi-scalar multiplication that must give the identity.
func (a *argument) run() {
	c := a.c
	p := &prover{argument: a}
	if c.Proving() {
		p.start()
	}
	d := c.Points("D", 1, p.mask)
	tD := c.clear("t_D", 1, p.maskForm)
	e := c.Challenge("e")
	phi := c.clear("phi", 1, func() []field.Element { return p.blinder(e) })
	x := c.Challenge("x")
	if c.err == nil && x.IsZero() {
		c.Fail(fmt.Errorf("%w: x = 0", ErrForbidden))
		return
	}
	if c.Proving() {
		p.combine(e, x)
	}
	c.Charge("final argument: e, x", 2, FullBits)
	rounds := 0
	for a.n>>rounds > restLength {
		rounds++
	}
	lr := make([]group.Affine, 0, 2*rounds)
	xs := make([]field.Element, 0, rounds)
	for k := 0; k < rounds; k++ {
		lr = append(lr, c.Points("L, R", 2, p.round)...)
		xk := foldChallenge(c.tr.ChallengeBytes("fold", 16))
		if xk.IsZero() {
			c.Fail(fmt.Errorf("%w: folding challenge 0", ErrForbidden))
			return
		}
		xs = append(xs, xk)
		c.Charge("final argument: fold", 2, FoldBits)
		if c.Proving() {
			p.fold.Fold(xk)
		}
	}
	rest := c.clear("rest", a.n>>rounds, p.rest)
	if c.mode == verifying && c.err == nil {
		a.check(d[0], tD[0], e, phi[0], x, lr, xs, rest)
	}
}

// foldChallenge maps 16 uniform bytes to a + b·λ with the endomorphism's eigenvalue λ and a, b < 2^64; both must be non-zero.
func foldChallenge(raw []byte) field.Element {
	a, b := binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:16])
	var v, w field.Element
	if a == 0 || b == 0 {
		return v
	}
	v.SetUint64(b)
	v.Mul(&v, &lambda)
	w.SetUint64(a)
	return *v.Add(&v, &w)
}

// lambda is the primitive cube root of unity 7^((p-1)/3), by which the group's endomorphism multiplies. TestLambda pins it: with 1 in
// its place (5 is a cube) folding challenges would have 65 bits.
var lambda = func() field.Element {
	exp := field.Modulus()
	exp.Sub(exp, one)
	exp.Div(exp, three)
	var v field.Element
	v.SetUint64(7)
	return *v.Exp(v, exp)
}()

// check verifies e·P + D − φ·H + (e·t + t_D)·U' folded by the rounds against the remaining vector, as one multi-scalar
// multiplication over all points of the proof and all generators.
func (a *argument) check(d group.Affine, tD, e, phi, x field.Element, lr []group.Affine, xs, rest []field.Element) {
	c := a.c
	m := newMSM(a.n + len(lr) + 3)
	total := product1(xs) // the factor that P collects
	var v, w field.Element
	for s := range c.segments {
		seg := &c.segments[s]
		v.Mul(&total, &e)
		v.Mul(&v, &a.weight[s])
		for i := range seg.points {
			w = v
			if seg.coefs != nil {
				w.Mul(&w, &seg.coefs[i])
			}
			m.add(seg.points[i], w)
		}
	}
	m.add(d, total)
	v.Mul(&total, &phi)
	v.Neg(&v)
	m.add(group.H(), v)
	after := field.Element{}
	after.SetOne()
	for k := len(xs) - 1; k >= 0; k-- { // after = Π_{j>k} x_j
		v.Square(&xs[k])
		v.Mul(&v, &after)
		m.add(lr[2*k], v)
		m.add(lr[2*k+1], after)
		after.Mul(&after, &xs[k])
	}
	a.checkRest(m, x, e, tD, total, xs, rest)
	sum := group.MSM(m.points, m.scalars)
	if !sum.Z.IsZero() {
		c.Fail(ErrRejected)
	}
}

// checkRest adds −⟨rest, folded generators⟩ and the inner product's part over U' = x·U.
func (a *argument) checkRest(m *msm, x, e, tD, total field.Element, xs, rest []field.Element) {
	gens := a.generators()
	n := len(rest)
	minus, form, part := make(field.Vector, n), make(field.Vector, n), make(field.Vector, n)
	for i := range rest {
		minus[i].Neg(&rest[i])
	}
	for hi, w := range foldWeights(xs) {
		part.ScalarMul(a.form[hi*n:(hi+1)*n], &w)
		form.Add(form, part)
		part.ScalarMul(minus, &w)
		for i := range part {
			if g := &gens[hi*n+i]; !g.IsInfinity() {
				m.add(*g, part[i])
			}
		}
	}
	var u field.Element
	u.Mul(&e, &a.target)
	u.Add(&u, &tD)
	u.Mul(&u, &total)
	inner := field.InnerProduct(rest, form)
	u.Sub(&u, &inner)
	u.Mul(&u, &x)
	m.add(group.U(), u)
}

// foldWeights returns, for every value of the folded high bits, the product of the challenges of its set bits: round k folds
// bit (rounds−1−k).
func foldWeights(xs []field.Element) []field.Element {
	w := make([]field.Element, 1, 1<<len(xs))
	w[0].SetOne()
	for k := len(xs) - 1; k >= 0; k-- {
		n := len(w)
		for i := 0; i < n; i++ {
			var v field.Element
			v.Mul(&w[i], &xs[k])
			w = append(w, v)
		}
	}
	return w
}

func product1(xs []field.Element) field.Element {
	var v field.Element
	v.SetOne()
	for i := range xs {
		v.Mul(&v, &xs[i])
	}
	return v
}

type msm struct {
	points  []group.Affine
	scalars []field.Element
}

// newMSM makes room for n terms.
func newMSM(n int) *msm {
	return &msm{points: make([]group.Affine, 0, n), scalars: make([]field.Element, 0, n)}
}

func (m *msm) add(p group.Affine, s field.Element) {
	m.points = append(m.points, p)
	m.scalars = append(m.scalars, s)
}
