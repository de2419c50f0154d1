package engine

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"fmt"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/internal/transcript"
)

// randomness expands one proof's seed into independent labelled streams of uniform field elements. The seed hashes fresh bytes
// of the operating system with the statement, the prover's secret and the witness, so that neither a bad system generator nor
// a repeated call alone makes two proofs share a pad.
type randomness struct{ seed [64]byte }

func (o *Options) randomness(statement, secret []byte, cells [][]int32) (*randomness, error) {
	fresh, err := o.fresh()
	if err != nil {
		return nil, err
	}
	s := newSeed(fresh, statement, secret)
	s.rows(cells)
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

func newSeed(fresh, statement, secret []byte) *seed {
	s := &seed{sha3.NewSHAKE256()}
	for _, part := range [][]byte{[]byte("zkllmc prover randomness"), fresh, statement, secret} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		s.h.Write(n[:])
		s.h.Write(part)
	}
	return s
}

// rows hashes rows of committed cells: each by itself with SHA-256, for which processors have instructions, then the hashes.
func (s *seed) rows(cells [][]int32) {
	sums := make([][sha256.Size]byte, len(cells))
	poly.Parallel(len(cells), func(i int) { sums[i] = rowHash(cells[i]) })
	for i := range sums {
		s.h.Write(sums[i][:])
	}
}

func rowHash(row []int32) (sum [sha256.Size]byte) {
	const part = 1 << 10 // cells that are encoded at a time
	h := sha256.New()
	buf := binary.BigEndian.AppendUint64(make([]byte, 0, 4*part), uint64(len(row)))
	for lo := 0; lo < len(row); lo += part {
		for _, x := range row[lo:min(len(row), lo+part)] {
			buf = binary.BigEndian.AppendUint32(buf, uint32(x))
		}
		h.Write(buf)
		buf = buf[:0]
	}
	h.Write(buf)
	h.Sum(sum[:0])
	return sum
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
