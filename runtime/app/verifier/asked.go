package verifier

import (
	"errors"
	"flag"
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/conversation"
	"github.com/zkllmc/zkllmc/internal/dialogue"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// question is what the caller asked, and the answer that he was told, for a report.
type question struct {
	of            dialogue.Question
	Prompt        []int64 `json:"prompt_tokens,omitempty"`  // the prompt
	PromptMatches *bool   `json:"prompt_matches,omitempty"` // the proof is about it; missing where no proof holds
	Answer        []int64 `json:"answer_tokens,omitempty"`  // the answer; of a text the usual tokens
	AnswerMatches *bool   `json:"answer_matches,omitempty"` // the proof shows it
}

// given returns those of the flags that say what was asked that were given.
func given(fs *flag.FlagSet) (console.Given, error) {
	given := console.Given{}
	fs.Visit(func(f *flag.Flag) {
		if slices.Contains(console.TextFlags(), f.Name) {
			given[f.Name] = f.Value.String()
		}
	})
	if err := given.Check(); err != nil {
		return nil, console.Usagef("verify: %w", err)
	}
	return given, nil
}

// question encodes what was asked; nil if nothing was.
func (a *app) question(given console.Given, vocab tokens.Tokenizer) (*question, error) {
	if len(given) == 0 || a.c.Generation == nil {
		return nil, nil
	}
	name := given.Flag(console.TextFlag)
	if _, ok := given[name]; ok {
		return nil, console.Usagef("verify: --%s is for models that read a text whole; give --prompt and --answer", name)
	}
	if err := given.Read(a.stdin); err != nil {
		return nil, &console.Failure{Code: console.Unreadable, Err: err}
	}
	var q question
	var err error
	if q.Prompt, err = a.prompt(given, vocab); err != nil {
		return nil, err
	}
	if q.Prompt != nil && a.c.Generation.Private {
		return nil, console.Askedf("verify: %w", dialogue.ErrHidden)
	}
	q.Answer, err = a.ids(given, "answer", "answer-tokens", vocab, dialogue.Answer)
	q.of = dialogue.Question{Prompt: q.Prompt, Answer: q.Answer}
	if text, ok := given["answer"]; ok {
		q.of.Text = &text
	}
	return &q, err
}

// prompt returns the tokens of a prompt or of a conversation; nil if neither was given.
func (a *app) prompt(given console.Given, vocab tokens.Tokenizer) ([]int64, error) {
	if _, ok := given[console.MessagesFlag]; ok {
		return a.ids(given, console.MessagesFlag, "tokens", vocab, dialogue.Messages)
	}
	return a.ids(given, "prompt", "tokens", vocab, dialogue.Prompt)
}

// ids returns the tokens of a text flag or of a list flag; nil if neither was given.
func (a *app) ids(given console.Given, textFlag, listFlag string, vocab tokens.Tokenizer,
	encode func(*circuit.Circuit, tokens.Tokenizer, string) ([]int64, error)) ([]int64, error) {
	text, isText := given[textFlag]
	list, isList := given[listFlag]
	name := textFlag
	var ids []int64
	var err error
	switch {
	case isList:
		name = listFlag
		ids, err = dialogue.IDs(a.c, list)
	case !isText:
		return nil, nil
	case vocab == nil:
		return nil, console.Usagef("verify: --%s needs a vocabulary, and none was compiled in: give --vocab FILE, or token ids with --%s", given.Flag(textFlag), listFlag)
	default:
		ids, err = encode(a.c, vocab, text)
	}
	switch {
	case errors.Is(err, conversation.ErrNone): // a file of another kind
		return nil, console.Unusable(fmt.Errorf("verify: --%s: %w", given.Flag(name), err))
	case err != nil:
		return nil, console.Askedf("verify: --%s: %w", given.Flag(name), err)
	}
	return ids, nil
}

// compare rejects a proof, though it holds, of something else than was asked.
func compare(r *verifyReport, st *generation.Statement, vocab tokens.Tokenizer) error {
	q := r.Asked
	if q == nil {
		return nil
	}
	if q.Prompt != nil {
		matches := q.of.SamePrompt(st)
		q.PromptMatches = &matches
	}
	if q.Answer != nil {
		matches := q.of.SameAnswer(r.c, vocab, st)
		q.AnswerMatches = &matches
	}
	err := q.of.Compare(r.c, vocab, st)
	switch {
	case errors.Is(err, dialogue.ErrPrompt):
		return &console.Failure{Code: console.Rejected, Class: "prompt mismatch", Err: err}
	case errors.Is(err, dialogue.ErrAnswer):
		return &console.Failure{Code: console.Rejected, Class: "answer mismatch", Err: err}
	}
	return err
}
