// Package verifier checks proofs. It is what other services link: the standard library, this runtime and gnark-crypto, no
// prover code. It is total: whatever the bytes, it returns an error or nil, and it allocates by the circuit's sizes only.
package verifier

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/commit"
	"github.com/zkllmc/zkllmc/runtime/format"
	"github.com/zkllmc/zkllmc/runtime/group"
	"github.com/zkllmc/zkllmc/runtime/protocol"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/veil"
)

// Key is a model that was accepted: its commitment for one circuit. It is immutable and safe for concurrent use.
type Key struct {
	c       *circuit.Circuit
	weights commit.Set
	id      [32]byte
}

// ErrPinned says that a verifying key is not the one whose ID was pinned.
var ErrPinned = errors.New("the verifying key is of another model than the pinned one")

// Errors lists the kinds of errors (errors.Is) that this package answers bytes from outside with.
var Errors = []error{
	format.ErrTruncated, format.ErrTrailing, format.ErrMagic, format.ErrVersion, format.ErrCircuit, format.ErrModel, format.ErrEncoding,
	veil.ErrRejected, veil.ErrForbidden, statement.ErrFormat, statement.ErrLength, statement.ErrPrompt, statement.ErrToken,
	statement.ErrHidden, statement.ErrNext, statement.ErrLogits, statement.ErrAnswer, statement.ErrVacuous, ErrPinned,
}

// ReadKey decodes a verifying key and verifies the proof that every weight lies in its declared range. The caller compares
// ModelID with what he trusts.
func ReadKey(c *circuit.Circuit, data []byte) (*Key, error) {
	k, r, err := decodeKey(c, data)
	if err != nil {
		return nil, fmt.Errorf("verifying key: %w", err)
	}
	setup, err := protocol.SetupCircuit(c)
	if err != nil {
		return nil, err
	}
	set := k.weights
	set.Layout = protocol.WeightLayout(setup) // the same places under the setup circuit's names
	p := protocol.Proof{Kind: protocol.KindSetup, Circuit: setup, Weights: set, Statement: protocol.Nothing{}}
	if err := p.Run(veil.NewVerifier(p.Transcript(), r)); err != nil {
		return nil, fmt.Errorf("verifying key: range proof of the weights: %w", err)
	}
	if err := r.Close(); err != nil {
		return nil, fmt.Errorf("verifying key: %w", err)
	}
	return k, nil
}

// ReadPinnedKey decodes a verifying key whose model ID the caller pinned after ReadKey accepted it once; the range proof is not
// verified again.
func ReadPinnedKey(c *circuit.Circuit, data []byte, id [32]byte) (*Key, error) {
	k, _, err := decodeKey(c, data)
	if err != nil {
		return nil, fmt.Errorf("verifying key: %w", err)
	}
	if k.id != id {
		return nil, fmt.Errorf("%w: %x…, want %x…", ErrPinned, k.id[:8], id[:8])
	}
	return k, nil
}

func decodeKey(c *circuit.Circuit, data []byte) (*Key, *format.Reader, error) {
	r, err := format.NewReader(data, format.MagicVerifyingKey, c.Digest())
	if err != nil {
		return nil, nil, err
	}
	if c.Output < 0 {
		return nil, nil, errors.New("the circuit reveals nothing of an output")
	}
	layout := protocol.WeightLayout(c)
	if r.Remaining() < 32*layout.Rows {
		return nil, nil, fmt.Errorf("model commitment: %w", format.ErrTruncated)
	}
	points := make([]group.Affine, layout.Rows)
	for i := range points {
		if points[i], err = r.Point(); err != nil {
			return nil, nil, fmt.Errorf("model commitment, row %d: %w", i, err)
		}
	}
	k := &Key{c: c, weights: commit.Set{Layout: layout, Points: points}}
	k.id = ModelID(c, points)
	return k, r, nil
}

// ModelID identifies a committed model: SHA-256 over version, circuit digest and the row commitments.
func ModelID(c *circuit.Circuit, points []group.Affine) [32]byte {
	h := sha256.New()
	digest := c.Digest()
	h.Write([]byte(protocol.Version + " model"))
	h.Write(digest[:])
	for i := range points {
		h.Write(group.Encode(nil, &points[i]))
	}
	return [32]byte(h.Sum(nil))
}

// ModelID returns the model's ID.
func (k *Key) ModelID() [32]byte { return k.id }

// Prepare derives the generators that Verify uses, so that the first call does not: some hundred milliseconds, once per process.
func (k *Key) Prepare() error { return protocol.Prepare(k.c) }

// Verify returns nil exactly if the proof shows the encoded statement for this model. It is safe for concurrent use.
func (k *Key) Verify(encodedStatement, proof []byte) error {
	st, err := statement.Decode(k.c, encodedStatement)
	if err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	return k.VerifyStatement(st, proof)
}

// VerifyStatement is Verify for a decoded statement.
func (k *Key) VerifyStatement(st *statement.Statement, proof []byte) error {
	if err := st.Check(k.c); err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	if err := st.CheckAnswer(k.c); err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	r, err := format.NewReader(proof, format.MagicProof, k.c.Digest())
	if err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	if id := r.Raw(32); id == nil {
		return fmt.Errorf("proof: %w", format.ErrTruncated)
	} else if [32]byte(id) != k.id {
		return fmt.Errorf("proof: %w", format.ErrModel)
	}
	p := protocol.Proof{Kind: protocol.KindInference, Circuit: k.c, Weights: k.weights, Statement: st}
	if err := p.Run(veil.NewVerifier(p.Transcript(), r)); err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	if err := r.Close(); err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	return nil
}
