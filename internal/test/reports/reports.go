// Package reports compares REPORTS.md with the structures that --json prints. It serves tests; no program links it.
package reports

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// File is the document, at the root of the module.
const File = "REPORTS.md"

// Check fails unless the section of the document with this heading has a table with exactly the members of the report: name, type, and
// some meaning. Members of a member are written with a dot, those of a list's elements with brackets.
func Check(t *testing.T, heading string, report any) {
	t.Helper()
	var want []string
	members(&want, "", reflect.TypeOf(report), nil)
	got := table(t, heading)
	for _, row := range want {
		if !slices.Contains(got, row) {
			t.Errorf("%s, %q lacks the row\n| %s | … |", File, heading, row)
		}
	}
	for _, row := range got {
		if !slices.Contains(want, row) {
			t.Errorf("%s, %q has a row about nothing: %s", File, heading, row)
		}
	}
	if !slices.Equal(got, want) && !t.Failed() {
		t.Errorf("%s, %q: the rows are not in the order of the members", File, heading)
	}
}

// table returns the first two columns of a section's table.
func table(t *testing.T, heading string) []string {
	t.Helper()
	dir, err := filepath.Abs(".")
	for ; err == nil && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, File))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("%s has no section %q", File, heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var rows []string
	for _, line := range strings.Split(section, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		if strings.TrimSpace(cells[3]) == "" {
			t.Errorf("%s: %s has no meaning", File, line)
		}
		rows = append(rows, strings.TrimSpace(cells[1])+" | "+strings.TrimSpace(cells[2]))
	}
	return rows
}

// members lists what a structure prints, in order.
func members(out *[]string, prefix string, t reflect.Type, within []reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	within = append(slices.Clone(within), t)
	for i := range t.NumField() {
		f := t.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && tag == "":
			members(out, prefix, f.Type, within)
			continue
		case !f.IsExported() || tag == "-":
			continue
		}
		member(out, prefix+tag, f.Type, strings.Contains(options, "omitempty"), within)
	}
}

// member lists a member and what is in it; what it is itself in is listed already.
func member(out *[]string, name string, t reflect.Type, optional bool, within []reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	kind := kinds(t)
	if optional {
		kind += ", optional"
	}
	*out = append(*out, fmt.Sprintf("`%s` | %s", name, kind))
	switch {
	case slices.Contains(within, t):
	case t.Kind() == reflect.Struct:
		members(out, name+".", t, within)
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		members(out, name+"[].", t.Elem(), within)
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Slice && t.Elem().Elem().Kind() == reflect.Struct:
		members(out, name+".*[].", t.Elem().Elem(), within)
	}
}

// kinds names a type as JSON has it.
func kinds(t reflect.Type) string {
	if t == reflect.TypeFor[json.RawMessage]() {
		return "numbers in lists"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	case reflect.Float64:
		return "number"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "integer"
	case reflect.Struct:
		return "object"
	case reflect.Map:
		return "object of " + several(kinds(t.Elem()))
	case reflect.Slice:
		return "list of " + several(kinds(t.Elem()))
	}
	panic(fmt.Sprintf("reports: %v is no type of a report", t))
}

// several is a kind in the plural.
func several(kind string) string {
	if rest, list := strings.CutPrefix(kind, "list "); list {
		return "lists " + rest
	}
	return kind + "s"
}
