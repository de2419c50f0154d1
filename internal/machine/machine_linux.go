package machine

import (
	"bufio"
	"os"
	"path"
	"strconv"
	"strings"
)

// peakRSS reads the high-water mark of this process' memory. Not getrusage: its maximum survives exec, so that a small program
// started by a large one would report the large one's.
func peakRSS() uint64 {
	return kibibytes("/proc/self/status", "VmHWM")
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

// available is the least of what the system could give and what the limits of the process' control groups leave.
func available() uint64 {
	least := kibibytes("/proc/meminfo", "MemAvailable")
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return least
	}
	for line := range strings.Lines(string(groups)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		for ; ok && group != "/" && group != "."; group = path.Dir(group) {
			limit, err := number(path.Join("/sys/fs/cgroup", group, "memory.max"))
			used, _ := number(path.Join("/sys/fs/cgroup", group, "memory.current"))
			if err == nil {
				least = min(least, limit-min(used, limit))
			}
		}
	}
	return least
}

// number reads a file that holds a number; "max" is none.
func number(name string) (uint64, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
}

// kibibytes returns the bytes of a line "key: 123 kB" of a file, 0 if there is none.
func kibibytes(file, key string) uint64 {
	kib, _, _ := strings.Cut(field(file, key), " ")
	n, err := strconv.ParseUint(kib, 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}
