package main

import (
	"bytes"
	_ "embed"
	"errors"
	"html/template"
	"os"
	"path"
	"path/filepath"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed style.css
	style []byte

	layout = template.Must(template.New("page").Parse(pageHTML))
)

// shown is what the template has of a page.
type shown struct {
	Title, Style, Home, Source, History string
	Body                                template.HTML
	Headings                            []heading
	Sections                            []listed
}

// listed is a section of the navigation, with links as they are from one page.
type listed struct {
	Title string
	Pages []entry
}

type entry struct {
	Title, Link string
	Here        bool
}

// render returns the site's files by their paths.
func (s *site) render() (map[string][]byte, error) {
	files := map[string][]byte{"style.css": style}
	for _, p := range s.pages {
		s.link(p)
		out, err := s.page(p)
		if err != nil {
			return nil, err
		}
		files[html(p.file)] = out
		files[p.file] = p.source
	}
	for image := range s.images {
		data, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(image)))
		if err != nil {
			return nil, err
		}
		files[image] = data
	}
	if err := errors.Join(s.errors...); err != nil {
		return nil, err
	}
	return files, errors.Join(dead(files)...)
}

// page is a page's HTML.
func (s *site) page(p *page) ([]byte, error) {
	var body, out bytes.Buffer
	if err := s.markdown.Renderer().Render(&body, p.source, p.tree); err != nil {
		return nil, err
	}
	from := html(p.file)
	text := body.Bytes()
	text = bytes.ReplaceAll(text, []byte("<table>"), []byte(`<div class="wide" tabindex="0"><table>`))
	text = bytes.ReplaceAll(text, []byte("</table>"), []byte("</table></div>"))
	v := shown{Title: p.title, Style: relative(from, "style.css"), Home: relative(from, "index.html"), Source: relative(from, p.file),
		History: repository + "/blob/main/" + path.Clean(p.file), Body: template.HTML(text), Headings: p.headings}
	for _, section := range s.sections {
		l := listed{Title: section.Title}
		for _, q := range section.pages {
			l.Pages = append(l.Pages, entry{q.title, relative(from, html(q.file)), q == p})
		}
		v.Sections = append(v.Sections, l)
	}
	err := layout.Execute(&out, v)
	return out.Bytes(), err
}
