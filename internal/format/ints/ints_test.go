package ints

import (
	"errors"
	"slices"
	"testing"
)

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

// What was asked for beyond the end makes all that follows short, even what would still be there.
func TestShortStays(t *testing.T) {
	r := NewReader([]byte{7, 7})
	if v := r.Int(4); v != 0 || !r.Short() {
		t.Errorf("4 bytes of 2 are %d", v)
	}
	if v := r.Int(1); v != 0 {
		t.Errorf("after the end there is %d", v)
	}
	r = NewReader(nil)
	r.Int(1)
	if err := r.Close(); !errors.Is(err, ErrFormat) {
		t.Errorf("read beyond the end, and closed with %v", err)
	}
}

// A list has one encoding: cut short anywhere, of another length, or in wider integers than it takes, it is refused where it is read.
func TestLists(t *testing.T) {
	for _, values := range [][]int64{nil, {0}, {-128, 127}, {128}, {-32768, 5, 32767}, {1 << 31}, {-1 << 63, 1<<63 - 1}} {
		data := AppendList(nil, values)
		r := NewReader(data)
		if got, err := r.List(len(values)); err != nil || r.Close() != nil || !slices.Equal(got, values) {
			t.Errorf("%v is read as %v: %v", values, got, err)
		}
		for n := range data {
			if _, err := NewReader(data[:n]).List(len(values)); !errors.Is(err, ErrFormat) {
				t.Errorf("%v, cut after %d bytes: %v", values, n, err)
			}
		}
		for _, n := range []int{len(values) - 1, len(values) + 1} {
			if _, err := NewReader(data).List(n); !errors.Is(err, ErrCount) {
				t.Errorf("%v, where %d values are wanted: %v", values, n, err)
			}
		}
		r = NewReader(append(data, 0))
		if _, err := r.List(len(values)); err != nil || !errors.Is(r.Close(), ErrFormat) {
			t.Errorf("%v, a byte behind it: %v", values, err)
		}
		for w := 0; w < 10; w++ {
			if w <= Width(values) && slices.Contains([]int{1, 2, 4, 8}, w) {
				continue // what is cut off makes another list
			}
			wide := append([]byte{byte(w)}, data[1:9]...)
			if _, err := NewReader(Append(wide, w, values...)).List(len(values)); !errors.Is(err, ErrFormat) {
				t.Errorf("%v in %d bytes each: %v", values, w, err)
			}
		}
	}
}
