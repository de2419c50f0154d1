// Command conformance makes a document of what `zkllmc conformance --json` says of test cases: counts by folder and by operator, and why
// cases are refused.
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// outcome is what came of a case, see REPORTS.md.
type outcome struct {
	Result, Node, Op, Reason string
	Error                    float64
	Bytes                    int     `json:"proof_bytes"`
	Seconds                  float64 `json:"cpu_seconds"`
}

type testCase struct {
	Case string
	Ops  []string
	outcome
	Public *outcome
}

func main() {
	if len(os.Args) != 2 && len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: conformance DOCUMENT [exports.json] <REPORT")
		os.Exit(2)
	}
	err := error(nil)
	if len(os.Args) == 2 {
		err = run(os.Args[1], os.Stdin)
	} else {
		var failures []byte
		if failures, err = os.ReadFile(os.Args[2]); err == nil {
			err = families(os.Args[1], os.Stdin, failures)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// conformanceReport is that of the command.
type conformanceReport struct {
	Cases   []testCase
	Summary string
	Public  string `json:"public_summary"`
}

func read(report io.Reader) (r conformanceReport, err error) {
	if err = json.NewDecoder(report).Decode(&r); err != nil {
		err = fmt.Errorf("the report of conformance: %w", err)
	}
	return r, err
}

func run(document string, report io.Reader) error {
	r, err := read(report)
	if err != nil {
		return err
	}
	var out strings.Builder
	fmt.Fprintf(&out, `# What compiles and is proved

Written by `+"`make conformance`"+` from `+"`zkllmc conformance`"+` on test cases that lie beside the project (`+"`DATA=../shared/onnx`"+`): operator cases of
ONNX, spellings of onnxruntime's tests, exports of transformer families, models built after bug reports. Its help says what the words mean.
A case counts as refused, too, where its integer program is less precise than 2^-8 of an output's largest magnitude.

Inputs of real numbers private: %s. All inputs public: %s.

`, r.Summary, r.Public)
	table(&out, "folder", r.Cases, func(c *testCase) []string { return []string{path.Base(path.Dir(slashed(c.Case)))} })
	out.WriteString("\n## Operators\n\nCases of the folder `node`, which have one operator each.\n\n")
	table(&out, "operator", r.Cases, func(c *testCase) []string {
		if path.Base(path.Dir(slashed(c.Case))) != "node" {
			return nil
		}
		return c.Ops
	})
	refused(&out, r.Cases)
	return os.WriteFile(document, []byte(out.String()), 0o644)
}

// plain keeps a text within a cell of a table.
var plain = strings.NewReplacer("|", "\\|", "\n", " ")

// refused lists the cases that are not proved, with the reasons.
func refused(out *strings.Builder, cases []testCase) {
	out.WriteString("\n## Refused\n\n| case | operator | why |\n|---|---|---|\n")
	for i := range cases {
		if c := &cases[i]; c.Result != "proved" && c.Result != "folded" {
			reason := plain.Replace(strings.ReplaceAll(c.Reason, c.Case+"/", "")) // where it lies is a matter of a machine
			fmt.Fprintf(out, "| `%s` | %s | %s: %s |\n", path.Base(slashed(c.Case)), c.Op, c.Result, reason)
		}
	}
}

func slashed(name string) string { return strings.ReplaceAll(name, "\\", "/") }

// row counts the cases of a kind.
type row struct {
	name                           string
	all, proved, folded, bad, open int // bad: failed; open: proved or folded with all inputs public
}

// table writes how many cases of every kind came to what.
func table(out *strings.Builder, title string, cases []testCase, kinds func(c *testCase) []string) {
	rows := map[string]*row{}
	for i := range cases {
		c := &cases[i]
		public := cmp.Or(c.Public, &c.outcome)
		for _, kind := range kinds(c) {
			r := rows[kind]
			if r == nil {
				r = &row{name: kind}
				rows[kind] = r
			}
			r.all++
			switch c.Result {
			case "proved":
				r.proved++
			case "folded":
				r.folded++
			case "failed":
				r.bad++
			}
			if public.Result == "proved" || public.Result == "folded" {
				r.open++
			}
		}
	}
	var list []*row
	for _, r := range rows {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *row) int { return cmp.Compare(a.name, b.name) })
	fmt.Fprintf(out, "| %s | cases | proved | folded | refused | failed | public: proved or folded |\n|---|---|---|---|---|---|---|\n", title)
	for _, r := range list {
		fmt.Fprintf(out, "| %s | %d | %d | %d | %d | %d | %d |\n", r.name, r.all, r.proved, r.folded, r.all-r.proved-r.folded-r.bad, r.bad, r.open)
	}
}
