package circuit

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whether the solutions of an equation lie on one side of a diagonal is seen without the cells as it is seen with them.
func TestLowerEquations(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	low, all := 0, 0
	for range 2000 {
		shape, values := make([]int, 2+rng.IntN(2)), []int64{rng.Int64N(13) - 6}
		for i := range shape {
			shape[i] = 1 + rng.IntN(6)
			values = append(values, rng.Int64N(7)-3)
		}
		e := Tensor{Kind: Affine, Shape: shape, Values: values}
		a := causality{}
		for row := range shape {
			for col := range shape {
				if row == col {
					continue
				}
				want := lowerCells(e.KnownCells(), shape, row, col)
				require.Equal(t, want, a.lowerEquation(&e, corner{row: row, col: col}), "%v %v, row %d, column %d", shape, values, row, col)
				all++
				if want {
					low++
				}
			}
		}
	}
	require.Greater(t, low, all/10)
	require.Less(t, low, all*9/10)
}
