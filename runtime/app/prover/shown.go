package prover

import (
	"fmt"
	"io"
	"slices"

	"github.com/zkllmc/zkllmc/internal/reading"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// What the prover shows of tokens is what the verifier shows of them, so that neither is taken for the other's mistake: a text in quotes
// only where it stands for its tokens and no others, else every token of its own.

// reading reads the tokens of a prompt or of an answer. Without a vocabulary they are a list that --tokens takes, and nothing is to be
// noted.
func (q *question) reading(ids []int64, by func(tokens.Tokenizer, []int64) reading.Reading) reading.Reading {
	if q.tokenizer != nil {
		return by(q.tokenizer, ids)
	}
	return reading.Reading{Spelled: reading.FormatIDs(ids)}
}

// quoted shows an answer within a line.
func (q *question) quoted(answer []int64) string {
	return q.reading(answer, reading.Answer).Visible()
}

// one shows a token that the model could continue with.
func (q *question) one(id int64) string {
	if q.tokenizer == nil {
		return reading.FormatIDs([]int64{id})
	}
	return reading.Next(q.tokenizer, id).Visible()
}

// context shows what the model read before it continued: the prompt and the answer so far.
func (q *question) context(answer []int64) string {
	switch {
	case !q.private:
		return q.reading(append(slices.Clone(q.promptTokens), answer...), reading.Prompt).Visible()
	case len(answer) == 0:
		return "the private prompt"
	}
	return "the private prompt and " + q.quoted(answer)
}

// showPrompt prints the prompt, or how long it is.
func (q *question) showPrompt(w io.Writer) {
	if q.private {
		fmt.Fprintf(w, "prompt    private, %d tokens\n", len(q.promptTokens))
		return
	}
	r := q.reading(q.promptTokens, reading.Prompt)
	fmt.Fprintf(w, "prompt    %s\n", r.Visible())
	if q.tokenizer != nil && !r.Canonical {
		fmt.Fprintf(w, "tokens    %s\n%s\n", reading.FormatIDs(q.promptTokens), reading.UnusualPrompt)
	}
}

// showAnswer prints the answer.
func (q *question) showAnswer(w io.Writer, answer []int64) {
	fmt.Fprintf(w, "answer    %s%s\n", q.quoted(answer), q.unfinished(answer))
	if q.spelled(answer) != "" {
		fmt.Fprintf(w, "tokens    %s\n%s\n", reading.FormatIDs(answer), reading.Answer(q.tokenizer, answer).AnswerNote())
	}
}

// spelled is an answer token by token where its text does not stand for its tokens, else "".
func (q *question) spelled(answer []int64) string {
	if r := q.reading(answer, reading.Answer); q.tokenizer != nil && !r.Canonical {
		return r.Spelled
	}
	return ""
}

// unfinished is what is said behind an answer that lacks the end token.
func (q *question) unfinished(answer []int64) string {
	if f := q.finished(answer); f != nil && !*f {
		return " (unfinished: no end token)"
	}
	return ""
}
