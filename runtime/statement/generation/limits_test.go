package generation

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
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
				if s, err := Decode(c, data); err == nil && !bytes.Equal(file(c, s.Bytes()), data) {
					t.Fatalf("byte %d, bit %d: two encodings of one statement", i/8, i%8)
				}
			}
		}
	}
}
