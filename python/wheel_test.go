package python

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/test/handover"
)

// TestWheel builds the wheel, installs it in a fresh virtual environment and uses it there; make wheel-test asks for it. With ZKLLMC_EXPORT, a Python
// that has PyTorch, it also exports models that are built from configurations, and compiles them.
func TestWheel(t *testing.T) {
	if os.Getenv("ZKLLMC_WHEEL") == "" {
		t.Skip("make wheel-test builds and installs the wheel")
	}
	dir := t.TempDir()
	run := func(name string, args ...string) {
		c := exec.CommandContext(t.Context(), name, args...)
		c.Env = append(os.Environ(), "OUT="+filepath.Join(dir, "wheels"))
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s", out)
		t.Logf("%s", out)
	}
	run("sh", filepath.Join("..", "scripts", "wheel.sh"))
	wheels, err := filepath.Glob(filepath.Join(dir, "wheels", "*.whl"))
	require.NoError(t, err)
	require.Len(t, wheels, 1)
	venv := filepath.Join(dir, "venv")
	run("python3", "-m", "venv", venv)
	run(filepath.Join(venv, "bin", "pip"), "install", "--quiet", "--no-index", wheels[0])
	run(filepath.Join(venv, "bin", "python"), filepath.Join("tests", "verify.py"), handover.Sums(t), handover.Prompt)
	if torch := os.Getenv("ZKLLMC_EXPORT"); torch != "" {
		program := filepath.Join(dir, "zkllmc")
		run("go", "build", "-o", program, "..")
		run(torch, filepath.Join("tests", "export.py"), program)
	}
}
