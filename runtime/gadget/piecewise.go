package gadget

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/tables"
)

// PiecewiseLinear approximates a function by linear pieces of 2^low arguments each, so that a table of at most 2^LimbBits pieces serves
// arguments of more bits. It rescales v to x = Rescale(v, shift, lo, hi), commits x's digits, index i and offset l, and the value and slope
// of piece i, as package tables computes them, and returns y, virtual:
//
//	x = 2^low·i + l        y = value_i + slope_i·l ≈ fn(x·2^-inScale)·2^outScale
//
// lo and hi + 1 are multiples of 2^low. The digits are proved to be those of x as in wide, but that i is looked up with its piece: the
// lines are (i, value_i, slope_i), or, where the rescale clamps, (i, κ, value_i, slope_i) with κ = 0 for every piece and with κ = 1 for the
// last, −1 for the first. So a function costs one lookup and two committed cells more than with RescaleTable.
//
// Unique: the lookup of i contains that of wide, so v determines i, l and κ; value_i and slope_i are the only ones next to i in the table,
// since the lines of κ = ±1 repeat their piece; and y is a sum of products of these integers, without wrapping by its bounds. Total: there
// is a piece for every index.
func PiecewiseLinear(b *circuit.Builder, name string, v circuit.ID, shift int, lo, hi int64, low int, fn string, inScale, outScale int) circuit.ID {
	d := wideDigits{shift: shift, radix: low, top: 1, lo: lo, hi: hi, apart: apart(b, v, shift+low)}
	if low < 1 || low > LimbBits || lo > hi || hi>>low-lo>>low >= 1<<LimbBits {
		b.Fail("%s: pieces of 2^%d arguments in [%d, %d], want 1 to %d bits and at most 2^%d pieces", name, low, lo, hi, LimbBits, LimbBits)
		return v
	}
	if !d.ok(b, name) {
		return v
	}
	first, last := d.least(1), d.most(1)
	values, slopes, err := tables.Pieces(fn, first, last, inScale, low, outScale)
	if err != nil {
		b.Fail("%s: %v", name, err)
		return v
	}
	shape := b.Shape(v)
	value, slope := output(b, name+".value", values, shape), output(b, name+".slope", slopes, shape)
	digits, ok := d.rescale(b, name+".in", v, func(b *circuit.Builder, l int, digit, class circuit.ID) {
		if l == 0 {
			d.lookup(b, l, digit, class)
			return
		}
		lookupPiece(b, fmt.Sprintf("%s by 2^%d", functionName(fn, lo, hi, inScale, outScale), low), first, values, slopes, digit, class, value, slope)
	})
	if !ok {
		return v
	}
	return b.Virtual(name, shape, circuit.Scaled(b, 1, value), circuit.Product(b, 1, slope, digits[0]))
}

// lookupPiece looks an index up with its piece, and with the class of a clamp.
func lookupPiece(b *circuit.Builder, name string, first int64, values, slopes []int64, index, class, value, slope circuit.ID) {
	last := len(values) - 1
	column, cols := int64(1), []circuit.ID{index, value, slope}
	lines := func() [][]int64 { return [][]int64{count(first, first+int64(last)), values, slopes} }
	if class != None {
		name, column, cols = "clamp and "+name, 2, []circuit.ID{index, class, value, slope}
		lines = func() [][]int64 {
			ends := func(x []int64) []int64 { return append(append([]int64(nil), x...), x[last], x[0]) }
			return append(clampLines(first, first+int64(last)), ends(values), ends(slopes))
		}
	}
	t := b.TableOf(name, lines)
	b.Lookup(t, cols...)
	b.Hint(circuit.TableHint{First: first, Column: column}.Hint(t, index, value))
	b.Hint(circuit.TableHint{First: first, Column: column + 1}.Hint(t, index, slope))
}
