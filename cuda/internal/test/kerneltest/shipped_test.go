package kerneltest

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/cuda/internal/kernels"
)

// Kernels that tests alone launch stand in a file that what provers carry does not include.
func TestChecksAreNotShipped(t *testing.T) {
	const check = "KERNEL(check_"
	all, err := fs.Glob(kernels.Sources(), "*.cu*")
	require.NoError(t, err)
	for _, name := range all {
		text, err := fs.ReadFile(kernels.Sources(), name)
		require.NoError(t, err)
		if name == "checks.cu" {
			require.Contains(t, string(text), check, "the control")
			continue
		}
		require.NotContains(t, string(text), check, name)
		if name != "all.cu" {
			require.NotContains(t, string(text), "checks.cu\"", name)
		}
	}
}
