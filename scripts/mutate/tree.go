package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// site is one place of the sources at which one check is removed or weakened.
type site struct {
	id   int // what selects it, from 1
	pkg  string
	fn   string // Function or Type.Method
	kind string
	text string // the source text concerned, on one line
	nth  int    // among sites that are alike otherwise, from 1
	file string
	line int
}

// String names a site without line numbers, so that an argument about it outlives changes elsewhere.
func (s *site) String() string {
	name := fmt.Sprintf("%s.%s: %s: %s", s.pkg, s.fn, s.kind, s.text)
	if s.nth > 1 {
		name += fmt.Sprintf(" [%d]", s.nth)
	}
	return name
}

// key names a site in one state of the sources.
func (s *site) key(t *tree) string { return fmt.Sprintf("%.8x %s", t.sources, s) }

// source is a file and its rewritten text.
type source struct {
	path string // relative to the root
	text []byte
}

// tree is the verifier's sources with all their mutants.
type tree struct {
	root    string
	sites   []*site
	files   []source
	sources [32]byte // digest of the files that are mutated and of what else is compiled into the judges
	tests   [32]byte // digest of the tests and of this program
}

// load finds all sites below a root.
func load(root string) (*tree, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	t := &tree{root: abs}
	for _, pkg := range mutated {
		names, err := filepath.Glob(filepath.Join(abs, folder(pkg), "*.go"))
		if err != nil || len(names) == 0 {
			return nil, fmt.Errorf("no package %s here; run from the repository's root", folder(pkg))
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") || isLeftOut(pkg+"/"+filepath.Base(name)) {
				continue
			}
			if err := t.scan(pkg, name); err != nil {
				return nil, err
			}
		}
	}
	seen := map[string]int{}
	for i, s := range t.sites {
		s.id, s.nth = i+1, 1
		seen[s.String()]++
		s.nth = seen[s.String()]
	}
	return t, t.digest()
}

// scan finds the sites of one file and rewrites it.
func (t *tree) scan(pkg, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.ParseComments)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(t.root, path)
	if err != nil {
		return err
	}
	w := &walker{tree: t, set: set, text: text, pkg: pkg, file: filepath.ToSlash(rel)}
	before := len(t.sites)
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			w.function(f)
		}
	}
	if len(t.sites) > before {
		t.files = append(t.files, source{rel, w.rewritten()})
	}
	return nil
}

// linked are the folders of the packages of this module that the tests of some judges link.
func (t *tree) linked(judges ...judge) ([]string, error) {
	args := []string{"list", "-deps", "-test", "-f", "{{with .Module}}{{if .Main}}{{$.Dir}}{{end}}{{end}}"}
	for _, j := range judges {
		args = append(args, "./"+folder(j.pkg))
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = t.root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	return slices.Compact(slices.Sorted(slices.Values(strings.Fields(string(out))))), nil
}

// goFiles are the Go files of some folders and of this program, and what says which modules they use. Of tests they have those of the
// given judges alone.
func (t *tree) goFiles(folders []string, judges ...judge) ([]string, error) {
	names := []string{"go.mod", "go.sum"}
	for _, dir := range append(folders, filepath.Join(t.root, "scripts", "mutate")) {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			rel, err := filepath.Rel(t.root, f)
			if err != nil {
				return nil, err
			}
			name := filepath.ToSlash(rel)
			judged := slices.ContainsFunc(judges, func(j judge) bool { return path.Dir(name) == folder(j.pkg) })
			if judged || !strings.HasSuffix(name, "_test.go") {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// hashed are digests of some files: of those that are mutated and what else of the runtime is linked with them; and of the others: tests,
// the compiler, which makes circuits for some of them, and this program.
func (t *tree) hashed(names []string) (sources, tests [32]byte, err error) {
	s, o := sha256.New(), sha256.New()
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(t.root, name))
		if err != nil {
			return sources, tests, err
		}
		h := s
		if strings.HasSuffix(name, "_test.go") || !strings.HasPrefix(name, "runtime/") && !strings.HasPrefix(name, "internal/") {
			h = o
		}
		fmt.Fprintf(h, "%s %x\n", name, sha256.Sum256(text))
	}
	return [32]byte(s.Sum(nil)), [32]byte(o.Sum(nil)), nil
}

// digest covers what results rest on: all packages of the module that are linked into the judges, their tests, and this program.
func (t *tree) digest() error {
	folders, err := t.linked(judges...)
	if err != nil {
		return err
	}
	names, err := t.goFiles(folders, judges...)
	if err != nil {
		return err
	}
	t.sources, t.tests, err = t.hashed(names)
	return err
}

// bench is a judge that can reach some mutants, and a digest of all that it does.
type bench struct {
	judge
	digest string
}

// judgesOf are the judges that link a package of some sites. Their digests cover all sources, by which mutants are numbered, and of tests
// those of the judge.
func (t *tree) judgesOf(sites []*site) ([]bench, error) {
	mutants := map[string]bool{}
	for _, s := range sites {
		mutants[filepath.Join(t.root, folder(s.pkg))] = true
	}
	var out []bench
	for _, j := range judges {
		folders, err := t.linked(j)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(folders, func(dir string) bool { return mutants[dir] }) {
			continue
		}
		names, err := t.goFiles(folders, j)
		if err != nil {
			return nil, err
		}
		_, tests, err := t.hashed(names)
		if err != nil {
			return nil, err
		}
		out = append(out, bench{j, fmt.Sprintf("%x %x", t.sources, tests)})
	}
	return out, nil
}

// choose returns the sites whose names match, or whose numbers are listed.
func (t *tree) choose(only *regexp.Regexp) []*site {
	numbers := map[int]bool{}
	for _, n := range strings.Split(only.String(), ",") {
		if id, err := strconv.Atoi(n); err == nil {
			numbers[id] = true
		}
	}
	var out []*site
	for _, s := range t.sites {
		if numbers[s.id] || len(numbers) == 0 && only.MatchString(s.String()) {
			out = append(out, s)
		}
	}
	return out
}

// isLeftOut says whether the plan leaves a file or function out.
func isLeftOut(name string) bool {
	for _, l := range leftOut {
		if l.name == name || strings.HasSuffix(l.name, ".") && strings.HasPrefix(name, l.name) {
			return true
		}
	}
	return false
}

// oneLine returns source text with every run of white space as one blank.
func oneLine(b []byte) string { return string(bytes.Join(bytes.Fields(b), []byte(" "))) }
