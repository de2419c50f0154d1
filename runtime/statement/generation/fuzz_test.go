package generation

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
)

// What decoding may allocate: eight bytes for a logit of one, and error texts, the circuit's own tensors and what the runtime allocates
// meanwhile.
const (
	slackBytes = 64 << 10
	perByte    = 8
)

// odd are numbers at which a check of a length, a token or a logit could be wrong by one.
var odd = []int64{0, 1, -1, 2, pad, length - 1, length, length + 1, vocab - 1, vocab, lo, hi, lo - 1, hi + 1, 127, 128, -129, 1 << 15, 1 << 31, 1 << 32, math.MaxInt64, math.MinInt64}

// alter changes a field of a statement: a token, the prompt's length, the next token, a logit, or how many there are of them.
func alter(s *Statement, kind, at, what byte) {
	v := odd[int(what)%len(odd)]
	t := int(at) % (len(s.Tokens) + 1)
	switch kind % 9 {
	case 0:
		s.Prompt = int(v)
	case 1:
		s.Next = v
	case 2:
		s.Tokens = slices.Insert(s.Tokens, t, v)
	case 3:
		s.Tokens = slices.Delete(s.Tokens, min(t, max(0, len(s.Tokens)-1)), len(s.Tokens))
	case 4:
		if t < len(s.Tokens) {
			s.Tokens[t] = v
		}
	case 5:
		if len(s.Logits) > 0 {
			s.Logits[int(at)%len(s.Logits)] = v
		}
	case 6: // rows more
		s.Logits = append(s.Logits, make([]int64, int(what)%3*vocab)...)
	case 7:
		s.Logits = s.Logits[:int(at)%(len(s.Logits)+1)]
	case 8: // as many answer tokens and logits as fit together, so that both lengths change
		if len(s.Logits) >= vocab && s.Prompt > 1 {
			s.Prompt--
			s.Logits = append(s.Logits, s.Logits[:vocab]...)
		}
	}
}

// FuzzDecode alters the fields of a valid statement (alter, three bytes each), encodes it whatever it is now, and then changes a word of
// the file, its end and what follows it; a cut of its whole length makes more the file. Decode accepts what Check accepts in its one
// encoding, and all that is computed from a statement is total on it. Memory follows the file, not the numbers in it.
func FuzzDecode(f *testing.F) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var circuits []*circuit.Circuit
	var bases []*Statement
	for i, mode := range modes {
		circuits = append(circuits, model(f, mode))
		bases = append(bases, random(circuits[i], rnd))
		for kind := range byte(9) {
			f.Add(byte(i), []byte{kind, 1, byte(i) + kind}, uint16(0), uint64(0), uint16(0), []byte{})
		}
		f.Add(byte(i), []byte{}, uint16(8*i), uint64(1)<<(9*i), uint16(i), []byte{1}[:i%2])
	}
	f.Add(byte(0), []byte{}, uint16(0), uint64(0), uint16(1<<15), []byte(format.MagicStatement))
	f.Fuzz(func(t *testing.T, mode byte, fields []byte, at uint16, with uint64, cut uint16, more []byte) {
		c, s := circuits[int(mode)%len(modes)], *bases[int(mode)%len(modes)]
		s.Tokens, s.Logits = slices.Clone(s.Tokens), slices.Clone(s.Logits)
		for ; len(fields) >= 3; fields = fields[3:] {
			alter(&s, fields[0], fields[1], fields[2])
		}
		whole := file(c, s.Bytes())
		data := append(slices.Clone(whole[:len(whole)-min(len(whole), int(cut))]), more...)
		if i := int(at); i+8 <= len(data) {
			binary.BigEndian.PutUint64(data[i:], binary.BigEndian.Uint64(data[i:])^with)
		}
		got := decode(t, c, data)
		if bytes.Equal(data, whole) && (got != nil) != (s.Check(c) == nil) {
			t.Fatalf("%+v is decoded: %v, checked: %v", s, got != nil, s.Check(c))
		}
		if got == nil {
			return
		}
		if bytes.Equal(data, whole) && !(reflect.DeepEqual(got.Tokens, s.Tokens) && slices.Equal(got.Logits, s.Logits) && got.Prompt == s.Prompt && got.Next == s.Next) {
			t.Fatalf("%+v is decoded as %+v", s, got)
		}
		total(t, c, got)
	})
}

// decode decodes a file within the bounds and returns nil if it is refused.
func decode(t *testing.T, c *circuit.Circuit, data []byte) *Statement {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s, _, err := Decode(circuit.Single(c), data)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > slackBytes+perByte*uint64(len(data)) {
		t.Fatalf("%d bytes allocated for a statement of %d bytes", n, len(data))
	}
	if err != nil {
		if s != nil {
			t.Fatal("a statement beside an error")
		}
		return nil
	}
	if err := s.Check(c); err != nil {
		t.Fatalf("decoded but not valid: %v", err)
	}
	if !bytes.Equal(file(c, s.Bytes()), data) {
		t.Fatal("two encodings of one statement")
	}
	return s
}

// total computes all that prover and verifier compute from a statement that was decoded.
func total(t *testing.T, c *circuit.Circuit, s *Statement) {
	_ = s.CheckClaim(c)
	for src := circuit.PortValues; src <= circuit.Known; src++ {
		id := seen(c, src)
		s.Eval(c, id, make([]field.Element, circuit.ShapeBits(s.Public(c, id).Shape)))
	}
	if again, err := s.Hide(c).Encode(c); err != nil || !bytes.Equal(again, file(c, s.Bytes())) {
		t.Fatalf("%+v, hidden: %v", s, err)
	}
}
