package passes

import (
	"math"
	"testing"

	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/eval"
)

// TestExtrema lowers maxima and minima of two and three tensors, of tensors that broadcast, and of a tensor and a number, and compares
// the cells that come out with those of a graph without them. Numbers become ReLUs.
func TestExtrema(t *testing.T) {
	for _, c := range []struct {
		op, in string
		nodes  int // of OpMax
		f      func(x, y, z float64) float64
	}{
		{"Max", "x y", 1, func(x, y, _ float64) float64 { return max(x, y) }},
		{"Min", "x y", 1, func(x, y, _ float64) float64 { return min(x, y) }},
		{"Max", "x y z", 2, func(x, y, z float64) float64 { return max(x, y, z) }},
		{"Min", "z x", 1, func(x, _, z float64) float64 { return min(x, z) }},
		{"Max", "x 0.25", 0, func(x, _, _ float64) float64 { return max(x, 0.25) }},
		{"Min", "0.25 y", 0, func(_, y, _ float64) float64 { return min(y, 0.25) }},
		{"Max", "x", 0, func(x, _, _ float64) float64 { return x }},
	} {
		build := func(out string) *ir.Graph {
			m := newModel()
			m.weight("wy", 8, 8)
			m.weight("wz", 8, 1)
			m.node("MatMul", "x wy", "y")
			m.node("MatMul", "x wz", "z") // [1,4,1] broadcasts
			m.node("Identity", "x", "unchanged")
			m.node(c.op, c.in, "extremum")
			m.floats("ones", []int{8}, 1, 1, 1, 1, 1, 1, 1, 1)
			m.node("Add", out+" ones", "more")
			_, _, g := lowerAll(t, m.finish("more"), "")
			return g
		}
		cells := func(out string) []float64 {
			g := build(out)
			vals, err := eval.Float(g, []float64{1, 4, 0, 2})
			if err != nil {
				t.Fatal(err)
			}
			return vals[g.Out()]
		}
		x, y, z := cells("unchanged"), cells("y"), cells("z")
		for i, got := range cells("extremum") {
			if want := c.f(x[i]-1, y[i]-1, z[i]-1) + 1; math.Abs(got-want) > 1e-12 {
				t.Errorf("%s(%s): cell %d is %g, want %g", c.op, c.in, i, got, want)
			}
		}
		count := 0
		for _, n := range build("extremum").Nodes {
			if n.Op == ir.OpMax {
				count++
			}
		}
		if count != c.nodes {
			t.Errorf("%s(%s) has %d maxima of tensors, want %d", c.op, c.in, count, c.nodes)
		}
	}
}
