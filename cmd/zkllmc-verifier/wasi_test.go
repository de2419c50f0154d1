package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/test/handover"
)

// wazero runs programs for wasip1. Node.js 20 does, too, and dies of a segmentation fault of its own one time in five.
const wazero = "github.com/tetratelabs/wazero/cmd/wazero@v1.9.0"

// machines is what a report tells of where it was made.
var machines = regexp.MustCompile(`"(threads|cpu)": [^\n]*`)

// TestWASI builds this program for wasip1, where an int has 64 bits, and nothing but files is there, and compares what it answers with what it
// answers here.
func TestWASI(t *testing.T) {
	if os.Getenv("ZKLLMC_PLATFORMS") != "all" {
		t.Skip("ZKLLMC_PLATFORMS=all runs the verifier for wasip1")
	}
	work := t.TempDir()
	program := filepath.Join(work, "verifier.wasm")
	install := exec.Command("go", "install", wazero)
	install.Env = append(os.Environ(), "GOBIN="+work)
	out, err := install.CombinedOutput()
	require.NoError(t, err, "%s", out)
	build := exec.Command("go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	out, err = build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	folder := handover.Sums(t)
	t.Chdir(folder)
	t.Setenv("ZKLLMC_CACHE", "")
	const verify = "--bundle sums.bundle verify --pin model.id --statement statement.bin --proof "
	for _, c := range []struct {
		args string
		code int
	}{
		{"--bundle sums.bundle accept --json", console.OK},
		{"--circuit model.circuit --tokenizer vocab.json accept model.vk", console.OK},
		{verify + "proof.bin --prompt " + handover.Prompt + " --json", console.OK},
		{verify + "proof.bin --prompt 1+1=", console.Rejected},
		{verify + "damaged.bin", console.Rejected},
		{verify + "model.vk", console.Unreadable},
		{"--bundle half.bundle accept", console.Unreadable},
	} {
		var out, failed bytes.Buffer
		here := []string{"run", "-cachedir", filepath.Join(work, "cache"), "-mount=" + folder + ":/", "-env", "PWD=/", program}
		run := exec.Command(filepath.Join(work, "wazero"), append(here, strings.Fields(c.args)...)...)
		run.Stdout, run.Stderr = &out, &failed
		var exit *exec.ExitError
		if err := run.Run(); err != nil {
			require.True(t, errors.As(err, &exit), "%v: %s", err, &failed)
		}
		require.Equal(t, c.code, run.ProcessState.ExitCode(), "%s: %s", c.args, &failed)
		want, got := start(t, strings.Fields(c.args)...).without(), outcome{c.code, out.String(), failed.String()}.without()
		want.out, got.out = machines.ReplaceAllString(want.out, "…"), machines.ReplaceAllString(got.out, "…")
		require.Equal(t, want, got, c.args)
	}
}
