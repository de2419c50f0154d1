package prover_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// smallDisk mounts a file system of few bytes; only root can. The function that it returns unmounts it.
func smallDisk(t *testing.T, dir string, bytes int) func() {
	if os.Getuid() != 0 {
		t.Skip("a full disk needs root")
	}
	require.NoError(t, os.Mkdir(dir, 0o755))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skip("cannot mount: ", err)
	}
	done := false
	unmount := func() {
		if !done {
			done = true
			require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH))
		}
	}
	t.Cleanup(unmount)
	return unmount
}

// nobody returns what makes a command run as a user without rights; only root can. The folder and the test binary are opened to all.
func nobody(t *testing.T, dir string) func(*exec.Cmd) {
	if os.Getuid() != 0 {
		t.Skip("another user needs root")
	}
	place, err := os.MkdirTemp("", "zkllmc")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(place) })
	require.NoError(t, os.Chmod(place, 0o755))
	self, err := os.Executable()
	require.NoError(t, err)
	data, err := os.ReadFile(self)
	require.NoError(t, err)
	program := filepath.Join(place, "prover")
	require.NoError(t, os.WriteFile(program, data, 0o755))
	for d := dir; d != filepath.Dir(d) && d != os.TempDir(); d = filepath.Dir(d) {
		require.NoError(t, os.Chmod(d, 0o755))
	}
	require.NoError(t, os.Chmod(filepath.Join(dir, "weights.zkw"), 0o644)) // of a model whose weights are no secret
	return func(c *exec.Cmd) {
		c.Path = program
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
}
