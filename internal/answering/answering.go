// Package answering lets a language model answer, token by token, and makes the statement that is proved of it: the one way of a prover's
// command line and of a server.
package answering

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/engine"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// Limits say where an answer ends, if not at the longest circuit's length.
type Limits struct {
	Most int    // tokens; 0: any number
	End  *int64 // behind this token, which belongs to the answer; nil: there is none
}

// Continue lets the model answer a prompt, greedily: each token is the model's best. The decoding begins with the shortest circuit that
// holds the prompt and moves on to the next when that is full: nobody knows beforehand how long an answer becomes, and a proof costs what
// its circuit holds. said is told the answer so far with every token.
func Continue(ctx context.Context, d *engine.Decoding, prompt []int64, l Limits, said func(answer []int64)) ([]int64, error) {
	room := d.Longest().Generation.Length - len(prompt) + 1
	if l.Most > 0 {
		room = min(room, l.Most)
	}
	var answer []int64
	var err error
	most := 1 // of guesses at a time: more and more as long as all are right
	for next := prompt; len(answer) < room; next = answer[len(answer)-1:] {
		before, n := d.Circuit(), 0
		guesses := l.allowed(guess(slices.Concat(prompt, answer), min(most, room-len(answer)-1, before.Generation.Length-len(prompt)-len(answer))))
		if n, err = d.Guess(ctx, next, guesses); err != nil {
			return nil, err
		}
		if d.Circuit() != before {
			if answer, err = agreed(ctx, d, len(prompt), answer); err != nil {
				return nil, err
			}
		}
		if most = max(1, n); n == len(guesses) {
			most = min(2*n+1, mostGuesses)
		}
		for _, id := range append(guesses[:n:n], Best(d, len(prompt)+len(answer)+n-1)) {
			answer = append(answer, id)
			said(answer)
		}
		if l.End != nil && answer[len(answer)-1] == *l.End {
			break
		}
	}
	return answer, nil
}

const (
	mostGuesses = 15 // at a time
	remembered  = 3  // of a text's last tokens, which are looked for where they stood before
)

// guess is at most so many tokens that a text may continue with: those that came next where its last tokens stood before, as many of these
// as can be found, the last time. They cost little, and what a model says again is right.
func guess(text []int64, most int) []int64 {
	best, end := 0, 0
	for at := len(text) - 1; at > 0 && most > 0 && best < remembered; at-- {
		n := 0
		for n < min(remembered, at) && text[at-1-n] == text[len(text)-1-n] {
			n++
		}
		if n > best {
			best, end = n, at
		}
	}
	if best == 0 {
		return nil
	}
	// What is guessed may be guessed from: a text that goes round in circles goes on so.
	guesses, period := make([]int64, most), len(text)-end
	for i := range guesses {
		guesses[i] = text[end+i%period]
	}
	return guesses
}

// allowed are the guesses before one that would end the answer: nothing is read behind it.
func (l *Limits) allowed(guesses []int64) []int64 {
	if l.End != nil {
		if i := slices.Index(guesses, *l.End); i >= 0 {
			return guesses[:i]
		}
	}
	return guesses
}

// Best is what the model continues with after a position.
func Best(d *engine.Decoding, position int) int64 {
	v := d.Circuit().Generation.Vocab
	return statement.Argmax(d.Logits()[position*v : (position+1)*v])
}

// Confirm lets a decoding read a prompt with its answer, and returns the statement about them and how many of the answer's tokens, from the
// first on, are what the model continues with.
func Confirm(ctx context.Context, d *engine.Decoding, prompt, answer []int64) (st *generation.Statement, right int, err error) {
	st = Claim(d.Circuit(), prompt, answer)
	if err := d.Next(ctx, st.Tokens...); err != nil {
		return nil, 0, err
	}
	return st, confirmed(d, len(prompt), answer), nil
}

// confirmed is how many tokens of an answer, from the first on, are what the model continues with.
func confirmed(d *engine.Decoding, prompt int, answer []int64) int {
	for i, id := range answer {
		if Best(d, prompt-1+i) != id {
			return i
		}
	}
	return len(answer)
}

// agreed returns as much of an answer as the circuit gives that a decoding has moved on to, and takes the rest back: the proof will be
// about this circuit. That of a family compiled together is all of it.
func agreed(ctx context.Context, d *engine.Decoding, prompt int, answer []int64) ([]int64, error) {
	if right := confirmed(d, prompt, answer); right < len(answer) {
		return answer[:right], d.Cut(ctx, prompt+right)
	}
	return answer, nil
}

// Claim returns the statement that the model answers a prompt so, without logits. A token that finds no position is claimed as the
// next one; where logits are revealed they say it themselves.
func Claim(c *circuit.Circuit, prompt, answer []int64) *generation.Statement {
	all := append(append([]int64(nil), prompt...), answer...)
	st := &generation.Statement{Tokens: all, Prompt: len(prompt), Next: generation.Unclaimed}
	if len(all) > c.Generation.Length {
		if c.Generation.Reveal == circuit.Argmax {
			st.Next = all[c.Generation.Length]
		}
		st.Tokens = all[:c.Generation.Length]
	}
	return st
}

// Lacks says whether a statement reveals logits that the decoding has not computed yet.
func Lacks(d *engine.Decoding, st *generation.Statement) bool {
	g := d.Circuit().Generation
	return g.Reveal == circuit.Values && len(d.Logits()) < len(st.Tokens)*g.Vocab
}

// Reveal adds the logits that statements of the circuit reveal, and lets the decoding read what of the text it has not read for them.
func Reveal(ctx context.Context, d *engine.Decoding, st *generation.Statement) error {
	g := d.Circuit().Generation
	if g.Reveal != circuit.Values {
		return nil
	}
	if Lacks(d, st) {
		if err := d.Next(ctx, st.Tokens[len(d.Logits())/g.Vocab:]...); err != nil {
			return err
		}
	}
	st.Logits = slices.Clone(d.Logits()[(st.Prompt-1)*g.Vocab:])
	return nil
}

// Settled is as much of the text of a beginning as the next token does not change: all but a character of which a token holds a part only,
// written as its bytes, or as the character that stands for what is none.
func Settled(text string) string {
	text = strings.TrimRight(text, string(utf8.RuneError))
	for k := 1; k < utf8.UTFMax && k <= len(text); k++ {
		if tail := text[len(text)-k:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRuneInString(tail) {
				text = text[:len(text)-k]
			}
			break
		}
	}
	return text
}
