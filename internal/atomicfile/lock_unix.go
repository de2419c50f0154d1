//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// A process holds a lock on each of its temporary files. The system gives it up when the process ends, however that happens, so that
// who gets the lock of a temporary file knows that nobody is writing it. Process ids would not do: a folder may be shared by
// containers, each with ids of its own.

// hold locks a temporary file of this process. It returns false if the file is gone: another process had the lock first. Where the
// file system knows no locks nobody gets any, and nothing is removed.
func hold(name string) (*os.File, bool) {
	lock, err := os.Open(name)
	if err != nil {
		return nil, !errors.Is(err, fs.ErrNotExist)
	}
	if err := flock(lock, syscall.LOCK_EX); err != nil {
		return lock, true
	}
	if mine, err := lock.Stat(); err == nil {
		if there, err := os.Lstat(name); err != nil || !os.SameFile(mine, there) {
			lock.Close()
			return nil, false
		}
	}
	return lock, true
}

// removeAbandoned removes a temporary file unless a process holds its lock. Opening must neither wait, as for a pipe, nor follow a link.
func removeAbandoned(name string) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if flock(f, syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		os.Remove(name)
	}
}

// flock is the system's, which a signal may interrupt.
func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); err != syscall.EINTR {
			return err
		}
	}
}

// Lock takes the lock of a file, which it makes where there is none, for as long as the process lasts or until it is closed. ErrLocked says
// that another process has it.
func Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flock(f, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("%s: %w", name, ErrLocked)
		}
		return nil, err
	}
	return f, nil
}
