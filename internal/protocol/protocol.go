// Package protocol is the order of a proof (SPEC.md 8 and 15), one function for prover, verifier and dry run:
//
//  1. absorb version, curve, kind of proof, digests of family and circuit, model commitment, ports, public values
//  2. commit to the pads, the witness rows (multiplicities among them)
//  3. tlookup: one fraction tree for all lookups of the circuit; ends in claims on all columns at one point
//  4. draw τ of the zero-checks; bind all evaluations at the leaves and at τ; einsum waves until only committed tensors are left
//  5. column sumchecks of the openings
//  6. product block and final argument
//
// A proof of kind setup is about a piece of the weights (see Piece): every one of them lies in its declared range.
package protocol

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/commit"
	"github.com/zkllmc/zkllmc/internal/einsum"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/lookup"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/internal/transcript"
	"github.com/zkllmc/zkllmc/internal/veil"
)

// Version names the protocol: message formats, hash inputs, generators. Proofs of different versions do not verify.
const Version = "zkllmc/v1"

// Curve names group and field.
const Curve = "grumpkin"

// The kinds of proofs, absorbed so that none passes for the other. A statement's kind is absorbed with its bytes.
const (
	KindSetup     = "setup"
	KindInference = "inference"
)

// Statement is the public part of a proof: canonical bytes that are absorbed, and the public tensors that follow from them.
type Statement interface {
	Bytes() []byte
	Eval(c *circuit.Circuit, id circuit.ID, point []field.Element) field.Element
	Unsaturated() bool // it says that no cell was clamped
}

// Backend is a run of a backend that holds the tensors of a proof, and the columns of the circuit's tables.
type Backend interface {
	backend.Run
	lookup.Columns
}

// Proof is one run of the protocol. Witness and Backend are set on the prover's side.
type Proof struct {
	Kind      string   // KindSetup or KindInference
	Family    [32]byte // the digest of the model's circuits
	Circuit   *circuit.Circuit
	Model     []group.Affine // all row commitments of the model's weights
	Weights   commit.Set     // those that the proof opens: all of them, but for a piece of a range proof
	Statement Statement
	Plan      *lookup.Plan // of the circuit; nil: Run makes it
	Witness   commit.Set
	Backend   Backend
	Phase     func(string) // told what begins; may be nil

	evaluations int // what Run asked its ledger for, and how often
	references  int64
}

// Inference is a proof about a circuit of a family, of the model with these row commitments.
func Inference(f *circuit.Family, c *circuit.Circuit, model []group.Affine, st Statement) *Proof {
	return &Proof{Kind: KindInference, Family: f.Digest(), Circuit: c, Model: model, Weights: commit.Set{Layout: WeightLayout(c), Points: model}, Statement: st}
}

func (p *Proof) phase(name string) {
	if p.Phase != nil {
		p.Phase(name)
	}
}

// Transcript returns the transcript of a proof with everything public absorbed (step 1).
func (p *Proof) Transcript() *transcript.Transcript {
	tr := transcript.New(Version)
	p.absorb(tr)
	return tr
}

func (p *Proof) absorb(tr transcript.Source) {
	digest := p.Circuit.Digest()
	tr.Absorb("curve", []byte(Curve))
	tr.Absorb("kind", []byte(p.Kind))
	tr.Absorb("family", p.Family[:])
	tr.Absorb("circuit", digest[:])
	var rows [8]byte
	binary.BigEndian.PutUint64(rows[:], uint64(len(p.Model)))
	tr.Absorb("model rows", rows[:])
	tr.AbsorbPoints("model", p.Model)
	for i := range p.Circuit.Ports {
		tr.Absorb("port", p.Circuit.Ports[i].Bytes())
	}
	tr.Absorb("statement", p.Statement.Bytes())
}

// Subject identifies what a proof is about, and which of its circuits: a digest of all that its transcript begins with.
func (p *Proof) Subject() []byte {
	tr := transcript.New(Version)
	p.absorb(tr)
	return tr.ChallengeBytes("subject", 64)
}

// Run walks the proof on a channel whose transcript has step 1 behind it. On the verifier's side nil means accepted.
func (p *Proof) Run(ch *veil.Channel) error {
	c := p.Circuit
	ch.Open()
	witness := p.Witness
	witness.Layout = commit.NewLayout(c, circuit.Witness, c.WitnessBits)
	witness.Points = ch.Points("witness rows", witness.Layout.Rows, func() []group.Affine { return p.Witness.Points })
	sets := []commit.Set{p.Weights, witness}

	p.phase("lookups")
	plan := p.Plan
	if plan == nil {
		plan = lookup.NewPlan(c)
	}
	leaves := lookup.Run(ch, plan, p.Backend, p.Backend)
	ledger := einsum.NewLedger(ch, c, publics{c, p.Statement}, p.Backend, p.tensor)
	p.phase("einsum waves")
	tau := p.zeroPoint(ch)
	leaves.Points(ledger.Ask)
	for _, z := range c.Zeros {
		ledger.Ask(z, tau[:circuit.ShapeBits(c.Tensor(z).Shape)])
	}
	ledger.Bind("leaf evaluations", 0, nil)
	if ch.Err() != nil {
		return ch.Err()
	}
	leaves.Check(ch, ledger.Expr)
	if err := p.unsaturated(ch, &leaves, ledger); err != nil {
		return err
	}
	ch.Charge("zero-checks", int64(len(tau)), veil.FullBits)
	for _, z := range c.Zeros {
		ch.Zero("zero-check", ledger.Expr(z, tau[:circuit.ShapeBits(c.Tensor(z).Shape)]))
	}
	for w := 1; w <= c.Waves(); w++ {
		ledger.Wave(w, fmt.Sprintf("wave %d", w))
		if ch.Err() != nil {
			return ch.Err()
		}
	}
	p.evaluations, p.references = ledger.Requests()
	openings, err := ledger.Openings()
	if err != nil {
		return err
	}
	p.phase("openings")
	commit.Open(ch, c, p.Backend, sets, openings)
	p.phase("final argument")
	return ch.Finish()
}

// tensor yields a tensor where the backend has it.
func (p *Proof) tensor(id circuit.ID) backend.Tensor { return p.Backend.Tensor(id) }

// Stream is what the elements of a proof are read from.
type Stream interface {
	veil.Reader
	Exactly(n int) error // whether n bytes are left, no fewer and no more
	Close() error        // whether nothing is left
}

// ElementSize is the number of bytes of an element of a proof, a point or a scalar.
const ElementSize = 32

// Verify returns nil exactly if the rest of a stream is the elements of a valid proof. Their number, as a dry run has counted it, is asked
// for first. Verify gives up with the context's error when that ends: before the next message is read.
func (p *Proof) Verify(ctx context.Context, in Stream, counts veil.Counts) error {
	if err := in.Exactly(ElementSize * (counts.Points + counts.Scalars)); err != nil {
		return err
	}
	if err := p.Run(veil.NewVerifier(p.Transcript(), While(ctx, in))); err != nil {
		return err
	}
	return in.Close()
}

// While reads elements as long as the context lasts.
func While(ctx context.Context, in veil.Reader) veil.Reader { return while{ctx, in} }

type while struct {
	ctx context.Context
	in  veil.Reader
}

// pointsAtOnce are read in some milliseconds, and are enough for all processors to read.
const pointsAtOnce = 1 << 12

func (w while) Points(out []group.Affine) error {
	for part := range slices.Chunk(out, pointsAtOnce) {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.in.Points(part); err != nil {
			return err
		}
	}
	return nil
}

func (w while) Scalar() (field.Element, error) {
	if err := w.ctx.Err(); err != nil {
		return field.Element{}, err
	}
	return w.in.Scalar()
}

// unsaturated checks that no cell was clamped, where the statement says so: the class of every clamp is zero.
//
// A class is a column of lookups, so that its extension at the leaves' point is claimed, and opened, in every proof: that it is zero there
// is one linear check more and no message. Classes are committed before the first coordinate of that point is drawn, each of which is
// uniform, given all before, among at least 2^ShortBits values: a class that is not zero everywhere is zero there with a probability of at
// most its number of variables over 2^ShortBits. Where a class is zero, its excess is, and the clamp's value is its quotient (package
// gadget).
func (p *Proof) unsaturated(ch *veil.Channel, leaves *lookup.Leaves, ledger *einsum.Ledger) error {
	if !p.Statement.Unsaturated() {
		return nil
	}
	classes, err := p.Circuit.Classes()
	if err != nil {
		return err
	}
	n := 0
	for _, id := range classes {
		point := leaves.Column(p.Circuit.Tensor(id).Shape)
		n = max(n, len(point))
		ch.Zero("no saturation", ledger.Expr(id, point))
	}
	ch.Charge("no saturation", int64(n), veil.ShortBits)
	return nil
}

// zeroPoint draws the point of the zero-checks after every commitment; a tensor uses as many coordinates as it has variables.
func (p *Proof) zeroPoint(ch *veil.Channel) []field.Element {
	n := 0
	for _, z := range p.Circuit.Zeros {
		n = max(n, circuit.ShapeBits(p.Circuit.Tensor(z).Shape))
	}
	tau := make([]field.Element, n)
	for i := range tau {
		tau[i] = ch.Challenge("zero-check tau")
	}
	return tau
}

// Count runs the message schedule without a prover or a proof.
func (p *Proof) Count() (veil.Counts, error) {
	ch := veil.NewCounter(p.Transcript())
	err := p.Run(ch)
	return ch.Counts(), err
}

// Schedule counts the messages of a proof about a circuit, which depend on nothing else.
func Schedule(c *circuit.Circuit) (veil.Counts, error) {
	p := dry(c)
	return p.Count()
}

// CheckedSchedule is Schedule for whoever makes circuits: it is an error if a proof's evaluations are not those that the circuit's Finish
// has counted and limited.
func CheckedSchedule(c *circuit.Circuit) (veil.Counts, error) {
	p := dry(c)
	counts, err := p.Count()
	if n := c.Requests(); err == nil && (p.evaluations != n.Evaluations || p.references != n.References) {
		err = fmt.Errorf("internal error: a proof about %s asks %d times for %d evaluations, its circuit was counted to ask %d times for %d",
			c.Name, p.references, p.evaluations, n.References, n.Evaluations)
	}
	return counts, err
}

// dry is a proof about a circuit of which only the schedule matters.
func dry(c *circuit.Circuit) *Proof {
	return Inference(circuit.Single(c), c, make([]group.Affine, WeightLayout(c).Rows), Nothing{})
}

// Prepare derives every generator that a proof of the circuit with this schedule uses, which a process does once and memoises (package
// group).
func Prepare(c *circuit.Circuit, counts veil.Counts) {
	group.Row(1 << c.WeightBits)
	group.Row(1 << c.WitnessBits)
	group.Pad(counts.Pads)
	for k, n := range counts.Vectors {
		group.Vec(k, n)
	}
}

// publics evaluates what the verifier knows: constants of the circuit, and tensors of the statement.
type publics struct {
	c  *circuit.Circuit
	st Statement
}

func (p publics) Eval(id circuit.ID, point []field.Element) field.Element {
	switch t := p.c.Tensor(id); t.Kind {
	case circuit.Const:
		return poly.EvalInts(t.Values, t.Shape, point)
	case circuit.Affine:
		offset, strides := t.Equation()
		return poly.EvalAffine(offset, strides, t.Shape, point)
	}
	return p.st.Eval(p.c, id, point)
}
