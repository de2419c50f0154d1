package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// table returns the first table of a Markdown text: its columns' names, and its rows, which have a cell for each.
func table(text string) (columns []string, rows [][]string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "|"):
			if columns != nil {
				return columns, rows
			}
			continue
		case strings.Trim(line, "|-: ") == "" && columns != nil && rows == nil:
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case columns == nil:
			columns = cells
		case len(cells) == len(columns):
			rows = append(rows, cells)
		}
	}
	return columns, rows
}

const (
	comparisonsPage = "docs/comparisons.md"
	oursBegin       = "<!-- of BENCH.md, by make generate -->\n"
	oursEnd         = "<!-- so far -->\n"
)

// The columns of BENCH.md that the page of comparisons has.
var ours = []string{"prove, s", "prove, peak GB", "verify on 1 thread, ms", "proof, B"}

// comparisons returns the page of comparisons with our rows as BENCH.md has them.
func comparisons(root string) ([]byte, error) {
	page, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(comparisonsPage)))
	if err != nil {
		return nil, err
	}
	bench, err := os.ReadFile(filepath.Join(root, "BENCH.md"))
	if err != nil {
		return nil, err
	}
	rows, err := measured(string(bench))
	if err != nil {
		return nil, err
	}
	before, rest, ok := bytes.Cut(page, []byte(oursBegin))
	_, after, also := bytes.Cut(rest, []byte(oursEnd))
	if !ok || !also {
		return nil, fmt.Errorf("%s has no place for the rows of BENCH.md", comparisonsPage)
	}
	return slices.Concat(before, []byte(oursBegin), []byte(rows), []byte(oursEnd), after), nil
}

// measured is a table of what BENCH.md has of whole commands: models with their conditions, and the columns that are compared.
func measured(bench string) (string, error) {
	about := map[string]string{}
	for line := range strings.Lines(bench) {
		name, what, ok := strings.Cut(strings.TrimPrefix(line, "- "), ": ")
		if what, rest, found := strings.Cut(what, ". Commit "); ok && found && strings.HasPrefix(line, "- ") {
			commit, machine, _ := strings.Cut(rest, ", ")
			machine, _, _ = strings.Cut(machine, ", go")
			about[name] = fmt.Sprintf("%s | %s, commit %s", what, machine, commit)
		}
	}
	columns, rows := table(bench)
	var out strings.Builder
	out.WriteString("\n| work | machine | prove | peak memory | verify, 1 thread | proof |\n|---|---|---|---|---|---|\n")
	for _, row := range rows {
		fmt.Fprintf(&out, "| %s", about[row[0]])
		for i, unit := range []string{"s", "GB", "ms", "B"} {
			at := slices.Index(columns, ours[i])
			if at < 0 || about[row[0]] == "" {
				return "", fmt.Errorf("BENCH.md says nothing of %s, %q", row[0], ours[i])
			}
			median, _, _ := strings.Cut(row[at], " (")
			fmt.Fprintf(&out, " | %s %s", median, unit)
		}
		out.WriteString(" |\n")
	}
	return out.String() + "\n", nil
}
