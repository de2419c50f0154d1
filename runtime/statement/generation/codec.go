package generation

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format/ints"
	"github.com/zkllmc/zkllmc/internal/format/stated"
	"github.com/zkllmc/zkllmc/runtime/statement"
)

// The file is the header of every artefact (package format), then what Bytes returns: big-endian two's-complement integers
//
//	first:1  len:8  prompt:8  next:8  tokens:8·len  width:1  count:8  logits:width·count
//
// where first is 2, or 66 where no value was clamped, and width ∈ {1, 2, 4, 8} is the least that holds every logit, 1 if there is none. A
// statement has exactly one encoding.

// Encode returns the file of a statement about the circuit. It refuses one that would give a private prompt away.
func (s *Statement) Encode(c *circuit.Circuit) ([]byte, error) { return statement.Encode(c, s) }

// Bytes returns the canonical encoding, which proofs absorb and which follows the header in a file.
func (s *Statement) Bytes() []byte {
	out := make([]byte, 0, 1+3*8+8*len(s.Tokens)+9+8*len(s.Logits))
	out = append(out, ints.First(number, s.NoSaturation))
	out = ints.Append(out, 8, int64(len(s.Tokens)), int64(s.Prompt), s.Next)
	out = ints.Append(out, 8, s.Tokens...)
	return ints.AppendList(out, s.Logits)
}

// Decode reads the file of a statement about a circuit of the family, which it returns too, and checks it. Lengths are compared with the
// circuit's before anything is allocated.
func Decode(f *circuit.Family, data []byte) (*Statement, *circuit.Circuit, error) {
	return stated.Decode(f, data, kindName, number, read)
}

func read(r *stated.File) (*Statement, error) {
	c := r.Circuit
	n, prompt, next := r.Int(8), r.Int(8), r.Int(8)
	if r.Short() {
		return nil, fmt.Errorf("%w: the file is cut off in front of its tokens; get it again, whole", statement.ErrFormat)
	}
	if n < 1 || n > int64(c.Generation.Length) {
		return nil, fmt.Errorf("%w: %d tokens, the circuit takes 1 to %d", ErrLength, n, c.Generation.Length)
	}
	if prompt < 1 || prompt > n {
		return nil, fmt.Errorf("%w: %d of %d tokens", ErrPrompt, prompt, n)
	}
	s := &Statement{Prompt: int(prompt), Next: next, Tokens: r.Ints(int(n), 8), NoSaturation: r.NoSaturation}
	want := 0
	if c.Generation.Reveal == circuit.Values {
		want = s.rows() * c.Generation.Vocab
	}
	var err error
	if s.Logits, err = r.List(want); err != nil {
		return nil, err
	}
	if err := r.Close(); err != nil {
		return nil, err
	}
	if err := s.Check(c); err != nil {
		return nil, err
	}
	return s, nil
}
