package prover_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/test/conformance"
	"github.com/zkllmc/zkllmc/internal/test/kit"
	"github.com/zkllmc/zkllmc/internal/test/witnesstest"
	proverapp "github.com/zkllmc/zkllmc/runtime/app/prover"
	verifierapp "github.com/zkllmc/zkllmc/runtime/app/verifier"
)

func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permissions to speak of")
	}
	b := proved(t, configs["argmax"])
	for name, want := range map[string]fs.FileMode{"keys/prover.key": 0o600, "keys/model.vk": 0o644, "p.bin": 0o644, "s.bin": 0o644, "model.id": 0o644} {
		info, err := os.Stat(b.file(name))
		require.NoError(t, err)
		require.Equal(t, want, info.Mode().Perm(), name)
	}
}

func TestOverwrite(t *testing.T) {
	b := proved(t, configs["argmax"])
	before, err := os.ReadFile(b.file("keys/prover.key"))
	require.NoError(t, err)
	for _, line := range []string{
		"setup --weights @weights.zkw -o @keys",
		"prove --key @keys/prover.key --prompt a -o @p.bin --statement-out @other.bin",
		"prove --key @keys/prover.key --prompt a -o @other.bin --statement-out @s.bin",
		"statement --prompt a --answer b -o @s.bin",
	} {
		_, stderr := b.prover(2, line)
		require.Contains(t, stderr, "--force", line)
	}
	after, err := os.ReadFile(b.file("keys/prover.key"))
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.NoFileExists(t, b.file("other.bin"))
	_, stderr := b.verifier(2, "accept --save @model.id @keys/model.vk")
	require.Contains(t, stderr, "--force")
	b.prover(0, "setup --force --weights @weights.zkw -o @keys")
	_, stderr = b.verifier(1, verifyLine)
	require.Contains(t, stderr, "model mismatch", "another setup is another model")
	b.verifier(0, "accept --force --save @model.id @keys/model.vk")
	_, stderr = b.verifier(1, verifyLine)
	require.Contains(t, stderr, "rejected (model mismatch)", "a proof under the old key")
}

// change writes a changed copy of a file.
func (b *bench) change(from, to string, f func([]byte) []byte) {
	data, err := os.ReadFile(b.file(from))
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(b.file(to), f(append([]byte(nil), data...)), 0o600))
}

func truncated(d []byte) []byte { return d[:len(d)-1] }
func longer(d []byte) []byte    { return append(d, 0) }
func version(d []byte) []byte   { d[11]++; return d }
func flipped(d []byte) []byte   { d[len(d)-1] ^= 1; return d }

func TestBadProofs(t *testing.T) {
	b := proved(t, configs["argmax"])
	other := proved(t, witnesstest.Text{Name: "other", Length: 6, Reveal: circuit.Argmax})
	foreign, err := os.ReadFile(other.file("p.bin"))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		f    func([]byte) []byte
		code int
		text string
	}{
		"truncated":       {truncated, 1, "rejected (decoding)"},
		"trailing":        {longer, 1, "rejected (decoding)"},
		"empty":           {func([]byte) []byte { return nil }, 1, "the file is empty"},
		"version":         {version, 3, "another version"},
		"another circuit": {func([]byte) []byte { return foreign }, 3, "another circuit"},
		"another kind":    {func(d []byte) []byte { return append([]byte("zkllm-vk"), d[8:]...) }, 3, "it is a verifying key"},
		"another model":   {func(d []byte) []byte { d[44] ^= 1; return d }, 1, "rejected (model mismatch)"},
		"unreduced":       {func(d []byte) []byte { copy(d[len(d)-32:], bytes.Repeat([]byte{255}, 32)); return d }, 1, "rejected (decoding)"},
		"changed":         {flipped, 1, "rejected (final argument)"},
	} {
		b.change("p.bin", "bad.bin", c.f)
		line := strings.Replace(verifyLine, "@p.bin", "@bad.bin", 1)
		_, stderr := b.verifier(c.code, line)
		require.Contains(t, stderr, c.text, name)
		require.Contains(t, stderr, b.file("bad.bin"), name)
		out, _ := b.verifier(c.code, line+" --json")
		var report map[string]any
		require.NoError(t, json.Unmarshal([]byte(out), &report))
		require.Equal(t, false, report["accepted"])
		require.Contains(t, report["error"], c.text)
	}
}

func TestBadStatements(t *testing.T) {
	const header = 8 + 4 + 32
	b := proved(t, configs["argmax"])
	for name, c := range map[string]struct {
		f    func([]byte) []byte
		code int
		text string
	}{
		"truncated":       {truncated, 1, "rejected (statement)"},
		"trailing":        {longer, 1, "rejected (statement)"},
		"empty":           {func([]byte) []byte { return nil }, 1, "the file is empty"},
		"kind":            {func(d []byte) []byte { d[0]++; return d }, 3, "not a statement"},
		"version":         {version, 3, "version"},
		"another circuit": {func(d []byte) []byte { d[12]++; return d }, 3, "another circuit"},
		"nothing claimed": {func(d []byte) []byte { // all tokens are prompt, no next one
			copy(d[header+8:], d[header:header+8])
			copy(d[header+16:], bytes.Repeat([]byte{0xff}, 8))
			return d
		}, 1, "rejected (statement): " + b.file("bad.bin")},
	} {
		b.change("s.bin", "bad.bin", c.f)
		_, stderr := b.verifier(c.code, strings.Replace(verifyLine, "@s.bin", "@bad.bin", 1))
		require.Contains(t, stderr, c.text, name)
	}
}

func TestBadKeys(t *testing.T) {
	b := proved(t, configs["argmax"])
	other := proved(t, witnesstest.Text{Name: "other", Length: 6, Reveal: circuit.Argmax})
	of := func(name string) func([]byte) []byte {
		data, err := os.ReadFile(other.file(name))
		require.NoError(t, err)
		return func([]byte) []byte { return data }
	}
	for name, c := range map[string]struct {
		f    func([]byte) []byte
		code int
	}{
		"truncated": {truncated, 3}, "trailing": {longer, 3}, "version": {version, 3},
		"another circuit": {of("keys/model.vk"), 3}, "changed": {flipped, 1},
	} {
		b.change("keys/model.vk", "bad.vk", c.f)
		_, stderr := b.verifier(c.code, "accept @bad.vk")
		require.Contains(t, stderr, b.file("bad.vk"), name)
	}
	for name, f := range map[string]func([]byte) []byte{
		"truncated": truncated, "trailing": longer, "version": version, "another circuit": of("keys/prover.key"),
		"another kind": func(d []byte) []byte { return append([]byte("zkllm-vk"), d[8:]...) },
	} {
		b.change("keys/prover.key", "bad.key", f)
		_, stderr := b.prover(3, "run --key @bad.key --prompt a")
		require.Contains(t, stderr, b.file("bad.key"), name)
		b.change("weights.zkw", "bad.zkw", f)
		_, stderr = b.prover(3, "setup --weights @bad.zkw -o @new")
		require.Contains(t, stderr, b.file("bad.zkw"), name)
		require.NoFileExists(t, b.file("new/prover.key"))
	}
	damaged := func(d []byte) []byte { d[len(d)-100] ^= 4; return d }
	for file, line := range map[string]string{"keys/prover.key": "run --key @bad --prompt a", "weights.zkw": "setup --weights @bad -o @new"} {
		b.change(file, "bad", damaged)
		_, stderr := b.prover(3, line)
		require.Contains(t, stderr, b.file("bad"))
		require.Contains(t, stderr, "the file is damaged", file)
	}
	_, stderr := b.prover(3, "prove --key @keys/prover.key --vk @weights.zkw --prompt a -o @q.bin --statement-out @r.bin")
	require.Contains(t, stderr, b.file("weights.zkw"))
}

func TestTooLarge(t *testing.T) {
	b := proved(t, configs["argmax"])
	f, err := os.Create(b.file("huge.bin"))
	require.NoError(t, err)
	require.NoError(t, f.Truncate(1<<40)) // sparse: it takes no room, and no time unless it is read
	require.NoError(t, f.Close())
	for _, name := range []string{"@s.bin", "@p.bin", "@model.id", "@keys/model.vk"} {
		_, stderr := b.verifier(3, strings.Replace(verifyLine, name, "@huge.bin", 1))
		require.Contains(t, stderr, "too large")
	}
	b.prover(3, "setup --weights @huge.bin -o @new")
	b.prover(3, "run --key @huge.bin --prompt a")
	b.prover(3, "run --key @keys/prover.key --vocab @huge.bin --prompt a")
}

func TestUsage(t *testing.T) {
	b := proved(t, configs["argmax"])
	for _, line := range []string{
		"", "sing", "setup", "setup --weights @weights.zkw", "setup --weights @weights.zkw -o @x more", "run --key @keys/prover.key",
		"run --prompt a", "run --key @keys/prover.key --prompt a --tokens 0", "run --key @keys/prover.key --prompt x",
		"run --key @keys/prover.key --tokens 0,x", "run --key @keys/prover.key --tokens 6", "run --key @keys/prover.key --tokens -1",
		"run --key @keys/prover.key --prompt abcdabc", "run --key @keys/prover.key --prompt a --max -1", "run --bogus",
		"prove --key @keys/prover.key --prompt a -o @q.bin",
		"prove --key @keys/prover.key --prompt a --answer bcdabc; -o @q.bin --statement-out @r.bin",
		"prove --key @keys/prover.key --prompt a --answer b --max 1 -o @q.bin --statement-out @r.bin",
		"statement --prompt a -o @q.bin",
	} {
		_, stderr := b.prover(2, line)
		require.Contains(t, stderr, "prover", line)
		require.NotContains(t, stderr, "internal", line)
	}
	for _, line := range []string{
		"", "sing", "accept", "accept a b", "accept --bogus a", "verify", "verify extra", strings.Replace(verifyLine, "--pin @model.id", "", 1),
		verifyLine + " --id 00", strings.Replace(verifyLine, "--pin @model.id", "--id 12", 1),
	} {
		_, stderr := b.verifier(2, line)
		require.Contains(t, stderr, "verifier", line)
	}
	for line, want := range map[string]string{"help": "Example", "--help": "Example", "accept -h": "verifier accept", "verify --help": "verifier verify"} {
		out, _ := b.verifier(0, line)
		require.Contains(t, out, want)
	}
	for _, line := range []string{"--help", "help", "setup --help", "run --help", "prove --help", "statement --help"} {
		out, _ := b.prover(0, line)
		require.Contains(t, out, "Example")
	}
	_, stderr := b.verifier(3, strings.Replace(verifyLine, "@p.bin", "@missing", 1))
	require.Contains(t, stderr, b.file("missing"))
	_, stderr = b.verifier(3, strings.Replace(verifyLine, "@model.id", "@p.bin", 1))
	require.Contains(t, stderr, b.file("p.bin"))
}

func TestInterrupted(t *testing.T) {
	b := proved(t, configs["argmax"])
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m := proverapp.Model{Name: "bigram", Build: built(b.c), Vocab: parsed([]byte(vocab))}
	for _, line := range []string{
		"prove --key @keys/prover.key --prompt a -o @q.bin --statement-out @r.bin", "setup --weights @weights.zkw -o @new",
	} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, console.Internal, proverapp.Run(ctx, m, b.args(line), nil, &stdout, &stderr), line)
		require.Contains(t, stderr.String(), "interrupted")
	}
	v := verifierapp.Model{Name: "bigram", Build: built(b.c), Vocab: parsed([]byte(vocab))}
	for _, line := range []string{"accept --save @q.bin @keys/model.vk", "accept --json --save @q.bin @keys/model.vk", verifyLine, verifyLine + " --json"} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, console.Internal, verifierapp.Run(ctx, v, b.args(line), nil, &stdout, &stderr), line)
		require.Equal(t, "verifier: interrupted\n", stderr.String())
		require.Empty(t, stdout.String(), "nothing was accepted or rejected")
	}
	for _, name := range []string{"q.bin", "r.bin", "new/prover.key", "new/model.vk"} {
		require.NoFileExists(t, b.file(name))
	}
}

func TestPanicIsInternal(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Equal(t, console.Internal, verifierapp.Run(context.Background(), verifierapp.Model{}, []string{"help"}, nil, &stdout, &stderr))
	require.Contains(t, stderr.String(), "internal error")
	require.Equal(t, console.Internal, proverapp.Run(context.Background(), proverapp.Model{}, []string{"run"}, nil, &stdout, &stderr))
}

func TestWithoutVocabulary(t *testing.T) {
	b := proved(t, configs["argmax"])
	m := proverapp.Model{Name: "bigram", Build: built(b.c)}
	var stdout, stderr bytes.Buffer
	require.Equal(t, 0, proverapp.Run(context.Background(), m, b.args("run --key @keys/prover.key --tokens 0 --max 3"), nil, &stdout, &stderr), &stderr)
	require.Equal(t, "1,2,3\n", stdout.String())
	require.Equal(t, 2, proverapp.Run(context.Background(), m, b.args("run --key @keys/prover.key --prompt a"), nil, &stdout, &stderr))
	require.Contains(t, stderr.String(), "--vocab")
	stdout.Reset()
	const shown = "prompt    0\nanswer    1,2,3,4\n"
	const prove = "prove --force --key @keys/prover.key --tokens 0 -o @p.bin --statement-out @s.bin "
	require.Equal(t, 0, proverapp.Run(context.Background(), m, b.args(prove+"--max 4"), nil, &stdout, &stderr), &stderr)
	require.True(t, strings.HasPrefix(stdout.String(), shown+"statement "), &stdout)
	require.Equal(t, 0, verifierapp.Run(context.Background(), verifierapp.Model{Build: built(b.c)}, b.args(verifyLine), nil, &stdout, &stderr), &stderr)
	require.Contains(t, stdout.String(), "\n"+shown+"time ")
	require.Equal(t, 1, proverapp.Run(context.Background(), m, b.args(prove+"--answer-tokens 1,3"), nil, &stdout, &stderr))
	require.Contains(t, stderr.String(), "the model does not answer 1,3: after 0,1 it continues with 2, not with 3;")
}

// stuck is a backend whose first commitment takes for ever; broken is one that panics.
type stuck struct {
	backend.Run
	reached context.CancelFunc
}

func (s stuck) CommitRows([]group.Affine, []backend.Row) []group.Affine {
	s.reached()
	select {}
}

type broken struct{ backend.Run }

func (broken) CommitRows([]group.Affine, []backend.Row) []group.Affine { panic("broken") }

func TestInterruptedWithinAStep(t *testing.T) {
	b := newBench(t, configs["argmax"])
	ctx, cancel := context.WithCancel(context.Background())
	var stdout, stderr bytes.Buffer
	m := proverapp.Model{Name: "bigram", Build: built(b.c)}
	m.Device = opens(kit.Wrapped{Backend: cpu.New(), Run: func(r backend.Run) backend.Run { return stuck{r, cancel} }})
	require.Equal(t, console.Internal, proverapp.Run(ctx, m, b.args("setup --weights @weights.zkw -o @keys"), nil, &stdout, &stderr))
	require.Contains(t, stderr.String(), "interrupted")
	m.Device = opens(kit.Wrapped{Backend: cpu.New(), Run: func(r backend.Run) backend.Run { return broken{r} }})
	require.Equal(t, console.Internal, proverapp.Run(context.Background(), m, b.args("setup --weights @weights.zkw -o @keys"), nil, &stdout, &stderr))
	require.Contains(t, stderr.String(), "panic: broken")
	require.NoDirExists(t, b.file("keys"), "a folder that setup made")
	require.NoError(t, os.Mkdir(b.file("keys"), 0o755))
	require.Equal(t, console.Internal, proverapp.Run(context.Background(), m, b.args("setup --weights @weights.zkw -o @keys"), nil, &stdout, &stderr))
	require.DirExists(t, b.file("keys"), "a folder that was there")
}

// lost is a run on a device that does not answer.
type lost struct{ backend.Run }

func (lost) Err() error { return fmt.Errorf("%w: it does not answer", backend.ErrDevice) }

// opens is the Device of a model.
func opens(be backend.Backend) func(int) (backend.Backend, error) {
	return func(int) (backend.Backend, error) { return be, nil }
}

// named is a device with a name, of which it is counted how often it is closed.
type named struct {
	backend.Backend
	closed *int
}

func (named) Device() backend.Use {
	return backend.Use{Name: "NVIDIA A1", Launches: 7, Synchronisations: 5, Up: 3, Down: 2}
}

func (n named) Close() error {
	*n.closed++
	return nil
}

// A report says what device computed and what was asked of it, and the device is closed as the program ends. Where there is none, the commands that
// need it say so before they compute anything, and all others do their work.
func TestDeviceWithAName(t *testing.T) {
	b, closed := newBench(t, configs["argmax"]), 0
	var device backend.Backend = named{cpu.New(), &closed}
	m := proverapp.Model{Name: "bigram", Build: built(b.c), Device: func(int) (backend.Backend, error) {
		if device == nil {
			return nil, fmt.Errorf("%w: the card is missing", backend.ErrNoDevice)
		}
		return device, nil
	}}
	run := func(code int, line string) (stdout, stderr string) {
		var out, said bytes.Buffer
		require.Equal(t, code, proverapp.Run(context.Background(), m, b.args(line), nil, &out, &said), "%s: %s", line, &said)
		return out.String(), said.String()
	}
	const prove = "prove --key @keys/prover.key --tokens 0 -o @p.bin --statement-out @s.bin --max 4 --force --stats"
	run(0, "setup --weights @weights.zkw -o @keys --json")
	out, _ := run(0, prove+" --json")
	require.Equal(t, 2, closed)
	var r struct {
		Computed string `json:"computed_by"`
		Stats    struct{ Device backend.Use }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Equal(t, "NVIDIA A1", r.Computed)
	require.Equal(t, named{}.Device(), r.Stats.Device)
	_, said := run(0, prove)
	require.Contains(t, said, "NVIDIA A1: 7 launches, 5 synchronisations, 0.00 MB up")
	device = nil
	for line, code := range map[string]int{prove: 3, "setup --weights @weights.zkw -o @others": 3, "--version": 0, "prove --help": 0, "run --key @keys/prover.key --tokens 0 --max 4": 0} {
		_, said := run(code, line)
		require.Equal(t, code == 3, strings.Contains(said, "prover: there is no device to compute on: the card is missing"), said)
		require.False(t, code == 3 && strings.Contains(said, "decoding"), line)
	}
}

// The device is opened by setup and prove, once they know what to do. Where it cannot be opened, or fails, the processor makes keys and proofs,
// and there is a warning; a report says which of them did.
func TestDevice(t *testing.T) {
	works := func() (backend.Backend, error) { return conformance.Elsewhere(cpu.New()), nil }
	fails := func() (backend.Backend, error) {
		return kit.Wrapped{Backend: cpu.New(), Run: func(r backend.Run) backend.Run { return lost{r} }}, nil
	}
	lacks := func() (backend.Backend, error) { return nil, errors.New("there is no GPU\nnor a driver") }
	for _, test := range []struct {
		open        func() (backend.Backend, error)
		says, makes string
	}{
		{works, "", "device"},
		{fails, "prover: warning: the device failed: it does not answer(; .*)?; the processor computes\n", "processor"},
		{lacks, "prover: warning: there is no GPU; nor a driver; the processor computes\n", "processor"},
	} {
		b := newBench(t, configs["argmax"])
		var opened []int
		m := proverapp.Model{Name: "bigram", Build: built(b.c), Device: func(ordinal int) (backend.Backend, error) {
			opened = append(opened, ordinal)
			return test.open()
		}}
		for _, line := range []struct {
			text  string
			code  int
			opens bool
		}{
			{"", 2, false}, {"--help", 0, false}, {"--version", 0, false}, {"version", 0, false}, {"setup --help", 0, false}, {"setup --unknown", 2, false},
			{"setup --weights @missing -o @keys", 3, false}, {"setup --weights @weights.zkw -o @keys --json", 0, true},
			{"prove --key @missing --tokens 0 -o @p.bin --statement-out @s.bin", 3, false}, {"run --key @keys/prover.key --tokens 0 --max 4", 0, false},
			{"statement --tokens 0 --answer-tokens 1 -o @t.bin", 0, false},
			{"prove --key @keys/prover.key --tokens 0 -o @p.bin --statement-out @s.bin --max 4 --json --stats", 0, true},
		} {
			var stdout, stderr bytes.Buffer
			opened = nil
			require.Equal(t, line.code, proverapp.Run(context.Background(), m, b.args(line.text), nil, &stdout, &stderr), "%s: %s", line.text, &stderr)
			if !line.opens {
				require.Empty(t, opened, line.text)
				require.NotContains(t, stderr.String(), "warning", line.text)
				continue
			}
			require.Equal(t, []int{0}, opened, line.text)
			require.Equal(t, test.says != "", strings.Contains(stderr.String(), "warning"), line.text)
			require.Regexp(t, test.says, stderr.String())
			require.Contains(t, stdout.String(), `"computed_by": "`+test.makes+`"`, line.text)
		}
		b.verifier(0, "accept --save @model.id @keys/model.vk")
		b.verifier(0, verifyLine)
	}
}

func TestUnwritable(t *testing.T) {
	b := proved(t, configs["argmax"])
	require.NoError(t, os.WriteFile(b.file("plain"), nil, 0o600))
	b.prover(3, "setup --weights @weights.zkw -o @plain")
	_, stderr := b.prover(3, "prove --key @keys/prover.key --prompt a -o @missing/p.bin --statement-out @q.bin")
	require.Contains(t, stderr, "the folder "+b.file("missing")+" does not exist; create it")
	require.NotContains(t, stderr, ".tmp-")
	_, stderr = b.verifier(3, "accept --save @missing/id @keys/model.vk")
	require.Contains(t, stderr, "the folder "+b.file("missing")+" does not exist; create it")
	require.NotContains(t, stderr, ".tmp-")
	require.NoFileExists(t, b.file("q.bin"))
}

func TestNothingClaimed(t *testing.T) {
	b := proved(t, configs["logits"])
	b.prover(0, "prove --force --key @keys/prover.key --tokens 0,1,2,3,4,0 --max 1 -o @p.bin --statement-out @s.bin")
	out, _ := b.verifier(0, verifyLine)
	require.Contains(t, out, "answer    none is claimed")
	require.Contains(t, out, `next      "b", as the revealed logits predict`)
	out, _ = b.verifier(0, verifyLine+" --json")
	require.Contains(t, out, `"next_token": 1`)
}
