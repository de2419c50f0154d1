package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/console"
)

// There is a manual page of every command that is shown, with all its flags, and the pages are the same each time.
func TestManualPages(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	first, second := filepath.Join(t.TempDir(), "new", "man"), t.TempDir()
	for _, dir := range []string{first, second} {
		code, _, failed := run(t, "manual", dir)
		require.Equal(t, console.OK, code, failed)
	}
	require.Equal(t, files(t, first), files(t, second))
	pages := files(t, first)
	root := (&app{out: console.NewOutput(os.Stdout)}).root()
	shown := 0
	for _, c := range append(root.Commands(), root) {
		if c.Hidden || c.Name() == "help" {
			continue
		}
		page := pages[strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"]
		require.Contains(t, page, "Nov 2023", c.Name())
		require.Contains(t, page, " - "+c.Short, c.Name())
		for _, f := range visible(c) {
			require.Contains(t, page, `\fB--`+f, c.Name())
		}
		shown++
	}
	require.Equal(t, shown, len(pages), "a page of each command, and no other")
}

// visible are the flags that a command's help shows.
func visible(c *cobra.Command) (out []string) {
	for _, word := range strings.Fields(c.LocalFlags().FlagUsages()) {
		if name, ok := strings.CutPrefix(word, "--"); ok && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz-") == "" && c.Flags().Lookup(name) != nil {
			out = append(out, name)
		}
	}
	return out
}

// Completions are there for four shells, and name the commands.
func TestCompletions(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		code, out, failed := run(t, "completion", shell)
		require.Equal(t, console.OK, code, failed)
		require.Contains(t, out, "zkllmc")
		require.Contains(t, out, shell)
	}
	code, out, _ := run(t, "__complete", "conf")
	require.Equal(t, console.OK, code)
	require.Contains(t, out, "conformance\tTry every ONNX test case")
	for _, args := range [][]string{{"completion"}, {"completion", "csh"}, {"completion", "bash", "zsh"}} {
		code, _, _ := run(t, args...)
		require.Equal(t, console.Usage, code, args)
	}
}
