package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var when = time.Unix(1_700_000_000, 0)

// The bytes of an archive follow from its files, in whatever order they come and wherever the clock stands; what is in it has its mode and time.
func TestArchivesAreReproducible(t *testing.T) {
	files := []member{{name: "z/b", data: []byte("text")}, {name: "z/a", data: bytes.Repeat([]byte("program"), 1000), program: true}}
	other := slices.Clone(files)
	slices.Reverse(other)
	for name, write := range map[string]func(io.Writer, []member, time.Time) error{"tar": writeTar, "zip": writeZip} {
		var a, b, c bytes.Buffer
		require.NoError(t, errors.Join(write(&a, files, when), write(&b, other, when.In(time.FixedZone("elsewhere", 3600))), write(&c, files, when.Add(time.Hour))))
		require.Equal(t, a.Bytes(), b.Bytes(), name)
		require.NotEqual(t, a.Bytes(), c.Bytes(), name)
		var names []string
		if name == "zip" {
			r, err := zip.NewReader(bytes.NewReader(a.Bytes()), int64(a.Len()))
			require.NoError(t, err)
			for _, f := range r.File {
				names = append(names, f.Name)
				require.True(t, f.Modified.Equal(when))
				require.Equal(t, f.Name == "z/a", f.Mode().Perm() == 0o755)
			}
		} else {
			z, err := gzip.NewReader(&a)
			require.NoError(t, err)
			for r := tar.NewReader(z); ; {
				h, err := r.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				require.NoError(t, err)
				names = append(names, h.Name)
				require.True(t, h.ModTime.Equal(when))
				require.Equal(t, h.Name == "z/a", h.Mode == 0o755)
				require.Zero(t, h.Uid+h.Gid)
			}
		}
		require.Equal(t, []string{"z/a", "z/b"}, names)
	}
}

// A comparison notices another byte, and a file that is missing.
func TestSame(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	put := func(dir, name, data string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600))
	}
	require.Error(t, same(a, b), "nothing was built")
	put(a, "x", "1")
	require.ErrorContains(t, same(a, b), "1 files and 0")
	put(b, "x", "1")
	require.NoError(t, same(a, b))
	put(b, "x", "2")
	require.ErrorContains(t, same(a, b), "x differs")
}

// What git, the user and his shell say about builds changes nothing.
func TestEnvironment(t *testing.T) {
	for _, name := range []string{"GOFLAGS", "GOAMD64", "GOEXPERIMENT", "GODEBUG", "GOOS"} {
		t.Setenv(name, "strange")
	}
	t.Setenv("GOCACHE", "/kept")
	env := environment("GOOS=linux")
	require.NotContains(t, strings.Join(env, "\n"), "strange")
	require.Contains(t, env, "GOCACHE=/kept")
	require.Contains(t, env, "GOOS=linux")
}

// A help text stands in its manual page as it is.
func TestPage(t *testing.T) {
	text := string(page("a-b", "does", ".x\n  --y \\n\n'z", when))
	require.Contains(t, text, ".TH \"A-B\" \"1\" \"Nov 2023\"")
	require.Contains(t, text, "a\\-b \\- does\n.SH DESCRIPTION\n.nf\n\\&.x\n  \\-\\-y \\en\n\\&'z\n.fi\n")
}

// Tools run here, whatever somebody builds for elsewhere.
func TestToolEnvironment(t *testing.T) {
	t.Setenv("GOOS", "plan9")
	t.Setenv("GOEXPERIMENT", "none")
	t.Setenv("GOFLAGS", "-mod=vendor")
	env := toolEnvironment()
	require.NotContains(t, env, "GOOS=plan9")
	require.NotContains(t, env, "GOEXPERIMENT=none")
	require.NotContains(t, env, "GOFLAGS=-mod=vendor")
	require.Contains(t, env, "PATH="+os.Getenv("PATH"))
}

// A folder that is no earlier release, or holds more than one, is left alone.
func TestEmpty(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	require.NoError(t, empty(filepath.Join(dir, "none")))
	write("letter", "")
	require.ErrorContains(t, empty(dir), "holds letter, which no earlier release wrote")
	write(sumsFile, "00  a.tar.gz\n")
	write("a.tar.gz", "")
	require.ErrorContains(t, empty(dir), "holds letter")
	require.NoError(t, os.Remove(filepath.Join(dir, "letter")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "work"), 0o700))
	require.ErrorContains(t, empty(dir), "holds work")
	require.FileExists(t, filepath.Join(dir, "a.tar.gz"))
	require.NoError(t, os.Remove(filepath.Join(dir, "work")))
	require.NoError(t, empty(dir))
	require.NoDirExists(t, dir)
}
