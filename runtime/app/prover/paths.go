package prover

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/format"
)

// path is a file of the command line with the flag that names it. An empty name stands for none.
type path struct{ flag, name string }

// apart refuses, before any work, to write over a file that is read, or two outputs to one file. With --force the first would be lost.
func apart(outputs []path, inputs ...path) error {
	for i, o := range outputs {
		switch o.name {
		case "":
			return console.Usagef("%s is empty", o.flag)
		case "-":
			return console.Usagef(`%s is "-", but nothing is written to the standard output: name a file`, o.flag)
		}
		for _, in := range inputs {
			if in.name != "" && sameFile(o.name, in.name) {
				return console.Usagef("%s would write over %s, the file of %s", o.flag, in.name, in.flag)
			}
		}
		for _, other := range outputs[:i] {
			if sameFile(o.name, other.name) {
				return console.Usagef("%s and %s name the same file %s", other.flag, o.flag, o.name)
			}
		}
	}
	return nil
}

// sameFile says whether two names are of one file, or of one that is yet to be written.
func sameFile(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) || sameInode(a, b) {
		return true
	}
	return filepath.Base(a) == filepath.Base(b) && sameInode(filepath.Dir(a), filepath.Dir(b))
}

func sameInode(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// replaceable refuses to write over prover keys, whatever the flags: nothing brings one back.
func replaceable(names ...string) error {
	for _, n := range names {
		if atomicfile.Head(n, len(format.MagicProverKey)) == format.MagicProverKey {
			return console.Usagef("%s is a prover key; it is secret and cannot be made again, and is not replaced even with --force", n)
		}
	}
	return nil
}

// writable refuses, before any work, to write over a file or where no file can be written.
func writable(force bool, names ...string) error {
	for _, n := range names {
		if err := atomicfile.Check(n, atomicfile.Options{Replace: force}); err != nil {
			return writeFailure(n, err)
		}
	}
	return nil
}

// writeFailure says what an error of writing a file means. The name of the temporary file, which such errors hold, is left out.
func writeFailure(name string, err error) error {
	cause, dir := err, filepath.Dir(name)
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.Is(err, atomicfile.ErrExists):
		return console.Usagef("%w; --force replaces it", err)
	case errors.As(err, &p):
		cause = p.Err
	case errors.As(err, &l):
		cause = l.Err
	default:
		return console.Unusable(err)
	}
	switch {
	case errors.Is(cause, fs.ErrNotExist):
		return console.Unusable(fmt.Errorf("%s: the folder %s does not exist; create it", name, dir))
	case errors.Is(cause, fs.ErrPermission), errors.Is(cause, syscall.EROFS):
		return console.Unusable(fmt.Errorf("%s: the folder %s is not writable: %w", name, dir, cause))
	}
	return console.Unusable(fmt.Errorf("write %s: %w", name, cause))
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
		return nil, console.Unusable(err)
	}
	return undo, nil
}

// readFile reads a file of a kind. One that is too large is refused for being of another kind, if it is.
func readFile(name, magic string, limit int64) ([]byte, error) {
	data, err := atomicfile.Read(name, limit)
	if errors.Is(err, atomicfile.ErrSize) {
		if head := atomicfile.Head(name, len(format.MagicProverKey)); strings.HasPrefix(head, "zkllm-") && head != magic {
			_, err = format.NewReader([]byte(head), magic, [32]byte{}) // it has no digest: the kind is refused before
			err = fmt.Errorf("%s: %w", name, err)
		}
	}
	if err == nil && len(data) == 0 {
		err = fmt.Errorf("%s: the file is empty", name)
	}
	return data, err
}
