package cuda

import (
	"github.com/zkllmc/zkllmc/cuda/device"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// tensor is a backend.Tensor: cells of 2, 4 or 8 bytes on the device.
type tensor struct {
	shape []int
	n     int
	at    device.Pointer
	size  int
	host  *integer.Tensor // what was handed over, for witnesses that the host computes
	late  *program        // whose tensor is copied to the device when a run asks for it
}

func (t *tensor) Len() int { return t.n }

// load copies a tensor to the device.
func load(m *memory, t *integer.Tensor) (*tensor, error) {
	own := &tensor{shape: t.Shape, n: t.Len(), host: t}
	return own, own.send(m)
}

// send copies the cells that the host has.
func (t *tensor) send(m *memory) (err error) {
	var cells []byte
	switch h := t.host; {
	case h.High != nil:
		panic("cuda: a wide tensor is handed over in two")
	case h.V != nil:
		t.size, cells = 8, device.Bytes(h.V)
	case h.Mid != nil:
		t.size, cells = 4, device.Bytes(h.Mid)
	default:
		t.size, cells = 2, device.Bytes(h.Short)
	}
	if t.at, err = m.Alloc(int64(len(cells))); err != nil {
		return err
	}
	return m.Upload(t.at, cells)
}

// cells is where a tensor's cells are, and how many bytes each has.
func (r *run) cells(t backend.Tensor) (at device.Pointer, size int) {
	own := t.(*tensor)
	if own.late != nil && r.Err() == nil {
		if err := own.late.hand(own); err != nil {
			r.fail(err)
		}
	}
	return own.at, own.size
}
