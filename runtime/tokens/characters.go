package tokens

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// characters is a vocabulary whose tokens are single characters.
type characters struct {
	ids      map[rune]int64
	names    map[int64]string
	end, pad int64 // -1: none
	sum      [32]byte
}

// characterFile is what is read of the JSON file; further members are notes for people.
type characterFile struct {
	Tokeniser string           `json:"tokeniser"`
	Vocab     map[string]int64 `json:"vocab"`
	Pad       *int64           `json:"pad_id"`
	End       *string          `json:"end_token"`
}

// parseCharacters reads a JSON vocabulary:
//
//	{"tokeniser": "character", "vocab": {"a": 0, "b": 1, ";": 2}, "pad_id": 3, "end_token": ";"}
//
// pad_id and end_token may be missing.
func parseCharacters(data []byte) (*characters, error) {
	var f characterFile
	if len(data) > MaxFile {
		return nil, fmt.Errorf("%w: %d bytes", ErrVocabulary, len(data))
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrVocabulary, err)
	}
	if f.Tokeniser != "character" {
		return nil, fmt.Errorf("%w: its member \"tokeniser\" is %q, want \"character\"; a tokenizer.json is read where a model was compiled with it", ErrVocabulary, f.Tokeniser)
	}
	if len(f.Vocab) == 0 || len(f.Vocab) > maxTokens {
		return nil, fmt.Errorf("%w: %d tokens", ErrVocabulary, len(f.Vocab))
	}
	c := &characters{ids: map[rune]int64{}, names: map[int64]string{}, end: -1, pad: -1, sum: sha256.Sum256(data)}
	for _, name := range slices.Sorted(maps.Keys(f.Vocab)) { // of several faults always the same is named
		if err := c.add(name, f.Vocab[name]); err != nil {
			return nil, err
		}
	}
	return c, c.marks(f)
}

func (c *characters) add(name string, id int64) error {
	r, n := utf8.DecodeRuneInString(name)
	if n == 0 || n != len(name) || r == utf8.RuneError {
		return fmt.Errorf("%w: the token %q is not one character", ErrVocabulary, name)
	}
	if id < 0 || id >= maxTokens {
		return fmt.Errorf("%w: the token %q has the id %d", ErrVocabulary, name, id)
	}
	if other, ok := c.names[id]; ok {
		return fmt.Errorf("%w: the tokens %q and %q have the same id %d", ErrVocabulary, min(name, other), max(name, other), id)
	}
	c.ids[r], c.names[id] = id, name
	return nil
}

// marks sets the end and pad tokens.
func (c *characters) marks(f characterFile) error {
	if f.End != nil {
		id, ok := f.Vocab[*f.End]
		if !ok {
			return fmt.Errorf("%w: the end token %q is not in it", ErrVocabulary, *f.End)
		}
		c.end = id
	}
	if f.Pad != nil {
		if *f.Pad < 0 || *f.Pad >= maxTokens {
			return fmt.Errorf("%w: the pad id is %d", ErrVocabulary, *f.Pad)
		}
		c.pad = *f.Pad
	}
	return nil
}

// Encode implements Tokenizer.
func (c *characters) Encode(text string) ([]int64, error) { return c.Continue(text) }

// Continue implements Tokenizer.
func (c *characters) Continue(text string) ([]int64, error) {
	ids := make([]int64, 0, len(text))
	for at, r := range text {
		id, ok := c.ids[r]
		if !ok {
			return nil, fmt.Errorf("%w: there is no token for %q at byte %d of %q", ErrText, r, at, text)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// Decode implements Tokenizer. Pad tokens are left out.
func (c *characters) Decode(ids []int64) string {
	var b strings.Builder
	for _, id := range ids {
		if name, ok := c.names[id]; ok {
			b.WriteString(name)
		} else if id != c.pad {
			b.WriteString(unknown(id))
		}
	}
	return b.String()
}

// Size implements Tokenizer. The pad token counts only where it has a name.
func (c *characters) Size() int {
	largest := int64(-1)
	for id := range c.names {
		largest = max(largest, id)
	}
	return int(largest) + 1
}

// End implements Tokenizer.
func (c *characters) End() (int64, bool) { return c.end, c.end >= 0 }

// Pad implements Tokenizer.
func (c *characters) Pad() (int64, bool) { return c.pad, c.pad >= 0 }

// Sum implements Tokenizer.
func (c *characters) Sum() [32]byte { return c.sum }
