package prover_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/conversation"
	"github.com/zkllmc/zkllmc/internal/dialogue"
	"github.com/zkllmc/zkllmc/internal/format/circuits"
	"github.com/zkllmc/zkllmc/internal/test/provided"
	vocabularies "github.com/zkllmc/zkllmc/internal/vocab"
	proverapp "github.com/zkllmc/zkllmc/runtime/app/prover"
	verifierapp "github.com/zkllmc/zkllmc/runtime/app/verifier"
	"github.com/zkllmc/zkllmc/runtime/asked"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
	"github.com/zkllmc/zkllmc/runtime/tokens"
	"github.com/zkllmc/zkllmc/runtime/verifier"
)

// A conversation is proved and compared as a whole: prover and verifier read it from a file, show it in plain words, and a proof about any other
// history is rejected.
func TestConversation(t *testing.T) {
	dir, _ := provided.Turns(t)
	b := &bench{t: t, dir: dir}
	files := b.contents("model.circuit", "vocab/tokenizer.json", "vocab/template.json", "keys/model.vk")
	f, err := circuits.Decode(t.Context(), []byte(files[0]))
	require.NoError(t, err)
	words := func() (tokens.Tokenizer, error) { return vocabularies.Parse([]byte(files[1]), []byte(files[2])) }
	build := func() (*circuit.Family, error) { return f, nil }
	run := func(want int, program, line string) string {
		var o, e bytes.Buffer
		code := 0
		if program == "prover" {
			code = proverapp.Run(t.Context(), proverapp.Model{Name: "turns", Build: build, Vocab: words}, b.args(line), nil, &o, &e)
		} else {
			code = verifierapp.Run(t.Context(), verifierapp.Model{Name: "turns", Build: build, Vocab: words}, b.args(line), nil, &o, &e)
		}
		require.Equal(t, want, code, "%s\n%s%s", line, &o, &e)
		return o.String() + e.String()
	}
	history := `[{"role": "user", "content": "d"}, {"role": "assistant", "content": "ab"}, {"role": "user", "content": "c"}]`
	changed := strings.Replace(history, `"ab"`, `"abc"`, 1)
	for name, text := range map[string]string{"history": history, "changed": changed, "last": `[{"role": "user", "content": "c"}]`, "two": `[{"role": "user", "content": "d"}, {"role": "user", "content": "c"}]`} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	require.Contains(t, run(0, "prover", "run --key @keys/prover.key --messages @history"), "bcd\n")
	said := run(0, "prover", "prove --key @keys/prover.key --messages @history -o @p.bin --statement-out @s.bin")
	require.Contains(t, said, `prompt    user "d", assistant "ab", user "c"`)
	run(0, "verifier", "accept --save @model.id @keys/model.vk")
	said = run(0, "verifier", verifyLine+" --messages @history --answer bcd")
	require.Contains(t, said, `prompt    user "d", assistant "ab", user "c", as asked`)
	var report struct {
		Texts struct {
			Prompt struct {
				Text     *string
				Messages []conversation.Message
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(run(0, "verifier", verifyLine+" --json")), &report))
	require.Nil(t, report.Texts.Prompt.Text)
	require.Equal(t, []conversation.Message{{Role: "user", Content: "d"}, {Role: "assistant", Content: "ab"}, {Role: "user", Content: "c"}}, report.Texts.Prompt.Messages)
	for _, other := range []string{"changed", "last"} {
		require.Contains(t, run(1, "verifier", verifyLine+" --messages @"+other), "prompt mismatch")
	}
	require.Contains(t, run(1, "verifier", verifyLine+" --prompt d"), "prompt mismatch")
	for line, want := range map[string]string{"@two": "message 2 is the user's, where the assistant's turn is", "@history --prompt d": "give only one of --prompt and --messages",
		"@model.id": "--messages: no conversation: want a list of messages"} {
		code := 3 // a file of another kind
		if strings.Contains(line, "--prompt") {
			code = 2
		}
		require.Contains(t, run(code, "verifier", verifyLine+" --messages "+line), want)
		require.Contains(t, run(code, "prover", "run --key @keys/prover.key --messages "+line), want)
	}
	require.Contains(t, run(3, "verifier", verifyLine+" --messages @missing"), "--messages: ")

	key, err := verifier.ReadKey(t.Context(), f, generation.Kind, []byte(files[3]))
	require.NoError(t, err)
	service, err := asked.NewVerifier(f, key, words)
	require.NoError(t, err)
	proof := b.contents("s.bin", "p.bin")
	require.NoError(t, service.VerifyMessages(t.Context(), []byte(history), "bcd", []byte(proof[0]), []byte(proof[1])))
	require.ErrorIs(t, service.VerifyMessages(t.Context(), []byte(changed), "bcd", []byte(proof[0]), []byte(proof[1])), dialogue.ErrPrompt)
	require.ErrorIs(t, service.VerifyMessages(t.Context(), []byte(history), "bc", []byte(proof[0]), []byte(proof[1])), dialogue.ErrAnswer)
}

// A model of prompts alone has no conversations, and what is wrong with a private one is said without showing it.
func TestConversationRefused(t *testing.T) {
	b := proved(t, configs["argmax"])
	require.NoError(t, os.WriteFile(b.file("one"), []byte(`[{"role": "user", "content": "a"}]`), 0o600))
	require.NoError(t, os.WriteFile(b.file("history"), []byte(`[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]`), 0o600))
	b.verifier(0, verifyLine+" --messages @one")
	_, stderr := b.verifier(2, verifyLine+" --messages @history")
	require.Contains(t, stderr, "there is no template of a chat, so that there are prompts and no conversations")
	b = newBench(t, configs["private"])
	require.NoError(t, os.WriteFile(b.file("secret"), []byte(`[{"role": "xyzzy", "content": "xyzzy"}]`), 0o600))
	out, stderr := b.prover(3, "run --key @keys/prover.key --messages @secret")
	require.Contains(t, stderr, "--messages: it is no conversation; it is private and not shown")
	require.NotContains(t, out+stderr, "xyzzy")
}
