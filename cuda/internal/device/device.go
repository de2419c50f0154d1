// Package device is what the GPU backend asks of a device: memory, copies, and launches of kernels. A GPU is one (package cuda/internal/driver), and
// so is a program that runs kernels on the processor, for tests (package cuda/internal/test/emulator).
package device

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/zkllmc/zkllmc/internal/cost"
)

// Pointer is an address in a device's memory. Zero is none.
type Pointer uint64

// Tensor is where a tensor's cells of 2, 4 or 8 bytes lie, row-major, as kernels read it (cuda/internal/kernels/cells.cuh).
type Tensor struct {
	At   Pointer
	Size int
}

// Dim is the shape of a grid or of a block; an extent of 0 means 1.
type Dim [3]int

// Full is the shape with no extent of 0.
func (d Dim) Full() Dim {
	for i := range d {
		d[i] = max(1, d[i])
	}
	return d
}

// Launch is one kernel's. Every argument is 8 bytes, a number or a Pointer. Effort is about what it does, for plans.
type Launch struct {
	Kernel      string
	Grid, Block Dim
	Args        []uint64
	Effort      cost.Effort
}

// Fails is an error of a launch, with what was launched.
func (l Launch) Fails(err error) error {
	return fmt.Errorf("cuda: kernel %s, grid %v, block %v, arguments %#x: %w", l.Kernel, l.Grid.Full(), l.Block.Full(), l.Args, err)
}

// ErrMemory says that a device has not as much memory left.
var ErrMemory = errors.New("cuda: out of device memory")

// Info is what a device says of itself.
type Info struct {
	Name        string
	Free, Total int64 // bytes
}

// Counters count what was asked of a device.
type Counters struct {
	Launches, Syncs int
	Up, Down        int64 // bytes
}

// Work is what a computation asks of a device. It is safe for concurrent use. What was asked earlier is done earlier. Errors of a kernel may be
// those of a later call; after an error of any kind but ErrMemory the device is of no use any more.
type Work interface {
	// Alloc takes memory, which has whatever it had before. The error is ErrMemory if there is not enough.
	Alloc(bytes int64) (Pointer, error)
	// Free gives back what Alloc took.
	Free(p Pointer) error
	// Upload copies to the device.
	Upload(to Pointer, data []byte) error
	// Download copies from the device, once all before it is done: it synchronises.
	Download(data []byte, from Pointer) error
	// Launch starts a kernel.
	Launch(l Launch) error
}

// Device is a device.
type Device interface {
	Work
	// Clear sets memory to zero.
	Clear(p Pointer, bytes int64) error
	// Sync waits until all is done.
	Sync() error
	// Info describes the device.
	Info() (Info, error)
	// Counters are those since it was opened.
	Counters() Counters
	// Keep takes memory of this process, for what is to make room on the device.
	Keep(bytes int64) []byte
	// Drop gives back what Keep took, and clears it: it had secrets in it.
	Drop(kept []byte)
	// Close ends the work with the device.
	Close() error
}

// Pageable has Keep and Drop for devices whose copies go to and from any memory of the process.
type Pageable struct{}

func (Pageable) Keep(bytes int64) []byte { return make([]byte, bytes) }

func (Pageable) Drop(kept []byte) { clear(kept) }

// Bytes are those of a slice of numbers, field elements or points, which devices hold as this process does: without a copy.
func Bytes[T any](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(s[0])))
}
