package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/console"
)

// The canonical encoding is the preimage of the digest, appears whole or not at all, and replaces nothing.
func TestInspectCanonical(t *testing.T) {
	model := needSums(t)
	dir := t.TempDir()
	name := filepath.Join(dir, "circuit.bin")
	code, out, stderr := run(t, "inspect", model, "--calibrate", sums, "--canonical", name, "--json")
	require.Equal(t, console.OK, code, stderr)
	var report struct {
		Digest string `json:"circuit"`
		Stats  struct {
			Soundness int `json:"soundness_bits"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	sum := sha256.Sum256(data)
	require.Equal(t, hex.EncodeToString(sum[:]), report.Digest)
	require.Greater(t, report.Stats.Soundness, 100)

	code, _, stderr = run(t, "inspect", model, "--canonical", name)
	require.Equal(t, console.Usage, code, stderr)
	require.Contains(t, stderr, "exists")
	again, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, data, again)

	code, _, stderr = run(t, "inspect", model, "--canonical", filepath.Join(dir, "nowhere", "circuit.bin"))
	require.Equal(t, console.Usage, code, stderr)
	code, _, stderr = run(t, "inspect", dir, "--canonical", filepath.Join(dir, "other.bin"))
	require.Equal(t, console.Usage, code, stderr)
	require.Contains(t, stderr, "is a folder")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}
