package cuda

import (
	"slices"
	"sync"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// residents are a session's weights, in this process' memory, and on the device as long as there is memory: they are copied there when they are first asked
// for, and again after they had to make room.
type residents struct {
	mu   sync.Mutex
	here []*tensor // on the device, the one that was asked for last at the end
}

// Load takes a tensor. Weights, of 16 bits, are copied to the device when somebody asks for them.
func (s *session) Load(t *integer.Tensor) backend.Tensor {
	if t.V != nil || t.Short == nil {
		return s.memory.Load(t)
	}
	return &tensor{shape: t.Shape, n: t.Len(), size: 2, of: s.memory, source: t}
}

// pin brings a weight to the device, if it is not there, until it is unpinned.
func (s *session) pin(t *tensor) error {
	r := &s.residents
	r.mu.Lock()
	t.pins++
	here := t.at != 0
	if i := slices.Index(r.here, t); i >= 0 {
		r.here = append(slices.Delete(r.here, i, i+1), t)
	}
	r.mu.Unlock()
	if here {
		return nil
	}
	cells := device.Bytes(t.source.Short)
	at, err := s.Alloc(int64(len(cells)))
	if err == nil {
		err = s.Upload(at, cells)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		return err
	case t.at != 0: // another run was faster
		return s.memory.Free(at)
	}
	t.at, r.here = at, append(r.here, t)
	return nil
}

// unpin says that nothing of a weight will be asked for by what is not asked yet.
func (s *session) unpin(list []*tensor) {
	s.residents.mu.Lock()
	defer s.residents.mu.Unlock()
	for _, t := range list {
		t.pins--
	}
}

// evict gives the memory of weights back that nobody has pinned, those first that were not asked for for the longest time, until that is so many bytes. It says
// whether there was any.
func (s *session) evict(bytes int64) (any bool) {
	r := &s.residents
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() {
		if err := s.trim(); err != nil {
			s.fail(err)
		}
	}()
	r.here = slices.DeleteFunc(r.here, func(t *tensor) bool {
		if t.pins > 0 || bytes <= 0 {
			return false
		}
		_ = s.memory.Free(t.at)
		bytes -= 2 * int64(t.n)
		t.at, any = 0, true
		return true
	})
	return any
}

// evictable is how many bytes evict would give back.
func (s *session) evictable() (bytes int64) {
	s.residents.mu.Lock()
	defer s.residents.mu.Unlock()
	for _, t := range s.residents.here {
		if t.pins == 0 {
			bytes += 2 * int64(t.n)
		}
	}
	return bytes
}
