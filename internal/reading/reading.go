// Package reading says what token ids say to a person, and where a text stands for its ids. Command lines and reports show ids so; what is
// proved is about ids.
package reading

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/zkllmc/zkllmc/internal/conversation"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// Reading is what token ids say to a person. Decode alone does not tell: it leaves out pad and start tokens, and one text of byte pairs
// has many tokenisations. Only a canonical text stands for its ids, and for no others.
type Reading struct {
	Text      string // as Decode writes it
	Canonical bool   // the tokenizer makes of the text these ids again
	Spelled   string // token by token, as Spell writes it
	EndInside bool   // of an answer: an end token stands before its last one
	// Messages are the conversation that a prompt is, where the tokenizer makes of it these ids again. It has no text then: Text is what Decode
	// makes of it, in which turns are not told from what messages hold.
	Messages []conversation.Message
}

// What is said beside a reading that is not canonical: of a prompt, of an answer, and of one that goes on behind an end token.
const (
	UnusualPrompt = `WARNING   the prompt is not the usual tokenisation of its text: the text alone does not say what was proved, and the
          model may answer that text otherwise. 'verify --prompt TEXT' accepts no tokens but the usual ones.`
	unusualAnswer = "note      the answer is not the usual tokenisation of its text: the text alone does not say what was proved"
	endInside     = "note      an end token stands inside the answer: the model's answer ends there, and the rest only continues it"
)

// Visible is the text or the messages, quoted since a vocabulary may hold control characters, or the spelled tokens.
func (r Reading) Visible() string {
	if r.Messages != nil {
		return conversation.Line(r.Messages)
	}
	if r.Canonical {
		return strconv.Quote(r.Text)
	}
	return r.Spelled
}

// AnswerNote is what is said beside an answer that is not canonical.
func (r Reading) AnswerNote() string {
	if r.EndInside {
		return endInside
	}
	return unusualAnswer
}

// Next reads a token that the model could continue with. One without a text, as an end token may be, would not be seen in quotes.
func Next(t tokens.Tokenizer, id int64) Reading {
	r := Answer(t, []int64{id})
	r.Canonical = r.Canonical && r.Text != ""
	return r
}

// Prompt reads ids that begin a sequence: canonical are those of Encode, and those of a conversation.
func Prompt(t tokens.Tokenizer, ids []int64) Reading {
	r := Reading{Text: t.Decode(ids), Spelled: Spell(t, ids)}
	if r.Canonical = makes(t.Encode, r.Text, ids); !r.Canonical {
		r.Messages = conversation.Of(t, ids)
		r.Canonical = r.Messages != nil
	}
	return r
}

// Answer reads ids that follow a prompt: canonical are those of Continue, with or without the end token behind them. An end token
// anywhere else is not canonical, even where it has a character of its own: what follows it is no part of the answer it ends.
func Answer(t tokens.Tokenizer, ids []int64) Reading {
	body := ids
	end, ends := t.End()
	if n := len(ids); ends && n > 0 && ids[n-1] == end {
		body = ids[:n-1]
	}
	r := Reading{Text: t.Decode(ids), Spelled: Spell(t, ids), EndInside: ends && slices.Contains(body, end)}
	r.Canonical = !r.EndInside && makes(t.Continue, t.Decode(body), body)
	return r
}

// makes says whether an encoding takes a text to ids. Text that is not UTF-8, as of a token that is half a character, does not count:
// JSON cannot hold it.
func makes(encode func(string) ([]int64, error), text string, ids []int64) bool {
	if !utf8.ValidString(text) {
		return false
	}
	got, err := encode(text)
	return err == nil && slices.Equal(got, ids)
}

// Spell writes every token so that it is seen: its text in quotes where Continue makes this very token of it, else ⟨id⟩. End and pad
// tokens are always written as ⟨id⟩. Different ids are spelled differently.
func Spell(t tokens.Tokenizer, ids []int64) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = fmt.Sprintf("⟨%d⟩", id)
		one := []int64{id}
		if text := t.Decode(one); !control(t, id) && makes(t.Continue, text, one) {
			out[i] = strconv.Quote(text)
		}
	}
	return strings.Join(out, " ")
}

// control says whether a token ends an answer or fills up a sequence.
func control(t tokens.Tokenizer, id int64) bool {
	end, ends := t.End()
	pad, pads := t.Pad()
	return ends && id == end || pads && id == pad
}

// ParseIDs reads a list such as "1,2,3".
func ParseIDs(list string) ([]int64, error) {
	var ids []int64
	for s := range strings.SplitSeq(list, ",") {
		id, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no token id", s)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// FormatIDs writes a list that ParseIDs reads.
func FormatIDs(ids []int64) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = strconv.FormatInt(id, 10)
	}
	return strings.Join(out, ",")
}
