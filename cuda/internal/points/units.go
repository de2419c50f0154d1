package points

import (
	"math/big"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

// units writes x = a + b·λ as Σ_k 2^k·u_k, lowest first, whose u_k are 0 or units of Z[λ] (cuda/internal/kernels/fold.cuh says how they are numbered).
// Where a or b is odd, a unit is taken off that leaves both even: ±1 where a is, ±λ where b is, ±(1 + λ) = ∓λ² where both are. Of the two signs
// that one is taken that leaves more numbers whose half is even. Every step halves a + b·λ but for a unit's length, so that what is longer than a
// unit becomes shorter; and of a unit itself, that sign leaves nothing.
func units(x *field.Element) (digits []int8) {
	halves := group.Halves(x)
	a, b := &halves[0], &halves[1]
	for a.Sign() != 0 || b.Sign() != 0 {
		oddA, oddB := int64(a.Bit(0)), int64(b.Bit(0))
		digit := [4]int8{0, 1, 2, -3}[oddA+2*oddB]
		if 2*(halfOdd(a)+halfOdd(b)) > oddA+oddB {
			digit, oddA, oddB = -digit, -oddA, -oddB
		}
		digits = append(digits, digit)
		a.Rsh(a.Sub(a, big.NewInt(oddA)), 1)
		b.Rsh(b.Sub(b, big.NewInt(oddB)), 1)
	}
	return digits
}

// halfOdd is 1 for a number that is 3 modulo 4: without 1, half of it is odd.
func halfOdd(a *big.Int) int64 { return int64(a.Bit(0) & a.Bit(1)) }
