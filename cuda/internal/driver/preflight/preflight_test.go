package preflight

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every function of CUDA's driver library that gorgonia.org/cu calls has a name here, but cuInit: the headers of CUDA give some of them a version.
func TestNames(t *testing.T) {
	text, err := os.ReadFile("names.h")
	require.NoError(t, err)
	version, names := regexp.MustCompile(`_v\d$`), map[string]bool{"cuInit": true}
	for _, m := range regexp.MustCompile(`(?m)^NAME\((\w+), (\d+)\)$`).FindAllStringSubmatch(string(text), -1) {
		names[version.ReplaceAllString(m[1], "")] = true
	}
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "gorgonia.org/cu").Output()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "*.go"))
	require.NoError(t, err)
	calls := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?m)^[^/\n]*\bC\.(cu[A-Z]\w*)\(`).FindAllStringSubmatch(string(text), -1) {
			if m[1] == "cuLaunchAndSync" || m[1] == "cuAllocAndCopy" || m[1] == "cuDeviceGetAttributes" { // its own
				continue
			}
			require.True(t, names[m[1]], m[1])
			calls++
		}
	}
	require.Greater(t, calls, 100, "the control")
}

// Without the driver library calls say that there is no device, but cuInit; where there is one, they are its own, with all that they are given.
func TestLibrary(t *testing.T) {
	compiler, err := exec.LookPath("gcc")
	if err != nil || runtime.GOOS+runtime.GOARCH != "linuxamd64" {
		t.Skip("it takes Linux on amd64, and gcc")
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	program := write("main.c", `
#include "preflight.h"
#include <stdio.h>
int cuInit(unsigned);
int cuMemcpyHtoD_v2(unsigned long, const void*, unsigned long);
int cuStreamQuery(void*);
int main() {
	int one = cuInit(0), two = cuMemcpyHtoD_v2(5, "x", 7), three = cuStreamQuery(0);
	printf("%d %d %d %d", one, zkllmc_cuda_begin(), two, three);
}`)
	library := write("library.c", `
int cuInit(unsigned flags) { return 35 + (int)flags; }
int cuMemcpyHtoD_v2(unsigned long to, const char* from, unsigned long n) { return 1000 * (int)to + 10 * (int)n + (*from == 'x'); }
`)
	build := func(args ...string) {
		said, err := exec.Command(compiler, args...).CombinedOutput()
		require.NoError(t, err, "%s", said)
	}
	build("-Wall", "-Wextra", "-Werror", "-I.", `-DLIBRARY="libcuda-of-a-test.so"`, "-o", filepath.Join(dir, "program"), program, "preflight.c", "driver_amd64.S", "-ldl", "-lpthread")
	build("-shared", "-fPIC", "-o", filepath.Join(dir, "libcuda-of-a-test.so"), library)
	for path, want := range map[string]string{t.TempDir(): "0 -1 100 100", dir: "0 35 5071 100"} {
		run := exec.Command(filepath.Join(dir, "program"))
		run.Env = []string{"LD_LIBRARY_PATH=" + path}
		out, err := run.Output()
		require.NoError(t, err)
		require.Equal(t, want, string(out))
	}
}
