package main

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// maxModule bounds the archive that whoever requires the module downloads.
const maxModule = 8 << 20

// counter counts what is written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// tracked is a file that git tracks, as part of an archive.
type tracked string

func (f tracked) Path() string                 { return string(f) }
func (f tracked) Lstat() (os.FileInfo, error)  { return os.Lstat(string(f)) }
func (f tracked) Open() (io.ReadCloser, error) { return os.Open(string(f)) }

// A tagged commit can be required by others: its archive is one that module proxies accept, of bounded size, with a licence, and its
// go.mod has nothing that only holds where the module is the main one.
func TestModuleCanBeRequired(t *testing.T) {
	data, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(mod.Replace) > 0 || len(mod.Exclude) > 0 || len(mod.Tool) > 0 {
		t.Error("go.mod replaces, excludes or installs: that has no effect, or another one, where the module is required")
	}
	if _, err := os.Stat("LICENSE"); err != nil {
		t.Error(err)
	}
	list, err := exec.Command("git", "ls-files", "-z").Output()
	if err != nil {
		t.Skip("not a git checkout: what belongs to the module is what git tracks")
	}
	var files []zip.File
	for _, name := range strings.Split(strings.TrimRight(string(list), "\x00"), "\x00") {
		if _, err := os.Lstat(name); err == nil { // one that is deleted and not yet committed is gone
			files = append(files, tracked(name))
		}
	}
	var size counter
	if err := zip.Create(&size, module.Version{Path: mod.Module.Mod.Path, Version: "v0.0.0-test"}, files); err != nil {
		t.Fatal(err)
	}
	if size > maxModule {
		t.Errorf("the module's archive has %d bytes, the limit is %d", size, maxModule)
	}
	t.Logf("the module's archive has %d files and %d bytes", len(files), size)
}
