package group

import (
	"math/big"
	"sync"

	"github.com/consensys/gnark-crypto/ecc"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/parallel"
)

// Folding generators multiplies many points by one scalar, so all points take the same steps: the additions and doublings of a
// step are done in affine coordinates as vectors, with one inversion for all of them. The scalar is split by the endomorphism
// φ(x, y) = (βx, y) = λ·(x, y) into two halves that share the doublings. Points for which a formula divides by zero (the neutral
// element, P ± P) are noticed and done again one by one. Padding of the final argument holds neutral elements in long runs: a neutral
// high half changes nothing and takes no part, a neutral low half is replaced by the product.

// wnafWindow: digits are odd and below 2^(wnafWindow−1) in absolute value, oddMultiples of each point are prepared.
const (
	wnafWindow   = 5
	oddMultiples = 1 << (wnafWindow - 2)
)

// minFold is the least number of points that walk together: fewer would not pay for the inversion.
const minFold = 16

// FoldPoints sets lo[i] += x·hi[i] on a pool. The slices have equal length and do not overlap.
func FoldPoints(p *parallel.Pool, lo, hi []Affine, x *field.Element) {
	if len(lo) != len(hi) {
		panic("group: halves differ in length")
	}
	steps := newSteps(x)
	if steps == nil {
		return
	}
	walking := make([]int32, 0, len(hi))
	for i := range hi {
		if !hi[i].IsInfinity() {
			walking = append(walking, int32(i))
		}
	}
	n := min(batchOps, max(minFold, len(walking)/p.Threads()))
	p.Run((len(walking)+n-1)/n, func(_, i int) {
		at := walking[i*n : min(len(walking), (i+1)*n)]
		newLockstep(len(at)).fold(lo, hi, at, steps, x)
	})
}

// endomorphism holds β and the lattice that splits scalars into k1 + k2·λ.
type endomorphism struct {
	beta    coord
	lattice ecc.Lattice
}

// glv works the endomorphism out once: cube roots of unity are (−1 ± √−3)/2 in both fields, and which belong together shows at
// any point.
var glv = sync.OnceValue(func() *endomorphism {
	e := &endomorphism{}
	var lambda field.Element
	lambda.SetInt64(-3)
	lambda.Sqrt(&lambda)
	unit := field.One()
	lambda.Sub(&lambda, &unit)
	lambda.Halve()
	e.beta.SetInt64(-3)
	e.beta.Sqrt(&e.beta)
	var unitP coord
	e.beta.Sub(&e.beta, unitP.SetOne())
	e.beta.Halve()
	p := U()
	product := Mul(&p, &lambda)
	q := ToAffine(&product)
	var image coord
	if image.Mul(&p.X, &e.beta); !image.Equal(&q.X) {
		e.beta.Square(&e.beta)
	}
	var k big.Int
	ecc.PrecomputeLattice(field.Modulus(), lambda.BigInt(&k), &e.lattice)
	return e
})

// Endomorphism returns β: with it λ·(x, y) is (βx, y).
func Endomorphism() Coordinate { return glv().beta }

// Halves returns k1 and k2, of half the length of x, with x = k1 + k2·λ, where λ² + λ + 1 = 0.
func Halves(x *field.Element) [2]big.Int {
	var k big.Int
	return glv().split(x.BigInt(&k))
}

// split returns short k1, k2 with k = k1 + k2·λ. Of a + b·λ, or of a + b·λ², it finds halves of the size of a and b, as challenges
// of the final argument have them: the library's own split rounds down, which loses that.
func (e *endomorphism) split(k *big.Int) (halves [2]big.Int) {
	l := &e.lattice
	var n, m big.Int
	c1 := round(n.Mul(k, &l.V2[1]), &l.Det)
	c2 := round(n.Neg(m.Mul(k, &l.V1[1])), &l.Det)
	halves[0].Set(k)
	for i := range halves {
		halves[i].Sub(&halves[i], n.Mul(c1, &l.V1[i]))
		halves[i].Sub(&halves[i], n.Mul(c2, &l.V2[i]))
	}
	return halves
}

// round returns the integer nearest to n/d.
func round(n, d *big.Int) *big.Int {
	twice, half := new(big.Int).Lsh(n, 1), new(big.Int).Abs(d)
	if d.Sign() < 0 {
		twice.Neg(twice)
	}
	return twice.Div(twice.Add(twice, half), new(big.Int).Lsh(half, 1)) // floor: the divisor is positive
}

// newSteps returns the signed digits of both halves of x, from the lowest bit; nil for x = 0.
func newSteps(x *field.Element) [][2]int8 {
	if x.IsZero() {
		return nil
	}
	var k big.Int
	halves := glv().split(x.BigInt(&k))
	steps := make([][2]int8, 2+max(halves[0].BitLen(), halves[1].BitLen()))
	top := 0
	for h := range halves {
		digits := make([]int8, len(steps))
		sign := int8(halves[h].Sign())
		n := wnaf(halves[h].Abs(&halves[h]), digits)
		for i := range n {
			steps[i][h] = sign * digits[i]
		}
		top = max(top, n)
	}
	return steps[:top]
}

// wnaf writes the digits of the window method and returns their number, the last of them not zero.
func wnaf(k *big.Int, digits []int8) (n int) {
	k = new(big.Int).Set(k)
	const modulus = 1 << wnafWindow
	for i := 0; k.Sign() > 0; i++ {
		if k.Bit(0) == 1 {
			d := int64(k.Bits()[0]) & (modulus - 1)
			if d >= modulus/2 {
				d -= modulus
			}
			digits[i], n = int8(d), i+1
			k.Sub(k, big.NewInt(d))
		}
		k.Rsh(k, 1)
	}
	return n
}

// vector is a run of affine points.
type vector struct{ x, y coords }

// lockstep is the state of up to batchOps points that take the same steps.
type lockstep struct {
	inverter
	acc, tmp vector
	odd      [oddMultiples]vector
	image    [oddMultiples]coords // β·x of the odd multiples
	d        coords               // denominators: the inverter's input
	slope, t coords
	bad      []bool // a formula divided by zero
	alone    []bool // nothing is added to the product
	started  bool
}

func newLockstep(n int) *lockstep {
	slab := make(coords, (6+3*oddMultiples)*n)
	next := func() coords {
		v := slab[:n:n]
		slab = slab[n:]
		return v
	}
	s := &lockstep{inverter: newInverter(n), acc: vector{next(), next()}, tmp: vector{next(), next()}, slope: next(), t: next()}
	s.bad, s.alone = make([]bool, n), make([]bool, n)
	s.d = s.tree[:n]
	for i := range s.odd {
		s.odd[i], s.image[i] = vector{next(), next()}, next()
	}
	return s
}

// fold sets lo[i] += x·hi[i] for the indices in at, where hi is not neutral: it walks down the digits, adds lo, and repairs what the
// formulas do not cover.
func (s *lockstep) fold(lo, hi []Affine, at []int32, steps [][2]int8, x *field.Element) {
	s.prepare(hi, at)
	for i := len(steps) - 1; i >= 0; i-- {
		if s.started {
			s.double(s.acc, s.acc)
		}
		if d := steps[i][0]; d != 0 {
			m := s.odd[max(d, -d)/2]
			s.addDigit(m.x, m.y, d)
		}
		if d := steps[i][1]; d != 0 {
			s.addDigit(s.image[max(d, -d)/2], s.odd[max(d, -d)/2].y, d)
		}
	}
	for k, i := range at {
		s.tmp.x[k], s.tmp.y[k] = lo[i].X, lo[i].Y
		if lo[i].IsInfinity() { // the product itself, which the chord overwrites
			lo[i].X, lo[i].Y = s.acc.x[k], s.acc.y[k]
			s.alone[k] = true
		}
	}
	s.chord(s.acc, s.acc, s.tmp.x, s.tmp.y, false)
	for k, i := range at {
		switch {
		case s.bad[k]:
			product := Mul(&hi[i], x)
			product.AddMixed(&Affine{X: s.tmp.x[k], Y: s.tmp.y[k]})
			lo[i] = ToAffine(&product)
		case !s.alone[k]:
			lo[i].X, lo[i].Y = s.acc.x[k], s.acc.y[k]
		}
	}
}

// prepare computes the odd multiples P, 3P, 5P, … and their images.
func (s *lockstep) prepare(hi []Affine, at []int32) {
	for k, i := range at {
		s.odd[0].x[k], s.odd[0].y[k] = hi[i].X, hi[i].Y
	}
	s.double(s.acc, s.odd[0])
	for m := 1; m < oddMultiples; m++ {
		s.chord(s.odd[m], s.odd[m-1], s.acc.x, s.acc.y, false)
	}
	beta := &glv().beta
	for m := range s.odd {
		s.image[m].ScalarMul(s.odd[m].x, beta)
	}
}

// addDigit adds the point, negated for negative digits, or starts with it.
func (s *lockstep) addDigit(x, y coords, digit int8) {
	if s.started {
		s.chord(s.acc, s.acc, x, y, digit < 0)
		return
	}
	s.started = true
	copy(s.acc.x, x)
	copy(s.acc.y, y)
	if digit < 0 {
		for i := range s.acc.y {
			s.acc.y[i].Neg(&s.acc.y[i])
		}
	}
}

// chord sets dst = a ± (x, y) by the chord: slope = (±y − a.y)/(x − a.x).
func (s *lockstep) chord(dst, a vector, x, y coords, negative bool) {
	if negative {
		s.d.Sub(a.x, x) // both signs turned: (y + a.y)/(a.x − x)
		s.slope.Add(y, a.y)
	} else {
		s.d.Sub(x, a.x)
		s.slope.Sub(y, a.y)
	}
	s.third(dst, a, x)
}

// double sets dst = 2a by the tangent: slope = 3x²/2y.
func (s *lockstep) double(dst, a vector) {
	s.d.Add(a.y, a.y)
	s.slope.Mul(a.x, a.x)
	s.t.Add(s.slope, s.slope)
	s.slope.Add(s.slope, s.t)
	s.third(dst, a, a.x)
}

// third computes the third point of the line through a with the slope slope/d, the second having the coordinate x, and reflects
// it. A point whose d is zero is marked as bad.
func (s *lockstep) third(dst, a vector, x coords) {
	for i := range s.d {
		if s.d[i].IsZero() {
			s.bad[i] = true
			s.d[i].SetOne()
		}
	}
	s.invert(len(s.d))
	s.slope.Mul(s.slope, s.inv[:len(s.d)])
	s.t.Mul(s.slope, s.slope)
	s.t.Sub(s.t, a.x)
	s.t.Sub(s.t, x)
	s.d.Sub(a.x, s.t)
	s.d.Mul(s.d, s.slope)
	dst.y.Sub(s.d, a.y)
	copy(dst.x, s.t)
}
