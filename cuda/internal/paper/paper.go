// Package paper has a device that computes nothing: it counts what is asked of one, stage by stage. What the backend asks of a device depends on what
// lies there in few places, each of which downloads it, and a download leaves what it is to overwrite as it is: there stands, before, what would mean that all is
// well. So a proof on paper asks for what a true one does.
package paper

import (
	"fmt"
	"sync"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/cost"
)

// unit is what memory is given out in.
const unit = 512

// Device is a device.Device.
type Device struct {
	of     cost.Device
	budget int64

	mu       sync.Mutex
	next     device.Pointer
	held     map[device.Pointer]int64
	used     int64
	stages   []cost.Stage
	counters device.Counters
	blank    []byte // what Keep gives whoever asks
	kept     int64
}

var _ device.Device = (*Device)(nil)

// Open begins a device with some memory.
func Open(of cost.Device, budget int64) *Device {
	return &Device{of: of, budget: budget, next: 1 << 20, held: map[device.Pointer]int64{}, stages: []cost.Stage{{Name: "session"}}}
}

// Begin says that a stage begins.
func (d *Device) Begin(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if name != "" {
		d.stages = append(d.stages, cost.Stage{Name: name, Peak: d.used, Kept: d.kept})
	}
}

// Plan is what was counted.
func (d *Device) Plan() *cost.Plan {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &cost.Plan{Device: d.of, Budget: d.budget, Stages: d.stages}
}

// stage is the one that has begun last; d.mu is held.
func (d *Device) stage() *cost.Stage { return &d.stages[len(d.stages)-1] }

// Alloc takes memory.
func (d *Device) Alloc(bytes int64) (device.Pointer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	bytes = (max(1, bytes) + unit - 1) / unit * unit
	if d.used+bytes > d.budget {
		return 0, fmt.Errorf("%w: %d bytes", device.ErrMemory, bytes)
	}
	at := d.next
	d.next += device.Pointer(bytes)
	d.held[at] = bytes
	d.used += bytes
	s := d.stage()
	s.Peak = max(s.Peak, d.used)
	return at, nil
}

// Free gives memory back.
func (d *Device) Free(p device.Pointer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used -= d.held[p]
	delete(d.held, p)
	return nil
}

// Upload counts bytes.
func (d *Device) Upload(_ device.Pointer, data []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stage().Upload(&d.of, int64(len(data)))
	d.counters.Up += int64(len(data))
	return nil
}

// Download counts bytes, and leaves data as it is.
func (d *Device) Download(data []byte, _ device.Pointer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stage().Download(&d.of, int64(len(data)))
	d.counters.Syncs, d.counters.Down = d.counters.Syncs+1, d.counters.Down+int64(len(data))
	return nil
}

// Launch counts a kernel.
func (d *Device) Launch(l device.Launch) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stage().Launch(&d.of, l.Effort)
	d.counters.Launches++
	return nil
}

// Clear sets no memory to zero.
func (d *Device) Clear(device.Pointer, int64) error { return nil }

// Keep counts memory of the process, of which there is none but once for all: nothing is copied there.
func (d *Device) Keep(bytes int64) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if int64(len(d.blank)) < bytes {
		d.blank = make([]byte, bytes)
	}
	d.kept += bytes
	s := d.stage()
	s.Kept = max(s.Kept, d.kept)
	return d.blank[:bytes:bytes]
}

// Drop counts.
func (d *Device) Drop(kept []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept -= int64(len(kept))
}

// Sync counts as waiting does.
func (d *Device) Sync() error { return d.Download(nil, 0) }

// Info describes the device.
func (d *Device) Info() (device.Info, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return device.Info{Name: d.of.Name, Free: d.budget - d.used, Total: d.budget}, nil
}

// Counters count what was asked.
func (d *Device) Counters() device.Counters {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counters
}

// Close ends nothing.
func (*Device) Close() error { return nil }
