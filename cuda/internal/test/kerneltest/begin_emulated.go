//go:build !cuda

package kerneltest

import (
	"testing"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/cuda/internal/test/emulator"
)

// begin begins an emulated device.
func begin(t testing.TB, c emulator.Config) device.Device {
	t.Helper()
	return emulated(t, c)
}

// onGPU makes benchmarks large.
const onGPU = false
