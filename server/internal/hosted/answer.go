package hosted

import (
	"context"
	"errors"
	"strings"

	"github.com/zkllmc/zkllmc/internal/answering"
	"github.com/zkllmc/zkllmc/internal/dialogue"
)

// Answer is what the model says to a prompt.
type Answer struct {
	Tokens   []int64
	Text     string // without the end token
	Finished bool   // there was one
}

// Encode returns the tokens of a prompt, as provers and verifiers make them.
func (m *Model) Encode(prompt string) ([]int64, error) {
	switch {
	case !m.Continues():
		return nil, faultf("model", "it computes outputs of inputs and continues no prompts")
	case m.vocab == nil:
		return nil, faultf("prompt", "the model has no tokenizer; give a list of token ids")
	}
	ids, err := dialogue.Prompt(m.f.Shortest(), m.vocab, prompt)
	if err != nil {
		return nil, &Fault{"prompt", err}
	}
	return ids, m.fits("prompt", ids)
}

// Converse returns the tokens of a conversation in JSON, as provers and verifiers make them.
func (m *Model) Converse(messages []byte) ([]int64, error) {
	switch {
	case !m.Continues():
		return nil, faultf("model", "it computes outputs of inputs and continues no prompts")
	case m.vocab == nil:
		return nil, faultf("messages", "the model has no tokenizer; give a list of token ids as a prompt")
	}
	ids, err := dialogue.Messages(m.f.Shortest(), m.vocab, string(messages))
	if err != nil {
		return nil, &Fault{"messages", err}
	}
	return ids, m.fits("messages", ids)
}

// Check refuses what cannot be the tokens of a prompt.
func (m *Model) Check(ids []int64) error {
	if !m.Continues() {
		return faultf("model", "it computes outputs of inputs and continues no prompts")
	}
	known := int64(m.f.Shortest().Generation.Vocab)
	for i, id := range ids {
		if id < 0 || id >= known {
			return faultf("prompt", "token %d is %d, the model knows 0 to %d", i, id, known-1)
		}
	}
	return m.fits("prompt", ids)
}

func (m *Model) fits(param string, ids []int64) error {
	switch most := m.Positions(); {
	case len(ids) == 0:
		return faultf(param, "it is empty")
	case len(ids) > most:
		return faultf(param, "it has %d tokens, the model takes at most %d", len(ids), most)
	}
	return nil
}

// Answer lets the model answer, with at most so many tokens, 0 for any number. said is told what of the text is new with every token; it is
// nil where nobody waits.
func (m *Model) Answer(ctx context.Context, prompt []int64, most int, said func(text string)) (*Answer, error) {
	d, err := m.key.Decode(len(prompt), m.processor)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	l := answering.Limits{Most: most}
	if m.vocab != nil {
		if end, ok := m.vocab.End(); ok {
			l.End = &end
		}
	}
	told := ""
	tell := func(text string) {
		if rest, ok := strings.CutPrefix(text, told); ok && rest != "" && said != nil {
			said(rest)
			told = text
		}
	}
	ids, err := answering.Continue(ctx, d, prompt, l, func(answer []int64) { tell(answering.Settled(m.text(answer, l.End))) })
	if err != nil {
		return nil, err
	}
	a := &Answer{Tokens: ids, Text: m.text(ids, l.End), Finished: l.End != nil && len(ids) > 0 && ids[len(ids)-1] == *l.End}
	tell(a.Text)
	if said != nil && told != a.Text {
		return nil, errors.New("the text that was told while the model answered is not that of the whole answer")
	}
	return a, nil
}

// text is that of an answer; without a vocabulary there is none.
func (m *Model) text(answer []int64, end *int64) string {
	if m.vocab == nil {
		return ""
	}
	if n := len(answer); n > 0 && end != nil && answer[n-1] == *end {
		answer = answer[:n-1]
	}
	return m.vocab.Decode(answer)
}
