package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Passages are whole lines, of pages without markup and of sources without tests; sets that skip differently have nothing in common.
func TestPassages(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	write("doc/a.html", "<!-- no --><p>a &lt; b</p>\n\n\n\n"+strings.Repeat("<b>one two</b>\n", 20))
	write("src/sort/sort.go", strings.Repeat("x := 1\n", 30))
	write("src/sort/sort_test.go", strings.Repeat("y := 1\n", 30))
	var sets []string
	for skip := range 2 {
		var out strings.Builder
		require.NoError(t, run(&out, root, 3, 20, skip))
		sets = append(sets, out.String())
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		require.Len(t, lines, 6)
		for i, line := range lines {
			var x struct{ Text, Kind string }
			require.NoError(t, json.Unmarshal([]byte(line), &x))
			require.Equal(t, []string{"English", "code"}[i/3], x.Kind)
			require.NotContains(t, x.Text, "<b>")
			require.NotContains(t, x.Text, "y :=")
			require.Equal(t, strings.TrimSpace(x.Text), x.Text)
		}
	}
	require.True(t, strings.HasPrefix(sets[0], `{"kind":"English","text":"a < b\n\none two\none two"}`), sets[0])
	require.NotContains(t, sets[1], "a < b")
	require.ErrorContains(t, run(&strings.Builder{}, root, 1000, 20, 0), "passages of English")
	require.ErrorContains(t, run(&strings.Builder{}, t.TempDir(), 1, 20, 0), "is below")
}
