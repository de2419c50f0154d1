package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/cost"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
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
	require.Equal(t, console.Unreadable, code, stderr)
	require.Contains(t, stderr, "no folder that zkllmc compile wrote")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

// Setup of a large model takes the memory of a piece of its range proof: what is predicted is near to what was measured, of models/sums and
// of SmolLM2-135M (README).
func TestPredictedSetup(t *testing.T) {
	require.InEpsilon(t, 87e6, cost.SetupBytes(166_464), 0.01)
	require.InEpsilon(t, 557e6, cost.SetupBytes(135_110_000), 0.01)
}

// Predictions are for this machine once it was measured, and for the reference before: with the same model, circuit and manifest.
func TestRates(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("ZKLLMC_CACHE", folder)
	model := tinyOf(t, 1, &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimValue{DimValue: 4}})
	inspect := func() (report compileReport) {
		code, out, stderr := run(t, "inspect", model, "--json")
		require.Equal(t, console.OK, code, stderr)
		require.NoError(t, json.Unmarshal([]byte(out), &report))
		return report
	}
	before := inspect()
	require.Equal(t, "reference", before.Predicted.Rates)
	r := cost.Reference()
	for i, p := range before.Predicted.Phases {
		at := r.Phases[p.Name]
		at[0].Seconds, at[1].Seconds = 10*at[0].Seconds, 10*at[1].Seconds
		require.Positive(t, before.Predicted.Phases[i].Seconds)
	}
	_, err := r.Store(t.Context(), folder)
	require.NoError(t, err)
	after := inspect()
	require.Equal(t, "measured", after.Predicted.Rates)
	require.InEpsilon(t, 10*before.Predicted.Prove, after.Predicted.Prove, 1e-9)
	require.Equal(t, before.manifest, after.manifest)
	_, out, _ := run(t, "inspect", model)
	require.Contains(t, out, "one core of this machine")

	var told strings.Builder
	a := &app{out: console.NewOutput(&told)}
	(&benchmarkReport{Rates: r, Kept: "there"}).print(a)
	require.Regexp(t, `lookups +0\.4000 s to 10\.4000 s, 0\.10 times as fast\n`, told.String())
	require.Contains(t, told.String(), "kept in there")
}

// Several lengths are one model: inspect shows each with its costs, and writes the circuit of each; compile writes a builder for each, and
// one weights file.
func TestLengths(t *testing.T) {
	model := tinyOf(t, 1, &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimParam{DimParam: "length"}})
	dir := t.TempDir()
	name := filepath.Join(dir, "circuit.bin")
	code, out, stderr := run(t, "inspect", model, "--length", "8,4", "--length", "6", "--reveal", "argmax", "--canonical", name, "--json")
	require.Equal(t, console.OK, code, stderr)
	var report manifest
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Len(t, report.Lengths, 3)
	require.Equal(t, []int{8}, report.Ports[0].Shape, "the rest is about the longest")
	family := binary.BigEndian.AppendUint32([]byte("zkllmc family"), 3)
	for i, n := range []int{4, 6, 8} {
		l := report.Lengths[i]
		require.Equal(t, n, l.Length)
		data, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("circuit.%d.bin", n)))
		require.NoError(t, err)
		sum := sha256.Sum256(data)
		require.Equal(t, hex.EncodeToString(sum[:]), l.Digest)
		family = append(family, sum[:]...)
	}
	require.Equal(t, fmt.Sprintf("%x", sha256.Sum256(family)), report.Digest)
	require.Equal(t, report.Stats.ProofBytes, report.Lengths[2].ProofBytes)
	code, _, stderr = run(t, "inspect", model, "--length", "8,4", "--canonical", name)
	require.Equal(t, console.Usage, code, "one of the files is there")
	require.Contains(t, stderr, "circuit.4.bin")

	to := filepath.Join(dir, "code")
	code, out, stderr = run(t, "compile", model, "--length", "4,6,8", "--reveal", "argmax", "-o", to, "--runtime-path", "../..")
	require.Equal(t, console.OK, code, stderr)
	require.Contains(t, stderr, "building the circuit of length 6 …")
	require.Regexp(t, `\ndecoding       0\.00\d s for a token of an answer\nsetup          verifying key \d+ bytes, 0\.\d s, 85 MB, once`, out)
	require.Contains(t, out, "circuits       "+report.Digest+", of 3 lengths\n")
	code, shown, stderr := run(t, "inspect", to, "--canonical", filepath.Join(to, "circuit.bin"))
	require.Equal(t, console.OK, code, stderr)
	for _, n := range []int{4, 6, 8} {
		name := fmt.Sprintf("circuit.%d.bin", n)
		want, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(to, name))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), "a folder's circuits are those of the model")
	}
	for _, l := range report.Lengths {
		line := fmt.Sprintf("  %-12d circuit %.16s…, witness %d cells, proof %d bytes", l.Length, l.Digest, l.WitnessCells, l.ProofBytes)
		require.Contains(t, out, line)
		require.Contains(t, shown, line)
		require.FileExists(t, filepath.Join(to, "circuit", fmt.Sprintf("length%d.go", l.Length)))
	}
	require.Contains(t, out, "lengths         4, 6 and 8 give the same integer logits")
	for _, lengths := range []string{"0", "4,4", "four"} {
		code, _, stderr = run(t, "inspect", model, "--length", lengths)
		require.Equal(t, console.Usage, code, stderr)
		require.Contains(t, stderr, "length")
	}
	code, _, stderr = run(t, "inspect", tiny(t, 1), "--length", "4,8")
	require.Equal(t, console.Usage, code)
	require.Contains(t, stderr, "the file, or --dim, fixes those of all inputs")
}

// What inspect shows of a tensor can be given to the flags: inputs and outputs under the circuit's names, and beside every weight of the
// circuit the tensor of the file that it is made of, for --public.
func TestShownNamesAreTaken(t *testing.T) {
	model := needSums(t)
	inspect := func(flags ...string) (d manifest) {
		code, out, stderr := run(t, append([]string{"inspect", model, "--calibrate", sums, "--json"}, flags...)...)
		require.Equal(t, console.OK, code, stderr)
		require.NoError(t, json.Unmarshal([]byte(out), &d))
		return d
	}
	before := inspect()
	require.Equal(t, []string{"ids", "logits"}, []string{before.Ports[0].Name, before.Ports[1].Name})
	weight := before.Weights[3]
	require.Equal(t, "layer0.weight.2", weight.Name)
	require.Equal(t, []string{"val_37"}, weight.Files)
	after := inspect("--private-input", "ids", "--reveal", "logits=argmax", "--public", weight.Files[0])
	require.Equal(t, []string{"nothing", "argmax"}, []string{after.Ports[0].Reveals, after.Ports[1].Reveals})
	require.Len(t, after.Weights, len(before.Weights)-1)

	_, out, _ := run(t, "inspect", model, "--calibrate", sums)
	require.Regexp(t, `\n  layer0\.weight\.2 +\[64 64\] +val_37\n`, out)
	code, _, stderr := run(t, "inspect", model, "--public", weight.Name)
	require.Equal(t, console.Usage, code)
	require.Contains(t, stderr, "beside the circuit's names")
	require.Equal(t, "a, b, c and 2 more", few([]string{"a", "b", "c", "d", "e"}))
}

// A folder that others wrote makes a terminal do nothing, and one that tells no input is refused.
func TestInspectOfOthers(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join("..", "..", "generated", "sums")
	data, err := os.ReadFile(filepath.Join(folder, manifestFile))
	require.NoError(t, err)
	circuit, err := os.ReadFile(filepath.Join(folder, "model.circuit"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.circuit"), circuit, 0o600))
	inspect := func(old, new string) (int, string, string) {
		require.Contains(t, string(data), old)
		require.NoError(t, os.WriteFile(filepath.Join(dir, manifestFile), bytes.Replace(data, []byte(old), []byte(new), 1), 0o600))
		return run(t, "inspect", dir)
	}
	code, out, stderr := inspect(`"name": "sums"`, `"name": "sums\u001b]0;x\u0007\u202e", "notes": ["a\u001b[2J"]`)
	require.Equal(t, console.OK, code, stderr)
	require.Contains(t, out, `sums\u001b]0;x\u0007\u202e`)
	require.Contains(t, out, `a\u001b[2J`)
	require.NotContains(t, out+stderr, "\x1b")
	code, out, stderr = inspect(`"side": "input"`, `"side": "in"`)
	require.Equal(t, console.Unreadable, code, out)
	require.Contains(t, stderr, "tells of no input")
}
