package budget

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
)

// TestSpending pays up to the limits and not beyond; what is refused costs nothing.
func TestSpending(t *testing.T) {
	b := New(context.Background(), 1)
	for name, pay := range map[string]func(int) error{"cells": b.Cells, "work": b.Work} {
		total := map[string]int64{"cells": baseCells, "work": baseWork}[name]
		limit := int(min(total, math.MaxInt-1))
		for rest := total - int64(limit); rest > 0; rest -= min(rest, math.MaxInt-1) { // where an int has 32 bits
			if err := pay(int(min(rest, math.MaxInt-1))); err != nil {
				t.Errorf("%s: %d of %d: %v", name, rest, total, err)
			}
		}
		for _, c := range []struct {
			n  int
			ok bool
		}{{limit + 1, false}, {math.MaxInt, false}, {limit - 1, true}, {2, false}, {-1, false}, {1, true}, {0, true}, {1, false}} {
			err := pay(c.n)
			var e *Exceeded
			if (err == nil) != c.ok || err != nil && !errors.As(err, &e) {
				t.Errorf("%s: %d: %v", name, c.n, err)
			}
		}
	}
	if err := errors.Join(b.Memory(baseMemory), b.Memory(baseMemory)); err != nil {
		t.Errorf("memory is held, not spent: %v", err)
	}
	if err := b.Memory(baseMemory + 1); err == nil || !strings.Contains(err.Error(), "--budget") {
		t.Errorf("got %v", err)
	}
	if err := b.Kept(baseMemory / 2); err != nil || b.Kept(baseMemory/2+1) == nil {
		t.Errorf("half of the memory may stay: %v", err)
	}
	if s := b.Spent(); s != (Limits{baseCells, baseWork, baseMemory}) {
		t.Errorf("spent %+v", s)
	}
}

// TestGrowth adds what a file and runs are worth, once and without overflow, times the factor.
func TestGrowth(t *testing.T) {
	b := New(context.Background(), 3)
	b.Model(1000, 10)
	b.Model(1000, 10)
	b.Runs(2)
	b.Runs(1)
	want := Limits{3 * (baseCells + 16*1000), 3 * (baseWork + 3*(8*1000*10+10000/1024*10)), 3 * (baseMemory + 192*1000 + 2*10*1000 + 1024*100)}
	if l := b.Limits(); l != want {
		t.Errorf("%+v, want %+v", l, want)
	}
	b = New(context.Background(), math.MaxInt)
	b.Model(math.MaxInt, math.MaxInt)
	b.Runs(math.MaxInt)
	if l := b.Limits(); l != (Limits{math.MaxInt64, math.MaxInt64, math.MaxInt64}) {
		t.Errorf("%+v", l)
	}
}

// TestNil limits nothing.
func TestNil(t *testing.T) {
	var b *Budget
	b.Model(1, 1)
	b.Runs(1)
	if err := errors.Join(b.Cells(math.MaxInt), b.Work(math.MaxInt), b.Memory(math.MaxInt), b.Poll()); err != nil {
		t.Error(err)
	}
}

// TestCancelled asks a budget whose context is done.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	b := New(ctx, 1)
	cancel()
	fresh := b.With(context.Background())
	if err := fresh.Cells(7); err != nil || b.Spent().Cells != 7 {
		t.Errorf("under another context: %v, %+v", err, b.Spent())
	}
	for _, err := range []error{b.Poll(), b.Cells(1), b.Work(1)} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	if Product(3, math.MaxInt, 0) != 0 || Product(3, math.MaxInt) != math.MaxInt || Product() != 1 || Sum(math.MaxInt, 1) != math.MaxInt {
		t.Error("products or sums wrap around")
	}
}
