package huggingface

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoderFile holds the parameters of all kinds; those of ByteLevel and Metaspace are their pre-tokenizer's.
type decoderFile struct {
	Type    string          `json:"type"`
	Pattern json.RawMessage `json:"pattern"` // Replace
	Content string          `json:"content"` // Replace, Strip
	Start   int             `json:"start"`   // Strip
	Stop    int             `json:"stop"`    // Strip
	Prefix  string          `json:"prefix"`  // WordPiece
	Cleanup bool            `json:"cleanup"` // WordPiece
	Suffix  string          `json:"suffix"`  // BPEDecoder
}

// decoders make a step of a part of the file. A step takes the tokens' names to parts of the text.
var decoders = map[string]func(raw json.RawMessage) (func([]string) []string, error){
	"ByteLevel":    func(json.RawMessage) (func([]string) []string, error) { return readBytes, nil },
	"ByteFallback": func(json.RawMessage) (func([]string) []string, error) { return readByteTokens, nil },
	"Fuse": func(json.RawMessage) (func([]string) []string, error) {
		return func(s []string) []string { return []string{strings.Join(s, "")} }, nil
	},
	"Metaspace":  metaspaceDecoder,
	"WordPiece":  wordPieceDecoder,
	"BPEDecoder": suffixDecoder,
	"Replace":    replaceDecoder,
	"Strip":      stripDecoder,
}

// parseDecoder returns what makes a text of tokens. Without a decoder they are joined with spaces.
func parseDecoder(raw json.RawMessage) (func([]string) string, error) {
	if none(raw) {
		return func(names []string) string { return strings.Join(names, " ") }, nil
	}
	steps, err := flatten(raw, "decoders")
	if err != nil {
		return nil, err
	}
	var parts []func([]string) []string
	for _, step := range steps {
		kind, err := typeOf(step)
		if err != nil || !known(kind, decoders) {
			return nil, refused(err, kind)
		}
		part, err := decoders[kind](step)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		parts = append(parts, part)
	}
	return func(names []string) string {
		for _, f := range parts {
			names = f(names)
		}
		return strings.Join(names, "")
	}, nil
}

// each makes a step that looks at every token alone.
func eachName(f func(i int, name string) string) func([]string) []string {
	return func(names []string) []string {
		out := make([]string, len(names))
		for i, name := range names {
			out[i] = f(i, name)
		}
		return out
	}
}

// readBytes is the inverse of writeBytes. A token with other characters stands for itself.
func readBytes(names []string) []string {
	var all []byte
	for _, name := range names {
		before := len(all)
		for _, r := range name {
			if int(r) >= len(runeBytes) || runeBytes[r] < 0 {
				all = append(all[:before], name...)
				break
			}
			all = append(all, byte(runeBytes[r]))
		}
	}
	return []string{lossy(all)}
}

// lossy writes U+FFFD for every part that is no UTF-8. Bytes that begin a character are one part together.
func lossy(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			n = begun(b)
		}
		out.WriteRune(r)
		b = b[n:]
	}
	return out.String()
}

// begun returns how many bytes of what is no character could begin one.
func begun(b []byte) int {
	size, low, high := 0, byte(0x80), byte(0xbf)
	switch c := b[0]; {
	case c >= 0xc2 && c <= 0xdf:
		size = 2
	case c >= 0xe0 && c <= 0xef:
		size = 3
	case c >= 0xf0 && c <= 0xf4:
		size = 4
	}
	switch b[0] { // the second byte of these is bounded
	case 0xe0:
		low = 0xa0
	case 0xed:
		high = 0x9f
	case 0xf0:
		low = 0x90
	case 0xf4:
		high = 0x8f
	}
	n := 1
	for ; n < size && n < len(b) && b[n] >= low && b[n] <= high; n++ {
		low, high = 0x80, 0xbf
	}
	return n
}

// readByteTokens turns runs of <0x00> to <0xFF> into text, or into one U+FFFD each.
func readByteTokens(names []string) (out []string) {
	var run []byte
	flush := func() {
		switch {
		case len(run) == 0:
		case utf8.Valid(run):
			out = append(out, string(run))
		default:
			out = append(out, strings.Repeat("\ufffd", len(run)))
		}
		run = run[:0]
	}
	for _, name := range names {
		if len(name) == 6 && strings.HasPrefix(name, "<0x") && name[5] == '>' {
			if b, err := strconv.ParseUint(name[3:5], 16, 8); err == nil {
				run = append(run, byte(b))
				continue
			}
		}
		flush()
		out = append(out, name)
	}
	flush()
	return out
}

// metaspaceDecoder writes the mark as a space. The first token loses its marks, unless none was put there.
func metaspaceDecoder(raw json.RawMessage) (func([]string) []string, error) {
	var f preTokenizerFile
	if err := strict(raw, &f); err != nil {
		return nil, err
	}
	if err := f.metaspace(); err != nil {
		return nil, err
	}
	return eachName(func(i int, name string) string {
		if i == 0 && f.PrependScheme != "never" {
			return strings.ReplaceAll(name, f.Replacement, "")
		}
		return strings.ReplaceAll(name, f.Replacement, " ")
	}), nil
}

// tidy are the spaces that WordPiece's cleanup takes out, in this order.
var tidy = [][2]string{
	{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"},
	{" 've", "'ve"}, {" 're", "'re"},
}

func wordPieceDecoder(raw json.RawMessage) (func([]string) []string, error) {
	f := decoderFile{Prefix: "##"}
	if err := strict(raw, &f); err != nil {
		return nil, err
	}
	return eachName(func(i int, name string) string {
		if i > 0 {
			if rest, ok := strings.CutPrefix(name, f.Prefix); ok {
				name = rest
			} else {
				name = " " + name
			}
		}
		if f.Cleanup {
			for _, t := range tidy {
				name = strings.ReplaceAll(name, t[0], t[1])
			}
		}
		return name
	}), nil
}

func suffixDecoder(raw json.RawMessage) (func([]string) []string, error) {
	f := decoderFile{Suffix: "</w>"}
	if err := strict(raw, &f); err != nil {
		return nil, err
	}
	if f.Suffix == "" {
		return nil, fmt.Errorf("it has no suffix")
	}
	return func(names []string) []string {
		return eachName(func(i int, name string) string {
			if i == len(names)-1 {
				return strings.ReplaceAll(name, f.Suffix, "")
			}
			return strings.ReplaceAll(name, f.Suffix, " ")
		})(names)
	}, nil
}

func replaceDecoder(raw json.RawMessage) (func([]string) []string, error) {
	var f decoderFile
	if err := strict(raw, &f); err != nil {
		return nil, err
	}
	replace, err := replacement(f.Pattern, f.Content)
	return eachName(func(_ int, name string) string { return replace(name) }), err
}

// stripDecoder takes a character off both ends of every token, up to so many times.
func stripDecoder(raw json.RawMessage) (func([]string) []string, error) {
	var f decoderFile
	if err := strict(raw, &f); err != nil {
		return nil, err
	}
	if utf8.RuneCountInString(f.Content) != 1 || f.Start < 0 || f.Stop < 0 {
		return nil, fmt.Errorf("it takes %q off, %d and %d times", f.Content, f.Start, f.Stop)
	}
	return eachName(func(_ int, name string) string {
		for n := f.Start; n > 0 && strings.HasPrefix(name, f.Content); n-- {
			name = name[len(f.Content):]
		}
		for n := f.Stop; n > 0 && strings.HasSuffix(name, f.Content); n-- {
			name = name[:len(name)-len(f.Content)]
		}
		return name
	}), nil
}
