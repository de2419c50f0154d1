package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
		args := fmt.Sprintf("umask %s && cd %q && exec go run -gcflags= ./scripts/release -o %q -commit %s -version %q -epoch %d -platforms %q -cache %q",
			[]string{"022", "077"}[i], dir, to, r.commit, r.version, epoch, strings.Join(platforms, " "), filepath.Join(work, fmt.Sprint("cache", i)))
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
