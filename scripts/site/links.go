package main

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/yuin/goldmark/ast"
)

// repository is where files that are no pages can be read.
const repository = "https://github.com/zkllmc/zkllmc"

// html is where a page lies in the site: as in the repository, but that the first page is the site's, too.
func html(file string) string {
	if file == start {
		return "index.html"
	}
	return strings.TrimSuffix(file, ".md") + ".html"
}

// link turns the destinations of a page's links into those of the site, and notes what leads nowhere.
func (s *site) link(p *page) {
	wrong := func(n ast.Node, format string, args ...any) {
		s.errors = append(s.errors, fmt.Errorf("%s:%d: %s", p.file, p.line(n), fmt.Sprintf(format, args...)))
	}
	_ = ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		var to *[]byte
		switch n := n.(type) {
		case *ast.RawHTML:
			wrong(n, "this is HTML, which not every reader of Markdown shows")
		case *ast.HTMLBlock:
			if n.HTMLBlockType != ast.HTMLBlockType2 { // a comment, which nobody shows
				wrong(n, "this is HTML, which not every reader of Markdown shows")
			}
		case *ast.Link:
			to = &n.Destination
		case *ast.Image:
			to = &n.Destination
		}
		if to != nil {
			there, err := s.destination(p, string(*to), n.Kind() == ast.KindImage)
			if err != nil {
				wrong(n, "%v", err)
			}
			*to = []byte(there)
		}
		return ast.WalkContinue, nil
	})
}

// destination is where a link of a page leads in the site.
func (s *site) destination(p *page, to string, image bool) (string, error) {
	u, err := url.Parse(to)
	switch {
	case err != nil:
		return "", err
	case u.Scheme == "https" && !image:
		return to, nil
	case u.Scheme != "" || u.Host != "" || path.IsAbs(u.Path):
		return "", fmt.Errorf("%s: a link is relative or begins with https, and an image is a file of the repository", to)
	}
	file := p.file
	if u.Path != "" {
		file = path.Join(path.Dir(p.file), u.Path)
	}
	info, err := os.Stat(filepath.Join(s.root, filepath.FromSlash(file)))
	if err != nil || strings.HasPrefix(file, "../") || strings.HasPrefix(file, "build/") {
		return "", fmt.Errorf("%s: the repository has no such file", to)
	}
	if image {
		s.images[file] = true
		return relative(html(p.file), file), nil
	}
	there := s.pages[file]
	if there == nil && u.Fragment != "" {
		if there, err = s.other(file); err != nil {
			return "", err
		}
	}
	fragment := ""
	if u.Fragment != "" {
		if !there.ids[u.Fragment] {
			return "", fmt.Errorf("%s: %s has no such heading", to, file)
		}
		fragment = "#" + u.Fragment
	}
	switch {
	case s.pages[file] != nil:
		return relative(html(p.file), html(file)) + fragment, nil
	case info.IsDir():
		return repository + "/tree/main/" + file, nil
	}
	return repository + "/blob/main/" + file + fragment, nil
}

// other is a Markdown file that is no page.
func (s *site) other(file string) (*page, error) {
	if p := s.others[file]; p != nil {
		return p, nil
	}
	if !strings.HasSuffix(file, ".md") {
		return nil, fmt.Errorf("%s has no headings", file)
	}
	p, err := s.parse(file)
	s.others[file] = p
	return p, err
}

// relative is the path of a file of the site from another one.
func relative(from, to string) string {
	out, err := filepath.Rel(path.Dir(from), to)
	if err != nil {
		return to
	}
	return filepath.ToSlash(out)
}

var (
	targets = regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	named   = regexp.MustCompile(` id="([^"]*)"`)
)

// dead lists the links in the pages of a site that lead nowhere in it, without regard to how they came about.
func dead(files map[string][]byte) []error {
	var out []error
	for name, data := range files {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		for _, m := range targets.FindAllSubmatch(data, -1) {
			to, fragment, _ := strings.Cut(string(m[1]), "#")
			if strings.HasPrefix(to, "https://") {
				continue
			}
			there := name
			if to != "" {
				there = path.Join(path.Dir(name), to)
			}
			if _, ok := files[there]; !ok || fragment != "" && !hasID(files[there], fragment) {
				out = append(out, fmt.Errorf("%s: the site has no %s", name, m[1]))
			}
		}
	}
	return out
}

func hasID(data []byte, fragment string) bool {
	id, err := url.PathUnescape(fragment)
	for _, m := range named.FindAllSubmatch(data, -1) {
		if err == nil && bytes.Equal(m[1], []byte(id)) {
			return true
		}
	}
	return false
}
