package cuda

import (
	"testing"

	"github.com/zkllmc/zkllmc/cuda/internal/test/kerneltest"
)

// What stands here and in the kernels is the same there.
func TestConstants(t *testing.T) {
	kerneltest.Constants(t, map[string]int{
		"SUM_THREADS":    threads,
		"MOST_POINTS":    mostPoints,
		"BIND_RUN":       bindRun,
		"EQ_RUN":         eqRun,
		"MOST_LEVELS":    mostLevels,
		"PARTS_RUN":      partsRun,
		"MOST_VARIABLES": mostVars,
	})
}
