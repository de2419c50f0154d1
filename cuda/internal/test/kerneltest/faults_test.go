package kerneltest

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/internal/kernels"
)

// Faults are changes of what is there, each by itself.
func TestFaultsArePlanted(t *testing.T) {
	names := map[string]bool{}
	for _, f := range faults {
		require.False(t, names[f.name], f.name)
		names[f.name] = true
		_, err := f.plant(kernels.Sources())
		require.NoError(t, err)
	}
}

// Some test notices every fault that is planted in the kernels: make faults. It takes minutes, since kernels are compiled anew for every fault, so that
// ZKLLMC_FAULTS says which: all, or those whose name or file matches a regular expression.
func TestFaultsAreNoticed(t *testing.T) {
	if os.Getenv("ZKLLMC_FAULTS") == "" {
		return
	}
	only := regexp.MustCompile(strings.TrimPrefix(os.Getenv("ZKLLMC_FAULTS"), "all"))
	controlled := map[by]bool{}
	for _, f := range faults {
		if !only.MatchString(f.name) && !only.MatchString(f.file) {
			continue
		}
		if !controlled[f.by] {
			controlled[f.by] = true
			said, err := tests(fault{name: "none", by: f.by})
			require.NoError(t, err, "without a fault all is well\n%s", said)
			require.NotContains(t, said, "no tests to run")
		}
		t.Run(f.name, func(t *testing.T) {
			said, err := tests(f)
			require.Error(t, err, "no test notices it")
			require.NotContains(t, said, "emulator: g++", "it compiles")
			require.NotContains(t, said, "build failed")
		})
	}
}

// tests runs the tests that are to notice a fault.
func tests(f fault) (said string, err error) {
	run := exec.Command("go", "test", "-count=1", "-run", f.by.run, f.by.pkg)
	run.Dir = "../../../.."
	run.Env = append(os.Environ(), planted+"="+f.name)
	if f.by.pkg == "./cuda" { // where nothing that is out of place is noticed unless a seed is given
		run.Env = append(run.Env, seeded+"=1")
	}
	out, err := run.CombinedOutput()
	return string(out), err
}
