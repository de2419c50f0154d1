// Package kernels has the sources of the CUDA kernels, for tests: a prover has the fat binary of them (package cuda/internal/fatbin).
//
// Every header is one idea; kernels.cu has all of them, and checks.cu what tests alone launch. They compile with nvcc, and with g++ through a shim
// (emulate), which package cuda/internal/test/emulator runs.
package kernels

import (
	"embed"
	"io/fs"
)

//go:embed *.cu *.cuh emulate
var files embed.FS

// Sources are the kernels and their shim.
func Sources() fs.FS { return files }
