package verifier

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/portfile"
	"github.com/zkllmc/zkllmc/internal/reading"
)

// shown is what an accepted proof shows. It is about tokens: the texts are how people read them.
func (r *verifyReport) shown() string {
	if r.Ports != nil {
		return "the proof shows that " + claim(r.Ports)
	}
	prompt := "the prompt's tokens"
	if r.PrivatePrompt {
		prompt = fmt.Sprintf("some prompt of %d tokens", r.PromptLength)
	}
	if len(r.Answer) == 0 {
		return "the proof shows the model's logits behind " + prompt
	}
	return "the proof shows that the model continues " + prompt + " with the answer's tokens"
}

// claim is what the statement of a function says, but for the values.
func claim(ports []portfile.Report) string {
	var hidden []string
	shows := false
	for _, p := range ports {
		switch {
		case p.Side != "input":
		case p.Values == nil:
			hidden = append(hidden, p.Name)
		default:
			shows = true
		}
	}
	return portfile.Claim(hidden, shows)
}

// showTexts prints what the statement says.
func (a *app) showTexts(r *verifyReport) {
	a.showPrompt(r)
	a.showAnswer(r)
	if r.Next == nil {
		return
	}
	next := fmt.Sprint(*r.Next)
	if r.Texts != nil {
		next = r.Texts.Next.Of.Visible()
	}
	fmt.Fprintf(a.stdout, "next      %s, as the revealed logits predict\n", next)
}

func (a *app) showPrompt(r *verifyReport) {
	switch asked := matched(r.Asked != nil && r.Asked.PromptMatches != nil, ", as asked"); {
	case r.PrivatePrompt:
		fmt.Fprintf(a.stdout, "prompt    private, %d tokens\n", r.PromptLength)
	case r.Texts == nil:
		fmt.Fprintf(a.stdout, "prompt    %s%s\n", reading.FormatIDs(r.Prompt), asked)
	default:
		fmt.Fprintf(a.stdout, "prompt    %s%s\n", r.Texts.Prompt.Of.Visible(), asked)
		if !r.Texts.Prompt.Canonical {
			fmt.Fprintf(a.stdout, "tokens    %s\n%s\n", reading.FormatIDs(r.Prompt), reading.UnusualPrompt)
		}
	}
}

func (a *app) showAnswer(r *verifyReport) {
	if len(r.Answer) == 0 {
		fmt.Fprintln(a.stdout, "answer    none is claimed")
		return
	}
	text := reading.FormatIDs(r.Answer)
	if r.Texts != nil {
		text = r.Texts.Answer.Of.Visible()
	}
	if r.Finished != nil && !*r.Finished {
		text += " (unfinished: no end token)"
	}
	fmt.Fprintf(a.stdout, "answer    %s%s\n", text, matched(r.Asked != nil && r.Asked.AnswerMatches != nil, ", as told"))
	if r.Texts == nil || r.Texts.Answer.Canonical {
		return
	}
	fmt.Fprintf(a.stdout, "tokens    %s\n%s\n", reading.FormatIDs(r.Answer), r.Texts.Answer.Of.AnswerNote())
}

// matched is said behind what was compared with the command line; who reads it knows that a mismatch is rejected.
func matched(compared bool, remark string) string {
	if compared {
		return remark
	}
	return ""
}
