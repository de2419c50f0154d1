package quant

import (
	"maps"
	"slices"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/ir"
)

// Enlarge makes the integer program of a graph that is the one of another program with greater extents, with the scales and widths that were chosen
// for that one; whole is the graph that it was prepared of. Weights have no cells: the program serves to learn what it would cost.
func Enlarge(left *budget.Budget, p *Program, whole, g *ir.Graph) (*Program, error) {
	f := arrange(g)
	if err := alike(arrange(whole), f); err != nil {
		return nil, err
	}
	c := p.choices
	return quantise(left, f, c.cal, slices.Sorted(maps.Keys(c.commit)), c.widths, c.far, true)
}
