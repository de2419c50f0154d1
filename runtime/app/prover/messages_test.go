// What both command lines refuse at once, and what they say.
package prover_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/console"
)

// contents reads files of the folder.
func (b *bench) contents(names ...string) (out []string) {
	for _, n := range names {
		data, err := os.ReadFile(b.file(n))
		require.NoError(b.t, err)
		out = append(out, string(data))
	}
	return out
}

// TestNothingIsLost names files that matter as outputs, with --force.
func TestNothingIsLost(t *testing.T) {
	b := proved(t, configs["argmax"])
	require.NoError(t, os.WriteFile(b.file("vocab.json"), []byte(vocab), 0o600))
	require.NoError(t, os.Symlink(b.file("keys"), b.file("link")))
	require.NoError(t, os.Link(b.file("keys/prover.key"), b.file("hard")))
	require.NoError(t, os.Mkdir(b.file("in"), 0o755))
	require.NoError(t, os.Mkdir(b.file("old"), 0o755))
	b.change("weights.zkw", "in/prover.key", func(d []byte) []byte { return d })
	b.change("keys/prover.key", "old/model.vk", func(d []byte) []byte { return d })
	files := []string{"keys/prover.key", "keys/model.vk", "vocab.json", "hard", "in/prover.key", "old/model.vk", "s.bin", "model.id"}
	before := b.contents(files...)
	const prove = "prove --force --key @keys/prover.key --prompt a "
	for _, line := range []string{
		prove + "-o @keys/prover.key --statement-out @q.bin",
		prove + "-o @q.bin --statement-out @link/prover.key",
		prove + "-o @hard --statement-out @q.bin",
		prove + "-o @keys/model.vk --statement-out @q.bin",
		prove + "--vk @keys/../keys/model.vk -o @q.bin --statement-out @link/model.vk",
		prove + "--vocab @vocab.json -o @vocab.json --statement-out @q.bin",
		prove + "-o @old/model.vk --statement-out @q.bin",
		prove + "-o @q.bin --statement-out @q.bin",
		prove + "-o @keys/q.bin --statement-out @link/q.bin",
		"statement --force --prompt a --answer b -o @keys/prover.key",
		"statement --force --prompt a --answer b --vocab @vocab.json -o @vocab.json",
		"setup --force --weights @in/prover.key -o @in",
		"setup --force --weights @weights.zkw -o @old",
	} {
		_, stderr := b.prover(2, line)
		require.NotContains(t, stderr, "read key", line)
		require.Equal(t, before, b.contents(files...), line)
	}
	for _, line := range []string{"accept --force --save @keys/model.vk @link/model.vk", "accept --force --save @keys/prover.key @keys/model.vk"} {
		b.verifier(2, line)
		require.Equal(t, before, b.contents(files...), line)
	}
	require.NoFileExists(t, b.file("q.bin"))
}

func TestUnfinished(t *testing.T) {
	for name, cfg := range configs {
		b := proved(t, cfg)
		var report map[string]any
		for answer, want := range map[string]bool{"bcd;": true, "bc": false} {
			out, _ := b.prover(0, "prove --force --json --key @keys/prover.key --prompt a --answer "+answer+" -o @p.bin --statement-out @s.bin")
			require.NoError(t, json.Unmarshal([]byte(out), &report))
			require.Equal(t, want, report["finished"], name)
			out, _ = b.verifier(0, verifyLine+" --json")
			require.NoError(t, json.Unmarshal([]byte(out), &report))
			require.Equal(t, want, report["finished"], name)
			out, _ = b.verifier(0, verifyLine)
			require.Equal(t, !want, strings.Contains(out, `"bc" (unfinished: no end token)`), out)
		}
	}
	b := proved(t, configs["argmax"])
	out, _ := b.prover(0, "prove --force --key @keys/prover.key --prompt a --max 2 -o @p.bin --statement-out @s.bin")
	require.Contains(t, out, `"bc" (unfinished: no end token)`)
	out, stderr := b.prover(0, "run --key @keys/prover.key --prompt a --max 2")
	require.Equal(t, "bc\n", out)
	require.Contains(t, stderr, "(unfinished: no end token)")
	require.NoError(t, os.WriteFile(b.file("endless.json"), []byte(strings.Replace(vocab, `"end_token"`, `"note"`, 1)), 0o600))
	out, _ = b.prover(0, "run --json --key @keys/prover.key --vocab @endless.json --prompt a --max 2")
	require.NotContains(t, out, "finished")
	out, _ = b.verifier(0, verifyLine+" --json --vocab @endless.json")
	require.NotContains(t, out, "finished")
}

func TestVocabularyOfAnotherModel(t *testing.T) {
	b := proved(t, configs["argmax"])
	require.NoError(t, os.WriteFile(b.file("large.json"), []byte(strings.Replace(vocab, `";": 4`, `";": 4, "e": 6`, 1)), 0o600))
	_, stderr := b.prover(3, "run --key @keys/prover.key --vocab @large.json --prompt a")
	require.Contains(t, stderr, "the vocabulary has 7 tokens, the model has 6")
	_, stderr = b.verifier(3, verifyLine+" --vocab @large.json")
	require.Contains(t, stderr, "the vocabulary has 7 tokens, the model has 6")
}

// TestMessages gives the verifier and the prover what people give them by mistake.
func TestMessages(t *testing.T) {
	b := proved(t, configs["argmax"])
	require.NoError(t, os.WriteFile(b.file("empty"), nil, 0o600))
	swap := func(from, to string) string { return strings.Replace(verifyLine, from, to, 1) }
	for _, c := range []struct {
		code       int
		line, want string
	}{
		{2, verifyLine + " --id 00", "give only one of --id and --pin"},
		{2, "verify --vk @keys/model.vk --pin @model.id", "missing: --statement, --proof"},
		{3, swap("@s.bin", "@p.bin"), "it is a proof, not a statement"},
		{3, swap("@p.bin", "@s.bin"), "it is a statement, not a proof"},
		{3, swap("@keys/model.vk", "@s.bin"), "it is a statement, not a verifying key"},
		{3, swap("@keys/model.vk", "@empty"), "the file is empty"},
		{3, swap("@model.id", "@empty"), "the file is empty"},
		{3, swap("@model.id", "@p.bin"), "a model ID has 64 hexadecimal digits"},
		{3, "accept @empty", "the file is empty"},
	} {
		_, stderr := b.verifier(c.code, c.line)
		require.Contains(t, stderr, c.want, c.line)
	}
	for line, want := range map[string]string{
		"run --key @empty --prompt a":                  "the file is empty",
		"run --key @p.bin --prompt a":                  "it is a proof, not a prover key",
		"setup --weights @empty -o @new":               "the file is empty",
		"setup --weights @s.bin -o @new":               "it is a statement, not a weights file",
		"statement --prompt a --answer b -o @no/s.bin": "does not exist; create it",
		"setup --weights @weights.zkw -o @s.bin":       b.file("s.bin") + ": a file stands where a folder is to be made; name another folder\n",
		"setup --weights @weights.zkw -o @s.bin/keys":  b.file("s.bin/keys") + ": a file stands where a folder is to be made; name another folder\n",
		"statement --prompt a --answer b -o @s.bin/x":  b.file("s.bin") + " is no folder; name a file in one\n",
	} {
		_, stderr := b.prover(3, line)
		require.Contains(t, stderr, want, line)
	}
	for line, want := range map[string]string{
		"prove --key @keys/prover.key --prompt a -o @q": "prove: missing: --statement-out\n",
		"prove --prompt-file @empty":                    "prove: missing: --key, --out, --statement-out\n",
		"run --key @keys/prover.key":                    "run: missing: --prompt or --prompt-file or --messages or --tokens or --tokens-file\n",
		"statement --tokens 1":                          "statement: missing: --out, --answer or --answer-file or --answer-tokens or --answer-tokens-file\n",
		"setup":                                         "setup: missing: --weights, --out\n",
		"run a b":                                       "arguments that belong to no flag: 2; ",
	} {
		_, stderr := b.prover(2, line)
		require.Contains(t, stderr, want, line)
	}
	b.prover(0, "statement --prompt a --answer bb -o @forged.bin")
	_, stderr := b.verifier(1, swap("@s.bin", "@forged.bin"))
	require.Equal(t, 1, strings.Count(stderr, "reject"), stderr)
	require.Contains(t, stderr, "get both again")
}

// TestOutputs says what is wrong with the names of outputs.
func TestOutputs(t *testing.T) {
	b := proved(t, configs["argmax"])
	for line, want := range map[string]string{
		"prove --key @keys/prover.key --prompt a -o - --statement-out -":                                           "only one of --statement-out and --out goes to the standard output",
		"prove --key @keys/prover.key --prompt a -o - --statement-out @q --json":                                   "--out - and --json both go to the standard output",
		"setup --weights @weights.zkw -o -":                                                                        `--out is "-"`,
		"prove --force --key @keys/prover.key --prompt a -o @q --statement-out @keys/model.vk":                     "write over " + b.file("keys/model.vk") + ", the file of --vk where it is not given",
		"prove --force --key @keys/prover.key --vk @keys/model.vk --prompt a -o @q --statement-out @keys/model.vk": "the file of --vk\n",
	} {
		_, stderr := b.prover(2, line)
		require.Contains(t, stderr, want, line)
	}
	_, stderr := b.verifier(2, "accept --save - @keys/model.vk")
	require.Contains(t, stderr, `--save is "-"`)
	require.NoFileExists(t, "-")
}

// TestKeysOfTwoSetups proves with the verifying key of another setup, where nobody pinned anything.
func TestKeysOfTwoSetups(t *testing.T) {
	b := proved(t, configs["argmax"])
	b.prover(0, "setup --weights @weights.zkw -o @keys2")
	_, stderr := b.prover(3, "prove --key @keys/prover.key --vk @keys2/model.vk --prompt a -o @q --statement-out @r")
	require.Contains(t, stderr, b.file("keys2/model.vk")+" and "+b.file("keys/prover.key")+" are of different setups; take the model.vk that")
	require.NotContains(t, stderr, "pinned")
}

// TestHelpSaysWhereTheIDComesFrom: who takes an ID from a prover trusts it for the ranges of the weights, which nobody looks at again.
func TestHelpSaysWhereTheIDComesFrom(t *testing.T) {
	b := newBench(t, configs["argmax"])
	out, _ := b.verifier(0, "help")
	require.Contains(t, strings.Join(strings.Fields(out), " "), "The ID must be one that 'accept' printed to you, or to somebody you trust to have run it: "+
		"verify does not check the key's range proof again.")
	out, _ = b.prover(0, "setup --help")
	require.Contains(t, strings.Join(strings.Fields(out), " "), "takes it from 'verifier accept', which checks model.vk")
}

func TestModelMismatchNamesBoth(t *testing.T) {
	b := proved(t, configs["argmax"])
	first := b.contents("model.id")[0][:16]
	b.prover(0, "setup --weights @weights.zkw -o @keys2")
	b.verifier(0, "accept --save @model2.id @keys2/model.vk")
	second := b.contents("model2.id")[0][:16]
	for _, line := range []string{
		strings.Replace(verifyLine, "@keys", "@keys2", 1),
		strings.NewReplacer("@keys", "@keys2", "@model.id", "@model2.id").Replace(verifyLine),
	} {
		_, stderr := b.verifier(1, line)
		require.Contains(t, stderr, "rejected (model mismatch)")
		require.Contains(t, stderr, first)
		require.Contains(t, stderr, second)
	}
}

func TestVersion(t *testing.T) {
	b := newBench(t, configs["argmax"])
	want := console.ThisBuild().Lines("zkllmc/v1") + fmt.Sprintf("circuit   %x (argmax)\n", b.c.Digest())
	require.Contains(t, want, "version   ")
	require.Contains(t, want, "commit    ")
	for _, line := range []string{"version", "--version"} {
		out, _ := b.prover(0, line)
		require.Equal(t, want, out)
		out, _ = b.verifier(0, line)
		require.Equal(t, want, out)
	}
	b.verifier(2, "version 1")
	b.prover(2, "version 1")
}
