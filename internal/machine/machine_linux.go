package machine

import (
	"bufio"
	"math"
	"os"
	"path"
	"slices"
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
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		c := controllers["memory"]
		if parts[0] == "0" {
			c = controllers[""]
		} else if !slices.Contains(strings.Split(parts[1], ","), "memory") {
			continue
		}
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
			least = min(least, c.left(path.Join(c.root, group)))
			if group == "/" {
				break
			}
		}
	}
	return least
}

// controller is where a version of control groups stands, and the names of its files.
type controller struct{ root, limit, used, cache string }

var controllers = map[string]controller{
	"":       {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"},
	"memory": {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"},
}

// left is what a group may still use, counted as MemAvailable does: cache that nobody used for a while is free. Without a limit there is no
// end.
func (c controller) left(group string) uint64 {
	limit, err := number(path.Join(group, c.limit))
	if err != nil {
		return math.MaxUint64
	}
	used, _ := number(path.Join(group, c.used))
	stat, _ := os.ReadFile(path.Join(group, "memory.stat"))
	for line := range strings.Lines(string(stat)) {
		if n, ok := strings.CutPrefix(line, c.cache+" "); ok {
			cache, _ := strconv.ParseUint(strings.TrimSpace(n), 10, 64)
			used -= min(used, cache)
		}
	}
	return limit - min(used, limit)
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
