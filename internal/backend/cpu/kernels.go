package cpu

import (
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/montgomery"
)

// scalars and coordinates are the moduli of both fields, for kernels.
var scalars, coordinates = montgomery.New(field.Modulus()), montgomery.New(group.CoordinateModulus())

// Whoever links this backend, a prover, computes with our kernels wherever the processor has them: also where its own protocol code folds
// vectors or adds points. A verifier links neither.
func init() {
	if !montgomery.Available() {
		return
	}
	field.Use(&field.Kernels{
		Mul:      func(v, a, b []field.Element) { montgomery.Mul(scalars, v, a, b) },
		Scale:    func(v, a []field.Element, c *field.Element) { montgomery.Scale(scalars, v, a, c) },
		Lerp:     func(v, lo, hi []field.Element, c *field.Element) { montgomery.Lerp(scalars, v, lo, hi, c) },
		Dot:      func(a, b []field.Element) [9]uint64 { return montgomery.Dot(scalars, a, b) },
		DotTerms: montgomery.DotTerms,
	})
	group.Use(&group.Kernels{
		Mul:   func(v, a, b []group.Coordinate) { montgomery.Mul(coordinates, v, a, b) },
		Scale: func(v, a []group.Coordinate, c *group.Coordinate) { montgomery.Scale(coordinates, v, a, c) },
		NewAdder: func(n int) func(dst, a, b []group.Affine, ops []group.Sum) {
			s := montgomery.NewAdder(coordinates, n)
			return func(dst, a, b []group.Affine, ops []group.Sum) {
				montgomery.AddPoints(s, &dst[0].X, &a[0].X, &b[0].X, &ops[0].D, len(ops), invertLanes)
			}
		},
	})
}

// invertLanes inverts what a kernel's additions have in common.
func invertLanes(a *[group.AddLanes]group.Coordinate) {
	var out [group.AddLanes]group.Coordinate
	group.InvertFew(out[:], a[:])
	*a = out
}
