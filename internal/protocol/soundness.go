package protocol

import (
	"math/big"

	"github.com/zkllmc/zkllmc/internal/veil"
)

// SoundnessBits returns the largest b such that the sum of all stages' errors is at most 2^-b: the statistical soundness of the
// interactive protocol. Fiat–Shamir multiplies the error of the worst round by the number of hash queries, and the binding of
// commitments rests on discrete logarithms in the group (about 126 bits).
func SoundnessBits(counts veil.Counts) int {
	const scale = 300
	sum := new(big.Int)
	for _, e := range counts.Errors {
		sum.Add(sum, new(big.Int).Lsh(big.NewInt(e.Degree), uint(scale-e.Bits)))
	}
	return scale - sum.BitLen()
}
