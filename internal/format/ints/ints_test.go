package ints

import "testing"

// Lengths that no file has.
func TestNegativeLengths(t *testing.T) {
	for _, n := range []int{-1, -8} {
		r := &Reader{rest: make([]byte, 8)}
		if b := r.take(n); b != nil || !r.short {
			t.Errorf("%d bytes are taken", n)
		}
		r = &Reader{rest: make([]byte, 8)}
		if v := r.Ints(n, 1); v != nil || !r.short {
			t.Errorf("%d integers are read", n)
		}
	}
}
