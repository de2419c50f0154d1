package main

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	sums "github.com/zkllmc/zkllmc/generated/sums/circuit"
	words "github.com/zkllmc/zkllmc/generated/sums/vocab"
	"github.com/zkllmc/zkllmc/internal/bundle"
	"github.com/zkllmc/zkllmc/internal/checker"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/test/handover"
	"github.com/zkllmc/zkllmc/runtime/app/verifier"
)

var update = flag.Bool("update", false, "write the stored help text anew")

type outcome struct {
	code        int
	out, failed string
}

// spent is what a run tells of time and memory, which no two have alike.
var spent = regexp.MustCompile(`[0-9.]+ s\b|"(generators|verify|total|read_key|cpu_seconds|peak_rss)": [0-9.e-]+`)

func (o outcome) without() outcome {
	o.out = spent.ReplaceAllString(o.out, "…")
	return o
}

// TestSameAnswers compares this program with the generated verifier of a model, whose circuits Go calls make.
func TestSameAnswers(t *testing.T) {
	t.Chdir(handover.Sums(t))
	generated := func(args ...string) outcome {
		var out, failed bytes.Buffer
		code := verifier.Run(t.Context(), verifier.Model{Name: sums.Name, Build: sums.Build, Vocab: words.Tokenizer}, args, nil, &out, &failed)
		return outcome{code, out.String(), failed.String()}.without()
	}
	prebuilt := func(args ...string) outcome {
		return start(t, append([]string{"--circuit", "model.circuit", "--tokenizer", "vocab.json"}, args...)...).without()
	}
	accept := prebuilt("accept", "--save", "model.id", "--force", "model.vk")
	require.Equal(t, console.OK, accept.code, accept.failed)
	verify := func(more string) []string {
		return append(strings.Fields("verify --vk model.vk --pin model.id --statement statement.bin --proof"), strings.Fields(more)...)
	}
	for _, c := range []struct {
		code int
		args []string
	}{
		{console.OK, []string{"accept", "--save", "model.id", "--force", "model.vk"}},
		{console.OK, []string{"accept", "--json", "model.vk"}},
		{console.OK, verify("proof.bin --tokens " + handover.Tokens)},
		{console.OK, verify("proof.bin --json --stats")},
		{console.Rejected, verify("proof.bin --tokens 3,2,2")},
		{console.Rejected, verify("damaged.bin")},
		{console.Rejected, verify("short.bin")},
		{console.Rejected, verify("proof.bin --no-saturation")},
		{console.Unreadable, verify("model.vk")},
		{console.Usage, verify("")},
		{console.Usage, []string{"nothing"}},
		{console.OK, []string{"version"}},
		{console.OK, []string{"help", "verify"}},
	} {
		want, got := generated(c.args...), prebuilt(c.args...)
		require.Equal(t, c.code, want.code, "%v: %s", c.args, want.failed)
		require.Equal(t, want, got, c.args)
	}
}

// TestBundle accepts a bundle's model and verifies a proof, with no other file.
func TestBundle(t *testing.T) {
	t.Chdir(handover.Sums(t))
	accept := start(t, strings.Fields("--bundle sums.bundle accept --save model.id --force")...)
	require.Equal(t, console.OK, accept.code, accept.failed)
	for more, code := range map[string]int{"proof.bin --tokens " + handover.Tokens: console.OK, "proof.bin --prompt " + handover.Prompt: console.OK, "proof.bin --prompt 1+1=": console.Rejected, "proof.bin --tokens 3,2,2": console.Rejected, "damaged.bin": console.Rejected} {
		got := start(t, append(strings.Fields("--bundle sums.bundle verify --pin model.id --statement statement.bin --proof"), strings.Fields(more)...)...)
		require.Equal(t, code, got.code, got.failed)
	}
	got := start(t, strings.Fields("--bundle sums.bundle verify --statement statement.bin --proof proof.bin --id "+strings.Repeat("0", 64))...)
	require.Equal(t, console.Rejected, got.code, got.failed)
	require.Contains(t, got.failed, "the key of the bundle")
}

// start runs the program.
func start(t *testing.T, args ...string) outcome {
	var out, failed bytes.Buffer
	code := run(t.Context(), args, nil, &out, &failed)
	return outcome{code, out.String(), failed.String()}
}

// TestFiles tells what is wrong with the files, and what the program takes.
func TestFiles(t *testing.T) {
	t.Chdir(handover.Sums(t))
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"", console.Usage, "one of --bundle FILE and --circuit FILE is needed"},
		{"verify", console.Usage, "one of --bundle FILE and --circuit FILE is needed"},
		{"--circuit none accept model.vk", console.Unreadable, "none: no such file"},
		{"--circuit model.vk accept model.vk", console.Unreadable, "it is a verifying key, not a circuit file"},
		{"--circuit half.circuit accept model.vk", console.Unreadable, "half.circuit: the data ends early"},
		{"--circuit model.circuit --tokenizer model.vk accept model.vk", console.Unreadable, "model.vk: "},
		{"--circuit model.circuit --template vocab.json accept model.vk", console.Usage, "--template belongs to a --tokenizer"},
		{"--bundle half.bundle accept", console.Unreadable, "half.bundle: not a bundle"},
		{"--bundle model.circuit accept", console.Unreadable, "model.circuit: not a bundle"},
		{"--bundle sums.bundle --circuit model.circuit accept", console.Usage, "give no other file of them"},
		{"--circuit model.circuit accept", console.Usage, "0 files given, want one verifying key"},
		{"--circuits model.circuit", console.Usage, "-circuits"},
	} {
		got := start(t, strings.Fields(c.args)...)
		require.Equal(t, c.code, got.code, "%s: %s", c.args, got.failed)
		require.Contains(t, got.failed, c.says, c.args)
		require.Empty(t, got.out, c.args)
	}
	for _, args := range []string{"--help", "-h", "help"} {
		require.Equal(t, outcome{console.OK, help, ""}, start(t, args))
	}
	for _, args := range []string{"--version", "version"} {
		got := start(t, args)
		require.Equal(t, console.OK, got.code, got.failed)
		require.Contains(t, got.out, "protocol")
	}
}

// TestPipes reads the bundle, the circuits and the proof from the standard input, one of them.
func TestPipes(t *testing.T) {
	t.Chdir(handover.Sums(t))
	require.Equal(t, console.OK, start(t, strings.Fields("--bundle sums.bundle accept --save model.id --force")...).code)
	const proof = " verify --vk model.vk --pin model.id --statement statement.bin --proof "
	for _, c := range []struct {
		args, file string
		code       int
		says       string
	}{
		{"--bundle - verify --pin model.id --statement statement.bin --proof proof.bin", "sums.bundle", console.OK, ""},
		{"--circuit -" + proof + "proof.bin", "model.circuit", console.OK, ""},
		{"--circuit model.circuit --tokenizer -" + proof + "proof.bin", "vocab.json", console.OK, ""},
		{"--circuit model.circuit" + proof + "-", "proof.bin", console.OK, ""},
		{"--circuit model.circuit" + proof + "-", "damaged.bin", console.Rejected, "rejected ("},
		{"--circuit -" + proof + "-", "model.circuit", console.Unreadable, "it was read for --circuit, and can be read once"},
		{"--circuit - --tokenizer -" + proof + "proof.bin", "model.circuit", console.Usage, "read once, for --circuit or for --tokenizer"},
		{"--bundle - accept", "model.circuit", console.Unreadable, "the standard input: not a bundle"},
	} {
		file, err := os.Open(c.file)
		require.NoError(t, err)
		var out, failed bytes.Buffer
		require.Equal(t, c.code, run(t.Context(), strings.Fields(c.args), file, &out, &failed), "%s: %s", c.args, &failed)
		require.Contains(t, failed.String(), c.says, c.args)
		require.NoError(t, file.Close())
	}
}

// The help text, as people see it. -update writes it anew.
func TestHelpTexts(t *testing.T) {
	got := start(t, "--help")
	require.Equal(t, console.OK, got.code)
	require.Empty(t, got.failed)
	name, text := filepath.Join("testdata", "help.txt"), "$ zkllmc-verifier --help\n"+got.out+"\n"
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

// TestCards refuses what package checker refuses, the verifier of pages and services: bundles of which the card is of another model than the files.
func TestCards(t *testing.T) {
	t.Chdir(handover.Sums(t))
	data, err := os.ReadFile("sums.bundle")
	require.NoError(t, err)
	id, err := os.ReadFile("model.id")
	require.NoError(t, err)
	trusted, err := hex.DecodeString(strings.TrimSpace(string(id)))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change func(*bundle.Card)
		says   string
	}{
		"another ID":      {func(c *bundle.Card) { c.ModelID = strings.Repeat("0", 64) }, "its card says 0000"},
		"no ID":           {func(c *bundle.Card) { c.ModelID = "" }, "its card says nothing"},
		"another circuit": {func(c *bundle.Card) { c.Circuit = strings.Repeat("0", 64) }, "the card says 0000"},
		"other ports":     {func(c *bundle.Card) { c.Ports[0].Reveals = "nothing" }, "the ports are"},
		"fewer weights":   {func(c *bundle.Card) { c.Hidden.Weights-- }, "hidden are"},
		"hidden input":    {func(c *bundle.Card) { c.Hidden.Inputs = []string{"tokens"} }, "hidden are"},
	} {
		b, err := bundle.Read(data)
		require.NoError(t, err)
		c.change(&b.Card)
		var out bytes.Buffer
		require.NoError(t, b.Write(&out))
		require.NoError(t, os.WriteFile("other.bundle", out.Bytes(), 0o600))
		for _, args := range []string{"accept", "accept --json", "verify --pin model.id --statement statement.bin --proof proof.bin"} {
			got := start(t, append([]string{"--bundle", "other.bundle"}, strings.Fields(args)...)...)
			require.Equal(t, console.Unreadable, got.code, "%s: %s: %s", name, args, got.out)
			require.Contains(t, got.failed+got.out, c.says, "%s: %s", name, args)
			require.NotContains(t, got.out, "ACCEPTED")
		}
		for _, id := range []*[32]byte{nil, (*[32]byte)(trusted)} {
			_, err = checker.Open(t.Context(), out.Bytes(), id)
			require.Error(t, err, name)
		}
	}
	got := start(t, strings.Fields("--bundle sums.bundle verify --pin model.id --vk model.vk --statement statement.bin --proof proof.bin")...)
	require.Equal(t, console.OK, got.code, got.failed)
}
