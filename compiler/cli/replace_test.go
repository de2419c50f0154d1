package cli

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/zkllmc/zkllmc/compiler"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// tuned writes the model of a file with another weight, which leaves all scales as they are.
func tuned(t *testing.T, file string) string {
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	m := &pb.ModelProto{}
	require.NoError(t, proto.Unmarshal(data, m))
	w := m.Graph.Initializer[0].FloatData
	w[4] += 1.0 / 64
	data, err = proto.Marshal(m)
	require.NoError(t, err)
	to := filepath.Join(t.TempDir(), filepath.Base(file))
	require.NoError(t, os.WriteFile(to, data, 0o600))
	return to
}

// A model that was trained on has the circuit of the old one. Its weights are written over those with --force only, since keys go on proving
// the old model; weights of another circuit, which a compilation that was killed leaves beside a new manifest, are replaced.
func TestOtherWeightsOfTheSameCircuit(t *testing.T) {
	dir, first := filepath.Join(t.TempDir(), "scorer"), filepath.Join(t.TempDir(), "scorer.onnx")
	scorer(t, first)
	args := func(model string, more ...string) []string {
		return append([]string{"compile", model, "-o", dir, "--runtime-path", "../..", "--range", "x=-4:4"}, more...)
	}
	code, _, stderr := run(t, args(first)...)
	require.Equal(t, console.OK, code, stderr)
	old := files(t, dir)

	second := tuned(t, first)
	code, _, stderr = run(t, args(second)...)
	require.Equal(t, console.Usage, code, stderr)
	require.Contains(t, stderr, dir+" holds the same circuit with other weights, in weights.zkw; keys that setup made of the old ones go on proving the old model")
	require.Contains(t, stderr, "--force")
	require.Equal(t, old, files(t, dir))
	code, _, stderr = run(t, args(first)...)
	require.Equal(t, console.OK, code, "the same weights: %s", stderr)

	code, _, stderr = run(t, args(second, "--force")...)
	require.Equal(t, console.OK, code, stderr)
	require.Contains(t, stderr, "replaces the weights; keys that setup made of the old ones")
	now := files(t, dir)
	require.Equal(t, old[manifestFile], now[manifestFile])
	require.NotEqual(t, old[compiler.WeightsFile], now[compiler.WeightsFile])

	weights := filepath.Join(dir, compiler.WeightsFile)
	for name, content := range map[string]string{
		"longer": old[compiler.WeightsFile] + "\x00", "shorter": old[compiler.WeightsFile][:len(old[compiler.WeightsFile])-1],
	} {
		require.NoError(t, os.WriteFile(weights, []byte(content), 0o600))
		code, _, stderr = run(t, args(first)...)
		require.Equal(t, console.Usage, code, "%s: %s", name, stderr)
	}
	foreign := []byte(old[compiler.WeightsFile])
	foreign[20] ^= 1 // of the circuit's digest
	for name, content := range map[string][]byte{"of another circuit": foreign, "cut in its header": foreign[:7], "empty": nil} {
		require.NoError(t, os.WriteFile(weights, content, 0o600))
		code, _, stderr = run(t, args(first)...)
		require.Equal(t, console.OK, code, "%s: %s", name, stderr)
		require.Equal(t, old, files(t, dir), name)
	}
	require.NoError(t, os.Remove(weights))
	code, _, stderr = run(t, args(first)...)
	require.Equal(t, console.OK, code, stderr)
	require.Equal(t, old, files(t, dir))

	// Encrypted weights are those, encrypted, and nobody knows whether they may be replaced.
	id, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	code, stdout, stderr := run(t, args(first, "--encrypt-to", id.Recipient().String())...)
	require.Equal(t, console.OK, code, stderr)
	require.Contains(t, stdout, "with what opens the weights and encrypts the key")
	plain, err := age.Decrypt(strings.NewReader(files(t, dir)[compiler.WeightsFile]), id)
	require.NoError(t, err)
	all, err := io.ReadAll(plain)
	require.NoError(t, err)
	require.Equal(t, old[compiler.WeightsFile], string(all))
	code, _, stderr = run(t, args(first)...)
	require.Equal(t, console.Usage, code, stderr)
	require.Contains(t, stderr, "holds the same circuit with weights that are encrypted, and may be others, in weights.zkw")
}
