//go:build !linux

package prover_test

import (
	"os/exec"
	"testing"
)

// smallDisk skips: a small file system is made on Linux only.
func smallDisk(t *testing.T, _ string, _ int) func() {
	t.Skip("a full disk is tried on Linux only")
	return nil
}

// nobody skips: another user is tried on Linux only.
func nobody(t *testing.T, _ string) func(*exec.Cmd) {
	t.Skip("another user is tried on Linux only")
	return nil
}
