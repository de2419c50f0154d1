package cuda_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda"
	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/cuda/internal/test/emulator"
	"github.com/zkllmc/zkllmc/cuda/internal/test/kerneltest"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// small is a function of n vectors with weights, an einsum, a square and lookups, with its key and a true statement.
func small(t *testing.T, n, width int) (*engine.Key, *engine.Input) {
	t.Helper()
	b := circuit.NewBuilder(circuit.Config{Name: "small", WeightBits: 4, WitnessBits: 4})
	shape, extents := []int{n, width}, fmt.Sprintf(" t=%d i=%d", n, width)
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Integers, Shape: shape, Lo: -8, Hi: 7, Reveal: circuit.Values})
	y := b.Times(1, fmt.Sprintf("ti,ji->tj%s j=%d", extents, width), x, b.Weight("w", 4, width, width))
	h := gadget.Rescale(b, "h", b.Virtual("y", shape, y), 3, -8, 7)
	z := b.Virtual("z", shape, b.Times(1, "ti,ti->ti"+extents, h, h))
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, gadget.Rescale(b, "out", z, 4, -4, 3))
	c, err := b.Finish()
	require.NoError(t, err)
	weights := kit.Weights(c, 1, 2)
	for id, w := range weights { // as keys have them
		w.Shorten()
		weights[id] = w
	}
	k, _, err := engine.Setup(t.Context(), circuit.Single(c), weights, engine.Options{Backend: cpu.New()})
	require.NoError(t, err)
	in, err := kit.Computed(c, k, map[int][]int64{0: []int64{1, -2, 3, -4, 5, 6, 7, -8, 0, 1, 0, -1}[:n*width]})
	require.NoError(t, err)
	return k, in
}

// prove proves under a seed.
func prove(ctx context.Context, k *engine.Key, in *engine.Input, be backend.Backend) ([]byte, error) {
	return k.Prove(ctx, in, engine.Dishonest(engine.Options{Backend: be}, engine.Hooks{Seed: []byte("the same for all")}))
}

// A proof made on the device is the definition's, byte by byte, also the second of a session, and verifies, whatever rounds the processor takes over. It
// takes so many launches and so many synchronisations.
func TestProof(t *testing.T) {
	k, in := small(t, 3, 4)
	want, err := prove(t.Context(), k, in, reference.New())
	require.NoError(t, err)
	d := kerneltest.OpenQuick(t, emulator.Config{Seed: 2})
	for _, c := range []struct{ tail, launches, syncs int }{{cuda.AllOnDevice, 188, 69}, {cuda.UsualTail, 137, 42}} {
		be := cuda.Over(d, c.tail)
		for i := range 2 {
			before := d.Counters()
			proof, err := prove(t.Context(), k, in, be)
			require.NoError(t, err)
			require.Equal(t, want, proof)
			require.NoError(t, k.Check(t.Context(), in, proof))
			after := d.Counters()
			launches, syncs := after.Launches-before.Launches, after.Syncs-before.Syncs
			t.Logf("tail %d, proof %d: %d launches, %d synchronisations, %d bytes up, %d down", c.tail, i+1, launches, syncs, after.Up-before.Up, after.Down-before.Down)
			require.LessOrEqual(t, launches, c.launches)
			require.LessOrEqual(t, syncs, c.syncs)
		}
		end(t, k, in)
	}
}

// end ends the session that a key keeps: another backend proves.
func end(t *testing.T, k *engine.Key, in *engine.Input) {
	t.Helper()
	_, err := prove(t.Context(), k, in, cpu.New())
	require.NoError(t, err)
}

// A device that fails ends a proof with what it said, and everything is given back, whichever call it fails at. Where memory was missing the next proof is
// made, or the same one, if giving back what was idle was enough.
func TestFailures(t *testing.T) {
	k, in := small(t, 1, 2)
	whole := &hollow{}
	_, err := prove(t.Context(), k, in, once(whole))
	require.NoError(t, err)
	require.Greater(t, whole.calls, 200)
	require.Empty(t, whole.held)
	for at := 1; at <= whole.calls; at++ {
		d := &hollow{failAt: at}
		_, err := prove(t.Context(), k, in, once(d))
		require.NotNil(t, d.err)
		if errors.Is(d.err, device.ErrMemory) {
			require.Empty(t, d.held, "call %d", at)
			if err == nil {
				continue
			}
			require.ErrorIs(t, err, device.ErrMemory, "call %d", at)
			if at%8 > 0 {
				continue
			}
			_, err = prove(t.Context(), k, in, once(d))
			require.NoError(t, err)
			require.Empty(t, d.held, "call %d", at)
			continue
		}
		require.ErrorIs(t, err, d.err, "call %d", at)
		require.ErrorIs(t, err, backend.ErrDevice, "call %d", at)
		if d.launch.Kernel != "" {
			require.ErrorContains(t, err, fmt.Sprintf("cuda: kernel %s, grid %v, block %v, arguments [", d.launch.Kernel, d.launch.Grid.Full(), d.launch.Block.Full()))
		}
		require.Empty(t, d.held, "call %d", at)
	}
}

// once is the backend of a device whose sessions end with a proof, since nobody sees that it is the same.
func once(d device.Device) backend.Backend {
	return kit.Wrapped{Backend: cuda.Over(d, cuda.UsualTail), Run: func(r backend.Run) backend.Run { return r }}
}

// Where there is another backend, it makes the same proof when the device fails, and there is a warning.
func TestFallback(t *testing.T) {
	k, in := small(t, 1, 2)
	want, err := prove(t.Context(), k, in, cpu.New())
	require.NoError(t, err)
	whole := &hollow{}
	_, err = prove(t.Context(), k, in, once(whole))
	require.NoError(t, err)
	for at := 1; at < whole.calls; at += whole.calls / 16 {
		d, warned := &hollow{failAt: at}, error(nil)
		o := engine.Options{Backend: cuda.Over(d, cuda.UsualTail), Fallback: cpu.New(), Failed: func(err error) { warned = err }}
		proof, err := k.Prove(t.Context(), in, engine.Dishonest(o, engine.Hooks{Seed: []byte("the same for all")}))
		require.NoError(t, err)
		if warned == nil { // there was enough memory after all, but nothing was computed
			require.ErrorIs(t, d.err, device.ErrMemory)
			continue
		}
		require.ErrorIs(t, warned, d.err)
		require.Equal(t, want, proof, "call %d", at)
		require.Empty(t, d.held, "call %d", at)
	}
}

// hollow is a device that computes nothing: memory is that of this process. A call of it fails, and all but Free and Clear after that, unless there was no memory.
type hollow struct {
	device.Pageable
	calls, failAt int
	err           error
	launch        device.Launch // the one that failed
	held          map[device.Pointer][]byte
	next          device.Pointer
}

var errLost = errors.New("the device is lost")

// call counts a call.
func (d *hollow) call(err error) error {
	if d.calls++; d.calls == d.failAt {
		d.err = err
	}
	if d.err != nil && !errors.Is(d.err, device.ErrMemory) || d.calls == d.failAt {
		return d.err
	}
	return nil
}

func (d *hollow) Alloc(bytes int64) (device.Pointer, error) {
	if err := d.call(fmt.Errorf("%w: %d bytes", device.ErrMemory, bytes)); err != nil {
		return 0, err
	}
	if d.held == nil {
		d.held, d.next = map[device.Pointer][]byte{}, 1<<20
	}
	at := d.next
	d.next += device.Pointer(bytes+511) / 256 * 256
	d.held[at] = make([]byte, bytes)
	return at, nil
}

func (d *hollow) Free(p device.Pointer) error {
	delete(d.held, p)
	if errors.Is(d.err, device.ErrMemory) {
		return nil
	}
	return d.err
}

func (d *hollow) Clear(p device.Pointer, _ int64) error {
	clear(d.held[p])
	if errors.Is(d.err, device.ErrMemory) {
		return nil
	}
	return d.err
}

func (d *hollow) Upload(device.Pointer, []byte) error { return d.call(errLost) }

func (d *hollow) Download([]byte, device.Pointer) error { return d.call(errLost) }

func (d *hollow) Launch(l device.Launch) error {
	err := d.call(l.Fails(errLost))
	if d.calls == d.failAt {
		d.launch = l
	}
	return err
}

func (d *hollow) Sync() error { return d.call(errLost) }

func (d *hollow) Info() (device.Info, error) {
	return device.Info{Free: 1 << 40, Total: 1 << 40}, d.call(errLost)
}

func (d *hollow) Counters() device.Counters { return device.Counters{} }

func (d *hollow) Close() error { return nil }
