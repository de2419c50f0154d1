package verifier

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/console"
	"github.com/zkllmc/zkllmc/internal/format"
)

// savable refuses, before any work, to write where no file can be written, or over the key that is read, or over a prover key.
func savable(name, key string, force bool) error {
	if name == "-" {
		return console.Usagef(`--save is "-", but nothing is written to the standard output: name a file`)
	}
	x, errX := os.Stat(name)
	y, errY := os.Stat(key)
	if filepath.Clean(name) == filepath.Clean(key) || errX == nil && errY == nil && os.SameFile(x, y) {
		return console.Usagef("--save would write over %s, the verifying key", key)
	}
	if atomicfile.Head(name, len(format.MagicProverKey)) == format.MagicProverKey {
		return console.Usagef("%s is a prover key; it is secret and cannot be made again, and is not replaced even with --force", name)
	}
	return saveFailure(name, atomicfile.Check(name, atomicfile.Options{Replace: force}))
}

// saveFailure says what an error of writing a file means. The name of the temporary file, which such errors hold, is left out.
func saveFailure(name string, err error) error {
	var p *fs.PathError
	var l *os.LinkError
	cause, dir := err, filepath.Dir(name)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, atomicfile.ErrExists):
		return console.Usagef("%w; --force replaces it", err)
	case errors.As(err, &p):
		cause = p.Err
	case errors.As(err, &l):
		cause = l.Err
	}
	switch {
	case errors.Is(cause, fs.ErrNotExist):
		err = fmt.Errorf("%s: the folder %s does not exist; create it", name, dir)
	case errors.Is(cause, fs.ErrPermission), errors.Is(cause, syscall.EROFS):
		err = fmt.Errorf("%s: the folder %s is not writable: %w", name, dir, cause)
	case p != nil || l != nil:
		err = fmt.Errorf("write %s: %w", name, cause)
	}
	return &console.Failure{Code: console.Unreadable, Err: err}
}
