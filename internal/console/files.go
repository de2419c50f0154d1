package console

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/zkllmc/zkllmc/internal/atomicfile"
	"github.com/zkllmc/zkllmc/internal/format"
)

// SameFile says whether two names are of one file, or of one that is yet to be written.
func SameFile(a, b string) bool {
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

// Named refuses an output without a name, and the name that stands for the standard output elsewhere.
func Named(flag, name string) error {
	switch name {
	case "":
		return Usagef("%s is empty", flag)
	case Stdin:
		return Usagef(`%s is "-", but this is not written to the standard output: name a file`, flag)
	}
	return nil
}

// Replaceable refuses to write over prover keys, and what may be one, whatever the flags: nothing brings one back.
func Replaceable(names ...string) error {
	for _, n := range names {
		switch {
		case atomicfile.Head(n, len(format.MagicProverKey)) == format.MagicProverKey:
			return Askedf("%s is a prover key; it is secret and cannot be made again, and is not replaced even with --force", n)
		case atomicfile.Head(n, len(format.IntroSealed)) == format.IntroSealed:
			return Askedf("%s is encrypted, as prover keys are, which cannot be made again; it is not replaced even with --force", n)
		}
	}
	return nil
}

// Writable refuses, before any work, to write over a file or where no file can be written.
func Writable(force bool, names ...string) error {
	for _, n := range names {
		if err := atomicfile.Check(n, atomicfile.Options{Replace: force}); err != nil {
			return WriteFailure(n, err)
		}
	}
	return nil
}

// WriteFailure says what an error of writing a file means; nil remains nil. The name of the temporary file, which such errors hold, is left
// out.
func WriteFailure(name string, err error) error {
	cause, dir := err, filepath.Dir(name)
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.Is(err, atomicfile.ErrExists):
		return Askedf("%w; --force replaces it", err)
	case errors.As(err, &p):
		cause = p.Err
	case errors.As(err, &l):
		cause = l.Err
	default:
		return Unusable(err)
	}
	switch {
	case errors.Is(cause, fs.ErrNotExist):
		return Unusable(fmt.Errorf("%s: the folder %s does not exist; create it", name, dir))
	case errors.Is(cause, syscall.ENOTDIR):
		return Unusable(fmt.Errorf("%s: %s is no folder; name a file in one", name, dir))
	case errors.Is(cause, fs.ErrPermission), errors.Is(cause, syscall.EROFS):
		return Unusable(fmt.Errorf("%s: the folder %s is not writable: %w", name, dir, cause))
	}
	return Unusable(fmt.Errorf("write %s: %w", name, cause))
}

// ReadArtefact is ReadArtefactFrom of a file that has a name.
func ReadArtefact(name, magic string, limit int64) ([]byte, error) {
	return ReadArtefactFrom(name, nil, magic, limit)
}

// ReadArtefactFrom reads a file of a kind, of at most limit bytes, or stdin if the name is Stdin and there is one. A file that is too large is
// refused for being of another kind, if it is.
func ReadArtefactFrom(name string, stdin io.Reader, magic string, limit int64) ([]byte, error) {
	if name == Stdin && stdin != nil {
		return ReadFile(name, stdin, limit)
	}
	data, err := atomicfile.Read(name, limit)
	if errors.Is(err, atomicfile.ErrSize) {
		if head := atomicfile.Head(name, len(format.MagicProverKey)); strings.HasPrefix(head, "zkllm-") && head != magic {
			_, err = format.NewReader([]byte(head), magic, [32]byte{}) // it has no digest: the kind is refused before
			err = fmt.Errorf("%s: %w", name, err)
		}
	}
	return data, err
}
