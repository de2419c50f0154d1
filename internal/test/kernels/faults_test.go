package kernels

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/kernels"
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

// Some test notices every fault that is planted in the kernels. It takes minutes, since kernels are compiled anew for every fault: make faults.
func TestFaultsAreNoticed(t *testing.T) {
	if os.Getenv("ZKLLMC_FAULTS") == "" {
		return
	}
	all := append([]fault{{name: "control", pkg: byChecks}, {name: "control of points", pkg: byPoints}, {name: "control of products", pkg: byProducts}}, faults...)
	for _, f := range all {
		t.Run(f.name, func(t *testing.T) {
			tests := exec.Command("go", "test", "-count=1", "-run", "TestKernels|TestCommit|TestMSM|TestFold|TestLay|TestEinsum", f.pkg)
			tests.Dir = "../../.."
			tests.Env = append(os.Environ(), planted+"="+f.name)
			said, err := tests.CombinedOutput()
			if f.file == "" {
				require.NoError(t, err, "without a fault all is well\n%s", said)
				return
			}
			require.Error(t, err, "no test notices it")
			require.NotContains(t, string(said), "emulator: g++", "it compiles")
			require.NotContains(t, string(said), "build failed")
		})
	}
}
