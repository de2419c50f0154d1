package quant

import (
	"errors"
	"maps"
	"slices"

	"github.com/zkllmc/zkllmc/internal/budget"
	"github.com/zkllmc/zkllmc/ir"
)

// Enlarge makes the integer program of a graph that is the one of another program with greater extents, with the scales and widths that were chosen
// for that one, but that sums are wide where there are so many summands; whole is the graph that it was prepared of. Weights have no cells: the program serves to learn what it would cost.
func Enlarge(left *budget.Budget, p *Program, whole, g *ir.Graph) (*Program, error) {
	f := arrange(g)
	if err := alike(arrange(whole), f); err != nil {
		return nil, err
	}
	c, commit := p.choices, slices.Sorted(maps.Keys(p.choices.commit))
	larger, err := quantise(left, f, c.cal, commit, c.widths, c.far, true)
	if beyond := new(errBeyond); errors.As(err, beyond) {
		larger, err = quantise(left, f, c.cal, commit, c.widths, true, true)
	}
	return larger, err
}
