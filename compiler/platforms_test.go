package compiler

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/test/synthetic"
	"github.com/zkllmc/zkllmc/internal/weights"
	"github.com/zkllmc/zkllmc/ir"
)

// wasi runs a program for wasip1 under node, with the working folder as its root.
const wasi = `const { WASI } = require('node:wasi');
const w = new WASI({ version: 'preview1', args: process.argv.slice(1), preopens: { '/': process.cwd() }, env: { PWD: '/' } });
WebAssembly.instantiate(require('node:fs').readFileSync(process.argv[1]), w.getImportObject()).then(m => process.exit(w.start(m.instance)));`

// Names of variables of the environment: whether to build for all platforms, each of which takes a standard library, and where one that is
// compared writes what it made.
const (
	comparePlatforms = "ZKLLMC_PLATFORMS"
	writeCircuits    = "ZKLLMC_CIRCUITS"
)

// runners are the platforms that this machine may be able to run besides its own, with the command that runs a program there. make cross asks
// for all of them; otherwise it is the one whose integers have 32 bits and which needs nothing to run it.
func runners(t *testing.T) map[string][]string {
	all := map[string][]string{}
	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		all["linux/386"] = nil
	}
	if os.Getenv(comparePlatforms) != "all" {
		return all
	}
	out, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	js := filepath.Join(strings.TrimSpace(string(out)), "lib", "wasm", "wasm_exec_node.js")
	all["js/wasm"] = []string{"node", "--stack-size=8192", js}
	all["wasip1/wasm"] = []string{"node", "--no-warnings", "--stack-size=8192", "-e", wasi, "--"}
	all["linux/arm64"] = []string{"qemu-aarch64-static"}
	return all
}

// TestPlatforms builds the verifier that is committed in generated/sums for the platforms that this machine can run besides its own, 32-bit
// ones and those of a browser among them: everywhere it accepts a proof made here and rejects a forged statement.
func TestPlatforms(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the Go toolchain")
	}
	id, vk, statements, proof := provedSum(t)
	dir := t.TempDir()
	for name, data := range map[string][]byte{"model.vk": vk, "true.bin": statements[0], "forged.bin": statements[1], "proof.bin": proof} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	for platform, runner := range runners(t) {
		t.Run(platform, func(t *testing.T) {
			if len(runner) > 0 {
				if _, err := exec.LookPath(runner[0]); err != nil {
					t.Skipf("there is no %s to run it with", runner[0])
				}
			}
			program := strings.ReplaceAll(platform, "/", "-")
			system, arch, _ := strings.Cut(platform, "/")
			build := exec.Command("go", "build", "-ldflags=-w", "-o", filepath.Join(dir, program), "../generated/sums/cmd/verifier")
			build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch)
			out, err := build.CombinedOutput()
			require.NoError(t, err, "%s", out)
			for _, c := range []struct {
				statement string
				code      int
				says      string
			}{{"true.bin", 0, "accepted"}, {"forged.bin", 1, "rejected (final argument)"}} {
				line := append(append([]string{}, runner...), "./"+program, "verify", "--id", id, "--vk", "model.vk", "--statement", c.statement, "--proof", "proof.bin")
				p := exec.Command(line[0], line[1:]...)
				p.Dir = dir
				out, _ := p.CombinedOutput()
				require.Equal(t, c.code, p.ProcessState.ExitCode(), "%s", out)
				require.Contains(t, string(out), c.says)
			}
		})
	}
}

// TestSameCircuits compiles the project's model and synthetic ones with compilers built for other platforms, among them those that have an
// operation for a product and a sum with one rounding. Code, constants, weights and digests are those of this one.
func TestSameCircuits(t *testing.T) {
	file := os.Getenv(writeCircuits)
	if file == "" && os.Getenv(comparePlatforms) == "" {
		t.Skip("make platforms compares them")
	}
	own := built(t)
	if file != "" {
		require.NoError(t, os.WriteFile(file, []byte(own), 0o644))
		return
	}
	emulator := "qemu-aarch64-static"
	for platform, env := range map[string][]string{"amd64 v3": {"GOARCH=amd64", "GOAMD64=v3"}, "386": {"GOARCH=386"}, "arm64": {"GOARCH=arm64"}} {
		t.Run(platform, func(t *testing.T) {
			dir := t.TempDir()
			program, file := filepath.Join(dir, "compiler.test"), filepath.Join(dir, "circuits")
			line := []string{program, "-test.run", "^TestSameCircuits$"}
			if native := platform != "arm64"; native && (runtime.GOOS != "linux" || runtime.GOARCH != "amd64") {
				t.Skip("this machine does not run programs of " + platform)
			} else if !native && runtime.GOARCH != "arm64" {
				if _, err := exec.LookPath(emulator); err != nil {
					t.Skipf("there is no %s to run it with", emulator)
				}
				line = append([]string{emulator}, line...)
			}
			build := exec.Command("go", "test", "-c", "-o", program, ".")
			build.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOOS="+runtime.GOOS), env...)
			out, err := build.CombinedOutput()
			require.NoError(t, err, "%s", out)
			run := exec.Command(line[0], line[1:]...)
			run.Env = append(os.Environ(), writeCircuits+"="+file)
			out, err = run.CombinedOutput()
			require.NoError(t, err, "%s", out)
			other, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, own, string(other))
		})
	}
}

// cellsOf are those of all weights.
func cellsOf(t *testing.T, r *Result) (all [][]int16) {
	for _, w := range r.Weights {
		cells, err := weights.All(w.Short)
		require.NoError(t, err)
		all = append(all, cells)
	}
	return all
}

// circuits compiles models and names what comes out by hashes.
func built(t *testing.T) string {
	var b strings.Builder
	hash := func(name, part string, v any) {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		fmt.Fprintf(&b, "%s %s %x\n", name, part, sha256.Sum256(text))
	}
	r, err := Compile(context.Background(), filepath.Join("..", "models", "sums", "model.onnx"), Config{Reveal: map[string]string{"": "argmax"}, Pad: 13, Name: "sums", ImportPath: "sums"})
	require.NoError(t, err)
	hash("sums", "files", r.Files)
	hash("sums", "weights", r.Weights)
	hash("sums", "cells", cellsOf(t, r))
	fmt.Fprintf(&b, "sums %x\n", r.Circuit.Digest())
	for name, g := range map[string]*ir.Graph{"llama": synthetic.Graph(3, 32, 4, 8, 24, 5), "gpt": synthetic.GPT(2, 16, 2, 8, 24, 5), "24 channels": synthetic.Graph(2, 48, 2, 4, 20, 5)} {
		r := compileGraph(t, g, Config{})
		hash(name, "plan", r.plan)
		hash(name, "cells", cellsOf(t, r))
		fmt.Fprintf(&b, "%s %x\n", name, r.Circuit.Digest())
	}
	lines := strings.Split(b.String(), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
