//go:build cuda

package kerneltest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/cuda/internal/driver"
	"github.com/zkllmc/zkllmc/cuda/internal/test/emulator"
)

// onGPU makes benchmarks large.
const onGPU = true

// The emulator is there for whoever asks for it.
var _ = emulated

// begin begins to work with the first GPU.
func begin(t testing.TB, _ emulator.Config) device.Device {
	t.Helper()
	checks, err := built.ReadFile("checks.fatbin")
	require.NoError(t, err, "make fatbin first")
	d, err := driver.Open(0, checks)
	require.NoError(t, err)
	return d
}
