package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// book is the file of results, one per line.
type book struct {
	tree    *tree
	file    *os.File
	results map[string]result // by key
	killers map[string]string // by mutant: what killed it last, of whichever sources; it is asked first
}

// openBook reads the results that hold for the tree: those of other sources are left where they are. A result is believed only with
// the tests that gave it, but for kills where kept is set.
func openBook(name string, t *tree, kept bool) (*book, error) {
	b := &book{tree: t, results: map[string]result{}, killers: map[string]string{}}
	data, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	type line struct {
		Key string `json:"key"`
		result
	}
	for text := range strings.Lines(string(data)) {
		var l line
		if json.Unmarshal([]byte(text), &l) != nil {
			continue // a run that was killed as it wrote
		}
		if l.Verdict != survives {
			b.killers[l.Mutant] = l.By
		}
		if l.Tests == b.tests() || kept && l.Verdict != survives {
			b.results[l.Key] = l.result
		}
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	b.file, err = os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	return b, err
}

func (b *book) tests() string { return fmt.Sprintf("%.8x", b.tree.tests) }

// add appends a result.
func (b *book) add(key string, r result) error {
	r.Tests = b.tests()
	b.results[key] = r
	text, err := json.Marshal(struct {
		Key string `json:"key"`
		result
	}{key, r})
	if err != nil {
		return err
	}
	_, err = b.file.Write(append(text, '\n'))
	return err
}

func (b *book) close() { b.file.Close() }

// readArguments reads survivors.txt: paragraphs whose first lines name mutants, with "- " before them, and whose other lines say why
// these may survive. Lines with # are comments.
func readArguments(name string) (map[string]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := map[string]string{}
	var names []string
	var why []string
	flush := func() error {
		if len(names) > 0 && len(why) == 0 || len(names) == 0 && len(why) > 0 {
			return fmt.Errorf("%s: a paragraph is mutants and their argument: %q %q", name, names, why)
		}
		for _, n := range names {
			if _, twice := out[n]; twice {
				return fmt.Errorf("%s: two arguments for %s", name, n)
			}
			out[n] = strings.Join(why, " ")
		}
		names, why = nil, nil
		return nil
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		switch text := strings.TrimSpace(lines.Text()); {
		case strings.HasPrefix(text, "#"):
		case text == "":
			if err := flush(); err != nil {
				return nil, err
			}
		case strings.HasPrefix(text, "- ") && len(why) == 0:
			names = append(names, text[2:])
		default:
			why = append(why, text)
		}
	}
	return out, errors.Join(flush(), lines.Err())
}

// tally counts verdicts; argued are among the survivors.
type tally struct {
	total, argued int
	by            map[verdict]int
}

func (t *tally) add(v verdict, argued bool) {
	t.total++
	if t.by == nil {
		t.by = map[verdict]int{}
	}
	t.by[v]++
	if argued && v == survives {
		t.argued++
	}
}

func (t *tally) row(name string) string {
	b := t.by
	return fmt.Sprintf("%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n",
		name, t.total, b[accepts], b[refuses], b[panics], b[hangs], b[honest], b[survives], t.argued)
}

// report prints the tables and what is wrong. Arguments about mutants that are not there are looked for where all were chosen.
func report(w io.Writer, t *tree, sites []*site, book *book, arguments map[string]string, all bool) (ok bool) {
	packages, kinds, sum := map[string]*tally{}, map[string]*tally{}, &tally{}
	var wrong []string
	named := map[string]bool{}
	for _, s := range sites {
		name := s.String()
		named[name] = true
		r, tried := book.results[s.key(t)]
		if !tried {
			wrong = append(wrong, "not tried: "+name)
			continue
		}
		_, argued := arguments[name]
		for _, m := range []*tally{of(packages, s.pkg), of(kinds, s.kind), sum} {
			m.add(r.Verdict, argued)
		}
		switch {
		case r.Verdict == survives && !argued:
			wrong = append(wrong, fmt.Sprintf("survives: %s (%s:%d)", name, s.file, s.line))
		case r.Verdict != survives && argued:
			wrong = append(wrong, fmt.Sprintf("argued for, but killed by %s: %s", r.By, name))
		}
	}
	for name := range arguments {
		if all && !named[name] {
			wrong = append(wrong, "argued for, but gone: "+name)
		}
	}
	table(w, "package", packages, sum)
	table(w, "kind", kinds, sum)
	slices.Sort(wrong)
	for _, line := range wrong {
		fmt.Fprintln(w, line)
	}
	return len(wrong) == 0
}

func of(m map[string]*tally, name string) *tally {
	if m[name] == nil {
		m[name] = &tally{}
	}
	return m[name]
}

// table prints tallies. The columns: all; killed by a test that demands a rejection, because a lie was accepted, because something else
// refused it, because of a panic, because it took too long; dead because honest proofs fail; alive; alive with an argument.
func table(w io.Writer, head string, rows map[string]*tally, sum *tally) {
	var names []string
	for n := range rows {
		names = append(names, n)
	}
	slices.Sort(names)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tw, "%s\tmutants\ta lie accepted\trefused otherwise\tpanics\thangs\thonest proofs fail\tsurvive\targued\t\n", head)
	for _, n := range names {
		fmt.Fprint(tw, rows[n].row(n))
	}
	fmt.Fprintln(tw, sum.row("all"))
	tw.Flush()
}
