package device

import "github.com/zkllmc/zkllmc/internal/cost"

// Scratch is memory and launches of one computation: after an error everything is left out, and End returns it.
type Scratch struct {
	Work
	held   []Pointer
	err    error
	effort cost.Effort // of the next kernel
}

// Take takes memory for n things of a size; after an error it returns 0.
func (s *Scratch) Take(n, size int) Pointer {
	if s.err != nil {
		return 0
	}
	p, err := s.Alloc(int64(n) * int64(size))
	if s.err = err; err == nil {
		s.held = append(s.held, p)
	}
	return p
}

// Put takes memory for data and copies it there.
func (s *Scratch) Put(data []byte) Pointer {
	p := s.Take(len(data), 1)
	if s.err == nil {
		s.err = s.Upload(p, data)
	}
	return p
}

// Run starts a kernel.
func (s *Scratch) Run(kernel string, grid, block Dim, args ...uint64) {
	if s.err == nil {
		s.err = s.Launch(Launch{Kernel: kernel, Grid: grid, Block: block, Args: args, Effort: s.effort})
	}
	s.effort = cost.Effort{}
}

// Takes says about what the next kernel does: products of field elements and of integers, and bytes that it reads and writes.
func (s *Scratch) Takes(field, integers, bytes int) {
	s.effort = cost.Effort{Field: int64(field), Integers: int64(integers), Bytes: int64(bytes)}
}

// Get copies from the device.
func (s *Scratch) Get(data []byte, from Pointer) {
	if s.err == nil {
		s.err = s.Download(data, from)
	}
}

// Keep makes memory that was taken the caller's, unless there was an error.
func (s *Scratch) Keep(p Pointer) {
	for i, held := range s.held {
		if held == p && s.err == nil {
			s.held = append(s.held[:i], s.held[i+1:]...)
			return
		}
	}
}

// Adopt takes what another one holds over.
func (s *Scratch) Adopt(other *Scratch) {
	s.held = append(s.held, other.held...)
	other.held = nil
}

// End gives the memory back, once.
func (s *Scratch) End() error {
	for _, p := range s.held {
		if err := s.Free(p); s.err == nil {
			s.err = err
		}
	}
	s.held = nil
	return s.err
}

// Error is the first error.
func (s *Scratch) Error() error { return s.err }
