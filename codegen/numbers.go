package codegen

import (
	"fmt"
	"math/bits"
	"slices"

	. "github.com/dave/jennifer/jen" //lint:ignore ST1001 jennifer reads as the code that it renders

	"github.com/zkllmc/zkllmc/ir/plan"
)

// limit stands for the smallest and the largest signed integer of as many bits, which the code names.
type limit int

func (l limit) lo() string { return fmt.Sprintf("lo%d", l) }
func (l limit) hi() string { return fmt.Sprintf("hi%d", l) }

// limitOf recognises the range that a call rescales to.
func limitOf(s *plan.Step) (limit, bool) {
	if s.Op != plan.Rescale && s.Op != plan.RescaleTable {
		return 0, false
	}
	lo, hi := s.Params[1], s.Params[2]
	if lo.Column >= 0 || hi.Column >= 0 || hi.Value < 0 || lo.Value != -hi.Value-1 || hi.Value&(hi.Value+1) != 0 {
		return 0, false
	}
	return limit(bits.Len64(uint64(hi.Value)) + 1), true
}

// findLimits lists the limits that the plan needs.
func (c *circuitFile) findLimits() {
	for _, steps := range [][]plan.Step{c.p.Prologue, c.p.Block, c.p.Epilogue} {
		for i := range steps {
			if l, ok := limitOf(&steps[i]); ok && !slices.Contains(c.limits, l) {
				c.limits = append(c.limits, l)
			}
		}
	}
	slices.Sort(c.limits)
}

// integer prints a number, large multiples of powers of two as such.
func integer(v int64) Code {
	const large, digits = 1 << 20, 1 << 16
	if v > -large && v < large {
		return Lit(int(v))
	}
	if k := bits.TrailingZeros64(uint64(v)); v>>k > -digits && v>>k < digits {
		return Lit(int(v >> k)).Op("<<").Lit(k)
	}
	return Lit(int(v))
}
