//go:build cuda

// gorgonia.org/cu ends a program without a device as it is initialised, with little to go by. Go initialises packages in the order
// of their paths, dependencies first: this one, whose path is before that of cu and which imports nothing that cu does not, comes first.
package preflight

import (
	"fmt"
	"os"
	"runtime"
)

// status is the exit code of commands for what they cannot do here.
const status = 3

func init() {
	if why := missing(); why != "" {
		fmt.Fprintf(os.Stderr, "cuda: %s. This program was built for NVIDIA GPUs (-tags cuda); built without the tag it computes on the processor.\n", why)
		os.Exit(status)
	}
}

// missing names the first thing that is not there. The driver's library is: the program links it.
func missing() string {
	if runtime.GOOS != "linux" {
		return ""
	}
	for _, file := range []string{"/dev/nvidiactl", "/dev/dxg", "/dev/nvhost-gpu"} { // a server's, Windows' subsystem's, a Jetson's
		if _, err := os.Stat(file); err == nil {
			return ""
		}
	}
	return "this machine has no NVIDIA device (no /dev/nvidiactl): the card or its kernel driver is missing, or it is hidden from this container"
}
