package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const report = `{"cases": [
	{"case": "x/reports/01-a", "result": "proved", "error": 0.00037, "positions": 8, "top1_agree": 7},
	{"case": "x/reports/02-b", "result": "refused", "node": "/Clip_1", "op": "Clip", "reason": "is a|b", "remedy": "do c"},
	{"case": "x/reports/03-c", "result": "proved", "error": 0.25},
	{"case": "x/reports/04-d", "result": "failed", "reason": "two\nlines"}
]}`

// Rows get what the report says of their case; all else stays, byte for byte. A row about a case that did not run is an error, and nothing
// is written.
func TestTable(t *testing.T) {
	head := "# A\n\n| `01-a` | not this one | x |\n" + heading + "\ntext\n\n| case | what | before | now |\n|---|---|---|---|\n"
	rows := func(a, b, c, d string) string {
		return "| `01-a` | w | 1 | " + a + " |\n| `02-b` | w | 2 | " + b + " |\n| `03-c` | w | 3 | " + c + " |\n| `04-d` | w | 4 | " + d + " |\n"
	}
	const tail = "\n## Another\n\n| `05-e` | x |\n"
	file := filepath.Join(t.TempDir(), "doc.md")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	for _, end := range []string{tail, ""} {
		write(head + rows("old", "old", "old", "old") + end)
		require.NoError(t, run(file, strings.NewReader(report)))
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		want := head + rows("0.00037, 7 of 8", "refused: node `/Clip_1` (Clip): is a\\|b; do c", "0.25", "failed: two lines") + end
		require.Equal(t, want, string(got))
	}
	missing := head + "| `09-z` | w | 1 | old |\n"
	write(missing)
	require.ErrorContains(t, run(file, strings.NewReader(report)), "does not have the case 09-z")
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, missing, string(got))
	write("# A\n")
	require.ErrorContains(t, run(file, strings.NewReader(report)), "no section")
	require.ErrorContains(t, run(file, strings.NewReader("{")), "the report of conformance")
}
