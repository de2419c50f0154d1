package products

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/internal/kernels"
	"github.com/zkllmc/zkllmc/cuda/internal/test/kerneltest"
)

// What stands here and in the kernels is the same there.
func TestConstants(t *testing.T) {
	kerneltest.Constants(t, map[string]int{
		"tile":         tile,
		"most_factors": MostFactors,
		"THREADS":      threads,
	})
	side, err := kernels.Constant("tile_side")
	require.NoError(t, err)
	require.Equal(t, threads, side*side)
}
