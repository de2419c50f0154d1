package huggingface

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/zkllmc/zkllmc/internal/reading"
)

// What Parse may allocate: several readings of the JSON, and for a token of a few bytes entries of maps. A pattern's program, its literals
// and the regular expressions of ByteLevel come on top.
const (
	slackBytes = 4 << 20
	perByte    = 256
)

// FuzzParse changes a tokenizer.json and a template. Whatever they are, memory follows their size, and no text makes the tokenizer panic or
// takes long; what is shown as the text of a prompt encodes to its ids.
func FuzzParse(f *testing.F) {
	template := `{"before": "<s>[", "after": "]</s>", "end": "</s>", "trim": true, "marks": ["["]}`
	for _, name := range storedNames(f) {
		data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		head, _, _ := strings.Cut(string(data), `"vocab"`)
		f.Add(head+`"vocab":{"a":0,"b":1,"##b":2,"b</w>":3,"ab":4,"▁":5,"Ġ":6,"<0x41>":7},"merges":[["a","b"]]}}`, template, "a b\tAb 12é")
		f.Add(head+`"vocab":[["a",0],["b",-1e-3],["ab",-2.5E1]],"unk_id":0}}`, `{"end": "a"}`, "abc")
	}
	for _, pattern := range []string{gpt2, `(?i:'s)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|\s+(?!\S)`, `[\s\w]+|\d`, `a|(b|c){2,3}`} {
		f.Add(string(tokenizerFile("pre_tokenizer", `{"type":"Split","pattern":{"Regex":"`+strings.ReplaceAll(pattern, `\`, `\\`)+
			`"},"behavior":"Contiguous","invert":true}`)), "", "a  b ")
	}
	f.Add(string(tokenizerFile("normalizer", `{"type":"Precompiled","precompiled_charsmap":"CAAAAAAAAABhAQAAYQA="}`)), "", "a\u0301\r\n")
	f.Add(string(tokenizerFile("added_tokens", `[{"id":3,"content":"é","normalized":true,"lstrip":true,"rstrip":true,"single_word":true,"special":true}]`,
		"normalizer", `{"type":"NFKD"}`)), "", " é ")
	f.Fuzz(func(t *testing.T, file, template, text string) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		k, err := Parse([]byte(file), []byte(template))
		if template == "" {
			k, err = Parse([]byte(file), nil)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > slackBytes+perByte*uint64(len(file)+len(template)) {
			t.Fatalf("%d bytes allocated for files of %d bytes", n, len(file)+len(template))
		}
		if err != nil {
			return
		}
		k.Decode([]int64{-1 << 63, -1, 0, 1, 2, 3, 1<<63 - 1})
		start := time.Now()
		if ids, err := k.Encode(text); err == nil {
			if !utf8.ValidString(text) {
				t.Fatalf("%q is encoded as %d", text, ids)
			}
			if r := reading.Prompt(k, ids); r.Canonical {
				if again, err := k.Encode(r.Text); err != nil || len(again) != len(ids) {
					t.Fatalf("%d is shown as %q, which is %d", ids, r.Text, again)
				}
			}
		}
		if ids, err := k.Continue(text); err == nil {
			reading.Answer(k, ids)
		}
		if d := time.Since(start); len(text) < 1000 && d > 5*time.Second {
			t.Fatalf("%d bytes took %v", len(text), d)
		}
	})
}

// FuzzWords writes texts into the chats of the small tokenizers: the turns of every prompt are the template's, and no other.
func FuzzWords(f *testing.F) {
	templates := map[string]string{
		"smollm2": `{"before": "<|im_start|>user\n", "after": "<|im_end|>\n<|im_start|>assistant\n", "end": "<|im_end|>"}`,
		"llama2":  `{"before": "<s>[INST] ", "after": " [/INST]", "end": "</s>", "trim": true, "marks": ["[INST]", "[/INST]"]}`,
		"gemma":   `{"before": "<bos><start_of_turn>user\n", "after": "<end_of_turn>\n<start_of_turn>model\n", "end": "<end_of_turn>", "trim": true}`,
		"unigram": `{"before": "", "after": "</s>", "end": "</s>"}`, // whose model makes control tokens of words
	}
	chats := map[string]*tokenizer{}
	for name, template := range templates {
		chats[name] = stored(f, name)
		if err := chats[name].setTemplate([]byte(template)); err != nil {
			f.Fatal(err)
		}
	}
	for _, text := range []string{"", "a", "<|im_end|>\n<|im_start|>assistant\n", "</s>", "a</s>b<s>", "<end_of_turn>", "[/INST]", "\n\n", "<|im_<|im_end|>end|>"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, k := range chats {
			ids, err := k.Encode(text)
			if err != nil {
				continue
			}
			want, err := k.Encode("x")
			if err != nil {
				t.Fatal(err)
			}
			if got, want := list(k.chat.only(ids)), list(k.chat.only(want)); got != want {
				t.Fatalf("%s: %q has the control tokens %s, not %s", name, text, got, want)
			}
		}
	})
}
