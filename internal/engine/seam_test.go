package engine_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/backend/reference"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/meter"
	"github.com/zkllmc/zkllmc/internal/test/conformance"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
)

// crossing is what crossed the seam to a backend and back: while tensors were handed over, and otherwise.
type crossing struct{ loaded, in, out int64 }

func bytesOf(m *meter.Meter) (c crossing) {
	for _, o := range m.Operations() {
		if o.Name == meter.Load {
			c.loaded += o.In
		} else {
			c.in, c.out = c.in+o.In, c.out+o.Out
		}
	}
	return c
}

// layered is a function of n vectors with its key and a true statement: two layers, of which the second multiplies squares of what the
// first gives.
func layered(t *testing.T, n int) (*engine.Key, *function.Statement) {
	b := circuit.NewBuilder(circuit.Config{Name: "layered", WeightBits: 5, WitnessBits: 5})
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.Integers, Shape: []int{n, 8}, Lo: -8, Hi: 7, Reveal: circuit.Values})
	times := fmt.Sprintf("ti,ji->tj t=%d i=8 j=8", n)
	y := b.Virtual("y", []int{n, 8}, b.Times(1, times, x, b.Weight("w", 4, 8, 8)))
	h := gadget.Rescale(b, "h", y, 4, -32, 31)
	square := b.Virtual("square", []int{n, 8}, b.Times(1, fmt.Sprintf("ti,ti->ti t=%d i=8", n), h, h))
	z := b.Virtual("z", []int{n, 8}, b.Times(1, times, square, b.Weight("v", 4, 8, 8)))
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, gadget.Rescale(b, "out", z, 8, -64, 63))
	c, err := b.Finish()
	require.NoError(t, err)
	k, _, err := engine.Setup(t.Context(), circuit.Single(c), kit.Weights(c, 1, 2), engine.Options{Backend: cpu.New()})
	require.NoError(t, err)
	st := &function.Statement{Ports: [][]int64{make([]int64, 8*n), make([]int64, 8*n)}}
	for i := range st.Ports[0] {
		st.Ports[0][i] = int64(i*i%15) - 7
	}
	_, err = k.Compute(t.Context(), st, nil)
	require.NoError(t, err)
	return k, st
}

// From the statement to the proof nothing large crosses the seam: a witness of 32 times as many cells, in rows of the same width, has as many
// bytes go to the backend as its public tensors, its points, challenges and the coefficients of its rows have, and its commitments and messages
// come back. Its cells do not.
func TestWhatCrossesTheSeam(t *testing.T) {
	prove := func(n int) (atCommit, all crossing, proof []byte, rows int64) {
		k, st := layered(t, n)
		m := meter.New()
		o := engine.Options{Backend: m.Backend(cpu.New()), Phase: func(name string) {
			if name == "commit witness" {
				atCommit = bytesOf(m)
			}
		}}
		proof, err := k.Prove(t.Context(), &engine.Input{Statement: st}, o)
		require.NoError(t, err)
		require.NoError(t, k.Check(t.Context(), &engine.Input{Statement: st}, proof))
		all = bytesOf(m)
		require.Greater(t, m.Operation(meter.Hints).Items, int64(4*8*n), "the control: hints are asked of the backend")
		return atCommit, all, proof, m.Operation(meter.Commit).Out / 64
	}
	const sizes = 2
	var before, after [sizes]crossing
	var rows [sizes]int64
	for i, n := range []int{16, 512} {
		var proof []byte
		before[i], after[i], proof, rows[i] = prove(n)
		require.Equal(t, before[i].loaded, after[i].loaded, "tensors are handed over before the first commitment")
		require.Less(t, after[i].out, int64(2*len(proof)), "points have 64 bytes here and 32 in a proof")
	}
	few, many := after[0], after[1]
	require.Equal(t, int64(2*8*8*(512-16)), many.loaded-few.loaded, "what the statement says of both ports")
	require.Equal(t, before[0].out, before[1].out)
	require.Equal(t, before[0].in, before[1].in)
	require.Less(t, before[1].in+before[1].out, int64(500), "whether lookups and zero-checks hold")
	require.Greater(t, rows[1], 10*rows[0], "the control")
	more := many.in - few.in
	require.Less(t, more-2*32*(rows[1]-rows[0]), few.in, "but for the rows' coefficients a few more rounds have a few more points")
	require.Less(t, many.out-64*rows[1], 2*(few.out-64*rows[0]))
}

// unversed is a backend that knows no hints.
type unversed struct{ backend.Backend }

func (u unversed) Open() (backend.Session, error) {
	s, err := u.Backend.Open()
	return unversedSession{s}, err
}

type unversedSession struct{ backend.Session }

func (s unversedSession) Program() backend.Program { return unversedProgram{s.Session.Program()} }

type unversedProgram struct{ backend.Program }

func (unversedProgram) Hint(*backend.Hint) (known, defined bool) { return false, false }

// What a backend does not know of hints is computed here, from cells that it gives away and takes back: the proof is the same.
func TestUnknownHintsAreComputedHere(t *testing.T) {
	k, st := layered(t, 4)
	prove := func(be backend.Backend) ([]byte, meter.Operation) {
		m := meter.New()
		o := engine.Dishonest(engine.Options{Backend: m.Backend(be)}, engine.Hooks{Seed: []byte("one")})
		proof, err := k.Prove(t.Context(), &engine.Input{Statement: st}, o)
		require.NoError(t, err)
		return proof, m.Operation(meter.Cells)
	}
	want, none := prove(cpu.New())
	got, cells := prove(unversed{conformance.Elsewhere(cpu.New())})
	require.Equal(t, want, got)
	require.Zero(t, none.In+none.Out)
	require.GreaterOrEqual(t, cells.In, int64(2*8*8*4), "rounded values")
	require.GreaterOrEqual(t, cells.Out, int64(2*8*8*4), "and what is rounded")
}

// broken is a backend that computes nothing of a witness and fails.
type broken struct{ backend.Backend }

func (b broken) Open() (backend.Session, error) {
	s, err := b.Backend.Open()
	return brokenSession{s}, err
}

type brokenSession struct{ backend.Session }

func (s brokenSession) Program() backend.Program { return brokenProgram{s.Session.Program()} }

type brokenProgram struct{ backend.Program }

func (brokenProgram) Err() error { return errLost }

func (brokenProgram) Einsum(backend.Part, []backend.Term) {}

// A backend that fails while it computes a witness makes no statement false.
func TestBackendFailsInTheWitness(t *testing.T) {
	k, st := layered(t, 4)
	_, err := k.Prove(t.Context(), &engine.Input{Statement: st}, engine.Options{Backend: broken{cpu.New()}})
	require.ErrorIs(t, err, errLost)
	require.NotErrorIs(t, err, engine.ErrFalse)
}

// Keys and proofs are the same bytes, whatever computes them and wherever it holds what it is given: two proofs of a session each. What is
// asked of a backend with a memory of its own is asked by handles that are its own, and are there.
func TestBackendsHoldWhatTheyAreGiven(t *testing.T) {
	k, st := layered(t, 4)
	c := k.Family().Shortest()
	var want [3][]byte
	for i, be := range []backend.Backend{cpu.New(), cpu.New(cpu.Threads(1)), conformance.Elsewhere(cpu.New()), reference.New()} {
		o := engine.Dishonest(engine.Options{Backend: be}, engine.Hooks{Seed: []byte("one")})
		own, vk, err := engine.Setup(t.Context(), circuit.Single(c), kit.Weights(c, 1, 2), o)
		require.NoError(t, err)
		got := [3][]byte{vk}
		for j := range 2 {
			got[1+j], err = own.Prove(t.Context(), &engine.Input{Statement: st}, o)
			require.NoError(t, err)
		}
		if i == 0 {
			want = got
		}
		require.Equal(t, want, got)
		require.Equal(t, got[1], got[2])
	}
}

// opened counts the sessions of a backend.
type opened struct {
	backend.Backend
	n, closed atomic.Int64
	fail      bool
}

func (b *opened) Open() (backend.Session, error) {
	b.n.Add(1)
	s, err := b.Backend.Open()
	return openedSession{s, b}, err
}

type openedSession struct {
	backend.Session
	b *opened
}

func (s openedSession) Close() error {
	s.b.closed.Add(1)
	return s.Session.Close()
}

func (s openedSession) Begin(ctx context.Context) backend.Run {
	r := s.Session.Begin(ctx)
	if s.b.fail {
		return lost{r}
	}
	return r
}

var errLost = errors.New("the device is lost")

// lost is a run on a device that does not answer.
type lost struct{ backend.Run }

func (lost) Err() error { return errLost }

// A key's weights are handed over once for all its proofs, also side by side, as long as the backend stays the same and does not fail. A
// session ends when another backend proves, with a failure, and when nobody has the key any more.
func TestSessionsAreKept(t *testing.T) {
	k, st := layered(t, 4)
	in := &engine.Input{Statement: st}
	prove := func(b *opened) error {
		_, err := k.Prove(t.Context(), in, engine.Options{Backend: b})
		return err
	}
	first, second := &opened{Backend: cpu.New()}, &opened{Backend: cpu.New()}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { assert.NoError(t, prove(first)) })
	}
	all.Wait()
	require.NoError(t, prove(first))
	require.Equal(t, []int64{1, 0}, []int64{first.n.Load(), first.closed.Load()})
	require.NoError(t, prove(second))
	require.Equal(t, []int64{1, 1}, []int64{first.n.Load(), first.closed.Load()})
	ended, end := context.WithCancel(t.Context())
	end()
	_, err := k.Prove(ended, in, engine.Options{Backend: second})
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, second.closed.Load(), "it is not the backend that failed")
	second.fail = true
	require.ErrorIs(t, prove(second), errLost)
	require.Equal(t, []int64{1, 1}, []int64{second.n.Load(), second.closed.Load()})
	second.fail = false
	require.NoError(t, prove(second))
	require.Equal(t, []int64{2, 1}, []int64{second.n.Load(), second.closed.Load()})

	once := kit.Wrapped{Backend: first, Run: func(r backend.Run) backend.Run { return r }} // two of these cannot be compared
	_, err = k.Prove(t.Context(), in, engine.Options{Backend: once})
	require.NoError(t, err)
	require.Equal(t, []int64{2, 2}, []int64{first.n.Load(), first.closed.Load()})
	require.Equal(t, int64(1), second.closed.Load())

	k = nil
	require.Eventually(t, func() bool {
		runtime.GC()
		return second.closed.Load() == 2
	}, 10*time.Second, time.Millisecond)
}
