// Package hint holds the rules of the gadgets' hints: how a prover computes what package gadget commits to.
package hint

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/int128"
	"github.com/zkllmc/zkllmc/internal/witness/rule"
)

// Rules are the rules by the kind of hint.
func Rules() map[circuit.HintKind]rule.Rule {
	return map[circuit.HintKind]rule.Rule{
		circuit.HintRescale: rescale,
		circuit.HintClamp:   clamp,
		circuit.HintWide:    wide,
		circuit.HintLimbs:   limbs,
		circuit.HintTable:   table,
		circuit.HintRsqrt:   quotient,
		circuit.HintRecip:   quotient,
	}
}

// parameters is the error of a hint that has others than its kind's.
func parameters(h *circuit.Hint) error {
	return fmt.Errorf("a hint of kind %d has %d parameters", h.Kind, len(h.Params))
}

func rescale(r rule.Run, h *circuit.Hint, in [][]int64) error {
	p, ok := h.Rescale()
	if !ok {
		return parameters(h)
	}
	q := quotientsOf(r, h, p.Shift, in[0])
	r.Emit(h.Out[0], rule.Cells(r, q.n, func(i int) int64 { return q.within(i, math.MinInt64, math.MaxInt64) }))
	return nil
}

// quotients are the quotients of a hint's input by 2^shift.
type quotients struct {
	n       int
	v, high []int64 // high of a wide input, else nil
	shift   int64
}

func quotientsOf(r rule.Run, h *circuit.Hint, shift int64, v []int64) quotients {
	if r.Wide(h.In[0]) {
		n := len(v) / 2
		return quotients{n, v[:n], v[n:], shift}
	}
	return quotients{n: len(v), v: v, shift: shift}
}

// within is quotient i, clamped to [lo, hi].
func (q *quotients) within(i int, lo, hi int64) int64 {
	if q.high != nil {
		return rule.WideQuotient(q.v[i], q.high[i], q.shift).Within(lo, hi)
	}
	return min(max(rule.Quotient(q.v[i], q.shift), lo), hi)
}

// beyond is quotient i less two numbers.
func (q *quotients) beyond(i int, a, b int64) int128.Int {
	if q.high != nil {
		return rule.WideQuotient(q.v[i], q.high[i], q.shift).Minus(int128.Of(a)).Minus(int128.Of(b))
	}
	return int128.Of(rule.Quotient(q.v[i], q.shift) - a - b)
}

func limbs(r rule.Run, h *circuit.Hint, in [][]int64) error {
	p, ok := h.Limbs()
	if !ok {
		return parameters(h)
	}
	rule.Limbs(r, h.Out, 1, p.Radix, in[0])
	return nil
}

func quotient(r rule.Run, h *circuit.Hint, in [][]int64) error {
	p, ok := h.Quotient()
	if !ok {
		return parameters(h)
	}
	rule.Limbs(r, h.Out, 0, p.Radix, rule.Cells(r, len(in[0]), func(i int) int64 {
		q := divide(p.Num, in[0][i])
		if h.Kind == circuit.HintRsqrt {
			q = isqrt(q)
		}
		return q
	}))
	return nil
}

// divide is ⌊num/s⌋, and 0 for the s that only a lying prover meets.
func divide(num, s int64) int64 {
	if s < 1 {
		return 0
	}
	return num / s
}

// isqrt is ⌊√v⌋ for 0 ≤ v < 2^62, by Newton's method from above.
func isqrt(v int64) int64 {
	if v == 0 {
		return 0
	}
	r := int64(1) << ((bits.Len64(uint64(v)) + 1) / 2)
	for {
		next := (r + v/r) / 2
		if next >= r {
			return r
		}
		r = next
	}
}

// clamp emits y, the class and the limbs of the excess q − y − κ, which have its sign.
func clamp(r rule.Run, h *circuit.Hint, in [][]int64) error {
	p, ok := h.Clamp()
	if !ok {
		return parameters(h)
	}
	q := quotientsOf(r, h, p.Shift, in[0])
	y := r.Emit(h.Out[0], rule.Cells(r, q.n, func(i int) int64 { return q.within(i, p.Lo, p.Hi) }))
	excess(r, p, h.Out[1:], q, y)
	return nil
}

// wide emits the digits of y, the top one with its sign, then the class and the limbs of the excess where they are asked for.
func wide(r rule.Run, h *circuit.Hint, in [][]int64) error {
	p, ok := h.Wide()
	if !ok {
		return parameters(h)
	}
	q := quotientsOf(r, h, p.Shift, in[0])
	y := make([]int64, q.n) // of the digits as they are emitted
	for l, id := range h.Out[:p.Digits] {
		pos, mask := int64(l)*p.Width, int64(1)<<p.Width-1
		if l == int(p.Digits)-1 {
			mask = -1
		}
		digit := r.Emit(id, rule.Cells(r, q.n, func(i int) int64 { return q.within(i, p.Lo, p.Hi) >> pos & mask }))
		for i, d := range digit {
			y[i] += d << pos
		}
	}
	if rest := h.Out[p.Digits:]; len(rest) > 0 {
		excess(r, circuit.ClampHint{Shift: p.Shift, Lo: p.Lo, Hi: p.Hi, First: p.First, Radix: p.Radix}, rest, q, y)
	}
	return nil
}

// excess emits the class and the limbs of the excess of a clamp of quotients whose results are y.
func excess(r rule.Run, p circuit.ClampHint, out []circuit.ID, q quotients, y []int64) {
	class := r.Emit(out[0], rule.Cells(r, q.n, func(i int) int64 {
		if q.high == nil {
			x := rule.Quotient(q.v[i], q.shift)
			return indicator(x > p.Hi) - indicator(x < p.Lo)
		}
		switch d := q.beyond(i, q.within(i, p.Lo, p.Hi), 0); {
		case d.Hi < 0:
			return -1
		case d != int128.Of(0):
			return 1
		}
		return 0
	}))
	limbs := out[1:]
	for k, id := range limbs {
		pos, mask := (p.First+int64(k))*p.Radix, int64(1)<<p.Radix-1
		if k == len(limbs)-1 {
			mask = -1
		}
		r.Emit(id, rule.Cells(r, q.n, func(i int) int64 {
			if q.high == nil && class[i] == 0 && rule.Quotient(q.v[i], q.shift) == y[i] { // as almost always
				return 0
			}
			e := q.beyond(i, y[i], class[i])
			if e.Hi < 0 {
				return -(int128.Of(0).Minus(e).Shift(pos).Int64() & mask)
			}
			return e.Shift(pos).Int64() & mask
		}))
	}
}

func indicator(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// table emits f(x).
func table(r rule.Run, h *circuit.Hint, cells [][]int64) error {
	p, ok := h.Lookup()
	if !ok {
		return parameters(h)
	}
	x := cells[0]
	name, col := r.Table(h)
	arg, val := col[0], col[p.Column]
	in := func(i int) bool { d := x[i] - p.First; return d >= 0 && d < int64(len(arg)) && arg[d] == x[i] }
	if r.Checked() {
		if err := rule.EachCell(r.Pool(), len(x), func(i int) error {
			if !in(i) {
				return fmt.Errorf("tensor %s: cell %v is %d, which is no argument of table %q", r.Name(h.In[0]), r.Cell(h.In[0], i), x[i], name)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	r.Emit(h.Out[0], rule.Cells(r, len(x), func(i int) int64 {
		if !in(i) {
			return 0
		}
		return val[x[i]-p.First]
	}))
	return nil
}
