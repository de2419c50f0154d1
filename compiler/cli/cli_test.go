package cli

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/protocol"
)

const sums = "../../models/sums"

func module(t *testing.T) Module {
	gomod, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	gosum, err := os.ReadFile("../../go.sum")
	require.NoError(t, err)
	return Module{GoMod: gomod, GoSum: gosum}
}

func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = start(context.Background(), module(t), args, &out, &errs)
	return code, out.String(), errs.String()
}

func needSums(t *testing.T) string {
	model := filepath.Join(sums, "model.onnx")
	if _, err := os.Stat(model); err != nil {
		t.Fatal("models/sums is part of the repository and is not here")
	}
	return model
}

func TestExitCodes(t *testing.T) {
	model := needSums(t)
	garbage := filepath.Join(t.TempDir(), "garbage.onnx")
	require.NoError(t, os.WriteFile(garbage, []byte("not a model"), 0o644))
	whole, err := os.ReadFile(model)
	require.NoError(t, err)
	truncated := filepath.Join(t.TempDir(), "truncated.onnx")
	require.NoError(t, os.WriteFile(truncated, whole[:len(whole)/2], 0o644))
	input := inputName(t, model)
	foreign := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(foreign, "thesis.tex"), []byte("x"), 0o644))
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"help", []string{"--help"}, console.OK, ""},
		{"no command", nil, console.Usage, "no command given"},
		{"version of what", []string{"version", "x"}, console.Usage, "x"},
		{"no such command", []string{"frobnicate"}, console.Usage, "frobnicate"},
		{"no such flag", []string{"compile", model, "--frobnicate"}, console.Usage, "frobnicate"},
		{"no model", []string{"compile"}, console.Usage, "zkllmc: compile: missing: MODEL.onnx"},
		{"two models", []string{"inspect", model, "other"}, console.Usage, `inspect: unexpected argument "other"`},
		{"no data", []string{"conformance"}, console.Usage, "conformance: missing: a folder"},
		{"a factor that is none", []string{"check", model, "--budget", "1e-4"}, console.Usage, `invalid argument "1e-4" for "--budget" flag: it takes a whole number`},
		{"a part that is none", []string{"check", model, "--tolerance", "abc"}, console.Usage, `for "--tolerance" flag: it takes a number`},
		{"lengths that are none", []string{"check", model, "--length", "8,x"}, console.Usage, `for "--length" flag: it takes a whole number`},
		{"a factor beyond all", []string{"check", model, "--budget", "99999999999999999999"}, console.Usage, `for "--budget" flag: it takes no number as large as that`},
		{"no output", []string{"compile", model}, console.Usage, "-o DIR"},
		{"bad dimension", []string{"check", model, "--dim", "seq"}, console.Usage, "--dim"},
		{"bad reveal", []string{"check", model, "--reveal", "everything"}, console.Usage, "WHAT is values (or logits), argmax or nothing"},
		{"two reveals", []string{"check", model, "--reveal", "argmax", "--reveal", "values"}, console.Usage, "once per output"},
		{"no such output to reveal", []string{"check", model, "--reveal", "nix=argmax"}, console.Usage, `no such name: there is no output "nix"`},
		{"nothing to reveal", []string{"check", model, "--reveal", "nothing"}, console.Unreadable, "statements would tell nothing of any output"},
		{"bad range", []string{"check", model, "--range", "x=1"}, console.Usage, "write --range NAME=LO:HI with two numbers"},
		{"endless range", []string{"check", model, "--range", "x=0:inf"}, console.Usage, "write --range NAME=LO:HI with two numbers"},
		{"two ranges", []string{"check", model, "--range", "x=0:1", "--range", "x=0:2"}, console.Usage, "--range x is given twice"},
		{"two lengths", []string{"check", model, "--dim", "seq=4", "--dim", "seq=8"}, console.Usage, "--dim seq is given twice"},
		{"two fixed", []string{"check", model, "--fix", "x=a.pb", "--fix", "x=b.pb"}, console.Usage, "--fix x is given twice"},
		{"no such input in range", []string{"check", model, "--range", "nix=0:1"}, console.Usage, `no such name: range of input "nix"`},
		{"range upside down", []string{"check", model, "--range", input + "=1:0"}, console.Usage, "write --range NAME=LO:HI with two numbers, the smaller first"},
		{"bad statement", []string{"check", model, "--statement", "poem"}, console.Usage, "--statement poem: it is generation or function"},
		{"foreign folder", []string{"compile", model, "-o", foreign, "--runtime-path", "../.."}, console.Usage, "--force"},
		{"not our source", []string{"compile", model, "-o", filepath.Join(t.TempDir(), "x"), "--runtime-path", foreign}, console.Usage, "--runtime-path: " + foreign + " is not the source of github.com/zkllmc/zkllmc: it has no go.mod; give the folder of a clone"},
		{"missing model", []string{"inspect", "nowhere.onnx"}, console.Unreadable, "nowhere.onnx"},
		{"garbage", []string{"inspect", garbage}, console.Unreadable, "zkllmc: unreadable: " + garbage + ": not an ONNX model"},
		{"truncated", []string{"check", truncated}, console.Unreadable, "zkllmc: unreadable: " + truncated + ": not an ONNX model"},
		{"garbage to fix", []string{"check", model, "--fix", input + "=" + garbage}, console.Unreadable, "zkllmc: unreadable: input " + input + ": " + garbage},
		{"nothing to fix", []string{"check", model, "--fix", input + "=nowhere.pb"}, console.Unreadable, "zkllmc: unreadable: input " + input + ": open nowhere.pb"},
		{"missing data", []string{"check", model, "nowhere.json"}, console.Unreadable, "nowhere.json"},
		{"not our folder", []string{"inspect", foreign}, console.Unreadable, "zkllmc compile"},
		{"no cases", []string{"conformance", foreign}, console.Unreadable, "model.onnx"},
		{"no such dimension", []string{"check", model, "--dim", "foo=3"}, console.Usage, `dimension "foo"; the model has `},
		{"no such input", []string{"compile", model, "-o", filepath.Join(t.TempDir(), "y"), "--runtime-path", "../..", "--fix", "nosuch=F"}, console.Usage, `input "nosuch"; the model has `},
		{"unknown initializer", []string{"inspect", model, "--public", "nonsense"}, console.Usage, `zkllmc: no such name: the model has no initializer`},
		{"unknown private initializer", []string{"check", model, "--private", "nix"}, console.Usage, `zkllmc: no such name: the model has no initializer`},
		{"unknown private input", []string{"check", model, "--private-input", "nix"}, console.Usage, `zkllmc: no such name: there is no input "nix"`},
		{"unknown output", []string{"check", model, "--logits", "nix"}, console.Usage, `zkllmc: no such name: the model has no output "nix"`},
	} {
		code, _, stderr := run(t, c.args...)
		require.Equal(t, c.code, code, "%s: %s", c.name, stderr)
		require.Contains(t, stderr, c.says, c.name)
		require.NotContains(t, stderr, "internal error", c.name)
	}
}

// Who gives no inputs to choose scales from is told that they were drawn: inputs of his may be clamped.
func TestScalesFromDrawnInputs(t *testing.T) {
	model, data := filepath.Join(t.TempDir(), "scorer.onnx"), filepath.Join(t.TempDir(), "data.json")
	scorer(t, model)
	require.NoError(t, os.WriteFile(data, []byte("[4,4,4,4]"), 0o600))
	for _, command := range []string{"inspect", "check"} {
		_, _, stderr := run(t, command, model, "--range", "x=-4:4")
		require.Contains(t, stderr, "scales are chosen from 8 pseudo-random inputs", command)
		require.Contains(t, stderr, "--calibrate DATA\n", command)
		_, _, stderr = run(t, command, model, "--range", "x=-4:4", "--calibrate", data)
		require.NotContains(t, stderr, "pseudo-random", command)
	}
}

// The kind of statements follows from the model, or from --statement where both are possible; inspect shows it with the ports.
func TestStatementKinds(t *testing.T) {
	model := tiny(t, 1)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"generation     no output depends on later tokens", "ids: ids [4] in [0, 5]; statements tell values", "logits: integers [4 6]"}},
		{[]string{"--statement", "generation", "--private-input", "all", "--reveal", "argmax"}, []string{"generation", "statements tell nothing", "statements tell argmax"}},
		{[]string{"--statement", "function", "--reveal", "logits=argmax"}, []string{"function       a statement says that the model gives these outputs for these inputs\n", "logits: reals [4 6]", "statements tell argmax"}},
		{[]string{"--statement", "function", "--private-input", "all"}, []string{"function       a statement says that the model gives these outputs for some ids\n"}},
	} {
		code, out, stderr := run(t, append([]string{"inspect", model}, c.args...)...)
		require.Equal(t, console.OK, code, stderr)
		for _, want := range c.want {
			require.Contains(t, out, want)
		}
	}
	file := filepath.Join(t.TempDir(), "scorer.onnx")
	scorer(t, file)
	code, _, stderr := run(t, "inspect", file, "--range", "x=-1:1", "--statement", "generation")
	require.Equal(t, console.Unreadable, code)
	require.Contains(t, stderr, "no generations: its input is not token ids alone; compile it as a function")
}

// Outputs of a model of numbers are compared one by one, with the float model and with what the data expects.
func TestCheckOfNumbers(t *testing.T) {
	dir := t.TempDir()
	model, data := filepath.Join(dir, "scorer.onnx"), filepath.Join(dir, "data.json")
	scorer(t, model)
	for _, c := range []struct {
		expected string
		want     int
	}{{"4.859375, 1.03125", console.OK}, {"4.859375, 1.53125", console.Rejected}} {
		require.NoError(t, os.WriteFile(data, []byte(`{"inputs": {"x": [[0.5, -1.25, 3, 0]]}, "outputs": {"y": [[`+c.expected+`]]}}`), 0o600))
		code, out, stderr := run(t, "check", model, data, "--range", "x=-4:4")
		require.Equal(t, c.want, code, stderr)
		require.Contains(t, out, "against the float model: 1 inputs\n  y               error max")
		require.Contains(t, out, "against the expected output: 1 inputs")
	}
	code, _, stderr := run(t, "check", model, data, "--range", "x=-2:2")
	require.Equal(t, console.Unreadable, code)
	require.Contains(t, stderr, `input "x": element 2 is 3; it takes reals in [-2, 2]`)
	code, out, stderr := run(t, "check", model, data, "--calibrate", data) // of which the range follows
	require.Equal(t, console.Rejected, code, stderr)
	require.Contains(t, out, "against the float model")
	// Arrays of an archive are the input, or the output, that they are called by; an input expects nothing.
	x := npy("<f4", "(1, 4)", []byte{0, 0, 0, 63, 0, 0, 160, 191, 0, 0, 64, 64, 0, 0, 0, 0})
	for _, c := range []struct {
		arrays  map[string]string
		code    int
		expects bool
	}{
		{map[string]string{"x.npy": x}, console.OK, false},
		{map[string]string{"picture.npy": x}, console.Unreadable, false},
		{map[string]string{"x.npy": x, "picture.npy": x}, console.Unreadable, false},
		{map[string]string{"x.npy": npy("<f4", "(4, 1)", []byte(x[len(x)-16:]))}, console.OK, false},         // an axis of extent 1 elsewhere
		{map[string]string{"x.npy": npy("<f4", "(2, 2)", []byte(x[len(x)-16:]))}, console.Unreadable, false}, // another shape of the size
		{map[string]string{"x.npy": x, "y.npy": npy("<f4", "(1, 2)", make([]byte, 8))}, console.Rejected, true},
		{map[string]string{"y.npy": npy("<f4", "(1, 2)", make([]byte, 8))}, console.Unreadable, false},
	} {
		archive := filepath.Join(t.TempDir(), "data.npz")
		require.NoError(t, os.WriteFile(archive, npz(t, c.arrays), 0o600))
		code, out, stderr := run(t, "check", model, archive, "--range", "x=-4:4")
		require.Equal(t, c.code, code, "%v: %s%s", c.arrays, out, stderr)
		require.Equal(t, c.expects, strings.Contains(out, "against the expected output"), "%v: %s", c.arrays, out)
		if code == console.Unreadable {
			require.Contains(t, stderr, archive+": ")
		}
	}
	// Nested lists have a shape, and names are the model's, of inputs and of outputs.
	for text, want := range map[string]string{
		`{"inputs": {"x": [[0.5, -1.25], [3, 0]]}}`:                                    `: elements in shape [2 2] of the input "x"; it has shape [1 4]`,
		`{"inputs": {"x": [0.5, -1.25, 3, 0]}, "outputs": {"y": [[[4.859375], [1]]]}}`: "", // axes of extent 1
		`[0.5, -1.25, 3, 0]`: "",
		`[{"inputs": {"x": [1, 1, 1, 1]}}, {"inputs": {"z": [1]}}]`:           `, input 2: data of input "z"; the model has x`,
		`{"inputs": {"x": [1, 1, 1, 1]}, "outputs": {"z": [1]}}`:              `: data of output "z"; the model has y`,
		`{"inputs": {"x": [1, 1, 1, 1]}, "outputs": {"y": [[1, 2], [1, 2]]}}`: "4 expected cells",
	} {
		require.NoError(t, os.WriteFile(data, []byte(text), 0o600))
		code, _, stderr := run(t, "check", model, data, "--range", "x=-4:4", "--tolerance", "1")
		if want == "" {
			require.NotEqual(t, console.Unreadable, code, "%s: %s", text, stderr)
			continue
		}
		require.Equal(t, console.Unreadable, code, "%s: %s", text, stderr)
		require.Contains(t, stderr, want)
		require.True(t, want[0] == '4' || strings.Contains(stderr, data+want), stderr)
	}
}

func inputName(t *testing.T, model string) string {
	m, err := onnx.Load(context.Background(), model)
	require.NoError(t, err)
	return m.Graph.Inputs[0].Name
}

// TestNoCommand prints the help and fails, as the built programs do; a script that lost its arguments must not go on.
func TestNoCommand(t *testing.T) {
	code, out, stderr := run(t)
	require.Equal(t, console.Usage, code)
	require.Empty(t, out)
	require.Contains(t, stderr, "zkllmc compile model.onnx -o DIR")
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		code, out, stderr := run(t, arg)
		require.Equal(t, console.OK, code, stderr)
		require.Equal(t, console.ThisBuild().Lines(protocol.Version), out)
		require.Contains(t, out, "version   ")
	}
}

// TestInterrupted stops every command that works on a model before it begins.
func TestInterrupted(t *testing.T) {
	model := needSums(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, args := range [][]string{
		{"compile", model, "-o", filepath.Join(t.TempDir(), "x"), "--runtime-path", "../.."}, {"check", model}, {"inspect", model}, {"conformance", sums},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, console.Internal, start(ctx, module(t), args, &out, &errs), args[0])
		require.True(t, strings.HasSuffix(errs.String(), "zkllmc: interrupted\n"), "%s: %s", args[0], errs.String())
	}
}

func TestCheck(t *testing.T) {
	model := needSums(t)
	code, out, stderr := run(t, "check", model, sums, "--json")
	require.Equal(t, console.OK, code, stderr)
	var report struct {
		OK       bool
		Expected struct{ Positions, Clear, ClearAgree int }
		Phases   []phase
		Peak     uint64 `json:"peak_rss"`
		Threads  int
	}
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.True(t, report.OK)
	require.Positive(t, report.Expected.Positions)
	require.NotEmpty(t, report.Phases)
	require.Positive(t, report.Threads)
}

// TestReportedCosts checks models that once took minutes or came out wrong against onnxruntime's outputs: wide constants, an einsum of
// four factors, and token ids through a type that does not hold them.
func TestReportedCosts(t *testing.T) {
	const reports = "../../../shared/onnx/reports"
	if _, err := os.Stat(reports); err != nil {
		t.Skip(reports, "is not there")
	}
	for _, c := range []struct {
		dir    string
		code   int
		stderr string
	}{
		{"x05-wide-constant-chain-512", console.OK, ""},
		{"x06-einsum-four-factors-256", console.OK, ""},
		{"x07-ids-cast-uint8", console.Unreadable, `node "Cast#0" (Cast): casts token ids to uint8, which keeps those up to 255, but node "Gather#2" looks them up in 300 rows`},
	} {
		begin := time.Now()
		code, out, stderr := run(t, "check", filepath.Join(reports, c.dir, "model.onnx"), filepath.Join(reports, c.dir))
		require.Equal(t, c.code, code, "%s: %s%s", c.dir, out, stderr)
		require.Contains(t, stderr, c.stderr)
		require.Less(t, time.Since(begin), 20*time.Second, c.dir)
	}
	// What is refused does not count as folded because it folds with its ids fixed.
	_, out, _ := run(t, "conformance", filepath.Join(reports, "x07-ids-cast-uint8"))
	require.Contains(t, out, "0 folded, 1 refused")
}

// TestConformance proves a case, whatever dimension the flags give to other cases, and names the node of one that is refused.
func TestConformance(t *testing.T) {
	needSums(t)
	code, out, stderr := run(t, "conformance", sums, "--dim", "elsewhere=3")
	require.Equal(t, console.OK, code, stderr)
	require.Contains(t, out, "proved    "+sums)
	require.Contains(t, out, "conformance: 1 proved, 0 folded, 0 refused, 0 failed of 1")
	garbage := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(garbage, "model.onnx"), []byte("not a model"), 0o644))
	code, out, stderr = run(t, "conformance", garbage)
	require.Equal(t, console.OK, code, stderr)
	require.Contains(t, out, "refused   "+garbage)
}

// TestExports proves small exports of vision transformers, whose patches are convolutions, of a speech encoder, and of a model whose one
// tensor is ALiBi's distances and the mask.
func TestExports(t *testing.T) {
	const exports = "../../../shared/onnx/exports"
	args := []string{"conformance"}
	if _, err := os.Stat(exports); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{"vit-dyn", "clip-vision-ts", "whisper-enc-dyn", "falcon-alibi-dyn", "deit-ts", "falcon-dyn", "gpt2-dyn-opset23", "llama-dyn-ortext", "debertav2-mlm-dyn"} {
		args = append(args, filepath.Join(exports, name))
	}
	code, out, stderr := run(t, args...)
	require.Equal(t, console.OK, code, stderr)
	require.Contains(t, out, "conformance: 9 proved, 0 folded, 0 refused, 0 failed of 9")
}

// TestCompiledCodeStandsAlone compiles into an empty folder, builds and vets what is there, and looks at what it links.
func TestCompiledCodeStandsAlone(t *testing.T) {
	model := needSums(t)
	if testing.Short() {
		t.Skip("needs the Go toolchain")
	}
	dir := filepath.Join(t.TempDir(), "Sums of two")
	args := []string{"compile", model, "-o", dir, "--runtime-path", "../..", "--tokenizer", filepath.Join(sums, "vocab.json"), "--calibrate", sums}
	code, stdout, stderr := run(t, args...)
	require.Equal(t, console.OK, code, stderr)
	_, next, ok := strings.Cut(stdout, "\nnext: ")
	require.True(t, ok)
	first := files(t, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.vk"), []byte("kept"), 0o644))
	code, _, stderr = run(t, args...)
	require.Equal(t, console.OK, code, "a folder of ours is written again: %s", stderr)
	second := files(t, dir)
	require.Equal(t, "kept", second["model.vk"])
	delete(second, "model.vk")
	require.Equal(t, first, second, "the same model and flags give the same files")

	follow(t, dir, next)
	goTool(t, dir, "vet", "./...")
	require.Equal(t, runtimeModules, linked(t, dir, "./cmd/..."))
	code, out, _ := run(t, "inspect", dir)
	require.Equal(t, console.OK, code)
	require.Contains(t, out, "4 repeated layers")
	require.Contains(t, out, "layer3.mlp_norm.weight")
	verifier := goTool(t, dir, "list", "-deps", "./cmd/verifier")
	for _, no := range []string{"/runtime/prover\n", "/internal/engine\n", "/internal/witness\n", "/internal/backend/", "/internal/tensor\n", "jennifer", "onnx", "zkllmc/compiler", "zkllmc/codegen", "runtime/cgo\n"} {
		require.NotContains(t, verifier, no)
	}
}

// digits is a tokenizer.json for the model of sums.
const digits = `{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [{"id": 12, "content": ";", "special": true}],
	"normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"}, "model": {"type": "BPE", "merges": [], "vocab": {
	"0": 0, "1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "6": 6, "7": 7, "8": 8, "9": 9, "+": 10, "=": 11, ";": 12}}}`

// A model that is compiled with a tokenizer.json has it beside its code, with the template, and links what reads it: that and no more than
// other models. Over the same circuit another tokenizer is not written without a word.
func TestCompiledWithTokenizer(t *testing.T) {
	model := needSums(t)
	dir, file := filepath.Join(t.TempDir(), "sums"), filepath.Join(t.TempDir(), "tokenizer.json")
	require.NoError(t, os.WriteFile(file, []byte(digits), 0o644))
	args := []string{"compile", model, "-o", dir, "--runtime-path", "../..", "--calibrate", sums, "--tokenizer", file}
	code, _, stderr := run(t, args...)
	require.Equal(t, console.OK, code, stderr)
	require.Contains(t, stderr, "does not say which token ends an answer")
	ended := append(slices.Clone(args), "--end-token", ";")
	code, _, stderr = run(t, ended...)
	require.Equal(t, console.Usage, code)
	require.Contains(t, stderr, "another tokenizer or template")
	code, _, stderr = run(t, append(ended, "--force")...)
	require.Equal(t, console.OK, code, stderr)
	require.Contains(t, stderr, "replaces the tokenizer")
	require.NotContains(t, stderr, "does not say")

	written := files(t, dir)
	require.Equal(t, digits, written["vocab/tokenizer.json"])
	require.JSONEq(t, `{"end": ";"}`, written["vocab/template.json"])
	goTool(t, dir, "vet", "./...")
	require.ElementsMatch(t, append(slices.Clone(runtimeModules), "golang.org/x/text"), linked(t, dir, "./cmd/..."))
	require.Contains(t, goTool(t, dir, "list", "-deps", "./cmd/verifier"), "/runtime/tokens/huggingface\n")
	code, out, _ := run(t, "inspect", dir)
	require.Equal(t, console.OK, code)
	require.Contains(t, out, "\ntokenizer      ")

	for _, wrong := range [][]string{{"--chat", "chatml", "--end-token", ";"}, {"--chat", "chatml"}, {"--chat", "nobodys"}, {"--end-token", "x"}} {
		code, _, stderr = run(t, append(slices.Clone(args), wrong...)...)
		require.NotEqual(t, console.OK, code, wrong)
		require.NotContains(t, stderr, "internal error", wrong)
	}
}

// follow runs the command that compile prints last, which leaves the two programs and the keys.
func follow(t *testing.T, dir, command string) {
	if runtime.GOOS == "windows" {
		t.Log("the command is for a POSIX shell: not run")
		goTool(t, dir, "build", "./...")
		return
	}
	out, err := exec.Command("/bin/sh", "-ec", command).CombinedOutput()
	require.NoError(t, err, "%s: %s", command, out)
	for _, name := range []string{"bin/prover", "bin/verifier", "keys/model.vk", "keys/prover.key"} {
		require.FileExists(t, filepath.Join(dir, filepath.FromSlash(name)))
	}
}

func TestShellWords(t *testing.T) {
	for word, want := range map[string]string{
		"out": "out", "../a/b-c_1.2": "../a/b-c_1.2", "my out": "'my out'", "it's": `'it'\''s'`, "$(x)": "'$(x)'", "~": "'~'", "": "''", "a\nb": "'a\nb'",
		"X=1": "X=1", "=ls": "'=ls'", "-n": "./-n", "- n": "'./- n'",
	} {
		require.Equal(t, want, shellFolder(word))
	}
}

func files(t *testing.T, dir string) map[string]string {
	all := map[string]string{}
	require.NoError(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		all[filepath.ToSlash(rel)] = string(data)
		return err
	}))
	return all
}

// linked lists the modules other than ours that packages link.
func linked(t *testing.T, dir, packages string) []string {
	out := goTool(t, dir, "list", "-tags=cuda", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", packages)
	seen := map[string]bool{}
	for _, m := range strings.Fields(out) {
		if m != ourModule && !strings.HasPrefix(m, "zkllmc.local/") {
			seen[m] = true
		}
	}
	list := []string{}
	for m := range seen {
		list = append(list, m)
	}
	// A library for Windows, which go list leaves out elsewhere.
	if !seen["github.com/inconshreveable/mousetrap"] {
		list = append(list, "github.com/inconshreveable/mousetrap")
	}
	sort.Strings(list)
	return list
}

func goTool(t *testing.T, dir string, args ...string) string {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "go %v: %s", args, stderr.String())
	return string(out)
}

func TestInsideAModule(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/service\n\ngo 1.26\n"), 0o644))
	p, err := module(t).place(&output{dir: filepath.Join(dir, "internal", "model")})
	require.NoError(t, err)
	require.Equal(t, "example.com/service/internal/model", p.importPath)
	require.Empty(t, p.files)
	_, err = module(t).place(&output{dir: filepath.Join(t.TempDir(), "x")})
	require.ErrorContains(t, err, "--runtime-path")
}

// TestLinking says what the module around generated code lacks, and nothing where it lacks nothing.
func TestLinking(t *testing.T) {
	clone, err := filepath.Abs("../..")
	require.NoError(t, err)
	const unused, lacking = "--runtime-path is not used: ", "does not require zkllmc; before building, run in "
	for _, c := range []struct {
		name, gomod, path string
		says              []string
	}{
		{"nothing given", "module m\n", "", []string{lacking, "go mod edit -require " + ourModule + "@v0.0.0 -replace " + ourModule + "=PATH/OF/A/CLONE\n  go mod tidy\n"}},
		{"flag given", "module m\n", "../..", []string{unused, lacking, " -replace " + shellWord(ourModule+"="+clone) + "\n"}},
		{"replaced only", "module m\n\nreplace (\n\t" + ourModule + " v0.0.0 => ../z\n)\n", "", []string{lacking}},
		{"required", "module m\n\nrequire " + ourModule + " v0.0.0\n", "", nil},
		{"required with others, flag given", "module m\n\nrequire (\n\tx v1.0.0\n\t" + ourModule + " v0.0.0\n)\n", "../..", []string{unused}},
		{"ourselves", "module " + ourModule + "\n", "", nil},
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(c.gomod), 0o644))
		p, err := module(t).place(&output{dir: filepath.Join(dir, "gen"), runtimePath: c.path})
		require.NoError(t, err, c.name)
		for _, text := range []string{unused, lacking} {
			require.Equal(t, slices.Contains(c.says, text), strings.Contains(p.note, text), "%s: %s", c.name, p.note)
		}
		for _, text := range c.says {
			require.Contains(t, p.note, text, c.name)
		}
	}
}

// TestLinkingWorks does what compile says inside of a module, and builds.
func TestLinkingWorks(t *testing.T) {
	if testing.Short() || runtime.GOOS == "windows" {
		t.Skip("needs the Go toolchain and a POSIX shell")
	}
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "go.mod"), []byte("module example.com/service\n\ngo 1.26\n"), 0o644))
	dir := filepath.Join(root, "gen")
	code, _, stderr := run(t, "compile", needSums(t), "-o", dir, "--runtime-path", "../..")
	require.Equal(t, console.OK, code, stderr)
	_, commands, ok := strings.Cut(stderr, "before building, run in "+dir+"\n")
	require.True(t, ok, stderr)
	sh := exec.Command("/bin/sh", "-ec", commands)
	sh.Dir, sh.Env = dir, append(os.Environ(), "GOSUMDB=off") // our own go.sum has vouched for the modules of the cache
	out, err := sh.CombinedOutput()
	require.NoError(t, err, "%s: %s", commands, out)
	goTool(t, root, "build", "./gen/...")
}

func TestReadData(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, data, 0o644))
		return path
	}
	for name, want := range map[string]int{"[1,2,3]": 1, "[[1,2],[3]]": 2, `{"inputs":[[1],[2],[3]]}`: 3} {
		in, err := readData(file("x.json", []byte(name)))
		require.NoError(t, err, name)
		require.Len(t, in, want, name)
	}
	in, err := readData(file("x.npz", npz(t, map[string]string{
		"input_ids.npy": npy("<i8", "(2, 1)", []byte{5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0}),
		"logits.npy":    npy("<f4", "(2, 1, 1)", []byte{0, 0, 128, 63, 0, 0, 0, 192}),
	})))
	require.NoError(t, err)
	require.Equal(t, []compiler.Input{{
		Arrays: []compiler.Data{{Name: "input_ids", Shape: []int{2, 1}, Values: []float64{5, 6}}, {Name: "logits", Shape: []int{2, 1, 1}, Values: []float64{1, -2}}},
		From:   filepath.Join(dir, "x.npz"),
	}}, in)
	in, err = readData(file("named.json", []byte(`[{"inputs": {"x": [[0.5, -1], [2, 3e0]], "m": [true, false]}, "outputs": {"y": 7}}]`)))
	require.NoError(t, err)
	require.Equal(t, []compiler.Input{{
		Elements: []compiler.Data{{Name: "m", Shape: []int{2}, Values: []float64{1, 0}}, {Name: "x", Shape: []int{2, 2}, Values: []float64{0.5, -1, 2, 3}}},
		Expected: []compiler.Data{{Name: "y", Shape: []int{}, Values: []float64{7}}},
		From:     filepath.Join(dir, "named.json"),
	}}, in)
	for name, data := range map[string][]byte{
		"empty":       nil,
		"text":        []byte("hello"),
		"bracket":     []byte("[1,2]]"),
		"brace":       []byte(`{"inputs":[[1]]}}`),
		"no array":    npz(t, nil),
		"truncated":   npz(t, map[string]string{"a.npy": npy("<i8", "(2, 1)", []byte{1})}),
		"huge":        npz(t, map[string]string{"a.npy": npy("<i8", "(99999999999, 99999999999)", nil)}),
		"no rows":     npz(t, map[string]string{"a.npy": npy("<i8", "(0,)", nil)}),
		"an object":   []byte(`{"tokens": [1]}`),
		"two values":  []byte(`[1] [2]`),
		"a word":      []byte(`[1, "two"]`),
		"ragged":      []byte(`{"inputs": {"x": [[1, 2], [3]]}}`),
		"too deep":    []byte(`{"inputs": {"x": [[1, 2], [3, [4]]]}}`),
		"no inputs":   []byte(`{"outputs": {"y": [1]}}`),
		"half floats": npz(t, map[string]string{"a.npy": npy("<f2", "(1,)", []byte{1, 2})}),
	} {
		_, err := readData(file("bad", data))
		require.Error(t, err, name)
	}
}

func npy(descr, shape string, data []byte) string {
	head := "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }\n"
	return "\x93NUMPY\x01\x00" + string([]byte{byte(len(head)), byte(len(head) >> 8)}) + head + string(data)
}

func npz(t *testing.T, arrays map[string]string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range arrays {
		w, err := z.Create(name)
		require.NoError(t, err)
		_, err = w.Write([]byte(data))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.Bytes()
}

// What compile says about precision decides whether it writes anything: an integer program that differs by more than the tolerance ends in
// an exit code of its own, with the place, and an expected output that the float model does not give in another one, which no flag lets
// pass.
func TestPrecisionDecides(t *testing.T) {
	dir := t.TempDir()
	model, data := filepath.Join(dir, "scorer.onnx"), filepath.Join(dir, "data.json")
	scorer(t, model)
	write := func(y string) {
		require.NoError(t, os.WriteFile(data, []byte(`{"inputs": {"x": [[0.3, -1.2, 3, 0.7]]}, "outputs": {"y": [[`+y+`]]}}`), 0o600))
	}
	compile := func(args ...string) (int, string, string, bool) {
		to := filepath.Join(t.TempDir(), "out")
		code, out, stderr := run(t, append([]string{"compile", model, "-o", to, "--runtime-path", "../..", "--range", "x=-4:4", "--calibrate", data}, args...)...)
		_, err := os.Stat(to)
		return code, out, stderr, err == nil
	}
	write("5.475, -0.95")
	code, out, stderr, written := compile()
	require.Equal(t, console.OK, code, stderr)
	require.True(t, written)
	require.Contains(t, out, "integer program against the float model: 1 inputs\n  y  ")
	require.Contains(t, out, "float model against the expected output: 1 inputs\n  y  ")

	code, _, stderr, written = compile("--tolerance", "1e-12")
	require.Equal(t, console.Imprecise, code, stderr)
	require.False(t, written)
	require.Regexp(t, `the integer program is not precise enough, against the float model: the output "y" differs by .*; most is lost at \S+, node "`, stderr)
	require.Contains(t, stderr, "nothing was written")

	require.Contains(t, stderr, "once more with finer roundings, --finer 3")

	code, _, stderr, written = compile("--tolerance", "5e-5") // which two steps finer is within
	require.Equal(t, console.OK, code, stderr)
	require.True(t, written)
	require.Equal(t, 2, strings.Count(stderr, "with finer roundings"), stderr)
	code, _, stderr = run(t, "check", model, data, "--range", "x=-4:4", "--calibrate", data, "--tolerance", "5e-5")
	require.Equal(t, console.OK, code, stderr)
	require.Contains(t, stderr, "--finer 2")
	code, _, stderr, _ = compile("--tolerance", "5e-5", "--finer", "2")
	require.Equal(t, console.OK, code, stderr)
	require.NotContains(t, stderr, "once more")
	code, _, stderr, _ = compile("--finer", "4")
	require.Equal(t, console.Usage, code, stderr)

	code, out, stderr, written = compile("--tolerance", "1e-12", "--accept-loss", "--layers", "--json")
	require.Equal(t, console.OK, code, stderr)
	require.True(t, written)
	require.Contains(t, stderr, "zkllmc: accepted: the integer program is not precise enough")
	var report struct {
		Check struct {
			OK        bool
			Tolerance float64
			Places    []struct{ Tensor, Node string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.False(t, report.Check.OK)
	require.Equal(t, 1e-12, report.Check.Tolerance)
	require.NotEmpty(t, report.Check.Places)

	write("5.475, -1.25")
	code, _, stderr, written = compile("--accept-loss")
	require.Equal(t, console.Rejected, code, stderr)
	require.False(t, written)
	require.Contains(t, stderr, `the float model does not give the expected output: the output "y" differs by 0.3`)
	code, _, stderr, _ = compile("--tolerance", "0.1")
	require.Equal(t, console.OK, code, stderr)
	write("5.475, -0.95, 7")
	code, _, stderr, written = compile("--accept-loss")
	require.Equal(t, console.Unreadable, code, stderr)
	require.False(t, written)
	require.Contains(t, stderr, `3 expected cells of the output "y", which has 2`)
	write("5.475, -0.95")
	for _, wrong := range []string{"0", "-1", "2", "NaN"} {
		code, _, stderr, _ = compile("--tolerance", wrong)
		require.Equal(t, console.Usage, code, stderr)
	}
}

// What an array says of itself is compared with what there is of it, where integers have 32 bits, too.
func TestHeadersOfArrays(t *testing.T) {
	_, err := decodeArray(strings.NewReader("\x93NUMPY\x02\x00\xff\xff\xff\xff"))
	require.ErrorContains(t, err, "a header of 4294967295 bytes")
	_, err = decodeNPY("{'descr': '<f4', 'fortran_order': False, 'shape': (65537, 65537), }", make([]byte, 4*131073)) // 131073 modulo 2^32
	require.ErrorContains(t, err, "shape (65537, 65537) of 524292 bytes")
}
