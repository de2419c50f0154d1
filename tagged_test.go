package main

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// goList runs go list, as for a machine with a C compiler, which it does not need.
func goList(t *testing.T, args ...string) []byte {
	t.Helper()
	c := exec.Command("go", append([]string{"list"}, args...)...)
	c.Env = append(os.Environ(), "CGO_ENABLED=1")
	out, err := c.Output()
	require.NoError(t, err)
	return out
}

// What is built with the tag cuda alone type-checks against the sources of gorgonia.org/cu, on machines without CUDA's headers, too: the GPU
// backend with its driver, and the files of a generated prover and of zkllmc itself that link it. What C declares counts as of any type.
func TestTaggedCodeTypeChecks(t *testing.T) {
	const prover, program, binding = "github.com/zkllmc/zkllmc/generated/sums/cmd/prover", "github.com/zkllmc/zkllmc", "gorgonia.org/cu"
	type listed struct {
		ImportPath, Dir            string
		GoFiles, CgoFiles, Imports []string
	}
	var checked []listed // dependencies first
	paths := map[string]bool{}
	for d := json.NewDecoder(bytes.NewReader(goList(t, "-e", "-deps", "-tags=cuda", "-json=ImportPath,Dir,GoFiles,CgoFiles,Imports", "./cuda/...", prover, program))); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if require.NoError(t, err); p.ImportPath == prover || p.ImportPath == program || p.ImportPath == binding || strings.HasPrefix(p.ImportPath, "github.com/zkllmc/zkllmc/cuda") {
			checked, paths[p.ImportPath] = append(checked, p), true
		}
	}
	export := []string{"-export", "-f", "{{.ImportPath}} {{.Export}}"}
	for _, p := range checked {
		export = append(export, slices.DeleteFunc(p.Imports, func(path string) bool { return paths[path] || path == "C" || path == "unsafe" })...)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(goList(t, export...))) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		files[path] = file
	}
	fset := token.NewFileSet()
	done := imported{map[string]*types.Package{}, importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(files[path]) })}
	names := map[string]bool{}
	for _, p := range checked {
		var parsed []*ast.File
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			parsed, names[name] = append(parsed, f), true
		}
		wrong := func(err error) {
			require.Equal(t, binding, p.ImportPath, err) // where constants of C, which have no values here, are keys of a map
		}
		done.checked[p.ImportPath], _ = (&types.Config{Importer: done, FakeImportC: true, Error: wrong}).Check(p.ImportPath, fset, parsed, nil)
	}
	for _, name := range []string{"device.go", "driver_cuda.go", "preflight_cuda.go", "api.go"} {
		require.Contains(t, names, name, "the control")
	}
}

// imported are packages that were type-checked here, and what the go command has compiled.
type imported struct {
	checked map[string]*types.Package
	types.Importer
}

func (i imported) Import(path string) (*types.Package, error) {
	if p := i.checked[path]; p != nil {
		return p, nil
	}
	return i.Importer.Import(path)
}
