//go:build unix

package group

import (
	"os"
	"syscall"
	"testing"
)

// A pipe in a file's place, which nobody writes to, holds nobody up.
func TestKeptPipe(t *testing.T) {
	const tag, n = "kept/pipe", keepMany
	_, file := keptWith(t, tag, n)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, end := restored(tag, n); end != 0 {
		t.Fatal("a pipe is taken for a file")
	}
}
