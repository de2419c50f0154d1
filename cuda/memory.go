package cuda

import (
	"context"
	"errors"
	"sync"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
)

// memory is a device whose memory is given back with whoever has it: a session, a run or a program. It holds secrets, and is cleared before it is
// given back. What is freed before is kept for the next of the same size, for a device takes long to allocate, and synchronises. Nothing is launched any more when the context has ended.
type memory struct {
	device.Device
	ctx  context.Context
	mu   sync.Mutex
	held map[device.Pointer]int64
	idle map[int64][]device.Pointer
}

func newMemory(ctx context.Context, d device.Device) *memory {
	return &memory{Device: d, ctx: ctx, held: map[device.Pointer]int64{}, idle: map[int64][]device.Pointer{}}
}

// Alloc takes what is idle, or memory of the device; if that has none, once more with everything given back that is idle.
func (m *memory) Alloc(bytes int64) (device.Pointer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if list := m.idle[bytes]; len(list) > 0 {
		p := list[len(list)-1]
		m.idle[bytes] = list[:len(list)-1]
		m.held[p] = bytes
		return p, nil
	}
	p, err := m.Device.Alloc(bytes)
	if errors.Is(err, device.ErrMemory) && len(m.idle) > 0 {
		if err := m.release(); err != nil {
			return 0, err
		}
		p, err = m.Device.Alloc(bytes)
	}
	if err == nil {
		m.held[p] = bytes
	}
	return p, err
}

// release gives back what is idle.
func (m *memory) release() (err error) {
	for bytes, list := range m.idle {
		for _, p := range list {
			err = errors.Join(err, m.forget(p, bytes))
		}
	}
	clear(m.idle)
	return err
}

// forget clears memory and gives it back to the device.
func (m *memory) forget(p device.Pointer, bytes int64) error {
	return errors.Join(m.Device.Clear(p, bytes), m.Device.Free(p))
}

// Free keeps memory for the next who needs as much.
func (m *memory) Free(p device.Pointer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	bytes, ok := m.held[p]
	if !ok {
		panic("cuda: memory is freed that is not there")
	}
	delete(m.held, p)
	m.idle[bytes] = append(m.idle[bytes], p)
	return nil
}

// trim gives back what is idle.
func (m *memory) trim() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.release()
}

// Launch starts a kernel, unless the context has ended.
func (m *memory) Launch(l device.Launch) error {
	if err := m.ctx.Err(); err != nil {
		return err
	}
	return m.Device.Launch(l)
}

// close gives everything back.
func (m *memory) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.release()
	for p, bytes := range m.held {
		err = errors.Join(err, m.forget(p, bytes))
	}
	clear(m.held)
	return err
}
