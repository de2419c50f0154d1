// Package kernels has the sources of the CUDA kernels, and the fat binary of them where it was built (make fatbin).
//
// Every header is one idea; kernels.cu has all of them. They compile with nvcc, and with g++ through a shim (emulate), which package
// cuda/internal/test/emulator runs.
package kernels

import (
	"embed"
	"errors"
	"io/fs"
)

//go:embed *.cuh kernels.* emulate
var files embed.FS

// Sources are the kernels and their shim.
func Sources() fs.FS { return files }

// ErrNotBuilt says that there is no fat binary.
var ErrNotBuilt = errors.New("cuda: the kernels were not compiled for GPUs: run make fatbin, then build again")

// FatBinary returns the kernels' code for GPUs.
func FatBinary() ([]byte, error) {
	code, err := files.ReadFile("kernels.fatbin")
	if err != nil {
		return nil, ErrNotBuilt
	}
	return code, nil
}
