package cuda

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/cuda/internal/points"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/field"
)

// accelerator is a backend.Backend.
type accelerator struct {
	on   device.Device
	tail int
	mu   sync.Mutex
	open map[*memory]bool // of sessions, programs and runs
}

// usualTail is how many variables a sum has left whose rounds the processor takes over: a launch, and waiting for it, takes longer than it does. What
// is left then is some kilobytes.
const usualTail = 6

// Over returns the backend of a device, which leaves the rounds of sums of so many variables to the processor, one at least.
func Over(d device.Device, tail int) backend.OnDevice {
	return &accelerator{on: d, tail: tail, open: map[*memory]bool{}}
}

// Open begins a session, unless the device failed before.
func (a *accelerator) Open() (backend.Session, error) {
	if _, err := a.on.Info(); err != nil {
		return nil, failure(err)
	}
	host, err := cpu.New().Open()
	s := &session{memory: a.memory(context.Background(), nil), of: a, host: host}
	s.memory.session = s
	return s, err
}

// memory begins to have memory of the device.
func (a *accelerator) memory(ctx context.Context, err error) *memory {
	m := newMemory(ctx, a.on, err)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[m] = true
	m.closed = func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.open, m)
	}
	return m
}

// all is the memory of sessions, programs and runs that are open.
func (a *accelerator) all() []*memory {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Keys(a.open))
}

// trim gives back what is idle anywhere.
func (a *accelerator) trim() (err error) {
	for _, m := range a.all() {
		err = errors.Join(err, m.trim())
	}
	return err
}

// Device says what the device was asked for.
func (a *accelerator) Device() backend.Use {
	info, _ := a.on.Info() // which has a name in any case
	c := a.on.Counters()
	return backend.Use{Name: info.Name, Launches: c.Launches, Synchronisations: c.Syncs, Up: c.Up, Down: c.Down}
}

// Close clears what anybody holds, and gives it and the device back.
func (a *accelerator) Close() error {
	var err error
	for _, m := range a.all() {
		err = errors.Join(err, m.close())
	}
	return errors.Join(err, a.on.Close())
}

// failure is an error of a device as that of whoever asked for something, unless it is the end of a context or a cell of whoever asked.
func failure(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, points.ErrWide) {
		return err
	}
	return fmt.Errorf("%w: %w", backend.ErrDevice, err)
}

// session holds tensors, tables of generators, and how lines of tables are found.
type session struct {
	*memory
	of      *accelerator
	host    backend.Session // of the processor
	mu      sync.Mutex
	lists   []list // of generators
	kept    tables
	indices map[string]*index

	residents residents
}

// Close gives the memory back. An error is one of the device, which it will have for whoever asks next.
func (s *session) Close() error {
	_ = s.close()
	return nil
}

// Begin begins a run.
func (s *session) Begin(ctx context.Context) backend.Run {
	r := &run{memory: s.of.memory(ctx, s.Err()), session: s, host: s.host.Begin(ctx), pinning: map[*leaves]bool{}}
	r.memory.session = s
	return r
}

// run is a backend.Run.
type run struct {
	*memory
	session *session
	host    backend.Run      // of the processor
	pinning map[*leaves]bool // of trees that have not come to their end
}

// Close gives the memory back. An error is one of the device, which it will have for whoever asks next.
func (r *run) Close() {
	for l := range r.pinning {
		r.session.unpin(l.pinned)
	}
	clear(r.pinning)
	_ = r.memory.close()
}

// vector is a backend.Vector: elements of a run on the device.
type vector struct {
	at device.Pointer
	n  int
	of *run

	partial *backend.Partial // of one that is computed when it is needed; or the next
	table   *backend.Table
}

func (v *vector) Elements() int { return v.n }

// room takes memory for a vector.
func (r *run) room(n int) *vector {
	v := &vector{n: n, of: r}
	if r.Err() == nil {
		at, err := r.Alloc(int64(n) * elementBytes)
		if err != nil {
			r.fail(err)
		}
		v.at = at
	}
	return v
}

// later are vectors that are computed when they are needed.
func (r *run) later(n int, which func(i int) vector) []backend.Vector {
	all := make([]backend.Vector, n)
	for i := range all {
		v := which(i)
		v.of = r
		all[i] = &v
	}
	return all
}

// rooms are vectors of some lengths.
func (r *run) rooms(n int, length func(i int) int) (all []backend.Vector, at []device.Pointer) {
	all, at = make([]backend.Vector, n), make([]device.Pointer, n)
	for i := range all {
		v := r.room(length(i))
		all[i], at[i] = v, v.at
	}
	return all, at
}

// held is where a vector of the run lies.
func (r *run) held(v backend.Vector) device.Pointer {
	own := v.(*vector)
	if own.of != r {
		panic("cuda: a vector is used where it is not")
	}
	r.compute([]*vector{own})
	return own.at
}

func (r *run) Vector(vals []field.Element) backend.Vector {
	v := r.room(len(vals))
	if r.Err() == nil {
		if err := r.Upload(v.at, device.Bytes(vals)); err != nil {
			r.fail(err)
		}
	}
	return v
}

func (r *run) Values(v backend.Vector) []field.Element {
	vals := make([]field.Element, v.Elements())
	if at := r.held(v); r.Err() == nil {
		if err := r.Download(device.Bytes(vals), at); err != nil {
			r.fail(err)
		}
	}
	return vals
}

func (r *run) Free(vecs ...backend.Vector) {
	for _, v := range vecs {
		if v == nil {
			continue
		}
		if at := v.(*vector).at; at != 0 {
			_ = r.memory.Free(at) // nothing of the device's
		}
		*v.(*vector) = vector{n: v.Elements()}
	}
}
