package console

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Plain returns a writer that spells characters which do not show, as JSON does, before it writes to another one: names in files that others
// wrote may hold what a terminal obeys, or what turns the order of a line around.
func Plain(w io.Writer) io.Writer { return plain{w} }

type plain struct{ to io.Writer }

func (p plain) Write(text []byte) (int, error) {
	var out []byte
	for rest := text; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && n == 1 || r == '\n' || r == '\t' || unicode.IsGraphic(r): // halves of characters may be joined later
			out = append(out, rest[:n]...)
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		}
		rest = rest[n:]
	}
	if n, err := p.to.Write(out); err != nil || n < len(out) {
		return 0, err
	}
	return len(text), nil
}
