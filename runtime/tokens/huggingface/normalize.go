package huggingface

import (
	"encoding/json"
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// maxSteps bounds the parts of a sequence, and of sequences within.
const maxSteps = 64

// What normalizers may make of a text: maxContent bounds the bytes of a replacement, maxNormal those of a text after each step.
const (
	maxContent = 64
	maxNormal  = 16 * maxText
)

// forms are the normalizers without parameters.
var forms = map[string]func(string) string{
	"NFC": normalForm(norm.NFC), "NFD": normalForm(norm.NFD), "NFKC": normalForm(norm.NFKC), "NFKD": normalForm(norm.NFKD),
	"Lowercase":    lower,
	"StripAccents": func(s string) string { return without(s, accent.has) },
}

// normalizerFile holds the parameters of all kinds.
type normalizerFile struct {
	Type          string            `json:"type"`
	Normalizers   []json.RawMessage `json:"normalizers"` // Sequence
	Pattern       json.RawMessage   `json:"pattern"`     // Replace
	Content       string            `json:"content"`     // Replace
	Prepend       string            `json:"prepend"`     // Prepend
	StripLeft     bool              `json:"strip_left"`  // Strip
	StripRight    bool              `json:"strip_right"` // Strip
	CleanText     bool              `json:"clean_text"`  // BertNormalizer
	HandleChinese bool              `json:"handle_chinese_chars"`
	StripAccents  *bool             `json:"strip_accents"`
	Lowercase     bool              `json:"lowercase"`
	Charsmap      string            `json:"precompiled_charsmap"` // Precompiled, in base64
}

// parseNormalizer returns what turns a text into its normalized form.
func parseNormalizer(raw json.RawMessage) (func(string) (string, error), error) {
	steps, err := flatten(raw, "normalizers")
	if err != nil {
		return nil, err
	}
	var parts []func(string) string
	for _, step := range steps {
		part, err := normalizer(step)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return func(s string) (string, error) {
		for _, f := range parts {
			if s = f(s); len(s) > maxNormal {
				return "", fmt.Errorf("%w: its normal form has more than %d bytes", tokens.ErrText, maxNormal)
			}
		}
		return s, nil
	}, nil
}

func normalizer(raw json.RawMessage) (func(string) string, error) {
	var f normalizerFile
	if kind, err := typeOf(raw); err != nil || !known(kind, forms, "Replace", "Prepend", "Strip", "BertNormalizer", "Precompiled") {
		return nil, refused(err, kind)
	}
	if err := strict(raw, &f); err != nil {
		return nil, err
	}
	switch f.Type {
	case "Replace":
		return replacement(f.Pattern, f.Content)
	case "Prepend":
		if len(f.Prepend) > maxContent {
			return nil, fmt.Errorf("it prepends %d bytes, the limit is %d", len(f.Prepend), maxContent)
		}
		return func(s string) string {
			if s == "" {
				return s
			}
			return f.Prepend + s
		}, nil
	case "Strip":
		return func(s string) string {
			if f.StripLeft {
				s = trimLeft(s)
			}
			if f.StripRight {
				s = trimRight(s)
			}
			return s
		}, nil
	case "BertNormalizer":
		return f.bert, nil
	case "Precompiled":
		m, err := newCharsmap(f.Charsmap)
		if err != nil {
			return nil, err
		}
		return m.normalize, nil
	}
	return forms[f.Type], nil
}

// replacement is the normalizer and decoder Replace.
func replacement(raw json.RawMessage, content string) (func(string) string, error) {
	p, err := parsePattern(raw)
	if err != nil {
		return nil, err
	}
	if len(content) > maxContent {
		return nil, fmt.Errorf("a replacement of %d bytes, the limit is %d", len(content), maxContent)
	}
	return func(s string) string {
		if p.expr == nil {
			return strings.ReplaceAll(s, p.literal, content)
		}
		var b strings.Builder
		done := 0
		for _, m := range p.matches(s) {
			b.WriteString(s[done:m[0]])
			b.WriteString(content)
			done = m[1]
		}
		b.WriteString(s[done:])
		return b.String()
	}, nil
}

// bert is BERT's normalizer.
func (f *normalizerFile) bert(s string) string {
	if f.CleanText {
		s = strings.Map(func(r rune) rune {
			switch {
			case cleaned(r):
				return -1
			case isSpace(r):
				return ' '
			}
			return r
		}, s)
	}
	if f.HandleChinese {
		var b strings.Builder
		for _, r := range s {
			if isChinese(r) {
				b.WriteString(" " + string(r) + " ")
			} else {
				b.WriteRune(r)
			}
		}
		s = b.String()
	}
	if f.StripAccents == nil && f.Lowercase || f.StripAccents != nil && *f.StripAccents {
		s = without(forms["NFD"](s), bertAccent.has)
	}
	if f.Lowercase {
		s = lower(s)
	}
	return s
}

// cleaned says whether BERT's normalizer drops a character.
func cleaned(r rune) bool {
	return r != '\t' && r != '\n' && r != '\r' && (r == 0 || r == 0xfffd || control.has(r))
}

func without(s string, drop func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if drop(r) {
			return -1
		}
		return r
	}, s)
}

// flatten returns the steps of a part of the file: none, itself, or those of a sequence, whose steps are the named member, and of the
// sequences in it.
func flatten(raw json.RawMessage, member string) ([]json.RawMessage, error) {
	var steps []json.RawMessage
	waiting := []json.RawMessage{raw}
	for n := 0; len(waiting) > 0; n++ {
		next := waiting[0]
		waiting = waiting[1:]
		if none(next) {
			continue
		}
		kind, err := typeOf(next)
		if err != nil {
			return nil, err
		}
		if kind != "Sequence" {
			steps = append(steps, next)
			continue
		}
		var f map[string]json.RawMessage
		if err := json.Unmarshal(next, &f); err != nil {
			return nil, err
		}
		var parts []json.RawMessage
		if err := json.Unmarshal(f[member], &parts); err != nil || len(f) != 2 {
			return nil, fmt.Errorf("a Sequence is no list of %s", member)
		}
		waiting = append(parts, waiting...)
		if n+len(waiting)+len(steps) > maxSteps {
			return nil, fmt.Errorf("it has more than %d parts", maxSteps)
		}
	}
	return steps, nil
}

// known says whether a kind is in a map or among further ones.
func known[T any](kind string, in map[string]T, more ...string) bool {
	if _, ok := in[kind]; ok {
		return true
	}
	for _, m := range more {
		if kind == m {
			return true
		}
	}
	return false
}

// refused is the error of reading a type, or says that it is not supported.
func refused(err error, kind string) error {
	if err != nil {
		return err
	}
	return unsupported(kind)
}
