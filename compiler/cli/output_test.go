package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/console"
)

var update = flag.Bool("update", false, "write the golden files")

// full is a device without room: /dev/full where there is one.
func full(t *testing.T) io.Writer {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		return fullWriter{}
	}
	t.Cleanup(func() { f.Close() })
	return f
}

type fullWriter struct{}

func (fullWriter) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// A command whose output is lost fails, and says so once.
func TestFullDevice(t *testing.T) {
	model, dir, cases := tiny(t, 1), filepath.Join(t.TempDir(), "out"), t.TempDir()
	require.NoError(t, os.Link(model, filepath.Join(cases, "model.onnx")))
	for _, args := range [][]string{
		compileArgs(model, dir), append(compileArgs(model, dir), "--json"), {"inspect", dir}, {"inspect", model}, {"inspect", model, "--json"}, {"check", model},
		{"check", model, "--json"}, {"conformance", cases}, {"conformance", cases, "--json"}, {"version"}, {"--version"}, {"help"}, {"--help"}, {"help", "check"}, {"check", "--help"},
	} {
		var stderr bytes.Buffer
		require.Equal(t, console.Internal, start(context.Background(), module(t), args, full(t), &stderr), args)
		require.Equal(t, 1, strings.Count(stderr.String(), "no space left"), "%v: %s", args, &stderr)
		require.Contains(t, stderr.String(), "zkllmc: the standard output could not be written", args)
	}
}

// The help texts, as people see them. -update writes them anew.
func TestHelpTexts(t *testing.T) {
	var text strings.Builder
	for _, c := range []string{"", "help", "compile", "inspect", "check", "conformance", "bundle", "card", "id", "serve", "worker", "version"} {
		code, help, stderr := run(t, strings.Fields("help "+c)...)
		require.Equal(t, console.OK, code)
		require.Empty(t, stderr)
		text.WriteString("$ zkllmc help " + c + "\n" + help + "\n")
		code, same, _ := run(t, strings.Fields(c+" --help")...)
		require.Equal(t, console.OK, code)
		require.Equal(t, help, same, "%s --help", c)
	}
	for _, line := range strings.Split(text.String(), "\n") {
		require.LessOrEqual(t, len([]rune(line)), 140, line)
		if strings.HasPrefix(line, "      --") { // flags, whose columns are counted in bytes
			flag, _, _ := strings.Cut(strings.TrimSpace(line), "   ")
			require.Len(t, []rune(flag), len(flag), line)
		}
	}
	name := filepath.Join("testdata", "help.txt")
	if *update {
		require.NoError(t, os.WriteFile(name, []byte(text.String()), 0o644))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, string(want), text.String())
}

// Help about what does not exist is a mistake on the command line.
func TestHelpAboutNothing(t *testing.T) {
	for _, args := range [][]string{{"help", "prove"}, {"help", "compile", "more"}} {
		code, out, stderr := run(t, args...)
		require.Equal(t, console.Usage, code)
		require.Empty(t, out)
		require.Contains(t, stderr, "zkllmc: help: there is no command")
		require.Contains(t, stderr, "bundle, card, check, compile, completion, conformance, help, id, inspect, serve, version, worker")
	}
}

// The code of another circuit is replaced with --force only, and nothing of it is touched without; that of the same circuit is written
// again.
func TestAnotherCircuitsFolder(t *testing.T) {
	model, dir := tiny(t, 1), filepath.Join(t.TempDir(), "out")
	code, _, stderr := run(t, compileArgs(model, dir)...)
	require.Equal(t, console.OK, code, stderr)
	before := files(t, dir)
	other := append(compileArgs(model, dir), "--reveal", "argmax")
	code, _, stderr = run(t, other...)
	require.Equal(t, console.Usage, code)
	require.Contains(t, stderr, "holds another circuit")
	require.Contains(t, stderr, "--force")
	require.Equal(t, before, files(t, dir))
	code, _, stderr = run(t, compileArgs(model, dir)...)
	require.Equal(t, console.OK, code, stderr)
	code, _, stderr = run(t, append(other, "--force")...)
	require.Equal(t, console.OK, code, stderr)
	require.Contains(t, stderr, "replaces circuit")
	require.NotEqual(t, before, files(t, dir))
}

// A phase that takes long says how far it is, now and then and from several goroutines, and nothing when it is done.
func TestLongPhases(t *testing.T) {
	var out strings.Builder
	a := &app{err: &out}
	a.progress("calibrating")
	a.done(1, 16)
	a.start = a.start.Add(-patience)
	for range 3 {
		a.done(4, 16)
	}
	a.start = a.start.Add(-patience)
	a.done(16, 16)
	a.done(8, 16)
	require.Equal(t, "calibrating …\n  4 of 16 (25 %), about 15s left\n  8 of 16 (50 %), about 10s left\n", out.String())
	out.Reset()
	a.quiet = true
	a.progress("calibrating")
	a.start = a.start.Add(-patience)
	a.done(4, 16)
	require.Empty(t, out.String())
	require.Len(t, a.phases, 1, "times are kept")
}
