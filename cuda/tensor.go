package cuda

import (
	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// tensor is a backend.Tensor: cells of 2, 4 or 8 bytes on the device, and the upper words of a wide one.
type tensor struct {
	shape    []int
	n        int
	at, high device.Pointer
	size     int
	wide     bool
	of       *memory  // whose it is, if it was copied there
	late     *program // whose it is, if it is zeros that take memory when it is needed

	maker   *program // whose it is, if it was computed, and is movable
	movable bool     // whether it may make room: nothing is written to it any more
	kept    []byte   // its cells in this process' memory: of a weight always, else once it has made room
	pins    int      // how many calls need it on the device
}

// bytes is what a tensor that is not wide takes.
func (t *tensor) bytes() int64 { return int64(t.n) * int64(t.size) }

func (t *tensor) Len() int { return t.n }

// send copies cells to the device.
func (t *tensor) send(m *memory, from *integer.Tensor) (err error) {
	var cells []byte
	switch {
	case from.High != nil:
		panic("cuda: a wide tensor is handed over in two")
	case from.V != nil:
		t.size, cells = 8, device.Bytes(from.V)
	case from.Mid != nil:
		t.size, cells = 4, device.Bytes(from.Mid)
	default:
		t.size, cells = 2, device.Bytes(from.Short)
	}
	if t.at, err = m.Alloc(int64(len(cells))); err != nil {
		return err
	}
	t.of = m
	return m.Upload(t.at, cells)
}

// cells is where a tensor's cells are.
func (r *run) cells(t backend.Tensor) device.Tensor {
	own := t.(*tensor)
	if own.wide {
		panic("cuda: a run is asked about a wide tensor")
	}
	if own.late != nil && !own.movable && r.Err() == nil {
		own.late.mu.Lock()
		defer own.late.mu.Unlock()
		own.late.filled(own)
		if err := own.late.Err(); err != nil {
			r.fail(err)
		}
	}
	r.hold(own)
	return device.Tensor{At: own.at, Size: own.size}
}

// mapped is a list with something else in the place of every item.
func mapped[T, U any](list []T, f func(T) U) []U {
	out := make([]U, len(list))
	for i, x := range list {
		out[i] = f(x)
	}
	return out
}
