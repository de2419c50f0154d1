package compiler

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// wasi runs a program for wasip1 under node, with the working folder as its root.
const wasi = `const { WASI } = require('node:wasi');
const w = new WASI({ version: 'preview1', args: process.argv.slice(1), preopens: { '/': process.cwd() }, env: { PWD: '/' } });
WebAssembly.instantiate(require('node:fs').readFileSync(process.argv[1]), w.getImportObject()).then(m => process.exit(w.start(m.instance)));`

// platforms are those that this machine may be able to run besides its own, with the command that runs a program there. make cross asks for
// all of them; otherwise it is the one whose integers have 32 bits and which needs nothing to run it.
func platforms(t *testing.T) map[string][]string {
	all := map[string][]string{}
	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		all["linux/386"] = nil
	}
	if os.Getenv("ZKLLMC_PLATFORMS") == "all" {
		out, err := exec.Command("go", "env", "GOROOT").Output()
		require.NoError(t, err)
		js := filepath.Join(strings.TrimSpace(string(out)), "lib", "wasm", "wasm_exec_node.js")
		all["js/wasm"] = []string{"node", "--stack-size=8192", js}
		all["wasip1/wasm"] = []string{"node", "--no-warnings", "--stack-size=8192", "-e", wasi, "--"}
		all["linux/arm64"] = []string{"qemu-aarch64-static"}
	}
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
	for platform, runner := range platforms(t) {
		t.Run(platform, func(t *testing.T) {
			if len(runner) > 0 {
				if _, err := exec.LookPath(runner[0]); err != nil {
					t.Skipf("there is no %s to run it with", runner[0])
				}
			}
			program := strings.ReplaceAll(platform, "/", "-")
			system, arch, _ := strings.Cut(platform, "/")
			build := exec.Command("go", "build", "-o", filepath.Join(dir, program), "../generated/sums/cmd/verifier")
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
