// Package huggingface reads the tokenizer.json files of the library "tokenizers" and gives the ids that the library gives: its normalizers,
// pre-tokenizers, models, post-processors and decoders, as far as tokenizers of language models have them. What a file asks for beyond that
// is named and refused. Tests compare the two, line by line.
//
// A template makes a chat of a text: what stands before and behind the user's words, and around the messages of a conversation. Messages are
// data there: no special token that is written in them is read as one, so that nobody can forge turns. Without a template a text is what the library takes it
// for, special tokens and all.
package huggingface

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/zkllmc/zkllmc/internal/conversation"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// maxText bounds the bytes of a text.
const maxText = 1 << 17

// maxTokens bounds the ids of a vocabulary, maxWord the bytes of a token: at every place of a text the longest is looked for.
const (
	maxTokens = 1 << 20
	maxWord   = 1 << 12
)

// model turns a word of the normalized text into ids.
type model interface {
	encode(word string) ([]int64, error)
}

// tokenizer is a tokenizer.json with a template. All steps are functions without state, so that it is safe for concurrent use.
type tokenizer struct {
	added         *added
	normalize     func(string) (string, error)
	pretokenize   func([]piece) []piece
	model         model
	decode        func([]string) string
	names         map[int64]string // of all tokens
	unknown       string           // the token for what the model cannot write, or ""
	before, after []int64          // what the post-processor adds to a text
	size          int
	pad           int64 // -1: none
	end           int64 // -1: none
	chat          *chat // nil: texts are prompts as they are
	sum           [32]byte
}

// file is what is read of a tokenizer.json. Truncation is left out: no text is cut without a word.
type file struct {
	Version       string          `json:"version"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         modelFile       `json:"model"`
}

// Parse reads the content of a tokenizer.json and of a template, which may be nil: then texts are prompts as they are, and no token is
// known to end an answer. A template is JSON:
//
//	{"before": "<|im_start|>user\n", "after": "<|im_end|>\n<|im_start|>assistant\n", "end": "<|im_end|>", "trim": false, "marks": []}
//
// The prompt is before, the user's text, after, where special tokens are read in before and after alone; end is the token that ends an
// answer; trim takes white space off the text; marks are strings that the text may not hold, however the tokenizer lets them be spelled, because
// they would read as turns though they are no tokens. All may be missing; without before and after texts are prompts as they are. Two more are for conversations:
//
//	{"answer": {"before": "", "after": "<|im_end|>\n<|im_start|>user\n"}, "system": {"before": "<|im_start|>system\n", "after": "<|im_end|>\n<|im_start|>user\n"}}
//
// answer is what stands around an earlier answer, between after and the user's next text; system what stands around a message of the system,
// in place of before. Without answer there are no earlier turns, without system the only message of the system is one that before holds.
// Errors are tokens.ErrVocabulary.
func Parse(data, template []byte) (tokens.Tokenizer, error) {
	t, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w: tokenizer.json: %w", tokens.ErrVocabulary, err)
	}
	if template != nil {
		if err := t.setTemplate(template); err != nil {
			return nil, templateError{err}
		}
	}
	return t, nil
}

// templateError is a tokens.ErrVocabulary of the template, and none of the tokenizer.json.
type templateError struct{ error }

func (e templateError) Error() string        { return "no template for this tokenizer: " + e.error.Error() }
func (e templateError) Unwrap() error        { return e.error }
func (e templateError) Is(target error) bool { return target == tokens.ErrVocabulary }

func parse(data []byte) (*tokenizer, error) {
	if len(data) > tokens.MaxFile {
		return nil, fmt.Errorf("%d bytes, the limit is %d", len(data), tokens.MaxFile)
	}
	var f file
	if err := strict(data, &f); err != nil {
		return nil, err
	}
	t := &tokenizer{names: map[int64]string{}, pad: -1, end: -1, sum: sha256.Sum256(data)}
	var vocab map[string]int64
	var err error
	if t.model, vocab, t.unknown, err = parseModel(&f.Model); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if err := t.name(vocab, f.AddedTokens); err != nil {
		return nil, err
	}
	if t.normalize, err = parseNormalizer(f.Normalizer); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	if t.pretokenize, err = parsePreTokenizer(f.PreTokenizer); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	if t.before, t.after, err = parsePostProcessor(f.PostProcessor, t.known); err != nil {
		return nil, fmt.Errorf("post_processor: %w", err)
	}
	if t.decode, err = parseDecoder(f.Decoder); err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	if t.pad, err = parsePadding(f.Padding, t.known); err != nil {
		return nil, fmt.Errorf("padding: %w", err)
	}
	t.added, err = t.find(f.AddedTokens)
	return t, err
}

// name fills names and size. The library numbers an added token that the model does not know behind all others; a file that says
// otherwise would be read as another tokenizer than it describes, and is refused.
func (t *tokenizer) name(vocab map[string]int64, added []addedToken) error {
	for word, id := range vocab {
		if err := t.add(word, id); err != nil {
			return err
		}
	}
	next := int64(len(vocab))
	for _, a := range added {
		want, known := vocab[a.Content]
		if !known {
			want = next
			next++
		}
		if a.Content == "" || a.ID != want {
			return fmt.Errorf("the added token %q has the id %d, where the library gives it %d", a.Content, a.ID, want)
		}
		if err := t.add(a.Content, a.ID); err != nil && !known {
			return err
		}
	}
	if t.size == 0 {
		return fmt.Errorf("it has no tokens")
	}
	return nil
}

// add names a token.
func (t *tokenizer) add(word string, id int64) error {
	if id < 0 || id >= maxTokens || len(word) > maxWord {
		return fmt.Errorf("the token %.40q has the id %d and %d bytes", word, id, len(word))
	}
	if other, twice := t.names[id]; twice {
		return fmt.Errorf("the tokens %q and %q have the same id %d", min(word, other), max(word, other), id)
	}
	t.names[id] = word
	t.size = max(t.size, int(id)+1)
	return nil
}

// find makes what finds the added tokens. Those that are looked for in the normalized text have a normal form of their own, and are shown
// so.
func (t *tokenizer) find(all []addedToken) (*added, error) {
	patterns := make([]string, len(all))
	for i, a := range all {
		patterns[i] = a.Content
		if a.Normalized {
			var err error
			if patterns[i], err = t.normalize(a.Content); err != nil {
				return nil, err
			}
			t.names[a.ID] = patterns[i]
		}
	}
	return newAdded(all, patterns), nil
}

// known says whether an id is a token's.
func (t *tokenizer) known(id int64) bool {
	_, ok := t.names[id]
	return ok
}

// Encode implements tokens.Tokenizer: with the template, or with what the post-processor adds.
func (t *tokenizer) Encode(text string) ([]int64, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	if t.chat != nil {
		return t.chat.encode(t, []conversation.Message{{Role: conversation.User, Content: text}})
	}
	ids, err := t.ids(text, nil)
	if err != nil {
		return nil, err
	}
	return slices.Concat(t.before, ids, t.after), nil
}

// Continue implements tokens.Tokenizer. In a chat special tokens are no part of a text.
func (t *tokenizer) Continue(text string) ([]int64, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	if t.chat != nil {
		return t.ids(text, &words{[]stretch{{0, len(text)}}, t.chat.control})
	}
	return t.ids(text, nil)
}

func checkText(text string) error {
	switch {
	case len(text) > maxText:
		return fmt.Errorf("%w: %d bytes, the limit is %d", tokens.ErrText, len(text), maxText)
	case !utf8.ValidString(text):
		return fmt.Errorf("%w: it is not UTF-8", tokens.ErrText)
	}
	return nil
}

// words are the parts of a text that messages hold, in order, in which control tokens are not read as such.
type words struct {
	spans   []stretch
	control map[int64]bool
}

type stretch struct{ from, to int }

// ids is the library's encode without the post-processor.
func (t *tokenizer) ids(text string, w *words) ([]int64, error) {
	var out []int64
	for _, s := range t.added.split(text, w) {
		if s.id >= 0 {
			out = append(out, s.id)
			continue
		}
		normal, err := t.normalize(s.text)
		if err != nil {
			return nil, err
		}
		for _, n := range t.added.splitNormalized(normal) {
			if n.id >= 0 {
				out = append(out, n.id)
				continue
			}
			for _, p := range t.pretokenize([]piece{{n.text, s.first && n.first}}) {
				ids, err := t.model.encode(p.text)
				if err != nil {
					return nil, fmt.Errorf("%w: %w", tokens.ErrText, err)
				}
				out = append(out, ids...)
			}
		}
	}
	return out, nil
}

// Decode implements tokens.Tokenizer: what the library's decode gives with special tokens, less what Encode added, or an end token at the
// end. All other special tokens are seen.
func (t *tokenizer) Decode(ids []int64) string {
	if t.chat != nil {
		if words, ok := t.chat.words(t.text(ids)); ok && t.chat.turnsOf(t, ids).equal(t.chat.turns) {
			return words
		}
	} else if len(ids) >= len(t.before)+len(t.after) && hasPrefix(ids, t.before) && hasSuffix(ids, t.after) {
		ids = ids[len(t.before) : len(ids)-len(t.after)]
	}
	if n := len(ids); n > 0 && t.end >= 0 && ids[n-1] == t.end {
		ids = ids[:n-1]
	}
	return t.text(ids)
}

func hasPrefix(ids, prefix []int64) bool { return slices.Equal(ids[:len(prefix)], prefix) }

func hasSuffix(ids, suffix []int64) bool { return slices.Equal(ids[len(ids)-len(suffix):], suffix) }

// text is the library's decode; an id that is no token's is shown as ⟨id⟩.
func (t *tokenizer) text(ids []int64) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		var ok bool
		if names[i], ok = t.names[id]; !ok {
			names[i] = fmt.Sprintf("⟨%d⟩", id)
		}
	}
	return t.decode(names)
}

// Size implements tokens.Tokenizer.
func (t *tokenizer) Size() int { return t.size }

// End implements tokens.Tokenizer: the template's.
func (t *tokenizer) End() (int64, bool) { return t.end, t.end >= 0 }

// Pad implements tokens.Tokenizer: that of the file's padding.
func (t *tokenizer) Pad() (int64, bool) { return t.pad, t.pad >= 0 }

// Sum implements tokens.Tokenizer: with a template the SHA-256 of both files' SHA-256.
func (t *tokenizer) Sum() [32]byte { return t.sum }

// strict reads JSON into a struct. A member that the struct lacks would change what the file means, and is refused.
func strict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return fmt.Errorf("something follows the JSON value")
	}
	return nil
}

// none says that a part of the file is missing.
func none(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// typeOf returns the type of a part of the file, and refuses parts that are nested too deep.
func typeOf(raw json.RawMessage) (string, error) {
	var t struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &t); err != nil {
		return "", err
	}
	return t.Type, nil
}

// unsupported names what is not read.
func unsupported(kind string) error { return fmt.Errorf("%q is not supported", kind) }
