package cuda

import (
	"context"
	"errors"
	"sync"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// memory is a device whose memory is given back with whoever has it: a session, a run or a program. It holds secrets, and is cleared before it is
// given back. What is freed before is kept for the next of the same size, for a device takes long to allocate, and synchronises. Nothing is launched any more when the context has ended.
type memory struct {
	on   device.Device
	ctx  context.Context
	mu   sync.Mutex
	held map[device.Pointer]int64
	idle map[int64][]device.Pointer
	err  error // the first

	closed func() // told when everything has been given back

	session *session // of a program's or a run's, whose tensors they pin
	depth   int      // of calls that go on
	pinned  []*tensor
}

// newMemory has an error from the beginning, or none.
func newMemory(ctx context.Context, d device.Device, err error) *memory {
	return &memory{on: d, ctx: ctx, held: map[device.Pointer]int64{}, idle: map[int64][]device.Pointer{}, err: err}
}

// Err is the first error, and the context's once that has ended.
func (m *memory) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.err = m.ctx.Err()
	}
	return m.err
}

// fail records an error unless there is one.
func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.err = failure(err)
	}
}

// within computes with scratch memory, unless something failed before, and says whether nothing has.
func (m *memory) within(compute func(s *device.Scratch)) bool {
	if m.Err() != nil {
		return false
	}
	m.enter()
	defer m.leave()
	s := &device.Scratch{Work: m}
	compute(s)
	if err := s.End(); err != nil {
		m.fail(err)
	}
	return m.Err() == nil
}

// enter begins a call, during which tensors that are asked for stay where they are.
func (m *memory) enter() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.depth++
}

// leave ends a call.
func (m *memory) leave() {
	m.mu.Lock()
	m.depth--
	last := m.depth == 0
	m.mu.Unlock()
	if last {
		m.let()
	}
}

// let says that what was asked so far is all that needs the tensors that were asked for.
func (m *memory) let() {
	m.mu.Lock()
	list := m.pinned
	m.pinned = nil
	m.mu.Unlock()
	if len(list) > 0 {
		m.session.unpin(list)
	}
}

// hold brings a tensor that may have made room to the device, until the call ends that goes on.
func (m *memory) hold(t *tensor) {
	if !t.movable || m.Err() != nil {
		return
	}
	if err := m.session.pin(t); err != nil {
		m.fail(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pinned = append(m.pinned, t)
}

// Load copies a tensor to the device.
func (m *memory) Load(t *integer.Tensor) backend.Tensor {
	own := &tensor{shape: t.Shape, n: t.Len()}
	if m.Err() == nil {
		if err := own.send(m, t); err != nil {
			m.fail(err)
		}
	}
	return own
}

// Upload copies to the device.
func (m *memory) Upload(to device.Pointer, data []byte) error { return m.on.Upload(to, data) }

// Download copies from the device.
func (m *memory) Download(data []byte, from device.Pointer) error { return m.on.Download(data, from) }

// Alloc takes what is idle, or memory of the device; if that has none, once more with everything given back that is idle, here and elsewhere, then tables, and tensors that
// nobody needs now.
func (m *memory) Alloc(bytes int64) (device.Pointer, error) {
	p, err := m.alloc(bytes)
	if errors.Is(err, device.ErrMemory) && m.session != nil {
		if err := m.session.of.trim(); err != nil {
			return 0, err
		}
		p, err = m.alloc(bytes)
	}
	if errors.Is(err, device.ErrMemory) && m.session != nil && m.session.kept.drop() {
		if err := m.session.trim(); err != nil {
			return 0, err
		}
		p, err = m.alloc(bytes)
	}
	for errors.Is(err, device.ErrMemory) && m.session != nil && m.session.evict(bytes) {
		p, err = m.alloc(bytes)
	}
	return p, err
}

func (m *memory) alloc(bytes int64) (device.Pointer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if list := m.idle[bytes]; len(list) > 0 {
		p := list[len(list)-1]
		m.idle[bytes] = list[:len(list)-1]
		m.held[p] = bytes
		return p, nil
	}
	p, err := m.on.Alloc(bytes)
	if errors.Is(err, device.ErrMemory) && len(m.idle) > 0 {
		if err := m.release(); err != nil {
			return 0, err
		}
		p, err = m.on.Alloc(bytes)
	}
	if err == nil {
		m.held[p] = bytes
	}
	return p, err
}

// left is how many bytes the device has, with what is idle, and with tensors that nobody needs now.
func (m *memory) left() int64 {
	info, err := m.on.Info()
	if err != nil {
		m.fail(err)
	}
	if m.session != nil {
		info.Free += m.session.evictable() + m.session.kept.bytes()
		for _, other := range m.session.of.all() {
			info.Free += other.unused()
		}
	}
	return info.Free
}

// unused is how many bytes are idle.
func (m *memory) unused() (sum int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for bytes, list := range m.idle {
		sum += bytes * int64(len(list))
	}
	return sum
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
	return errors.Join(m.on.Clear(p, bytes), m.on.Free(p))
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
	return m.on.Launch(l)
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
	m.closed()
	return err
}
