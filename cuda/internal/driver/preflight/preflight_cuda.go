//go:build cuda && linux && (amd64 || arm64)

// gorgonia.org/cu links CUDA's driver library, without which a program does not begin, and ends it as it is initialised where there is no device. So the names
// that it uses are here: they go on to the library where that can be loaded, and say that there is no device where it cannot. cuInit, which is all that
// is called unasked, always succeeds; what it said is told to whoever opens a device. The linker leaves the library out, since nothing is left that
// it alone has. Go initialises packages in the order of their paths, dependencies first: this one comes before cu.
package preflight

/*
#cgo LDFLAGS: -Wl,--as-needed -ldl
#include "preflight.h"
*/
import "C"

import (
	"fmt"
	"os"
)

// Missing says what a program for GPUs misses on this machine; nothing if it has a device.
func Missing() string {
	switch said := C.zkllmc_cuda_begin(); {
	case said == C.NO_LIBRARY:
		return "there is no libcuda.so.1: the driver of NVIDIA's GPUs is missing, or it is hidden from this container"
	case said != 0 && !isDevice():
		return "this machine has no NVIDIA device (no /dev/nvidiactl): the card or its kernel driver is missing, or it is hidden from this container"
	case said != 0:
		return fmt.Sprintf("CUDA's driver does not begin (error %d of cuInit)", int(said))
	}
	return ""
}

// isDevice says whether there is a device, of a server, of Windows' subsystem, or of a Jetson.
func isDevice() bool {
	for _, file := range []string{"/dev/nvidiactl", "/dev/dxg", "/dev/nvhost-gpu"} {
		if _, err := os.Stat(file); err == nil {
			return true
		}
	}
	return false
}
