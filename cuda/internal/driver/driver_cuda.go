//go:build cuda

package driver

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/cuda/internal/driver/preflight"
	"github.com/zkllmc/zkllmc/cuda/internal/fatbin"
	"github.com/zkllmc/zkllmc/internal/backend"
)

// gpu is a GPU. CUDA's current context belongs to a thread of the process, so that one thread does everything, in order.
type gpu struct {
	device.Pageable
	calls    chan func()
	done     chan struct{} // closed when the thread has ended
	close    sync.Once
	name     string
	modules  []cu.Module
	kernels  map[string]cu.Function
	failed   error // the first, which CUDA keeps returning
	mu       sync.Mutex
	counters device.Counters
}

// Open begins to work with a GPU, of which the first is 0. It has the kernels, and those of more fat binaries.
func Open(ordinal int, more ...[]byte) (device.Device, error) {
	if why := preflight.Missing(); why != "" {
		return nil, fmt.Errorf("%w: %s", backend.ErrNoDevice, why)
	}
	code, err := fatbin.Kernels()
	if err != nil {
		return nil, err
	}
	g := &gpu{calls: make(chan func()), done: make(chan struct{}), kernels: map[string]cu.Function{}}
	opened := make(chan error)
	go g.serve(ordinal, append([][]byte{code}, more...), opened)
	if err := <-opened; err != nil {
		return nil, fmt.Errorf("cuda: opening device %d: %w", ordinal, err)
	}
	return g, nil
}

// serve is the thread.
func (g *gpu) serve(ordinal int, code [][]byte, opened chan<- error) {
	runtime.LockOSThread() // for good: the thread ends with the context
	defer close(g.done)
	ctx, err := g.begin(ordinal, code)
	opened <- err
	if err != nil {
		return
	}
	for call := range g.calls {
		call()
	}
	_ = ctx.Destroy()
}

func (g *gpu) begin(ordinal int, code [][]byte) (ctx cu.CUContext, err error) {
	dev, err := cu.GetDevice(ordinal)
	if err != nil {
		return ctx, err
	}
	if g.name, err = dev.Name(); err != nil {
		return ctx, err
	}
	if ctx, err = dev.MakeContext(cu.SchedBlockingSync); err != nil {
		return ctx, err
	}
	for _, binary := range code {
		module, err := cu.LoadFatBinary(string(binary))
		if err != nil {
			_ = ctx.Destroy()
			return ctx, fmt.Errorf("loading the kernels: %w", err)
		}
		g.modules = append(g.modules, module)
	}
	return ctx, nil
}

// kernel looks for a kernel, once for every name.
func (g *gpu) kernel(name string) (f cu.Function, err error) {
	f, ok := g.kernels[name]
	for i := 0; !ok && i < len(g.modules); i++ {
		f, err = g.modules[i].Function(name)
		ok = err == nil
	}
	if ok {
		g.kernels[name] = f
		return f, nil
	}
	return f, err
}

// errClosed is the error of calls after Close.
var errClosed = errors.New("cuda: the device is closed")

// do runs a call on the device's thread, unless something failed before.
func (g *gpu) do(call func() error) (err error) {
	ran := make(chan struct{})
	defer func() {
		if recover() != nil { // the channel is closed
			err = errClosed
		}
	}()
	g.calls <- func() {
		defer close(ran)
		if err = g.failed; err != nil {
			return
		}
		if err = call(); err != nil && !errors.Is(err, device.ErrMemory) {
			g.failed = err
		}
	}
	<-ran
	return err
}

func (g *gpu) count(add func(*device.Counters)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	add(&g.counters)
}

func (g *gpu) Alloc(bytes int64) (p device.Pointer, err error) {
	err = g.do(func() error {
		at, err := cu.MemAlloc(max(1, bytes))
		p = device.Pointer(at)
		switch {
		case errors.Is(err, cu.OutOfMemory):
			return fmt.Errorf("%w: %d bytes", device.ErrMemory, bytes)
		case err != nil:
			return fmt.Errorf("cuda: allocating %d bytes: %w", bytes, err)
		}
		return nil
	})
	return p, err
}

func (g *gpu) Free(p device.Pointer) error {
	return g.do(func() error {
		if err := cu.MemFree(cu.DevicePtr(p)); err != nil {
			return fmt.Errorf("cuda: freeing %#x: %w", p, err)
		}
		return nil
	})
}

func (g *gpu) Upload(to device.Pointer, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	g.count(func(c *device.Counters) { c.Up += int64(len(data)) })
	return g.do(func() error {
		if err := cu.MemcpyHtoD(cu.DevicePtr(to), unsafe.Pointer(unsafe.SliceData(data)), int64(len(data))); err != nil {
			return fmt.Errorf("cuda: copying %d bytes to %#x: %w", len(data), to, err)
		}
		return nil
	})
}

func (g *gpu) Clear(p device.Pointer, bytes int64) error {
	if bytes == 0 {
		return nil
	}
	return g.do(func() error {
		if err := cu.MemsetD8(cu.DevicePtr(p), 0, bytes); err != nil {
			return fmt.Errorf("cuda: clearing %d bytes at %#x: %w", bytes, p, err)
		}
		return nil
	})
}

func (g *gpu) Download(data []byte, from device.Pointer) error {
	if len(data) == 0 {
		return nil
	}
	g.count(func(c *device.Counters) { c.Syncs, c.Down = c.Syncs+1, c.Down+int64(len(data)) })
	return g.do(func() error {
		if err := cu.MemcpyDtoH(unsafe.Pointer(unsafe.SliceData(data)), cu.DevicePtr(from), int64(len(data))); err != nil {
			return fmt.Errorf("cuda: copying %d bytes from %#x: %w", len(data), from, err)
		}
		return nil
	})
}

func (g *gpu) Launch(l device.Launch) error {
	g.count(func(c *device.Counters) { c.Launches++ })
	return g.do(func() error {
		f, err := g.kernel(l.Kernel)
		if err != nil {
			return l.Fails(err)
		}
		args := make([]unsafe.Pointer, len(l.Args))
		for i := range l.Args {
			args[i] = unsafe.Pointer(&l.Args[i]) // 8 bytes each, as many as are copied
		}
		grid, block := l.Grid.Full(), l.Block.Full()
		if err := f.Launch(grid[0], grid[1], grid[2], block[0], block[1], block[2], 0, cu.NoStream, args); err != nil {
			return l.Fails(err)
		}
		return nil
	})
}

func (g *gpu) Sync() error {
	g.count(func(c *device.Counters) { c.Syncs++ })
	return g.do(func() error {
		if err := cu.Synchronize(); err != nil {
			return fmt.Errorf("cuda: waiting for the device: %w", err)
		}
		return nil
	})
}

func (g *gpu) Info() (info device.Info, err error) {
	info.Name = g.name
	err = g.do(func() error {
		info.Free, info.Total, err = cu.MemInfo()
		return err
	})
	return info, err
}

func (g *gpu) Counters() device.Counters {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.counters
}

func (g *gpu) Close() error {
	g.close.Do(func() { close(g.calls) })
	<-g.done
	return nil
}
