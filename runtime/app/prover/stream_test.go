package prover

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/runtime/tokens"
	"github.com/zkllmc/zkllmc/runtime/tokens/huggingface"
)

// bytesTokens is a vocabulary of byte strings; a text that is not UTF-8 is written with the character for what is none if whole is set.
type bytesTokens struct {
	tokens.Tokenizer
	words []string
	whole bool
	odd   string // what every text ends with that has all its tokens
}

func (b bytesTokens) Decode(ids []int64) string {
	s := ""
	for _, id := range ids {
		s += b.words[id]
	}
	if b.whole {
		s = string(bytes.ToValidUTF8([]byte(s), []byte("\uFFFD")))
	}
	if len(ids) == len(b.words) {
		s += b.odd
	}
	return s
}

// An answer comes piece by piece, whole characters only, and in the end there is its line, whatever the vocabulary does meanwhile.
func TestAnswersAreStreamed(t *testing.T) {
	for name, c := range map[string]struct {
		q      question
		pieces []string
		want   string
	}{
		"no vocabulary":     {question{}, []string{"0", ",1", ",2"}, "0,1,2\n"},
		"letters":           {question{tokenizer: bytesTokens{words: []string{"a", " b", "c"}}}, []string{"a", " b", "c"}, "a bc\n"},
		"bytes":             {question{tokenizer: bytesTokens{words: []string{"a\xe2", "\x82", "\xacb"}}}, []string{"a", "", "€b"}, "a€b\n"},
		"bytes, replaced":   {question{tokenizer: bytesTokens{words: []string{"a\xe2", "\x82", "\xacb"}, whole: true}}, []string{"a", "", "€b"}, "a€b\n"},
		"half a character":  {question{tokenizer: bytesTokens{words: []string{"a", "\xe2", "\x82"}}}, []string{"a", "", ""}, "a\xe2\x82\n"},
		"a changing text":   {question{tokenizer: bytesTokens{words: []string{"a", "\xe2", "b"}, odd: "!"}}, []string{"a", "", "\xe2b!"}, "a\xe2b!\n"},
		"only at the end":   {question{tokenizer: bytesTokens{words: []string{"", "", "x"}}}, []string{"", "", "x"}, "x\n"},
		"nothing but marks": {question{tokenizer: bytesTokens{words: []string{"", "", ""}}}, []string{"", "", ""}, "\n"},
	} {
		var out bytes.Buffer
		s := &stream{w: &out, q: &c.q, yield: func() {}}
		for i, piece := range c.pieces {
			at := out.Len()
			s.said([]int64{0, 1, 2}[:i+1])
			require.Equal(t, piece, out.String()[at:], "%s, %d", name, i)
		}
		s.finish([]int64{0, 1, 2})
		require.Equal(t, c.want, out.String(), name)
	}
	var out bytes.Buffer
	silent := &stream{w: &out, q: &question{}, silent: true}
	silent.said([]int64{1})
	silent.abandon()
	silent.finish([]int64{1})
	require.Empty(t, out.String())

	shrinking := &stream{w: &out, q: &question{}, yield: func() {}}
	shrinking.said([]int64{7, 7})
	shrinking.finish([]int64{8})
	require.Equal(t, "7,7\n8\n", out.String(), "a text that does not go on as it began is printed once more")
	out.Reset()
	(&stream{w: &out, q: &question{}}).abandon()
	require.Empty(t, out.String(), "no line was begun")
	broken := &stream{w: &out, q: &question{}, yield: func() {}}
	broken.said([]int64{7})
	broken.abandon()
	broken.said([]int64{7, 8})
	require.Equal(t, "7\n", out.String(), "decoding that is left behind prints nothing")
}

// Whatever text a tokenizer.json writes, its tokens one by one leave the line of all of them, printed once.
func TestTextsOfTokenizersAreStreamed(t *testing.T) {
	const folder = "../../tokens/huggingface/testdata"
	for _, name := range []string{"smollm2", "llama2", "gemma", "bert", "unigram", "bytes_unigram", "words"} {
		data, err := os.ReadFile(filepath.Join(folder, name+".json"))
		require.NoError(t, err)
		k, err := huggingface.Parse(data, nil)
		require.NoError(t, err)
		for _, text := range []string{"Paris, isn't it? 👩‍🚀 日本語", "  a\n\n b", "naïve e\u0301 نص", "x := []byte(\"\\x00\")\t// 12.5", "\ufffd"} {
			ids, err := k.Continue(text)
			require.NoError(t, err)
			var out bytes.Buffer
			s := &stream{w: &out, q: &question{tokenizer: k}, yield: func() {}}
			for n := range ids {
				s.said(ids[:n+1])
				require.True(t, utf8.Valid(out.Bytes()), "%s: %q", name, &out)
			}
			s.finish(ids)
			require.Equal(t, k.Decode(ids)+"\n", out.String(), "%s: %q", name, text)
		}
	}
}
