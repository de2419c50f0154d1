//go:build cuda

package prover

import (
	"github.com/zkllmc/zkllmc/cuda"
	"github.com/zkllmc/zkllmc/internal/backend"
)

// accelerator is the first GPU. It is given back as the process ends.
func accelerator() (backend.Backend, error) { return cuda.Open(0) }
