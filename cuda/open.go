package cuda

import (
	"github.com/zkllmc/zkllmc/cuda/internal/driver"
	"github.com/zkllmc/zkllmc/internal/backend"
)

// ErrNotBuilt says that the program was built without the tag cuda.
var ErrNotBuilt = driver.ErrNotBuilt

// Open returns the backend of a GPU: the first is 0. It is given back as the process ends. The error is ErrNotBuilt where the tag cuda is not set.
func Open(ordinal int) (backend.Backend, error) {
	d, err := driver.Open(ordinal)
	if err != nil {
		return nil, err
	}
	return Over(d, usualTail), nil
}
