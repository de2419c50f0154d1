package eval

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/ir"
)

// Int runs a graph of StageInt on the elements of its inputs and returns every value, row-major. It is exact: a sum that leaves int64 is an
// error, and so is a value outside of its declared range [Lo, Hi] (a value with Lo = Hi = 0 declares none). Of wide values see ir.Value.
func Int(g *ir.Graph, in ...[]int64) (map[ir.ValueID][]int64, error) {
	vals := make(map[ir.ValueID][]int64, len(g.Values))
	return vals, EachInt(nil, g, [][][]int64{in}, func(_ int, v *ir.Value, cells []int64) error { vals[v.ID] = cells; return nil })
}

// EachInt is to Int what EachFloat is to Float.
func EachInt(b *budget.Budget, g *ir.Graph, in [][][]int64, f func(run int, v *ir.Value, cells []int64) error) error {
	if g.Stage != ir.StageInt {
		return fmt.Errorf("eval: graph %s is not in StageInt, use Float", g.Name)
	}
	e := &evaluation[int64]{b: b, g: g, f: f, alone: (*ir.Run).Int, together: ir.Integers, check: checkRange}
	for _, x := range in {
		e.runs = append(e.runs, &ir.Run{Graph: g, Ints: x, Budget: b})
	}
	return e.all()
}

func checkRange(n *ir.Node, v *ir.Value, cells []int64) error {
	if v.Unstored() || v.Elsewhere() {
		return nil
	}
	words := 1
	if v.Wide() {
		words = 2
	}
	if len(cells) != words*ir.Size(v.Shape) {
		return n.Errorf("computed %d cells for shape %v", len(cells), v.Shape)
	}
	if v.Lo == 0 && v.Hi == 0 {
		return nil
	}
	if v.Wide() {
		for i := range ir.Size(v.Shape) {
			if x := ir.WideCell(cells, i); x.Cmp(v.Far.Lo) < 0 || x.Cmp(v.Far.Hi) > 0 {
				return n.Errorf("cell %d is %v, the declared range is %v", i, x, v.Far)
			}
		}
		return nil
	}
	for i, x := range cells {
		if x < v.Lo || x > v.Hi {
			return n.Errorf("cell %d is %d, the declared range is [%d,%d]", i, x, v.Lo, v.Hi)
		}
	}
	return nil
}
