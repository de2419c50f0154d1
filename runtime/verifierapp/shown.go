package verifierapp

import (
	"fmt"
	"strconv"

	"github.com/zkllmc/zkllmc/runtime/circuit"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// answer returns the tokens that the statement says the model gave: those behind the prompt, and the next one if it is claimed.
func answer(st *statement.Statement) []int64 {
	out := append([]int64(nil), st.Tokens[st.Prompt:]...)
	if st.Next != statement.Unclaimed {
		out = append(out, st.Next)
	}
	return out
}

// describe notes what a statement says.
func (a *app) describe(st *statement.Statement, vocab tokens.Tokenizer, r *verifyReport) {
	r.Prompt, r.Answer = st.Tokens[:st.Prompt], answer(st)
	if c := a.m.Circuit; c.Reveal == circuit.RevealLogits {
		next := statement.Argmax(st.Logits[len(st.Logits)-c.Vocab:])
		r.Next = &next
	}
	if vocab == nil {
		return
	}
	r.Finished = a.finished(st, vocab, r)
	r.Texts = &texts{Answer: vocab.Decode(r.Answer)}
	if !hidden(r.Prompt) {
		r.Texts.Prompt = vocab.Decode(r.Prompt)
	}
	if r.Next != nil {
		r.Texts.Next = vocab.Decode([]int64{*r.Next})
	}
}

// finished says whether the answer ends with the vocabulary's end token; nil where none is known or nothing is claimed. Behind the
// last position of a circuit that reveals logits, the answer's last token is the one that they predict.
func (a *app) finished(st *statement.Statement, vocab tokens.Tokenizer, r *verifyReport) *bool {
	end, ok := vocab.End()
	if !ok || len(r.Answer) == 0 {
		return nil
	}
	last := r.Answer[len(r.Answer)-1]
	f := last == end || r.Next != nil && len(st.Tokens) == a.m.Circuit.Length && *r.Next == end
	return &f
}

// shown is what an accepted proof shows.
func (r *verifyReport) shown() string {
	if hidden(r.Prompt) {
		return fmt.Sprintf("the model gives this answer to some prompt of %d tokens", len(r.Prompt))
	}
	return "the proof shows that the model gives this answer"
}

func hidden(prompt []int64) bool { return len(prompt) > 0 && prompt[0] == statement.Hidden }

// showTexts prints what the statement says. Texts are quoted: a vocabulary may hold control characters.
func (a *app) showTexts(r *verifyReport) {
	prompt, answer, next := fmt.Sprint(r.Prompt), fmt.Sprint(r.Answer), ""
	if r.Next != nil {
		next = fmt.Sprint(*r.Next)
	}
	if r.Texts != nil {
		prompt, answer, next = strconv.Quote(r.Texts.Prompt), strconv.Quote(r.Texts.Answer), strconv.Quote(r.Texts.Next)
	}
	if hidden(r.Prompt) {
		prompt = fmt.Sprintf("private, %d tokens", len(r.Prompt))
	}
	if len(r.Answer) == 0 {
		answer = "none is claimed"
	}
	if r.Finished != nil && !*r.Finished {
		answer += " (unfinished: no end token)"
	}
	fmt.Fprintf(a.stdout, "prompt    %s\nanswer    %s\n", prompt, answer)
	if r.Next != nil {
		fmt.Fprintf(a.stdout, "next      %s, as the revealed logits predict\n", next)
	}
}
