//go:build !unix

package compiler

import "os/exec"

// limitMemory does nothing where there is no ulimit.
func limitMemory(*exec.Cmd, int64) {}
