package engine

import (
	"crypto/rand"
	"crypto/sha3"
	"encoding/binary"
	"fmt"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/transcript"
)

// randomness expands one proof's seed into independent labelled streams of uniform field elements. The seed hashes fresh bytes
// of the operating system with all that the proof is about, the prover's secret and the witness, so that neither a bad system generator nor
// a repeated call alone makes two proofs share a pad. What a proof is about enters as its transcript begins: kind, family, circuit, model,
// ports and statement. The witness enters by commitments to its rows, before they are blinded: nobody who cannot take discrete logarithms
// finds two that have the same.
type randomness struct{ seed [64]byte }

func (o *Options) randomness(subject, secret []byte, rows []group.Affine) (*randomness, error) {
	fresh, err := o.fresh()
	if err != nil {
		return nil, err
	}
	s := newSeed(fresh, subject, secret)
	for i := range rows {
		s.h.Write(group.Encode(nil, &rows[i]))
	}
	return s.randomness(), nil
}

// fresh returns bytes of the operating system.
func (o *Options) fresh() ([]byte, error) {
	if o.hooks.Seed != nil {
		return o.hooks.Seed, nil
	}
	fresh := make([]byte, freshSize)
	if _, err := rand.Read(fresh); err != nil {
		return nil, fmt.Errorf("prover: no randomness from the operating system: %w", err)
	}
	return fresh, nil
}

// freshSize is the number of bytes that are taken of the operating system.
const freshSize = 64

// seed hashes what randomness is expanded from.
type seed struct{ h *sha3.SHAKE }

func newSeed(fresh, subject, secret []byte) *seed {
	s := &seed{sha3.NewSHAKE256()}
	for _, part := range [][]byte{[]byte("zkllmc prover randomness"), fresh, subject, secret} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		s.h.Write(n[:])
		s.h.Write(part)
	}
	return s
}

func (s *seed) randomness() *randomness {
	r := &randomness{}
	s.h.Read(r.seed[:])
	return r
}

// bytes returns n bytes of a stream.
func (r *randomness) bytes(label string, n int) []byte {
	h := sha3.NewSHAKE256()
	h.Write(r.seed[:])
	h.Write([]byte(label))
	out := make([]byte, n)
	h.Read(out)
	return out
}

// Uniform returns the first n field elements of a stream, each 384 bits reduced.
func (r *randomness) Uniform(label string, n int) []field.Element {
	raw := r.bytes(label, 48*n)
	out := make([]field.Element, n)
	for i := range out {
		out[i] = field.Uniform(raw[48*i : 48*(i+1)])
	}
	return out
}

func (o *Options) source(tr *transcript.Transcript) transcript.Source {
	if o.hooks.Transcript != nil {
		return o.hooks.Transcript(tr)
	}
	return tr
}
