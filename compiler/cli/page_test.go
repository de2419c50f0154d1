package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// proverSays writes what a prover would print with --json --stats about a circuit.
func proverSays(t *testing.T, circuit string) string {
	file := filepath.Join(t.TempDir(), "prove.json")
	text := fmt.Sprintf(`{"circuit": %q, "threads": 2, "cpu": "a processor", "prompt_tokens": [3], "stats": {"stages": [{"name": "lookups", "seconds": 2, "cpu_seconds": 3.5, "peak_rss": 9}], "work": {"weights": 5}}}`, circuit)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// A page is written of a file and of a folder, with what a prover and a comparison say of the same circuit, and replaces nothing unless it
// is told to. inspect ends with a table by layer.
func TestInspectPage(t *testing.T) {
	model := tinyOf(t, 1, &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimValue{DimValue: 4}})
	dir := t.TempDir()
	page, compiled := filepath.Join(dir, "page.html"), filepath.Join(dir, "out")
	read := func() string {
		data, err := os.ReadFile(page)
		require.NoError(t, err)
		return string(data)
	}
	code, out, stderr := run(t, append(compileArgs(model, compiled), "--json", "--layers")...)
	require.Equal(t, console.OK, code, stderr)
	var said compileReport
	require.NoError(t, json.Unmarshal([]byte(out), &said))
	require.NotEmpty(t, said.Steps)
	require.Equal(t, "tables", said.ByLayer[len(said.ByLayer)-1].Name)
	precision := filepath.Join(dir, "compile.json")
	require.NoError(t, os.WriteFile(precision, []byte(out), 0o600))

	code, out, stderr = run(t, "inspect", compiled, "--html", page)
	require.Equal(t, console.OK, code, stderr)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Contains(t, lines[len(lines)-1], "tables")
	require.Contains(t, out, "by layer: ")
	bare := read()
	require.Contains(t, bare, "Nothing was measured")
	require.Contains(t, bare, "Nothing was compared")
	require.NotContains(t, bare, "for their owner")

	code, _, stderr = run(t, "inspect", compiled, "--html", page)
	require.Equal(t, console.Usage, code, stderr)
	require.Contains(t, stderr, "exists")
	require.True(t, bare == read())
	code, _, stderr = run(t, "inspect", compiled, "--html", page, "--force", "--stats", proverSays(t, said.Digest), "--precision", precision)
	require.Equal(t, console.OK, code, stderr)
	full := read()
	for _, want := range []string{"3.5 s", "a processor", "for their owner", "noise "} {
		require.True(t, strings.Contains(full, want), want)
	}
	info, err := os.Stat(page)
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077, "what tells of weights is its owner's")

	code, _, stderr = run(t, "inspect", model, "--html", page, "--force")
	require.Equal(t, console.OK, code, stderr)
	require.True(t, strings.Contains(read(), "for their owner"), "the file has the float model, which is compared with")
	code, out, stderr = run(t, "check", model, "--json", "--layers")
	require.Equal(t, console.OK, code, stderr)
	require.NoError(t, os.WriteFile(precision, []byte(out), 0o600))
	code, _, stderr = run(t, "inspect", compiled, "--html", page, "--force", "--precision", precision)
	require.Equal(t, console.OK, code, stderr)
	require.True(t, strings.Contains(read(), "logit error max"))
	kept := read()

	old := filepath.Join(dir, "old")
	require.NoError(t, os.CopyFS(old, os.DirFS(compiled)))
	said.Steps = nil
	text, err := json.Marshal(said.manifest)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(old, manifestFile), text, 0o600))
	empty := filepath.Join(dir, "empty.json")
	require.NoError(t, os.WriteFile(empty, []byte("{}"), 0o600))
	for _, c := range []struct {
		says string
		code int
		args []string
	}{
		{"is about the circuit 00ff", console.Unreadable, []string{compiled, "--html", page, "--force", "--stats", proverSays(t, "00ff")}},
		{"is about the circuit 00ff", console.Unreadable, []string{model, "--html", page, "--force", "--stats", proverSays(t, "00ff")}},
		{"tells no stages", console.Unreadable, []string{compiled, "--html", page, "--force", "--stats", empty}},
		{"does not tell where precision is lost", console.Unreadable, []string{compiled, "--html", page, "--force", "--precision", empty}},
		{"is not what", console.Unreadable, []string{compiled, "--html", page, "--force", "--precision", model}},
		{"add --html", console.Usage, []string{compiled, "--stats", empty}},
		{"compile the model again", console.Unreadable, []string{old, "--html", page, "--force"}},
		{"does not exist", console.Unreadable, []string{compiled, "--html", filepath.Join(dir, "no", "page.html")}},
	} {
		code, _, stderr := run(t, append([]string{"inspect"}, c.args...)...)
		require.Equal(t, c.code, code, "%v: %s", c.args, stderr)
		require.Contains(t, stderr, c.says)
	}
	require.True(t, kept == read(), "a refused page replaces nothing")
	code, out, stderr = run(t, "inspect", old)
	require.Equal(t, console.OK, code, stderr)
	require.Contains(t, out, "by layer: ")
}

// TestPageInBrowser looks at the page of models/sums in headless Chromium, of which it keeps pictures in ZKLLMC_BROWSER. make browser asks
// for it.
func TestPageInBrowser(t *testing.T) {
	pictures := os.Getenv("ZKLLMC_BROWSER")
	if pictures == "" {
		t.Skip("make browser fetches Chromium and looks at the page in it")
	}
	require.NoError(t, os.MkdirAll(pictures, 0o755))
	dir := t.TempDir()
	page := filepath.Join(dir, "report.html")
	model := needSums(t)
	code, out, stderr := run(t, "inspect", model, "--calibrate", sums, "--json")
	require.Equal(t, console.OK, code, stderr)
	var said compileReport
	require.NoError(t, json.Unmarshal([]byte(out), &said))
	code, _, stderr = run(t, "inspect", model, "--calibrate", sums, "--html", page, "--stats", proverSays(t, said.Digest))
	require.Equal(t, console.OK, code, stderr)
	data, err := os.ReadFile(page)
	require.NoError(t, err)
	data = bytes.ReplaceAll(data, []byte(`"node_softmax_1"`), []byte(`"\u003cimg src=x\u003e"`)) // a name that would be an image if the script took it for HTML
	require.NoError(t, os.WriteFile(page, data, 0o600))
	tools := filepath.Join(dir, "tools")
	require.NoError(t, os.CopyFS(tools, os.DirFS("../../web/page/browser")))
	for _, command := range [][]string{{"npm", "ci", "--no-fund", "--no-audit", "--silent"}, {"node", "report.mjs", page, pictures}} {
		c := exec.CommandContext(t.Context(), command[0], command[1:]...)
		c.Dir = tools
		said, err := c.CombinedOutput()
		require.NoError(t, err, "%s", said)
		out = string(said)
	}
	require.Contains(t, out, "all as it should be")
	t.Log(out)
}
