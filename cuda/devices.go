//go:build !cuda

package cuda

import "errors"

// ErrNotBuilt says that the program was built without the tag cuda.
var ErrNotBuilt = errors.New("cuda: this program was built without GPU support; build it with -tags cuda where the CUDA driver and headers are installed")

// Devices returns ErrNotBuilt.
func Devices() ([]Device, error) { return nil, ErrNotBuilt }
