// Package atomicfile writes files that exist whole or not at all, and reads files of bounded size.
//
// A file is written under a temporary name in its own folder, synced, and then given its name; the folder is synced last. A process
// that dies on the way leaves what was there before under the name, and at most a temporary file ".NAME.tmp-…" beside it. The next
// process that writes to the name removes that, where the system has locks by which it knows the dead from the living.
package atomicfile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// ErrExists says that a file exists that the caller did not ask to replace.
var ErrExists = errors.New("the file exists")

// ErrLocked says that another process has the lock of a file.
var ErrLocked = errors.New("another process uses it")

// ErrSize says that a file is larger than anything that could be meant.
var ErrSize = errors.New("the file is too large")

// Options tell how to write.
type Options struct {
	Mode    fs.FileMode // permissions, whatever the umask; 0: 0600
	Replace bool        // replace an existing file, if it is a regular one
}

// chunk is how much is written between two looks at the context.
const chunk = 4 << 20

// Write writes a file. It stops when ctx ends, and then leaves nothing behind.
func Write(ctx context.Context, name string, data []byte, o Options) error {
	f, err := Prepare(ctx, name, data, o)
	if err != nil {
		return err
	}
	return f.Commit()
}

// Prepare does all of Write but giving the file its name, so that Commit has little left that could fail or take time.
func Prepare(ctx context.Context, name string, data []byte, o Options) (*File, error) {
	return Stream(ctx, name, func(w io.Writer) error {
		for len(data) > 0 {
			n, err := w.Write(data[:min(chunk, len(data))])
			if err != nil {
				return err
			}
			data = data[n:]
		}
		return nil
	}, o)
}

// Stream is Prepare of a file that write writes. Its error is write's own, or that of the file, which write returns.
func Stream(ctx context.Context, name string, write func(io.Writer) error, o Options) (*File, error) {
	f, err := Create(name, o)
	if err != nil {
		return nil, err
	}
	b := bufio.NewWriterSize(&until{ctx, f}, chunk/4)
	if err = write(b); err == nil {
		err = b.Flush()
	}
	if err == nil {
		err = f.seal()
	}
	if err != nil {
		f.Discard()
		return nil, err
	}
	return f, nil
}

// until is a file that is written until a context ends.
type until struct {
	ctx context.Context
	*File
}

func (u *until) Write(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, fmt.Errorf("write %s: %w", u.name, err)
	}
	return u.File.Write(p)
}

// File is a file on its way to its name. Either Commit or Discard ends it; Discard after Commit does nothing.
type File struct {
	temp   *os.File
	lock   *os.File // says that this process lives; nil where there are no locks
	name   string
	o      Options
	sealed bool
	done   bool
}

// tempMark is in the names of temporary files.
const tempMark = ".tmp-"

// TempOf says whether a file's name, without its folder, is one of a temporary file of this package, and of which file.
func TempOf(name string) (of string, is bool) {
	rest, hidden := strings.CutPrefix(name, ".")
	i := strings.LastIndex(rest, tempMark)
	if !hidden || i < 1 || strings.Trim(rest[i+len(tempMark):], "0123456789") != "" {
		return "", false
	}
	return rest[:i], true
}

// Create starts a file. Nothing is visible under the name before Commit.
func Create(name string, o Options) (*File, error) {
	if o.Mode == 0 {
		o.Mode = 0o600
	}
	if err := vacant(name, o.Replace); err != nil {
		return nil, err
	}
	sweep(name)
	for {
		temp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+tempMark+"*") // mode 0600: a secret is never readable by others, not even for a moment
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
		if lock, ok := hold(temp.Name()); ok {
			return &File{temp: temp, lock: lock, name: name, o: o}, nil
		}
		temp.Close() // another process swept it between the two calls
	}
}

// sweep removes the temporary files that processes which were killed left of a file: each may be a copy of a secret. It is of no
// consequence where it cannot.
func sweep(name string) {
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return
	}
	entries, _ := dir.ReadDir(-1)
	dir.Close()
	for _, e := range entries {
		if of, is := TempOf(e.Name()); is && of == filepath.Base(name) && e.Type().IsRegular() {
			removeAbandoned(filepath.Join(filepath.Dir(name), e.Name()))
		}
	}
}

// Check says whether a file could be written: the name is vacant or to be replaced, and its folder takes files. With it long work is
// refused before it begins.
func Check(name string, o Options) error {
	f, err := Create(name, o)
	if err == nil {
		f.Discard()
	}
	return err
}

// vacant returns ErrExists if the name is taken and not to be replaced. Only a regular file ever is: a rename would put a file where a
// device, a pipe or a socket was. A symbolic link is refused too, since a rename replaces the link and not what it leads to: an output
// device such as /dev/stdout would be gone, and a secret would come to lie beside the place that its link names.
func vacant(name string, replace bool) error {
	info, err := os.Lstat(name)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s: it is a folder", name)
	case err == nil && info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s: it is a symbolic link, which is never replaced; name the file that it leads to", name)
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("%s: it is no regular file, and is never replaced", name)
	case err == nil && !replace:
		return fmt.Errorf("%s: %w", name, ErrExists)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return nil
}

// Write appends to the file.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.temp.Write(p)
	if err != nil {
		err = fmt.Errorf("write %s: %w", f.name, err)
	}
	return n, err
}

// Commit gives the file its name. On an error nothing of it is left.
func (f *File) Commit() error {
	_, err := CommitAll(nil, f)
	return err
}

// CommitAll gives files their names, in order and without delay between one and the next, and says how many have theirs. It ends at
// the first that cannot have its name; nothing is left of that one and of those after it. What is to be done when all are on the disk and
// none has its name is done by before, unless it is nil; its error ends it, too.
func CommitAll(before func() error, files ...*File) (done int, err error) {
	for _, f := range files {
		defer f.Discard()
		if err := f.seal(); err != nil {
			return 0, err
		}
	}
	if before != nil {
		if err := before(); err != nil {
			return 0, err
		}
	}
	for i, f := range files {
		if err := f.rename(); err != nil {
			return i, err
		}
	}
	for i, f := range files {
		if dir := filepath.Dir(f.name); i == 0 || dir != filepath.Dir(files[i-1].name) {
			err = errors.Join(err, syncFolder(dir))
		}
	}
	return len(files), err
}

// seal brings the content to the disk and ends it.
func (f *File) seal() error {
	if f.sealed {
		return nil
	}
	f.sealed = true
	if err := errors.Join(f.temp.Chmod(f.o.Mode), f.temp.Sync(), f.temp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", f.name, err)
	}
	return nil
}

// rename moves the file to its name. A name that must be vacant is taken with a link, which fails where another process took it
// since Create; where the file system has no links, and where a file is to be replaced, the check is repeated instead. No system
// renames onto regular files only: what is put there between the check and the rename is replaced.
func (f *File) rename() error {
	temp := f.temp.Name()
	if !f.o.Replace {
		err := os.Link(temp, f.name)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: %w", f.name, ErrExists)
		}
		if err == nil {
			return nil // Discard removes the temporary name
		}
	}
	if err := vacant(f.name, f.o.Replace); err != nil {
		return err
	}
	if err := os.Rename(temp, f.name); err != nil {
		return err
	}
	f.done = true
	f.lock.Close() // of nil too
	return nil
}

// Discard removes what was written, unless it was committed.
func (f *File) Discard() {
	if f.done {
		return
	}
	f.done = true
	f.temp.Close() // closed already once it is sealed; the error says nothing new
	os.Remove(f.temp.Name())
	f.lock.Close() // of nil too
}

// syncFolder makes a rename last. Windows neither needs nor allows it.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// maxRead is 512 MiB where an int has 32 bits, and no limit elsewhere: a buffer of unknown size grows by doubling.
const maxRead = math.MaxInt / 4

// Read reads a file of at most limit bytes. A larger one is refused before it is read, and one that an address of this platform cannot
// reach like one beyond the limit.
func Read(name string, limit int64) ([]byte, error) {
	limit = min(limit, maxRead)
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s: it is a folder, not a file", name)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s: %w: %d bytes, expected at most %d", name, ErrSize, info.Size(), limit)
	}
	var b bytes.Buffer
	b.Grow(int(info.Size()) + bytes.MinRead)
	if _, err := b.ReadFrom(io.LimitReader(f, limit+1)); err != nil { // the limit once more: a pipe has no size beforehand
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(b.Len()) > limit {
		return nil, fmt.Errorf("%s: %w: more than %d bytes", name, ErrSize, limit)
	}
	return b.Bytes(), nil
}

// ReadOptional is Read; of a file that is not there it returns nil.
func ReadOptional(name string, limit int64) ([]byte, error) {
	data, err := Read(name, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Head returns the first n bytes of a regular file, which name its kind; "" where they cannot be read.
func Head(name string, n int) string {
	if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	head := make([]byte, n)
	if _, err := io.ReadFull(f, head); err != nil {
		return ""
	}
	return string(head)
}
