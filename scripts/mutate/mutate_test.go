package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const sample = `package generation

func inVocabulary(c *Circuit, id int64) bool { return id >= 0 && id < c.Vocab }

func (s *Statement) Check(c *Circuit) (int, error) {
	sum.Add(&sum, one)
	p.phase("nothing")
	if err := s.input(); err != nil {
		if deeper {
			return 0, errOther
		}
		return 0, err
	}
	switch {
	case n < 1 || (n > c.Length && !(a && b)):
		return 0, errLength
	case fine:
		x = 1
	}
	if ch.Proving() {
		x = 2
	}
	ch.Scalars("label", 1, func() []Element { x = 3; return nil })
	for i := range 3 {
		ch.Zero("stage", e)
		h.Write(b)
	}
	return 1, s.logits()
}
`

// The sites of a file, and a file that is Go with all of them.
func TestScan(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sample.go")
	require.NoError(t, os.WriteFile(path, []byte(sample), 0o644))
	tr := &tree{root: filepath.Dir(path)}
	require.NoError(t, tr.scan("generation", path))
	var got []string
	for _, s := range tr.sites {
		got = append(got, s.String())
	}
	require.Equal(t, []string{
		"generation.inVocabulary: guard: id >= 0 && id < c.Vocab",
		"generation.inVocabulary: operand: id >= 0",
		"generation.inVocabulary: bound: id >= 0",
		"generation.inVocabulary: operand: id < c.Vocab",
		"generation.inVocabulary: bound: id < c.Vocab",
		"generation.Statement.Check: step: sum.Add(&sum, one)",
		"generation.Statement.Check: guard: err != nil",
		"generation.Statement.Check: guard: n < 1 || (n > c.Length && !(a && b))",
		"generation.Statement.Check: operand: n < 1",
		"generation.Statement.Check: bound: n < 1",
		"generation.Statement.Check: operand: (n > c.Length && !(a && b))",
		"generation.Statement.Check: bound: n > c.Length",
		"generation.Statement.Check: operand: a",
		"generation.Statement.Check: operand: b",
		"generation.Statement.Check: step: x = 1",
		`generation.Statement.Check: step: ch.Scalars("label", 1, func() []Element { x = 3; return nil })`,
		`generation.Statement.Check: check: ch.Zero("stage", e)`,
		"generation.Statement.Check: absorb: h.Write(b)",
		"generation.Statement.Check: returned: return 1, s.logits()",
	}, got)
	require.Len(t, tr.files, 1)
	text := string(tr.files[0].text)
	_, err := parser.ParseFile(token.NewFileSet(), "rewritten.go", text, parser.AllErrors)
	require.NoError(t, err, text)
	for _, want := range []string{
		"return mutantHolds(1, mutantHolds(2, (id >= 0 || mutantAlready(3, id >= (0)-1))) && mutantHolds(4,",
		"if !mutantLeavesOut(6) { sum.Add(&sum, one) }",
		"if err := s.input(); mutantRefused(7, err != nil) {",
		"(n < 1 && mutantStill(10, n < (1)-1))",
		"if mutantLeavesOut(19) { return 1, nil }; return 1, s.logits()",
	} {
		require.Contains(t, text, want)
	}
}

// What the tests' words mean.
func TestJudgement(t *testing.T) {
	for text, want := range map[string]verdict{
		"Error:      \tReceived unexpected error:\n\t the verifier accepts it": accepts,
		"Error: An error is expected but got nil.":                             accepts,
		"got <nil>, want [x]":                      accepts,
		"panic: runtime error: index out of range": panics,
		"panic: test timed out after 1s":           hangs,
		"got ErrToken, want ErrLength":             refuses,
	} {
		require.Equal(t, want, judgement(text, exitFail), text)
	}
	require.Equal(t, hangs, judgement("", exitHang))
	require.Equal(t, "TestB/sub", failed("--- FAIL: TestB (0.1s)\n    --- FAIL: TestB/sub (0.0s)\n"))
}

// Honest proofs come first, then what killed the mutant before, then the others by what they cost; those that do not reach it are left out.
func TestOrderOfTests(t *testing.T) {
	l := &lab{probes: []probe{
		{"attack", "TestMustReject/long", 9, []int{1}}, {"attack", "TestMustReject/short", 0.1, []int{1, 2}}, {"attack", "TestMustReject/other", 0.1, []int{1}},
		{"attack", control, 2, []int{1}}, {"circuit", "TestA", 0.1, []int{1}}, {"veil", "TestB", 0.2, []int{1}}, {"veil", "TestC", 0.2, []int{2}},
	}}
	order := func(killer string) (names [][]string) {
		for _, b := range l.batches(&site{id: 1, pkg: "veil"}, killer) {
			names = append(names, b.tests)
		}
		return names
	}
	short, long := []string{"TestMustReject/short", "TestMustReject/other"}, []string{"TestMustReject/long"}
	require.Equal(t, [][]string{{control}, short, {"TestB"}, {"TestA"}, long}, order(""))
	require.Equal(t, [][]string{{control}, {"TestA"}, short, {"TestB"}, long}, order("circuit: TestA/case"))
	require.Equal(t, [][]string{{control}, long, short, {"TestB"}, {"TestA"}}, order("attack: TestMustReject/long"))
}

// declared lists what the files of the mutated packages declare, as package.Function and package.Type.Method, and the files.
func declared(t *testing.T) map[string]bool {
	out := map[string]bool{}
	for _, pkg := range mutated {
		names, err := filepath.Glob(filepath.Join("../..", folder(pkg), "*.go"))
		require.NoError(t, err)
		for _, name := range names {
			out[pkg+"/"+filepath.Base(name)] = true
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok {
					out[pkg+"."+functionName(f)] = true
				}
			}
		}
	}
	return out
}

// What the plan and the arguments name is there: a function that moved to another package is not left out of what is mutated unnoticed.
func TestPlanNamesWhatThereIs(t *testing.T) {
	there := declared(t)
	some := func(name string) bool {
		for f := range there {
			if f == name || strings.HasSuffix(name, ".") && strings.HasPrefix(f, name) {
				return true
			}
		}
		return false
	}
	var names []string
	for _, l := range leftOut {
		names = append(names, l.name)
	}
	names = append(names, stepped...)
	names = slices.AppendSeq(names, maps.Keys(predicates))
	names = slices.AppendSeq(names, maps.Keys(forbidden))
	for _, name := range names {
		assert.True(t, some(name), "there is no %s", name)
	}
	tree, err := load("../..")
	require.NoError(t, err)
	sites := map[string]bool{}
	for _, s := range tree.sites {
		sites[s.String()] = true
	}
	arguments, err := readArguments("survivors.txt")
	require.NoError(t, err)
	for name := range arguments {
		assert.True(t, sites[name], "survivors.txt argues about %s, which is gone", name)
	}
}

// Every package that a verifier links, generated or prebuilt, is mutated, or said to decide nothing.
func TestPlanCoversTheVerifier(t *testing.T) {
	const module = "github.com/zkllmc/zkllmc/"
	out, err := exec.Command("go", "list", "-deps", "../../generated/sums/verifier", "../../generated/sums/cmd/verifier", "../../runtime/gadget/attention", "../../runtime/texts",
		"../../cmd/zkllmc-verifier", "../../runtime/web").Output()
	require.NoError(t, err)
	planned := map[string]bool{}
	for _, pkg := range slices.Concat(mutated, around) {
		if !strings.Contains(pkg, "/") {
			pkg = folder(pkg)
		}
		planned[pkg] = false
	}
	for _, path := range strings.Fields(string(out)) {
		path, ours := strings.CutPrefix(path, module)
		if !ours || strings.HasPrefix(path, "generated/") || strings.HasPrefix(path, "cmd/") {
			continue
		}
		assert.Contains(t, planned, path, "is it mutated, or does it decide nothing?")
		planned[path] = true
	}
	for path, linked := range planned {
		assert.True(t, linked, "the verifier does not link %s", path)
	}
}
