package circuit

import (
	"fmt"
	"math/big"
)

// The bounds of a tensor that somebody declared with an argument (VirtualBound) serve the prover, whose integers must fit 64 bits, and
// choose widths. No equation's truth over the integers rests on them: here bounds are computed again from what proofs enforce alone,
// the tables that tensors are looked up in, the constants, the ranges of weights and of public values.

// interval is a closed interval of integers.
type interval struct{ lo, hi *big.Int }

// proveBounds computes such bounds for every tensor, and refuses a circuit in which a looked-up or zero-checked tensor may reach 2^250 in
// magnitude: beyond, a cell might be a table's integer, or zero, in the field and another integer. What it returns is shared; nobody may change it.
func (c *Circuit) proveBounds() ([]interval, error) {
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
	bounds := make([]interval, len(c.Tensors))
	for i := range c.Tensors {
		t := &c.Tensors[i]
		if t.Kind != Virtual {
			bounds[i] = interval{big.NewInt(t.Lo), big.NewInt(t.Hi)} // of a witness: see checkCovered
			continue
		}
		bounds[i] = sumBounds(t.Def, bounds)
		if len(looked[i]) == 0 && !zero[i] {
			continue
		}
		if bounds[i].lo.BitLen() > wrapBits || bounds[i].hi.BitLen() > wrapBits {
			return nil, fmt.Errorf("circuit %s: tensor %s is checked, but its cells may wrap around the field whatever is declared of them: they may have %d bits; use coarser scales",
				c.Name, t.Name, max(bounds[i].lo.BitLen(), bounds[i].hi.BitLen()))
		}
		for k := 0; k < len(looked[i]); k += 2 {
			bounds[i] = bounds[i].within(ranges[looked[i][k]][looked[i][k+1]])
		}
		if zero[i] {
			bounds[i] = interval{new(big.Int), new(big.Int)}
		}
	}
	return bounds, nil
}

func sumBounds(terms []Term, bounds []interval) interval {
	sum := interval{new(big.Int), new(big.Int)}
	for _, t := range terms {
		lo, hi := boundTerm(t, func(id ID) (lo, hi *big.Int) { return bounds[id].lo, bounds[id].hi })
		sum.lo.Add(sum.lo, lo)
		sum.hi.Add(sum.hi, hi)
	}
	return sum
}

// within is the intersection, or the other interval where there is none: no witness exists then.
func (v interval) within(other interval) interval {
	r := v
	if other.lo.Cmp(r.lo) > 0 {
		r.lo = other.lo
	}
	if other.hi.Cmp(r.hi) < 0 {
		r.hi = other.hi
	}
	if r.lo.Cmp(r.hi) > 0 {
		return other
	}
	return r
}

// tableRanges returns the least and the greatest value of every column of every table.
func (c *Circuit) tableRanges() [][]interval {
	out := make([][]interval, len(c.Tables))
	for i, t := range c.Tables {
		for _, col := range t.Cols {
			lo, hi := col[0], col[0]
			for _, v := range col {
				lo, hi = min(lo, v), max(hi, v)
			}
			out[i] = append(out[i], interval{big.NewInt(lo), big.NewInt(hi)})
		}
	}
	return out
}
