// Package spec_test runs the second verifier on the known-answer vectors.
package spec_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/test/second"
)

// The exit codes of verify.py.
const (
	accepted   = 0
	rejected   = 1
	usage      = 2
	unreadable = 3
)

var cases = []string{"argmax", "exact", "family", "logits", "pieces", "ports", "skips", "tiny"}

// work is what the evaluations of proofs take, as the first verifier counts it: references, cells of known tensors, opened rows.
var work = map[string][3]int{"argmax": {190, 408, 138}, "exact": {27, 3, 20}, "family": {16, 200, 3}, "logits": {66, 618, 65}, "pieces": {10, 3, 1026}, "ports": {45, 172, 219}, "skips": {254, 288, 36}, "tiny": {7, 3, 3}}

const header, stream = 44, 44 + 32 // offsets in a proof: behind the header, behind the model's ID

// verify runs the second verifier and returns its exit code and what it printed.
func verify(t *testing.T, args ...string) (int, string) {
	t.Helper()
	return second.Run(t, append([]string{"-c", second.Main}, args...)...)
}

// files are the paths of a case, by name.
type files map[string]string

func vector(name string) files {
	f := files{}
	for _, file := range []string{"circuit.bin", "model.vk", "statement.bin", "proof.bin", "trace.txt"} {
		f[file] = filepath.Join("..", "internal", "format", "testdata", name, file)
	}
	if name == "family" {
		f[longer] = filepath.Join("..", "internal", "format", "testdata", name, longer)
	}
	return f
}

// longer is the second circuit of a family of two.
const longer = "longer.bin"

// circuits are the files of the case's circuits.
func (f files) circuits() []string {
	if name, ok := f[longer]; ok {
		return []string{f["circuit.bin"], name}
	}
	return []string{f["circuit.bin"]}
}

func (f files) args(more ...string) []string {
	args := append([]string{"--circuit"}, f.circuits()...)
	return append(append(args, "--vk", f["model.vk"], "--statement", f["statement.bin"], "--proof", f["proof.bin"]), more...)
}

func (f files) read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(f[name])
	require.NoError(t, err)
	return data
}

// changed is the case with one file changed.
func (f files) changed(t *testing.T, name string, change func(data []byte)) files {
	t.Helper()
	data := f.read(t, name)
	change(data)
	out := files{}
	for k, v := range f {
		out[k] = v
	}
	out[name] = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(out[name], data, 0o600))
	return out
}

// TestAccepts verifies the vectors with nothing of ours: generators are derived in Python. Both verifiers must absorb and draw the same,
// and derive the same generators.
func TestAccepts(t *testing.T) {
	second.Python(t)
	dir := t.TempDir()
	derived := filepath.Join(dir, "generators") // of this case and those before it
	for i, name := range cases {
		t.Run(name, func(t *testing.T) {
			f, trace := vector(name), filepath.Join(dir, "trace")
			args := f.args("--trace", trace, "--save-generators", derived)
			if i > 0 {
				args = append(args, "--generators", derived)
			}
			code, out := verify(t, args...)
			require.Equal(t, accepted, code, out)
			for _, name := range f.circuits() {
				data, err := os.ReadFile(name)
				require.NoError(t, err)
				require.Contains(t, out, fmt.Sprintf("circuit %x\n", sha256.Sum256(data)))
			}
			require.Contains(t, out, hex.EncodeToString(f.read(t, "proof.bin")[header:stream]))
			got, err := os.ReadFile(trace)
			require.NoError(t, err)
			require.Equal(t, string(f.read(t, "trace.txt")), string(got))
			derivesAlike(t, derived)
		})
	}
}

var absorbed = regexp.MustCompile(`^absorb "([^"]*)"(?: ([0-9a-f]+)| (\d+) bytes, .*)?$`)

// offsets says where the first item of every label stands in the proof stream of a trace.
func offsets(t *testing.T, trace []byte) map[string]int {
	t.Helper()
	_, text, found := strings.Cut(string(trace), "# inference\n")
	require.True(t, found)
	_, text, found = strings.Cut(text, "absorb \"statement\"") // what precedes the stream
	require.True(t, found)
	at, out := 0, map[string]int{}
	for _, line := range strings.Split(text, "\n")[1:] {
		if m := absorbed.FindStringSubmatch(line); m != nil {
			if _, seen := out[m[1]]; !seen {
				out[m[1]] = at
			}
			n, _ := strconv.Atoi(m[3]) // 0 where the bytes are shown
			at += n + len(m[2])/2
		}
	}
	return out
}

// TestRejects changes one thing at a time. A point changes its sign, so that it still decodes, a scalar its lowest bit.
func TestRejects(t *testing.T) {
	second.Python(t)
	cache := generators(t)
	const sign, low = 0x40, 31
	for _, name := range cases {
		f := vector(name)
		model := hex.EncodeToString(f.read(t, "proof.bin")[header:stream])
		proof := offsets(t, f.read(t, "trace.txt"))
		last := len(f.read(t, "statement.bin")) - 1
		try := func(what, file, says string, change func(data []byte)) {
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				args := f.changed(t, file, change).args("--generators", cache)
				if file != "model.vk" {
					args = append(args, "--pin", model) // the range proof is not what is looked at
				}
				code, out := verify(t, args...)
				require.Equal(t, rejected, code, out)
				require.Contains(t, out, says)
			})
		}
		flip := func(at int, bit byte) func([]byte) { return func(d []byte) { d[at] ^= bit } }
		const final = "the final equation does not hold"
		switch name {
		case "argmax":
			try("key row", "model.vk", final, flip(header, sign))
			try("key proof", "model.vk", final, func(d []byte) { d[len(d)-1] ^= 1 })
			try("statement digest", "statement.bin", "another circuit", flip(header-1, 1))
			try("statement next", "statement.bin", final, flip(header+24, 1))
		case "logits":
			try("statement logit", "statement.bin", final, flip(last, 1))
			try("statement answer", "statement.bin", "predict another answer", flip(header+25+8*2+7, 1))
		case "skips":
			for _, label := range []string{"leaf evaluations", "wave 1 evaluations", "wave 2 evaluations"} {
				try("proof point "+label, "proof.bin", final, flip(stream+proof[label], sign))
			}
		case "ports":
			try("statement real", "statement.bin", final, flip(header+1+9, 1))
			try("statement of another kind", "statement.bin", "another kind", flip(header, 3))
			try("statement id", "statement.bin", "port ids is out of range", flip(header+1+9+6+9+9+9+9+1, 4))
		case "family":
			short := sha256.Sum256(f.read(t, "circuit.bin"))
			to := func(digest [32]byte) func([]byte) { return func(d []byte) { copy(d[12:header], digest[:]) } }
			try("key of one circuit", "model.vk", "verifying key: it belongs to another circuit", to(short))
			try("statement of the other circuit", "statement.bin", "statement: ", to(short))
			try("proof of the other circuit", "proof.bin", "proof: it belongs to another circuit", to(short))
		case "exact":
			for _, label := range []string{"pads", "witness rows", "product block", "L, R"} {
				try("proof point "+label, "proof.bin", final, flip(stream+proof[label], sign))
			}
			for _, label := range []string{"lookup root", "columns", "phi", "rest"} {
				try("proof scalar "+label, "proof.bin", final, flip(stream+proof[label]+low, 1))
			}
			try("statement without its flag", "statement.bin", final, flip(header, 64))
		case "tiny":
			try("statement value", "statement.bin", final, func(d []byte) { d[last] = 0 })
			try("statement value out of range", "statement.bin", "port more is out of range", flip(last, 0x40))
			try("statement cut", "statement.bin", "a wrong number of values", flip(last-3, 1))
		}
	}
}

// TestCountsWork: both verifiers count the work of evaluations alike, sums that go into several later ones and shifts among them: with just
// as much allowed a circuit and its setup circuits are taken, and with less in one respect one of them is none.
func TestCountsWork(t *testing.T) {
	second.Python(t)
	const limited = `
import sys, verify
limits = list(map(int, sys.argv[1:4]))
data = [open(name, 'rb').read() for name in sys.argv[4:]]
for less in range(-1, len(limits)):
    allowed = [n - (i == less) for i, n in enumerate(limits)]
    verify.MAX_REFERENCES, verify.MAX_KNOWN_CELLS, verify.MAX_OPENED_ROWS = allowed
    try:
        for _, _, setup in verify.range_proof(verify.read_family(data)):
            verify.read_circuit(setup)
        print('taken')
    except verify.Unreadable as err:
        print(err)`
	for name, exact := range work {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"-c", limited}
			for _, n := range exact {
				args = append(args, strconv.Itoa(n))
			}
			code, out := second.Run(t, append(args, vector(name).circuits()...)...)
			require.Zero(t, code, out)
			const none = "not a circuit: proofs about it take too many evaluations\n"
			require.Equal(t, "taken\n"+none+none+none, out)
		})
	}
}

// TestExitCodes: what is not a rejection does not look like one.
func TestExitCodes(t *testing.T) {
	second.Python(t)
	f := vector("tiny")
	for what, c := range map[string]struct {
		code int
		args []string
	}{
		"no arguments":        {usage, nil},
		"half a proof":        {usage, []string{"--circuit", f["circuit.bin"], "--vk", f["model.vk"], "--proof", f["proof.bin"]}},
		"bad pin":             {usage, f.args("--pin", "x")},
		"no circuit":          {unreadable, []string{"--circuit", "nowhere", "--vk", f["model.vk"]}},
		"not a circuit":       {unreadable, []string{"--circuit", f["proof.bin"], "--vk", f["model.vk"]}},
		"no generators":       {unreadable, f.args("--generators", f["proof.bin"])},
		"other circuit":       {rejected, []string{"--circuit", vector("logits")["circuit.bin"], "--vk", f["model.vk"]}},
		"other model":         {rejected, f.args("--pin", fmt.Sprintf("%064x", 1))},
		"a circuit by itself": {accepted, []string{"--circuit", f["circuit.bin"]}},
		"a proof and no key":  {usage, []string{"--circuit", f["circuit.bin"], "--statement", f["statement.bin"], "--proof", f["proof.bin"]}},
		"a key by itself":     {accepted, []string{"--circuit", f["circuit.bin"], "--vk", f["model.vk"]}},
	} {
		code, out := verify(t, c.args...)
		require.Equal(t, c.code, code, "%s: %s", what, out)
	}
	code, out := second.Run(t, "verify.py", "--circuit", f["proof.bin"]) // the file itself
	require.Equal(t, unreadable, code, out)
}

// TestFamilies: keys and proofs are of all circuits, each once, in order. A key that is rewritten for others is refused by its range proof,
// and by whoever pinned it.
func TestFamilies(t *testing.T) {
	second.Python(t)
	f, cache := vector("family"), generators(t)
	short, long, pin := f["circuit.bin"], f[longer], hex.EncodeToString(f.read(t, "proof.bin")[header:stream])
	for what, c := range map[string]struct {
		code     int
		says     string
		circuits []string
	}{
		"both":               {accepted, "accepted", []string{short, long}},
		"the other order":    {unreadable, "not a family: a port becomes shorter", []string{long, short}},
		"one twice":          {unreadable, "not a family: no port becomes longer", []string{short, long, long}},
		"another one's":      {unreadable, "not a family: it has another name", []string{short, vector("argmax")["circuit.bin"]}},
		"the short one":      {rejected, "verifying key: it belongs to another circuit", []string{short}},
		"the long one":       {rejected, "verifying key: it belongs to another circuit", []string{long}},
		"none that there is": {unreadable, "nowhere", []string{short, "nowhere"}},
	} {
		args := append([]string{"--circuit"}, c.circuits...)
		code, out := verify(t, append(args, "--generators", cache, "--vk", f["model.vk"], "--statement", f["statement.bin"], "--proof", f["proof.bin"])...)
		require.Equal(t, c.code, code, "%s: %s", what, out)
		require.Contains(t, out, c.says, what)
	}
	alone := sha256.Sum256(f.read(t, longer))
	forged := f.changed(t, "model.vk", func(d []byte) { copy(d[12:header], alone[:]) })
	args := []string{"--circuit", long, "--generators", cache, "--vk", forged["model.vk"]}
	code, out := verify(t, args...)
	require.Equal(t, rejected, code, out)
	require.Contains(t, out, "piece 1 of 1 of its range proof")
	code, out = verify(t, append(args, "--pin", pin)...)
	require.Equal(t, rejected, code, out)
	require.Contains(t, out, "it is of another model than the pinned one")
}
