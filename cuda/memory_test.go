package cuda_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda"
	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/cuda/internal/test/emulator"
	"github.com/zkllmc/zkllmc/cuda/internal/test/kerneltest"
)

// observed is a device of which somebody reads all memory that is given back, before and after it is cleared.
type observed struct {
	device.Device
	err     error // of what was read, or what it was
	mu      sync.Mutex
	sizes   map[device.Pointer]int64
	held    int // blocks that had something in them before they were cleared
	stop    func()
	without int // launches until stop
}

func (d *observed) Alloc(bytes int64) (device.Pointer, error) {
	p, err := d.Device.Alloc(bytes)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.sizes[p] = bytes
	}
	return p, err
}

// zero says whether memory has nothing in it.
func (d *observed) zero(p device.Pointer) bool {
	cells := make([]byte, d.sizes[p])
	d.err = errors.Join(d.err, d.Device.Download(cells, p))
	return len(bytes.Trim(cells, "\x00")) == 0
}

func (d *observed) Clear(p device.Pointer, bytes int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.zero(p) {
		d.held++
	}
	return d.Device.Clear(p, bytes)
}

func (d *observed) Free(p device.Pointer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.zero(p) {
		d.err = errors.Join(d.err, fmt.Errorf("memory of %d bytes is given back with something in it", d.sizes[p]))
	}
	delete(d.sizes, p)
	return d.Device.Free(p)
}

func (d *observed) Launch(l device.Launch) error {
	if d.without--; d.without == 0 {
		d.stop()
	}
	return d.Device.Launch(l)
}

// What a session, a program and a run held is cleared before the device has it back: after a proof, one that is interrupted, and as the session ends.
func TestMemoryIsCleared(t *testing.T) {
	k, in := small(t, 1, 2)
	d := &observed{Device: kerneltest.OpenQuick(t, emulator.Config{Seed: 3}), sizes: map[device.Pointer]int64{}}
	be := cuda.Over(d, cuda.UsualTail)
	_, err := prove(t.Context(), k, in, be)
	require.NoError(t, err)
	afterProof := d.held
	require.Greater(t, afterProof, 50, "the control: there was something")
	ctx, cancel := context.WithCancel(t.Context())
	d.stop, d.without = cancel, 60
	_, err = prove(ctx, k, in, be)
	require.ErrorIs(t, err, context.Canceled)
	afterInterruption := d.held
	require.Greater(t, afterInterruption, afterProof+10)
	require.NotEmpty(t, d.sizes, "the session's")
	end(t, k, in)
	require.Empty(t, d.sizes)
	require.Greater(t, d.held, afterInterruption)
	require.NoError(t, d.err)
}
