//go:build !cuda

package driver

import "github.com/zkllmc/zkllmc/cuda/internal/device"

// Open returns ErrNotBuilt.
func Open(int, ...[]byte) (device.Device, error) { return nil, ErrNotBuilt }
