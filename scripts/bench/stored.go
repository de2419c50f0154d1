package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
)

// store keeps a row, in place of an older one of its name.
func (o *options) store(ctx context.Context, m *Measured) error {
	if err := os.MkdirAll(o.stored, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return write(ctx, map[string][]byte{filepath.Join(o.stored, m.Name+".json"): append(data, '\n')})
}

// report is all rows that are stored, in the order in which they are listed.
func (o *options) report() (r Report, err error) {
	for _, row := range rows {
		file := here(filepath.Join(o.stored, row.name+".json"))
		if file == "" {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return r, err
		}
		var m Measured
		if err := json.Unmarshal(data, &m); err != nil {
			return r, fmt.Errorf("%s: %w", file, err)
		}
		r.Rows = append(r.Rows, m)
	}
	return r, nil
}

// tables are those of the rows that are stored, written to --doc, too.
func (o *options) tables(ctx context.Context) (string, error) {
	r, err := o.report()
	if err != nil || o.doc == "" {
		return r.markdown(), err
	}
	return r.markdown(), write(ctx, map[string][]byte{o.doc: []byte(r.markdown())})
}

// print writes the tables for people.
func (o *options) print(ctx context.Context, out io.Writer) error {
	text, err := o.tables(ctx)
	if err == nil {
		_, err = io.WriteString(out, text)
	}
	return err
}

// write writes files, each as a whole.
func write(ctx context.Context, files map[string][]byte) error {
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if err := atomicfile.Write(ctx, file, files[file], atomicfile.Options{Mode: 0o644, Replace: true}); err != nil {
			return err
		}
	}
	return nil
}
