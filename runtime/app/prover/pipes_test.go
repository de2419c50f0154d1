package prover_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/console"
	proverapp "github.com/zkllmc/zkllmc/runtime/app/prover"
)

// What prove writes to its standard output is what verify reads from its standard input, byte for byte a file; what else is said goes to stderr.
func TestPipes(t *testing.T) {
	ctx := context.Background()
	b := proved(t, configs["argmax"])
	const prove = "prove --key @keys/prover.key --prompt-file - "
	proof, said := b.fed(ctx, 0, "prover", prove+"-o - --statement-out @piped.s", strings.NewReader("a\n"))
	require.Contains(t, said, "answer    \"bcd;\"")
	require.Contains(t, said, "proof     the standard output (")
	statement, _ := b.fed(ctx, 0, "prover", "statement --prompt a --answer-tokens 1,2,3,4 -o -", nil)
	written, err := os.ReadFile(b.file("piped.s"))
	require.NoError(t, err)
	require.Equal(t, string(written), statement)
	other, _ := b.fed(ctx, 0, "prover", prove+"--force -o @piped.p --statement-out -", strings.NewReader("a\n"))
	require.Equal(t, statement, other)

	key, err := os.ReadFile(b.file("keys/model.vk"))
	require.NoError(t, err)
	id, err := os.ReadFile(b.file("model.id"))
	require.NoError(t, err)
	out, _ := b.fed(ctx, 0, "verifier", "accept -", bytes.NewReader(key))
	require.Contains(t, out, strings.TrimSpace(string(id)))
	const verify = "verify --vk @keys/model.vk --pin @model.id --statement @piped.s --proof @piped.p"
	for flag, content := range map[string]string{"--vk @keys/model.vk": string(key), "--pin @model.id": string(id), "--statement @piped.s": statement, "--proof @piped.p": proof} {
		name, _, _ := strings.Cut(flag, " ")
		line := strings.Replace(verify, flag, name+" -", 1)
		out, _ := b.fed(ctx, 0, "verifier", line+" --prompt a", strings.NewReader(content))
		require.Contains(t, out, "accepted ", flag)
		_, failed := b.fed(ctx, console.Usage, "verifier", line+" --prompt-file -", strings.NewReader(content))
		require.Contains(t, failed, "the standard input is read once, for "+name+" or for --prompt-file")
	}
	// The prover at the other end of the pipe writes the statement when the proof is done.
	later := &writing{strings.NewReader(proof), func() error { return os.WriteFile(b.file("later.s"), written, 0o600) }}
	out, _ = b.fed(ctx, 0, "verifier", "verify --vk @keys/model.vk --pin @model.id --statement @later.s --proof -", later)
	require.Contains(t, out, "accepted ")
	_, failed := b.fed(ctx, console.Rejected, "verifier", strings.Replace(verify, "@piped.p", "-", 1), strings.NewReader(proof[:len(proof)-1]))
	require.Contains(t, failed, "the standard input: ")
	require.NoFileExists(t, "-")
}

// writing does something before its end.
type writing struct {
	from io.Reader
	last func() error
}

func (w *writing) Read(p []byte) (int, error) {
	n, err := w.from.Read(p)
	if err == io.EOF {
		if failed := w.last(); failed != nil {
			return n, failed
		}
	}
	return n, err
}

// A proof is no text: it is not written to a terminal, and nothing is computed for it.
func TestNoProofOnATerminal(t *testing.T) {
	screen, terminal, err := pty.Open()
	if err != nil {
		t.Skip("there are no terminals: " + err.Error())
	}
	defer screen.Close()
	defer terminal.Close()
	b := proved(t, configs["argmax"])
	for _, line := range []string{"prove --key @keys/prover.key --prompt a -o - --statement-out @new", "prove --key @keys/prover.key --prompt a -o @new --statement-out -", "statement --prompt a --answer b -o -"} {
		var failed bytes.Buffer
		code := proverapp.Run(t.Context(), proverapp.Model{Name: "bigram", Build: built(b.c), Vocab: parsed([]byte(vocab))}, b.args(line), nil, terminal, &failed)
		require.Equal(t, console.Usage, code, &failed)
		require.Contains(t, failed.String(), "- is for another program or a file, and the standard output is a terminal")
	}
	require.NoFileExists(t, b.file("new"))
}

// With --quiet nothing is said of progress, nor of a proof that is accepted; what is wrong is said all the same.
func TestQuiet(t *testing.T) {
	b := proved(t, configs["argmax"])
	out, said := b.prover(0, "run --quiet --key @keys/prover.key --prompt a")
	require.Equal(t, "bcd;\n", out)
	require.Empty(t, said)
	_, said = b.prover(0, "setup --quiet --weights @weights.zkw -o @keys2")
	require.Empty(t, said)
	_, said = b.prover(3, "run --quiet --key @missing --prompt a")
	require.Contains(t, said, "missing")
	out, said = b.verifier(0, verifyLine+" --quiet")
	require.Empty(t, out+said)
	out, said = b.verifier(0, "accept --quiet @keys/model.vk")
	require.Equal(t, strings.TrimSpace(b.contents("model.id")[0])+"\n", out)
	require.Empty(t, said)
	b.change("p.bin", "bad.bin", flipped)
	out, said = b.verifier(1, strings.Replace(verifyLine, "@p.bin", "@bad.bin", 1)+" --quiet")
	require.Empty(t, out)
	require.Contains(t, said, "rejected (final argument)")
}
