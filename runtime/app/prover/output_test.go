package prover_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/console"
	proverapp "github.com/zkllmc/zkllmc/runtime/app/prover"
	verifierapp "github.com/zkllmc/zkllmc/runtime/app/verifier"
)

var update = flag.Bool("update", false, "write the golden files")

// full is a device without room: /dev/full where there is one.
func full(t *testing.T) interface{ Write([]byte) (int, error) } {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		return fullWriter{}
	}
	t.Cleanup(func() { f.Close() })
	return f
}

type fullWriter struct{}

func (fullWriter) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// A command whose output is lost fails, whatever it did: a script must not take silence for an answer or an acceptance. A rejection stays
// one.
func TestFullDevice(t *testing.T) {
	b := proved(t, configs["argmax"])
	b.prover(0, "statement --prompt a --answer bb -o @forged.bin")
	forged := strings.Replace(verifyLine, "@s.bin", "@forged.bin", 1)
	const prove = "prove --force --key @keys/prover.key --prompt a -o @p.bin --statement-out @s.bin"
	for _, line := range []string{
		"setup --weights @weights.zkw -o @keys2", "setup --json --weights @weights.zkw -o @keys3", "run --key @keys/prover.key --prompt a",
		"run --json --key @keys/prover.key --prompt a", prove, prove + " --json", "version", "--version", "help", "--help", "help run", "run --help",
	} {
		var stderr bytes.Buffer
		m := proverapp.Model{Name: "bigram", Build: built(b.c), Vocab: parsed([]byte(vocab))}
		require.Equal(t, console.Internal, proverapp.Run(context.Background(), m, b.args(line), nil, full(t), &stderr), line)
		require.Equal(t, 1, strings.Count(stderr.String(), "no space left"), "%s: %s", line, &stderr)
		require.Contains(t, stderr.String(), "prover: the standard output could not be written", line)
	}
	for line, want := range map[string]int{
		"accept @keys/model.vk": console.Internal, "accept --json @keys/model.vk": console.Internal, verifyLine: console.Internal,
		verifyLine + " --json": console.Internal, "version": console.Internal, "--version": console.Internal, "help": console.Internal,
		"--help": console.Internal, "help verify": console.Internal, "verify --help": console.Internal, forged: console.Rejected, forged + " --json": console.Rejected,
	} {
		var stderr bytes.Buffer
		m := verifierapp.Model{Name: "bigram", Build: built(b.c), Vocab: parsed([]byte(vocab))}
		require.Equal(t, want, verifierapp.Run(context.Background(), m, b.args(line), nil, full(t), &stderr), line)
		if line != forged { // which prints nothing there
			require.Equal(t, 1, strings.Count(stderr.String(), "no space left"), "%s: %s", line, &stderr)
		}
	}
}

// digits are those of a circuit's digest, which is not what these tests are about.
var digits = regexp.MustCompile(`circuit [0-9a-f]{16}`)

// The help texts, as people see them. -update writes them anew.
func TestHelpTexts(t *testing.T) {
	b := newBench(t, configs["argmax"])
	for program, run := range map[string]func(int, string) (string, string){"prover": b.prover, "verifier": b.verifier} {
		var text strings.Builder
		commands := []string{"", "help"}
		if program == "prover" {
			commands = append(commands, "setup", "run", "prove", "statement", "version")
		} else {
			commands = append(commands, "accept", "verify", "version")
		}
		for _, c := range commands {
			help, stderr := run(0, strings.TrimSpace("help "+c))
			require.Empty(t, stderr)
			text.WriteString("$ " + program + " help " + c + "\n" + help + "\n")
			same, _ := run(0, strings.TrimSpace(c+" --help"))
			require.Equal(t, help, same, "%s --help", c)
		}
		got := digits.ReplaceAllString(text.String(), "circuit DIGEST")
		for _, line := range strings.Split(got, "\n") {
			require.LessOrEqual(t, len([]rune(line)), 140, line)
		}
		name := filepath.Join("testdata", program+".help.txt")
		if *update {
			require.NoError(t, os.WriteFile(name, []byte(got), 0o644))
		}
		want, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, string(want), got)
	}
}

// Help about what does not exist is a mistake on the command line.
func TestHelpAboutNothing(t *testing.T) {
	b := newBench(t, configs["argmax"])
	for _, line := range []string{"help verify", "help sing", "help prove more", "help help more"} {
		out, stderr := b.prover(console.Usage, line)
		require.Empty(t, out)
		require.Contains(t, stderr, "prover: help: there is no command", line)
		require.Contains(t, stderr, "prove, run, setup, statement", line)
	}
	for line, want := range map[string]string{"help prove": "there is no command", "help sing": "there is no command", "help verify more": "unexpected argument", "version more": "unexpected"} {
		out, stderr := b.verifier(console.Usage, line)
		require.Empty(t, out)
		require.Contains(t, stderr, want, line)
	}
}
