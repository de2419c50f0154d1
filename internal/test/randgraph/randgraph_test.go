package randgraph

import (
	"slices"
	"testing"

	"github.com/zkllmc/zkllmc/ir"
)

// TestEverythingIsDrawn: graphs and functions hold every operation over the reals, and every function of one argument.
func TestEverythingIsDrawn(t *testing.T) {
	for name, draw := range map[string]func(uint64, int) *ir.Graph{"Graph": Graph, "Function": Function} {
		seen := map[string]bool{}
		for seed := range uint64(600) {
			for _, n := range draw(seed, 0).Nodes {
				seen[string(n.Op)] = true
				if a, ok := n.Attr.(*ir.UnaryAttr); ok {
					seen[a.Fn] = true
				}
			}
		}
		var want []string
		for _, op := range ir.Ops() {
			if op.Is(ir.StageFloat) {
				want = append(want, string(op.Op))
			}
		}
		for _, what := range slices.Concat(want, ir.Functions, ir.Roots, ir.Roundings) {
			if !seen[what] {
				t.Errorf("no %s in any %s", what, name)
			}
		}
	}
}
