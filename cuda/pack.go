package cuda

import (
	"math/bits"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/field"
)

// narrow is how many products of a field element and an integer of 16 bits take as long as one of two field elements.
const narrow = 8

// elementBytes is the size of a field element.
const elementBytes = 32

// pack is what a computation tells the device of its tasks, in one upload.
type pack struct{ data []byte }

// put adds values and returns where they begin.
func put[T any](p *pack, values []T) uint64 {
	at := (len(p.data) + elementBytes - 1) / elementBytes * elementBytes
	p.data = append(append(p.data, make([]byte, at-len(p.data))...), device.Bytes(values)...)
	return uint64(at)
}

// send uploads the pack, in memory whose size few others have not, and returns where it is.
func (p *pack) send(s *device.Scratch) uint64 {
	size := 1 << bits.Len(uint(max(len(p.data), 1<<9)-1))
	return uint64(s.Put(append(p.data, make([]byte, size-len(p.data))...)))
}

// firsts are the first blocks of tasks that have so many, and behind them the number of all.
func firsts[T any](tasks []T, blocks func(*T) uint64) []uint64 {
	first := make([]uint64, 1, len(tasks)+1)
	for i := range tasks {
		first = append(first, first[i]+blocks(&tasks[i]))
	}
	return first
}

// grid is as many blocks as there are.
func grid(first []uint64) device.Dim { return device.Dim{int(first[len(first)-1])} }

// runsOf is how many runs n things are.
func runsOf(n, run uint64) uint64 { return (n + run - 1) / run }

// words are a field element as arguments of a kernel.
func words(e *field.Element) []uint64 { return e[:] }

// threads is the size of blocks, and, as kernels know it, of those whose threads share sums (SUM_THREADS).
const threads = 128

// fullGrid is how many blocks keep a device busy.
const fullGrid = 1 << 10

// blocks is a grid for n threads, of which each may do several things.
func blocks(n int) device.Dim { return device.Dim{min(max(1, (n+threads-1)/threads), fullGrid)} }
