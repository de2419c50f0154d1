package cuda

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/internal/kernels"
)

// What stands here and in the kernels is the same there.
func TestConstants(t *testing.T) {
	for name, want := range map[string]int{
		"SUM_THREADS": threads,
		"MOST_POINTS": mostPoints,
		"BIND_RUN":    bindRun,
		"EQ_RUN":      eqRun,
		"PARTS_RUN":   partsRun,
	} {
		got, err := kernels.Constant(name)
		require.NoError(t, err)
		require.Equal(t, want, got, name)
	}
}
