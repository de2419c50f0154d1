package gadget

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/circuit"
)

// Max is max(x, y), cell by cell, of two tensors of one shape: the virtual tensor y + e, where e = max(x − y, 0) is committed and looked
// up next to the virtual difference x − y. That is one committed cell and one lookup per cell; looking up that neither distance from the
// result to x and to y is negative, and that their product is zero, would take two lookups and a sumcheck. The table has a line for every
// difference, at most 2^16.
//
// Unique: x and y are integers within their bounds, so x − y is one within the table's arguments (no wrap), it occurs in one line, whose
// value is max(x − y, 0); y plus that is max(x, y). Total: the table has a line for every difference within the bounds.
func Max(b *circuit.Builder, name string, x, y circuit.ID) circuit.ID {
	if !slices.Equal(b.Shape(x), b.Shape(y)) {
		b.Fail("%s: the larger of tensors of shapes %v and %v", name, b.Shape(x), b.Shape(y))
		return x
	}
	shape := b.Shape(x)
	difference := b.Virtual(name+".difference", shape, circuit.Scaled(b, 1, x), circuit.Scaled(b, -1, y))
	excess := Table(b, name+".excess", difference, "relu", 0, 0)
	xlo, xhi := b.Bounds(x)
	ylo, yhi := b.Bounds(y)
	return b.VirtualBound(name, shape, max(xlo, ylo), max(xhi, yhi), "it is the larger of two cells with these bounds", circuit.Scaled(b, 1, y), circuit.Scaled(b, 1, excess))
}
