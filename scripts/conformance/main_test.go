package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Cases are counted by folder and, those with one operator, by operator; what is not proved is told with its reason.
func TestDocument(t *testing.T) {
	file := filepath.Join(t.TempDir(), "d.md")
	require.NoError(t, run(file, strings.NewReader(`{"summary": "S", "public_summary": "P", "cases": [
		{"case": "x/node/test_a", "ops": ["Add"], "result": "proved", "public": {"result": "refused"}},
		{"case": "x/node/test_b", "ops": ["Add"], "result": "failed", "reason": "x/node/test_b/model.onnx: two\nlines"},
		{"case": "x/node/test_c", "ops": ["Loop"], "result": "refused", "op": "Loop", "reason": "a|b"},
		{"case": "x/node/test_d", "ops": ["Shape"], "result": "folded"},
		{"case": "x/exports/e", "ops": ["Add", "Mul"], "result": "imprecise", "reason": "r"}
	]}`)))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, want := range []string{
		"private: S. All inputs public: P.", "| exports | 1 | 0 | 0 | 1 | 0 | 0 |\n| node | 4 | 1 | 1 | 1 | 1 | 1 |\n",
		"| Add | 2 | 1 | 0 | 0 | 1 | 0 |\n| Loop | 1 | 0 | 0 | 1 | 0 | 0 |\n| Shape | 1 | 0 | 1 | 0 | 0 | 1 |\n",
		"| `test_b` |  | failed: model.onnx: two lines |\n| `test_c` | Loop | refused: a\\|b |\n| `e` |  | imprecise: r |\n",
	} {
		require.Contains(t, string(text), want)
	}
	require.ErrorContains(t, run(file, strings.NewReader("{")), "the report of conformance")
}

// A family has a row, an exporter a column; what was not exported says so, and why.
func TestFamilies(t *testing.T) {
	file := filepath.Join(t.TempDir(), "d.md")
	require.NoError(t, families(file, strings.NewReader(`{"summary": "S", "cases": [
		{"case": "x/gpt-neo-ts17", "result": "proved", "error": 0.00012, "proof_bytes": 30000, "cpu_seconds": 1.26},
		{"case": "x/gpt-neo-dyn18", "result": "refused", "op": "Loop", "reason": "a|b"},
		{"case": "x/vit-dyn18", "result": "proved", "error": 0.001, "proof_bytes": 7, "cpu_seconds": 2}
	]}`), []byte(`{"vit-ts17": "no|thing"}`)))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, want := range []string{
		"private: S.", "| family | dyn18 | ts17 |\n|---|---|---|\n| gpt-neo | refused | 1.2e-04, 30000 B, 1.3 s |\n| vit | 1.0e-03, 7 B, 2.0 s | not exported |\n",
		"| `gpt-neo-dyn18` | Loop | refused: a\\|b |\n", "| `vit-ts17` | no\\|thing |\n",
	} {
		require.Contains(t, string(text), want)
	}
	require.ErrorContains(t, families(file, strings.NewReader("{"), []byte("{}")), "the report of conformance")
	require.ErrorContains(t, families(file, strings.NewReader("{}"), []byte("[]")), "what could not be exported")
}
