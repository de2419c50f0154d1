package proverapp

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// What the prover shows of tokens is what the verifier shows of them, so that neither is taken for the other's mistake: a text in quotes
// only where it stands for its tokens and no others, else every token of its own.

// visible is the text of tokens, quoted since a vocabulary may hold control characters, or the spelled tokens.
func visible(r tokens.Reading) string {
	if r.Canonical {
		return strconv.Quote(r.Text)
	}
	return r.Spelled
}

// reading reads the tokens of a prompt or of an answer. Without a vocabulary they are a list that --tokens takes, and nothing is to be noted.
func (q *question) reading(ids []int64, by func(tokens.Tokenizer, []int64) tokens.Reading) tokens.Reading {
	if q.tokenizer != nil {
		return by(q.tokenizer, ids)
	}
	return tokens.Reading{Spelled: tokens.FormatIDs(ids)}
}

// quoted shows an answer within a line.
func (q *question) quoted(answer []int64) string {
	return visible(q.reading(answer, tokens.ReadAnswer))
}

// one shows a token that the model could continue with. One without a text, as an end token may be, would not be seen in quotes.
func (q *question) one(id int64) string {
	r := q.reading([]int64{id}, tokens.ReadAnswer)
	r.Canonical = r.Canonical && r.Text != ""
	return visible(r)
}

// context shows what the model read before it continued: the prompt and the answer so far.
func (q *question) context(answer []int64) string {
	switch {
	case !q.private:
		return visible(q.reading(append(slices.Clone(q.promptTokens), answer...), tokens.ReadPrompt))
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
	r := q.reading(q.promptTokens, tokens.ReadPrompt)
	fmt.Fprintf(w, "prompt    %s\n", visible(r))
	if q.tokenizer != nil && !r.Canonical {
		fmt.Fprintf(w, `tokens    %s
WARNING   the prompt is not the usual tokenisation of its text: the text alone does not say what was proved, and the
          model may answer that text otherwise. 'verify --prompt TEXT' accepts no tokens but the usual ones.
`, tokens.FormatIDs(q.promptTokens))
	}
}

// showAnswer prints the answer.
func (q *question) showAnswer(w io.Writer, answer []int64) {
	fmt.Fprintf(w, "answer    %s%s\n", q.quoted(answer), q.unfinished(answer))
	if q.spelled(answer) == "" {
		return
	}
	note := "the answer is not the usual tokenisation of its text: the text alone does not say what was proved"
	if end, ends := q.end(); ends && slices.Contains(answer[:len(answer)-1], end) {
		note = "an end token stands inside the answer: the model's answer ends there, and the rest only continues it"
	}
	fmt.Fprintf(w, "tokens    %s\nnote      %s\n", tokens.FormatIDs(answer), note)
}

// spelled is an answer token by token where its text does not stand for its tokens, else "".
func (q *question) spelled(answer []int64) string {
	if r := q.reading(answer, tokens.ReadAnswer); q.tokenizer != nil && !r.Canonical {
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
