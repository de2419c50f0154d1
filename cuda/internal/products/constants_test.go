package products

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/internal/kernels"
)

// What stands here and in the kernels is the same there.
func TestConstants(t *testing.T) {
	for name, want := range map[string]int{
		"tile":         tile,
		"most_factors": MostFactors,
		"THREADS":      threads,
	} {
		got, err := kernels.Constant(name)
		require.NoError(t, err)
		require.Equal(t, want, got, name)
	}
	side, err := kernels.Constant("tile_side")
	require.NoError(t, err)
	require.Equal(t, threads, side*side)
}
