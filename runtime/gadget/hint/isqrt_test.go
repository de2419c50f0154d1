package hint

import (
	"math"
	"testing"
)

// TestIsqrt looks at squares, at their neighbours and at both ends.
func TestIsqrt(t *testing.T) {
	for _, r := range []int64{1, 2, 3, 7, 8, 255, 256, 46341, 94906265, 94906266, 94906267, 1<<30 - 1, 1 << 30, math.MaxInt32 - 1} {
		for v, want := range map[int64]int64{0: 0, r*r - 1: r - 1, r * r: r, r*r + 2*r: r, 1<<62 - 1: 1<<31 - 1} {
			if got := isqrt(v); got != want {
				t.Errorf("the root of %d is %d, want %d", v, got, want)
			}
		}
	}
}
