package hosted

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/zkllmc/zkllmc/internal/answering"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/cost"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/internal/forecast"
	"github.com/zkllmc/zkllmc/internal/machine"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/runtime/statement"
)

// Job is what is to be proved: that the model gives this answer to this prompt, or what it gives for these inputs.
type Job struct {
	Prompt []int64         `json:"prompt,omitempty"`
	Answer []int64         `json:"answer,omitempty"`
	Inputs map[int][]int64 `json:"inputs,omitempty"` // elements by the numbers of ports
}

// Proof is what comes of a job.
type Proof struct {
	Statement, Proof []byte
	Circuit          string // the digest
}

// ErrMemory says that a proof is predicted to take more memory than there is.
var ErrMemory = errors.New("the proof would take more memory than the worker has")

// ErrOther says that the model does not give the answer of a job: it is another model's.
var ErrOther = errors.New("the model does not give this answer")

// Watch says how far a proof is, while it is made. The zero value is ready; it is safe for concurrent use.
type Watch struct {
	mu       sync.Mutex
	expected *forecast.Forecast
	phase    string
	since    time.Time
}

// begin says what is to be expected.
func (w *Watch) begin(c *circuit.Circuit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expected = forecast.Of(c)
}

// next ends the running phase and begins another.
func (w *Watch) next(phase string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.phase != "" {
		w.expected.Finish(w.phase, now.Sub(w.since))
	}
	w.phase, w.since = phase, now
}

// Now is the running phase, how much of the proof is done, from 0 to 1, and how long the rest takes, if that is known.
func (w *Watch) Now() (phase string, share float64, left time.Duration, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	share, left, known = w.expected.Left(w.phase, time.Since(w.since))
	return w.phase, share, left, known
}

// Prove makes a proof, and verifies it: one that does not verify is kept back. budget is the memory that it may take; 0: what there is.
func (m *Model) Prove(ctx context.Context, job *Job, budget uint64, w *Watch) (*Proof, error) {
	prove := m.proveAnswer
	if !m.Continues() {
		prove = m.proveOutputs
	}
	c, st, proof, err := prove(ctx, job, budget, w)
	if err != nil {
		return nil, err
	}
	w.next("self-check")
	if err := m.vk.VerifyStatementContext(ctx, c, st, proof); err != nil {
		return nil, fmt.Errorf("the proof does not verify and is kept back: %w", err)
	}
	encoded, err := statement.Encode(c, st)
	if err != nil {
		return nil, err
	}
	return &Proof{encoded, proof, fmt.Sprintf("%x", c.Digest())}, nil
}

func (m *Model) proveAnswer(ctx context.Context, job *Job, budget uint64, w *Watch) (*circuit.Circuit, statement.Statement, []byte, error) {
	if err := errors.Join(m.Check(job.Prompt), m.known(job.Answer), m.room(job)); err != nil {
		return nil, nil, nil, err
	}
	d, err := m.key.Decode(len(job.Prompt)+len(job.Answer)-1, m.processor)
	if err != nil {
		return nil, nil, nil, err
	}
	defer d.Close()
	c := d.Circuit()
	ctx, err = afford(ctx, c, budget)
	if err != nil {
		return nil, nil, nil, err
	}
	w.begin(c)
	w.next("confirm answer")
	st, right, err := answering.Confirm(ctx, d, job.Prompt, job.Answer)
	if err != nil {
		return nil, nil, nil, err
	}
	if right < len(job.Answer) {
		return nil, nil, nil, ErrOther
	}
	if err := answering.Reveal(ctx, d, st); err != nil {
		return nil, nil, nil, err
	}
	proof, err := d.Prove(ctx, st, m.options(w))
	return c, st.Hide(c), proof, err
}

// known refuses what cannot be an answer.
func (m *Model) known(answer []int64) error {
	if len(answer) == 0 {
		return errors.New("the job has no answer")
	}
	return m.Check(answer)
}

// room refuses a text that finds no place in the longest circuit, whose last position predicts one token more.
func (m *Model) room(job *Job) error {
	if n := len(job.Prompt) + len(job.Answer); n > m.Positions()+1 {
		return fmt.Errorf("prompt and answer have %d tokens, the model takes %d", n, m.Positions()+1)
	}
	return nil
}

func (m *Model) proveOutputs(ctx context.Context, job *Job, budget uint64, w *Watch) (*circuit.Circuit, statement.Statement, []byte, error) {
	c, st, private, err := m.asked(job.Inputs)
	if err != nil {
		return nil, nil, nil, err
	}
	if ctx, err = afford(ctx, c, budget); err != nil {
		return nil, nil, nil, err
	}
	w.begin(c)
	w.next("running")
	r, err := m.key.Run(ctx, st, private, m.processor)
	if err != nil {
		return nil, nil, nil, err
	}
	proof, err := r.Prove(ctx, m.options(w))
	return c, st, proof, err
}

// options tell how proofs are made: by the device, if there is one, and by the processor where that fails.
func (m *Model) options(w *Watch) engine.Options {
	o := engine.Options{Backend: m.processor, Phase: w.next}
	if m.device != nil {
		o.Backend, o.Fallback, o.Failed = m.device, m.processor, m.failed
	}
	return o
}

// Compute makes proofs on a device from now on, nil for the processor; failed is told where it does not compute. Answers stay with the processor.
func (m *Model) Compute(device backend.Backend, failed func(error)) {
	m.device, m.failed = device, failed
}

// afford refuses a proof that is predicted not to fit, and tells the backend what there is.
func afford(ctx context.Context, c *circuit.Circuit, budget uint64) (context.Context, error) {
	if budget == 0 {
		budget = machine.Available()
	}
	if budget == 0 { // nobody knows
		return ctx, nil
	}
	work := cost.Of(c)
	if fits, _ := work.Fits(budget); !fits {
		return ctx, fmt.Errorf("%w: %s of %s", ErrMemory, humanize.Bytes(uint64(portable.Clamp(work.FrugalBytes()))), humanize.Bytes(budget))
	}
	return backend.WithBudget(ctx, budget), nil
}
