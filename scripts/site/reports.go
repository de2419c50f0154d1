package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/zkllmc/zkllmc/internal/console"
)

// reportsPage is the page of what --json prints. Its tables are written from the structures and the comments of their fields; internal/test/reports
// holds them against what is printed.
const reportsPage = "REPORTS.md"

// reported are the sections of the page with a table, and the structure that each is about.
var reported = []struct{ heading, dir, structure string }{
	{"zkllmc compile, inspect", "compiler/cli", "compileReport"},
	{"zkllmc compile, inspect: a model that is refused", "compiler/cli", "refusalReport"},
	{"zkllmc check", "compiler/cli", "checkReport"},
	{"zkllmc conformance", "compiler/cli", "conformanceReport"},
	{"zkllmc benchmark", "compiler/cli", "benchmarkReport"},
	{"zkllmc bundle, card", "internal/bundle", "Card"},
	{"prover setup, run, prove", "runtime/app/prover", "report"},
	{"verifier accept", "runtime/app/verifier", "acceptReport"},
	{"verifier verify", "runtime/app/verifier", "verifyReport"},
}

// reports returns the page with its tables written anew.
func reports(root string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, reportsPage))
	if err != nil {
		return nil, err
	}
	s := &structures{root: root, packages: map[string]map[string]declared{}}
	for _, r := range reported {
		s.table.Reset()
		s.table.WriteString("| member | type | meaning |\n|---|---|---|\n")
		if err := s.members("", declared{dir: r.dir, expr: ast.NewIdent(r.structure)}, nil); err != nil {
			return nil, fmt.Errorf("%s: %w", r.heading, err)
		}
		if text, err = replaceTable(text, r.heading, s.table.Bytes()); err != nil {
			return nil, err
		}
	}
	return text, nil
}

// replaceTable puts a table in the place of a section's.
func replaceTable(text []byte, heading string, table []byte) ([]byte, error) {
	head := []byte("\n## " + heading + "\n")
	at := bytes.Index(text, head)
	if at < 0 {
		return nil, fmt.Errorf("%s has no section %q", reportsPage, heading)
	}
	from := bytes.Index(text[at:], []byte("\n| member |"))
	if next := bytes.Index(text[at+len(head):], []byte("\n## ")); from < 0 || next >= 0 && from > next+len(head) {
		return nil, fmt.Errorf("%s: the section %q has no table of members", reportsPage, heading)
	}
	from += at + 1
	to := from
	for bytes.HasPrefix(text[to:], []byte("|")) {
		to += bytes.IndexByte(text[to:], '\n') + 1
	}
	return bytes.Join([][]byte{text[:from], text[to:]}, table), nil
}

// declared is a type as it is written somewhere, in a package of this module.
type declared struct {
	dir     string // of the package
	expr    ast.Expr
	imports map[string]string // of the file: folders of this module's packages, by name
	name    string            // of a named structure, with its package
}

// structures reads the types of the module's packages.
type structures struct {
	root     string
	packages map[string]map[string]declared
	table    bytes.Buffer
}

// load returns the types of a package.
func (s *structures) load(dir string) (map[string]declared, error) {
	if s.packages[dir] != nil {
		return s.packages[dir], nil
	}
	types := map[string]declared{}
	files, err := filepath.Glob(filepath.Join(s.root, filepath.FromSlash(dir), "*.go"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		imports := importsOf(f)
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, spec := range g.Specs {
				t := spec.(*ast.TypeSpec)
				types[t.Name.Name] = declared{dir, t.Type, imports, dir + "." + t.Name.Name}
			}
		}
	}
	s.packages[dir] = types
	return types, nil
}

// importsOf returns the folders of those packages of this module that a file imports.
func importsOf(f *ast.File) map[string]string {
	out := map[string]string{}
	for _, i := range f.Imports {
		of, err := strconv.Unquote(i.Path.Value)
		dir, ours := strings.CutPrefix(of, console.Module+"/")
		if err != nil || !ours {
			continue
		}
		name := path.Base(dir)
		if i.Name != nil {
			name = i.Name.Name
		}
		out[name] = dir
	}
	return out
}

// resolve follows names and pointers to a type.
func (s *structures) resolve(t declared) (declared, error) {
	switch e := t.expr.(type) {
	case *ast.StarExpr:
		t.expr = e.X
		return s.resolve(t)
	case *ast.Ident:
		types, err := s.load(t.dir)
		if err != nil {
			return t, err
		}
		if of, ok := types[e.Name]; ok {
			return s.resolve(of)
		}
	case *ast.SelectorExpr:
		if dir, ok := t.imports[e.X.(*ast.Ident).Name]; ok {
			return s.resolve(declared{dir: dir, expr: e.Sel})
		}
	}
	return t, nil
}

// members writes the rows of a structure's members. Those of an embedded one are its own; a structure in itself is not gone through again.
func (s *structures) members(prefix string, t declared, within []string) error {
	t, err := s.resolve(t)
	if err != nil {
		return err
	}
	structure, ok := t.expr.(*ast.StructType)
	if !ok {
		return fmt.Errorf("%s is no structure", t.name)
	}
	within = append(within[:len(within):len(within)], t.name)
	for _, f := range structure.Fields.List {
		of := declared{dir: t.dir, expr: f.Type, imports: t.imports}
		tag, options, _ := strings.Cut(jsonTag(f), ",")
		switch {
		case len(f.Names) == 0 && tag == "":
			err = s.members(prefix, of, within)
		case len(f.Names) == 0 || !f.Names[0].IsExported() || tag == "-":
		case tag == "":
			err = fmt.Errorf("%s.%s has no name in JSON", t.name, f.Names[0])
		case meaning(f) == "":
			err = fmt.Errorf("%s.%s has no comment that says what it means", t.name, f.Names[0])
		default:
			err = s.member(prefix+tag, of, strings.Contains(options, "omitempty"), meaning(f), within)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// member writes the row of a member, and those of what is in it.
func (s *structures) member(name string, t declared, optional bool, meaning string, within []string) error {
	kind, below, inner, err := s.kind(t)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if optional {
		kind += ", optional"
	}
	fmt.Fprintf(&s.table, "| `%s` | %s | %s |\n", name, kind, meaning)
	if inner == nil || slices.Contains(within, inner.name) {
		return nil
	}
	return s.members(name+below+".", *inner, within)
}

// kind names a type as JSON has it, and returns the structure in it, if there is one, with what leads there.
func (s *structures) kind(t declared) (kind, below string, inner *declared, err error) {
	if t, err = s.resolve(t); err != nil {
		return "", "", nil, err
	}
	of := func(expr ast.Expr, name, step string) (string, string, *declared, error) {
		kind, below, inner, err := s.kind(declared{dir: t.dir, expr: expr, imports: t.imports})
		if rest, list := strings.CutPrefix(kind, "list "); list {
			kind = "lists " + rest
		} else {
			kind += "s"
		}
		return name + " of " + kind, step + below, inner, err
	}
	switch e := t.expr.(type) {
	case *ast.StructType:
		return "object", "", &t, nil
	case *ast.ArrayType:
		return of(e.Elt, "list", "[]")
	case *ast.MapType:
		return of(e.Value, "object", ".*")
	case *ast.Ident:
		if kind := basic[e.Name]; kind != "" {
			return kind, "", nil, nil
		}
	case *ast.SelectorExpr:
		if e.Sel.Name == "RawMessage" {
			return "numbers in lists", "", nil, nil
		}
	}
	return "", "", nil, fmt.Errorf("%T is no type of a report", t.expr)
}

// basic are the names of Go's types in JSON.
var basic = map[string]string{"bool": "boolean", "string": "string", "float64": "number", "int": "integer", "int64": "integer", "uint64": "integer"}

func jsonTag(f *ast.Field) string {
	if f.Tag == nil {
		return ""
	}
	tag, err := strconv.Unquote(f.Tag.Value)
	if err != nil {
		return ""
	}
	return reflect.StructTag(tag).Get("json")
}

// meaning is what the comment above a field says, or else the one behind it.
func meaning(f *ast.Field) string {
	text := f.Comment.Text()
	if f.Doc != nil {
		text = f.Doc.Text()
	}
	return strings.Join(strings.Fields(text), " ")
}
