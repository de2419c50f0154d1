package cuda

import (
	"slices"
	"sync"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// residents are a session's tensors that may make room: weights, and what programs have computed and write no more. Weights are in this process' memory, and
// are copied to the device when they are first asked for; others are copied to this process' memory when they first make room. Where they are asked for again they
// are copied back.
type residents struct {
	mu   sync.Mutex
	here []*tensor // on the device, the one that was asked for last at the end
}

// Load takes a tensor. Weights, of 16 bits, are copied to the device when somebody asks for them.
func (s *session) Load(t *integer.Tensor) backend.Tensor {
	if t.V != nil || t.Short == nil {
		return s.memory.Load(t)
	}
	return &tensor{shape: t.Shape, n: t.Len(), size: 2, of: s.memory, movable: true, kept: device.Bytes(t.Short)}
}

// pin brings a tensor to the device, if it is not there, until it is unpinned.
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
	at, err := t.of.Alloc(t.bytes())
	if err == nil {
		err = s.Upload(at, t.kept)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		return err
	case t.at != 0: // another run was faster
		return t.of.Free(at)
	}
	t.at, r.here = at, append(r.here, t)
	return nil
}

// unpin says that nothing of a tensor will be asked for by what is not asked yet.
func (s *session) unpin(list []*tensor) {
	s.residents.mu.Lock()
	defer s.residents.mu.Unlock()
	for _, t := range list {
		t.pins--
	}
}

// settled says that tensors of a program, which are on the device, may make room from now on.
func (s *session) settled(p *program, tensors []*tensor) {
	s.residents.mu.Lock()
	defer s.residents.mu.Unlock()
	for _, t := range tensors {
		t.of, t.maker, t.movable = p.memory, p, true
	}
	s.residents.here = append(s.residents.here, tensors...)
}

// leave says that nobody asks for tensors of a program any more, or for all of them if there is no list, and drops their cells in this process' memory.
func (s *session) leave(p *program, tensors ...*tensor) {
	r := &s.residents
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(tensors) == 0 {
		tensors = p.moved
		r.here = slices.DeleteFunc(r.here, func(t *tensor) bool { return t.of == p.memory })
	} else {
		r.here = slices.DeleteFunc(r.here, func(t *tensor) bool { return slices.Contains(tensors, t) })
	}
	for _, t := range tensors {
		s.on.Drop(t.kept)
		t.kept, t.movable = nil, false
	}
	p.moved = slices.DeleteFunc(p.moved, func(t *tensor) bool { return t.kept == nil })
}

// evict gives the memory of tensors back that nobody has pinned, those first that were not asked for for the longest time, until that is so many bytes. It says
// whether there was any.
func (s *session) evict(bytes int64) (any bool) {
	r := &s.residents
	r.mu.Lock()
	defer r.mu.Unlock()
	owners := map[*memory]bool{}
	r.here = slices.DeleteFunc(r.here, func(t *tensor) bool {
		if t.pins > 0 || bytes <= 0 {
			return false
		}
		if t.kept == nil {
			kept := s.on.Keep(t.bytes())
			if err := s.Download(kept, t.at); err != nil {
				s.on.Drop(kept)
				s.fail(err)
				return false
			}
			t.kept = kept
			t.maker.moved = append(t.maker.moved, t)
		}
		_ = t.of.Free(t.at)
		owners[t.of] = true
		bytes -= t.bytes()
		t.at, any = 0, true
		return true
	})
	for m := range owners {
		if err := m.trim(); err != nil {
			s.fail(err)
		}
	}
	return any && s.Err() == nil
}

// evictable is how many bytes evict would give back.
func (s *session) evictable() (bytes int64) {
	s.residents.mu.Lock()
	defer s.residents.mu.Unlock()
	for _, t := range s.residents.here {
		if t.pins == 0 {
			bytes += t.bytes()
		}
	}
	return bytes
}
