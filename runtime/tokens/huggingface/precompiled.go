package huggingface

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"
)

// charsmap is SentencePiece's table of normalizations: a trie of what is replaced, as a double array, and the replacements, which end with
// a zero byte each.
type charsmap struct {
	trie []byte // of little-endian units of 4 bytes
	text string
}

func newCharsmap(encoded string) (*charsmap, error) {
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("precompiled_charsmap: %w", err)
	}
	if len(data) < 4 {
		return nil, fmt.Errorf("precompiled_charsmap: %d bytes", len(data))
	}
	size := uint64(binary.LittleEndian.Uint32(data)) &^ 3
	if data = data[4:]; size < 4 || size > uint64(len(data)) {
		return nil, fmt.Errorf("precompiled_charsmap: a trie of %d bytes in %d", size, len(data))
	}
	m := &charsmap{data[:size], string(data[size:])}
	if !utf8.ValidString(m.text) {
		return nil, fmt.Errorf("precompiled_charsmap: its replacements are no UTF-8")
	}
	for out := range strings.SplitSeq(m.text, "\x00") {
		if len(out) > maxContent {
			return nil, fmt.Errorf("precompiled_charsmap: a replacement of %d bytes, the limit is %d", len(out), maxContent)
		}
	}
	return m, nil
}

// unit returns a unit of the trie; ok is false where there is none.
func (m *charsmap) unit(at uint32) (u uint32, ok bool) {
	if uint64(at) >= uint64(len(m.trie))/4 {
		return 0, false
	}
	return binary.LittleEndian.Uint32(m.trie[4*at:]), true
}

// offset is how far from a unit its children are.
func offset(u uint32) uint32 { return u >> 10 << (u & (1 << 9) >> 6) }

// replacement looks for the shortest beginning of a text that the trie holds. What is there stands for the whole text, as in the library.
func (m *charsmap) replacement(text string) (string, bool) {
	u, ok := m.unit(0)
	at := offset(u)
	for i := 0; ok && i < len(text) && text[i] != 0; i++ {
		at ^= uint32(text[i])
		if u, ok = m.unit(at); !ok || u&(1<<31|0xff) != uint32(text[i]) {
			return "", false
		}
		at ^= offset(u)
		if u>>8&1 == 0 {
			continue
		}
		leaf, ok := m.unit(at)
		index := int(leaf & (1<<31 - 1))
		if !ok || index >= len(m.text) {
			return "", false
		}
		out, _, _ := strings.Cut(m.text[index:], "\x00")
		return strings.ToValidUTF8(out, ""), true
	}
	return "", false
}

// maxCluster bounds the bytes of the clusters that are replaced as one.
const maxCluster = 6

// normalize replaces every short cluster, or where it is not replaced every character of it.
func (m *charsmap) normalize(text string) string {
	var b strings.Builder
	for text != "" {
		n := cluster(text)
		whole := text[:n]
		text = text[n:]
		if out, ok := m.replacement(whole); n < maxCluster && ok {
			b.WriteString(out)
			continue
		}
		for _, r := range whole {
			if out, ok := m.replacement(string(r)); ok {
				b.WriteString(out)
			} else {
				b.WriteRune(r)
			}
		}
	}
	return b.String()
}

// cluster returns the bytes of the first extended grapheme cluster of a text.
func cluster(text string) int {
	before, n := utf8.DecodeRuneInString(text)
	var s clusterState
	s.pass(before)
	for n < len(text) {
		r, size := utf8.DecodeRuneInString(text[n:])
		if !s.joins(before, r) {
			break
		}
		s.pass(r)
		before, n = r, n+size
	}
	return n
}

// clusterState is what the rules for emoji, flags and conjuncts look back at.
type clusterState struct {
	pictured, zwj bool // a pictograph and marks of its; a joiner behind them
	flags         int  // regional indicators
	conjunct      int  // 1: a consonant and marks; 2: with a linker among them
}

// pass takes a character into the cluster.
func (s *clusterState) pass(r rune) {
	mark := joinExtend.has(r) || joinLinker.has(r)
	s.zwj = s.pictured && r == 0x200d
	s.pictured = joinPictographic.has(r) || s.pictured && mark
	if joinRegional.has(r) {
		s.flags++
	} else {
		s.flags = 0
	}
	switch {
	case joinConsonant.has(r):
		s.conjunct = 1
	case joinLinker.has(r) && s.conjunct > 0:
		s.conjunct = 2
	case !mark:
		s.conjunct = 0
	}
}

// joins says whether a character belongs to the cluster of the one before it.
func (s *clusterState) joins(before, r rune) bool {
	switch {
	case before == '\r' && r == '\n':
		return true
	case before == 0 || r == 0 || clusterControl.has(before) || clusterControl.has(r):
		return false
	case clusterExtend.has(r), clusterPrepend.has(before):
		return true
	case s.zwj && joinPictographic.has(r), s.flags%2 == 1 && joinRegional.has(r), s.conjunct == 2 && joinConsonant.has(r):
		return true
	}
	return hangulJoins(hangulOf(before), hangulOf(r))
}

// hangul are the kinds of letters that Korean syllables are made of. Vowel signs of Kirat Rai join alike.
type hangul int

const (
	notHangul hangul = iota
	hangulL
	hangulV
	hangulT
	hangulLV
	hangulLVT
)

func hangulOf(r rune) hangul {
	switch {
	case r >= 0x1100 && r <= 0x115f, r >= 0xa960 && r <= 0xa97c:
		return hangulL
	case r >= 0x1160 && r <= 0x11a7, r >= 0xd7b0 && r <= 0xd7c6, r == 0x16d63, r >= 0x16d67 && r <= 0x16d6a:
		return hangulV
	case r >= 0x11a8 && r <= 0x11ff, r >= 0xd7cb && r <= 0xd7fb:
		return hangulT
	case r >= 0xac00 && r <= 0xd7a3 && (r-0xac00)%28 == 0:
		return hangulLV
	case r >= 0xac00 && r <= 0xd7a3:
		return hangulLVT
	}
	return notHangul
}

func hangulJoins(x, y hangul) bool {
	switch x {
	case hangulL:
		return y == hangulL || y == hangulV || y == hangulLV || y == hangulLVT
	case hangulLV, hangulV:
		return y == hangulV || y == hangulT
	case hangulLVT, hangulT:
		return y == hangulT
	}
	return false
}
