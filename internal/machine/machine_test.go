package machine_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/machine"
)

func TestNow(t *testing.T) {
	before := machine.Now()
	require.NotEmpty(t, before.CPU)
	require.Positive(t, before.Threads)
	const size = 64 << 20
	ballast := make([]byte, size)
	for i := range ballast {
		ballast[i] = 1
	}
	after := machine.Now()
	require.GreaterOrEqual(t, after.PeakRSS, before.PeakRSS)
	require.Greater(t, after.PeakRSS, uint64(size), "memory that was written to counts")
	require.Equal(t, byte(1), ballast[size-1])
}

// What is available is less than what a machine can have, and on Linux it is told.
func TestAvailable(t *testing.T) {
	n := machine.Available()
	require.Less(t, n, uint64(1)<<50)
	if runtime.GOOS == "linux" {
		require.Greater(t, n, uint64(16<<20))
	}
}

// Work takes time of processors, where the system tells.
func TestCPUSeconds(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		require.Zero(t, machine.CPUSeconds())
		return
	}
	before, x := machine.CPUSeconds(), uint64(1)
	for machine.CPUSeconds() < before+0.02 {
		for range 1_000_000 {
			x = x*6364136223846793005 + 1442695040888963407
		}
	}
	require.NotZero(t, x)
}
