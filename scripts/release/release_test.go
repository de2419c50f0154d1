package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/console"
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
	for name, value := range map[string]string{"GOFLAGS": "-tags=strange", "GOAMD64": "v4", "GODEBUG": "strange=1", "GOOS": "plan9", "GOCACHE": "/kept", "GONOPROXY": "kept.example"} {
		t.Setenv(name, value)
	}
	file := filepath.Join(t.TempDir(), "env") // as go env -w writes it
	require.NoError(t, os.WriteFile(file, []byte("GOINSECURE=kept.example\nGOARM64=v9.0\nGOFLAGS=-tags=strange\n"), 0o600))
	t.Setenv("GOENV", file)
	env, err := environment(t.Context(), "GOOS=linux")
	require.NoError(t, err)
	require.NotContains(t, strings.Join(env, "\n"), "strange")
	for _, want := range []string{"GOCACHE=/kept", "GONOPROXY=kept.example", "GOINSECURE=kept.example", "GOOS=linux", "GOAMD64=v1", "GOARM64=v8.0", "GOENV=off"} {
		require.Contains(t, env, want)
	}
	require.NotContains(t, env, "GOOS=plan9")
}

// A program of a version compiles for a module proxy, as one that go install fetched does; one of a commit without a tag names the commit.
func TestPrograms(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	model := filepath.Join(root, "models", "sums")
	for _, r := range []*release{{version: "v0.9.0", commit: "0123abcd", sum: "h1:abc="}, {commit: "0123abcd"}} {
		work := t.TempDir()
		program, err := r.program(t.Context(), work, runtime.GOOS+"/"+runtime.GOARCH, "zkllmc", console.Module)
		require.NoError(t, err)
		code := filepath.Join(work, "code")
		args := []string{"compile", filepath.Join(model, "model.onnx"), "-o", code, "--reveal", "argmax", "--tokenizer", filepath.Join(model, "vocab.json"), "--calibrate", model}
		if r.version == "" {
			_, err = output(t.Context(), nil, program, args...)
			require.ErrorContains(t, err, "development build")
			args = append(args, "--runtime-path", root)
		}
		_, err = output(t.Context(), nil, program, args...)
		require.NoError(t, err)
		gomod, err := os.ReadFile(filepath.Join(code, "go.mod"))
		require.NoError(t, err)
		gosum, err := os.ReadFile(filepath.Join(code, "go.sum"))
		require.NoError(t, err)
		if r.version == "" {
			require.Contains(t, string(gomod), "with a clone of commit 0123abcd;")
			continue
		}
		require.Contains(t, string(gomod), "require "+console.Module+" v0.9.0\n")
		require.NotContains(t, string(gomod), "replace")
		require.Contains(t, string(gosum), console.Module+" v0.9.0 h1:abc=\n"+console.Module+" v0.9.0/go.mod h1:")
	}
}

// The hash of a version is that of what module proxies serve: of the files of the commit, and not of other modules in it, nor of what only lies there.
func TestModuleSum(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("go.mod", "module "+console.Module+"\n")
	write("a/a.go", "package a\n")
	write("other/go.mod", "module other\n")
	git := func(args ...string) string {
		out, err := output(t.Context(), nil, "git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
		require.NoError(t, err)
		return out
	}
	git("init", "-q")
	git("add", ".")
	git("commit", "-qm", "a")
	write("untracked.go", "package x\n")
	var list strings.Builder
	for _, name := range []string{"a/a.go", "go.mod"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		fmt.Fprintf(&list, "%x  %s@v0.9.0/%s\n", sha256.Sum256(data), console.Module, name)
	}
	sum := sha256.Sum256([]byte(list.String()))
	got, err := moduleSum(dir, "v0.9.0", git("rev-parse", "HEAD"))
	require.NoError(t, err)
	require.Equal(t, "h1:"+base64.StdEncoding.EncodeToString(sum[:]), got)
	for _, tag := range []string{"v1", "v2.0.0", "version"} {
		_, err := moduleSum(dir, tag, "HEAD")
		require.ErrorContains(t, err, "is no version of a module")
	}
}

// Checksums of another build have to be the same, and of the same files; a build of some platforms has fewer.
func TestCompareSums(t *testing.T) {
	dir := t.TempDir()
	theirs := filepath.Join(dir, "theirs")
	compare := func(here, there string, whole bool) (string, error) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, sumsFile), []byte(here), 0o600))
		require.NoError(t, os.WriteFile(theirs, []byte(there), 0o600))
		var out bytes.Buffer
		err := compareSums(&out, theirs, dir, whole)
		return out.String(), err
	}
	const a, b, images = "00  a.tar.gz\n", "01  b.tar.gz\n", "02  x_image_oci.tar\n"
	said, err := compare(a+b+images, a+b+images, true)
	require.NoError(t, err)
	require.Equal(t, 3, strings.Count(said, "as in "))
	said, err = compare(a+images, a+b+"03  x_image_oci.tar\n", false)
	require.NoError(t, err)
	require.Contains(t, said, "not compared: x_image_oci.tar")
	_, err = compare(a+images, a+b+"03  x_image_oci.tar\n", true)
	require.ErrorContains(t, err, "x_image_oci.tar differs")
	require.ErrorContains(t, err, "b.tar.gz was not built")
	_, err = compare(a+b, a, false)
	require.ErrorContains(t, err, "b.tar.gz is not in")
	_, err = compare("", a, false)
	require.ErrorContains(t, err, "lists nothing")
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
