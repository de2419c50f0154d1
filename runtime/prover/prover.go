// Package prover commits to models (Setup) and proves inferences (Key.Prove). It orchestrates: witness generation computes
// integers, a backend computes commitments and sumchecks, package protocol orders the messages.
package prover

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/commit"
	"github.com/zkllmc/zkllmc/runtime/field"
	"github.com/zkllmc/zkllmc/runtime/format"
	"github.com/zkllmc/zkllmc/runtime/group"
	"github.com/zkllmc/zkllmc/runtime/kernel"
	"github.com/zkllmc/zkllmc/runtime/protocol"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/transcript"
	"github.com/zkllmc/zkllmc/runtime/veil"
	"github.com/zkllmc/zkllmc/runtime/verifier"
	"github.com/zkllmc/zkllmc/runtime/witness"
)

// Phase is told when a phase of long work begins; the last call has the empty name.
type Phase func(name string)

// Options tell how to compute. The zero value is not usable: Backend must be set.
type Options struct {
	Backend kernel.Backend
	Phase   Phase
	// Testing is for tests. Outside a test binary every call with it is refused before anything else happens.
	Testing *Testing
}

// Testing replaces what an honest prover must not choose.
type Testing struct {
	Seed       []byte                                         // instead of the operating system's bytes
	Transcript func(*transcript.Transcript) transcript.Source // what challenges come from
	Tamper     veil.Tamper
	Rows       func(layout *commit.Layout, cells [][]int32) // changes the committed cells after the witness is laid out
}

func (o *Options) phase(name string) {
	if o.Phase != nil {
		o.Phase(name)
	}
}

// Key is what a prover keeps: the weights, the blinders of their commitments and a secret that enters all later randomness.
type Key struct {
	c      *circuit.Circuit
	data   map[circuit.ID]kernel.Tensor
	set    commit.Set
	secret [32]byte
	id     [32]byte
}

// ModelID identifies the committed model.
func (k *Key) ModelID() [32]byte { return k.id }

// Setup commits to the weights (by tensor, in the shapes of the circuit) and proves that each lies in its declared range. It
// returns the prover's key and the encoded verifying key.
func Setup(ctx context.Context, c *circuit.Circuit, weights map[circuit.ID]kernel.Tensor, o Options) (*Key, []byte, error) {
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	k := &Key{c: c, data: weights}
	layout := protocol.WeightLayout(c)
	cells, err := layout.Cells(c, k.tensor)
	if err != nil {
		return nil, nil, err
	}
	digest := c.Digest()
	rnd, err := o.randomness(append([]byte("setup"), digest[:]...), nil, cells)
	if err != nil {
		return nil, nil, err
	}
	copy(k.secret[:], rnd.bytes("prover secret", 32))
	o.phase("commit weights")
	k.set.Layout, k.set.Rows = layout, blinded(cells, rnd.Uniform("weight blinders", layout.Rows))
	k.set.Points = o.Backend.CommitRows(group.Row(1<<layout.Bits), k.set.Rows)
	k.id = verifier.ModelID(c, k.set.Points)
	w := format.NewWriter(format.MagicVerifyingKey, c.Digest())
	for i := range k.set.Points {
		w.Point(k.set.Points[i])
	}
	if err := k.rangeProof(ctx, w, o); err != nil {
		return nil, nil, err
	}
	o.phase("")
	return k, w.Bytes(), nil
}

// rangeProof appends the proof of the setup circuit.
func (k *Key) rangeProof(ctx context.Context, w *format.Writer, o Options) error {
	setup, err := protocol.SetupCircuit(k.c)
	if err != nil {
		return err
	}
	weights := map[circuit.ID]kernel.Tensor{}
	from, to := k.c.Weights(), setup.Weights()
	for i := range from {
		weights[to[i].ID] = k.data[from[i].ID]
	}
	o.phase("check weights")
	a, err := witness.Generate(ctx, setup, weights, nil, nil)
	if err != nil {
		return err
	}
	set := k.set
	set.Layout = protocol.WeightLayout(setup) // the same places under the setup circuit's names
	p := &protocol.Proof{Kind: protocol.KindSetup, Circuit: setup, Weights: set, Statement: protocol.Nothing{}, Data: a.Tensor}
	return k.run(ctx, p, w, o)
}

func (k *Key) tensor(id circuit.ID) *kernel.Tensor {
	t, ok := k.data[id]
	if !ok {
		return nil
	}
	return &t
}

// Input is what one inference is about: the public statement and the elements of private inputs.
type Input struct {
	Statement statement.Statement
	Private   witness.PrivateInput
}

// Prove proves a statement and returns the encoded proof. It refuses what no verifier would accept: a false statement with ErrFalse.
func (k *Key) Prove(ctx context.Context, in *Input, o Options) ([]byte, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := in.Statement.Check(k.c); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	if err := in.Statement.CheckClaim(k.c); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	o.phase("witness")
	a, err := k.Witness(ctx, in)
	if err != nil {
		return nil, err
	}
	return k.ProveAssignment(ctx, in.Statement, a, o)
}

// Witness runs the integer program on an input and returns every tensor. It fails with ErrFalse when the statement is false. Options
// are for test binaries only.
func (k *Key) Witness(ctx context.Context, in *Input, opts ...witness.Option) (*witness.Assignment, error) {
	if len(opts) > 0 && !testing.Testing() {
		return nil, witness.ErrTesting
	}
	if err := in.Statement.CheckInput(k.c); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	a, err := witness.Generate(ctx, k.c, k.data, in.publics(k.c), in.Private, opts...)
	if err != nil {
		return nil, refuse(ErrFalse, err)
	}
	return a, nil
}

// publics yields the public tensors of an input.
func (in *Input) publics(c *circuit.Circuit) func(circuit.ID) kernel.Tensor {
	return func(id circuit.ID) kernel.Tensor { return *in.Statement.Public(c, id) }
}

// Evaluate runs the integer program on an input whose statement may lack what it claims of outputs, and returns every tensor. It serves to
// learn what a statement could claim: see function.Statement.Fill.
func (k *Key) Evaluate(ctx context.Context, in *Input) (*witness.Assignment, error) {
	if err := in.Statement.CheckInput(k.c); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	a, err := witness.Evaluate(ctx, k.c, k.data, in.publics(k.c), in.Private)
	if err != nil {
		return nil, refuse(ErrUndefined, err)
	}
	return a, nil
}

// Logits runs the integer program of a generation on tokens, private or not, and returns the logits after each, row by row.
func (k *Key) Logits(ctx context.Context, tokens []int64) ([]int64, error) {
	g := k.c.Generation
	if g == nil {
		return nil, errNoLogits
	}
	whole := generation.Statement{Tokens: tokens, Prompt: len(tokens), Next: generation.Unclaimed}
	in := &Input{Statement: whole.Hide(k.c), Private: generation.PrivateInput(k.c, tokens)} // without logits: they count as zeros until they are known
	a, err := k.Evaluate(ctx, in)
	if err != nil {
		return nil, err
	}
	return a.Tensor(g.Output).V[:len(tokens)*g.Vocab], nil
}

var errNoLogits = errors.New("the circuit is no generation: run it on its inputs")

// ProveAssignment makes the proof that belongs to an assignment. Where the assignment does not satisfy the circuit the proof
// does not verify.
func (k *Key) ProveAssignment(ctx context.Context, st statement.Statement, a *witness.Assignment, o Options) ([]byte, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := st.Check(k.c); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	w := format.NewWriter(format.MagicProof, k.c.Digest())
	w.Raw(k.id[:])
	p := &protocol.Proof{Kind: protocol.KindInference, Circuit: k.c, Weights: k.set, Statement: st, Data: a.Tensor}
	if err := k.run(ctx, p, w, o); err != nil {
		return nil, err
	}
	o.phase("")
	return w.Bytes(), nil
}

// run proves and appends the proof to w. A challenge for which the protocol is undefined, which happens with negligible
// probability, restarts it with fresh randomness; nothing that carries a pad leaves before the proof is complete.
func (k *Key) run(ctx context.Context, p *protocol.Proof, w *format.Writer, o Options) error {
	counts, err := p.Count()
	if err != nil {
		return fmt.Errorf("counting messages: %w", err)
	}
	layout := commit.NewLayout(p.Circuit, circuit.Witness, p.Circuit.WitnessBits)
	cells, err := layout.Cells(p.Circuit, p.Data)
	if err != nil {
		return err
	}
	if t := o.Testing; t != nil && t.Rows != nil {
		t.Rows(layout, cells)
	}
	p.Phase = o.phase
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		rnd, err := o.randomness(p.Statement.Bytes(), k.secret[:], cells)
		if err != nil {
			return err
		}
		p.Witness = blinded(cells, rnd.Uniform("witness blinders", layout.Rows))
		var stream stream
		ch := veil.NewProver(o.source(p.Transcript()), &stream, rnd, o.Backend, counts.Pads)
		if o.Testing != nil {
			ch.SetTamper(o.Testing.Tamper)
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

func blinded(cells [][]int32, blinds []field.Element) []kernel.Row {
	out := make([]kernel.Row, len(cells))
	for i := range out {
		out[i] = kernel.Row{Cells: cells[i], Blind: blinds[i]}
	}
	return out
}
