package tables

import (
	"sync"
	"testing"
)

// The same table is computed once, others are others, and only the last ones are kept.
func TestKept(t *testing.T) {
	table := func(i int64) []int64 {
		x, err := Eval("silu", -8, 100+i, 3, 5)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	first := table(0)
	if again := table(0); &again[0] != &first[0] {
		t.Error("a table is computed twice")
	}
	for i := range int64(maxKept) {
		if x := table(1 + i); len(x) != int(110+i) {
			t.Errorf("table %d has %d lines", i, len(x))
		}
	}
	if again := table(0); &again[0] == &first[0] {
		t.Errorf("more than %d tables are kept", maxKept)
	}
	values, _, err := Pieces("silu", -8, 99, 3, 1, 5) // the same arguments, with other limits
	if err != nil || len(values) != 108 {
		t.Errorf("%d pieces: %v", len(values), err)
	}
	a, errA := Exp(4, 8, 0.5)
	b, errB := Exp(4, 9, 0.5)
	if errA != nil || errB != nil || a[0] != 256 || b[0] != 512 {
		t.Errorf("exponentials begin with %d and %d: %v, %v", a[0], b[0], errA, errB)
	}
	var all sync.WaitGroup
	for i := range int64(40) {
		all.Go(func() {
			if x := table(i % 20); x[8] != 0 { // silu(0)
				t.Errorf("table %d has %d at 0", i%20, x[8])
			}
		})
	}
	all.Wait()
}
