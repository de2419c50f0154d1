// What both programs show of proofs whose prover chose the tokens, and what it says to those who know what was asked.
package prover_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/format"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/reading"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	proverapp "github.com/zkllmc/zkllmc/runtime/app/prover"
	verifierapp "github.com/zkllmc/zkllmc/runtime/app/verifier"
	"github.com/zkllmc/zkllmc/runtime/gadget"
	"github.com/zkllmc/zkllmc/runtime/tokens"
	"github.com/zkllmc/zkllmc/runtime/tokens/huggingface"
)

// desk is a bench whose programs have a vocabulary of their own, with the model set up and accepted.
type desk struct {
	*bench
	vocab func() (tokens.Tokenizer, error)
}

func newDesk(t *testing.T, c *circuit.Circuit, weights map[circuit.ID]integer.Tensor, vocab func() (tokens.Tokenizer, error)) *desk {
	d := &desk{&bench{t: t, dir: t.TempDir(), c: c}, vocab}
	data, err := format.EncodeWeights(circuit.Single(c), weights)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(d.file("weights.zkw"), data, 0o600))
	d.prover(0, "setup --weights @weights.zkw -o @keys")
	d.verifier(0, "accept --save @model.id @keys/model.vk")
	return d
}

// proves proves what the line asks and returns what is printed of it.
func (d *desk) proves(line string) string {
	d.t.Helper()
	var o, e bytes.Buffer
	m := proverapp.Model{Name: "shown", Build: built(d.c), Vocab: d.vocab}
	line = "prove --force --key @keys/prover.key -o @p.bin --statement-out @s.bin " + line
	require.Equal(d.t, 0, proverapp.Run(context.Background(), m, d.args(line), nil, &o, &e), "%s\n%s%s", line, &o, &e)
	shown, files, _ := strings.Cut(o.String(), "statement ")
	require.Equal(d.t, 2, strings.Count(files, "\n"), "the two files come last")
	return shown
}

// says verifies the proof with further flags and returns what is printed, of an accepted proof without what is not about texts.
func (d *desk) says(code int, flags ...string) string {
	d.t.Helper()
	var o, e bytes.Buffer
	m := verifierapp.Model{Name: "shown", Build: built(d.c), Vocab: d.vocab}
	require.Equal(d.t, code, verifierapp.Run(context.Background(), m, append(d.args(verifyLine), flags...), nil, &o, &e), "%q\n%s%s", flags, &o, &e)
	if code != 0 {
		return e.String()
	}
	var out strings.Builder
	for line := range strings.Lines(o.String()) {
		switch label, _, _ := strings.Cut(line, " "); label {
		case "model", "circuit", "time", "size":
		default:
			out.WriteString(line)
		}
	}
	return out.String()
}

// report is what --json prints, without what is not about texts.
func (d *desk) report(code int, flags ...string) (out struct {
	Accepted bool   `json:"accepted"`
	Class    string `json:"class"`
	End      bool   `json:"end_inside"`
	Texts    any    `json:"texts"`
	Asked    any    `json:"asked"`
}) {
	d.t.Helper()
	var o, e bytes.Buffer
	m := verifierapp.Model{Name: "shown", Build: built(d.c), Vocab: d.vocab}
	require.Equal(d.t, code, verifierapp.Run(context.Background(), m, append(d.args(verifyLine+" --json"), flags...), nil, &o, &e), "%q\n%s%s", flags, &o, &e)
	require.NoError(d.t, json.Unmarshal(o.Bytes(), &out))
	return out
}

const (
	accepted = "accepted  the proof shows that the model continues the prompt's tokens with the answer's tokens\n"
	warning  = `WARNING   the prompt is not the usual tokenisation of its text: the text alone does not say what was proved, and the
          model may answer that text otherwise. 'verify --prompt TEXT' accepts no tokens but the usual ones.
`
	unusual = "note      the answer is not the usual tokenisation of its text: the text alone does not say what was proved\n"
	inside  = "note      an end token stands inside the answer: the model's answer ends there, and the rest only continues it\n"
)

// TestSteeredSum steers our own model with a pad token, which has no text: it then answers 9 where it is asked 1+1.
func TestSteeredSum(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "models", "sums")
	r, err := compiler.Analyse(context.Background(), filepath.Join(dir, "model.onnx"), compiler.Config{Reveal: map[string]string{"": "argmax"}, Pad: 13, Name: "sums"})
	require.NoError(t, err)
	weights := map[circuit.ID]integer.Tensor{}
	for i, w := range r.Circuit.Weights() {
		cells := make([]int16, r.Weights[i].Short.Len())
		require.NoError(t, r.Weights[i].Short.Read(cells, 0))
		weights[w.ID] = integer.Tensor{Shape: r.Weights[i].Shape, Short: cells}
	}
	vocab, err := os.ReadFile(filepath.Join(dir, "vocab.json"))
	require.NoError(t, err)
	d := newDesk(t, r.Circuit, weights, parsed(vocab))

	honest := "prompt    \"1+1=\"\nanswer    \"2;\"\n"
	require.Equal(t, honest, d.proves("--prompt 1+1="))
	require.Equal(t, accepted+honest, d.says(0))
	require.Equal(t, accepted+"prompt    \"1+1=\", as asked\nanswer    \"2;\", as told\n", d.says(0, "--prompt", "1+1=", "--answer", "2"))

	steered := "prompt    ⟨13⟩ \"1\" \"+\" \"1\" \"=\"%s\ntokens    13,1,10,1,11\n" + warning + "answer    \"9;\"\n"
	require.Equal(t, fmt.Sprintf(steered, ""), d.proves("--tokens 13,1,10,1,11"))
	require.Equal(t, accepted+fmt.Sprintf(steered, ""), d.says(0))
	require.Equal(t, accepted+fmt.Sprintf(steered, ", as asked"), d.says(0, "--tokens", "13,1,10,1,11"))
	require.Equal(t, `verifier: rejected (prompt mismatch): the proof holds, but for another prompt: expected "1+1=" (tokens 1,10,1,11), `+
		"proved ⟨13⟩ \"1\" \"+\" \"1\" \"=\" (tokens 13,1,10,1,11)\n", d.says(1, "--prompt", "1+1="))
}

// The words of the vocabulary of pairs, from id 259 on, and what the model of TestSteeredPairs answers to each.
var (
	pairWords = []string{" ", "a", "b", "ab", " a", " ab", "c", " c", "d"}
	pairNext  = map[string]string{" ab": "c", "c": "", "": "d", "d": "", "b": "d", " c": "a", "a": "b"} // "" is the end token
)

// pairModel is a model that answers every token by a table, and its vocabulary in the format of llama2.c.
func pairModel(t *testing.T) (*circuit.Circuit, map[circuit.ID]integer.Tensor, []byte) {
	const first, end = 259, 1
	size := first + len(pairWords)
	file := binary.LittleEndian.AppendUint32(nil, 16)
	ids := map[string]int{"": end}
	for id := range size {
		word := fmt.Sprintf("<%d>", id)
		if id >= first {
			word = pairWords[id-first]
			ids[word] = id
		}
		file = append(binary.LittleEndian.AppendUint32(append(file, 0, 0, 0, 0), uint32(len(word))), word...)
	}
	words := slices.Sorted(maps.Keys(pairNext)) // those with an answer, one channel each
	text := witnesstest.Text{Name: "pairs", Length: 8, Reveal: circuit.Argmax, Vocab: size, WeightBits: 8, WitnessBits: 8}
	b := text.Builder()
	w, next := b.Weight("words", 8, size, len(words)), b.Weight("next", 8, size, len(words))
	x := gadget.Embed(b, "x", text.Tokens(b), w)
	text.Logits(b, b.Virtual("logits", []int{8, size}, b.Times(1, fmt.Sprintf("td,vd->tv t=8 d=%d v=%d", len(words), size), x, next)))
	c, err := b.Finish()
	require.NoError(t, err)
	from, to := make([]int64, size*len(words)), make([]int64, size*len(words))
	for i, word := range words {
		from[len(words)*ids[word]+i], to[len(words)*ids[pairNext[word]]+i] = 1, 90
	}
	shape := []int{size, len(words)}
	return c, map[circuit.ID]integer.Tensor{w: {Shape: shape, V: from}, next: {Shape: shape, V: to}}, file
}

// TestSteeredPairs writes "ab" and "c" in all the ways that used to look alike: letter by letter, with start tokens inside, without the
// first one, with bytes. Answers have end tokens inside, or are written letter by letter by the model itself.
func TestSteeredPairs(t *testing.T) {
	c, weights, vocab := pairModel(t)
	d := newDesk(t, c, weights, parsed(vocab))
	prompt := func(shown string) string { return "prompt    " + shown + "\n" }
	steered := func(shown, ids string) string { return prompt(shown) + "tokens    " + ids + "\n" + warning }
	for _, x := range []struct{ line, shown string }{
		{"--prompt ab", prompt(`"ab"`) + "answer    \"c\"\n"},
		{"--prompt ab --max 1", prompt(`"ab"`) + "answer    \"c\" (unfinished: no end token)\n"},
		{"--tokens 1,263,261", steered(`⟨1⟩ " a" "b"`, "1,263,261") + "answer    \"d\"\n"},
		{"--tokens 1,259,260,261", steered(`⟨1⟩ " " "a" "b"`, "1,259,260,261") + "answer    \"d\"\n"},
		{"--tokens 1,264,1", steered(`⟨1⟩ " ab" ⟨1⟩`, "1,264,1") + "answer    \"d\"\n"},
		{"--tokens 1,263,1,261", steered(`⟨1⟩ " a" ⟨1⟩ "b"`, "1,263,1,261") + "answer    \"d\"\n"},
		{"--tokens 262,1", steered(`"ab" ⟨1⟩`, "262,1") + "answer    \"d\"\n"},
		{"--tokens 1,1,264", steered(`⟨1⟩ ⟨1⟩ " ab"`, "1,1,264") + "answer    \"c\"\n"},
		{"--tokens 1,263,101 --answer-tokens 0", steered(`⟨1⟩ " a" ⟨101⟩`, "1,263,101") + // 101 is the byte of "b"
			"answer    ⟨0⟩ (unfinished: no end token)\ntokens    0\n" + unusual},
		{"--prompt c", prompt(`"c"`) + "answer    \"a\" \"b\" \"d\" ⟨1⟩\ntokens    260,261,267,1\n" + unusual},
		{"--prompt ab --answer-tokens 265,1,267,1", prompt(`"ab"`) + "answer    \"c\" ⟨1⟩ \"d\" ⟨1⟩\ntokens    265,1,267,1\n" + inside},
		{"--prompt ab --answer-tokens 265,1,267", prompt(`"ab"`) + "answer    \"c\" ⟨1⟩ \"d\" (unfinished: no end token)\ntokens    265,1,267\n" + inside},
	} {
		require.Equal(t, x.shown, d.proves(x.line))
		require.Equal(t, accepted+x.shown, d.says(0), x.line)
		require.Contains(t, d.says(1, "--prompt", "d"), `expected "d" (tokens 1,259,267), proved `, x.line)
		if honest := strings.HasPrefix(x.line, "--prompt ab"); honest {
			require.Contains(t, d.says(0, "--prompt", "ab"), `"ab", as asked`, x.line)
			continue
		}
		require.Contains(t, d.says(1, "--prompt", "ab"), "rejected (prompt mismatch)", x.line)
	}
}

// chatter is a tokenizer.json with a template: "ab" is the prompt <u>ab</u><a>. The model answers b, c and the end token.
func chatter() (tokens.Tokenizer, error) {
	return huggingface.Parse([]byte(`{"added_tokens": [{"id": 8, "content": "<u>", "special": true}, {"id": 9, "content": "</u>", "special": true},
		{"id": 10, "content": "<a>", "special": true}], "decoder": {"type": "Fuse"}, "model": {"type": "BPE", "merges": [],
		"vocab": {"a": 0, "b": 1, "c": 2, "d": 3, "<": 4, "u": 5, ">": 6, "/": 7}}}`), []byte(`{"before": "<u>", "after": "</u><a>", "end": "</u>"}`))
}

// A chat: texts are the user's words, which both sides put into the template. What he writes makes no turns, and a prompt with other turns
// than the template's is no text's.
func TestChat(t *testing.T) {
	text := witnesstest.Text{Name: "chat", Length: 24, Reveal: circuit.Argmax, Vocab: 11, WeightBits: 8, WitnessBits: 8}
	b := text.Builder()
	w := b.Weight("next", 8, 11, 11)
	text.Logits(b, gadget.Embed(b, "logits", text.Tokens(b), w))
	c, err := b.Finish()
	require.NoError(t, err)
	v := make([]int64, 11*11)
	for from, to := range map[int]int{10: 1, 1: 2, 2: 9} {
		v[11*from+to] = 90
	}
	d := newDesk(t, c, map[circuit.ID]integer.Tensor{w: {Shape: []int{11, 11}, V: v}}, chatter)
	for _, prompt := range []string{"ab", "d</u><a>b</u><u>a", "", "<a>"} {
		d.proves("--tokens " + reading.FormatIDs(encoded(t, prompt)))
		shown := d.says(0, "--prompt", prompt, "--answer", "bc")
		require.Contains(t, shown, fmt.Sprintf("prompt    %q, as asked\nanswer    \"bc\", as told\n", prompt))
		require.Contains(t, d.says(1, "--prompt", prompt+"d"), "prompt mismatch")
	}
	require.Equal(t, "prompt    \"ab\"\nanswer    \"bc\"\n", d.proves("--prompt ab"))
	require.Equal(t, accepted+"prompt    \"ab\"\nanswer    \"bc\"\n", d.says(0))
	forged := "--tokens 8,3,9,10,1,9,8,0,9,10" // <u>d</u><a>b</u><u>a</u><a>
	require.Contains(t, d.proves(forged), warning)
	require.Contains(t, d.says(0), `prompt    ⟨8⟩ "d" ⟨9⟩ ⟨10⟩ "b" ⟨9⟩ ⟨8⟩ "a" ⟨9⟩ ⟨10⟩`)
	for _, prompt := range []string{"a", "d", "d</u><a>b</u><u>a"} {
		require.Contains(t, d.says(1, "--prompt", prompt), "prompt mismatch")
	}
	d.write("long.txt", strings.Repeat("b", 23))
	// Who asks too much is told how much of it he did not ask.
	for line, want := range map[string]string{
		"--prompt " + strings.Repeat("a", 22):             "the prompt has 25 tokens (3 of them are around its text: the tokenizer's and its template's), the circuit takes at most 24",
		"--prompt aa --answer " + strings.Repeat("b", 21): "prompt and answer have 26 tokens (3 of them are around its text",
		"--tokens 1" + strings.Repeat(",1", 24):           "the prompt has 25 tokens, the circuit",
		"--max 3 --prompt-file @long.txt":                 "the prompt has 26 tokens (3 of them",
	} {
		var o, e bytes.Buffer
		m := proverapp.Model{Name: "shown", Build: built(c), Vocab: chatter}
		code := proverapp.Run(context.Background(), m, d.args("prove --key @keys/prover.key -o @p2.bin --statement-out @s2.bin "+line), nil, &o, &e)
		require.Equal(t, 2, code, "%s: %s", line, &e)
		require.Contains(t, e.String(), want, line)
	}
}

// encoded is the prompt that both sides make of a text.
func encoded(t *testing.T, text string) []int64 {
	k, err := chatter()
	require.NoError(t, err)
	ids, err := k.Encode(text)
	require.NoError(t, err)
	return ids
}

func TestAnswerIsCompared(t *testing.T) {
	c, weights, vocab := pairModel(t)
	d := newDesk(t, c, weights, parsed(vocab))
	d.proves("--prompt ab --answer-tokens 265,1,267,1")
	require.Equal(t, `verifier: rejected (answer mismatch): the proof holds, but for another answer: expected "cd" (tokens 265,267), `+
		"proved \"c\" ⟨1⟩ \"d\" ⟨1⟩ (tokens 265,1,267,1)\n", d.says(1, "--prompt", "ab", "--answer", "cd"))
	d.says(1, "--answer", "c")
	d.says(0, "--answer-tokens", "265,1,267,1")
	d.proves("--prompt ab")
	d.says(0, "--answer", "c")
	d.says(0, "--answer-tokens", "265,1")
	d.says(1, "--answer-tokens", "265") // ids are what they are
	d.says(1, "--answer", "cc")
	d.proves("--prompt c")
	require.Contains(t, d.says(0, "--answer", "abd"), "⟨1⟩, as told\n", "other tokens than the usual ones, but the model's, and they read so")
	d.says(1, "--answer", "ab")
	d.says(1, "--answer", "abdd")
	d.says(1, "--answer", "")
	d.says(0, "--answer-tokens", "260,261,267,1")
}

// TestUnusualAnswer asks for what the model answers letter by letter, and for what it does not answer.
func TestUnusualAnswer(t *testing.T) {
	c, weights, vocab := pairModel(t)
	d := newDesk(t, c, weights, parsed(vocab))
	m := proverapp.Model{Name: "shown", Build: built(d.c), Vocab: d.vocab}
	for _, x := range []struct {
		code         int
		line, o, err string
	}{
		{0, "run --prompt c", "abd\n", `(not the usual tokens of this text: "a" "b" "d" ⟨1⟩)`},
		{0, "run --prompt c --json", `"text": "abd",
      "spelled": "\"a\" \"b\" \"d\" ⟨1⟩"`, ""},
		{1, "prove -o @q --statement-out @r --prompt c --answer-tokens 260,261,1", "",
			`does not answer "a" "b" ⟨1⟩: after ⟨1⟩ " c" "a" "b" it continues with "d", not with ⟨1⟩`},
	} {
		var o, e bytes.Buffer
		require.Equal(t, x.code, proverapp.Run(context.Background(), m, d.args(x.line+" --key @keys/prover.key"), nil, &o, &e), x.line)
		require.Contains(t, o.String(), x.o, x.line)
		require.Contains(t, e.String(), x.err, x.line)
	}
}

func TestTextsOfReports(t *testing.T) {
	c, weights, vocab := pairModel(t)
	d := newDesk(t, c, weights, parsed(vocab))
	type object = map[string]any
	d.proves("--prompt ab")
	r := d.report(0)
	which := fmt.Sprintf("%x", sha256.Sum256(vocab))
	require.Equal(t, object{"tokenizer": which, "prompt": object{"canonical": true, "text": "ab"}, "answer": object{"canonical": true, "text": "c"}}, r.Texts)
	require.Nil(t, r.Asked)
	require.False(t, r.End)
	d.proves("--tokens 1,263,261 --answer-tokens 267,1,267,1")
	r = d.report(0)
	require.Equal(t, object{"tokenizer": which, "prompt": object{"canonical": false, "spelled": `⟨1⟩ " a" "b"`},
		"answer": object{"canonical": false, "spelled": `"d" ⟨1⟩ "d" ⟨1⟩`}}, r.Texts, "no text that deceives")
	require.True(t, r.End)
	r = d.report(1, "--prompt", "ab", "--answer-tokens", "267,1,267,1")
	require.Equal(t, "prompt mismatch", r.Class)
	require.False(t, r.Accepted)
	require.Equal(t, object{"prompt_tokens": []any{1., 264.}, "prompt_matches": false, "answer_tokens": []any{267., 1., 267., 1.}, "answer_matches": true}, r.Asked)
	r = d.report(0, "--tokens", "1,263,261")
	require.Equal(t, object{"prompt_tokens": []any{1., 263., 261.}, "prompt_matches": true}, r.Asked)
	d.change("p.bin", "p.bin", func(p []byte) []byte { p[len(p)-1] ^= 1; return p })
	r = d.report(1, "--prompt", "ab")
	require.NotEqual(t, "prompt mismatch", r.Class)
	require.Equal(t, object{"prompt_tokens": []any{1., 264.}}, r.Asked, "nothing is compared with a statement that was not proved")
}

// TestAskedOfLogits compares with answers whose end token finds no position: revealed logits predict it.
func TestAskedOfLogits(t *testing.T) {
	cfg := configs["logits"]
	cfg.Length = 4
	b := proved(t, cfg)
	for _, flags := range []string{" --answer bcd;", " --answer bcd", " --answer-tokens 1,2,3,4", " --answer-tokens 1,2,3", " --prompt a"} {
		out, _ := b.verifier(0, verifyLine+flags)
		require.Contains(t, out, `next      ";", as the revealed logits predict`)
	}
	for _, flags := range []string{" --answer bcda", " --answer bc", " --answer-tokens 1,2,3,4,0", " --prompt aa"} {
		b.verifier(1, verifyLine+flags)
	}
}

func TestAskedUsage(t *testing.T) {
	b := proved(t, configs["argmax"])
	for flags, want := range map[string]string{
		" --prompt a --tokens 0":          "only one of --prompt and --tokens",
		" --answer a --answer-tokens 0":   "only one of --answer and --answer-tokens",
		" --prompt=":                      "--prompt: it is empty",
		" --tokens=":                      `"" is no token id`,
		" --tokens 0,x":                   `"x" is no token id`,
		" --answer-tokens 6":              "token 0 is 6, the model knows 0 to 5",
		" --prompt e":                     "there is no token for 'e'",
		" --prompt a --answer-tokens 1,,": "--answer-tokens",
	} {
		_, stderr := b.verifier(2, verifyLine+flags)
		require.Contains(t, stderr, want, flags)
	}
	var o, e bytes.Buffer
	require.Equal(t, 2, verifierapp.Run(context.Background(), verifierapp.Model{Build: built(b.c)}, b.args(verifyLine+" --prompt a"), nil, &o, &e))
	require.Contains(t, e.String(), "--prompt needs a vocabulary")
	require.Equal(t, 0, verifierapp.Run(context.Background(), verifierapp.Model{Build: built(b.c)}, b.args(verifyLine+" --tokens 0"), nil, &o, &e))
	require.Contains(t, o.String(), "prompt    0, as asked")
	require.Equal(t, 1, verifierapp.Run(context.Background(), verifierapp.Model{Build: built(b.c)}, b.args(verifyLine+" --tokens 1"), nil, &o, &e))
	require.Contains(t, e.String(), "expected tokens 1, proved tokens 0")

	b = proved(t, configs["private"])
	_, stderr := b.verifier(2, verifyLine+" --prompt a")
	require.Contains(t, stderr, "hide the prompt")
	out, _ := b.verifier(0, verifyLine+" --answer bcd;")
	require.Contains(t, out, `"bcd;", as told`)
}
