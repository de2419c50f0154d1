// Package verifier checks proofs. It is what other services link: the standard library, this runtime and gnark-crypto, no
// prover code. It is total: whatever the bytes, it returns an error or nil, and it allocates by the circuit's sizes only.
package verifier

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/format/stated"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/lookup"
	"github.com/zkllmc/zkllmc/internal/protocol"
	"github.com/zkllmc/zkllmc/internal/veil"
	"github.com/zkllmc/zkllmc/runtime/statement"
)

// Key is a model that was accepted: its commitment for the circuits of a family. It is immutable and safe for concurrent use.
type Key struct {
	f       *circuit.Family
	kind    statement.Kind
	weights []group.Affine // the commitments of the rows
	id      [32]byte
	proofs  map[*circuit.Circuit]proofs
}

// proofs is what all proofs about a circuit have alike, computed once.
type proofs struct {
	schedule func() (veil.Counts, error)
	plan     func() *lookup.Plan
}

// ErrPinned says that a verifying key is not the one whose ID was pinned.
var ErrPinned = errors.New("the verifying key is of another model than the pinned one")

// ErrModelID says that a text is no model ID.
var ErrModelID = errors.New("a model ID has 64 hexadecimal digits")

// Why bytes are refused.
var (
	ErrTruncated = format.ErrTruncated
	ErrTrailing  = format.ErrTrailing
	ErrMagic     = format.ErrMagic
	ErrVersion   = format.ErrVersion
	ErrCircuit   = format.ErrCircuit
	ErrModel     = format.ErrModel
	ErrEncoding  = format.ErrEncoding
	ErrRejected  = veil.ErrRejected  // the proof does not show what the statement says
	ErrForbidden = veil.ErrForbidden // a challenge was drawn for which the protocol is undefined, which no honest prover sends
)

// Errors lists the kinds of errors (errors.Is) that this package answers bytes from outside with. A context that ended adds its own,
// the kind of statements those of Kind.Errors.
var Errors = []error{
	ErrTruncated, ErrTrailing, ErrMagic, ErrVersion, ErrCircuit, ErrModel, ErrEncoding, ErrRejected, ErrForbidden, statement.ErrFormat, statement.ErrKind, statement.ErrCount, ErrPinned, ErrModelID,
}

// ReadKey decodes a verifying key, of a family with statements of the given kind, and verifies the proof that every weight lies in its
// declared range. The caller compares ModelID with what he trusts. It gives up with the context's error when that ends: before the next
// element of the key is read.
func ReadKey(ctx context.Context, f *circuit.Family, kind statement.Kind, data []byte) (*Key, error) {
	k, r, err := decodeKey(ctx, f, kind, data)
	if err != nil {
		return nil, fmt.Errorf("verifying key: %w", err)
	}
	for i := range r.pieces {
		if err := k.checkPiece(i, protocol.While(ctx, r)); err != nil {
			return nil, fmt.Errorf("verifying key: range proof of the weights, piece %d of %d: %w", i+1, r.pieces, err)
		}
	}
	if err := r.Close(); err != nil {
		return nil, fmt.Errorf("verifying key: %w", err)
	}
	return k, nil
}

// checkPiece verifies the next piece of the weights' range proof.
func (k *Key) checkPiece(index int, in veil.Reader) error {
	piece, err := protocol.SetupPiece(k.f, index)
	if err != nil {
		return err
	}
	p := piece.Proof(k.weights)
	return p.Run(veil.NewVerifier(p.Transcript(), in))
}

// ReadPinnedKey decodes a verifying key whose model ID the caller pinned after ReadKey accepted it once; the range proof is not
// verified again. It gives up with the context's error when that ends.
func ReadPinnedKey(ctx context.Context, f *circuit.Family, kind statement.Kind, data []byte, id [32]byte) (*Key, error) {
	k, _, err := decodeKey(ctx, f, kind, data)
	if err != nil {
		return nil, fmt.Errorf("verifying key: %w", err)
	}
	if k.id != id {
		return nil, fmt.Errorf("%w: %s, want %s", ErrPinned, format.Brief(k.id, id), format.Brief(id, k.id))
	}
	return k, nil
}

// rangeProof reads the range proof of a key, in pieces.
type rangeProof struct {
	*format.Reader
	pieces int
}

// decodeKey decodes the commitment of a key of the right size. It returns the reader of the range proof that follows.
func decodeKey(ctx context.Context, f *circuit.Family, kind statement.Kind, data []byte) (*Key, *rangeProof, error) {
	r, err := format.NewReader(data, format.MagicVerifyingKey, f.Digest())
	if err != nil {
		return nil, nil, err
	}
	c := f.Shortest() // ports, kind of statement and weights are those of all
	if !c.HasClaim() {
		return nil, nil, errors.New("the circuit reveals nothing of an output")
	}
	if err := stated.CheckKind(c, kind.Name, false); err != nil {
		return nil, nil, err
	}
	rows := protocol.WeightLayout(c).Rows
	if r.Remaining() < protocol.ElementSize*rows { // before the work for so many is done
		return nil, nil, format.ErrTruncated
	}
	pieces, elements, err := protocol.RangeProof(f)
	if err == nil {
		err = r.Exactly(protocol.ElementSize * (rows + elements))
	}
	if err != nil {
		return nil, nil, err
	}
	points := make([]group.Affine, rows)
	if err := protocol.While(ctx, r).Points(points); err != nil {
		return nil, nil, fmt.Errorf("model commitment: %w", err)
	}
	k := &Key{f: f, kind: kind, weights: points, id: protocol.ModelID(f, points), proofs: map[*circuit.Circuit]proofs{}}
	for _, c := range f.Members() {
		k.proofs[c] = proofs{
			schedule: sync.OnceValues(func() (veil.Counts, error) { return protocol.Schedule(c) }),
			plan:     sync.OnceValue(func() *lookup.Plan { return lookup.NewPlan(c) }),
		}
	}
	return k, &rangeProof{r, pieces}, nil
}

// ModelID returns the model's ID.
func (k *Key) ModelID() [32]byte { return k.id }

// Prepare derives the generators that Verify uses and counts what a proof holds, so that the first call does not: some hundred
// milliseconds, once per process. It does so for proofs about the given circuits of the family, or about all of them if none is given.
func (k *Key) Prepare(circuits ...*circuit.Circuit) error {
	for _, c := range k.f.Members() {
		if len(circuits) > 0 && !slices.Contains(circuits, c) {
			continue
		}
		counts, err := k.proofs[c].schedule()
		if err != nil {
			return err
		}
		k.proofs[c].plan()
		protocol.Prepare(c, counts)
	}
	return nil
}

// Verify returns nil exactly if the proof shows the encoded statement for this model. It is safe for concurrent use.
func (k *Key) Verify(encodedStatement, proof []byte) error {
	return k.VerifyContext(context.Background(), encodedStatement, proof)
}

// VerifyContext is Verify, given up with the context's error when that ends: before the next message of the proof is read. The last step,
// one multi-scalar multiplication, is not interrupted, nor are generators that are derived for the first time (see Prepare).
func (k *Key) VerifyContext(ctx context.Context, encodedStatement, proof []byte) error {
	st, c, err := k.kind.Decode(k.f, encodedStatement)
	if err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	return k.VerifyStatementContext(ctx, c, st, proof)
}

// VerifyStatement is Verify for a decoded statement and the circuit that it is about.
func (k *Key) VerifyStatement(c *circuit.Circuit, st statement.Statement, proof []byte) error {
	return k.VerifyStatementContext(context.Background(), c, st, proof)
}

// VerifyStatementContext is VerifyContext for a decoded statement and the circuit that it is about.
func (k *Key) VerifyStatementContext(ctx context.Context, c *circuit.Circuit, st statement.Statement, proof []byte) error {
	digest := c.Digest()
	if c = k.f.Member(digest); c == nil {
		return fmt.Errorf("statement: %w: the key is of no circuit %x…", ErrCircuit, digest[:8])
	}
	if err := st.Check(c); err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	if err := st.CheckClaim(c); err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	if err := k.verify(ctx, c, st, proof); err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	return nil
}

func (k *Key) verify(ctx context.Context, c *circuit.Circuit, st statement.Statement, proof []byte) error {
	r, err := format.NewProofReader(proof, c.Digest(), k.id)
	if err != nil {
		return err
	}
	counts, err := k.proofs[c].schedule()
	if err != nil {
		return err
	}
	p := protocol.Inference(k.f, c, k.weights, st)
	p.Plan = k.proofs[c].plan()
	return p.Verify(ctx, r, counts)
}

// ParseModelID reads a model ID: 64 hexadecimal digits as reports have them, a file that 'accept --save' wrote, or
// the line "model ID  …" that accept prints. White space around it is let pass, and nothing else.
func ParseModelID(text string) ([32]byte, error) {
	digits := strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(digits, "model ID"); ok {
		digits = strings.TrimSpace(rest)
	}
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != 32 {
		return [32]byte{}, fmt.Errorf("%w: this is %.80q", ErrModelID, text)
	}
	return [32]byte(raw), nil
}
