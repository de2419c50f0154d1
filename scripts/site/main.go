// Command site makes the documentation's pages out of Markdown files of the repository: those that docs/README.md lists, where they lie.
// Each becomes a page of HTML, with its Markdown beside it. It fails where a link leads nowhere: to a page, to a heading, or to a file of
// the repository. With -reference it writes the page of commands out of the help texts instead.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", ".", "the repository")
	out := flag.String("o", "build/site", "folder for the site")
	reference := flag.Bool("reference", false, "write docs/commands.md anew, out of the help texts that tests compare with the programs")
	flag.Parse()
	if err := run(*root, *out, *reference); err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
}

func run(root, out string, reference bool) error {
	if reference {
		page, err := commands(root)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(root, commandsPage), page, 0o644)
	}
	s, err := read(root)
	if err != nil {
		return err
	}
	files, err := s.render()
	if err != nil {
		return err
	}
	for name, data := range files {
		file := filepath.Join(out, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("%s: %d pages, no dead link\n", filepath.Join(out, "index.html"), len(s.pages))
	return nil
}
