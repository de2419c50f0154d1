package huggingface

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// piece is a part of the normalized text, of which the model makes tokens.
type piece struct {
	text  string
	first bool // it begins the text
}

// preTokenizerFile holds the parameters of all kinds.
type preTokenizerFile struct {
	Type             string          `json:"type"`
	AddPrefixSpace   *bool           `json:"add_prefix_space"` // ByteLevel, Metaspace
	TrimOffsets      *bool           `json:"trim_offsets"`     // ByteLevel: of no meaning for ids
	UseRegex         *bool           `json:"use_regex"`        // ByteLevel
	Pattern          json.RawMessage `json:"pattern"`          // Split
	Behavior         string          `json:"behavior"`         // Split, Punctuation
	Invert           bool            `json:"invert"`           // Split
	IndividualDigits bool            `json:"individual_digits"`
	Delimiter        string          `json:"delimiter"` // CharDelimiterSplit
	Replacement      string          `json:"replacement"`
	PrependScheme    string          `json:"prepend_scheme"`
	Split            *bool           `json:"split"`   // Metaspace
	StrRep           *string         `json:"str_rep"` // Metaspace: the replacement once more
}

// preTokenizers make a step of its parameters.
var preTokenizers = map[string]func(f *preTokenizerFile) (func([]piece) []piece, error){
	"ByteLevel":          byteLevel,
	"Split":              splitter,
	"Digits":             digits,
	"Punctuation":        punctuationSplit,
	"Whitespace":         whitespace,
	"WhitespaceSplit":    whitespaceSplit,
	"CharDelimiterSplit": delimiterSplit,
	"Metaspace":          metaspace,
	"BertPreTokenizer":   bertPreTokenizer,
}

// parsePreTokenizer returns what cuts a text into the pieces that tokens lie within.
func parsePreTokenizer(raw json.RawMessage) (func([]piece) []piece, error) {
	steps, err := flatten(raw, "pretokenizers")
	if err != nil {
		return nil, err
	}
	var parts []func([]piece) []piece
	for _, step := range steps {
		var f preTokenizerFile
		kind, err := typeOf(step)
		if err != nil || !known(kind, preTokenizers) {
			return nil, refused(err, kind)
		}
		if err := strict(step, &f); err != nil {
			return nil, err
		}
		part, err := preTokenizers[kind](&f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		parts = append(parts, part)
	}
	return func(pieces []piece) []piece {
		for _, f := range parts {
			pieces = f(pieces)
		}
		return pieces
	}, nil
}

// span is a part of a text, which a pattern matches or not.
type span struct {
	from, to int
	match    bool
}

// cutter makes a step that cuts at what is found, by one of the library's five behaviors.
func cutter(find func(string) []span, behavior string) (func([]piece) []piece, error) {
	join, ok := behaviors[behavior]
	if !ok {
		return nil, unsupported(behavior)
	}
	return func(pieces []piece) (out []piece) {
		for _, p := range pieces {
			for _, s := range join(find(p.text)) {
				if s.from < s.to {
					out = append(out, piece{p.text[s.from:s.to], p.first && s.from == 0})
				}
			}
		}
		return out
	}, nil
}

// behaviors turn matches and what is between them into pieces.
var behaviors = map[string]func([]span) []span{
	"Isolated": func(s []span) []span { return s },
	"Removed":  func(s []span) []span { return slices.DeleteFunc(s, func(x span) bool { return x.match }) },
	"Contiguous": func(s []span) (out []span) {
		for i, x := range s {
			if i > 0 && x.match == s[i-1].match {
				out[len(out)-1].to = x.to
			} else {
				out = append(out, x)
			}
		}
		return out
	},
	"MergedWithPrevious": func(s []span) (out []span) {
		for i, x := range s {
			if i > 0 && x.match && !s[i-1].match {
				out[len(out)-1].to = x.to
			} else {
				out = append(out, x)
			}
		}
		return out
	},
	"MergedWithNext": func(s []span) (out []span) {
		for i, x := range slices.Backward(s) {
			if i < len(s)-1 && x.match && !s[i+1].match {
				out[len(out)-1].from = x.from
			} else {
				out = append(out, x)
			}
		}
		slices.Reverse(out)
		return out
	},
}

// spans returns the matches of a pattern and what is between them.
func spans(matches [][2]int, text string) (out []span) {
	done := 0
	for _, m := range matches {
		if done < m[0] {
			out = append(out, span{done, m[0], false})
		}
		out = append(out, span{m[0], m[1], true})
		done = m[1]
	}
	if done < len(text) {
		out = append(out, span{done, len(text), false})
	}
	return out
}

// each character that is of a class is a match.
func characters(is func(rune) bool) func(string) []span {
	return func(text string) []span {
		var matches [][2]int
		for i, r := range text {
			if is(r) {
				matches = append(matches, [2]int{i, i + utf8.RuneLen(r)})
			}
		}
		return spans(matches, text)
	}
}

func splitter(f *preTokenizerFile) (func([]piece) []piece, error) {
	p, err := parsePattern(f.Pattern)
	if err != nil {
		return nil, err
	}
	return cutter(func(text string) []span {
		s := spans(p.matches(text), text)
		for i := range s {
			s[i].match = s[i].match != f.Invert
		}
		return s
	}, f.Behavior)
}

func digits(f *preTokenizerFile) (func([]piece) []piece, error) {
	if f.IndividualDigits {
		return cutter(characters(isNumeric), "Isolated")
	}
	return cutter(characters(isNumeric), "Contiguous")
}

func punctuationSplit(f *preTokenizerFile) (func([]piece) []piece, error) {
	if f.Behavior == "" {
		f.Behavior = "Isolated"
	}
	return cutter(characters(isPunctuation), f.Behavior)
}

func whitespaceSplit(*preTokenizerFile) (func([]piece) []piece, error) {
	return cutter(characters(isSpace), "Removed")
}

// whitespace keeps runs of word characters and runs of what is neither word nor white space.
func whitespace(*preTokenizerFile) (func([]piece) []piece, error) {
	return cutter(func(text string) (out []span) {
		kind := func(r rune) int {
			switch {
			case isWord(r):
				return 1
			case isSpace(r):
				return 0
			}
			return 2
		}
		last := -1
		for i, r := range text {
			k := kind(r)
			if k != last {
				out = append(out, span{i, i, k == 0})
			}
			out[len(out)-1].to = i + utf8.RuneLen(r)
			last = k
		}
		return out
	}, "Removed")
}

func delimiterSplit(f *preTokenizerFile) (func([]piece) []piece, error) {
	r, n := utf8.DecodeRuneInString(f.Delimiter)
	if n == 0 || n != len(f.Delimiter) {
		return nil, fmt.Errorf("the delimiter %q is not one character", f.Delimiter)
	}
	return cutter(characters(func(x rune) bool { return x == r }), "Removed")
}

func bertPreTokenizer(*preTokenizerFile) (func([]piece) []piece, error) {
	words, err := cutter(characters(isSpace), "Removed")
	if err != nil {
		return nil, err
	}
	marks, err := cutter(characters(isPunctuation), "Isolated")
	return func(p []piece) []piece { return marks(words(p)) }, err
}

// prepended puts something before pieces that do not begin with it.
func prepended(pieces []piece, what string, only func(piece) bool) []piece {
	out := make([]piece, len(pieces))
	for i, p := range pieces {
		if !strings.HasPrefix(p.text, what) && only(p) {
			p.text = what + p.text
		}
		out[i] = p
	}
	return out
}

// gpt2 is the pattern that ByteLevel splits with.
const gpt2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// byteLevel splits by GPT-2's pattern and writes every byte as a character.
func byteLevel(f *preTokenizerFile) (func([]piece) []piece, error) {
	words := func(p []piece) []piece { return p }
	if f.UseRegex == nil || *f.UseRegex {
		p, err := newPattern(gpt2)
		if err != nil {
			return nil, err
		}
		if words, err = cutter(func(text string) []span { return spans(p.matches(text), text) }, "Isolated"); err != nil {
			return nil, err
		}
	}
	space := f.AddPrefixSpace != nil && *f.AddPrefixSpace
	return func(pieces []piece) []piece {
		if space {
			pieces = prepended(pieces, " ", func(piece) bool { return true })
		}
		pieces = words(pieces)
		out := make([]piece, len(pieces))
		for i, p := range pieces {
			out[i] = piece{writeBytes(p.text), p.first}
		}
		return out
	}, nil
}

// The character for every byte: itself where it is visible in Latin-1, the next from U+0100 on where not. And back: −1 for others.
var byteRunes, runeBytes = byteAlphabet()

func byteAlphabet() (runes [256]rune, back [512]int) {
	next := rune(256)
	for i := range back {
		back[i] = -1
	}
	for b := range runes {
		r := rune(b)
		if !(r >= '!' && r <= '~' || r >= 0xa1 && r <= 0xac || r >= 0xae) {
			r = next
			next++
		}
		runes[b], back[r] = r, b
	}
	return runes, back
}

func writeBytes(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteRune(byteRunes[text[i]])
	}
	return b.String()
}

// metaspaceFile checks the parameters that Metaspace has as pre-tokenizer and as decoder.
func (f *preTokenizerFile) metaspace() error {
	if r, n := utf8.DecodeRuneInString(f.Replacement); n == 0 || n != len(f.Replacement) || r == utf8.RuneError {
		return fmt.Errorf("the replacement %q is not one character", f.Replacement)
	}
	if f.PrependScheme == "" {
		f.PrependScheme = "always"
	}
	if f.AddPrefixSpace != nil && !*f.AddPrefixSpace {
		if f.PrependScheme != "never" {
			return fmt.Errorf("add_prefix_space and prepend_scheme contradict each other")
		}
	}
	if s := f.PrependScheme; s != "always" && s != "first" && s != "never" {
		return unsupported(s)
	}
	return nil
}

// metaspace writes spaces as a visible character and cuts before each.
func metaspace(f *preTokenizerFile) (func([]piece) []piece, error) {
	if err := f.metaspace(); err != nil {
		return nil, err
	}
	mark := f.Replacement
	r, _ := utf8.DecodeRuneInString(mark)
	words, err := cutter(characters(func(x rune) bool { return x == r }), "MergedWithNext")
	return func(pieces []piece) []piece {
		out := make([]piece, len(pieces))
		for i, p := range pieces {
			out[i] = piece{strings.ReplaceAll(p.text, " ", mark), p.first}
		}
		if f.PrependScheme != "never" {
			out = prepended(out, mark, func(p piece) bool { return p.first || f.PrependScheme == "always" })
		}
		if f.Split == nil || *f.Split {
			out = words(out)
		}
		return out
	}, err
}
