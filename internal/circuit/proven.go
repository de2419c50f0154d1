package circuit

import (
	"fmt"
	"math/big"

	"github.com/zkllmc/zkllmc/internal/interval"
)

// The bounds of a tensor that somebody declared with an argument (VirtualBound) serve the prover, whose integers must fit 64 bits, and
// choose widths. No equation's truth over the integers rests on them: here bounds are computed again from what proofs enforce alone,
// the tables that tensors are looked up in, the constants, the ranges of weights and of public values.

// proveBounds computes such bounds for every tensor, and refuses a circuit in which a looked-up or zero-checked tensor may reach 2^250 in
// magnitude: beyond, a cell might be a table's integer, or zero, in the field and another integer. What it returns is shared; nobody may
// change it.
func (c *Circuit) proveBounds() ([]interval.Interval, error) {
	looked := make([][]int, len(c.Tensors)) // per tensor: table and column of its lookups, in pairs
	for _, l := range c.Lookups {
		for i, id := range l.Cols {
			looked[id] = append(looked[id], l.Table, i)
		}
	}
	zero := make([]bool, len(c.Tensors))
	for _, z := range c.Zeros {
		zero[z] = true
	}
	ranges := c.tableRanges()
	bounds := make([]interval.Interval, len(c.Tensors))
	for i := range c.Tensors {
		t := &c.Tensors[i]
		if t.Kind != Virtual {
			bounds[i] = interval.Of(t.Lo, t.Hi) // of a witness: see checkCovered
			continue
		}
		bounds[i] = saturated(sumBounds(t.Def, func(id ID) interval.Interval { return bounds[id] }, nil))
		if len(looked[i]) == 0 && !zero[i] {
			continue
		}
		if bounds[i].BitLen() > wrapBits {
			return nil, &Error{Circuit: c.Name, Tensor: ID(i), Text: fmt.Sprintf(
				"tensor %s: it is checked, but its cells may wrap around the field whatever is declared of them: they may have %d bits; use coarser scales", t.Name, bounds[i].BitLen())}
		}
		for k := 0; k < len(looked[i]); k += 2 {
			bounds[i] = within(bounds[i], ranges[looked[i][k]][looked[i][k+1]])
		}
		if zero[i] {
			bounds[i] = interval.Of(0, 0)
		}
	}
	return bounds, nil
}

// saturated keeps numbers that nothing checked may come near from growing: products of unchecked tensors double their bits. An interval
// with an end beyond 2^256 becomes one that is as wide on both sides. Of such an interval no sum is narrower, and no product but that
// with [0, 0], so that whatever is computed from it stays beyond what may be checked: two numbers that are both far do not cancel.
func saturated(v interval.Interval) interval.Interval {
	if v.BitLen() <= farBits {
		return v
	}
	far := new(big.Int).Lsh(big.NewInt(1), farBits)
	return interval.Interval{Lo: new(big.Int).Neg(far), Hi: far}
}

// farBits is more than a checked interval may have.
const farBits = wrapBits + 6

// within is the intersection, or the other interval where there is none: no witness exists then.
func within(v, other interval.Interval) interval.Interval {
	r := v
	if other.Lo.Cmp(r.Lo) > 0 {
		r.Lo = other.Lo
	}
	if other.Hi.Cmp(r.Hi) < 0 {
		r.Hi = other.Hi
	}
	if r.Lo.Cmp(r.Hi) > 0 {
		return other
	}
	return r
}

// tableRanges returns the least and the greatest value of every column of every table.
func (c *Circuit) tableRanges() [][]interval.Interval {
	out := make([][]interval.Interval, len(c.Tables))
	for i, t := range c.Tables {
		for _, col := range t.Cols {
			lo, hi := col[0], col[0]
			for _, v := range col {
				lo, hi = min(lo, v), max(hi, v)
			}
			out[i] = append(out[i], interval.Of(lo, hi))
		}
	}
	return out
}
