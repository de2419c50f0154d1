//go:build !linux && !darwin

package machine

import (
	"os"
	"runtime"
)

// peakRSS is what the Go runtime has asked of the system, the closest that is known without a system call of its own.
func peakRSS() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys
}

func cpu() string {
	if name := os.Getenv("PROCESSOR_IDENTIFIER"); name != "" { // Windows
		return name
	}
	return architecture()
}

func available() uint64 { return 0 }

func cpuSeconds() float64 { return 0 }
