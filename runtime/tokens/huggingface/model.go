package huggingface

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// modelFile holds the parameters of all kinds.
type modelFile struct {
	Type         string          `json:"type"`
	Vocab        json.RawMessage `json:"vocab"`
	UnkToken     *string         `json:"unk_token"`                 // BPE, WordPiece, WordLevel
	Merges       json.RawMessage `json:"merges"`                    // BPE
	Dropout      *float64        `json:"dropout"`                   // BPE
	Prefix       *string         `json:"continuing_subword_prefix"` // BPE, WordPiece
	Suffix       *string         `json:"end_of_word_suffix"`        // BPE
	FuseUnk      bool            `json:"fuse_unk"`                  // BPE
	ByteFallback bool            `json:"byte_fallback"`             // BPE, Unigram
	IgnoreMerges bool            `json:"ignore_merges"`             // BPE
	MaxChars     *int            `json:"max_input_chars_per_word"`  // WordPiece
	UnkID        *int64          `json:"unk_id"`                    // Unigram
}

// kind is the type, which old files leave out.
func (f *modelFile) kind() string {
	switch {
	case f.Type != "":
		return f.Type
	case f.Merges != nil:
		return "BPE"
	case f.MaxChars != nil:
		return "WordPiece"
	case strings.HasPrefix(string(f.Vocab), "["):
		return "Unigram"
	}
	return "WordLevel"
}

// parseModel returns the model, its vocabulary and its unknown token, which is "" where it has none.
func parseModel(f *modelFile) (m model, vocab map[string]int64, unknown string, err error) {
	if f.kind() == "Unigram" {
		return newUnigram(f)
	}
	vocab = map[string]int64{}
	if err = json.Unmarshal(f.Vocab, &vocab); err != nil {
		return nil, nil, "", fmt.Errorf("vocab: %w", err)
	}
	if f.UnkToken != nil {
		unknown = *f.UnkToken
	}
	unk, ok := vocab[unknown]
	if !ok {
		unk = -1 // then what the model cannot write is an error, as in the library
	}
	switch f.kind() {
	case "BPE":
		m, err = newBPE(f, vocab, unk)
	case "WordPiece":
		m, err = newWordPiece(f, vocab, unk)
	case "WordLevel":
		m = &wordLevel{vocab, unk}
	default:
		err = unsupported(f.Type)
	}
	return m, vocab, unknown, err
}

// unwritable is the error about a text that a model has no tokens for.
func unwritable(text string) error {
	if len(text) > 40 {
		text = strings.ToValidUTF8(text[:40], "") + "…"
	}
	return fmt.Errorf("there is no token for %q, and none for unknown text", text)
}

// wordLevel knows whole words.
type wordLevel struct {
	vocab map[string]int64
	unk   int64
}

func (m *wordLevel) encode(word string) ([]int64, error) {
	if id, ok := m.vocab[word]; ok {
		return []int64{id}, nil
	}
	if m.unk < 0 {
		return nil, unwritable(word)
	}
	return []int64{m.unk}, nil
}

// wordPiece takes the longest token that a word begins with, then the longest that goes on. A word that this does not take to its end
// is unknown.
type wordPiece struct {
	first, more *prefixes // values are ids; more without the prefix
	unk         int64
	maxChars    int
}

func newWordPiece(f *modelFile, vocab map[string]int64, unk int64) (*wordPiece, error) {
	prefix, maxChars := "##", 100
	if f.Prefix != nil {
		prefix = *f.Prefix
	}
	if f.MaxChars != nil {
		maxChars = *f.MaxChars
	}
	var first, more []entry
	for word, id := range vocab {
		first = append(first, entry{word, int(id)})
		if rest, ok := strings.CutPrefix(word, prefix); ok {
			more = append(more, entry{rest, int(id)})
		}
	}
	return &wordPiece{newPrefixes(first), newPrefixes(more), unk, maxChars}, nil
}

func (m *wordPiece) encode(word string) ([]int64, error) {
	ids := m.pieces(word)
	if ids != nil {
		return ids, nil
	}
	if m.unk < 0 {
		return nil, unwritable(word)
	}
	return []int64{m.unk}, nil
}

// pieces returns nil where the word is unknown.
func (m *wordPiece) pieces(word string) (ids []int64) {
	if utf8.RuneCountInString(word) > m.maxChars {
		return nil
	}
	from := m.first
	for word != "" {
		best, n := -1, 0
		from.walk(word, func(id, length int) {
			if length == len(word) || utf8.RuneStart(word[length]) {
				best, n = id, length
			}
		})
		if best < 0 {
			return nil
		}
		ids = append(ids, int64(best))
		word, from = word[n:], m.more
	}
	return ids
}

// unigram takes the tokens whose scores have the greatest sum.
type unigram struct {
	vocab    map[string]int64
	ids      *prefixes
	scores   []float64
	unk      int64
	least    float64 // the score of what no token writes
	fallback []int64 // ids of the bytes, or nil
}

// unknownPenalty is what an unknown character costs beyond the least score.
const unknownPenalty = 10

func newUnigram(f *modelFile) (m model, vocab map[string]int64, unknown string, err error) {
	var list []json.RawMessage
	if err := json.Unmarshal(f.Vocab, &list); err != nil {
		return nil, nil, "", fmt.Errorf("vocab: %w", err)
	}
	u := &unigram{unk: -1}
	vocab = make(map[string]int64, len(list))
	entries := make([]entry, len(list))
	for id, raw := range list {
		word, score, err := scored(raw)
		if err != nil {
			return nil, nil, "", fmt.Errorf("vocab: token %d: %w", id, err)
		}
		if _, twice := vocab[word]; twice {
			return nil, nil, "", fmt.Errorf("vocab: the token %q stands there twice", word)
		}
		vocab[word] = int64(id)
		entries[id] = entry{word, id}
		u.scores = append(u.scores, score)
	}
	if len(list) > 0 {
		u.least = slices.Min(u.scores) - unknownPenalty
	}
	if f.UnkID != nil {
		if u.unk = *f.UnkID; u.unk < 0 || u.unk >= int64(len(list)) {
			return nil, nil, "", fmt.Errorf("unk_id: there is no token %d", u.unk)
		}
		unknown = entries[u.unk].key
	}
	if f.ByteFallback {
		u.fallback = byteTokens(vocab)
	}
	u.vocab, u.ids = vocab, newPrefixes(entries)
	return u, vocab, unknown, nil
}

// scored reads a pair of a token and its score.
func scored(raw json.RawMessage) (word string, score float64, err error) {
	var pair []json.RawMessage
	if err := json.Unmarshal(raw, &pair); err != nil {
		return "", 0, err
	}
	if len(pair) != 2 {
		return "", 0, fmt.Errorf("it is no pair of a token and a score")
	}
	if err := json.Unmarshal(pair[0], &word); err != nil {
		return "", 0, err
	}
	if err := json.Unmarshal(pair[1], &score); err != nil { // what follows wants a number that is one
		return "", 0, err
	}
	return word, number(string(pair[1])), nil
}

// number reads a number of JSON as the library does: the digits that a uint64 holds, then a power of ten. That may be the neighbour of the
// nearest one, and where two ways through a text are equally good the last bit decides.
func number(text string) float64 {
	digits, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	digits, negative := strings.CutPrefix(digits, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	power, _ := strconv.Atoi(exponent)
	var significand uint64
	full := false
	for i, d := range whole + fraction {
		next := significand*10 + uint64(d-'0')
		full = full || significand > (math.MaxUint64-uint64(d-'0'))/10
		switch {
		case !full:
			significand = next
			if i >= len(whole) {
				power--
			}
		case i < len(whole):
			power++
		}
	}
	f := float64(significand)
	for power < -308 && f != 0 {
		f /= 1e308
		power += 308
	}
	if ten, err := strconv.ParseFloat("1e"+strconv.Itoa(max(power, -power)), 64); f != 0 && err == nil {
		if power < 0 {
			f /= ten
		} else {
			f = float64(f * ten)
		}
	}
	if negative {
		return -f
	}
	return f
}

// byteTokens returns the ids of <0x00> to <0xFF>, −1 for a byte without.
func byteTokens(vocab map[string]int64) []int64 {
	out := make([]int64, 256)
	for b := range out {
		out[b] = -1
		if id, ok := vocab[fmt.Sprintf("<0x%02X>", b)]; ok {
			out[b] = id
		}
	}
	return out
}

// inBytes returns the tokens of the bytes of a text, or nil where one has none.
func inBytes(fallback []int64, text string) []int64 {
	if fallback == nil {
		return nil
	}
	out := make([]int64, len(text))
	for i := range len(text) {
		if out[i] = fallback[text[i]]; out[i] < 0 {
			return nil
		}
	}
	return out
}

// node is the best way to a place of a text: the sum of its scores, and its last token.
type node struct {
	score float64
	from  int // −1: none
	id    int64
}

func (m *unigram) encode(text string) ([]int64, error) {
	best := make([]node, len(text)+1)
	for i := range best {
		best[i].from = -1
	}
	for at, r := range text {
		n, single := utf8.RuneLen(r), false
		reach := func(to int, score float64, id int64) {
			if s := score + best[at].score; best[to].from < 0 || s > best[to].score {
				best[to] = node{s, at, id}
			}
		}
		m.ids.walk(text[at:], func(id, length int) {
			reach(at+length, m.scores[id], int64(id))
			single = single || length == n
		})
		if !single {
			if m.unk < 0 {
				return nil, unwritable(text[at:])
			}
			reach(at+n, m.least, m.unk)
		}
	}
	return m.trace(text, best), nil
}

// trace reads the best way from its end. Unknown characters that follow each other are one token, or their bytes.
func (m *unigram) trace(text string, best []node) (ids []int64) {
	for end := len(text); end > 0; {
		n := best[end]
		from := n.from
		for n.id == m.unk && from > 0 && best[from].id == m.unk {
			from = best[from].from
		}
		if n.id == m.unk {
			ids = append(ids, m.unknown(text[from:end])...)
		} else {
			ids = append(ids, n.id)
		}
		end = from
	}
	slices.Reverse(ids)
	return ids
}

// unknown returns the tokens of unknown text, the last first.
func (m *unigram) unknown(text string) []int64 {
	if id, ok := m.vocab[text]; ok { // its scores are so low that unknown characters are better
		return []int64{id}
	}
	if ids := inBytes(m.fallback, text); ids != nil {
		slices.Reverse(ids)
		return ids
	}
	return []int64{m.unk}
}
