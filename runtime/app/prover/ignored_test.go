package prover

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
)

// What setup writes but the public key is out of version control in every folder that compile wrote, and in a clone: the secret key, the
// folder of an unfinished setup, and what a kill leaves of a file on its way to its name.
func TestSecretsAreIgnored(t *testing.T) {
	for _, file := range []string{"../../../.gitignore", "../../../generated/sums/.gitignore"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		ignored := func(name string) bool {
			for line := range strings.Lines(string(text)) {
				if ok, err := filepath.Match(strings.TrimSuffix(strings.TrimSpace(line), "/"), name); err == nil && ok {
					return true
				}
			}
			return false
		}
		for _, name := range []string{proverKeyFile, workFolder, "weights.zkw"} {
			require.True(t, ignored(name), "%s: %s", file, name)
		}
		for _, name := range []string{proverKeyFile, "weights.zkw"} {
			dir := t.TempDir()
			f, err := atomicfile.Create(filepath.Join(dir, name), atomicfile.Options{})
			require.NoError(t, err)
			entries, err := os.ReadDir(dir)
			f.Discard()
			require.NoError(t, err)
			require.NotEmpty(t, entries)
			for _, e := range entries {
				require.True(t, ignored(e.Name()), "%s: %s", file, e.Name())
			}
		}
		for _, name := range []string{verifyingKeyFile, "circuit.go", "go.mod", ".gitignore"} {
			require.False(t, ignored(name), "%s: %s", file, name)
		}
	}
}
