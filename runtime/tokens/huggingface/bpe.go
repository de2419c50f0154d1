package huggingface

import (
	"bytes"
	"container/heap"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// bpe begins with a token for every character and merges neighbours, those first whose merge stands first in the file, of equals the
// leftmost.
type bpe struct {
	vocab          map[string]int64
	merges         map[uint64]merge // by pair
	unk            int64
	prefix, suffix string
	fuse           bool
	fallback       []int64 // ids of the bytes, or nil
	whole          bool    // a word that is a token is that token, whatever the merges say
}

// pair is the key of two ids, which are below maxTokens.
func pair(x, y int64) uint64 { return uint64(x)<<32 | uint64(y) }

// merge is what two tokens become, and when.
type merge struct {
	rank int
	id   int64
}

func newBPE(f *modelFile, vocab map[string]int64, unk int64) (*bpe, error) {
	if f.Dropout != nil && *f.Dropout != 0 {
		return nil, unsupported("dropout")
	}
	m := &bpe{vocab: vocab, unk: unk, fuse: f.FuseUnk, whole: f.IgnoreMerges}
	if f.Prefix != nil {
		m.prefix = *f.Prefix
	}
	if f.Suffix != nil {
		m.suffix = *f.Suffix
	}
	if f.ByteFallback {
		m.fallback = byteTokens(vocab)
	}
	pairs, err := readMerges(f.Merges)
	if err != nil {
		return nil, fmt.Errorf("merges: %w", err)
	}
	m.merges = make(map[uint64]merge, len(pairs))
	for rank, p := range pairs {
		if err := m.add(rank, p); err != nil {
			return nil, fmt.Errorf("merges: %w", err)
		}
	}
	return m, nil
}

// add adds a merge. Of two for the same tokens the last counts.
func (m *bpe) add(rank int, p [2]string) error {
	if len(p[1]) < len(m.prefix) {
		return fmt.Errorf("the token %q lacks the prefix %q", p[1], m.prefix)
	}
	x, okX := m.vocab[p[0]]
	y, okY := m.vocab[p[1]]
	union, ok := m.vocab[p[0]+p[1][len(m.prefix):]]
	if !okX || !okY || !ok {
		return fmt.Errorf("number %d, of %q and %q, is about tokens that are not in vocab", rank, p[0], p[1])
	}
	m.merges[pair(x, y)] = merge{rank, union}
	return nil
}

// readMerges reads both notations: ["a", "b"] and "a b".
func readMerges(raw json.RawMessage) (out [][2]string, err error) {
	if rest := bytes.TrimLeft(raw, "[ \t\r\n"); len(rest) == 0 || rest[0] != '"' || bytes.Count(raw[:len(raw)-len(rest)], []byte("[")) != 1 {
		var pairs [][]string
		if err := json.Unmarshal(raw, &pairs); err != nil {
			return nil, err
		}
		for i, p := range pairs {
			if len(p) != 2 {
				return nil, fmt.Errorf("number %d has %d parts", i, len(p))
			}
			out = append(out, [2]string{p[0], p[1]})
		}
		return out, nil
	}
	var lines []string
	if err := json.Unmarshal(raw, &lines); err != nil {
		return nil, err
	}
	for i, line := range lines {
		if strings.HasPrefix(line, "#version") {
			continue
		}
		x, y, ok := strings.Cut(line, " ")
		if !ok || strings.Contains(y, " ") {
			return nil, fmt.Errorf("number %d, %q, is not two tokens", i, line)
		}
		out = append(out, [2]string{x, y})
	}
	return out, nil
}

func (m *bpe) encode(word string) ([]int64, error) {
	if m.whole {
		if id, ok := m.vocab[word]; ok {
			return []int64{id}, nil
		}
	}
	ids, err := m.characters(word)
	if err != nil {
		return nil, err
	}
	return m.join(ids), nil
}

// characters returns the tokens that merging begins with. An unknown token waits, since the next ones may be fused with it; byte tokens
// overtake it, as in the library.
func (m *bpe) characters(word string) (ids []int64, err error) {
	waiting := false
	flush := func() {
		if waiting {
			ids, waiting = append(ids, m.unk), false
		}
	}
	for i, r := range word {
		text := word[i : i+utf8.RuneLen(r)]
		end := i+len(text) == len(word)
		if i > 0 {
			text = m.prefix + text
		}
		if end {
			text += m.suffix
		}
		if id, ok := m.vocab[text]; ok {
			flush()
			ids = append(ids, id)
		} else if bytes := inBytes(m.fallback, text); bytes != nil {
			ids = append(ids, bytes...)
		} else if m.unk < 0 {
			return nil, unwritable(word[i:])
		} else if !waiting || !m.fuse {
			flush()
			waiting = true
		}
	}
	flush()
	return ids, nil
}

// join merges neighbours until none can be. The queue holds the merges that were possible when they were put there.
func (m *bpe) join(ids []int64) []int64 {
	w := chain{ids: ids, next: make([]int, len(ids)), before: make([]int, len(ids))}
	for i := range ids {
		w.next[i], w.before[i] = i+1, i-1
	}
	for i := range len(ids) - 1 {
		if g, ok := m.merges[pair(ids[i], ids[i+1])]; ok {
			w.queue = append(w.queue, chance{g, i})
		}
	}
	heap.Init(&w.queue)
	for len(w.queue) > 0 {
		m.apply(&w, heap.Pop(&w.queue).(chance))
	}
	out := ids[:0]
	for i := 0; i < len(ids); i = w.next[i] {
		out = append(out, ids[i])
	}
	return out
}

// chain is a list of tokens that is being merged. A token that has gone into the one before it is −1.
type chain struct {
	ids          []int64
	next, before []int
	queue        queue
}

// apply merges the token at a place with the next, if they are still those that the merge was found for.
func (m *bpe) apply(w *chain, c chance) {
	i := c.at
	if w.ids[i] < 0 || w.next[i] == len(w.ids) {
		return
	}
	j := w.next[i]
	if g, ok := m.merges[pair(w.ids[i], w.ids[j])]; !ok || g.id != c.id {
		return
	}
	w.ids[i], w.ids[j] = c.id, -1
	if w.next[i] = w.next[j]; w.next[i] < len(w.ids) {
		w.before[w.next[i]] = i
	}
	for _, at := range [...]int{w.before[i], i} {
		if at < 0 || w.next[at] == len(w.ids) {
			continue
		}
		if g, ok := m.merges[pair(w.ids[at], w.ids[w.next[at]])]; ok {
			heap.Push(&w.queue, chance{g, at})
		}
	}
}

// chance is a merge that is possible at a place.
type chance struct {
	merge
	at int
}

// queue has the chance to be taken first in front.
type queue []chance

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].rank < q[j].rank || q[i].rank == q[j].rank && q[i].at < q[j].at
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

func (q *queue) Push(x any) { *q = append(*q, x.(chance)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
