package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/checker"
	"github.com/zkllmc/zkllmc/internal/sealed"
	"github.com/zkllmc/zkllmc/internal/test/provided"
	"github.com/zkllmc/zkllmc/server/internal/hosted"
)

// bench is a store with one model.
type bench struct {
	t        *testing.T
	s        *Store
	m        *hosted.Model
	customer *checker.Model
}

func newBench(t *testing.T, o Options) *bench {
	dir, customer := provided.Alphabet(t)
	m, err := hosted.Open(t.Context(), hosted.Place{Dir: dir, Keys: dir + "/keys"}, &sealed.Opener{})
	require.NoError(t, err)
	e, err := Embed(t.TempDir(), "secret")
	require.NoError(t, err)
	t.Cleanup(e.Close)
	nc, err := Connect(e.URL(), "secret", "", "test")
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	s, err := Open(t.Context(), nc, o)
	require.NoError(t, err)
	require.ErrorIs(t, (&Worker{Store: s, Models: []*hosted.Model{m}}).Run(t.Context()), ErrMissing)
	require.NoError(t, s.Promise(t.Context(), []*hosted.Model{m}))
	var log strings.Builder
	o.Log, o.Limit = slog.New(slog.NewTextHandler(&log, nil)), s.o.Limit+1
	_, err = Open(t.Context(), nc, o)
	require.NoError(t, err)
	require.Contains(t, log.String(), fmt.Sprintf("limit=queue was=%d is=%d", s.o.Limit, s.o.Limit+1))
	require.NotContains(t, log.String(), "keep")
	o.Limit = s.o.Limit
	_, err = Open(t.Context(), nc, o)
	require.NoError(t, err)
	_, err = Attach(t.Context(), nc, "other")
	require.ErrorIs(t, err, ErrMissing)
	return &bench{t, s, m, customer}
}

func (b *bench) submit(answer ...int64) *Record {
	r := &Record{ID: NewID(), Model: b.m.Name, ModelID: b.m.ID, Owner: "ann"}
	require.NoError(b.t, b.s.Submit(b.t.Context(), r, &hosted.Job{Prompt: []int64{0}, Answer: answer}))
	return r
}

func (b *bench) worker() *Worker {
	w := &Worker{Store: b.s, Models: []*hosted.Model{b.m}, Log: slog.New(slog.DiscardHandler)}
	require.NoError(b.t, w.attach(b.t.Context()))
	return w
}

func (w *Worker) next(t *testing.T) jetstream.Msg {
	msg, err := w.consumers[w.Models[0]].Next(jetstream.FetchMaxWait(10 * time.Second))
	require.NoError(t, err)
	return msg
}

func (b *bench) get(id string) *Record {
	r, err := b.s.Get(b.t.Context(), id)
	require.NoError(b.t, err)
	return r
}

// objects are the names of all that is stored.
func (b *bench) objects() (out []string) {
	list, err := b.s.results.List(b.t.Context())
	if err != nil {
		require.ErrorIs(b.t, err, jetstream.ErrNoObjectsFound)
	}
	for _, o := range list {
		out = append(out, o.Name)
	}
	return out
}

// The job of a worker that is not heard of goes to another. Where the first comes back with a proof of its own after all, whenever that is, its
// proof is dropped: a record names one proof, which stays.
func TestTwoWorkersOneProof(t *testing.T) {
	b := newBench(t, Options{Patience: 300 * time.Millisecond})
	r := b.submit(1, 2, 3, 4)
	lost := b.worker()
	first := lost.next(t) // and is silent
	stale, err := lost.begin(t.Context(), r.ID)
	require.NoError(t, err)
	proof, err := b.m.Prove(t.Context(), &hosted.Job{Prompt: []int64{0}, Answer: []int64{1, 2, 3, 4}}, 0, &hosted.Watch{})
	require.NoError(t, err)
	early := *stale // one that came back while the other proves
	early.Result, err = lost.store(t.Context(), &early, proof)
	require.NoError(t, err)

	other := b.worker()
	other.take(t.Context(), b.m, other.next(t))
	done := b.get(r.ID)
	require.Equal(t, Done, done.State, done.Reason)
	require.Equal(t, 2, done.Attempt)
	require.Equal(t, 1, done.Lost)
	require.Equal(t, []string{r.ID + ".2"}, b.objects(), "what the first had stored and not told is removed")
	statement, made, err := b.s.Result(t.Context(), done)
	require.NoError(t, err)

	stale.Result, err = lost.store(t.Context(), stale, proof)
	require.NoError(t, err)
	stale.State = Done
	lost.finish(t.Context(), stale, first, lost.Log)
	require.Equal(t, done, b.get(r.ID))
	require.Equal(t, []string{r.ID + ".2"}, b.objects())
	again, same, err := b.s.Result(t.Context(), done)
	require.NoError(t, err)
	require.Equal(t, statement, again)
	require.Equal(t, made, same)
	report, err := b.customer.Verify(t.Context(), statement, made, checker.Question{})
	require.NoError(t, err)
	require.True(t, report.Accepted, report.Error)
	waiting, err := b.s.Waiting(t.Context())
	require.NoError(t, err)
	require.Zero(t, waiting)
}

// A message that comes once more for a proof that is done, or for none, changes nothing.
func TestFinishedJobsAreDropped(t *testing.T) {
	b := newBench(t, Options{Patience: 300 * time.Millisecond})
	w := b.worker()
	r := b.submit(1)
	w.take(t.Context(), b.m, w.next(t))
	done := b.get(r.ID)
	require.Equal(t, Done, done.State)
	for _, id := range []string{r.ID, NewID()} {
		_, err := b.s.js.Publish(t.Context(), b.s.subject(b.m.ID, id), []byte("{}"))
		require.NoError(t, err)
		w.take(t.Context(), b.m, w.next(t))
	}
	require.Equal(t, done, b.get(r.ID))
	require.Len(t, b.objects(), 1)
	waiting, err := b.s.Waiting(t.Context())
	require.NoError(t, err)
	require.Zero(t, waiting)
}

// What is not true is not proved, and what brings worker after worker down is given up; both say why.
func TestFailures(t *testing.T) {
	b := newBench(t, Options{Patience: 300 * time.Millisecond})
	w := b.worker()
	r := b.submit(2)
	w.take(t.Context(), b.m, w.next(t))
	require.Equal(t, Failed, b.get(r.ID).State)
	require.Contains(t, b.get(r.ID).Reason, "does not give this answer")

	w.Memory = 1
	r = b.submit(1)
	w.take(t.Context(), b.m, w.next(t))
	require.Contains(t, b.get(r.ID).Reason, "more memory than the worker has")
	w.Memory = 0

	r = b.submit(1)
	for range mostLost {
		_, err := w.begin(t.Context(), r.ID)
		require.NoError(t, err)
	}
	_, err := w.begin(t.Context(), r.ID)
	require.ErrorIs(t, err, errDropped)
	require.Equal(t, Failed, b.get(r.ID).State)
	require.Contains(t, b.get(r.ID).Reason, "not heard of again")
}

// A worker that proves notices at its next word that nobody wants the proof any more, and that another worker has the job.
func TestProvingIsGivenUp(t *testing.T) {
	b := newBench(t, Options{Patience: 300 * time.Millisecond})
	w := b.worker()
	for _, test := range []struct {
		want error
		end  func(id string)
	}{
		{errDropped, func(id string) {
			_, err := b.s.Cancel(t.Context(), id)
			require.NoError(t, err)
		}},
		{errStale, func(id string) {
			_, err := w.begin(t.Context(), id)
			require.NoError(t, err)
		}},
	} {
		r := b.submit(1)
		msg := w.next(t)
		mine, err := w.begin(t.Context(), r.ID)
		require.NoError(t, err)
		test.end(r.ID)
		ctx, stop := context.WithCancelCause(t.Context())
		w.tell(ctx, mine, msg, &hosted.Watch{}, stop, nil)
		require.ErrorIs(t, context.Cause(ctx), test.want)
	}
}

// What was kept for as long as it was to be kept is gone.
func TestExpiry(t *testing.T) {
	b := newBench(t, Options{Keep: time.Second})
	w := b.worker()
	r := b.submit(1)
	w.take(t.Context(), b.m, w.next(t))
	require.Equal(t, Done, b.get(r.ID).State)
	require.Eventually(t, func() bool {
		_, err := b.s.Get(t.Context(), r.ID)
		return errors.Is(err, ErrUnknown) && len(b.objects()) == 0
	}, 30*time.Second, 100*time.Millisecond)
}

// Names of proofs are drawn, and nothing else is one.
func TestNames(t *testing.T) {
	require.True(t, IsID(NewID()))
	require.NotEqual(t, NewID(), NewID())
	for _, id := range []string{"", "proof-", "proof-*", NewID() + "x", NewID() + "\n", "proof-" + "G0000000000000000000000000000000"} {
		require.False(t, IsID(id), id)
		_, err := (&Store{}).Get(t.Context(), id)
		require.ErrorIs(t, err, ErrUnknown)
	}
}
