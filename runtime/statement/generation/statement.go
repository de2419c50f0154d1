// Package generation is the kind of statement that a language model continues a prompt with an answer. It tells the tokens, the predictions
// or logits that are revealed, and nothing else. Both sides compute every public tensor of a circuit from it, the prover densely
// (Public), the verifier at one point (Eval). The circuit is causal: circuit.Builder.Finish refuses any other with such statements.
//
// Positions are 0 … T−1, T the circuit's length; those behind the last token hold the circuit's pad id. The first Prompt tokens are the
// prompt, the others the answer. With private inputs the prompt's tokens are Hidden in a statement; how many there are is public.
//
// A statement claims, at every selected position t (a_t = 1):
//
//	argmax   t = P−1 … len−2, and len−1 if Next is claimed: the model's prediction after t is i_t = Tokens[t+1], at the end Next
//	logits   t = P−1 … len−1: the model's logits at t are the row t−(P−1) of Logits
package generation

import (
	"errors"
	"fmt"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format/stated"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/runtime/statement"
)

// Kind is the kind of these statements.
var Kind = statement.Kind{
	Name: kindName,
	Decode: func(f *circuit.Family, data []byte) (statement.Statement, *circuit.Circuit, error) {
		s, c, err := Decode(f, data)
		if err != nil {
			return nil, nil, err
		}
		return s, c, nil
	},
	Errors: []error{statement.ErrFormat, statement.ErrKind, statement.ErrCount, ErrLength, ErrPrompt, ErrToken, ErrHidden, ErrNext, ErrLogits, ErrAnswer, ErrVacuous},
}

// The kind's name, and its number in a file.
const (
	kindName = "generation"
	number   = 2
)

// Hidden stands for a token that the statement does not tell, Unclaimed for a Next that it does not claim.
const (
	Hidden    = int64(-1)
	Unclaimed = int64(-1)
)

// Statement is the public part of a proof. The zero value is not valid.
type Statement struct {
	Tokens []int64 // prompt and answer; Hidden before Prompt where inputs are private
	Prompt int     // P, the number of prompt tokens
	Next   int64   // the predicted token after the last one, or Unclaimed
	Logits []int64 // where values are revealed: the rows P−1 … len−1 of V values each; else empty

	NoSaturation bool // no value was clamped, at any position
}

// Why Check refuses a statement.
var (
	ErrLength  = errors.New("statement: number of tokens does not suit the circuit")
	ErrPrompt  = errors.New("statement: prompt length out of range")
	ErrToken   = errors.New("statement: token outside the vocabulary")
	ErrHidden  = errors.New("statement: a private input's prompt must be hidden, and nothing else")
	ErrNext    = errors.New("statement: next token not claimable")
	ErrLogits  = errors.New("statement: revealed logits do not suit the circuit")
	ErrAnswer  = errors.New("statement: the revealed logits predict another answer")
	ErrVacuous = errors.New("statement: it claims nothing of the output")
)

// Check says whether the statement is one about the circuit, in its public form. Eval requires that it returned nil, Selected and
// Public that CheckInput did.
func (s *Statement) Check(c *circuit.Circuit) error {
	if err := s.CheckInput(c); err != nil {
		return err
	}
	return s.checkLogits(c)
}

// CheckInput is Check but for the logits, which a prover learns from the model: see Reveal.
func (s *Statement) CheckInput(c *circuit.Circuit) error {
	if err := stated.CheckKind(c, kindName, s.NoSaturation); err != nil {
		return err
	}
	n, g := len(s.Tokens), c.Generation
	switch {
	case n < 1 || n > g.Length:
		return fmt.Errorf("%w: %d tokens, the circuit takes 1 to %d", ErrLength, n, g.Length)
	case s.Prompt < 1 || s.Prompt > n:
		return fmt.Errorf("%w: %d of %d tokens", ErrPrompt, s.Prompt, n)
	}
	for t, id := range s.Tokens {
		switch hidden := c.Generation.Private && t < s.Prompt; {
		case hidden != (id == Hidden):
			return fmt.Errorf("%w: position %d", ErrHidden, t)
		case !hidden && !inVocabulary(c, id):
			return fmt.Errorf("%w: %d at position %d, vocabulary %d", ErrToken, id, t, c.Generation.Vocab)
		}
	}
	switch {
	case s.Next == Unclaimed:
		return nil
	case c.Generation.Reveal != circuit.Argmax:
		return fmt.Errorf("%w: the circuit reveals logits", ErrNext)
	case !inVocabulary(c, s.Next):
		return fmt.Errorf("%w: %d, vocabulary %d", ErrNext, s.Next, c.Generation.Vocab)
	}
	return nil
}

// checkLogits refuses logits where there should be none, a wrong number of them, and values outside the range of the port: v and v+p are
// one field element.
func (s *Statement) checkLogits(c *circuit.Circuit) error {
	want := 0
	if c.Generation.Reveal == circuit.Values {
		want = s.rows() * c.Generation.Vocab
	}
	if len(s.Logits) != want {
		return fmt.Errorf("%w: %d values, want %d", ErrLogits, len(s.Logits), want)
	}
	if want == 0 {
		return nil
	}
	p := &c.Ports[c.Generation.Out]
	for _, v := range s.Logits {
		if v < p.Lo || v > p.Hi {
			return fmt.Errorf("%w: %d is outside [%d, %d]", ErrLogits, v, p.Lo, p.Hi)
		}
	}
	return nil
}

// CheckClaim says whether the statement claims an answer, and the right one. Where a proof shows logits it says only which logits
// belong to the tokens: the answer must be what they predict. Where it shows the arg-max, a prediction must be claimed.
func (s *Statement) CheckClaim(c *circuit.Circuit) error {
	if c.Generation.Reveal != circuit.Values {
		if s.Next == Unclaimed && s.Prompt == len(s.Tokens) {
			return fmt.Errorf("%w: neither an answer nor a next token", ErrVacuous)
		}
		return nil
	}
	for i, id := range s.Tokens[s.Prompt:] {
		if best := statement.Argmax(s.Logits[i*c.Generation.Vocab : (i+1)*c.Generation.Vocab]); best != id {
			return fmt.Errorf("%w: at position %d they predict %d, the answer has %d", ErrAnswer, s.Prompt-1+i, best, id)
		}
	}
	return nil
}

// Unsaturated implements statement.Statement.
func (s *Statement) Unsaturated() bool { return s.NoSaturation }

func inVocabulary(c *circuit.Circuit, id int64) bool {
	return id >= 0 && id < int64(c.Generation.Vocab)
}

// rows is the number of positions from the prompt's last to the last.
func (s *Statement) rows() int { return len(s.Tokens) - s.Prompt + 1 }

// PrivateInput returns what a prover gives for the ids that the statement hides: all tokens of prompt and answer, and pads behind them;
// nil where the input is public.
func PrivateInput(c *circuit.Circuit, tokens []int64) map[int][]int64 {
	g := c.Generation
	if !g.Private {
		return nil
	}
	all := append([]int64(nil), tokens...)
	for len(all) < g.Length {
		all = append(all, g.Pad)
	}
	return map[int][]int64{g.In: all}
}

// Hide returns the public form of a statement whose tokens are all present: itself, unless the circuit's inputs are private.
func (s *Statement) Hide(c *circuit.Circuit) *Statement {
	out := *s
	out.Tokens = append([]int64(nil), s.Tokens...)
	for t := 0; c.Generation.Private && t < min(s.Prompt, len(out.Tokens)); t++ {
		out.Tokens[t] = Hidden
	}
	return &out
}

// Reveal sets Logits to the revealed rows of the model's logits, shape [T, V].
func (s *Statement) Reveal(c *circuit.Circuit, logits *integer.Tensor) {
	s.Logits = append([]int64(nil), logits.V[(s.Prompt-1)*c.Generation.Vocab:len(s.Tokens)*c.Generation.Vocab]...)
}

// Selected returns a_t for every position of the circuit.
func (s *Statement) Selected(c *circuit.Circuit) []bool {
	end := len(s.Tokens) // exclusive
	if c.Generation.Reveal == circuit.Argmax && s.Next == Unclaimed {
		end--
	}
	a := make([]bool, c.Generation.Length)
	for t := s.Prompt - 1; t < end; t++ {
		a[t] = true
	}
	return a
}

// next returns i_t of a selected position; Unclaimed where the statement names no token.
func (s *Statement) next(t int) int64 {
	if t+1 < len(s.Tokens) {
		return s.Tokens[t+1]
	}
	return s.Next
}

// token returns the public token at a position of the circuit: the pad id behind the end.
func (s *Statement) token(c *circuit.Circuit, t int) int64 {
	switch {
	case t >= len(s.Tokens):
		return c.Generation.Pad
	case c.Generation.Private && t < s.Prompt:
		return Hidden
	}
	return s.Tokens[t]
}
