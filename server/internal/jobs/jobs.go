// Package jobs keeps the proofs that a server has promised, on NATS JetStream, until a worker has made them and for as long as they are kept.
//
// Three things are stored. A stream with the policy of a work queue holds the jobs that are not finished, a message each: what is to be proved.
// A key-value bucket holds a record per proof: its state. An object store holds statements and proofs. Weights are in none of them.
//
// A record changes by compare-and-swap alone, and whoever takes a job writes the number of his attempt into it. So it does not matter that
// JetStream delivers a message again where it has not heard of a worker in time: of two workers that prove the same job one has the last
// attempt, the other's next write fails, and what it has made is dropped. A record that is done names one object, and never changes again, unless what lies there does not prove
// what was promised: then the proof has failed.
package jobs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/zkllmc/zkllmc/server/internal/hosted"
)

// State says how far a proof is.
type State string

// The states. The last three are final.
const (
	Queued    State = "queued"
	Proving   State = "proving"
	Done      State = "done"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Final says whether nothing comes after a state.
func (s State) Final() bool { return s == Done || s == Failed || s == Cancelled }

// Record is what is known of a proof. Of a prompt or an answer there is a digest in it alone, of what the statement tells everybody who gets it.
type Record struct {
	ID       string    `json:"id"`
	Model    string    `json:"model"`    // the name that it was asked by
	ModelID  string    `json:"model_id"` // 64 hexadecimal digits
	Owner    string    `json:"owner"`    // who may see it
	Created  time.Time `json:"created"`
	Changed  time.Time `json:"changed"`
	Promised string    `json:"promised"` // digest of what the statement has to say: hosted.Model.Verify
	State    State     `json:"state"`
	Attempt  int       `json:"attempt"` // how often a worker has taken the job
	Lost     int       `json:"lost"`    // how many of them were not heard of again
	Phase    string    `json:"phase,omitempty"`
	Share    float64   `json:"share,omitempty"` // of the proof that is done, from 0 to 1
	Left     float64   `json:"left,omitempty"`  // seconds that the rest takes; 0: not known
	Reason   string    `json:"reason,omitempty"`
	Result   *Result   `json:"result,omitempty"`

	revision uint64
}

// Result says what a proof is, and where.
type Result struct {
	Object         string  `json:"object"`
	Circuit        string  `json:"circuit"`
	StatementBytes int     `json:"statement_bytes"`
	ProofBytes     int     `json:"proof_bytes"`
	Seconds        float64 `json:"seconds"`
}

// Errors of the store.
var (
	ErrFull    = errors.New("too many proofs are waiting")
	ErrUnknown = errors.New("there is no such proof")
	ErrLarge   = errors.New("the job is too large for the queue")
	ErrChanged = errors.New("what is kept is not what was stored")
)

// Options say how jobs are kept.
type Options struct {
	Prefix   string        // of all names; zkllmc
	Limit    int           // unfinished jobs, of all models; 256
	Keep     time.Duration // how long a record and its proof are kept after the last change; 30 days
	Patience time.Duration // how long a worker may not be heard of before another takes its job; 30 s
	Replicas int           // of everything that is stored, in a cluster; 1
	Log      *slog.Logger  // is told where other servers have said otherwise; nil: nobody is
}

func (o *Options) defaults() {
	if o.Prefix == "" {
		o.Prefix = "zkllmc"
	}
	if o.Limit <= 0 {
		o.Limit = 256
	}
	if o.Keep <= 0 {
		o.Keep = 30 * 24 * time.Hour
	}
	if o.Patience <= 0 {
		o.Patience = 30 * time.Second
	}
	if o.Replicas <= 0 {
		o.Replicas = 1
	}
}

// Store keeps jobs. It is safe for concurrent use, also by several processes.
type Store struct {
	o       Options
	nc      *nats.Conn
	js      jetstream.JetStream
	queue   jetstream.Stream
	records jetstream.KeyValue
	results jetstream.ObjectStore
}

// Open makes what is not there yet, as the options say, and returns the store.
func Open(ctx context.Context, nc *nats.Conn, o Options) (*Store, error) {
	o.defaults()
	s, err := newStore(nc, o)
	if err != nil {
		return nil, err
	}
	s.compare(ctx)
	s.queue, err = s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: o.Prefix + queueName, Subjects: []string{o.Prefix + ".jobs.>"}, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
		MaxMsgs: int64(o.Limit), Storage: jetstream.FileStorage, Replicas: o.Replicas, Duplicates: 2 * time.Minute,
		Description: "proofs that are to be made",
	})
	if err == nil {
		s.records, err = s.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: o.Prefix + recordsName, TTL: o.Keep, Storage: jetstream.FileStorage, Replicas: o.Replicas, Description: "how far proofs are",
		})
	}
	if err == nil {
		s.results, err = s.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
			Bucket: o.Prefix + resultsName, TTL: o.Keep, Storage: jetstream.FileStorage, Replicas: o.Replicas, Description: "statements and proofs",
		})
	}
	if err != nil {
		return nil, fmt.Errorf("queue of proofs: %w", err)
	}
	return s, nil
}

// compare warns where what is there has limits that another server has said, and this one is going to change for both.
func (s *Store) compare(ctx context.Context) {
	if s.o.Log == nil {
		return
	}
	warn := func(name, limit string, was, is any) {
		s.o.Log.Warn("a limit of the queue changes, for all servers that share it", "name", name, "limit", limit, "was", was, "is", is)
	}
	for _, name := range []string{s.o.Prefix + queueName, "KV_" + s.o.Prefix + recordsName, "OBJ_" + s.o.Prefix + resultsName} {
		stream, err := s.js.Stream(ctx, name)
		if err != nil {
			continue // there is none; another error is met again
		}
		was := stream.CachedInfo().Config
		if was.Replicas != s.o.Replicas {
			warn(name, "replicas", was.Replicas, s.o.Replicas)
		}
		switch {
		case name != s.o.Prefix+queueName:
			if was.MaxAge != s.o.Keep {
				warn(name, "keep", was.MaxAge.String(), s.o.Keep.String())
			}
		case was.MaxMsgs != int64(s.o.Limit):
			warn(name, "queue", was.MaxMsgs, s.o.Limit)
		}
	}
}

// Attach returns the store that a server has made under a prefix. ErrMissing says that none has yet.
func Attach(ctx context.Context, nc *nats.Conn, prefix string) (*Store, error) {
	o := Options{Prefix: prefix}
	o.defaults()
	s, err := newStore(nc, o)
	if err != nil {
		return nil, err
	}
	if s.queue, err = s.js.Stream(ctx, o.Prefix+queueName); err == nil {
		if s.records, err = s.js.KeyValue(ctx, o.Prefix+recordsName); err == nil {
			s.results, err = s.js.ObjectStore(ctx, o.Prefix+resultsName)
		}
	}
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrBucketNotFound):
		return nil, ErrMissing
	case err != nil:
		return nil, fmt.Errorf("queue of proofs: %w", err)
	}
	return s, nil
}

// ErrMissing says that no server has made what a worker takes jobs from.
var ErrMissing = errors.New("no server has made a queue of proofs for this model")

// What the names of stream and buckets end with.
const (
	queueName   = "-jobs"
	recordsName = "-proofs"
	resultsName = "-results"
)

func newStore(nc *nats.Conn, o Options) (*Store, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	return &Store{o: o, nc: nc, js: js}, nil
}

// NewID draws the name of a proof, which nobody guesses.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return "proof-" + hex.EncodeToString(b[:])
}

var ids = regexp.MustCompile(`^proof-[0-9a-f]{32}$`)

// IsID says whether a text is the name of a proof, of this one or another.
func IsID(text string) bool { return ids.MatchString(text) }

func (s *Store) subject(modelID, id string) string { return s.o.Prefix + ".jobs." + modelID + "." + id }

// Submit promises a proof: where it returns nil the job is on the disk.
func (s *Store) Submit(ctx context.Context, r *Record, job *hosted.Job) error {
	message, err := json.Marshal(job)
	if err != nil {
		return err
	}
	if int64(len(message)) > s.nc.MaxPayload()-1<<12 { // the rest is for headers
		return fmt.Errorf("%w: %d bytes", ErrLarge, len(message))
	}
	r.Created = time.Now().UTC()
	r.Changed, r.State = r.Created, Queued
	record, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if r.revision, err = s.records.Create(ctx, r.ID, record); err != nil {
		return err
	}
	_, err = s.js.Publish(ctx, s.subject(r.ModelID, r.ID), message, jetstream.WithMsgID(r.ID), jetstream.WithExpectStream(s.o.Prefix+queueName))
	if err == nil {
		return nil
	}
	// Nobody has been promised anything. Where it is the answer that was lost the job is dropped by whoever takes it.
	_ = s.records.Purge(context.WithoutCancel(ctx), r.ID)
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == errCodeFull {
		return ErrFull
	}
	return err
}

// errCodeFull is the code of the server's error where a stream has all messages it may have.
const errCodeFull = 10077

// Waiting is how many jobs are not finished.
func (s *Store) Waiting(ctx context.Context) (int, error) {
	info, err := s.queue.Info(ctx)
	if err != nil {
		return 0, err
	}
	return int(info.State.Msgs), nil
}

// Get returns the record of a proof.
func (s *Store) Get(ctx context.Context, id string) (*Record, error) {
	if !IsID(id) {
		return nil, ErrUnknown
	}
	e, err := s.records.Get(ctx, id)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, err
	}
	return decode(e)
}

func decode(e jetstream.KeyValueEntry) (*Record, error) {
	r := &Record{revision: e.Revision()}
	return r, json.Unmarshal(e.Value(), r)
}

// update writes a record as it was read and changed since; errMoved where somebody else has changed it.
func (s *Store) update(ctx context.Context, r *Record) error {
	r.Changed = time.Now().UTC()
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	revision, err := s.records.Update(ctx, r.ID, data, r.revision)
	var api *jetstream.APIError
	switch {
	case err == nil:
		r.revision = revision
		return nil
	case errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		return errMoved
	}
	return err
}

var errMoved = errors.New("the record was changed by somebody else")

// Cancel ends an unfinished proof: whoever makes it stops at his next write. Of one that is finished it removes what is kept.
func (s *Store) Cancel(ctx context.Context, id string) (*Record, error) {
	for {
		r, err := s.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		if r.State.Final() {
			return r, s.remove(ctx, r)
		}
		r.State, r.Phase, r.Share, r.Left = Cancelled, "", 0, 0
		switch err := s.update(ctx, r); {
		case errors.Is(err, errMoved):
			continue
		case err != nil:
			return nil, err
		}
		return r, s.queue.Purge(ctx, jetstream.WithPurgeSubject(s.subject(r.ModelID, r.ID)))
	}
}

func (s *Store) remove(ctx context.Context, r *Record) error {
	if r.Result != nil {
		if err := s.results.Delete(ctx, r.Result.Object); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
			return err
		}
	}
	return s.records.Purge(ctx, r.ID)
}

// Result returns statement and proof of a record that is done.
func (s *Store) Result(ctx context.Context, r *Record) (statement, proof []byte, err error) {
	if r.State != Done || r.Result == nil {
		return nil, nil, ErrUnknown
	}
	data, err := s.results.GetBytes(ctx, r.Result.Object) // its digest is compared
	switch {
	case errors.Is(err, jetstream.ErrObjectNotFound):
		return nil, nil, ErrUnknown
	case errors.Is(err, jetstream.ErrDigestMismatch):
		return nil, nil, fmt.Errorf("%w: %w", ErrChanged, err)
	case err != nil:
		return nil, nil, err
	case r.Result.StatementBytes < 0 || r.Result.ProofBytes < 0 || len(data) != r.Result.StatementBytes+r.Result.ProofBytes:
		return nil, nil, fmt.Errorf("%w: the result of %s has %d bytes", ErrChanged, r.ID, len(data))
	}
	return data[:r.Result.StatementBytes], data[r.Result.StatementBytes:], nil
}

// Refute notes that what a record that is done names is no proof of what was promised.
func (s *Store) Refute(ctx context.Context, r *Record, reason string) error {
	r.State, r.Reason = Failed, reason
	return s.update(ctx, r)
}

// Watch calls f with each record that changes from now on, until the context ends.
func (s *Store) Watch(ctx context.Context, f func(*Record)) error {
	w, err := s.records.WatchAll(ctx, jetstream.UpdatesOnly(), jetstream.IgnoreDeletes())
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-w.Updates():
			if !ok {
				return nil
			}
			if e == nil {
				continue
			}
			if r, err := decode(e); err == nil {
				f(r)
			}
		}
	}
}

// Ready says whether the queue answers.
func (s *Store) Ready(ctx context.Context) error {
	_, err := s.Waiting(ctx)
	return err
}
