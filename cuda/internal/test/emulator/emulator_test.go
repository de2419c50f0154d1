package emulator_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/cuda/internal/kernels"
	"github.com/zkllmc/zkllmc/cuda/internal/test/emulator"
	"github.com/zkllmc/zkllmc/cuda/internal/test/kerneltest"
)

// open begins a device that ends with the test, without an error.
func open(t *testing.T, c emulator.Config) *emulator.Device {
	t.Helper()
	return openOf(t, kernels.Sources(), c)
}

func openOf(t *testing.T, sources fs.FS, c emulator.Config) *emulator.Device {
	t.Helper()
	d, err := emulator.Open(sources, c)
	if errors.Is(err, emulator.ErrNoCompiler) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

// Every kernel agrees with the packages that define what it computes, whatever the order of blocks and threads, and touches nothing that is
// not its own.
func TestKernels(t *testing.T) {
	d := kerneltest.Open(t, emulator.Config{Seed: 1})
	for _, check := range kerneltest.Checks {
		t.Run(check.Name, func(t *testing.T) { check.Run(t, d) })
	}
}

// What is not the device's to do is an error, and the last one.
func TestRefusals(t *testing.T) {
	for what, ask := range map[string]func(d *emulator.Device, at device.Pointer) error{
		"not within one allocation":  func(d *emulator.Device, at device.Pointer) error { return d.Upload(at+1, make([]byte, 64)) },
		"not within one":             func(d *emulator.Device, at device.Pointer) error { return d.Download(make([]byte, 65), at) },
		"nothing is allocated there": func(d *emulator.Device, at device.Pointer) error { return d.Free(at + 8) },
		"kernel wrong, grid [1 1 1], block [1 1 1], arguments []: no such kernel": func(d *emulator.Device, _ device.Pointer) error {
			return d.Launch(device.Launch{Kernel: "wrong"})
		},
		"takes 5 arguments": func(d *emulator.Device, _ device.Pointer) error {
			return d.Launch(device.Launch{Kernel: "combine", Args: make([]uint64, 4)})
		},
		"no launch can have this shape": func(d *emulator.Device, _ device.Pointer) error {
			return d.Launch(device.Launch{Kernel: "combine", Block: device.Dim{257}, Args: make([]uint64, 5)})
		},
	} {
		d := open(t, emulator.Config{Sanitize: true, Threads: 1})
		at, err := d.Alloc(64)
		require.NoError(t, err)
		err = ask(d, at)
		require.ErrorContains(t, err, what)
		require.ErrorContains(t, d.Sync(), what, "the first error stays")
		require.NoError(t, d.Close())
	}
}

// A device has as much memory as was said, and tells it apart from other errors.
func TestMemory(t *testing.T) {
	d := open(t, emulator.Config{Sanitize: true, Memory: 1 << 20})
	info, err := d.Info()
	require.NoError(t, err)
	require.Equal(t, device.Info{Name: "emulator", Free: 1 << 20, Total: 1 << 20}, info)
	_, err = d.Alloc(1<<20 + 1)
	require.ErrorIs(t, err, device.ErrMemory)
	all, err := d.Alloc(1 << 20)
	require.NoError(t, err)
	_, err = d.Alloc(1)
	require.ErrorIs(t, err, device.ErrMemory)
	require.NoError(t, d.Free(all))
	_, err = d.Alloc(1)
	require.NoError(t, err)
	require.NoError(t, d.Sync())
	require.Equal(t, device.Counters{Syncs: 1}, d.Counters())
}

// Barriers are places where all threads of a block meet, what they share begins with nothing to count on, and no access is out of place: a
// kernel that does otherwise ends the device.
func TestBarriers(t *testing.T) {
	const source = `
#include "platform.cuh"
KERNEL(ends, uint64_t* out) { if (threadIdx.x > 0) BARRIER(); *out = 1; }
KERNEL(parts, uint64_t* out) {
	if (threadIdx.x > 0) BARRIER();
	if (threadIdx.x == 0) BARRIER();
	*out = 1;
}
KERNEL(beyond, uint64_t* out) { SHARED(uint64_t, a, 8); (&a[0])[threadIdx.x + 1 + *out] = 1; }
KERNEL(bounds, uint64_t* out) { SHARED(uint64_t, a, 7); a[threadIdx.x] = *out; }
KERNEL(misaligned, uint64_t* out) { *(uint32_t*)((char*)out + 2 * threadIdx.x) = 1; }
KERNEL(far, uint64_t* out) { out[8 + threadIdx.x] = 1; }
KERNEL(stale, uint64_t* out) { SHARED(uint64_t, a, 8); *out = a[threadIdx.x]; }
KERNEL(right, uint64_t* out) {
	SHARED(uint64_t, a, 8);
	a[threadIdx.x] = threadIdx.x;
	BARRIER();
	if (threadIdx.x == 3) *out = a[4] + a[2];
	atomic_add(out + 1, (uint64_t)1);
	BARRIER();
	if (threadIdx.x == 5) out[2] = out[1];
}
`
	sources, err := kerneltest.With(kernels.Sources(), "all.cu", func(string) (string, error) { return source, nil })
	require.NoError(t, err)
	for kernel, want := range map[string]string{
		"ends":       "kernel ends, block (0, 0, 0), thread (0, 0, 0): ended while others wait at a barrier",
		"parts":      "threads of a block wait at different barriers",
		"beyond":     "heap-buffer-overflow",
		"bounds":     "out of bounds",
		"misaligned": "misaligned address",
		"far":        "heap-buffer-overflow",
		"stale":      "",
		"right":      "",
	} {
		d := openOf(t, sources, emulator.Config{Sanitize: true})
		at, err := d.Alloc(64)
		require.NoError(t, err)
		require.NoError(t, d.Upload(at, device.Bytes(make([]uint64, 8))))
		err = d.Launch(device.Launch{Kernel: kernel, Block: device.Dim{8}, Args: []uint64{uint64(at)}})
		if want != "" {
			require.ErrorContains(t, err, want, kernel)
			require.ErrorContains(t, err, "cuda: kernel "+kernel+", grid [1 1 1], block [8 1 1], arguments [0x")
			_, later := d.Info()
			require.Error(t, later, "it has ended")
			continue
		}
		require.NoError(t, err)
		out := make([]uint64, 3)
		require.NoError(t, d.Download(device.Bytes(out), at))
		if kernel == "stale" {
			require.NotZero(t, out[0])
		} else {
			require.Equal(t, []uint64{6, 8, 8}, out)
		}
		require.NoError(t, d.Close())
	}
}
