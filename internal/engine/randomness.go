package engine

import (
	"crypto/rand"
	"crypto/sha3"
	"encoding/binary"
	"fmt"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/transcript"
)

// randomness expands one proof's seed into independent labelled streams of uniform field elements. The seed hashes fresh bytes
// of the operating system with the statement, the prover's secret and the witness, so that neither a bad system generator nor
// a repeated call alone makes two proofs share a pad.
type randomness struct{ seed [64]byte }

func (o *Options) randomness(statement, secret []byte, cells [][]int32) (*randomness, error) {
	fresh := make([]byte, 64)
	if o.hooks.Seed != nil {
		fresh = o.hooks.Seed
	} else if _, err := rand.Read(fresh); err != nil {
		return nil, fmt.Errorf("prover: no randomness from the operating system: %w", err)
	}
	h := sha3.NewSHAKE256()
	for _, part := range [][]byte{[]byte("zkllmc prover randomness"), fresh, statement, secret} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	buf := make([]byte, 0, 1<<14)
	for _, row := range cells {
		buf = binary.BigEndian.AppendUint64(buf[:0], uint64(len(row)))
		for _, x := range row {
			buf = binary.BigEndian.AppendUint32(buf, uint32(x))
		}
		h.Write(buf)
	}
	r := &randomness{}
	h.Read(r.seed[:])
	return r, nil
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
