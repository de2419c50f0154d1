package statement

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/format"
)

// The file is the header of every artefact (package format), then what Bytes returns: big-endian two's-complement integers
//
//	len:8  prompt:8  next:8  tokens:8·len  width:1  count:8  logits:width·count
//
// where width ∈ {1, 2, 4, 8} is the least that holds every logit, 1 if there is none. A statement has exactly one encoding.

// ErrFormat says that a file is not the encoding of a statement.
var ErrFormat = errors.New("statement: malformed file")

// Encode returns the file of a statement about the circuit. It refuses one that would give a private prompt away.
func (s *Statement) Encode(c *circuit.Circuit) ([]byte, error) {
	if err := s.Check(c); err != nil {
		return nil, err
	}
	w := format.NewWriter(format.MagicStatement, c.Digest())
	w.Raw(s.Bytes())
	return w.Bytes(), nil
}

// Bytes returns the canonical encoding, which proofs absorb and which follows the header in a file.
func (s *Statement) Bytes() []byte {
	w := width(s.Logits)
	out := make([]byte, 0, 3*8+8*len(s.Tokens)+9+w*len(s.Logits))
	for _, v := range [...]int64{int64(len(s.Tokens)), int64(s.Prompt), s.Next} {
		out = binary.BigEndian.AppendUint64(out, uint64(v))
	}
	for _, v := range s.Tokens {
		out = binary.BigEndian.AppendUint64(out, uint64(v))
	}
	out = append(out, byte(w))
	out = binary.BigEndian.AppendUint64(out, uint64(len(s.Logits)))
	for _, v := range s.Logits {
		for i := w - 1; i >= 0; i-- {
			out = append(out, byte(v>>(8*i)))
		}
	}
	return out
}

// width is the least number of bytes that holds every value.
func width(values []int64) int {
	w := 1
	for _, v := range values {
		for w < 8 && (v < math.MinInt64>>(64-8*w) || v > math.MaxInt64>>(64-8*w)) {
			w *= 2
		}
	}
	return w
}

// Decode reads the file of a statement about the circuit and checks it. Lengths are compared with the circuit's before anything is allocated.
func Decode(c *circuit.Circuit, data []byte) (*Statement, error) {
	file, err := format.NewReader(data, format.MagicStatement, c.Digest())
	if err != nil {
		return nil, err
	}
	r := reader{rest: file.Raw(file.Remaining())}
	n, prompt, next := r.int(8), r.int(8), r.int(8)
	if r.short || n < 1 || n > int64(c.Length) {
		return nil, fmt.Errorf("%w: %d tokens, the circuit takes 1 to %d", ErrLength, n, c.Length)
	}
	if prompt < 1 || prompt > n {
		return nil, fmt.Errorf("%w: %d of %d tokens", ErrPrompt, prompt, n)
	}
	s := &Statement{Prompt: int(prompt), Next: next, Tokens: r.ints(int(n), 8)}
	if err := s.decodeLogits(c, &r); err != nil {
		return nil, err
	}
	if err := s.Check(c); err != nil {
		return nil, err
	}
	return s, nil
}

// decodeLogits reads the rest of the file.
func (s *Statement) decodeLogits(c *circuit.Circuit, r *reader) error {
	w, count := r.int(1), r.int(8)
	want := int64(0)
	if c.Reveal == circuit.RevealLogits {
		want = int64(s.rows()) * int64(c.Vocab)
	}
	switch {
	case r.short:
		return fmt.Errorf("%w: truncated", ErrFormat)
	case w != 1 && w != 2 && w != 4 && w != 8:
		return fmt.Errorf("%w: logits of %d bytes", ErrFormat, w)
	case count != want:
		return fmt.Errorf("%w: %d values, want %d", ErrLogits, count, want)
	}
	switch more := int64(len(r.rest)) - want*w; {
	case more < 0:
		return fmt.Errorf("%w: truncated", ErrFormat)
	case more > 0:
		return fmt.Errorf("%w: %d trailing bytes", ErrFormat, more)
	}
	if want > 0 {
		s.Logits = r.ints(int(want), int(w))
	}
	if int64(width(s.Logits)) != w {
		return fmt.Errorf("%w: logits in %d bytes that fit %d", ErrFormat, w, width(s.Logits))
	}
	return nil
}

// reader cuts a file into integers. After the first read beyond its end it yields zeros.
type reader struct {
	rest  []byte
	short bool
}

// take returns the next n bytes, nil if there are fewer.
func (r *reader) take(n int) []byte {
	if r.short || n < 0 || n > len(r.rest) {
		r.short = true
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

// int reads one integer of 1, 2, 4 or 8 bytes.
func (r *reader) int(width int) int64 { return signed(r.take(width)) }

// ints reads n integers. It allocates them only if the file has them.
func (r *reader) ints(n, width int) []int64 {
	if n < 0 || n > len(r.rest)/width {
		r.short = true
		return nil
	}
	raw := r.take(n * width)
	out := make([]int64, n)
	for i := range out {
		out[i] = signed(raw[i*width : (i+1)*width])
	}
	return out
}

// signed reads a big-endian two's-complement integer; zero of no bytes.
func signed(b []byte) int64 {
	if len(b) == 0 {
		return 0
	}
	v := int64(int8(b[0]))
	for _, x := range b[1:] {
		v = v<<8 | int64(x)
	}
	return v
}
