package eval

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/ir"
)

// Demand pays for runs evaluations of a graph, node by node, and returns the bytes that one evaluation holds at most besides weights
// and constants. The error names the node for which the budget is too small.
func Demand(b *budget.Budget, g *ir.Graph, runs int) (bytes int, err error) {
	last := lastUses(g)
	held, most := 0, 0
	for i, n := range g.Nodes {
		work, extra := ir.Cost(g, n)
		if err := b.Work(budget.Product(work, runs)); err != nil {
			if b.Poll() != nil {
				return 0, err
			}
			return 0, ir.RefuseFor(n.Origin, n.Named(), fmt.Errorf("in %d runs of the model it %w", runs, err))
		}
		for _, id := range n.Out {
			held = budget.Sum(held, stored(g.Value(id)))
		}
		if now := budget.Sum(held, extra); now > most {
			most = now
			if err := b.Memory(budget.Product(8, most)); err != nil {
				return 0, ir.RefuseFor(n.Origin, n.Named(), err)
			}
		}
		for _, id := range last[i] {
			held -= stored(g.Value(id))
		}
	}
	return budget.Product(8, most), nil
}

// stored is the number of cells that an evaluation makes for a value: weights and constants are there already, or elsewhere.
func stored(v *ir.Value) int {
	if v.Def.Op == ir.OpWeight || v.Def.Op == ir.OpConst || v.Def.Op == ir.OpInput || v.Unstored() {
		return 0
	}
	if v.Wide() {
		return budget.Product(2, budget.Product(v.Shape...))
	}
	return budget.Product(v.Shape...)
}
