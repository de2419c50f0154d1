package huggingface

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The library's parts have Unicode tables of their own, of different age: its regular expressions know characters that Go's tables (Unicode
// 15.0) do not know yet, its normal forms and its lists of punctuation and marks lack some that they do. tables.go holds the differences; a
// test compares every code point. So prover and verifier read a text alike also where they were built with different versions of Go.

// ranges are code points: pairs of a first and a last one, in rising order.
type ranges [][2]rune

func (s ranges) has(r rune) bool {
	_, found := slices.BinarySearchFunc(s, r, func(x [2]rune, r rune) int {
		switch {
		case x[1] < r:
			return -1
		case x[0] > r:
			return 1
		}
		return 0
	})
	return found
}

// class is a set of characters: Go's tables, with some more and without some.
type class struct {
	tables     []*unicode.RangeTable
	more, less ranges
}

func (c *class) has(r rune) bool {
	return c.more.has(r) || unicode.In(r, c.tables...) && !c.less.has(r)
}

func isSpace(r rune) bool       { return unicode.Is(unicode.White_Space, r) }
func isWord(r rune) bool        { return word.has(r) }
func isNumeric(r rune) bool     { return numeric.has(r) }
func isPunctuation(r rune) bool { return asciiPunctuation(r) || punctuation.has(r) }

func asciiPunctuation(r rune) bool {
	return r > ' ' && r < 0x7f && !(r >= '0' && r <= '9') && !(r >= 'A' && r <= 'Z') && !(r >= 'a' && r <= 'z')
}

// isChinese are the blocks that BERT's normalizer puts spaces around.
func isChinese(r rune) bool { return chinese.has(r) }

var chinese = ranges{
	{0x3400, 0x4dbf}, {0x4e00, 0x9fff}, {0xf900, 0xfaff}, {0x20000, 0x2a6df}, {0x2a700, 0x2b73f}, {0x2b740, 0x2b81f}, {0x2b920, 0x2ceaf},
	{0x2f800, 0x2fa1f},
}

func trimLeft(s string) string  { return strings.TrimLeftFunc(s, isSpace) }
func trimRight(s string) string { return strings.TrimRightFunc(s, isSpace) }

// lower is the library's lower case, character by character.
func lower(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch small, ok := lowercase[r]; {
		case ok:
			b.WriteRune(small)
		case r == 'İ': // the one character whose small form is two
			b.WriteString("i̇")
		default:
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

// normalForm is a normal form of the characters that the library's tables know. Others stay, and stand apart, as unassigned ones do.
func normalForm(form norm.Form) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for s != "" {
			n := strings.IndexFunc(s, unnormalized.has)
			if n < 0 {
				n = len(s)
			}
			b.WriteString(form.String(s[:n]))
			rest := strings.TrimLeftFunc(s[n:], unnormalized.has)
			b.WriteString(s[n : len(s)-len(rest)])
			s = rest
		}
		return b.String()
	}
}
