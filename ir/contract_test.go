package ir

import (
	"math"
	"testing"
)

// TestPairwise cuts products of matrices, of vectors and of sums that stand alone, and leaves alone what is cheapest as it stands.
func TestPairwise(t *testing.T) {
	for name, c := range map[string]struct {
		t     Term
		steps int
		work  int // of all steps
	}{
		"td,de,ef,fg->tg": {Term{Extents: []int{4, 8, 256, 256, 8}, In: []int{3, 0, 1, 2}, Axes: [][][]int{{{0}, {1}}, {{1}, {2}}, {{2}, {3}}, {{3}, {4}}},
			Out: [][]int{{0}, {4}}}, 3, 2 * (4*8*256 + 4*256*256 + 4*256*8)},
		"ab,cd->":      {Term{Extents: []int{100, 1000, 100, 1000}, In: []int{0, 1}, Axes: [][][]int{{{0}, {1}}, {{2}, {3}}}}, 3, 2*100*1000 + 2},
		"td,de->te":    {Term{Extents: []int{4, 8, 16}, In: []int{0, 1}, Axes: [][][]int{{{0}, {1}}, {{1}, {2}}}, Out: [][]int{{0}, {2}}}, 1, 2 * 4 * 8 * 16},
		"td,td,td->td": {Term{Extents: []int{4, 8}, In: []int{0, 1, 2}, Axes: [][][]int{{{0}, {1}}, {{0}, {1}}, {{0}, {1}}}, Out: [][]int{{0}, {1}}}, 1, 3 * 4 * 8},
		"->td":         {Term{Extents: []int{4, 8}, Out: [][]int{{0}, {1}}}, 1, 32},
	} {
		steps := c.t.Pairwise(nil)
		work := 0
		for _, s := range steps {
			work += s.Work(nil)
		}
		if len(steps) != c.steps || work != c.work {
			t.Errorf("%s: %d steps of %d multiplications, want %d of %d", name, len(steps), work, c.steps, c.work)
		}
	}
	huge := Term{Extents: []int{math.MaxInt, math.MaxInt}, In: []int{0}, Axes: [][][]int{{{0}, {1}}}}
	if huge.Work(nil) != math.MaxInt {
		t.Errorf("work wraps around: %d", huge.Work(nil))
	}
}
