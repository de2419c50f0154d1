package kerneltest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/internal/kernels"
)

// Constants compares constants of Go, by their names in the kernels' sources, with what they are there.
func Constants(t *testing.T, constants map[string]int) {
	for name, want := range constants {
		got, err := kernels.Constant(name)
		require.NoError(t, err)
		require.Equal(t, want, got, name)
	}
}
