// Command texts writes passages of English and of code from the Go distribution, which every machine that builds this project has, as JSON
// lines: what `zkllmc check` and `--calibrate` read as a .jsonl file.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	n := flag.Int("n", 64, "number of passages of each kind")
	size := flag.Int("size", 800, "least number of bytes of a passage")
	skip := flag.Int("skip", 0, "passages of each kind to leave out before each that is taken, so that two sets have nothing in common")
	root := flag.String("root", "", "folder of the Go distribution (default: the go command's)")
	flag.Parse()
	if err := run(os.Stdout, *root, *n, *size, *skip); err != nil {
		fmt.Fprintln(os.Stderr, "texts:", err)
		os.Exit(1)
	}
}

// kinds say where passages are taken from, as patterns below the distribution's folder.
var kinds = []struct {
	name  string
	files []string
}{
	{"English", []string{"doc/*.html", "doc/*.md", "*.md"}},
	{"code", []string{"src/net/http/*.go", "src/encoding/*/*.go", "src/strings/*.go", "src/sort/*.go", "src/go/*/*.go"}},
}

func run(out io.Writer, root string, n, size, skip int) error {
	if root == "" {
		text, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			return fmt.Errorf("asking the go command for its folder: %w", err)
		}
		root = strings.TrimSpace(string(text))
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	for _, k := range kinds {
		text, err := read(root, k.files)
		if err != nil {
			return err
		}
		passages := passagesOf(text, size)
		if len(passages) < n*(skip+1) {
			return fmt.Errorf("%d passages of %s below %s, of %d that are asked for", len(passages), k.name, root, n*(skip+1))
		}
		for i := range n { // spread over all of them
			at := i * len(passages) / n
			if err := e.Encode(map[string]string{"text": passages[at+skip], "kind": k.name}); err != nil {
				return err
			}
		}
	}
	return nil
}

var (
	tags  = regexp.MustCompile(`(?s)<!--.*?-->|<[^>]*>`)
	blank = regexp.MustCompile(`\n\s*\n+`)
)

// read returns what is in files, in the order of their names, pages without their markup. Tests are left out.
func read(root string, patterns []string) (string, error) {
	var text strings.Builder
	for _, p := range patterns {
		names, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(p)))
		if err != nil {
			return "", err
		}
		slices.Sort(names)
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			data, err := os.ReadFile(name)
			if err != nil {
				return "", err
			}
			s := string(data)
			if strings.HasSuffix(name, ".html") {
				s = blank.ReplaceAllString(html.UnescapeString(tags.ReplaceAllString(s, "")), "\n\n")
			}
			text.WriteString(s + "\n")
		}
	}
	if text.Len() == 0 {
		return "", errors.New("none of " + strings.Join(patterns, ", ") + " is below " + root)
	}
	return text.String(), nil
}

// passagesOf cuts a text at line ends into parts of at least size bytes.
func passagesOf(text string, size int) (out []string) {
	var part strings.Builder
	for line := range strings.Lines(text) {
		if part.WriteString(line); part.Len() >= size {
			out = append(out, strings.TrimSpace(part.String()))
			part.Reset()
		}
	}
	return out
}
