package kerneltest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/cuda/internal/kernels"
	"github.com/zkllmc/zkllmc/cuda/internal/test/emulator"
	"github.com/zkllmc/zkllmc/internal/test/ptx"
)

// planted is the variable that names the fault which is planted, and seeded that of the seed which tests have instead of their own.
const (
	planted = "ZKLLMC_FAULT"
	seeded  = "ZKLLMC_SEED"
)

// emulated begins a device that runs kernels on the processor. ZKLLMC_EMULATOR has flags for the compiler (make emulate), ZKLLMC_PTX is a file of
// what nvcc made of the kernels, to be run instead of their sources (make ptx).
func emulated(t testing.TB, c emulator.Config) device.Device {
	t.Helper()
	c.Flags = append(c.Flags, strings.Fields(os.Getenv("ZKLLMC_EMULATOR"))...)
	if seed, err := strconv.ParseUint(os.Getenv(seeded), 10, 64); err == nil {
		c.Seed = seed
	}
	sources := kernels.Sources()
	if file := os.Getenv("ZKLLMC_PTX"); file != "" {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		sources, err = translated(sources, string(text))
		require.NoError(t, err)
		// Each of the registers, of which PTX has no end, has a place of its own, and optimising takes minutes.
		c.Sanitize, c.Flags = false, append(c.Flags, "-O0", "-w", "-DFIBER_STACK=(1<<20)")
	}
	if name := os.Getenv(planted); name != "" {
		c.Flags = append(c.Flags, "-Wno-error")
		for _, f := range faults {
			if f.name == name {
				var err error
				sources, err = f.plant(sources)
				require.NoError(t, err)
			}
		}
	}
	d, err := emulator.Open(sources, c)
	if errors.Is(err, emulator.ErrNoCompiler) {
		t.Skip(err)
	}
	require.NoError(t, err)
	return d
}

// Open begins a device that ends with the test, when all is freed: an emulated one, which notices what is out of place, and whose order of threads
// and blocks depends on the seed, or a GPU where the tag cuda is set.
func Open(t testing.TB, c emulator.Config) device.Device {
	t.Helper()
	c.Sanitize = true
	return open(t, c)
}

// OpenQuick begins a device for tests that compute much: an emulated one notices nothing but under make emulate, whose seeds it has, and is three times
// as fast.
func OpenQuick(t testing.TB, c emulator.Config) device.Device {
	t.Helper()
	c.Sanitize = os.Getenv(seeded) != ""
	return open(t, c)
}

func open(t testing.TB, c emulator.Config) device.Device {
	t.Helper()
	d := &counted{Device: begin(t, c), most: c.Memory, sizes: map[device.Pointer]int64{}}
	t.Cleanup(func() {
		require.Empty(t, d.sizes, "all is freed")
		require.NoError(t, d.Close())
	})
	return d
}

// counted is a device of whose memory no more than some is used.
type counted struct {
	device.Device
	mu         sync.Mutex
	used, most int64 // 0 is no limit
	sizes      map[device.Pointer]int64
}

func (d *counted) Alloc(bytes int64) (device.Pointer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.most > 0 && d.used+bytes > d.most {
		return 0, device.ErrMemory
	}
	p, err := d.Device.Alloc(bytes)
	if err == nil {
		d.used, d.sizes[p] = d.used+bytes, bytes
	}
	return p, err
}

func (d *counted) Free(p device.Pointer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used -= d.sizes[p]
	delete(d.sizes, p)
	return d.Device.Free(p)
}

func (d *counted) Info() (device.Info, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	info, err := d.Device.Info()
	if d.most > 0 {
		info.Free, info.Total = d.most-d.used, d.most
	}
	return info, err
}

// fault is a change of the kernels that some test has to notice.
type fault struct {
	name, file string
	was, is    string // the place in the file, and what stands there then
	by         by
}

// plant returns the sources with the fault.
func (f *fault) plant(sources fs.FS) (fs.FS, error) {
	return With(sources, f.file, func(text string) (string, error) {
		if n := strings.Count(text, f.was); n != 1 {
			return "", fmt.Errorf("%s: %s has %q %d times", f.name, f.file, f.was, n)
		}
		return strings.Replace(text, f.was, f.is, 1), nil
	})
}

// translated are the sources with all.cu in the instructions of PTX.
func translated(sources fs.FS, text string) (fs.FS, error) {
	return With(sources, "all.cu", func(string) (string, error) { return ptx.Translate(text) })
}

// With returns sources with one file changed.
func With(sources fs.FS, file string, change func(text string) (string, error)) (fs.FS, error) {
	changed := fstest.MapFS{}
	err := fs.WalkDir(sources, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(sources, path)
		changed[path] = &fstest.MapFile{Data: text}
		return err
	})
	if err != nil {
		return nil, err
	}
	if changed[file] == nil {
		return nil, fmt.Errorf("there is no %s", file)
	}
	text, err := change(string(changed[file].Data))
	changed[file] = &fstest.MapFile{Data: []byte(text)}
	return changed, err
}
