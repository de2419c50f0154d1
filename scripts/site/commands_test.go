package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark/ast"
)

// A block is one fenced piece of a page below docs:
//
//	sh            commands that need Go and a POSIX shell alone; make test runs them
//	sh clone      how the clone comes about and what $ZKLLMC is; make test has a clone, make docs-test makes one
//	sh slow       commands that need more: make docs-test runs them
//	text          behind commands: what they print, in this order, lines of it left out; … stands for anything
//	url slow      an address that make docs-test opens in Chromium, to press the page's button there; text behind it is the page's verdict
//	LANGUAGE FILE a file, in text too, that is written before the commands behind it run
//
// All blocks of a page are one session, in a folder of its own.
type block struct {
	line           int
	language, more string // the first word of the info string, and the second
	text           string
	shows          *block // the text behind it
}

// blocks returns the fenced pieces of a page. Any other kind is an error, so that nothing stands there that no test looks at.
func blocks(p *page) ([]*block, error) {
	var out []*block
	var last *block
	err := ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if n.Kind() == ast.KindCodeBlock {
			return ast.WalkStop, fmt.Errorf("%s:%d: code is fenced, with a word for what it is", p.file, p.line(n))
		}
		f, ok := n.(*ast.FencedCodeBlock)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		b := &block{line: p.line(n), text: string(f.Lines().Value(p.source))}
		if f.Info != nil {
			b.language, b.more, _ = strings.Cut(string(f.Info.Value(p.source)), " ")
		}
		switch {
		case b.language == "text" && b.more == "":
			if last != nil && last.shows == nil {
				last.shows = b
			}
			return ast.WalkContinue, nil
		case b.language == "sh" && (b.more == "" || b.more == "slow" || b.more == "clone"), b.language == "url" && b.more == "slow":
			last = b
		case b.language == "" || b.language == "sh" || b.language == "url" || b.more == "" || !filepath.IsLocal(b.more):
			return ast.WalkStop, fmt.Errorf("%s:%d: %q is no kind of block that a test looks at", p.file, b.line, b.language+" "+b.more)
		}
		out = append(out, b)
		return ast.WalkContinue, nil
	})
	return out, err
}

// script makes one shell script of a page's blocks, which prints a line with a number after each, and says which blocks it runs.
func (s *session) script(all []*block) (script string, run []*block) {
	var out strings.Builder
	out.WriteString("set -e\njobs_file=$PWD/.jobs\ntrap 'jobs -p >\"$jobs_file\"; kill $(cat \"$jobs_file\") 2>/dev/null || :' EXIT\n") // whatever happens, no server stays
	for _, b := range all {
		switch {
		case b.more == "clone" && !s.slow:
			fmt.Fprintf(&out, "export ZKLLMC=%s\n", quoted(s.clone))
		case b.more == "slow" && !s.slow:
			continue
		case b.language == "sh":
			out.WriteString(strings.ReplaceAll(b.text, port, s.port))
		case b.language == "url":
			fmt.Fprintf(&out, "(cd %s && node open.mjs %s)\n", quoted(s.browser), quoted(strings.ReplaceAll(strings.TrimSpace(b.text), port, s.port)))
		default:
			fmt.Fprintf(&out, "mkdir -p %s\ncat >%s <<'END OF FILE'\n%sEND OF FILE\n", quoted(filepath.Dir(b.more)), quoted(b.more), strings.ReplaceAll(b.text, port, s.port))
		}
		run = append(run, b)
		fmt.Fprintf(&out, "echo '%s'\n", mark)
	}
	return out.String(), run
}

const (
	mark = "-- end of a block --"
	port = "8080" // what the pages listen on; a test takes a port that is free
)

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// A session runs the pages' commands.
type session struct {
	clone, browser, port string
	slow                 bool
	env                  []string
}

// What a page begins with, of what another one ends with: a customer has what the provider made.
var given = map[string][]string{
	"docs/customers.md": {"docs/providers.md", "sums.bundle", "statement.bin", "proof.bin"},
	"docs/services.md":  {"docs/providers.md", "sums", "sums.bundle", "statement.bin", "proof.bin"},
}

// TestCommands runs the commands of every page below docs, in order, and compares what they print with what the page says that they print.
// make docs-test runs them all, in a new clone of this repository, with ZKLLMC_DOCS a Python that has PyTorch.
func TestCommands(t *testing.T) {
	if testing.Short() || runtime.GOOS == "windows" {
		t.Skip("needs the Go toolchain and a POSIX shell")
	}
	site, err := read(root)
	require.NoError(t, err)
	clone, err := filepath.Abs(root)
	require.NoError(t, err)
	s := &session{clone: clone, port: freePort(t), slow: os.Getenv("ZKLLMC_DOCS") != "", env: append(os.Environ(), "GOFLAGS=-ldflags=-w -buildvcs=false")}
	if s.slow {
		s.prepare(t, os.Getenv("ZKLLMC_DOCS"))
	} else {
		s.env = append(s.env, "GOPROXY=off")
	}
	folders := map[string]string{}
	for _, section := range site.sections {
		for _, p := range section.pages {
			if !strings.HasPrefix(p.file, "docs/") {
				continue
			}
			all, err := blocks(p)
			require.NoError(t, err)
			dir := t.TempDir()
			folders[p.file] = dir
			t.Run(filepath.Base(p.file), func(t *testing.T) {
				if from := given[p.file]; from != nil {
					for _, name := range from[1:] {
						out, err := exec.CommandContext(t.Context(), "cp", "-R", filepath.Join(folders[from[0]], name), dir).CombinedOutput()
						require.NoError(t, err, "%s", out)
					}
				}
				s.run(t, p, all, dir)
			})
		}
	}
}

// run runs a page's blocks in a folder.
func (s *session) run(t *testing.T, p *page, all []*block, dir string) {
	script, run := s.script(all)
	if len(run) == 0 {
		return
	}
	c := exec.CommandContext(t.Context(), "/bin/sh", "-c", script)
	c.Dir, c.Env, c.WaitDelay = dir, append(s.env, "PWD="+dir), 10*time.Second
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	parts := strings.Split(string(out), mark+"\n")
	if err != nil || len(parts) != len(run)+1 {
		t.Fatalf("%s:%d: %v", p.file, run[min(len(parts)-1, len(run)-1)].line, err)
	}
	for i, b := range run {
		if b.shows != nil {
			if line := missing(b.shows.text, parts[i]); line != "" {
				t.Errorf("%s:%d: the commands above do not print this, or not in this order: %s", p.file, b.shows.line, line)
			}
		}
	}
}

// missing returns the first line of what is shown that is not printed, behind the ones before it; … stands for anything.
func missing(shown, printed string) string {
	lines := strings.Split(printed, "\n")
	for line := range strings.Lines(shown) {
		line = strings.TrimSpace(line)
		like := regexp.MustCompile("^\\s*" + strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + "\\s*$")
		for len(lines) > 0 && !like.MatchString(lines[0]) {
			lines = lines[1:]
		}
		if len(lines) == 0 {
			return line
		}
	}
	return ""
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	defer l.Close()
	_, number, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return number
}

// prepare sets up what the slow blocks need: git takes the clone from here, python3 is the given one, whose packages environments made by it
// see, and node has Chromium.
func (s *session) prepare(t *testing.T, python string) {
	path, err := exec.LookPath(python)
	require.NoError(t, err)
	packages, err := exec.Command(path, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").Output()
	require.NoError(t, err)
	s.env = append(s.env, "PATH="+filepath.Dir(path)+string(os.PathListSeparator)+os.Getenv("PATH"), "PYTHONPATH="+strings.TrimSpace(string(packages)),
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url."+s.clone+".insteadOf", "GIT_CONFIG_VALUE_0="+repository)
	s.browser = t.TempDir()
	require.NoError(t, os.CopyFS(s.browser, os.DirFS(filepath.Join(root, "web", "page", "browser"))))
	open, err := os.ReadFile(filepath.Join("testdata", "open.mjs"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(s.browser, "open.mjs"), open, 0o600))
	c := exec.CommandContext(t.Context(), "npm", "ci", "--no-fund", "--no-audit", "--silent")
	c.Dir = s.browser
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// What no test would run or compare is refused, and lines that are not printed are found.
func TestBlocks(t *testing.T) {
	s := &site{markdown: newMarkdown()}
	of := func(text string) ([]*block, error) {
		s.root = t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(s.root, "p.md"), []byte(text), 0o600))
		p, err := s.parse("p.md")
		require.NoError(t, err)
		return blocks(p)
	}
	for _, wrong := range []string{"```\nx\n```\n", "```bash\nx\n```\n", "```sh later\nx\n```\n", "```go\nx\n```\n", "```go ../x\nx\n```\n", "    x\n", "```url\nx\n```\n"} {
		_, err := of("# P\n\n" + wrong)
		require.Error(t, err, wrong)
	}
	all, err := of("# P\n\n```sh\necho a b; echo c\n```\n\n```text\na …\nc\n```\n\n```go main.go\npackage main\n```\n\n```sh slow\nexit 1\n```\n")
	require.NoError(t, err)
	script, run := (&session{}).script(all)
	require.Len(t, run, 2)
	require.Contains(t, script, "\ncat >'main.go' <<'END OF FILE'\npackage main\nEND OF FILE\n")
	require.NotContains(t, script, "exit 1")
	c := exec.Command("/bin/sh", "-c", script)
	c.Dir = t.TempDir()
	out, err := c.Output()
	require.NoError(t, err)
	printed, _, _ := bytes.Cut(out, []byte(mark))
	require.Empty(t, missing(all[0].shows.text, string(printed)))
	require.Equal(t, "d", missing("a b\nd\n", string(printed)))
	require.Equal(t, "a …", missing("c\na …\n", string(printed)))
}
