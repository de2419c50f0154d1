package cpu

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc"

	"github.com/zkllmc/zkllmc/runtime/field"
	"github.com/zkllmc/zkllmc/runtime/group"
)

// Folding generators multiplies many points by one scalar, so all points take the same steps: the additions and doublings of a
// step are done in affine coordinates as vectors, with one inversion for all of them. The scalar is split by the endomorphism into
// two halves that share the doublings. Points for which a formula divides by zero (the neutral element, P ± P) are noticed and
// done again one by one.

// foldChunk is how many points walk together: their vectors stay in the second-level cache.
const foldChunk = 512

// wnafWindow: digits are odd and below 2^(wnafWindow−1) in absolute value, oddMultiples of each point are prepared.
const (
	wnafWindow   = 5
	oddMultiples = 1 << (wnafWindow - 2)
)

// foldPoints sets lo[i] += x·hi[i].
func (p pool) foldPoints(lo, hi []group.Affine, x field.Element) {
	steps := newSteps(x)
	if steps == nil {
		return
	}
	p.chunks(len(lo), min(foldChunk, max(16, len(lo)/p.threads)), func(_, from, to int) {
		newLockstep(to-from).fold(lo[from:to], hi[from:to], steps, x)
	})
}

// newSteps returns the signed digits of both halves of x, from the lowest bit; nil for x = 0.
func newSteps(x field.Element) [][2]int8 {
	if x.IsZero() {
		return nil
	}
	var k big.Int
	halves := ecc.SplitScalar(x.BigInt(&k), &glv().lattice)
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

// points is a vector of affine points.
type points struct{ x, y coords }

// lockstep is the state of one chunk.
type lockstep struct {
	acc, tmp     points
	odd          [oddMultiples]points
	image        [oddMultiples]coords // β·x of the odd multiples
	d, slope, t  coords
	inverses     inverter
	bad          []bool
	unit         coord
	haveAnything bool
}

func newLockstep(n int) *lockstep {
	slab := make(coords, (7+3*oddMultiples)*n)
	next := func() coords {
		v := slab[:n:n]
		slab = slab[n:]
		return v
	}
	s := &lockstep{acc: points{next(), next()}, tmp: points{next(), next()}, d: next(), slope: next(), t: next(), inverses: newInverter(n)}
	for i := range s.odd {
		s.odd[i], s.image[i] = points{next(), next()}, next()
	}
	s.bad = make([]bool, n)
	s.unit.SetOne()
	return s
}

// fold walks down the digits, adds lo, and repairs what the formulas do not cover.
func (s *lockstep) fold(lo, hi []group.Affine, steps [][2]int8, x field.Element) {
	s.prepare(hi)
	for i := len(steps) - 1; i >= 0; i-- {
		if s.haveAnything {
			s.double(s.acc, s.acc)
		}
		if d := steps[i][0]; d != 0 {
			m := s.odd[absolute(d)/2]
			s.addDigit(m.x, m.y, d)
		}
		if d := steps[i][1]; d != 0 {
			s.addDigit(s.image[absolute(d)/2], s.odd[absolute(d)/2].y, d)
		}
	}
	for i := range lo {
		s.tmp.x[i], s.tmp.y[i] = lo[i].X, lo[i].Y
		s.bad[i] = s.bad[i] || lo[i].IsInfinity()
	}
	s.add(s.acc, s.acc, s.tmp.x, s.tmp.y, false)
	for i := range lo {
		if s.bad[i] {
			product := group.Mul(&hi[i], &x)
			product.AddMixed(&lo[i])
			lo[i] = group.ToAffine(&product)
			continue
		}
		lo[i].X, lo[i].Y = s.acc.x[i], s.acc.y[i]
	}
}

func absolute(d int8) int8 { return max(d, -d) }

// prepare computes the odd multiples P, 3P, 5P, … and their images.
func (s *lockstep) prepare(hi []group.Affine) {
	for i := range hi {
		s.odd[0].x[i], s.odd[0].y[i] = hi[i].X, hi[i].Y
		s.bad[i] = hi[i].IsInfinity()
	}
	s.double(s.acc, s.odd[0])
	for m := 1; m < oddMultiples; m++ {
		s.add(s.odd[m], s.odd[m-1], s.acc.x, s.acc.y, false)
	}
	beta := &glv().beta
	for m := range s.odd {
		s.image[m].ScalarMul(s.odd[m].x, beta)
	}
}

// addDigit adds the point, negated for negative digits, or starts with it.
func (s *lockstep) addDigit(x, y coords, digit int8) {
	if s.haveAnything {
		s.add(s.acc, s.acc, x, y, digit < 0)
		return
	}
	s.haveAnything = true
	copy(s.acc.x, x)
	copy(s.acc.y, y)
	if digit < 0 {
		for i := range s.acc.y {
			s.acc.y[i].Neg(&s.acc.y[i])
		}
	}
}

// add sets dst = a ± (x, y) by the chord: slope = (±y − a.y)/(x − a.x).
func (s *lockstep) add(dst, a points, x, y coords, negative bool) {
	s.d.Sub(x, a.x)
	if negative {
		s.d.Sub(a.x, x) // both signs turned: (y + a.y)/(a.x − x)
		s.slope.Add(y, a.y)
	} else {
		s.slope.Sub(y, a.y)
	}
	s.invert()
	s.slope.Mul(s.slope, s.d)
	s.finish(dst, a, x)
}

// double sets dst = 2a by the tangent: slope = 3x²/2y.
func (s *lockstep) double(dst, a points) {
	s.d.Add(a.y, a.y)
	s.slope.Mul(a.x, a.x)
	s.t.Add(s.slope, s.slope)
	s.slope.Add(s.slope, s.t)
	s.invert()
	s.slope.Mul(s.slope, s.d)
	s.finish(dst, a, a.x)
}

// finish computes the third point of the line through a with the slope, the second having the coordinate x, and reflects it.
func (s *lockstep) finish(dst, a points, x coords) {
	s.t.Mul(s.slope, s.slope)
	s.t.Sub(s.t, a.x)
	s.t.Sub(s.t, x)
	s.d.Sub(a.x, s.t)
	s.d.Mul(s.d, s.slope)
	dst.y.Sub(s.d, a.y)
	copy(dst.x, s.t)
}

// invert replaces every entry of d by its inverse. A zero marks its point as bad.
func (s *lockstep) invert() {
	for i := range s.d {
		if s.d[i].IsZero() {
			s.bad[i], s.d[i] = true, s.unit
		}
	}
	s.inverses.run(s.d)
}

// inverter has the memory for common inversions.
type inverter struct {
	tree  coords // products, as many as elements
	spare coords // half as many
}

// run replaces every element, none of them zero, by its inverse: products of halves, halves of those, …, one inversion, and back.
func (v *inverter) run(d coords) {
	const direct = 4 // so few are inverted one after the other
	level, free := d, v.tree
	var levels [32]coords
	depth := 0
	for ; len(level) > direct; depth++ {
		half := len(level) / 2 // of an odd number the last waits
		levels[depth] = level
		product := free[: half : half+1]
		product.Mul(level[:half], level[half:2*half])
		if len(level)%2 == 1 {
			product = append(product, level[2*half])
		}
		level, free = product, free[len(product):]
	}
	copy(level, invertCoords(level))
	for depth--; depth >= 0; depth-- {
		upper := levels[depth]
		half := len(upper) / 2
		lo, hi := v.spare[:half], upper[half:2*half]
		lo.Mul(level[:half], hi)
		hi.Mul(level[:half], upper[:half])
		copy(upper, lo)
		if len(upper)%2 == 1 {
			upper[2*half] = level[half]
		}
		level = upper
	}
}

// newInverter makes an inverter for n elements; an odd one waits on every level.
func newInverter(n int) inverter {
	return inverter{tree: make(coords, n+32), spare: make(coords, n/2+1)}
}
