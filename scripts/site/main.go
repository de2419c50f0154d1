// Command site makes the documentation's pages out of Markdown files of the repository: those that docs/README.md lists, where they lie.
// Each becomes a page of HTML, with its Markdown beside it. It fails where a link leads nowhere: to a page, to a heading, or to a file of
// the repository. With -generate it writes what pages have of the repository instead: the page of commands out of the help texts, the
// tables of REPORTS.md out of the structures that are printed, pictures out of CURVES.md, and a table out of BENCH.md.
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
	generate := flag.Bool("generate", false, "write docs/commands.md anew, out of the help texts that tests compare with the programs, the tables of REPORTS.md, and what docs has of CURVES.md and BENCH.md")
	flag.Parse()
	if err := run(*root, *out, *generate); err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
}

func run(root, out string, generate bool) error {
	if generate {
		files, err := generated(root)
		if err != nil {
			return err
		}
		return write(root, files)
	}
	s, err := read(root)
	if err != nil {
		return err
	}
	files, err := s.render()
	if err != nil {
		return err
	}
	if err := write(out, files); err != nil {
		return err
	}
	fmt.Printf("%s: %d pages, no dead link\n", filepath.Join(out, "index.html"), len(s.pages))
	return nil
}

// generated returns the files of the repository that this command writes.
func generated(root string) (map[string][]byte, error) {
	page, err := commands(root)
	if err != nil {
		return nil, err
	}
	compared, err := comparisons(root)
	if err != nil {
		return nil, err
	}
	members, err := reports(root)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{commandsPage: page, comparisonsPage: compared, reportsPage: members}
	for _, p := range pictures {
		if files[p.file], err = p.draw(root); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func write(dir string, files map[string][]byte) error {
	for name, data := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
