//go:build !linux

package cli

import (
	"os"
	"testing"
	"time"
)

// smallDisk skips: a small file system is made on Linux only.
func smallDisk(t *testing.T, _ int) string {
	t.Skip("a full disk is tried on Linux only")
	return ""
}

// worked is the time that a process has been running: what it took of the processor is not told everywhere.
func worked(_ *testing.T, _ *os.Process, begin time.Time) time.Duration { return time.Since(begin) }
