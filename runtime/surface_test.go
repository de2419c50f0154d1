package runtime_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the list of public names anew")

// maxNames bounds the exported names of the public packages: what whoever builds on them has to know, and we have to keep.
const maxNames = 150

// promised are the folders of the packages that generated code, services and callers of the compiler import.
var promised = []string{"runtime", "compiler"}

// The public names are those of a stored list, and few: a change of the promise is seen in the difference of a commit.
func TestPublicNames(t *testing.T) {
	var list []string
	for _, folder := range promised {
		require.NoError(t, filepath.WalkDir(filepath.Join("..", folder), func(path string, e fs.DirEntry, err error) error {
			switch {
			case err != nil || !e.IsDir():
				return err
			case e.Name() == "internal" || e.Name() == "testdata":
				return filepath.SkipDir
			}
			names := exported(t, path)
			for i, n := range names {
				names[i] = filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator))) + " " + n
			}
			list = append(list, names...)
			return nil
		}))
	}
	got, file := strings.Join(list, "\n")+"\n", filepath.Join("testdata", "public.txt")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "after a change that is meant: go test ./runtime -run TestPublicNames -update")
	require.Less(t, len(list), maxNames)
	require.Greater(t, len(list), 50, "the control: names are found")
}

// exported lists the exported names of a folder's package, methods aside.
func exported(t *testing.T, dir string) []string {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	var names []string
	add := func(kind string, ids ...*ast.Ident) {
		for _, id := range ids {
			if id.IsExported() {
				names = append(names, kind+" "+id.Name)
			}
		}
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					add("func", d.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						add("type", s.Name)
					case *ast.ValueSpec:
						add(d.Tok.String(), s.Names...)
					}
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names) // one name in files for several platforms is one
}
