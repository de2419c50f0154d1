package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// families writes a row per family and a column per exporter, of what conformance says of the folder that models/families/export.py writes;
// failures is its exports.json, with what could not be exported.
func families(document string, report io.Reader, failures []byte) error {
	r, err := read(report)
	if err != nil {
		return err
	}
	failed := map[string]string{}
	if err := json.Unmarshal(failures, &failed); err != nil {
		return fmt.Errorf("what could not be exported: %w", err)
	}
	of, exporters := map[string]map[string]string{}, map[string]bool{}
	enter := func(name, cell string) {
		family, exporter := name[:max(0, strings.LastIndex(name, "-"))], name[strings.LastIndex(name, "-")+1:]
		if of[family] == nil {
			of[family] = map[string]string{}
		}
		of[family][exporter], exporters[exporter] = cell, true
	}
	for i := range r.Cases {
		c := &r.Cases[i]
		enter(path.Base(slashed(c.Case)), cell(c))
	}
	for name := range failed {
		enter(name, "not exported")
	}
	var out strings.Builder
	fmt.Fprintf(&out, `# Families of transformers

Written by `+"`make families`"+` from `+"`zkllmc conformance`"+` on small models with random weights that `+"`models/families/export.py`"+` exports: two layers of
each family as the library transformers spells it, by the exporter of PyTorch that traces (ts) and by the one with dynamo (dyn), with the
opset behind it. A cell is the largest error of an output, in parts of its largest magnitude, the size of the proof, and the seconds of
processors for compiling, comparing, proving and verifying. With inputs of real numbers private: %s.

| family | %s |
|---|%s
`, r.Summary, strings.Join(slices.Sorted(maps.Keys(exporters)), " | "), strings.Repeat("---|", len(exporters)))
	for _, family := range slices.Sorted(maps.Keys(of)) {
		fmt.Fprintf(&out, "| %s |", family)
		for _, exporter := range slices.Sorted(maps.Keys(exporters)) {
			fmt.Fprintf(&out, " %s |", of[family][exporter])
		}
		out.WriteString("\n")
	}
	refused(&out, r.Cases)
	if len(failed) > 0 {
		out.WriteString("\n## Not exported\n\n| model | what the exporter, or onnxruntime, says |\n|---|---|\n")
		for _, name := range slices.Sorted(maps.Keys(failed)) {
			fmt.Fprintf(&out, "| `%s` | %s |\n", name, plain.Replace(failed[name]))
		}
	}
	return os.WriteFile(document, []byte(out.String()), 0o644)
}

func cell(c *testCase) string {
	if c.Result != "proved" {
		return c.Result
	}
	return fmt.Sprintf("%.1e, %d B, %.1f s", c.Error, c.Bytes, c.Seconds)
}
