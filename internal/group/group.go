// Package group is the group G of the protocol: the points of Grumpkin, y² = x³ − 17 over the field of BN254's scalars, of prime
// order p (the modulus of package field), cofactor 1. A point on the curve is a member of the group; no subgroup check exists.
//
// A point is sent as exactly 32 bytes: x big-endian, reduced, with two flags in the top bits of the first byte: 10 where y is the
// smaller and 11 where it is the larger of the two square roots (as integers); the neutral element is 0x40 followed by 31 zero
// bytes. Everything else is refused, so that every point has one encoding.
//
// Nothing here is constant-time.
package group

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/grumpkin"

	"github.com/zkllmc/zkllmc/internal/field"
)

// Affine is a point in affine coordinates; the zero value is the neutral element.
type Affine = grumpkin.G1Affine

// Jac is a point in Jacobian coordinates. Its zero value is not a valid input of gnark-crypto's formulas in all places; use
// neutral.
type Jac = grumpkin.G1Jac

// neutral returns the neutral element.
func neutral() Jac {
	var a Affine
	return fromAffine(&a)
}

// fromAffine converts a point.
func fromAffine(a *Affine) Jac {
	var j Jac
	j.FromAffine(a)
	return j
}

// ToAffine converts a point, at the price of an inversion.
func ToAffine(j *Jac) Affine {
	var a Affine
	a.FromJacobian(j)
	return a
}

// batchToAffine converts points at the price of one inversion.
func batchToAffine(js []Jac) []Affine {
	if len(js) == 0 {
		return nil
	}
	return grumpkin.BatchJacobianToAffineG1(js)
}

// Mul returns s·p.
func Mul(p *Affine, s *field.Element) Jac {
	j := fromAffine(p)
	j.ScalarMultiplication(&j, s.BigInt(new(big.Int)))
	return j
}
