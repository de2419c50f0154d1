package prover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/sealed"
)

// path is a file of the command line with the flag that names it. An empty name stands for none.
type path struct{ flag, name string }

// openPaths are the files that open a key.
func openPaths(o *sealed.OpenFlags) (out []path) {
	for _, f := range o.Files() {
		if f[1] != console.Stdin {
			out = append(out, path{f[0], f[1]})
		}
	}
	return out
}

// names are the files themselves.
func names(paths []path) (out []string) {
	for _, p := range paths {
		out = append(out, p.name)
	}
	return out
}

// piped leaves out of what is written the one that goes to the standard output, if one does: to another program or a file, for it is no text.
// What a command says goes to stderr from then on.
func (a *app) piped(asJSON bool, outputs ...path) (files []path, err error) {
	var flags []string
	for _, o := range outputs {
		if o.name == console.Stdin {
			flags = append(flags, o.flag)
		} else {
			files = append(files, o)
		}
	}
	switch {
	case len(flags) == 0:
		return files, nil
	case len(flags) > 1:
		return nil, console.Usagef("only one of %s and %s goes to the standard output", flags[0], flags[1])
	case asJSON:
		return nil, console.Usagef("%s - and --json both go to the standard output", flags[0])
	case a.terminal:
		return nil, console.Usagef("%s - is for another program or a file, and the standard output is a terminal: what is written is no text", flags[0])
	}
	a.said = a.stderr
	return files, nil
}

// apart refuses, before any work, to write over a file that is read, or two outputs to one file. With --force the first would be lost.
func apart(outputs []path, inputs ...path) error {
	for i, o := range outputs {
		if err := console.Named(o.flag, o.name); err != nil {
			return err
		}
		for _, in := range inputs {
			if in.name != "" && console.SameFile(o.name, in.name) {
				return console.Usagef("%s would write over %s, the file of %s", o.flag, in.name, in.flag)
			}
		}
		for _, other := range outputs[:i] {
			if console.SameFile(o.name, other.name) {
				return console.Usagef("%s and %s name the same file %s", other.flag, o.flag, o.name)
			}
		}
	}
	return nil
}

// makeFolder makes a folder and those above it. undo removes those that it made, as far as they are empty.
func makeFolder(dir string) (undo func(), err error) {
	var made []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Lstat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append(made, d)
	}
	undo = func() {
		for _, d := range made {
			os.Remove(d) // it refuses a folder with something in it
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		undo()
		if errors.Is(err, syscall.ENOTDIR) {
			err = fmt.Errorf("%s: a file stands where a folder is to be made; name another folder", dir)
		}
		return nil, console.Unusable(err)
	}
	return undo, nil
}

// readFile reads a file of a kind, which holds something.
func readFile(name, magic string, limit int64) ([]byte, error) {
	data, err := console.ReadArtefact(name, magic, limit)
	if err == nil && len(data) == 0 {
		err = fmt.Errorf("%s: the file is empty", name)
	}
	return data, err
}

// stored is a file that is read in parts.
type stored struct {
	io.ReaderAt
	io.Closer
	size int64
}

// openSealed opens a file of a kind, of at most limit bytes, which may be encrypted. It is opened, if it is, before the phase of whoever reads it
// begins: somebody may be asked for a passphrase.
func openSealed(ctx context.Context, by *sealed.Opener, name, magic string, limit int64) (stored, error) {
	file, err := openFile(name, magic, limit)
	if err != nil {
		return file, err
	}
	plain, size, err := by.Open(ctx, name, file, file.size)
	if err != nil {
		file.Close()
		if ctx.Err() != nil {
			return file, err
		}
		return file, fmt.Errorf("%s: %w", name, err)
	}
	return stored{plain, file.Closer, size}, nil
}

// openFile opens a file of a kind, of at most limit bytes. What is no regular file, and may be read once only, is read now.
func openFile(name, magic string, limit int64) (stored, error) {
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.Size() > 0 && info.Size() <= limit {
		f, err := os.Open(name)
		return stored{f, f, info.Size()}, err
	}
	data, err := readFile(name, magic, limit)
	return stored{bytes.NewReader(data), io.NopCloser(nil), int64(len(data))}, err
}
