package generation

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/format/ints"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement"
)

const (
	length = 7
	vocab  = 11
	pad    = 4
	lo, hi = -1000, 2000
)

// model returns a circuit with a public tensor of every view.
func model(t testing.TB, change func(*witnesstest.Text)) *circuit.Circuit {
	t.Helper()
	text := witnesstest.Text{Name: "statements", Length: length, Vocab: vocab, Pad: pad, Reveal: circuit.Argmax, WeightBits: 4, WitnessBits: 4}
	change(&text)
	b := text.Builder()
	e := gadget.Embed(b, "e", text.Tokens(b), b.Weight("table", 2, vocab, 1))
	b.Lookup(gadget.Range(b, -2, 1), e)
	text.Logits(b, gadget.Rescale(b, "logits", b.Weight("w", 16, length, vocab), 4, lo, hi))
	const in, out = 0, 1
	for view := circuit.PortValues; view <= circuit.Known; view++ {
		port := out
		if view == circuit.OneHot || view == circuit.Known {
			port = in
		}
		b.View(fmt.Sprint("view ", view), view, port)
	}
	c, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// seen is the public tensor of a view.
func seen(c *circuit.Circuit, view circuit.View) circuit.ID {
	for i := range c.Tensors {
		if c.Tensors[i].Name == fmt.Sprint("view ", view) {
			return circuit.ID(i)
		}
	}
	panic("no such view")
}

func argmax(*witnesstest.Text)          {}
func logits(c *witnesstest.Text)        { c.Reveal = circuit.Values }
func private(c *witnesstest.Text)       { c.PrivateInput = true }
func privateLogits(c *witnesstest.Text) { private(c); logits(c) }

var modes = []func(*witnesstest.Text){argmax, logits, private, privateLogits}

// random returns a statement about the circuit.
func random(c *circuit.Circuit, rnd *rand.Rand) *Statement {
	n := 1 + rnd.IntN(c.Generation.Length)
	s := &Statement{Prompt: 1 + rnd.IntN(n), Next: Unclaimed}
	for range n {
		s.Tokens = append(s.Tokens, rnd.Int64N(int64(c.Generation.Vocab)))
	}
	if c.Generation.Reveal == circuit.Values {
		for range s.rows() * c.Generation.Vocab {
			s.Logits = append(s.Logits, lo+rnd.Int64N(hi-lo+1))
		}
	} else if rnd.IntN(2) == 0 {
		s.Next = rnd.Int64N(int64(c.Generation.Vocab))
	}
	return s.Hide(c)
}

func element(rnd *rand.Rand) field.Element {
	v := field.FromInt64(rnd.Int64())
	w := field.FromInt64(rnd.Int64())
	w.Inverse(&w)
	return *v.Mul(&v, &w)
}

// The verifier's sparse evaluation is the MLE of the prover's dense tensor.
func TestEvalIsTheMLE(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for i, mode := range modes {
		c := model(t, mode)
		for range 40 {
			s := random(c, rnd)
			if err := s.Check(c); err != nil {
				t.Fatalf("mode %d: %v", i, err)
			}
			for src := circuit.PortValues; src <= circuit.Known; src++ {
				id := seen(c, src)
				dense := s.Public(c, id)
				point := make([]field.Element, circuit.ShapeBits(dense.Shape))
				for k := range point {
					point[k] = element(rnd)
				}
				if got, want := s.Eval(c, id, point), poly.EvalInts(dense.V, dense.Shape, point); got != want {
					t.Fatalf("mode %d, source %d: the evaluations differ for %+v", i, src, s)
				}
			}
		}
	}
}

// What the tensors hold, spelt out for one statement per mode.
func TestPublic(t *testing.T) {
	for _, test := range []struct {
		name   string
		mode   func(*witnesstest.Text)
		s      Statement
		tokens [length]int64 // the 1 of each line of OneHot, -1 none
		a      [length]int64
		next   [length]int64
		known  [length]int64
	}{
		{"argmax", argmax, Statement{Tokens: []int64{3, 1, 0, 10, 2}, Prompt: 3, Next: 6},
			[length]int64{3, 1, 0, 10, 2, pad, pad}, [length]int64{0, 0, 1, 1, 1, 0, 0}, [length]int64{-1, -1, 10, 2, 6, -1, -1}, [length]int64{0, 0, 0, 1, 1, 1, 1}},
		{"no next", argmax, Statement{Tokens: []int64{3, 1, 0, 10, 0}, Prompt: 3, Next: Unclaimed},
			[length]int64{3, 1, 0, 10, 0, pad, pad}, [length]int64{0, 0, 1, 1, 0, 0, 0}, [length]int64{-1, -1, 10, 0, -1, -1, -1}, [length]int64{0, 0, 0, 1, 1, 1, 1}},
		{"nothing claimed", argmax, Statement{Tokens: []int64{3, 1}, Prompt: 2, Next: Unclaimed},
			[length]int64{3, 1, pad, pad, pad, pad, pad}, [length]int64{}, [length]int64{-1, -1, -1, -1, -1, -1, -1}, [length]int64{0, 0, 1, 1, 1, 1, 1}},
		{"full and private", private, Statement{Tokens: []int64{-1, -1, 5, 6, 7, 8, 9}, Prompt: 2, Next: 0},
			[length]int64{-1, -1, 5, 6, 7, 8, 9}, [length]int64{0, 1, 1, 1, 1, 1, 1}, [length]int64{-1, 5, 6, 7, 8, 9, 0}, [length]int64{0, 0, 1, 1, 1, 1, 1}},
		{"logits", logits, Statement{Tokens: []int64{1, 2, 3}, Prompt: 2, Next: Unclaimed, Logits: make([]int64, 2*vocab)},
			[length]int64{1, 2, 3, pad, pad, pad, pad}, [length]int64{0, 1, 1, 0, 0, 0, 0}, [length]int64{-1, 3, -1, -1, -1, -1, -1}, [length]int64{0, 0, 1, 1, 1, 1, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := model(t, test.mode)
			if err := test.s.Check(c); err != nil {
				t.Fatal(err)
			}
			want := map[circuit.View][]int64{circuit.Selected: test.a[:], circuit.Known: test.known[:]}
			for _, src := range []circuit.View{circuit.OneHot, circuit.ArgmaxAt, circuit.ArgmaxBelow} {
				want[src] = make([]int64, length*vocab)
			}
			for i := range length {
				for j := range int64(vocab) {
					at := i*vocab + int(j)
					want[circuit.OneHot][at] = bit(test.tokens[i] == j)
					want[circuit.ArgmaxAt][at] = bit(test.next[i] == j)
					want[circuit.ArgmaxBelow][at] = bit(j < test.next[i])
				}
			}
			for src, v := range want {
				if got := test.s.Public(c, seen(c, src)); !reflect.DeepEqual(got.V, v) {
					t.Errorf("source %d: got %v, want %v", src, got.V, v)
				}
			}
		})
	}
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func TestPublicLogits(t *testing.T) {
	c := model(t, logits)
	s := Statement{Tokens: []int64{1, 2, 3, 4}, Prompt: 3, Next: Unclaimed}
	if err := s.CheckInput(c); err != nil {
		t.Fatal(err)
	}
	full := s.Public(c, seen(c, circuit.PortValues)) // zeros: not revealed yet
	for i := range full.V {
		full.V[i] = int64(i)
	}
	s.Reveal(c, full)
	if err := s.Check(c); err != nil {
		t.Fatal(err)
	}
	for i, v := range s.Public(c, seen(c, circuit.PortValues)).V {
		want := int64(i)
		if i < 2*vocab || i >= 4*vocab {
			want = 0
		}
		if v != want {
			t.Errorf("cell %d is %d, want %d", i, v, want)
		}
	}
}

func TestCheck(t *testing.T) {
	row := make([]int64, vocab)
	with := func(at int, v int64) []int64 {
		out := append([]int64(nil), row...)
		out[at] = v
		return out
	}
	for _, test := range []struct {
		name string
		mode func(*witnesstest.Text)
		s    Statement
		want error
	}{
		{"good", argmax, Statement{Tokens: []int64{0, 10}, Prompt: 1, Next: -1}, nil},
		{"good with next", argmax, Statement{Tokens: []int64{0, 10}, Prompt: 2, Next: 10}, nil},
		{"no tokens", argmax, Statement{Prompt: 1, Next: -1}, ErrLength},
		{"too many tokens", argmax, Statement{Tokens: make([]int64, length+1), Prompt: 1, Next: -1}, ErrLength},
		{"no prompt", argmax, Statement{Tokens: []int64{0, 1}, Prompt: 0, Next: -1}, ErrPrompt},
		{"prompt beyond the end", argmax, Statement{Tokens: []int64{0, 1}, Prompt: 3, Next: -1}, ErrPrompt},
		{"negative prompt", argmax, Statement{Tokens: []int64{0, 1}, Prompt: math.MinInt, Next: -1}, ErrPrompt},
		{"token too large", argmax, Statement{Tokens: []int64{0, vocab}, Prompt: 1, Next: -1}, ErrToken},
		{"negative token", argmax, Statement{Tokens: []int64{0, -2}, Prompt: 1, Next: -1}, ErrToken},
		{"hidden token in public", argmax, Statement{Tokens: []int64{-1, 3}, Prompt: 1, Next: -1}, ErrHidden},
		{"prompt told", private, Statement{Tokens: []int64{-1, 3, 4}, Prompt: 2, Next: -1}, ErrHidden},
		{"answer hidden", private, Statement{Tokens: []int64{-1, -1, 4}, Prompt: 1, Next: -1}, ErrHidden},
		{"next too large", argmax, Statement{Tokens: []int64{0}, Prompt: 1, Next: vocab}, ErrNext},
		{"next below -1", argmax, Statement{Tokens: []int64{0}, Prompt: 1, Next: -2}, ErrNext},
		{"next with logits", logits, Statement{Tokens: []int64{0}, Prompt: 1, Next: 1, Logits: row}, ErrNext},
		{"logits", logits, Statement{Tokens: []int64{0}, Prompt: 1, Next: -1, Logits: with(3, hi)}, nil},
		{"logits missing", logits, Statement{Tokens: []int64{0}, Prompt: 1, Next: -1}, ErrLogits},
		{"one logit missing", logits, Statement{Tokens: []int64{0}, Prompt: 1, Next: -1, Logits: row[1:]}, ErrLogits},
		{"logit too large", logits, Statement{Tokens: []int64{0}, Prompt: 1, Next: -1, Logits: with(3, hi+1)}, ErrLogits},
		{"logit too small", logits, Statement{Tokens: []int64{0}, Prompt: 1, Next: -1, Logits: with(0, lo-1)}, ErrLogits},
		{"logits for predictions", argmax, Statement{Tokens: []int64{0}, Prompt: 1, Next: -1, Logits: row}, ErrLogits},
	} {
		c := model(t, test.mode)
		if err := test.s.Check(c); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
		data, err := test.s.Encode(c)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: Encode: %v", test.name, err)
		}
		if err != nil {
			data = file(c, test.s.Bytes()) // what an attacker would write
		}
		if _, _, err := Decode(circuit.Single(c), data); (err == nil) != (test.want == nil) {
			t.Errorf("%s: Decode: %v", test.name, err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, mode := range modes {
		c := model(t, mode)
		for range 30 {
			s := random(c, rnd)
			data, err := s.Encode(c)
			if err != nil {
				t.Fatal(err)
			}
			back, _, err := Decode(circuit.Single(c), data)
			if err != nil || !reflect.DeepEqual(s, back) {
				t.Fatalf("%+v became %+v, %v", s, back, err)
			}
			told := false
			for n := range data {
				_, _, err := Decode(circuit.Single(c), data[:n])
				if err == nil {
					t.Fatalf("%d of %d bytes are accepted", n, len(data))
				}
				told = told || errors.Is(err, statement.ErrFormat) && strings.Contains(err.Error(), "cut off in front of its tokens; get it again, whole")
			}
			if !told {
				t.Fatal("no cut in front of the tokens says what to do")
			}
			if _, _, err := Decode(circuit.Single(c), append(data, 0)); !errors.Is(err, statement.ErrFormat) {
				t.Fatalf("a trailing byte: %v", err)
			}
		}
	}
}

// Logits have one encoding: in the narrowest width.
func TestWidth(t *testing.T) {
	for _, test := range []struct {
		values []int64
		want   int
	}{
		{nil, 1}, {[]int64{127, -128}, 1}, {[]int64{128}, 2}, {[]int64{-129}, 2}, {[]int64{0, 1 << 15}, 4}, {[]int64{math.MinInt32}, 4},
		{[]int64{math.MaxInt32 + 1}, 8}, {[]int64{1, math.MinInt64}, 8},
	} {
		if got := ints.Width(test.values); got != test.want {
			t.Errorf("%v: %d bytes, want %d", test.values, got, test.want)
		}
	}
	c := model(t, logits)
	s := Statement{Tokens: []int64{0}, Prompt: 1, Next: Unclaimed, Logits: make([]int64, vocab)}
	data := s.Bytes()
	wide := append([]byte(nil), data[:len(data)-vocab-9]...)
	wide = append(wide, 2)
	wide = append(wide, data[len(data)-vocab-8:len(data)-vocab]...)
	wide = append(wide, make([]byte, 2*vocab)...)
	if _, _, err := Decode(circuit.Single(c), file(c, wide)); !errors.Is(err, statement.ErrFormat) {
		t.Errorf("zeros in two bytes each: %v", err)
	}
}

// file puts the header of a statement file before bytes.
func file(c *circuit.Circuit, body []byte) []byte {
	w := format.NewWriter(format.MagicStatement, c.Digest())
	w.Raw(body)
	return w.Bytes()
}

// A statement about another circuit is told apart from a malformed one.
func TestOtherCircuit(t *testing.T) {
	c := model(t, logits)
	other := model(t, func(cfg *witnesstest.Text) { logits(cfg); cfg.Name = "another" })
	s := random(c, rand.New(rand.NewPCG(9, 9)))
	data, err := s.Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Decode(circuit.Single(other), data); !errors.Is(err, format.ErrCircuit) {
		t.Error(err)
	}
}

// Logits that predict other tokens than the answer are refused, a prediction tie goes to the lowest index.
func TestAnswer(t *testing.T) {
	c := model(t, logits)
	row := func(best ...int64) []int64 {
		r := make([]int64, vocab)
		for _, j := range best {
			r[j] = 1
		}
		return r
	}
	s := Statement{Tokens: []int64{0, 2}, Prompt: 1, Next: Unclaimed, Logits: append(row(2, 3), row(1)...)}
	if err := s.CheckClaim(c); err != nil {
		t.Error(err)
	}
	s.Tokens[1] = 3
	if err := s.CheckClaim(c); !errors.Is(err, ErrAnswer) {
		t.Error(err)
	}
}

// Statements that differ in anything have different bytes.
func TestBytesAreInjective(t *testing.T) {
	base := Statement{Tokens: []int64{1, 2, 3}, Prompt: 2, Next: 5}
	seen := [][]byte{base.Bytes()}
	for _, s := range []Statement{
		{Tokens: []int64{1, 2, 4}, Prompt: 2, Next: 5}, {Tokens: []int64{1, 2}, Prompt: 2, Next: 5}, {Tokens: []int64{1, 2, 3}, Prompt: 1, Next: 5},
		{Tokens: []int64{1, 2, 3}, Prompt: 2, Next: Unclaimed}, {Tokens: []int64{1, 2, 3}, Prompt: 2, Next: 5, Logits: []int64{0}},
		{Tokens: []int64{1, 2, 3}, Prompt: 2, Next: 5, Logits: []int64{0, 0}}, {Tokens: []int64{1, 2, 3}, Prompt: 2, Next: 5, Logits: []int64{256}},
	} {
		b := s.Bytes()
		for _, other := range seen {
			if bytes.Equal(b, other) {
				t.Errorf("%+v has the bytes of another statement", s)
			}
		}
		seen = append(seen, b)
	}
}
