package codegen

import (
	"fmt"
	"math/bits"
	"slices"

	. "github.com/dave/jennifer/jen" //lint:ignore ST1001 jennifer reads as the code that it renders

	"github.com/zkllmc/zkllmc/ir/plan"
)

// signed stands for the smallest and the largest signed integer of as many bits, which the code names.
type signed int

func (l signed) lo() string { return fmt.Sprintf("lo%d", l) }
func (l signed) hi() string { return fmt.Sprintf("hi%d", l) }

// limitsOf recognises the range that a call rescales to.
func limitsOf(s *plan.Step) (signed, bool) {
	if !slices.ContainsFunc(calls[s.Op].args, func(a source) bool { return a.from == fromLimit }) {
		return 0, false
	}
	lo, _ := s.Arg("lo")
	hi, _ := s.Arg("hi")
	if lo.Column >= 0 || hi.Column >= 0 || hi.Int < 0 || lo.Int != -hi.Int-1 || hi.Int&(hi.Int+1) != 0 {
		return 0, false
	}
	return signed(bits.Len64(uint64(hi.Int)) + 1), true
}

// findLimits lists the limits that the plan needs.
func (c *circuitFile) findLimits() {
	for _, steps := range [][]plan.Step{c.p.Prologue, c.p.Block, c.p.Epilogue} {
		for i := range steps {
			if l, ok := limitsOf(&steps[i]); ok && !slices.Contains(c.limits, l) {
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
