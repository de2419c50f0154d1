package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What corpora in version control may take: they are starting points, not records.
const (
	maxSeed   = 4 << 10
	maxCorpus = 300 << 10
)

// fuzzers lists the fuzzers of the module as folder/Name, from the declarations in its test files.
func fuzzers(t *testing.T) map[string]bool {
	out := map[string]bool{}
	walk(t, func(path string) {
		if !strings.HasSuffix(path, "_test.go") {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
				out[filepath.Join(filepath.Dir(path), f.Name.Name)] = true
			}
		}
	})
	return out
}

// walk visits the files of the module, without what the go command or make puts there.
func walk(t *testing.T, visit func(path string)) {
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || path == "build") {
			return fs.SkipDir
		}
		if err == nil && d.Type().IsRegular() {
			visit(path)
		}
		return err
	}))
}

// TestCorpora: every fuzzer has a few small inputs in testdata/fuzz, which go test repeats, and there are none that no fuzzer reads.
func TestCorpora(t *testing.T) {
	names, seeds, total := fuzzers(t), map[string]int{}, 0
	walk(t, func(path string) {
		name := filepath.Dir(path)
		folder := filepath.Dir(name)
		if !strings.HasSuffix(folder, filepath.Join("testdata", "fuzz")) {
			return
		}
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, bytes.HasPrefix(data, []byte("go test fuzz v1\n")), "%s is no input", path)
		require.LessOrEqual(t, len(data), maxSeed, path)
		owner := filepath.Join(filepath.Dir(filepath.Dir(folder)), filepath.Base(name))
		require.True(t, names[owner], "%s is read by no fuzzer", path)
		seeds[owner]++
		total += len(data)
	})
	require.LessOrEqual(t, total, maxCorpus)
	require.NotEmpty(t, names)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		require.Positive(t, seeds[name], "%s has no input in testdata/fuzz", name)
	}
	t.Logf("%d fuzzers, %d bytes of inputs", len(names), total)
}
