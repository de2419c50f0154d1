//go:build !linux

package cli

import "testing"

// smallDisk skips: a small file system is made on Linux only.
func smallDisk(t *testing.T, _ int) string {
	t.Skip("a full disk is tried on Linux only")
	return ""
}
