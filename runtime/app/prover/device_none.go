//go:build !cuda

package prover

import "github.com/zkllmc/zkllmc/internal/backend"

// accelerator is none: this program was built for the processor.
func accelerator() (backend.Backend, error) { return nil, nil }
