package dialogue

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/conversation"
	"github.com/zkllmc/zkllmc/internal/reading"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// Said is what reports of prover and verifier say about prompt and answer.
type Said struct {
	PromptLength  int     `json:"prompt_length"`           // number of the prompt's tokens
	PrivatePrompt bool    `json:"private_prompt"`          // the prompt is hidden
	Prompt        []int64 `json:"prompt_tokens,omitempty"` // the prompt, unless it is private
	Answer        []int64 `json:"answer_tokens,omitempty"` // the answer, unless none is claimed
	Next          *int64  `json:"next_token,omitempty"`    // what revealed logits predict behind the last token
	// the answer ends with the vocabulary's end token; missing where there is no answer or no such token
	Finished  *bool  `json:"finished,omitempty"`
	EndInside bool   `json:"end_inside,omitempty"` // true: an end token stands inside the answer, which ends there
	Texts     *Texts `json:"texts,omitempty"`      // what the tokens say; missing without a vocabulary
}

// Texts is what tokens say, by a vocabulary. The prompt is missing where it is private, the answer where none is claimed.
type Texts struct {
	Tokenizer string         `json:"tokenizer"`        // which tokenizer says so, as in `zkllmc.json`
	Prompt    *PromptReading `json:"prompt,omitempty"` // the prompt, unless it is private
	Answer    *Reading       `json:"answer,omitempty"` // the answer
	Next      *Reading       `json:"next,omitempty"`   // the next token
}

// Reading is a reading.Reading as reports show it. The text is missing where it deceives who takes it for what was asked or told: a prompt
// that the tokenizer would write in other tokens, an answer that goes on behind an end token. The tokens are spelled where they are not
// those that the tokenizer makes of the text.
type Reading struct {
	// the tokens are those that the tokenizer makes of the text, or of the messages
	Canonical bool `json:"canonical"`
	// the text; missing where the tokens are not canonical, of a prompt that is a conversation, and of an answer with an end token inside or
	// that is no UTF-8
	Text    *string         `json:"text,omitempty"`
	Spelled string          `json:"spelled,omitempty"` // token by token, where they are not canonical
	Of      reading.Reading `json:"-"`
}

// PromptReading is a Reading of a prompt. One that is a conversation of several messages has these, and no text.
type PromptReading struct {
	Reading
	// the conversation that the prompt is, of two messages or more
	Messages []conversation.Message `json:"messages,omitempty"`
}

func newPrompt(r reading.Reading) *PromptReading {
	if r.Messages != nil {
		return &PromptReading{Reading{Canonical: true, Of: r}, r.Messages}
	}
	return &PromptReading{Reading: *newReading(r, false)}
}

func newReading(r reading.Reading, tells bool) *Reading {
	out := &Reading{Canonical: r.Canonical, Of: r}
	// Some vocabularies write U+FFFD for what is no UTF-8.
	if r.Canonical || tells && utf8.ValidString(r.Text) && !strings.ContainsRune(r.Text, utf8.RuneError) {
		out.Text = &r.Text
	}
	if !r.Canonical {
		out.Spelled = r.Spelled
	}
	return out
}

// SaidOf reads a statement. The vocabulary may be nil.
func SaidOf(c *circuit.Circuit, vocab tokens.Tokenizer, st *generation.Statement) *Said {
	s := &Said{PromptLength: st.Prompt, PrivatePrompt: c.Generation.Private, Answer: Stated(st)}
	if !c.Generation.Private {
		s.Prompt = st.Tokens[:st.Prompt]
	}
	if next, ok := Predicted(c, st); ok {
		s.Next = &next
	}
	if vocab == nil {
		return s
	}
	if finished, known := Finished(c, vocab, st); known {
		s.Finished = &finished
	}
	s.read(vocab)
	return s
}

// Answered is what is said of an answer that no statement claims.
func Answered(c *circuit.Circuit, vocab tokens.Tokenizer, prompt, answer []int64) *Said {
	s := &Said{PromptLength: len(prompt), PrivatePrompt: c.Generation.Private, Answer: slices.Clone(answer)}
	if !c.Generation.Private {
		s.Prompt = prompt
	}
	if vocab == nil {
		return s
	}
	if end, ok := vocab.End(); ok && len(answer) > 0 {
		finished := answer[len(answer)-1] == end
		s.Finished = &finished
	}
	s.read(vocab)
	return s
}

// read adds the texts.
func (s *Said) read(vocab tokens.Tokenizer) {
	s.Texts = &Texts{Tokenizer: fmt.Sprintf("%x", vocab.Sum())}
	if !s.PrivatePrompt {
		s.Texts.Prompt = newPrompt(reading.Prompt(vocab, s.Prompt))
	}
	if len(s.Answer) > 0 {
		r := reading.Answer(vocab, s.Answer)
		s.Texts.Answer, s.EndInside = newReading(r, !r.EndInside), r.EndInside
	}
	if s.Next != nil {
		s.Texts.Next = newReading(reading.Next(vocab, *s.Next), false)
	}
}
