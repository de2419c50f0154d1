package huggingface

import (
	"cmp"
	"slices"
	"sort"
)

// entry is a string with a value.
type entry struct {
	key   string
	value int
}

// prefixes finds those of many strings that a text begins with. The strings are sorted, so that those with a common beginning are
// neighbours; every byte of the text narrows their range.
type prefixes struct {
	entries []entry
	from    [257]int // where those that begin with a byte begin
}

// newPrefixes leaves out empty strings; of equal ones the first counts.
func newPrefixes(entries []entry) *prefixes {
	entries = slices.DeleteFunc(entries, func(e entry) bool { return e.key == "" })
	slices.SortStableFunc(entries, func(x, y entry) int { return cmp.Compare(x.key, y.key) })
	p := &prefixes{entries: slices.CompactFunc(entries, func(x, y entry) bool { return x.key == y.key })}
	for b := range 257 {
		p.from[b] = sort.Search(len(p.entries), func(i int) bool { return int(p.entries[i].key[0]) >= b })
	}
	return p
}

// walk calls found for every string that the text begins with, the shortest first.
func (p *prefixes) walk(text string, found func(value, length int)) {
	if text == "" {
		return
	}
	lo, hi := p.from[text[0]], p.from[int(text[0])+1]
	for n := 1; lo < hi; n++ {
		if e := p.entries[lo]; len(e.key) == n { // the shortest of the range is its first
			found(e.value, n)
			lo++
		}
		if n == len(text) {
			return
		}
		b := text[n]
		r := p.entries[lo:hi]
		first := sort.Search(len(r), func(i int) bool { return r[i].key[n] >= b })
		last := first + sort.Search(len(r)-first, func(i int) bool { return r[first+i].key[n] > b })
		lo, hi = lo+first, lo+last
	}
}
