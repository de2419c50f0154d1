package prover_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/console"
	proverapp "github.com/zkllmc/zkllmc/runtime/app/prover"
	verifierapp "github.com/zkllmc/zkllmc/runtime/app/verifier"
	"github.com/zkllmc/zkllmc/runtime/statement/generation"
)

// maxCommand is what a command on the files of the small model may allocate, beyond maxPerByte for a byte of a file. The largest by far is
// the setup, with a proof of a range for each weight.
const (
	maxCommand = 64 << 20
	maxPerByte = 64
)

// bounded runs a command line within the bound and returns its exit code and what it printed. A code that means a fault of the program
// fails the test, whatever the files hold.
func bounded(t *testing.T, size int, f func(stdout, stderr *bytes.Buffer) int) (code int, stdout string) {
	var o, e bytes.Buffer
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	code = f(&o, &e)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > maxCommand+maxPerByte*uint64(size) {
		t.Fatalf("%d bytes allocated, of files there are %d", n, size)
	}
	if code >= console.Internal || strings.Contains(e.String(), "internal error") {
		t.Fatalf("code %d\n%s%s", code, &o, &e)
	}
	return code, o.String()
}

// place is a bench with the content that its files have before they are changed.
type place struct {
	*bench
	files map[string][]byte
}

// newPlace is proved with a vocabulary as a file.
func newPlace(f *testing.F, config string) place {
	p := place{proved(f, configs[config]), map[string][]byte{}}
	require.NoError(f, os.WriteFile(p.file("vocab.json"), []byte(vocab), 0o600))
	for _, job := range jobs {
		data, err := os.ReadFile(p.file(job.file))
		require.NoError(f, err)
		p.files[job.file] = data
	}
	return p
}

// jobs are the files that the commands read, each with a command that reads it.
var jobs = []struct {
	file, line string
	verifier   bool
}{
	{"keys/model.vk", verifyLine + " --json", true},
	{"keys/model.vk", "accept --json @keys/model.vk", true},
	{"model.id", verifyLine + " --json", true},
	{"s.bin", verifyLine + " --json", true},
	{"s.bin", verifyLine + " --vocab @vocab.json", true},
	{"p.bin", verifyLine + " --json", true},
	{"vocab.json", verifyLine + " --json --vocab @vocab.json", true},
	{"vocab.json", "run --json --key @keys/prover.key --tokens 0 --max 2 --vocab @vocab.json", false},
	{"keys/prover.key", "run --json --key @keys/prover.key --tokens 0 --max 1", false},
	{"keys/model.vk", "prove --force --json --key @keys/prover.key --tokens 0 --max 1 -o @q.bin --statement-out @r.bin", false},
	{"weights.zkw", "setup --force --json --weights @weights.zkw -o @new", false},
	{"s.bin", "statement --force --tokens 0 --answer-tokens 1,2,3,4 --logits-from @s.bin -o @r.bin", false},
}

// FuzzFiles changes a word of a file, cuts it and lengthens it; a cut of its whole length makes more the file. Then a command reads it:
// it ends with a code that says what is wrong with the file, within its bound of memory, prints one JSON object where that was asked
// for, and leaves the file as it was.
func FuzzFiles(f *testing.F) {
	var places []place
	for _, config := range []string{"argmax", "logits", "private"} {
		places = append(places, newPlace(f, config))
	}
	for i := range byte(len(places)) {
		for job := range byte(len(jobs)) {
			f.Add(i, job, uint16(0), uint32(0), uint16(0), []byte{})
			f.Add(i, job, uint16(46), uint32(1), uint16(0), []byte{})
			f.Add(i, job, uint16(0), uint32(0), uint16(1), []byte{})
			f.Add(i, job, uint16(0), uint32(0), uint16(1<<15), []byte(`{"tokeniser":"character","vocab":{"é":0}}`))
		}
	}
	f.Fuzz(func(t *testing.T, which, job byte, at uint16, with uint32, cut uint16, more []byte) {
		p, j := places[int(which)%len(places)], jobs[int(job)%len(jobs)]
		name, valid := p.file(j.file), p.files[j.file]
		d := append(slices.Clone(valid[:len(valid)-min(len(valid), int(cut))]), more...)
		if i := int(at); i+4 <= len(d) {
			binary.BigEndian.PutUint32(d[i:], binary.BigEndian.Uint32(d[i:])^with)
		}
		require.NoError(t, os.WriteFile(name, d, 0o600))
		defer func() { require.NoError(t, os.WriteFile(name, valid, 0o600)) }()
		code, out := bounded(t, len(d)+len(valid), func(stdout, stderr *bytes.Buffer) int { return p.run(j.verifier, j.line, stdout, stderr) })
		if bytes.Equal(d, valid) && code != 0 {
			t.Fatalf("%s: code %d for the valid files", j.line, code)
		}
		if strings.Contains(j.line, "--json") && (code == 0 || j.verifier) {
			var report map[string]any
			require.NoError(t, json.Unmarshal([]byte(out), &report), out)
			if j.verifier {
				require.Equal(t, code == 0, report["accepted"], out)
			}
		}
		after, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, d, after)
	})
}

// run runs a command line of the verifier or the prover.
func (b *bench) run(verifier bool, line string, stdout, stderr *bytes.Buffer) int {
	if verifier {
		return verifierapp.Run(context.Background(), verifierapp.Model{Name: "bigram", Build: built(b.c), Vocab: parsed([]byte(vocab))}, b.args(line), nil, stdout, stderr)
	}
	return proverapp.Run(context.Background(), proverapp.Model{Name: "bigram", Build: built(b.c), Vocab: parsed([]byte(vocab))}, b.args(line), nil, stdout, stderr)
}

// FuzzArguments gives the values of flags any text: prompts, answers, lists of token ids, a number, a model's ID. A statement is written
// if the command line is fine, and then the verifier's decoder takes it.
func FuzzArguments(f *testing.F) {
	var benches []*bench
	for _, config := range []string{"argmax", "logits", "private"} {
		benches = append(benches, proved(f, configs[config]))
	}
	for i := range byte(len(benches)) {
		for _, v := range [][2]string{{"a", "bcd;"}, {"0,1", "2,3,4"}, {" 0 , +1", "2"}, {"", ""}, {"-1", "6"}, {"9223372036854775808", "1e3"}, {"a;é\xff", "0"},
			{"0,0,0,0,0,0", "0"}, {"0,0,0,0,0,0", "0,0"}, {strings.Repeat("a", 1<<10), "\x00"}} {
			f.Add(i, v[0], v[1], "1", byte(0))
			f.Add(i, v[0], v[1], strings.Repeat("0f", 32), byte(3))
		}
	}
	f.Fuzz(func(t *testing.T, which byte, prompt, answer, other string, form byte) {
		b := benches[int(which)%len(benches)]
		out := b.file("claim.bin")
		defer os.Remove(out)
		flags := [][2]string{{"--prompt=", "--answer="}, {"--tokens=", "--answer-tokens="}, {"--prompt=", "--answer-tokens="}, {"--tokens=", "--answer="}}[form%4]
		args := []string{"statement", flags[0] + prompt, flags[1] + answer, "-o", out, "--logits-from", b.file("s.bin")}
		m := proverapp.Model{Name: "bigram", Build: built(b.c), Vocab: parsed([]byte(vocab))}
		size := len(prompt) + len(answer) + len(other)
		code, _ := bounded(t, size, func(o, e *bytes.Buffer) int { return proverapp.Run(context.Background(), m, args, nil, o, e) })
		data, err := os.ReadFile(out)
		if (err == nil) != (code == console.OK) {
			t.Fatalf("code %d, %v", code, err)
		}
		if err == nil {
			_, _, err := generation.Decode(circuit.Single(b.c), data)
			require.NoError(t, err)
		}
		limit := []string{"run", "--key", b.file("keys/prover.key"), flags[0] + prompt, "--max=" + other}
		bounded(t, size, func(o, e *bytes.Buffer) int { return proverapp.Run(context.Background(), m, limit, nil, o, e) })
		asked := append(b.args(verifyLine), flags[0]+prompt, flags[1]+answer)
		bounded(t, size, func(o, e *bytes.Buffer) int {
			return verifierapp.Run(context.Background(), verifierapp.Model{Build: built(b.c), Vocab: parsed([]byte(vocab))}, asked, nil, o, e)
		})
		id := append(b.args("verify --vk @keys/model.vk --statement @s.bin --proof @p.bin"), "--id="+other)
		bounded(t, size, func(o, e *bytes.Buffer) int {
			return verifierapp.Run(context.Background(), verifierapp.Model{Build: built(b.c)}, id, nil, o, e)
		})
	})
}
