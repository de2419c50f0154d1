// Package driver opens GPUs, as devices of package cuda/internal/device, through gorgonia.org/cu, where the tag cuda is set. Without the tag it
// links nothing of CUDA, and Open says how to build it.
//
// No part of it has ever run on a GPU.
package driver

import "errors"

// ErrNotBuilt says that the program was built without the tag cuda.
var ErrNotBuilt = errors.New("cuda: this program was built without GPU support; build it with -tags cuda where the CUDA driver and headers are installed")
