package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

// The site can be built: every page is listed, and no link is dead.
func TestSite(t *testing.T) {
	s, err := read(root)
	require.NoError(t, err)
	files, err := s.render()
	require.NoError(t, err)
	for _, file := range []string{"index.html", "README.html", "SECURITY.html", "docs/commands.html", "docs/README.md", "curves.svg"} {
		require.Contains(t, files, file)
	}
	documents, err := filepath.Glob(filepath.Join(root, "*.md"))
	require.NoError(t, err)
	for _, file := range documents {
		require.Contains(t, files, filepath.Base(file), "%s lists the documents of the root, too", start)
	}
	require.Contains(t, string(files["index.html"]), `<a href="SECURITY.html">Security</a>`)
	require.Contains(t, string(files["SECURITY.html"]), `<a href="SPEC.html">SPEC.md</a>`)
	require.NotContains(t, string(files["index.html"]), "<script")
}

// What is generated of the documentation is what help texts and CURVES.md say today.
func TestGenerated(t *testing.T) {
	files, err := generated(root)
	require.NoError(t, err)
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "make generate writes %s", name)
	}
	for _, c := range []string{"zkllmc compile", "zkllmc serve", "prover prove", "verifier verify", "zkllmc-verifier"} {
		require.Regexp(t, "(?m)^##+ "+c+"$", string(files[commandsPage]))
	}
}

// A picture has the points of its table.
func TestPicture(t *testing.T) {
	p := picture{section: "Against layers", column: "proof, B", divide: 10}
	at, values, model, err := p.read("\n## Against layers: 8 wide\n\n| layers | x | proof, B |\n|---|---|---|\n| 1 | 7 | 30 |\n| 2 | 8 | 45 |\n| exponent | 1 | 2 |\n\n## Next\n| 3 | 9 | 9 |\n")
	require.NoError(t, err)
	require.Equal(t, []float64{1, 2}, at)
	require.Equal(t, []float64{3, 4.5}, values)
	require.Equal(t, "8 wide", model)
	_, _, _, err = p.read("\n## Against layers: 8 wide\n\n| layers | x |\n|---|---|\n| 1 | 7 |\n| 2 | 8 |\n")
	require.ErrorContains(t, err, "no column")
}

// Our rows of the comparisons have medians, and the conditions of each.
func TestMeasured(t *testing.T) {
	const bench = "- a: small. Commit 12, A CPU, 2 threads, go1, 1 runs\n\n| | x | prove, s | prove, peak GB | proof, B | verify on 1 thread, ms |\n|-|-|-|-|-|-|\n| a | 1 | 2 (1–3) | 3 (3–3) | 4 | 5 (5–6) |\n"
	rows, err := measured(bench)
	require.NoError(t, err)
	require.Contains(t, rows, "\n| small | A CPU, 2 threads, commit 12 | 2 s | 3 GB | 5 ms | 4 B |\n")
	_, err = measured(strings.Replace(bench, "- a:", "- b:", 1))
	require.Error(t, err)
}

// What leads nowhere is an error with its line, and so is what a reader of the repository would see otherwise.
func TestDeadLinks(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	}
	const first = "# Site\n\n## Pages\n\n- [One](one.md): about\n- [Root](../ROOT.md)\n"
	write(start, first)
	write("ROOT.md", "# Root\n\n## A `b` (c)\n\n## A `b` (c)\n\n[one](docs/one.md#two-words) [file](go.mod) [folder](docs)\n")
	write("go.mod", "module x\n")
	built := func(one string) (map[string][]byte, error) {
		write("docs/one.md", one)
		s, err := read(dir)
		if err != nil {
			return nil, err
		}
		return s.render()
	}
	const whole = "# One\n\n## Two words\n\n[a](#two-words) [b](../ROOT.md#a-b-c-1) [c](https://example.com/x) [d](README.md)\n"
	files, err := built(whole)
	require.NoError(t, err)
	require.Contains(t, string(files["docs/one.html"]), `<a href="../ROOT.html#a-b-c-1">b</a>`)
	require.Contains(t, string(files["docs/one.html"]), `<a href="../index.html">d</a>`)
	require.Contains(t, string(files["ROOT.html"]), `<a href="`+repository+`/blob/main/go.mod">file</a>`)
	require.Contains(t, string(files["ROOT.html"]), `<a href="`+repository+`/tree/main/docs">folder</a>`)
	for link, says := range map[string]string{
		"[x](two.md)": "no such file", "[x](#three)": "docs/one.md has no such heading", "[x](../ROOT.md#a-b)": "ROOT.md has no such heading",
		"[x](http://example.com)": "begins with https", "![x](https://example.com/x.png)": "begins with https", "[x](/ROOT.md)": "is relative",
		"![x](x.svg)": "no such file", "[x](../../y)": "no such file", "[x](../go.mod#y)": "has no headings", "<b>x</b>": "this is HTML",
	} {
		_, err := built(whole + "\n" + link + "\n")
		require.ErrorContains(t, err, says, link)
		require.True(t, strings.HasPrefix(err.Error(), "docs/one.md:7: "), err.Error())
	}
	write("docs/two.md", "# Two\n")
	_, err = built(whole)
	require.ErrorContains(t, err, "docs/two.md: docs/README.md does not list it")
	require.Len(t, dead(map[string][]byte{"a.html": []byte(`<p id="x"><a href="#x"><a href="b.html"><a href="#y"><img src="c.svg">`)}), 3)
}
