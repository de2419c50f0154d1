package group

import (
	"math/big"
	"math/bits"

	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"
)

// coord and coords are a coordinate of a point and a contiguous run of them. What works on many points at a time (affine.go,
// msm.go, fold.go) computes with runs of coordinates.
type (
	coord  = fp.Element
	coords []coord
)

// Coordinate is a coordinate of a point.
type Coordinate = fp.Element

// CoordinateModulus returns q, the modulus of the coordinates' field.
func CoordinateModulus() *big.Int { return fp.Modulus() }

// Kernels do what the library's vectors of coordinates do, faster, and whole additions of points.
type Kernels struct {
	Mul   func(v, a, b []Coordinate)
	Scale func(v, a []Coordinate, c *Coordinate)
	// NewAdder returns what adds up to n points at a time: a positive multiple of AddLanes, with slopes that are neither 0 nor infinite.
	NewAdder func(n int) func(dst, a, b []Affine, ops []Sum)
}

// AddLanes is how many points kernels add at least.
const AddLanes = 8

var kernels *Kernels

// Use makes runs of coordinates use kernels from now on, as field.Use does for scalars.
func Use(k *Kernels) { kernels = k }

// Mul sets v[i] = a[i]·b[i]; the receiver may be an operand.
func (v coords) Mul(a, b coords) {
	if kernels != nil {
		kernels.Mul(v, a[:len(v)], b[:len(v)])
		return
	}
	(*fp.Vector)(&v).Mul(fp.Vector(a), fp.Vector(b))
}

// ScalarMul sets v[i] = a[i]·c.
func (v coords) ScalarMul(a coords, c *coord) {
	if kernels != nil {
		kernels.Scale(v, a[:len(v)], c)
		return
	}
	(*fp.Vector)(&v).ScalarMul(fp.Vector(a), c)
}

// Add sets v[i] = a[i] + b[i].
func (v coords) Add(a, b coords) { (*fp.Vector)(&v).Add(fp.Vector(a), fp.Vector(b)) }

// Sub sets v[i] = a[i] − b[i].
func (v coords) Sub(a, b coords) { (*fp.Vector)(&v).Sub(fp.Vector(a), fp.Vector(b)) }

// batchOps, a power of two, is how many additions share an inversion: the inversion is then a few percent of the work, and the
// scratch fits the second-level cache.
const batchOps = 1024

// inverter inverts as many coordinates as it was made for, or fewer, at the price of one inversion.
type inverter struct {
	tree coords // what is to be inverted, then the levels of its product tree
	inv  coords
}

func newInverter(n int) inverter {
	size := leaf
	for size < n {
		size *= 2
	}
	slab := make(coords, 3*size)
	return inverter{tree: slab[: 2*size : 2*size], inv: slab[2*size:]}
}

// leaf is the size of the product tree's top, which is inverted element by element.
const leaf = 8

// invert stores the inverses of tree[:n], none of which is zero, in inv[:n]: products of halves up to the top, then every half's
// inverse is its parent's times the other half.
func (v *inverter) invert(n int) {
	size := leaf
	for size < n {
		size *= 2
	}
	for i := n; i < size; i++ {
		v.tree[i].SetOne()
	}
	at := 0
	for s := size; s > leaf; s /= 2 {
		next := v.tree[at+s : at+s+s/2]
		next.Mul(v.tree[at:at+s/2], v.tree[at+s/2:at+s])
		at += s
	}
	InvertFew(v.inv[:leaf], v.tree[at:at+leaf])
	for s := 2 * leaf; s <= size; s *= 2 {
		at -= s
		lo, hi := v.inv[:s/2], v.inv[s/2:s]
		hi.Mul(lo, v.tree[at:at+s/2])
		lo.Mul(lo, v.tree[at+s/2:at+s])
	}
}

// InvertFew stores the inverses of a, none of which is zero, in out.
func InvertFew(out, a []coord) {
	run := fp.One()
	for i := range a {
		out[i] = run
		run.Mul(&run, &a[i])
	}
	run.Inverse(&run)
	for i := len(a) - 1; i >= 0; i-- {
		out[i].Mul(&out[i], &run)
		run.Mul(&run, &a[i])
	}
}

// The modulus of the coordinates' field.
const (
	q0 = 0x43e1f593f0000001
	q1 = 0x2833e84879b97091
	q2 = 0xb85045b68181585d
	q3 = 0x30644e72e131a029
)

// negateIf stores −y in z where the mask is all ones, and y where it is zero. Of y = 0 it makes the modulus, which is not reduced:
// no point but the neutral element, which takes another way, has y = 0.
func negateIf(z, y *coord, mask uint64) {
	var b uint64
	z0, b := bits.Sub64(q0, y[0], 0)
	z1, b := bits.Sub64(q1, y[1], b)
	z2, b := bits.Sub64(q2, y[2], b)
	z3, _ := bits.Sub64(q3, y[3], b)
	z[0] = z0&mask | y[0]&^mask
	z[1] = z1&mask | y[1]&^mask
	z[2] = z2&mask | y[2]&^mask
	z[3] = z3&mask | y[3]&^mask
}
