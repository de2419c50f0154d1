package verifierapp

import (
	"fmt"

	"github.com/zkllmc/zkllmc/runtime/asked"
	"github.com/zkllmc/zkllmc/runtime/statement"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// texts is what the tokens of a statement say, by a vocabulary. The prompt is missing where it is hidden, the answer where none is claimed.
type texts struct {
	Prompt *reading `json:"prompt,omitempty"`
	Answer *reading `json:"answer,omitempty"`
	Next   *reading `json:"next,omitempty"`
}

// reading is a tokens.Reading as reports show it. A text that is not canonical is left out, since who takes it for what was asked is
// deceived; the tokens are spelled instead.
type reading struct {
	Canonical bool    `json:"canonical"`
	Text      *string `json:"text,omitempty"`
	Spelled   string  `json:"spelled,omitempty"`
	of        tokens.Reading
}

func newReading(r tokens.Reading) *reading {
	if r.Canonical {
		return &reading{Canonical: true, Text: &r.Text, of: r}
	}
	return &reading{Spelled: r.Spelled, of: r}
}

// describe notes what a statement says.
func (a *app) describe(st *statement.Statement, vocab tokens.Tokenizer, r *verifyReport) {
	r.Prompt, r.Answer = st.Tokens[:st.Prompt], asked.Stated(st)
	if next, ok := asked.Predicted(a.m.Circuit, st); ok {
		r.Next = &next
	}
	if vocab == nil {
		return
	}
	if finished, known := asked.Finished(a.m.Circuit, vocab, st); known {
		r.Finished = &finished
	}
	r.Texts = &texts{}
	if !hidden(r.Prompt) {
		r.Texts.Prompt = newReading(tokens.ReadPrompt(vocab, r.Prompt))
	}
	if len(r.Answer) > 0 {
		answer := tokens.ReadAnswer(vocab, r.Answer)
		r.Texts.Answer, r.EndInside = newReading(answer), answer.EndInside
	}
	if r.Next != nil {
		r.Texts.Next = newReading(tokens.ReadNext(vocab, *r.Next))
	}
}

// shown is what an accepted proof shows. It is about tokens: the texts are how people read them.
func (r *verifyReport) shown() string {
	prompt := "the prompt's tokens"
	if hidden(r.Prompt) {
		prompt = fmt.Sprintf("some prompt of %d tokens", len(r.Prompt))
	}
	if len(r.Answer) == 0 {
		return "the proof shows the model's logits behind " + prompt
	}
	return "the proof shows that the model continues " + prompt + " with the answer's tokens"
}

func hidden(prompt []int64) bool { return len(prompt) > 0 && prompt[0] == statement.Hidden }

// showTexts prints what the statement says.
func (a *app) showTexts(r *verifyReport) {
	a.showPrompt(r)
	a.showAnswer(r)
	if r.Next == nil {
		return
	}
	next := fmt.Sprint(*r.Next)
	if r.Texts != nil {
		next = r.Texts.Next.of.Visible()
	}
	fmt.Fprintf(a.stdout, "next      %s, as the revealed logits predict\n", next)
}

func (a *app) showPrompt(r *verifyReport) {
	switch asked := matched(r.Asked != nil && r.Asked.PromptMatches != nil, ", as asked"); {
	case hidden(r.Prompt):
		fmt.Fprintf(a.stdout, "prompt    private, %d tokens\n", len(r.Prompt))
	case r.Texts == nil:
		fmt.Fprintf(a.stdout, "prompt    %s%s\n", tokens.FormatIDs(r.Prompt), asked)
	default:
		fmt.Fprintf(a.stdout, "prompt    %s%s\n", r.Texts.Prompt.of.Visible(), asked)
		if !r.Texts.Prompt.Canonical {
			fmt.Fprintf(a.stdout, "tokens    %s\n%s\n", tokens.FormatIDs(r.Prompt), tokens.UnusualPrompt)
		}
	}
}

func (a *app) showAnswer(r *verifyReport) {
	if len(r.Answer) == 0 {
		fmt.Fprintln(a.stdout, "answer    none is claimed")
		return
	}
	text := tokens.FormatIDs(r.Answer)
	if r.Texts != nil {
		text = r.Texts.Answer.of.Visible()
	}
	if r.Finished != nil && !*r.Finished {
		text += " (unfinished: no end token)"
	}
	fmt.Fprintf(a.stdout, "answer    %s%s\n", text, matched(r.Asked != nil && r.Asked.AnswerMatches != nil, ", as told"))
	if r.Texts == nil || r.Texts.Answer.Canonical {
		return
	}
	fmt.Fprintf(a.stdout, "tokens    %s\n%s\n", tokens.FormatIDs(r.Answer), r.Texts.Answer.of.AnswerNote())
}

// matched is said behind what was compared with the command line; who reads it knows that a mismatch is rejected.
func matched(compared bool, remark string) string {
	if compared {
		return remark
	}
	return ""
}
