package huggingface

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// templateFile is a template; see Parse.
type templateFile struct {
	Before string   `json:"before"`
	After  string   `json:"after"`
	End    string   `json:"end"`
	Trim   bool     `json:"trim"`
	Marks  []string `json:"marks"`
}

// maxTemplate bounds what a template adds to a text, in bytes.
const maxTemplate = 1 << 14

// chat makes a prompt of a user's words.
type chat struct {
	templateFile
	control        map[int64]bool // tokens that make turns: special ones, and those in before and after
	turns          []int64        // the control tokens of every prompt, in order
	prefix, suffix string         // what Decode shows before and behind the user's words
}

func (t *tokenizer) setTemplate(data []byte) error {
	var f templateFile
	if len(data) > 4*maxTemplate {
		return fmt.Errorf("%d bytes, the limit is %d", len(data), 4*maxTemplate)
	}
	if err := strict(data, &f); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	t.sum = sha256.Sum256(slices.Concat(t.sum[:], sum[:]))
	if len(f.Before)+len(f.After) > maxTemplate || slices.Contains(f.Marks, "") {
		return fmt.Errorf("before and after have more than %d bytes, or a mark is empty", maxTemplate)
	}
	if f.End != "" {
		if t.end = t.idOf(f.End); t.end < 0 {
			return fmt.Errorf("its end %q is no token", f.End)
		}
	}
	if f.Before == "" && f.After == "" {
		if f.Trim || f.Marks != nil {
			return fmt.Errorf("without before and after there is nothing to trim or to mark")
		}
		return nil
	}
	return t.setChat(f)
}

// idOf returns the id of a token, −1 if there is none.
func (t *tokenizer) idOf(name string) int64 {
	for id, n := range t.names {
		if n == name {
			return id
		}
	}
	return -1
}

// setChat finds the control tokens, and what is shown around the words: what the prompts of two words have in common.
func (t *tokenizer) setChat(f templateFile) error {
	c := &chat{templateFile: f, control: map[int64]bool{}}
	for _, a := range t.added.tokens {
		if a.Special && a.Content != t.unknown {
			c.control[a.ID] = true
		}
	}
	for _, literal := range [...]string{f.Before, f.After} {
		for _, s := range t.added.split(literal, nil) {
			if s.id >= 0 && trimLeft(t.names[s.id]) != "" { // white space, a token of its own in some, is no turn
				c.control[s.id] = true
			}
		}
	}
	if t.end >= 0 {
		c.control[t.end] = true
	}
	var shown [2]string
	for i, words := range [...]string{"a", "b"} {
		ids, err := c.ids(t, words)
		if err != nil {
			return err
		}
		shown[i], c.turns = t.text(ids), c.only(ids)
	}
	n := 0
	for n < min(len(shown[0]), len(shown[1])) && shown[0][n] == shown[1][n] {
		n++
	}
	c.prefix = shown[0][:n]
	c.suffix = shown[0][min(n+1, len(shown[0])):]
	t.chat = c
	return nil
}

// ids encodes a prompt. The library reads before, words and after as one text, and so is it read here; but what the words hold is no
// control token.
func (c *chat) ids(t *tokenizer, text string) ([]int64, error) {
	from := len(c.Before)
	return t.ids(c.Before+text+c.After, &words{from, from + len(text), c.control})
}

// only returns the control tokens among others.
func (c *chat) only(ids []int64) (out []int64) {
	for _, id := range ids {
		if c.control[id] {
			out = append(out, id)
		}
	}
	return out
}

// encode encodes a user's words. However a model makes its tokens: if there are other turns than in every prompt, the words are refused.
func (c *chat) encode(t *tokenizer, text string) ([]int64, error) {
	if c.Trim {
		text = strings.TrimFunc(text, func(r rune) bool { return isSpace(r) || r >= 0x1c && r <= 0x1f }) // as Python's strip, in whose templates it stands
	}
	for _, mark := range c.Marks {
		if strings.Contains(text, mark) {
			return nil, fmt.Errorf("%w: it holds %q, with which the chat's template marks turns", tokens.ErrText, mark)
		}
	}
	ids, err := c.ids(t, text)
	if err == nil && !slices.Equal(c.only(ids), c.turns) {
		err = fmt.Errorf("%w: it would be read as turns of the chat", tokens.ErrText)
	}
	return ids, err
}

// words takes off what a prompt shows around the user's words; ok says that it was there.
func (c *chat) words(text string) (words string, ok bool) {
	words, before := strings.CutPrefix(text, c.prefix)
	words, after := strings.CutSuffix(words, c.suffix)
	return words, before && after
}
