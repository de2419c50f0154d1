package generation

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/statement"
)

// A statement of a prompt alone claims nothing of what the model says.
func TestVacuous(t *testing.T) {
	c := model(t, argmax)
	for _, test := range []struct {
		s    Statement
		want error
	}{
		{Statement{Tokens: []int64{3, 1}, Prompt: 2, Next: Unclaimed}, ErrVacuous},
		{Statement{Tokens: []int64{3, 1}, Prompt: 1, Next: Unclaimed}, nil},
		{Statement{Tokens: []int64{3, 1}, Prompt: 2, Next: 0}, nil},
	} {
		if err := test.s.CheckClaim(c); !errors.Is(err, test.want) {
			t.Errorf("%+v: got %v, want %v", test.s, err, test.want)
		}
	}
}

// A point of another length is a caller's defect: no value is made up for it.
func TestEvalAtAnotherLength(t *testing.T) {
	c := model(t, argmax)
	s := Statement{Tokens: []int64{3, 1}, Prompt: 1, Next: 4}
	for _, off := range []int{-1, 1} {
		for src := circuit.PortValues; src <= circuit.Known; src++ {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("view %d is evaluated at a point of %d variables too many", src, off)
					}
				}()
				id := seen(c, src)
				s.Eval(c, id, make([]field.Element, circuit.ShapeBits(c.Tensor(id).Shape)+off))
			}()
		}
	}
}

// What a statement says of tokens, prompt, next token and logits shows in the value of every public tensor that is about it.
func TestEvalTellsStatementsApart(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 5))
	shown := Statement{Tokens: []int64{3, 1, 2}, Prompt: 2, Next: 4}
	told := Statement{Tokens: []int64{3, 1, 2}, Prompt: 2, Next: Unclaimed, Logits: make([]int64, 2*vocab)}
	for name, test := range map[string]struct {
		mode   func(*witnesstest.Text)
		s      Statement
		change func(s *Statement)
		views  []circuit.View
	}{
		"a token": {argmax, shown, func(s *Statement) { s.Tokens[2] = 5 }, []circuit.View{circuit.OneHot, circuit.ArgmaxAt, circuit.ArgmaxBelow}},
		"next":    {argmax, shown, func(s *Statement) { s.Next = 5 }, []circuit.View{circuit.ArgmaxAt, circuit.ArgmaxBelow}},
		"no next": {argmax, shown, func(s *Statement) { s.Next = Unclaimed }, []circuit.View{circuit.Selected, circuit.ArgmaxAt, circuit.ArgmaxBelow}},
		"prompt":  {argmax, shown, func(s *Statement) { s.Prompt = 1 }, []circuit.View{circuit.Selected, circuit.Known}},
		"a logit": {logits, told, func(s *Statement) { s.Logits[vocab+1] = 1 }, []circuit.View{circuit.PortValues}},
		"length":  {argmax, shown, func(s *Statement) { s.Tokens = s.Tokens[:2] }, []circuit.View{circuit.Selected, circuit.OneHot, circuit.ArgmaxAt}},
	} {
		c := model(t, test.mode)
		for _, view := range test.views {
			id := seen(c, view)
			point := make([]field.Element, circuit.ShapeBits(c.Tensor(id).Shape))
			for k := range point {
				point[k] = element(rnd)
			}
			other := test.s
			other.Tokens, other.Logits = slices.Clone(test.s.Tokens), slices.Clone(test.s.Logits)
			test.change(&other)
			if test.s.Eval(c, id, point) == other.Eval(c, id, point) {
				t.Errorf("another %s does not show in view %d", name, view)
			}
		}
	}
}

// A statement of this kind is none about a function, whatever its bytes.
func TestKinds(t *testing.T) {
	b := circuit.NewBuilder(circuit.Config{Name: "function", WeightBits: 4, WitnessBits: 4})
	x := gadget.Input(b, "x", circuit.Port{Name: "x", Kind: circuit.IDs, Shape: []int{2}, Hi: 3, Reveal: circuit.Values})
	gadget.Output(b, circuit.Port{Name: "y", Kind: circuit.Integers, Reveal: circuit.Values}, gadget.Rescale(b, "r", gadget.Embed(b, "e", x, b.Weight("w", 4, 4, 3)), 1, -8, 7))
	c := witnesstest.Finish(t, b)
	s := &Statement{Tokens: []int64{0, 1}, Prompt: 1, Next: Unclaimed}
	for _, err := range []error{s.Check(c), s.CheckInput(c)} {
		if !errors.Is(err, statement.ErrKind) {
			t.Error(err)
		}
	}
	if _, _, err := Decode(circuit.Single(c), file(c, s.Bytes())); !errors.Is(err, statement.ErrKind) {
		t.Error(err)
	}
}

// A file that differs in one bit is refused, or the one encoding of another statement.
func TestEveryBitMatters(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for _, mode := range modes {
		c := model(t, mode)
		for range 3 {
			valid, err := random(c, rnd).Encode(c)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 8 * len(valid) {
				data := bytes.Clone(valid)
				data[i/8] ^= 1 << (i % 8)
				if s, _, err := Decode(circuit.Single(c), data); err == nil && !bytes.Equal(file(c, s.Bytes()), data) {
					t.Fatalf("byte %d, bit %d: two encodings of one statement", i/8, i%8)
				}
			}
		}
	}
}
