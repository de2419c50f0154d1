package tokens

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// The special tokens of every llama2.c vocabulary. Start also ends a sequence: the next one begins there.
const (
	start     = 1
	firstByte = 3 // tokens 3 … 258 are the single bytes, for text that no other token writes
)

// maxWord bounds the length of one token.
const maxWord = 1 << 12

// maxText bounds a text, since merging takes quadratic time.
const maxText = 1 << 14

// pairs is a byte-pair vocabulary with scores.
type pairs struct {
	words  []string
	scores []float32
	ids    map[string]int64
	sum    [32]byte
}

// parsePairs reads the binary vocabulary of llama2.c. All numbers are little-endian and have 4 bytes:
//
//	length of the longest token, then per token  score (float), length, bytes
func parsePairs(data []byte) (*pairs, error) {
	if len(data) < 4 || len(data) > MaxFile {
		return nil, fmt.Errorf("%w: %d bytes", ErrVocabulary, len(data))
	}
	longest := binary.LittleEndian.Uint32(data)
	if longest < 1 || longest > maxWord {
		return nil, fmt.Errorf("%w: neither JSON nor the llama2.c format (its longest token has %d bytes)", ErrVocabulary, longest)
	}
	p := &pairs{ids: map[string]int64{}, sum: sha256.Sum256(data)}
	for rest := data[4:]; len(rest) > 0; {
		var err error
		if rest, err = p.next(rest, longest); err != nil {
			return nil, err
		}
	}
	if len(p.words) <= firstByte+255 {
		return nil, fmt.Errorf("%w: %d tokens, fewer than the single bytes", ErrVocabulary, len(p.words))
	}
	return p, nil
}

// next takes one token off the file.
func (p *pairs) next(rest []byte, longest uint32) ([]byte, error) {
	id := len(p.words)
	if id >= maxTokens {
		return nil, fmt.Errorf("%w: more than %d tokens", ErrVocabulary, maxTokens)
	}
	if len(rest) < 8 {
		return nil, fmt.Errorf("%w: it ends within token %d", ErrVocabulary, id)
	}
	score := math.Float32frombits(binary.LittleEndian.Uint32(rest))
	n := binary.LittleEndian.Uint32(rest[4:])
	rest = rest[8:]
	if n > longest || uint64(n) > uint64(len(rest)) {
		return nil, fmt.Errorf("%w: token %d has %d bytes; the longest has %d, and %d are left", ErrVocabulary, id, n, longest, len(rest))
	}
	if math.IsNaN(float64(score)) {
		return nil, fmt.Errorf("%w: token %d has no score", ErrVocabulary, id)
	}
	word := string(rest[:n])
	p.words, p.scores = append(p.words, word), append(p.scores, score)
	// The special tokens and bytes have names such as "<0x0A>", which a text may hold without meaning them.
	if _, ok := p.ids[word]; !ok && id >= firstByte+256 {
		p.ids[word] = int64(id)
	}
	return rest[n:], nil
}

// Encode implements Tokenizer: the start token, then the text with a space before it.
func (p *pairs) Encode(text string) ([]int64, error) {
	if text == "" {
		return []int64{start}, nil
	}
	ids, err := p.Continue(" " + text)
	return append([]int64{start}, ids...), err
}

// Continue implements Tokenizer. It begins with one token per character (per byte where the character has none) and merges the
// neighbours whose union has the highest score, the first of equals, until no two neighbours make a token.
func (p *pairs) Continue(text string) ([]int64, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrText, len(text), maxText)
	}
	ids := make([]int64, 0, len(text))
	for len(text) > 0 {
		_, n := utf8.DecodeRuneInString(text)
		if id, ok := p.ids[text[:n]]; ok {
			ids = append(ids, id)
		} else {
			for _, b := range []byte(text[:n]) {
				ids = append(ids, firstByte+int64(b))
			}
		}
		text = text[n:]
	}
	return p.merge(ids), nil
}

// merge joins neighbours until no two make a token.
func (p *pairs) merge(ids []int64) []int64 {
	unions := make([]int64, max(0, len(ids)-1)) // of every token and the next
	for i := range unions {
		unions[i] = p.union(ids[i], ids[i+1])
	}
	for {
		at := p.best(unions)
		if at < 0 {
			return ids
		}
		ids[at] = unions[at]
		ids, unions = slices.Delete(ids, at+1, at+2), slices.Delete(unions, at, at+1)
		if at > 0 {
			unions[at-1] = p.union(ids[at-1], ids[at])
		}
		if at < len(unions) {
			unions[at] = p.union(ids[at], ids[at+1])
		}
	}
}

// union returns what two neighbours merge to; -1 if they make no token.
func (p *pairs) union(x, y int64) int64 {
	if id, ok := p.ids[p.words[x]+p.words[y]]; ok {
		return id
	}
	return -1
}

// best returns where the union of the highest score is, the first of equals; -1 if there is none.
func (p *pairs) best(unions []int64) int {
	at := -1
	for i, id := range unions {
		if id >= 0 && (at < 0 || p.scores[id] > p.scores[unions[at]]) {
			at = i
		}
	}
	return at
}

// Decode implements Tokenizer. The start token is left out, and with it the space that Encode put after it, a byte where the vocabulary has
// no token for it.
func (p *pairs) Decode(ids []int64) string {
	var b strings.Builder
	previous := int64(-1)
	for _, id := range ids {
		switch {
		case id < 0 || id >= int64(len(p.words)):
			b.WriteString(unknown(id))
		case id == start, previous == start && id == firstByte+' ':
		case id >= firstByte && id < firstByte+256:
			b.WriteByte(byte(id - firstByte))
		case previous == start:
			b.WriteString(strings.TrimPrefix(p.words[id], " "))
		default:
			b.WriteString(p.words[id])
		}
		previous = id
	}
	return b.String()
}

// Size implements Tokenizer.
func (p *pairs) Size() int { return len(p.words) }

// End implements Tokenizer.
func (p *pairs) End() (int64, bool) { return start, true }

// Pad implements Tokenizer: the format has none.
func (p *pairs) Pad() (int64, bool) { return -1, false }

// Sum implements Tokenizer.
func (p *pairs) Sum() [32]byte { return p.sum }
