// Command cases writes what `zkllmc conformance --json` says of test cases into the table of a document: the last cell of every row whose
// first cell names the folder of a case. What the other cells say is for people to write.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// outcome is a case of the report, see REPORTS.md.
type outcome struct {
	Case, Result, Node, Op, Reason, Remedy string
	Error                                  float64
	Positions                              int
	Agree                                  int `json:"top1_agree"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: cases DOCUMENT <REPORT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "cases:", err)
		os.Exit(1)
	}
}

func run(document string, report io.Reader) error {
	var r struct{ Cases []outcome }
	if err := json.NewDecoder(report).Decode(&r); err != nil {
		return fmt.Errorf("the report of conformance: %w", err)
	}
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	out, err := fill(string(text), r.Cases)
	if err != nil {
		return fmt.Errorf("%s: %w", document, err)
	}
	return os.WriteFile(document, []byte(out), 0o644)
}

// heading is that of the section with the table.
const heading = "\n## Cases from bug reports\n"

// fill replaces the last cells of the section's rows. A row about no case of the report is an error.
func fill(text string, cases []outcome) (string, error) {
	before, section, ok := strings.Cut(text, heading)
	if !ok {
		return "", fmt.Errorf("it has no section%s", strings.TrimRight(heading, "\n"))
	}
	section, after, more := strings.Cut(section, "\n## ")
	byName := map[string]*outcome{}
	for i := range cases {
		byName[path.Base(strings.ReplaceAll(cases[i].Case, "\\", "/"))] = &cases[i]
	}
	var out bytes.Buffer
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		name, of := strings.CutPrefix(cells[0], "| `")
		if !of {
			out.WriteString(line)
			continue
		}
		o := byName[strings.TrimSuffix(name, "`")]
		if o == nil {
			return "", fmt.Errorf("the report does not have the case %s", strings.TrimSuffix(name, "`"))
		}
		cells[len(cells)-1] = o.cell() + " |"
		out.WriteString(strings.Join(cells, " | ") + "\n")
	}
	if more {
		after = "\n## " + after
	}
	return before + heading + out.String() + after, nil
}

// cell says what came of a case: an error in parts of the largest magnitude of an output, and how many best tokens are the expected ones; or
// what is in the way, and what to do about it.
func (o *outcome) cell() string {
	switch {
	case o.Reason != "":
		s := o.Result + ": "
		if o.Op != "" {
			s += fmt.Sprintf("node `%s` (%s): ", o.Node, o.Op)
		}
		if s += o.Reason; o.Remedy != "" {
			s += "; " + o.Remedy
		}
		return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s)
	case o.Positions > 0:
		return fmt.Sprintf("%.2g, %d of %d", o.Error, o.Agree, o.Positions)
	}
	return fmt.Sprintf("%.2g", o.Error)
}
