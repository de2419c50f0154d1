package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Stored files are written anew in one way: the flag -update of the tests that compare with them, all of which make golden calls.
func TestGoldenFilesAreListed(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, recipe, ok := strings.Cut(string(makefile), "\ngolden:")
	if !ok {
		t.Fatal("the Makefile has no target golden")
	}
	recipe, _, _ = strings.Cut(recipe, "\n\n")
	flags := regexp.MustCompile(`= flag\.\w+\("([^"]+)"`)
	found := 0
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range flags.FindAllStringSubmatch(string(text), -1) {
			dir := "./" + filepath.ToSlash(filepath.Dir(path))
			switch {
			case path == "golden_test.go":
			case m[1] != "update":
				t.Errorf("%s: a test has the flag -%s; what is stored is written anew with -update", path, m[1])
			case !regexp.MustCompile(regexp.QuoteMeta(dir) + `\s`).MatchString(recipe):
				t.Errorf("%s: make golden does not test %s", path, dir)
			default:
				found++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 5 {
		t.Errorf("only %d packages with stored files were found", found)
	}
}

// Assembly is written by its generators: make assembly runs all of them, and make generated compares what they write.
func TestAssemblyIsGenerated(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	err = filepath.WalkDir("internal", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "asm" {
			want = append(want, "./"+filepath.ToSlash(filepath.Dir(path)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	list := "\nASSEMBLY := " + strings.Join(want, " ") + "\n"
	for _, line := range []string{list, "\n\t$(GO) generate $(ASSEMBLY)\n", "\n\t@git diff --exit-code -- generated docs REPORTS.md $(ASSEMBLY) "} {
		if !strings.Contains(string(makefile), line) {
			t.Errorf("the Makefile lacks%s", line)
		}
	}
}
