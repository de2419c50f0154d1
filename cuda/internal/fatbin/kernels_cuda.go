//go:build cuda

package fatbin

import (
	"embed"
	"errors"
)

// The pattern is this file, too, without which there would be nothing to embed where there is no fat binary.
//
//go:embed kernels*
var files embed.FS

// ErrNotBuilt says that there is no fat binary.
var ErrNotBuilt = errors.New("cuda: the kernels were not compiled for GPUs: run make fatbin, then build again")

// Kernels returns the kernels' code for GPUs.
func Kernels() ([]byte, error) {
	code, err := files.ReadFile("kernels.fatbin")
	if err != nil {
		return nil, ErrNotBuilt
	}
	return code, nil
}
