package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/runtime/tokens"
)

// Files of texts are one input per line or object; empty lines are none, and what is no text is named with its line.
func TestTexts(t *testing.T) {
	vocab, err := os.ReadFile("../../models/sums/vocab.json")
	require.NoError(t, err)
	words, err := tokens.Parse(vocab)
	require.NoError(t, err)
	m := &modelFlags{words: words, plain: words}
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	input := func(ids ...int64) compiler.Input {
		in := compiler.Tokens(ids...)
		in.Text = true
		return in
	}
	read := func(m *modelFlags, path string) []compiler.Input {
		in, err := m.readInputs(path)
		require.NoError(t, err)
		for i := range in {
			require.Regexp(t, "^"+regexp.QuoteMeta(path)+", line [1-9]$", in[i].From)
			in[i].From = ""
		}
		return in
	}
	for name, text := range map[string]string{
		"a.txt":   "1+2=3;\r\n\n7+8=\n",
		"a.JSONL": `{"text": "1+2=3;", "id": 7}` + "\n" + `{"prompt": "7+", "answer": "8="}`,
	} {
		require.Equal(t, []compiler.Input{input(1, 10, 2, 11, 3, 12), input(7, 10, 8, 11)}, read(m, file(name, text)), name)
	}
	require.Equal(t, []compiler.Input{input(7, 10)}, read(m, file("p.jsonl", `{"prompt": "7+"}`)))
	// Prompts and answers of a chat stand in its template, texts do not.
	const letters = `{"added_tokens": [{"id": 7, "content": "<u>", "special": true}, {"id": 8, "content": "</u>", "special": true}],
		"decoder": {"type": "Fuse"}, "model": {"type": "BPE", "merges": [], "vocab": {"a": 0, "b": 1, "c": 2, "<": 3, "u": 4, ">": 5, "/": 6}}}`
	chat := &modelFlags{tokenizer: file("tokenizer.json", letters), chat: file("template.json", `{"before": "<u>", "after": "</u>", "end": "</u>"}`)}
	require.NoError(t, chat.loadTokenizer(&compiler.Config{}))
	require.Equal(t, []compiler.Input{input(7, 0, 8, 1), input(2)}, read(chat, file("chat.jsonl", `{"prompt": "a", "answer": "b"}`+"\n"+`{"text": "c"}`)))
	require.Equal(t, []compiler.Input{input(7, 0, 8)}, read(chat, file("chat.txt", "a")))
	for name, c := range map[string]struct{ file, text, want string }{
		"letters":      {"b.txt", "1+1=\nhello\n", "line 2: "},
		"nothing":      {"b.txt", "\n \n", "it holds no text"},
		"no object":    {"b.jsonl", `["1+1="]`, "line 1: not an object"},
		"a number":     {"b.jsonl", `{"text": 7}`, "line 1: not an object"},
		"both":         {"b.jsonl", `{"text": "1", "prompt": "2"}`, "line 1: not an object"},
		"answer alone": {"b.jsonl", `{"answer": "2"}`, "line 1: not an object"},
	} {
		_, err := m.readInputs(file(c.file, c.text))
		require.ErrorContains(t, err, c.want, name)
		require.Equal(t, console.Unreadable, codeOf(t, err), name)
	}
	for _, name := range []string{"none.json", "none.txt"} {
		_, err := m.readInputs(filepath.Join(t.TempDir(), name))
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.Equal(t, console.Unreadable, codeOf(t, err), name)
		require.Equal(t, 1, strings.Count(err.Error(), name), "%v", err)
	}
	_, err = (&modelFlags{}).readInputs(file("b.txt", "1"))
	require.Equal(t, console.Usage, codeOf(t, err))
}

// Texts choose scales and are checked, each cut to the length of the model and not compared beyond its end.
func TestCalibrateOnTexts(t *testing.T) {
	model := needSums(t)
	texts := filepath.Join(t.TempDir(), "sums.txt")
	require.NoError(t, os.WriteFile(texts, []byte("327+458=785;\n1+1=2;\n123+456=579;12+34=46;7+8=15;\n99+1=100;\n"), 0o600))
	code, out, stderr := run(t, "check", model, texts, "--calibrate", texts, "--tokenizer", "../../models/sums/vocab.json")
	require.Equal(t, console.OK, code, stderr)
	require.Contains(t, out, "integer program against the float model: 4 inputs, 43 positions\n")
	code, _, stderr = run(t, "check", model, "--calibrate", texts)
	require.Equal(t, console.Usage, code)
	require.Contains(t, stderr, "sums.txt holds texts: give the model's --tokenizer")
}

// codeOf is the exit code that an error stands for.
func codeOf(t *testing.T, err error) int {
	var f *console.Failure
	require.ErrorAs(t, err, &f)
	return f.Code
}

// A template that leaves no room for a prompt is refused, before the work where the lengths are on the command line; what room there is at
// each length, and how many texts are cut off, is said.
func TestTextsAgainstLengths(t *testing.T) {
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	tokenizer := file("tokenizer.json", `{"added_tokens": [{"id": 2, "content": "<u>", "special": true}, {"id": 3, "content": "</u>", "special": true}],
		"decoder": {"type": "Fuse"}, "model": {"type": "BPE", "merges": [], "vocab": {"a": 0, "b": 1}}}`)
	template := file("template.json", `{"before": "<u>", "after": "</u>", "end": "</u>"}`)
	texts := file("texts.txt", "a\nab\nabababababab\n")
	model := tinyOf(t, 1, &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimParam{DimParam: "n"}})
	for _, c := range []struct {
		args []string
		code int
		says []string
	}{
		{[]string{"--length", "1,2"}, console.Usage, []string{"a prompt has 2 tokens besides those of its text, of --tokenizer and --chat, and the model takes 2: no prompt would fit"}},
		{[]string{"--dim", "n=2"}, console.Usage, []string{"no prompt would fit"}},
		{[]string{"--length", "2,3,6", "--calibrate", texts}, console.OK, []string{"the template of --chat takes 2 tokens, and leaves none of 2, 1 of 3, 4 of 6 for a prompt and its answer\n", "1 of 3 texts have more than 6 tokens; what is beyond is cut off\n"}},
		{[]string{"--length", "14", "--calibrate", texts}, console.OK, []string{"leaves 12 of 14 for"}},
	} {
		code, _, stderr := run(t, append([]string{"inspect", model, "--tokenizer", tokenizer, "--chat", template}, c.args...)...)
		require.Equal(t, c.code, code, "%v: %s", c.args, stderr)
		for _, want := range c.says {
			require.Contains(t, stderr, want, c.args)
		}
		require.Equal(t, len(c.says) > 1, strings.Contains(stderr, "cut off"), "%v: %s", c.args, stderr)
		require.Equal(t, c.args[0] == "--dim" || c.code == console.OK, strings.Contains(stderr, "reading and simplifying"), c.args)
	}
	code, _, stderr := run(t, "check", model, texts, "--tokenizer", tokenizer, "--chat", template, "--dim", "n=3")
	require.Equal(t, console.OK, code, stderr)
	require.Contains(t, stderr, "2 of 3 texts have more than 3 tokens")
}

// What is wrong with a template is said of the flag that gave it, not of the tokenizer's file.
func TestTemplateErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	tokenizer, typo, broken := file("tokenizer.json", digits), file("bad.json", `{"befor": "1"}`), file("broken.json", `{`)
	for _, c := range []struct{ tokenizer, flag, value, want string }{
		{tokenizer, "--chat", typo, `--chat ` + typo + `: no template for this tokenizer: json: unknown field "befor"`},
		{tokenizer, "--chat", "gemma", `--chat gemma: no template for this tokenizer: its end "<end_of_turn>" is no token`},
		{tokenizer, "--end-token", "foo", `--end-token foo: no template for this tokenizer: its end "foo" is no token`},
		{"../../models/sums/vocab.json", "--chat", "chatml", "--chat chatml: no template for this tokenizer: not a vocabulary file with special tokens, as a tokenizer.json is"},
		{broken, "--chat", "chatml", broken + ": not a vocabulary file"},
	} {
		m := &modelFlags{tokenizer: c.tokenizer}
		if m.chat = c.value; c.flag == "--end-token" {
			m.chat, m.end = "", c.value
		}
		err := m.loadTokenizer(&compiler.Config{})
		require.Error(t, err)
		require.True(t, strings.HasPrefix(err.Error(), c.want), err)
	}
}
