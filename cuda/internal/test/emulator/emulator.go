// Package emulator is a device whose kernels run on the processor: a program that g++ makes of the same sources (cuda/internal/kernels), which serves a
// device over its standard input and output. It is for tests: slow, but threads and blocks run in orders that change with every launch, accesses
// outside of an allocation end the program where it was built with sanitizers, and its end is an error here.
package emulator

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
)

// ErrNoCompiler says that there is nothing to compile the kernels with, for what they run in.
var ErrNoCompiler = errors.New("emulator: it takes Linux and g++")

// Config says what device is emulated.
type Config struct {
	Memory   int64    // bytes that can be allocated; 0 means 1 GiB
	Threads  int      // that run blocks; 0 means 2
	Seed     uint64   // of the orders of blocks and threads
	Sanitize bool     // notice accesses outside of allocations, misaligned ones, and undefined arithmetic
	Flags    []string // for the compiler, besides: -DCARRY_CHAINS multiplies with limbs of 32 bits, as GPUs do
}

// Device is an emulated device.
type Device struct {
	device.Pageable
	mu       sync.Mutex
	cmd      *exec.Cmd
	in       io.WriteCloser
	out      io.Reader
	said     *tail
	gone     bool  // the program has ended
	failed   error // the first error
	counters device.Counters
}

var _ device.Device = (*Device)(nil)

// Open compiles the kernels in a file system laid out as that of cuda/internal/kernels, unless that was done before, and starts the program.
func Open(sources fs.FS, c Config) (*Device, error) {
	program, err := build(sources, c)
	if err != nil {
		return nil, err
	}
	memory, threads := c.Memory, c.Threads
	if memory == 0 {
		memory = 1 << 30
	}
	if threads == 0 {
		threads = 2
	}
	d := &Device{said: &tail{}}
	d.cmd = exec.Command(program, strconv.FormatInt(memory, 10), strconv.Itoa(threads), strconv.FormatUint(c.Seed, 10))
	d.cmd.Env = append(os.Environ(), "ASAN_OPTIONS=detect_leaks=0", "UBSAN_OPTIONS=print_stacktrace=0")
	d.cmd.Stderr = d.said
	if d.in, err = d.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if d.out, err = d.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("emulator: %w", err)
	}
	return d, nil
}

// build returns the program's path. Programs are kept by what they were made of, among what make builds.
func build(sources fs.FS, c Config) (string, error) {
	compiler, err := exec.LookPath("g++")
	if err != nil || runtime.GOOS != "linux" {
		return "", ErrNoCompiler
	}
	flags := append([]string{"-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread"}, c.Flags...)
	if c.Sanitize {
		flags = append(flags, "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g1")
	}
	version, err := exec.Command(compiler, "-v").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("emulator: %s -v: %w", compiler, err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %q", flags, version)
	dir, err := os.MkdirTemp("", "zkllmc-emulator-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	err = fs.WalkDir(sources, ".", func(path string, entry fs.DirEntry, err error) error {
		to := filepath.Join(dir, filepath.FromSlash(path))
		if err != nil || entry.IsDir() {
			return errors.Join(err, os.MkdirAll(to, 0o700))
		}
		text, err := fs.ReadFile(sources, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %d ", path, len(text))
		h.Write(text)
		return os.WriteFile(to, text, 0o600)
	})
	if err != nil {
		return "", err
	}
	programs, err := folder()
	if err != nil {
		return "", err
	}
	program := filepath.Join(programs, hex.EncodeToString(h.Sum(nil)[:12]))
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := os.MkdirAll(programs, 0o700); err != nil {
		return "", err
	}
	made := program + "-" + filepath.Base(dir)
	said, err := exec.Command(compiler, append(flags, "-o", made, filepath.Join(dir, "emulate", "main.cpp"))...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("emulator: g++: %w\n%s", err, said)
	}
	return program, os.Rename(made, program)
}

// folder is where programs are kept: build/emulator of the module that the working directory belongs to.
func folder() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "build", "emulator"), nil
		}
	}
	return "", errors.New("emulator: the working directory is within no module, whose build/ keeps programs")
}

// Commands of the program (cuda/internal/kernels/emulate/main.cpp).
const (
	alloc = 1 + iota
	free
	upload
	download
	start
	memory
)

// ask sends a command with words and bytes, and reads what it returns into reply. refused is why the program does not do it.
func (d *Device) ask(command uint64, words []uint64, data, reply []byte) (refused error, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed != nil {
		return nil, d.failed
	}
	message := binary.LittleEndian.AppendUint64(nil, command)
	message = binary.LittleEndian.AppendUint64(message, uint64(len(words)))
	for _, w := range words {
		message = binary.LittleEndian.AppendUint64(message, w)
	}
	_, err = d.in.Write(message)
	if err == nil && len(data) > 0 {
		_, err = d.in.Write(data)
	}
	var head [16]byte
	if err == nil {
		_, err = io.ReadFull(d.out, head[:])
	}
	if err != nil {
		return nil, d.ended(err)
	}
	failed, n := binary.LittleEndian.Uint64(head[:]), binary.LittleEndian.Uint64(head[8:])
	if failed != 0 {
		why := make([]byte, min(n, 1<<12))
		if _, err := io.ReadFull(d.out, why); err != nil {
			return nil, d.ended(err)
		}
		return errors.New(string(why)), nil
	}
	if n != uint64(len(reply)) {
		return nil, d.ended(fmt.Errorf("a reply of %d bytes instead of %d", n, len(reply)))
	}
	if _, err := io.ReadFull(d.out, reply); err != nil {
		return nil, d.ended(err)
	}
	return nil, nil
}

// ended is the error from now on: the program said nothing more, or something else.
func (d *Device) ended(err error) error {
	d.in.Close()
	_ = d.cmd.Process.Kill()
	ended := d.cmd.Wait()
	d.gone = true
	d.failed = fmt.Errorf("emulator: the device ended (%w, %v): %s", err, ended, d.said)
	return d.failed
}

// Alloc takes memory.
func (d *Device) Alloc(bytes int64) (device.Pointer, error) {
	var at [8]byte
	refused, err := d.ask(alloc, []uint64{uint64(max(1, bytes))}, nil, at[:])
	if refused != nil {
		err = fmt.Errorf("%w: %d bytes", device.ErrMemory, bytes)
	}
	return device.Pointer(binary.LittleEndian.Uint64(at[:])), err
}

// Free gives memory back.
func (d *Device) Free(p device.Pointer) error {
	return d.broken(d.ask(free, []uint64{uint64(p)}, nil, nil))("freeing %#x", p)
}

// Upload copies to the device.
func (d *Device) Upload(to device.Pointer, data []byte) error {
	err := d.broken(d.ask(upload, []uint64{uint64(to), uint64(len(data))}, data, nil))("copying %d bytes to %#x", len(data), to)
	d.count(func(c *device.Counters) { c.Up += int64(len(data)) })
	return err
}

// Clear sets memory to zero.
func (d *Device) Clear(p device.Pointer, bytes int64) error {
	return d.broken(d.ask(upload, []uint64{uint64(p), uint64(bytes)}, make([]byte, bytes), nil))("clearing %d bytes at %#x", bytes, p)
}

// Download copies from the device.
func (d *Device) Download(data []byte, from device.Pointer) error {
	err := d.broken(d.ask(download, []uint64{uint64(from), uint64(len(data))}, nil, data))("copying %d bytes from %#x", len(data), from)
	d.count(func(c *device.Counters) { c.Syncs, c.Down = c.Syncs+1, c.Down+int64(len(data)) })
	return err
}

// Launch runs a kernel.
func (d *Device) Launch(l device.Launch) error {
	var words []uint64
	for _, dim := range []device.Dim{l.Grid.Full(), l.Block.Full()} {
		for _, n := range dim {
			words = append(words, uint64(n))
		}
	}
	words = append(append(words, uint64(len(l.Kernel))), l.Args...)
	refused, err := d.ask(start, words, []byte(l.Kernel), nil)
	d.count(func(c *device.Counters) { c.Launches++ })
	if err = errors.Join(refused, err); err != nil {
		return d.fail(l.Fails(err))
	}
	return nil
}

// Sync waits for nothing: every launch did.
func (d *Device) Sync() error {
	d.count(func(c *device.Counters) { c.Syncs++ })
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

// Info describes the device.
func (d *Device) Info() (device.Info, error) {
	var sizes [16]byte
	refused, err := d.ask(memory, nil, nil, sizes[:])
	return device.Info{
		Name: "emulator", Free: int64(binary.LittleEndian.Uint64(sizes[:])), Total: int64(binary.LittleEndian.Uint64(sizes[8:])),
	}, errors.Join(refused, err)
}

// Counters count what was asked.
func (d *Device) Counters() device.Counters {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counters
}

// Close ends the program.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone {
		return nil
	}
	d.gone, d.failed = true, errors.New("emulator: the device is closed")
	d.in.Close()
	if err := d.cmd.Wait(); err != nil {
		return fmt.Errorf("emulator: %w: %s", err, d.said)
	}
	return nil
}

func (d *Device) count(add func(*device.Counters)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	add(&d.counters)
}

// broken says what was asked when something failed or was refused; a refusal is the end, too.
func (d *Device) broken(refused, err error) func(format string, args ...any) error {
	return func(format string, args ...any) error {
		if refused == nil && err == nil {
			return nil
		}
		return d.fail(fmt.Errorf("emulator: "+format+": %w", append(args, errors.Join(refused, err))...))
	}
}

// fail keeps the first error.
func (d *Device) fail(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed == nil {
		d.failed = err
	}
	return err
}

// tail is the beginning and the end of what a program says.
type tail struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// most is how much is kept.
const most = 1 << 13

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := most - t.text.Len(); room > 0 {
		t.text.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.text.String())
}
