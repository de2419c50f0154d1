package main

import (
	"go/ast"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A member is told with its type and meaning, what it holds behind it; one whose meaning nobody says is an error, and so is a section without a table.
func TestReports(t *testing.T) {
	of := func(text string) (string, error) {
		root := t.TempDir()
		for dir, text := range map[string]string{"p": text, "q": "package q\n\ntype Kind string\n\ntype In struct {\n\tA int `json:\"a\"` // an a\n}\n"} {
			require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(root, dir, "p.go"), []byte(text), 0o600))
		}
		s := &structures{root: root, packages: map[string]map[string]declared{}}
		err := s.members("", declared{dir: "p", expr: ast.NewIdent("report")}, nil)
		return s.table.String(), err
	}
	const head = "package p\n\nimport other \"github.com/zkllmc/zkllmc/q\"\n\n"
	table, err := of(head + `type report struct {
	embedded
	// kinds,
	// by name
	M map[string][]*other.In ` + "`json:\"m,omitempty\"`" + `
	K other.Kind ` + "`json:\"k\"`" + ` // which kind
	Inner struct {
		N [][]int64 ` + "`json:\"n\"`" + ` // some numbers
		R *report ` + "`json:\"r,omitempty\"`" + ` // again
	} ` + "`json:\"inner\"`" + ` // what is within
	H int ` + "`json:\"-\"`" + `
	h int
}

type embedded struct {
	B bool ` + "`json:\"b\"`" + ` // yes or no
}
`)
	require.NoError(t, err)
	require.Equal(t, "| `b` | boolean | yes or no |\n| `m` | object of lists of objects, optional | kinds, by name |\n| `m.*[].a` | integer | an a |\n"+
		"| `k` | string | which kind |\n| `inner` | object | what is within |\n| `inner.n` | list of lists of integers | some numbers |\n"+
		"| `inner.r` | object, optional | again |\n", table)
	for text, why := range map[string]string{
		"type report struct {\n\tA int `json:\"a\"`\n}\n":              "p.report.A has no comment",
		"type report struct {\n\tA int // an a\n}\n":                   "p.report.A has no name in JSON",
		"type report struct {\n\tA chan int `json:\"a\"` // an a\n}\n": "no type of a report",
		"type report int\n": "is no structure",
	} {
		_, err := of(head + text)
		require.ErrorContains(t, err, why)
	}
	const fresh = "| member | type | meaning |\n|---|---|---|\n| `new` | string | x |\n"
	text, err := replaceTable([]byte("# R\n\n## a\n\nno table\n\n## b\n\nwords\n\n| member | type | meaning |\n|---|---|---|\n| `old` | string | x |\n\nmore\n"), "b", []byte(fresh))
	require.NoError(t, err)
	require.Equal(t, "# R\n\n## a\n\nno table\n\n## b\n\nwords\n\n"+fresh+"\nmore\n", string(text))
	_, err = replaceTable(text, "a", nil)
	require.ErrorContains(t, err, `"a" has no table`)
	_, err = replaceTable(text, "c", nil)
	require.ErrorContains(t, err, `no section "c"`)
}
