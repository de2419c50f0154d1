package huggingface

import (
	"encoding/json"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a pattern may cost: its length, and the characters that it has when its repetitions are written out.
const (
	maxPattern = 1 << 12
	maxUnits   = 1 << 12
)

// pattern finds the places where a text is split or replaced. The library's regular expressions are of Oniguruma's syntax, whose meaning
// of \s, \d, \w and \p{…} is written out for Go's, which takes linear time. Of looking ahead there is the one form that occurs, at the
// end: \s+(?!\S), white space but for the last character before a word.
type pattern struct {
	literal string // if expr is nil
	expr    *regexp.Regexp
	ahead   bool // group 1 of expr is \s+(?!\S)
	alone   bool // … and a single white space is a match too: |\s+
}

// patternFile is a pattern in a tokenizer.json.
type patternFile struct {
	String *string
	Regex  *string
}

func parsePattern(raw json.RawMessage) (*pattern, error) {
	var f patternFile
	if err := strict(raw, &f); err != nil {
		return nil, err
	}
	switch {
	case f.Regex != nil && f.String == nil:
		return newPattern(*f.Regex)
	case f.String != nil && f.Regex == nil && *f.String != "":
		return &pattern{literal: *f.String}, nil
	}
	return nil, fmt.Errorf("a pattern is a String that is not empty or a Regex")
}

const ahead = `\s+(?!\S)`

func newPattern(text string) (*pattern, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("a pattern of %d bytes, the limit is %d", len(text), maxPattern)
	}
	p := &pattern{}
	body := text
	if b, ok := strings.CutSuffix(body, ahead+`|\s+`); ok {
		body, p.ahead, p.alone = b, true, true
	} else if b, ok := strings.CutSuffix(body, ahead); ok {
		body, p.ahead = b, true
	}
	if p.ahead && body != "" {
		var ok bool
		if body, ok = strings.CutSuffix(body, "|"); !ok {
			return nil, fmt.Errorf("the pattern %q is not supported: it looks ahead", text)
		}
	}
	expr, err := translate(body)
	if err != nil {
		return nil, fmt.Errorf("the pattern %q is not supported: %w", text, err)
	}
	if p.ahead {
		if expr != "" {
			expr += "|"
		}
		expr += "([" + spaces + "]+)"
	}
	if err := checkCost(expr); err != nil {
		return nil, fmt.Errorf("the pattern %q is not supported: %w", text, err)
	}
	if p.expr, err = regexp.Compile(expr); err != nil {
		return nil, fmt.Errorf("the pattern %q is not supported: %w", text, err)
	}
	if p.expr.MatchString("") {
		return nil, fmt.Errorf("the pattern %q is not supported: it matches nothing at all", text)
	}
	return p, nil
}

// checkCost refuses what would be large with its repetitions written out.
func checkCost(expr string) error {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return err
	}
	if n := units(tree); n > maxUnits {
		return fmt.Errorf("with its repetitions written out it has more than %d parts", maxUnits)
	}
	return nil
}

func units(e *syntax.Regexp) int {
	n := 1 + len(e.Rune)/64
	if e.Op == syntax.OpLiteral {
		n = len(e.Rune)
	}
	for _, sub := range e.Sub {
		n = min(n+units(sub), maxUnits+1)
	}
	if e.Op == syntax.OpRepeat {
		n *= max(1, e.Min, e.Max)
	}
	return min(n, maxUnits+1)
}

// matches returns the matches from left to right.
func (p *pattern) matches(text string) (out [][2]int) {
	for at := 0; at < len(text); {
		from, to := p.next(text[at:])
		if from < 0 {
			return out
		}
		if to > from {
			out = append(out, [2]int{at + from, at + to})
		}
		at += max(to, from+1)
	}
	return out
}

// next returns the first match, or −1. One that is empty is none: the text is looked at from behind its first byte on, a white space.
func (p *pattern) next(text string) (from, to int) {
	if p.expr == nil {
		from = strings.Index(text, p.literal)
		return from, from + len(p.literal)
	}
	m := p.expr.FindStringSubmatchIndex(text)
	if m == nil {
		return -1, -1
	}
	if !p.ahead || m[2] < 0 || m[1] == len(text) {
		return m[0], m[1]
	}
	_, last := utf8.DecodeLastRuneInString(text[m[0]:m[1]])
	switch {
	case m[1]-last > m[0]:
		return m[0], m[1] - last
	case p.alone:
		return m[0], m[1]
	}
	return m[1], m[1]
}

// spaces is \s within a class, as the library has it.
const spaces = `\t-\r\x{85}\p{Z}`

// translate writes an expression of Oniguruma's syntax for Go, or says what of it has another meaning there.
func translate(text string) (string, error) {
	t := translation{rest: text}
	for t.rest != "" {
		if err := t.step(); err != nil {
			return "", err
		}
	}
	return t.out.String(), nil
}

type translation struct {
	rest  string
	out   strings.Builder
	class bool // within […]
}

func (t *translation) step() error {
	r, n := utf8.DecodeRuneInString(t.rest)
	if r == utf8.RuneError && n == 1 {
		return fmt.Errorf("it is not UTF-8")
	}
	switch {
	case r == '\\':
		return t.escape()
	case t.class && r == ']':
		t.class = false
	case t.class && (r == '[' || strings.HasPrefix(t.rest, "&&")):
		return fmt.Errorf("classes within classes")
	case t.class && r == '^':
		t.out.WriteByte('\\')
	case r == '[' && !t.class:
		return t.open()
	case r == '(' && !t.class:
		return t.group()
	case (r == '^' || r == '$') && !t.class:
		return fmt.Errorf("%q", r)
	}
	t.out.WriteString(t.rest[:n])
	t.rest = t.rest[n:]
	return nil
}

// open begins a class.
func (t *translation) open() error {
	t.class = true
	start := "["
	if strings.HasPrefix(t.rest, "[^") {
		start = "[^"
	}
	t.out.WriteString(start)
	t.rest = t.rest[len(start):]
	if strings.HasPrefix(t.rest, "]") {
		return fmt.Errorf("a class that begins with ]")
	}
	return nil
}

// group begins a group. What a plain one matches is not asked for.
func (t *translation) group() error {
	for _, start := range [...]string{"(?:", "(?i:"} {
		if strings.HasPrefix(t.rest, start) {
			t.out.WriteString(start)
			t.rest = t.rest[len(start):]
			return nil
		}
	}
	if strings.HasPrefix(t.rest, "(?") || strings.HasPrefix(t.rest, "(*") {
		return fmt.Errorf("%q", t.rest[:2])
	}
	t.out.WriteString("(?:")
	t.rest = t.rest[1:]
	return nil
}

// escape takes a backslash and what it stands before.
func (t *translation) escape() error {
	r, n := utf8.DecodeRuneInString(t.rest[1:])
	code := t.rest[:1+n]
	t.rest = t.rest[1+n:]
	switch {
	case n == 0:
		return fmt.Errorf("a backslash at the end")
	case strings.ContainsRune("nrtfva", r):
		t.out.WriteString(code)
	case r == 's' || r == 'S':
		return t.set(r == 'S', spaces)
	case r == 'd' || r == 'D':
		return t.set(r == 'D', inClass(`\p{Nd}`, categories["Nd"]))
	case r == 'w' || r == 'W':
		return t.set(r == 'W', inClass(`\p{L}\p{M}\p{Nd}\p{Pc}`, categories["w"]))
	case r == 'p' || r == 'P':
		return t.property(r == 'P')
	case r < utf8.RuneSelf && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsControl(r):
		t.out.WriteString(code)
	default:
		return fmt.Errorf("%q", code)
	}
	return nil
}

// set writes a set of characters, or all others.
func (t *translation) set(others bool, content string) error {
	switch {
	case t.class && others:
		return fmt.Errorf("a complement within a class")
	case t.class:
		t.out.WriteString(content)
	case others:
		t.out.WriteString("[^" + content + "]")
	default:
		t.out.WriteString("[" + content + "]")
	}
	return nil
}

// property takes the {…} of \p.
func (t *translation) property(others bool) error {
	name, rest, ok := strings.Cut(t.rest, "}")
	name, open := strings.CutPrefix(name, "{")
	c, known := categories[name]
	if !ok || !open || !known || name == "w" {
		return fmt.Errorf("the property \\p%.20s", t.rest)
	}
	t.rest = rest
	return t.set(others, inClass(`\p{`+name+`}`, c))
}

// inClass writes a class of the library within […]: Go's categories, and what they lack.
func inClass(base string, c *class) string {
	var b strings.Builder
	b.WriteString(base)
	for _, r := range c.more {
		fmt.Fprintf(&b, `\x{%x}-\x{%x}`, r[0], r[1])
	}
	return b.String()
}
