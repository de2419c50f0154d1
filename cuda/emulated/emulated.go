// Package emulated opens the GPU backend over a device that runs the kernels on the processor, for tests of other packages.
package emulated

import (
	"github.com/zkllmc/zkllmc/cuda"
	"github.com/zkllmc/zkllmc/cuda/internal/kernels"
	"github.com/zkllmc/zkllmc/cuda/internal/test/emulator"
	"github.com/zkllmc/zkllmc/internal/backend"
)

// ErrNoCompiler says that there is nothing to compile the kernels with, for what they run in.
var ErrNoCompiler = emulator.ErrNoCompiler

// Open begins a device, whose orders of threads and blocks depend on the seed. The processor does as few rounds of proofs itself as it can.
func Open(seed uint64) (backend.OnDevice, error) {
	d, err := emulator.Open(kernels.Sources(), emulator.Config{Memory: 8 << 30, Seed: seed})
	if err != nil {
		return nil, err
	}
	return cuda.Over(d, 1), nil
}
