//go:build unix

package compiler

import (
	"fmt"
	"os/exec"
)

// limitMemory bounds the address space of a command, so that a model that asks for terabytes ends the child and not the machine.
func limitMemory(c *exec.Cmd, bytes int64) {
	args := append([]string{"sh", "-c", fmt.Sprintf(`ulimit -v %d && exec "$0" "$@"`, bytes>>10)}, c.Args...)
	if sh, err := exec.LookPath("sh"); err == nil {
		c.Path, c.Args = sh, args
	}
}
