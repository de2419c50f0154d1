// Package machine says what a measurement was taken on: processor, threads, and how much memory the process has used at most.
package machine

import "runtime"

// Usage is what reports of the command lines say about the machine.
type Usage struct {
	PeakRSS uint64 `json:"peak_rss"` // most memory that the process has had, in bytes; 0 where the system does not tell
	Threads int    `json:"threads"`  // number of threads
	CPU     string `json:"cpu"`      // the processor's name
}

// Now returns the usage of this process up to now.
func Now() Usage {
	return Usage{PeakRSS: peakRSS(), Threads: runtime.GOMAXPROCS(0), CPU: cpu()}
}

// CPUSeconds is how much time of processors, of user and system, this process has taken so far; 0 if the system does not tell.
func CPUSeconds() float64 { return cpuSeconds() }

// architecture stands for a processor whose model is not told.
func architecture() string { return runtime.GOOS + "/" + runtime.GOARCH }

// Available is how many bytes of memory a process could have now, as far as the system and the limits of its group tell; 0 if they do not.
func Available() uint64 { return available() }
