package cli

import (
	"fmt"
	"os"
	"syscall"
	"testing"
)

// smallDisk mounts a file system of few bytes for the time of the test; only root can.
func smallDisk(t *testing.T, bytes int) string {
	if os.Getuid() != 0 {
		t.Skip("a full disk needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skip("cannot mount: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}
