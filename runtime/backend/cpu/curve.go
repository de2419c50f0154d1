package cpu

import (
	"math/big"
	"sync"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/grumpkin/fp"
	features "github.com/consensys/gnark-crypto/utils/cpu"

	"github.com/zkllmc/zkllmc/runtime/field"
	"github.com/zkllmc/zkllmc/runtime/group"
)

// This file alone uses more of the curve than the packages field and group name: the coordinates of points, as vectors, and the
// endomorphism φ(x, y) = (βx, y) = λ·(x, y).

// coord and coords are a coordinate of a point and a contiguous run of them.
type (
	coord  = fp.Element
	coords = fp.Vector
)

// invertCoords inverts elements other than zero.
func invertCoords(a coords) coords { return fp.BatchInvert(a) }

// wideVectors tells whether vector inner products are much faster than single multiplications on this machine.
var wideVectors = features.SupportAVX512

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
	unit := one()
	lambda.Sub(&lambda, &unit)
	lambda.Halve()
	e.beta.SetInt64(-3)
	e.beta.Sqrt(&e.beta)
	var unitP coord
	e.beta.Sub(&e.beta, unitP.SetOne())
	e.beta.Halve()
	p := group.U()
	product := group.Mul(&p, &lambda)
	q := group.ToAffine(&product)
	var image coord
	if image.Mul(&p.X, &e.beta); !image.Equal(&q.X) {
		e.beta.Square(&e.beta)
	}
	var k big.Int
	ecc.PrecomputeLattice(field.Modulus(), lambda.BigInt(&k), &e.lattice)
	return e
})
