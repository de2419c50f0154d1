package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// twice builds the commit in two folders of different depth, with caches, flags, umask and time zone of their own, at two times, and compares
// all bytes. What the second one built is left in out.
func twice(ctx context.Context, out string, platforms []string) error {
	var r release
	epoch, err := r.describe(ctx)
	if err != nil {
		return err
	}
	if err := replaceable(out); err != nil { // before the work, not after it
		return err
	}
	work, err := os.MkdirTemp("", "release-check-")
	if err != nil {
		return err
	}
	defer func() {
		_ = exec.Command("chmod", "-R", "u+w", work).Run() // of the caches of modules
		_ = os.RemoveAll(work)
	}()
	sources := filepath.Join(work, "sources.tar")
	if _, err := output(ctx, nil, "git", "archive", "-o", sources, "HEAD"); err != nil {
		return err
	}
	for i, where := range []string{"a", "another/and/deeper folder"} {
		dir := filepath.Join(work, where)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if _, err := output(ctx, nil, "tar", "-xf", sources, "-C", dir); err != nil {
			return err
		}
		to := filepath.Join(dir, "build", "out")
		env := append(os.Environ(), []string{"TZ=Asia/Tokyo", "TZ=America/Lima"}[i], []string{"GOFLAGS=-p=1", "GOFLAGS=-race=false -gcflags=-N"}[i], "LC_ALL="+[]string{"C", "C.UTF-8"}[i])
		args := fmt.Sprintf("umask %s && cd %q && exec go run -gcflags= ./scripts/release -o %q -commit %s -version %q -sum %q -epoch %d -platforms %q -cache %q",
			[]string{"022", "077"}[i], dir, to, r.commit, r.version, r.sum, epoch, strings.Join(platforms, " "), filepath.Join(work, fmt.Sprint("cache", i)))
		if _, err := output(ctx, env, "sh", "-c", args); err != nil {
			return err
		}
	}
	first, second := filepath.Join(work, "a", "build", "out"), filepath.Join(work, "another/and/deeper folder", "build", "out")
	if err := same(first, second); err != nil {
		return err
	}
	if err := empty(out); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	return os.CopyFS(out, os.DirFS(second))
}

// same compares the files of two folders, and prints that they are the same.
func same(a, b string) error {
	x, err := os.ReadDir(a)
	if err != nil {
		return err
	}
	y, err := os.ReadDir(b)
	if err != nil {
		return err
	}
	if len(x) == 0 || len(x) != len(y) {
		return fmt.Errorf("%d files and %d", len(x), len(y))
	}
	var differ []error
	for i := range x {
		first, err := os.ReadFile(filepath.Join(a, x[i].Name()))
		if err != nil {
			return err
		}
		second, err := os.ReadFile(filepath.Join(b, x[i].Name()))
		switch {
		case err != nil:
			return err
		case !bytes.Equal(first, second):
			differ = append(differ, fmt.Errorf("%s differs", x[i].Name()))
		default:
			fmt.Printf("the same twice: %s, %d bytes\n", x[i].Name(), len(first))
		}
	}
	return errors.Join(differ...)
}

// compareSums compares the checksums in a folder with those that another build wrote into a file. Of a build of some platforms it leaves out the
// archive that holds the images of all.
func compareSums(to io.Writer, theirs, dir string, whole bool) error {
	listed, err := os.ReadFile(theirs)
	if err != nil {
		return err
	}
	built, err := os.ReadFile(filepath.Join(dir, sumsFile))
	if err != nil {
		return err
	}
	there, here := digests(listed), digests(built)
	var differ []error
	for _, name := range slices.Sorted(maps.Keys(here)) {
		switch digest, ok := there[name]; {
		case !whole && strings.HasSuffix(name, allImages):
			fmt.Fprintf(to, "not compared: %s, which holds the images of those platforms that were built\n", name)
		case !ok:
			differ = append(differ, fmt.Errorf("%s is not in %s", name, theirs))
		case digest != here[name]:
			differ = append(differ, fmt.Errorf("%s differs from the one in %s", name, theirs))
		default:
			fmt.Fprintf(to, "as in %s: %s\n", theirs, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if _, ok := here[name]; whole && !ok {
			differ = append(differ, fmt.Errorf("%s was not built, and is in %s", name, theirs))
		}
	}
	if len(here) == 0 {
		differ = append(differ, fmt.Errorf("%s lists nothing", filepath.Join(dir, sumsFile)))
	}
	return errors.Join(differ...)
}

// allImages is how the name of the archive ends that holds the images of all platforms, which scripts/release/oci writes.
const allImages = "_image_oci.tar"
