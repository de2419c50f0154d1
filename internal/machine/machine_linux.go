package machine

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// peakRSS reads the high-water mark of this process' memory. Not getrusage: its maximum survives exec, so that a small program
// started by a large one would report the large one's.
func peakRSS() uint64 {
	kib, _, _ := strings.Cut(field("/proc/self/status", "VmHWM"), " ")
	n, err := strconv.ParseUint(kib, 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

func cpu() string {
	if name := field("/proc/cpuinfo", "model name"); name != "" {
		return name
	}
	return architecture()
}

// field returns the value of the first line "key: value" of a file, "" if there is none.
func field(file, key string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
