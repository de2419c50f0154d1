package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// start is the first page, whose lists are the order of all others.
const start = "docs/README.md"

// A site is pages of the repository below root.
type site struct {
	root     string
	markdown goldmark.Markdown
	sections []section
	pages    map[string]*page // by their files
	others   map[string]*page // Markdown that is linked to and is no page
	images   map[string]bool
	errors   []error
}

// A section of the navigation is a heading of the first page and the pages that its lists begin with.
type section struct {
	Title string
	pages []*page
}

// A page is one Markdown file.
type page struct {
	file, title, about string // path below root, what the first page calls it and says of it
	source             []byte
	tree               ast.Node
	ids                map[string]bool
	headings           []heading // of the second level
}

type heading struct{ ID, Title string }

func newMarkdown() goldmark.Markdown { return goldmark.New(goldmark.WithExtensions(extension.GFM)) }

// read parses all pages.
func read(root string) (*site, error) {
	s := &site{root: root, markdown: newMarkdown(), pages: map[string]*page{}, others: map[string]*page{}, images: map[string]bool{}}
	first, err := s.parse(start)
	if err != nil {
		return nil, err
	}
	first.title = first.heading()
	s.pages[start] = first
	if err := s.navigation(first); err != nil {
		return nil, err
	}
	listed, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		return nil, err
	}
	for _, file := range listed {
		if name := "docs/" + filepath.Base(file); s.pages[name] == nil {
			s.errors = append(s.errors, fmt.Errorf("%s: %s does not list it", name, start))
		}
	}
	return s, errors.Join(s.errors...)
}

// navigation reads the first page's lists: what an item begins with a link to is a page.
func (s *site) navigation(first *page) error {
	for n := first.tree.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Heading:
			if n.Level == 2 {
				s.sections = append(s.sections, section{Title: plain(n, first.source)})
			}
		case *ast.List:
			for item := n.FirstChild(); item != nil && len(s.sections) > 0; item = item.NextSibling() {
				link, ok := item.FirstChild().FirstChild().(*ast.Link)
				if !ok || !strings.HasSuffix(string(link.Destination), ".md") {
					continue
				}
				p, err := s.parse(path.Join(path.Dir(start), string(link.Destination)))
				if err != nil {
					return err
				}
				p.title = plain(link, first.source)
				p.about = strings.TrimLeft(strings.TrimPrefix(plain(item, first.source), p.title), ":, ")
				last := &s.sections[len(s.sections)-1]
				last.pages = append(last.pages, p)
				s.pages[p.file] = p
			}
		}
	}
	return nil
}

// parse reads a Markdown file of the repository.
func (s *site) parse(file string) (*page, error) {
	source, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(file)))
	if err != nil {
		return nil, err
	}
	p := &page{file: file, source: source, ids: map[string]bool{}}
	p.tree = s.markdown.Parser().Parse(text.NewReader(source))
	return p, ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		h, ok := n.(*ast.Heading)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		title := plain(h, source)
		id := anchor(title)
		for i := 1; p.ids[id]; i++ {
			id = fmt.Sprintf("%s-%d", anchor(title), i)
		}
		p.ids[id] = true
		h.SetAttributeString("id", []byte(id))
		if h.Level == 2 {
			p.headings = append(p.headings, heading{id, title})
		}
		return ast.WalkSkipChildren, nil
	})
}

// heading is what a page's first heading says.
func (p *page) heading() string {
	if h, ok := p.tree.FirstChild().(*ast.Heading); ok {
		return plain(h, p.source)
	}
	return p.file
}

// line is the line of the file in which a node begins.
func (p *page) line(n ast.Node) int {
	for ; n != nil; n = n.Parent() {
		if n.Type() == ast.TypeBlock && n.Lines().Len() > 0 {
			return 1 + bytes.Count(p.source[:n.Lines().At(0).Start], []byte("\n"))
		}
	}
	return 1
}

// plain is the text of a node without its marks.
func plain(n ast.Node, source []byte) string {
	var out strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := n.(*ast.Text); ok && entering {
			out.Write(t.Segment.Value(source))
			if t.SoftLineBreak() {
				out.WriteByte(' ')
			}
		}
		return ast.WalkContinue, nil
	})
	return out.String()
}

// anchor is the name that code hosts give to a heading: letters, digits, hyphens and underscores stay, blanks become hyphens.
func anchor(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, title)
}
