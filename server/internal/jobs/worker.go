package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/server/internal/hosted"
)

// Worker makes the proofs of some models, one at a time.
type Worker struct {
	Store  *Store
	Models []*hosted.Model
	Memory uint64 // that a proof may take; 0: what the machine has
	Log    *slog.Logger

	consumers map[*hosted.Model]jetstream.Consumer
	patience  time.Duration // of theirs
}

// mostLost is how often a job may be taken by workers that are not heard of again: one that brings them down must not do so for ever.
const mostLost = 5

// poll is how long a worker waits for a job of one model before it looks at the next.
const poll = 500 * time.Millisecond

func durable(m *hosted.Model) string { return "model-" + m.ID }

// Promise makes the consumers that jobs of models are delivered to.
func (s *Store) Promise(ctx context.Context, models []*hosted.Model) error {
	for _, m := range models {
		_, err := s.queue.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: durable(m), FilterSubject: s.subject(m.ID, "*"), AckPolicy: jetstream.AckExplicitPolicy, AckWait: s.o.Patience,
			MaxDeliver: -1, MaxAckPending: -1,
		})
		if err != nil {
			return fmt.Errorf("queue of %s: %w", m.Name, err)
		}
	}
	return nil
}

// attach finds the consumers, and how long they wait for a word. ErrMissing says that a server has not promised proofs of a model yet.
func (w *Worker) attach(ctx context.Context) error {
	w.consumers = map[*hosted.Model]jetstream.Consumer{}
	for _, m := range w.Models {
		c, err := w.Store.queue.Consumer(ctx, durable(m))
		switch {
		case errors.Is(err, jetstream.ErrConsumerNotFound):
			return fmt.Errorf("%w: %s", ErrMissing, m.Name)
		case err != nil:
			return fmt.Errorf("queue of %s: %w", m.Name, err)
		}
		w.consumers[m], w.patience = c, c.CachedInfo().Config.AckWait
	}
	return nil
}

// Run takes jobs until the context ends. One that is begun then is handed back.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.attach(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		for _, m := range w.Models {
			msg, err := w.consumers[m].Next(jetstream.FetchMaxWait(poll/time.Duration(len(w.Models)) + 10*time.Millisecond))
			switch {
			case err == nil:
				w.take(ctx, m, msg)
			case !errors.Is(err, nats.ErrTimeout) && ctx.Err() == nil:
				w.Log.Warn("queue", "model", m.Name, "error", err)
				sleep(ctx, time.Second)
			}
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// take makes the proof of one message. Where the store does not answer the message is left to be delivered again.
func (w *Worker) take(ctx context.Context, m *hosted.Model, msg jetstream.Msg) {
	id := msg.Subject()[len(w.Store.subject(m.ID, "")):]
	if ctx.Err() != nil {
		_ = msg.Nak()
		return
	}
	r, err := w.begin(ctx, id)
	switch {
	case errors.Is(err, errDropped):
		_ = msg.DoubleAck(ctx)
		return
	case err != nil:
		w.Log.Warn("a job could not be begun", "proof", id, "error", err)
		_ = msg.NakWithDelay(time.Second)
		return
	}
	begun := time.Now()
	log := w.Log.With("proof", id, "model", m.Name, "attempt", r.Attempt)
	log.Info("proving")
	proof, err := w.prove(ctx, m, r, msg)
	switch {
	case errors.Is(err, errStale):
		log.Info("another worker has the job")
		return
	case errors.Is(err, errDropped):
		log.Info("cancelled")
		_ = msg.DoubleAck(context.WithoutCancel(ctx))
		return
	case ctx.Err() != nil:
		w.handBack(r, msg)
		log.Info("handed back")
		return
	case err != nil:
		r.State, r.Reason = Failed, reason(err)
		log.Warn("no proof is made", "error", detail(err))
	default:
		if r.Result, err = w.store(ctx, r, proof); err != nil {
			log.Warn("the proof could not be stored", "error", err)
			_ = msg.NakWithDelay(time.Second)
			return
		}
		r.Result.Seconds, r.State = time.Since(begun).Seconds(), Done
	}
	w.finish(ctx, r, msg, log)
}

var (
	errDropped = errors.New("nobody wants the proof any more")
	errStale   = errors.New("the job was taken by somebody else")
)

// begin notes in the record that the job is taken. errDropped says that there is nothing to do.
func (w *Worker) begin(ctx context.Context, id string) (*Record, error) {
	for {
		r, err := w.Store.Get(ctx, id)
		switch {
		case errors.Is(err, ErrUnknown) || err == nil && r.State.Final():
			return nil, errDropped
		case err != nil:
			return nil, err
		}
		if r.State == Proving { // whoever did so has not handed it back
			r.Lost++
		}
		r.Attempt++
		r.State, r.Phase, r.Share, r.Left = Proving, "", 0, 0
		if r.Lost >= mostLost {
			r.State = Failed
			r.Reason = fmt.Sprintf("%d workers that made the proof were not heard of again; most likely it takes more memory than they have", r.Lost)
		}
		switch err := w.Store.update(ctx, r); {
		case errors.Is(err, errMoved):
			continue
		case err != nil:
			return nil, err
		case r.State == Failed:
			return nil, errDropped
		}
		return r, nil
	}
}

// prove makes the proof, and says how far it is as long as it takes. It stops where the record says that somebody else has the job or
// nobody wants it.
func (w *Worker) prove(ctx context.Context, m *hosted.Model, r *Record, msg jetstream.Msg) (*hosted.Proof, error) {
	var job hosted.Job
	if err := json.Unmarshal(msg.Data(), &job); err != nil {
		return nil, fmt.Errorf("the job cannot be read: %w", err)
	}
	work, stop := context.WithCancelCause(ctx)
	var watch hosted.Watch
	told := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.tell(work, r, msg, &watch, stop, told)
	}()
	proof, err := attempt(func() (*hosted.Proof, error) { return m.Prove(work, &job, w.Memory, &watch) })
	close(told)
	<-ended
	if cause := context.Cause(work); err != nil && cause != nil {
		err = cause
	}
	stop(nil)
	return proof, err
}

// reason is what is told of an error to whoever asked for the proof. He might learn cells of the model's tensors from more.
func reason(err error) string {
	var refused *engine.Refusal
	var fault *hosted.Fault
	if errors.As(err, &refused) || errors.As(err, &fault) || errors.Is(err, hosted.ErrMemory) || errors.Is(err, hosted.ErrOther) {
		return err.Error()
	}
	return "internal error; the log of the worker says more"
}

// detail is what the provider may know.
func detail(err error) error {
	var refused *engine.Refusal
	if errors.As(err, &refused) && refused.Detail() != nil {
		return refused.Detail()
	}
	return err
}

// attempt turns a panic into an error: the job fails, the worker goes on.
func attempt(f func() (*hosted.Proof, error)) (p *hosted.Proof, err error) {
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("internal error: %v\n%s", r, debug.Stack())
		}
	}()
	return f()
}

// tell writes how far a proof is into its record, and keeps the message.
func (w *Worker) tell(ctx context.Context, r *Record, msg jetstream.Msg, watch *hosted.Watch, stop context.CancelCauseFunc, told <-chan struct{}) {
	t := time.NewTicker(min(time.Second, w.patience/4))
	defer t.Stop()
	for {
		select {
		case <-told:
			return
		case <-ctx.Done():
			return
		case <-t.C:
		}
		_ = msg.InProgress()
		phase, share, left, known := watch.Now()
		r.Phase, r.Share, r.Left = phase, share, 0
		if known {
			r.Left = left.Seconds()
		}
		if err := w.Store.update(ctx, r); errors.Is(err, errMoved) {
			if err := w.moved(ctx, r); err != nil {
				stop(err)
				return
			}
		}
	}
}

// moved reads a record that somebody else has changed: errStale, errDropped, or nil where it is this worker's all the same.
func (w *Worker) moved(ctx context.Context, r *Record) error {
	now, err := w.Store.Get(ctx, r.ID)
	switch {
	case errors.Is(err, ErrUnknown) || err == nil && now.State.Final():
		return errDropped
	case err != nil:
		return nil // it is asked again
	case now.Attempt != r.Attempt:
		return errStale
	}
	r.revision = now.revision
	return nil
}

// object is the name of what an attempt makes.
func object(r *Record, attempt int) string { return fmt.Sprintf("%s.%d", r.ID, attempt) }

// store stores a proof, and removes what earlier attempts have stored and not told.
func (w *Worker) store(ctx context.Context, r *Record, p *hosted.Proof) (*Result, error) {
	for a := 1; a < r.Attempt; a++ {
		if err := w.Store.results.Delete(ctx, object(r, a)); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
			return nil, err
		}
	}
	name := object(r, r.Attempt)
	content := bytes.NewReader(append(append([]byte(nil), p.Statement...), p.Proof...))
	if _, err := w.Store.results.Put(ctx, jetstream.ObjectMeta{Name: name}, content); err != nil {
		return nil, err
	}
	return &Result{Object: name, Circuit: p.Circuit, StatementBytes: len(p.Statement), ProofBytes: len(p.Proof)}, nil
}

// finish writes the last state, unless somebody else has the job or nobody wants it; what was stored for it then is removed.
func (w *Worker) finish(ctx context.Context, r *Record, msg jetstream.Msg, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	r.Phase, r.Share, r.Left = "", 0, 0
	err := w.Store.update(ctx, r)
	for errors.Is(err, errMoved) {
		if err = w.moved(ctx, r); err == nil {
			err = w.Store.update(ctx, r)
		}
	}
	switch {
	case err == nil:
		log.Info(string(r.State), "reason", r.Reason)
		_ = msg.DoubleAck(ctx)
		return
	case errors.Is(err, errDropped):
		_ = msg.DoubleAck(ctx)
	default:
		log.Warn("the job is left to another attempt", "error", err)
	}
	if r.Result != nil && (errors.Is(err, errDropped) || errors.Is(err, errStale)) {
		_ = w.Store.results.Delete(ctx, r.Result.Object)
	}
}

// handBack gives a job to the next worker.
func (w *Worker) handBack(r *Record, msg jetstream.Msg) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r.State, r.Phase, r.Share, r.Left = Queued, "", 0, 0
	if err := w.Store.update(ctx, r); err == nil {
		_ = msg.Nak()
	}
}
