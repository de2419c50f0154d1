package tokens_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/runtime/tokens"
)

func TestSums(t *testing.T) {
	v := load(t, "..", "..", "models", "sums", "vocab.json")
	ids, err := v.Encode("327+458=")
	require.NoError(t, err)
	require.Equal(t, []int64{3, 2, 7, 10, 4, 5, 8, 11}, ids)
	require.Equal(t, "327+458=", v.Decode(ids))
	require.Equal(t, 13, v.Size())
	more, err := v.Continue("785;")
	require.NoError(t, err)
	end, ok := v.End()
	require.True(t, ok)
	require.Equal(t, end, more[3])
	pad, ok := v.Pad()
	require.True(t, ok)
	require.Equal(t, "785;", v.Decode(append(more, pad, pad)))
	require.Equal(t, "1⟨15⟩⟨-1⟩", v.Decode([]int64{1, 15, -1}))
	_, err = v.Encode("3 + 4")
	require.ErrorIs(t, err, tokens.ErrText)
	require.ErrorContains(t, err, `' ' at byte 1`)
}

func TestCharactersRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                         "unexpected end",
		`{"vocab": {"a": 0}}`:       "tokeniser",
		`{"tokeniser":"character"}`: "0 tokens",
		`{"tokeniser":"character","vocab":{"ab":0}}`:                            `"ab" is not one character`,
		`{"tokeniser":"character","vocab":{"":0}}`:                              "not one character",
		`{"tokeniser":"character","vocab":{"a":-1}}`:                            "has the id -1",
		`{"tokeniser":"character","vocab":{"a":1099511627776}}`:                 "has the id",
		`{"tokeniser":"character","vocab":{"a":0,"b":0}}`:                       `"a" and "b" have the same id 0`,
		`{"tokeniser":"character","vocab":{"a":0},"end_token":"b"}`:             "end token",
		`{"tokeniser":"character","vocab":{"a":0},"pad_id":-3}`:                 "pad id",
		`{"tokeniser":"character","vocab":{"a":0.5}}`:                           "number",
		`{"tokeniser":"character","vocab":{"a":0}} {"tokeniser":"character"}`:   "after top-level value",
		`{"tokeniser":"character","vocab":{"a":0},"end_token":"a","pad_id":"x"`: "unexpected end",
	} {
		_, err := tokens.Parse([]byte(text))
		require.ErrorIs(t, err, tokens.ErrVocabulary, text)
		require.ErrorContains(t, err, want, text)
	}
	v, err := tokens.Parse([]byte(` {"tokeniser":"character","vocab":{"ü":0}}`))
	require.NoError(t, err)
	_, ok := v.End()
	require.False(t, ok)
	_, ok = v.Pad()
	require.False(t, ok)
	require.Equal(t, "üü", v.Decode([]int64{0, 0}))
}

type word struct {
	text  string
	score float32
}

// pairs builds a llama2.c vocabulary: the special tokens, the bytes, then the given words from id 259 on.
func pairs(words ...word) []byte {
	all := []word{{"<unk>", 0}, {"\n<s>\n", 0}, {"\n</s>\n", 0}}
	for b := range 256 {
		all = append(all, word{fmt.Sprintf("<0x%02X>", b), 0})
	}
	all = append(all, words...)
	out := binary.LittleEndian.AppendUint32(nil, 16)
	for _, w := range all {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(w.score))
		out = binary.LittleEndian.AppendUint32(out, uint32(len(w.text)))
		out = append(out, w.text...)
	}
	return out
}

// sample has the words 259 "th", 260 " t", 261 "the", 262 " the", then single characters from 263 on.
func sample() []byte {
	words := []word{{"th", -1}, {" t", -2}, {"the", -3}, {" the", -4}}
	for i, c := range " theo" {
		words = append(words, word{string(c), float32(-5 - i)})
	}
	return pairs(words...)
}

func TestPairs(t *testing.T) {
	v, err := tokens.Parse(sample())
	require.NoError(t, err)
	require.Equal(t, 268, v.Size())
	for text, want := range map[string][]int64{
		"":     {1},
		"the":  {1, 262},                   // " " t h e → " " th e → " " the → " the"
		"t":    {1, 260},                   // " t"
		"to":   {1, 260, 267},              // " t" o
		"o\n":  {1, 263, 267, 3 + '\n'},    // a byte where there is no character
		"é":    {1, 263, 3 + 195, 3 + 169}, // two of them
		"o th": {1, 263, 267, 263, 259},    // "th" scores higher than " t"
	} {
		ids, err := v.Encode(text)
		require.NoError(t, err)
		require.Equal(t, want, ids, text)
		require.Equal(t, text, v.Decode(ids))
	}
	ids, err := v.Continue("the")
	require.NoError(t, err)
	require.Equal(t, []int64{261}, ids, "no start token and no space in the middle")
	require.Equal(t, " the⟨999⟩⟨-1⟩", v.Decode([]int64{262, 999, -1}))
	end, ok := v.End()
	require.True(t, ok)
	require.Equal(t, int64(1), end)
	_, err = v.Encode(strings.Repeat("x", 1<<17))
	require.ErrorIs(t, err, tokens.ErrText)
}

// TestPairsOfNames writes text that looks like the names of special tokens.
func TestPairsOfNames(t *testing.T) {
	var chars []word
	for _, c := range " <0xA>s/\n" {
		chars = append(chars, word{string(c), 0})
	}
	chars = append(chars, word{"<0", 1}, word{"<0x", 2}, word{"<0x0", 3}, word{"<0x0A", 4}, word{"\n<", 5}, word{"\n<s", 6}, word{"\n<s>", 7})
	v, err := tokens.Parse(pairs(chars...))
	require.NoError(t, err)
	for _, text := range []string{"<0x0A>", "\n<s>\n"} {
		ids, err := v.Encode(text)
		require.NoError(t, err)
		require.Equal(t, text, v.Decode(ids))
		for _, id := range ids[1:] {
			require.GreaterOrEqual(t, id, int64(259), "a text never becomes a control token")
		}
	}
}

func TestPairsRefuses(t *testing.T) {
	good := sample()
	for name, data := range map[string][]byte{
		"empty": nil, "short": good[:3], "few tokens": good[:4], "neither kind": []byte("\xff\xff\xff\xffabc"),
		"within a token": good[:len(good)-1], "within a score": good[:len(good)-11],
		"long token": binary.LittleEndian.AppendUint32(append([]byte(nil), good...), 0),
		"token longer than the longest": func() []byte {
			return append(binary.LittleEndian.AppendUint32(append(append([]byte(nil), good...), 0, 0, 0, 0), 17), make([]byte, 17)...)
		}(),
		"no score": append(append([]byte(nil), good...), 0, 0, 0xc0, 0x7f, 0, 0, 0, 0),
	} {
		_, err := tokens.Parse(data)
		require.ErrorIs(t, err, tokens.ErrVocabulary, name)
	}
}

// load reads a vocabulary file.
func load(t *testing.T, path ...string) tokens.Tokenizer {
	data, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	v, err := tokens.Parse(data)
	require.NoError(t, err)
	require.Equal(t, sha256.Sum256(data), v.Sum())
	return v
}
