package tables

import "sync"

// The bound rule, the interpreter and the circuit ask for the same tables, of every node, for every input. The last ones are kept.
const (
	maxKept      = 16
	maxKeptLines = 1 << 17
)

// evalKey and expKey say what a table is. The greatest entry tells the least one.
type (
	evalKey struct {
		fn                string
		lo, hi            int64
		inScale, outScale int
		most              int64
	}
	expKey struct {
		dbits, ebits int
		unit         float64
	}
)

type table struct {
	key   any
	lines []int64
}

var (
	keptLock sync.Mutex
	keptLast []table // the one that was asked for last comes last
)

// kept returns the table with a key, which f computes unless it is one of the last ones. Two who ask at once may both compute it.
func kept(key any, f func() []int64) []int64 {
	if lines, ok := again(table{key: key}); ok {
		return lines
	}
	lines := f()
	if len(lines) <= maxKeptLines {
		again(table{key, lines})
	}
	return lines
}

// again moves the table with a key to the end of the list and returns its lines; where there is none, it adds the given one, if it has
// lines.
func again(t table) (lines []int64, ok bool) {
	keptLock.Lock()
	defer keptLock.Unlock()
	for i, old := range keptLast {
		if old.key == t.key {
			keptLast = append(append(keptLast[:i:i], keptLast[i+1:]...), old)
			return old.lines, true
		}
	}
	if t.lines != nil {
		keptLast = append(keptLast, t)
		keptLast = keptLast[max(0, len(keptLast)-maxKept):]
	}
	return nil, false
}
