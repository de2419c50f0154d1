package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What a comment or a document cites of the protocol is a section of SPEC.md, written "SPEC.md 16.6", which is there. No other text numbers
// the protocol's sections.
func TestCitedSectionsExist(t *testing.T) {
	spec, err := os.ReadFile("SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(?:## )?(\d+(?:\.\d+)?)\. |(?: )(\d+\.\d+)\. [A-Z]`).FindAllStringSubmatch(string(spec), -1) {
		there[m[1]+m[2]] = true
	}
	other := regexp.MustCompile(`(?i)protocol(?:\.md)?,? sections? \d|SPEC\.md(?:,|,? sections?) \d`)
	cited := regexp.MustCompile(`SPEC\.md (\d+(?:\.\d+)?)[.\d]*(?:(?:,| and| to) (\d+(?:\.\d+)?))?`)
	lines := regexp.MustCompile(`\s*\n\s*(?://|#)?\s*`) // a comment is one line
	found := 0
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || path == "build") {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || !strings.Contains(" .go .md .py ", " "+filepath.Ext(path)+" ") || path == "citations_test.go" {
			return err
		}
		data, err := os.ReadFile(path)
		text := lines.ReplaceAllString(string(data), " ")
		for _, m := range other.FindAllString(text, -1) {
			t.Errorf("%s cites %q; it is written SPEC.md N", path, m)
		}
		for _, m := range cited.FindAllStringSubmatch(text, -1) {
			found++
			if !there[m[1]] || m[2] != "" && !there[m[2]] {
				t.Errorf("%s cites %q, which is no section of it", path, m[0])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 30 {
		t.Errorf("only %d citations were found", found)
	}
}
