package huggingface

import "unicode/utf8"

// addedToken is a token that is cut out of the text before anything else.
type addedToken struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	Lstrip     bool   `json:"lstrip"`
	Rstrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// added finds the added tokens of a text. The library cuts those out first that stand for themselves, then the rest out of the normalized
// text, where they are looked for in their own normal form.
type added struct {
	tokens     []addedToken
	exact      *prefixes // values are places in tokens
	normalized *prefixes
}

// newAdded takes the tokens and what each is looked for as.
func newAdded(all []addedToken, patterns []string) *added {
	var exact, normalized []entry
	for i, t := range all {
		if t.Normalized {
			normalized = append(normalized, entry{patterns[i], i})
		} else {
			exact = append(exact, entry{patterns[i], i})
		}
	}
	return &added{tokens: all, exact: newPrefixes(exact), normalized: newPrefixes(normalized)}
}

// segment is a part of a text: an added token, or text (id −1).
type segment struct {
	id    int64
	text  string
	first bool // it begins the text
}

// split cuts the tokens out of a text that stand for themselves. What a template wrote and what messages hold are searched apart.
func (a *added) split(text string, w *words) []segment {
	if w == nil {
		return a.cut(text, a.find(text, 0, len(text), a.exact, nil))
	}
	var matches []match
	at := 0
	for _, s := range w.spans {
		matches = append(matches, a.find(text, at, s.from, a.exact, nil)...)
		matches = append(matches, a.find(text, s.from, s.to, a.exact, w.control)...)
		at = s.to
	}
	return a.cut(text, append(matches, a.find(text, at, len(text), a.exact, nil)...))
}

// splitNormalized cuts the other tokens out of a normalized text.
func (a *added) splitNormalized(text string) []segment {
	return a.cut(text, a.find(text, 0, len(text), a.normalized, nil))
}

// match is a place where a token stands.
type match struct{ from, to, token int }

// find returns the leftmost, longest matches within a part of a text, without those of some ids.
func (a *added) find(text string, from, to int, p *prefixes, without map[int64]bool) (out []match) {
	for at := from; at < to; {
		token, n := -1, 0
		p.walk(text[at:to], func(value, length int) { token, n = value, length })
		switch {
		case token < 0:
			at++
		case without[a.tokens[token].ID]:
			at += n
		default:
			out = append(out, match{at, at + n, token})
			at += n
		}
	}
	return out
}

// cut makes segments of matches.
func (a *added) cut(text string, matches []match) (out []segment) {
	done := 0
	for _, m := range matches {
		t := a.tokens[m.token]
		if t.SingleWord && (wordBefore(text[:m.from]) || wordAfter(text[m.to:])) {
			continue
		}
		if t.Lstrip && done < m.from {
			m.from = done + len(trimRight(text[done:m.from]))
		}
		if t.Rstrip {
			m.to = len(text) - len(trimLeft(text[m.to:]))
		}
		if done < m.from {
			out = append(out, segment{-1, text[done:m.from], done == 0})
		}
		out = append(out, segment{id: t.ID})
		done = m.to
	}
	if done < len(text) {
		out = append(out, segment{-1, text[done:], done == 0})
	}
	return out
}

func wordBefore(text string) bool {
	r, n := utf8.DecodeLastRuneInString(text)
	return n > 0 && isWord(r)
}

func wordAfter(text string) bool {
	r, n := utf8.DecodeRuneInString(text)
	return n > 0 && isWord(r)
}
