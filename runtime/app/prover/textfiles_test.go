package prover_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/console"
	proverapp "github.com/zkllmc/zkllmc/runtime/app/prover"
	verifierapp "github.com/zkllmc/zkllmc/runtime/app/verifier"
)

// fed runs a program with a standard input.
func (b *bench) fed(ctx context.Context, want int, program, line string, stdin io.Reader) (stdout, stderr string) {
	b.t.Helper()
	var o, e bytes.Buffer
	code := 0
	if program == "prover" {
		code = proverapp.Run(ctx, proverapp.Model{Name: "bigram", Build: built(b.c), Vocab: parsed([]byte(vocab))}, b.args(line), stdin, &o, &e)
	} else {
		code = verifierapp.Run(ctx, verifierapp.Model{Name: "bigram", Build: built(b.c), Vocab: parsed([]byte(vocab))}, b.args(line), stdin, &o, &e)
	}
	require.Equal(b.t, want, code, "%s\n%s%s", line, &o, &e)
	return o.String(), e.String()
}

// Prompts, answers and lists of tokens come from files and from the standard input as well as from the command line.
func TestTextsFromFiles(t *testing.T) {
	ctx := context.Background()
	b := proved(t, configs["argmax"])
	for name, text := range map[string]string{"a": "a\n", "bcd": "bcd\r\n", "ids": "0\n", "answer.ids": " 1, 2,3 ,4\n", "double": "a\n\n", "x": "x\n"} {
		require.NoError(t, os.WriteFile(b.file(name), []byte(text), 0o600))
	}
	for _, line := range []string{"--prompt-file @a", "--tokens-file @ids"} {
		out, _ := b.prover(0, "run --key @keys/prover.key "+line)
		require.Equal(t, "bcd;\n", out)
	}
	out, _ := b.fed(ctx, 0, "prover", "run --key @keys/prover.key --prompt-file -", strings.NewReader("a\n"))
	require.Equal(t, "bcd;\n", out)
	const prove = "prove --force --key @keys/prover.key -o @p.bin --statement-out @s.bin "
	b.prover(0, prove+"--prompt-file @a --answer-tokens-file @answer.ids")
	b.fed(ctx, 0, "prover", prove+"--tokens-file - --answer-file @bcd", strings.NewReader("0"))
	b.prover(0, "statement --force -o @q.bin --prompt-file @a --answer-file @bcd")
	for _, flags := range []string{" --prompt-file @a", " --tokens-file @ids", " --prompt-file @a --answer-file @bcd", " --prompt a --answer-tokens-file @three"} {
		require.NoError(t, os.WriteFile(b.file("three"), []byte("1,2,3"), 0o600))
		b.verifier(0, verifyLine+flags)
	}
	out, _ = b.fed(ctx, 0, "verifier", verifyLine+" --prompt-file -", strings.NewReader("a\n"))
	require.Contains(t, out, `"a", as asked`)
	_, stderr := b.fed(ctx, 1, "verifier", verifyLine+" --prompt-file -", strings.NewReader("b\n"))
	require.Contains(t, stderr, "prompt mismatch")

	for line, want := range map[string]string{
		"--prompt-file @double": "--prompt-file: the vocabulary cannot write this text", "--prompt-file @x": "--prompt-file: the vocabulary cannot write",
		"--prompt a --prompt-file @a": "give only one of --prompt and --prompt-file", "--tokens-file @a": `--tokens-file: "a" is no token id`,
		"--prompt-file - --answer-file -": "the standard input is read once",
	} {
		_, stderr := b.fed(ctx, 2, "prover", "statement -o @new.bin "+line+map[bool]string{true: "", false: " --answer b"}[strings.Contains(line, "--answer")], strings.NewReader("a"))
		require.Contains(t, stderr, want, line)
		_, stderr = b.fed(ctx, 2, "verifier", verifyLine+" "+line, strings.NewReader("a"))
		require.Contains(t, stderr, want, line)
	}
	for _, line := range []string{"--prompt-file @missing", "--tokens-file @missing", "--prompt-file @keys"} {
		_, stderr := b.prover(3, "run --key @keys/prover.key "+line)
		require.Contains(t, stderr, strings.Fields(line)[0]+": ", line)
		_, stderr = b.verifier(3, verifyLine+" "+line)
		require.Contains(t, stderr, strings.Fields(line)[0]+": ", line)
	}
	before := b.contents("a")
	_, stderr = b.prover(2, "prove --force --key @keys/prover.key --prompt-file @a -o @a --statement-out @s.bin")
	require.Contains(t, stderr, "the file of --prompt-file")
	require.Equal(t, before, b.contents("a"))
}

// Who waits for a text that does not come can be interrupted.
func TestInterruptedWhileReading(t *testing.T) {
	b := proved(t, configs["argmax"])
	for program, line := range map[string]string{"prover": "run --key @keys/prover.key --prompt-file -", "verifier": verifyLine + " --prompt-file -"} {
		ctx, cancel := context.WithCancel(context.Background())
		never, end := io.Pipe()
		_, stderr := b.fed(ctx, console.Internal, program, line, readerFunc(func(p []byte) (int, error) { cancel(); return never.Read(p) }))
		require.Contains(t, stderr, "interrupted")
		end.Close()
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// What is wrong with a private prompt is said without showing it, wherever it came from.
func TestPrivatePromptFromFile(t *testing.T) {
	b := proved(t, configs["private"])
	require.NoError(t, os.WriteFile(b.file("secret"), []byte("axyzzy\n"), 0o600))
	out, stderr := b.prover(2, "run --key @keys/prover.key --prompt-file @secret")
	require.Contains(t, stderr, "--prompt-file: it holds what is no token of the model; it is private and not shown")
	require.NotContains(t, out+stderr, "xyzzy")
}
