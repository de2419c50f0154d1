// Package engine commits to models (Setup) and proves inferences (Key.Prove). It orchestrates: witness generation computes
// integers, a backend computes commitments and sumchecks, package protocol orders the messages.
package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/parallel"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/internal/witness"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// Phase is told when a phase of long work begins; the last call has the empty name.
type Phase func(name string)

// Progress is told how many of the equal parts of the running phase are done. Phases of one part say nothing.
type Progress func(done, of int)

// Options tell how to compute. The zero value is not usable: Backend must be set.
type Options struct {
	Backend  backend.Backend
	Fallback backend.Backend // what computes, from the beginning, where the backend's device fails; may be nil
	Failed   func(error)     // told that the device failed, and why; may be nil
	Phase    Phase
	Progress Progress
	Clamped  func([]Clamped) // told which cells the witness of a proof has clamped; may be nil
	lists    group.Lists     // of a rehearsal, as the next
	witness  []witness.Option
	hooks    Hooks
}

// Hooks replace what an honest prover does not choose. They exist for tests that play a prover who lies in one place, and give nothing
// that a malicious prover, who runs any code, does not have.
type Hooks struct {
	Seed       []byte                                         // instead of the operating system's bytes
	Transcript func(*transcript.Transcript) transcript.Source // what challenges come from
	Tamper     veil.Tamper
	Rows       func(layout *commit.Layout, rows []backend.Row) // changes what is committed to after the witness is laid out
	Blinders   func(witness []field.Element)                   // changes those of the witness
	tampered   func(ch *veil.Channel)
}

// Dishonest returns options of a prover with hooks. Nothing but tests calls it, so that no program links it or what it calls.
func Dishonest(o Options, h Hooks) Options {
	if h.Tamper != nil {
		h.tampered = func(ch *veil.Channel) { veil.Tampered(ch, h.Tamper) }
	}
	o.hooks = h
	return o
}

func (o *Options) phase(name string) {
	if o.Phase != nil {
		o.Phase(name)
	}
}

// withFallback computes with the backend of o and, where its device fails, once more from the beginning with the fallback, which o has for
// backend from then on.
func withFallback[T any](ctx context.Context, o *Options, compute func() (T, error)) (T, error) {
	made, err := compute()
	if o.Fallback == nil || !errors.Is(err, backend.ErrDevice) || ctx.Err() != nil {
		return made, err
	}
	if o.Failed != nil {
		o.Failed(err)
	}
	o.Backend, o.Fallback = o.Fallback, nil
	return compute()
}

func (o *Options) progress(done, of int) {
	if o.Progress != nil && of > 1 {
		o.Progress(done, of)
	}
}

// Key is what a prover keeps: the weights, the blinders of their commitments and a secret that enters all later randomness. It serves all
// circuits of a family: what is proved is proved with the shortest that its statement fits.
type Key struct {
	f       *circuit.Family
	members []member
	points  []group.Affine  // the commitments of the weights' rows
	blinds  []field.Element // their blinders
	secret  [32]byte
	id      [32]byte

	sessions *sessions
}

// member is a circuit of a family with the weights by its own numbers.
type member struct {
	c    *circuit.Circuit
	data loaded
}

// ModelID identifies the committed model.
func (k *Key) ModelID() [32]byte { return k.id }

// Family returns the circuits that the key is of.
func (k *Key) Family() *circuit.Family { return k.f }

// commit takes the weights of the shortest circuit and the blinders of their rows, which all circuits lay out alike.
func (k *Key) commit(weights loaded, blinds []field.Element) {
	k.blinds, k.sessions = blinds, &sessions{}
	runtime.AddCleanup(k, (*sessions).close, k.sessions)
	first := protocol.WeightIDs(k.f.Shortest())
	for _, c := range k.f.Members() {
		data := loaded{}
		for i, id := range protocol.WeightIDs(c) {
			if t, ok := weights[first[i]]; ok {
				data[id] = t
			}
		}
		k.members = append(k.members, member{c, data})
	}
}

// Kind is the kind of a circuit's statements.
func Kind(c *circuit.Circuit) statement.Kind {
	if c.Generation != nil {
		return generation.Kind
	}
	return function.Kind
}

// fitting returns the shortest circuit that an input fits. The error is that of the first for which something else is wrong with the input
// than its length, or that of the longest.
func (k *Key) fitting(in *Input) (m *member, err error) {
	for i := range k.members {
		m = &k.members[i]
		if err = in.fits(m.c); !errors.Is(err, statement.ErrCount) && !errors.Is(err, generation.ErrLength) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	return m, nil
}

// fits checks the statement but for what it says of outputs, and the number of elements of private inputs that are given.
func (in *Input) fits(c *circuit.Circuit) error {
	if err := in.Statement.CheckInput(c); err != nil {
		return err
	}
	for i := range c.Ports {
		p := &c.Ports[i]
		if v, ok := in.Private[i]; ok && !p.Out && !p.Public() && len(v) != circuit.Size(p.Shape) {
			return fmt.Errorf("private input %q: %w: %d, want %d", p.Name, statement.ErrCount, len(v), circuit.Size(p.Shape))
		}
	}
	return nil
}

// Input is what one inference is about: the public statement and the elements of private inputs.
type Input struct {
	Statement statement.Statement
	Private   witness.PrivateInput
}

// Prove proves a statement, with the shortest circuit that it fits, and returns the encoded proof. It refuses what no verifier would
// accept: a false statement with ErrFalse. It gives up with the context's error when that ends.
func (k *Key) Prove(ctx context.Context, in *Input, o Options) ([]byte, error) {
	m, err := k.fitting(in)
	if err != nil {
		return nil, err
	}
	if err := in.claims(m.c); err != nil {
		return nil, err
	}
	return k.prove(ctx, m, in, o, nil)
}

// claims checks the statement, and that it says something.
func (in *Input) claims(c *circuit.Circuit) error {
	err := in.Statement.Check(c)
	if err == nil {
		err = in.Statement.CheckClaim(c)
	}
	if err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	return nil
}

// prove proves a statement about a circuit, with what has begun or, where nothing has, with an assignment that is computed where the proof is.
func (k *Key) prove(ctx context.Context, m *member, in *Input, o Options, has *begun) ([]byte, error) {
	return withFallback(ctx, &o, func() ([]byte, error) {
		return k.within(o.Backend, func(on *model) (proof []byte, failed bool, err error) {
			o.phase("witness")
			a, from, err := has.assignment(ctx, on, m, in, o.witness...)
			if err != nil {
				return nil, errors.Is(err, witness.ErrBackend), err
			}
			if !has.holds(a) {
				defer a.Close()
			}
			saturated := clamped(m.c, a.Nonzero)
			if o.Clamped != nil {
				o.Clamped(saturated)
				o.Clamped = nil // a fallback computes the same
			}
			if in.Statement.Unsaturated() && len(saturated) > 0 {
				return nil, false, refuse(ErrFalse, &Saturation{saturated})
			}
			return k.proveAssignment(ctx, on, m, in.Statement, a, from == on, o)
		})
	})
}

// within lends f a session of a backend. f says whether the backend failed.
func (k *Key) within(be backend.Backend, f func(on *model) (proof []byte, failed bool, err error)) (proof []byte, err error) {
	on, err := k.sessions.take(k, be)
	if err != nil {
		return nil, err
	}
	failed := false
	defer func() { err = errors.Join(err, k.sessions.give(on, failed)) }()
	proof, failed, err = f(on)
	return proof, err
}

// begun is what was computed of an assignment before there was a statement to prove, in a session or in this process' memory. Whoever began
// it frees it.
type begun struct {
	on       *model // nil: this process' memory
	finish   func() (*witness.Assignment, error)
	finished bool
	a        *witness.Assignment // of finish
	err      error
}

// holds says whether an assignment is the one that was begun.
func (b *begun) holds(a *witness.Assignment) bool { return b != nil && b.a == a }

// assignment returns that of an input, and which session holds it: the one that was begun, unless its device failed, or a new one in the
// session of the proof.
func (b *begun) assignment(ctx context.Context, on *model, m *member, in *Input, opts ...witness.Option) (a *witness.Assignment, from *model, err error) {
	if b != nil && !b.finished {
		b.a, b.err = b.finish()
		b.finished = true
	}
	if b != nil && !errors.Is(b.err, backend.ErrDevice) && (b.on == nil || !b.on.failed.Load()) {
		if b.err != nil {
			return nil, nil, refuse(ErrFalse, b.err)
		}
		return b.a, b.on, nil
	}
	a, err = m.at(on, ctx, in, opts...)
	return a, on, err
}

// Witness runs the integer program on an input and returns every tensor. It fails with ErrFalse when the statement is false.
func (k *Key) Witness(ctx context.Context, in *Input, opts ...witness.Option) (*witness.Assignment, error) {
	m, err := k.fitting(in)
	if err != nil {
		return nil, err
	}
	return m.witness(ctx, in, opts...)
}

func (m *member) witness(ctx context.Context, in *Input, opts ...witness.Option) (*witness.Assignment, error) {
	return m.at(nil, ctx, in, opts...)
}

// at is witness in a session.
func (m *member) at(on *model, ctx context.Context, in *Input, opts ...witness.Option) (*witness.Assignment, error) {
	a, err := on.place(m).Generate(ctx, m.c, m.data, in.publics(m.c), in.Private, opts...)
	if err != nil {
		return nil, refuse(ErrFalse, err)
	}
	return a, nil
}

// publics yields the public tensors of an input.
func (in *Input) publics(c *circuit.Circuit) func(circuit.ID) integer.Tensor {
	return func(id circuit.ID) integer.Tensor { return *in.Statement.Public(c, id) }
}

// Evaluate runs the integer program on an input whose statement may lack what it claims of outputs, and returns every tensor. It serves to
// learn what a statement could claim: see function.Statement.Fill.
func (k *Key) Evaluate(ctx context.Context, in *Input) (*witness.Assignment, error) {
	m, err := k.fitting(in)
	if err != nil {
		return nil, err
	}
	return m.evaluate(ctx, in)
}

func (m *member) evaluate(ctx context.Context, in *Input) (*witness.Assignment, error) {
	a, err := witness.Evaluate(ctx, m.c, m.data, in.publics(m.c), in.Private)
	if err != nil {
		return nil, refuse(ErrUndefined, err)
	}
	return a, nil
}

// Compute runs the integer program of a function on its inputs, the statement's and private ones by port, and sets what the statement says
// of every revealed output. It returns the cells that were clamped.
func (k *Key) Compute(ctx context.Context, st *function.Statement, private witness.PrivateInput) ([]Clamped, error) {
	r, err := k.Run(ctx, st, private, nil)
	if err != nil {
		return nil, err
	}
	cells := r.Clamped()
	return cells, r.Close()
}

// ProveAssignment makes the proof that belongs to an assignment of the shortest circuit that the statement fits. Where the assignment does
// not satisfy the circuit the proof does not verify.
func (k *Key) ProveAssignment(ctx context.Context, st statement.Statement, a *witness.Assignment, o Options) ([]byte, error) {
	m, err := k.fitting(&Input{Statement: st})
	if err != nil {
		return nil, err
	}
	if err := st.Check(m.c); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	return withFallback(ctx, &o, func() ([]byte, error) {
		return k.within(o.Backend, func(on *model) ([]byte, bool, error) { return k.proveAssignment(ctx, on, m, st, a, false, o) })
	})
}

// proveAssignment proves in a session, which holds the assignment or not. It says whether the backend failed.
func (k *Key) proveAssignment(
	ctx context.Context, on *model, m *member, st statement.Statement, a *witness.Assignment, here bool, o Options,
) (proof []byte, failed bool, err error) {
	w := format.NewWriter(format.MagicProof, m.c.Digest())
	w.Raw(k.id[:])
	p := protocol.Inference(k.f, m.c, k.points, st)
	p.Weights.Rows, p.Weights.Blinds = on.rows, k.blinds
	a.Settle()
	h := on.begin(ctx, m, a, here)
	p.Backend = h
	err = run(parallel.Of(ctx), p, k.secret, w, o)
	ended := h.Err() // also of what was asked last, behind which the protocol asks nothing
	h.Close()
	if err = errors.Join(err, ended); err != nil {
		return nil, ended != nil && ctx.Err() == nil, err
	}
	o.phase("")
	return w.Bytes(), false, nil
}

// Check verifies a proof that Prove made of an input, as its verifiers do: of the circuit that the input fits, which private elements may
// decide. One that does not verify is not hiding: nobody but the prover may see it.
func (k *Key) Check(ctx context.Context, in *Input, proof []byte) error {
	m, err := k.fitting(in)
	if err != nil {
		return err
	}
	r, err := format.NewProofReader(proof, m.c.Digest(), k.id)
	if err != nil {
		return err
	}
	p := protocol.Inference(k.f, m.c, k.points, in.Statement)
	counts, err := p.Count()
	if err != nil {
		return err
	}
	return p.Verify(ctx, r, counts)
}

// run proves and appends the proof to w. A challenge for which the protocol is undefined, which happens with negligible
// probability, restarts it with fresh randomness; nothing that carries a pad leaves before the proof is complete.
func run(pool *parallel.Pool, p *protocol.Proof, secret [32]byte, w *format.Writer, o Options) error {
	counts, err := p.Count()
	if err != nil {
		return fmt.Errorf("counting messages: %w", err)
	}
	layout := commit.NewLayout(p.Circuit, circuit.Witness, p.Circuit.WitnessBits)
	rows, err := layout.Lay(p.Circuit, p.Backend.Tensor)
	if err != nil {
		return err
	}
	if o.hooks.Rows != nil {
		o.hooks.Rows(layout, rows)
	}
	o.phase("commit witness")
	p.Phase = o.phase
	bare, err := commitRows(p.Backend, o.lists, 1<<layout.Bits, rows)
	if err != nil {
		return err
	}
	for {
		rnd, err := o.randomness(p.Subject(), secret[:], bare)
		if err != nil {
			return err
		}
		blinds := rnd.Uniform("witness blinders", layout.Rows)
		if o.hooks.Blinders != nil {
			o.hooks.Blinders(blinds)
		}
		p.Witness = commit.Set{Layout: layout, Points: group.Blind(pool, bare, blinds), Rows: rows, Blinds: blinds}
		var stream stream
		ch := veil.NewProver(o.source(p.Transcript()), &stream, rnd, p.Backend, counts.Pads)
		if o.hooks.tampered != nil {
			o.hooks.tampered(ch)
		}
		err = p.Run(ch)
		if errors.Is(err, veil.ErrForbidden) {
			continue
		}
		if err != nil {
			return err
		}
		stream.writeTo(w)
		return nil
	}
}

// commitRows commits to rows of a width without anything that hides them.
func commitRows(r backend.Run, lists group.Lists, width int, rows []backend.Row) ([]group.Affine, error) {
	if err := r.Err(); err != nil {
		return nil, err
	}
	points := r.CommitRows(lists.Generators(group.RowTag(width), width), rows)
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return points, nil
}

// stream holds a proof's elements until the proof is complete.
type stream struct{ items []item }

type item struct {
	point  *group.Affine
	scalar field.Element
}

func (s *stream) Point(p group.Affine)   { s.items = append(s.items, item{point: &p}) }
func (s *stream) Scalar(v field.Element) { s.items = append(s.items, item{scalar: v}) }

func (s *stream) writeTo(w *format.Writer) {
	for _, it := range s.items {
		if it.point != nil {
			w.Point(*it.point)
		} else {
			w.Scalar(it.scalar)
		}
	}
}
