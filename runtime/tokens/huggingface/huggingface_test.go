package huggingface

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// file returns a tokenizer.json of three words with some of its members replaced.
func tokenizerFile(members ...string) []byte {
	all := map[string]string{
		"model": `{"type": "WordLevel", "unk_token": "?", "vocab": {"?": 0, "a": 1, "b": 2}}`, "added_tokens": "[]", "decoder": "null",
		"normalizer": "null", "pre_tokenizer": "null", "post_processor": "null",
	}
	for i := 0; i < len(members); i += 2 {
		all[members[i]] = members[i+1]
	}
	out := `{"version": "1.0"`
	for _, name := range []string{"added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model", "padding", "more"} {
		if v, ok := all[name]; ok {
			out += fmt.Sprintf(", %q: %s", name, v)
		}
	}
	return []byte(out + "}")
}

// What a file asks for beyond what is read, and what contradicts itself, is named and refused.
func TestRefuses(t *testing.T) {
	_, err := Parse(tokenizerFile(), nil)
	require.NoError(t, err, "the control")
	bpe := func(more string) string {
		return `{"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": []` + more + `}`
	}
	split := func(regex string) string {
		return fmt.Sprintf(`{"type": "Split", "pattern": {"Regex": %q}, "behavior": "Isolated", "invert": false}`, regex)
	}
	for _, x := range []struct{ member, value, want string }{
		{"more", `1`, `unknown field "more"`},
		{"model", `{"type": "Neural", "vocab": {"a": 0}}`, `"Neural" is not supported`},
		{"model", bpe(`, "dropout": 0.1`), `"dropout" is not supported`},
		{"model", bpe(`, "merges": [["a", "c"]]`), `tokens that are not in vocab`},
		{"model", bpe(`, "merges": [["a", "b", "c"]]`), `has 3 parts`},
		{"model", bpe(`, "merges": ["a b c"]`), `is not two tokens`},
		{"model", bpe(`, "vocab": {"a": 0, "b": 0}`), `"a" and "b" have the same id 0`},
		{"model", bpe(`, "vocab": {"a": 1048576}`), `has the id 1048576`},
		{"model", bpe(`, "vocab": {"a": -1}`), `has the id -1`},
		{"model", bpe(`, "vocab": {"` + strings.Repeat("a", maxWord+1) + `": 0}`), `4097 bytes`},
		{"model", bpe(`, "vocab": {}`), `it has no tokens`},
		{"model", `{"type": "Unigram", "vocab": [["a", 0.5, 1]]}`, `no pair of a token and a score`},
		{"model", `{"type": "Unigram", "vocab": [["a", 0], ["a", 1]]}`, `stands there twice`},
		{"model", `{"type": "Unigram", "vocab": [["a", 0]], "unk_id": 1}`, `there is no token 1`},
		{"added_tokens", `[{"id": 7, "content": "c"}]`, `has the id 7, where the library gives it 3`},
		{"added_tokens", `[{"id": 3, "content": ""}]`, `the added token ""`},
		{"normalizer", `{"type": "Precompiled", "precompiled_charsmap": ""}`, `normalizer: precompiled_charsmap: 0 bytes`},
		{"normalizer", `{"type": "ByteLevel"}`, `normalizer: "ByteLevel" is not supported`},
		{"normalizer", `{"type": "Sequence", "normalizers": [{"type": "Nmt"}]}`, `"Nmt" is not supported`},
		{"normalizer", `{"type": "Replace", "pattern": {"String": ""}, "content": ""}`, `a pattern is a String that is not empty or a Regex`},
		{"normalizer", `{"type": "Replace", "pattern": {"String": "a"}, "content": "` + strings.Repeat("a", 65) + `"}`, `a replacement of 65 bytes`},
		{"normalizer", `{"type": "Sequence", "normalizers": [` + strings.Repeat(`{"type": "NFC"},`, 64) + `{"type": "NFC"}]}`, `more than 64 parts`},
		{"pre_tokenizer", `{"type": "UnicodeScripts"}`, `pre_tokenizer: "UnicodeScripts" is not supported`},
		{"pre_tokenizer", strings.Replace(split("a"), "Isolated", "Sideways", 1), `"Sideways" is not supported`},
		{"pre_tokenizer", split(`(?<=a)b`), `"(?"`},
		{"pre_tokenizer", split(`a(?!b)`), `"(?"`},
		{"pre_tokenizer", split(`^a`), `'^'`},
		{"pre_tokenizer", split(`a\b`), `\\b`},
		{"pre_tokenizer", split(`(a)\1`), `\\1`},
		{"pre_tokenizer", split(`[a-z&&[^b]]`), `classes within classes`},
		{"pre_tokenizer", split(`[^\S]`), `a complement within a class`},
		{"pre_tokenizer", split(`a++`), `invalid nested repetition`},
		{"pre_tokenizer", split(`\p{Greek}`), `the property \p{Greek}`},
		{"pre_tokenizer", split(`a*`), `it matches nothing at all`},
		{"pre_tokenizer", split(strings.Repeat(`(a{99}){10}b`, 5)), `more than 4096 parts`},
		{"pre_tokenizer", split(strings.Repeat("a", 4097)), `a pattern of 4097 bytes`},
		{"pre_tokenizer", `{"type": "Metaspace", "replacement": "ab"}`, `is not one character`},
		{"pre_tokenizer", `{"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "add_prefix_space": false}`, `contradict each other`},
		{"post_processor", `{"type": "Other"}`, `post_processor: "Other" is not supported`},
		{"post_processor", `{"type": "BertProcessing", "sep": ["a", 1], "cls": ["x", 9]}`, `it adds the id 9, which is no token's`},
		{"post_processor", `{"type": "TemplateProcessing", "single": [], "special_tokens": {}}`, `has the text 0 times`},
		{"decoder", `{"type": "CTC"}`, `decoder: "CTC" is not supported`},
		{"decoder", `{"type": "Strip", "content": " ", "start": -1, "stop": 0}`, `-1 and 0 times`},
		{"padding", `{"pad_id": 9}`, `padding: the id 9 is no token's`},
	} {
		_, err := Parse(tokenizerFile(x.member, x.value), nil)
		require.ErrorIs(t, err, tokens.ErrVocabulary, x.value)
		require.ErrorContains(t, err, x.want, x.value)
	}
	for template, want := range map[string]string{
		`{"befor": "a"}`: `unknown field`, `{"end": "c"}`: `its end "c" is no token`, `{"trim": true}`: `nothing to trim`,
		`{"before": "a", "marks": [""]}`: `a mark is empty`, `{"before": "` + strings.Repeat("a", maxTemplate+1) + `"}`: `more than 16384 bytes`, ``: "EOF",
	} {
		_, err := Parse(tokenizerFile(), []byte(template))
		require.ErrorIs(t, err, tokens.ErrVocabulary, template)
		require.ErrorContains(t, err, want, template)
	}
}

// Texts that no tokenizer reads: too long ones, such as are no UTF-8, and where there is no token for them.
func TestTextsThatCannotBeWritten(t *testing.T) {
	k, err := Parse(tokenizerFile("model", `{"type": "BPE", "vocab": {"a": 0}, "merges": []}`), nil)
	require.NoError(t, err)
	for _, text := range []string{"b", "a\xff", strings.Repeat("a", maxText+1)} {
		_, err := k.Encode(text)
		require.ErrorIs(t, err, tokens.ErrText, "%.10q", text)
		_, err = k.Continue(text)
		require.ErrorIs(t, err, tokens.ErrText, "%.10q", text)
	}
	grows := `{"type": "Sequence", "normalizers": [` + strings.Repeat(`{"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaa"},`, 9) + `{"type": "NFC"}]}`
	k, err = Parse(tokenizerFile("normalizer", grows), nil)
	require.NoError(t, err)
	_, err = k.Encode("a")
	require.ErrorIs(t, err, tokens.ErrText)
	require.Equal(t, "a b ⟨9⟩ ⟨-1⟩", k.Decode([]int64{1, 2, 9, -1}))
}

// The longest text takes no more than seconds, whatever it is: BPE merges with a queue, and patterns take linear time.
func TestLongTexts(t *testing.T) {
	for _, name := range []string{"smollm2", "llama2", "unigram", "bytes_unigram", "bert"} {
		data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		require.NoError(t, err)
		k, err := Parse(data, nil)
		require.NoError(t, err)
		for _, part := range []string{"a", " ", "the ", "中", "1", "\n"} {
			start := time.Now()
			_, err := k.Encode(strings.Repeat(part, maxText/len(part)))
			require.NoError(t, err)
			require.Less(t, time.Since(start), 20*time.Second, "%s: %q", name, part)
		}
	}
}
