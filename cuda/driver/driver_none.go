//go:build !cuda

package driver

import (
	"errors"

	"github.com/zkllmc/zkllmc/cuda/device"
)

// ErrNotBuilt says that the program was built without the tag cuda.
var ErrNotBuilt = errors.New("cuda: this program was built without GPU support; build it with -tags cuda where the CUDA driver and headers are installed")

// List returns ErrNotBuilt.
func List() ([]GPU, error) { return nil, ErrNotBuilt }

// Open returns ErrNotBuilt.
func Open(int) (device.Device, error) { return nil, ErrNotBuilt }
