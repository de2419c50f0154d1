package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const sample = `package statement

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
	require.NoError(t, tr.scan("statement", path))
	var got []string
	for _, s := range tr.sites {
		got = append(got, s.String())
	}
	require.Equal(t, []string{
		"statement.inVocabulary: guard: id >= 0 && id < c.Vocab",
		"statement.inVocabulary: operand: id >= 0",
		"statement.inVocabulary: bound: id >= 0",
		"statement.inVocabulary: operand: id < c.Vocab",
		"statement.inVocabulary: bound: id < c.Vocab",
		"statement.Statement.Check: step: sum.Add(&sum, one)",
		"statement.Statement.Check: guard: err != nil",
		"statement.Statement.Check: guard: n < 1 || (n > c.Length && !(a && b))",
		"statement.Statement.Check: operand: n < 1",
		"statement.Statement.Check: bound: n < 1",
		"statement.Statement.Check: operand: (n > c.Length && !(a && b))",
		"statement.Statement.Check: bound: n > c.Length",
		"statement.Statement.Check: operand: a",
		"statement.Statement.Check: operand: b",
		"statement.Statement.Check: step: x = 1",
		`statement.Statement.Check: step: ch.Scalars("label", 1, func() []Element { x = 3; return nil })`,
		`statement.Statement.Check: check: ch.Zero("stage", e)`,
		"statement.Statement.Check: absorb: h.Write(b)",
		"statement.Statement.Check: returned: return 1, s.logits()",
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
