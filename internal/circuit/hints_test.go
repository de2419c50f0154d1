package circuit

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHints writes the hints of every kind and reads their parameters again. The lists are those of SPEC.md and of the digest: an order
// that changes changes both.
func TestHints(t *testing.T) {
	clamp, attn := ClampHint{Shift: 1, Lo: -2, Hi: 3, First: 4, Radix: 5}, AttnHint{Shift: 1, DBits: 2, Offset: 3, Lo: -4, Radix: 6}
	wide := WideHint{Shift: 1, Lo: -2, Hi: 3, Width: 4, First: 5, Radix: 6}
	digits := wide
	digits.Digits = 2
	whole := attn
	whole.Limbs = 2
	for _, c := range []struct {
		hint Hint
		want Hint
		read func(h *Hint) (any, bool)
		p    any
	}{
		{RescaleHint{Shift: 7}.Hint(1, 2), Hint{Kind: HintRescale, In: []ID{1}, Out: []ID{2}, Params: []int64{7}},
			func(h *Hint) (any, bool) { p, ok := h.Rescale(); return p, ok }, RescaleHint{Shift: 7}},
		{clamp.Hint(1, 2, 3, []ID{4, 5}), Hint{Kind: HintClamp, In: []ID{1}, Out: []ID{2, 3, 4, 5}, Params: []int64{1, -2, 3, 4, 5}},
			func(h *Hint) (any, bool) { p, ok := h.Clamp(); return p, ok }, clamp},
		{wide.Hint(1, []ID{2, 3}, 4, 5), Hint{Kind: HintWide, In: []ID{1}, Out: []ID{2, 3, 4, 5}, Params: []int64{1, -2, 3, 2, 4, 5, 6}},
			func(h *Hint) (any, bool) { p, ok := h.Wide(); return p, ok }, digits},
		{LimbsHint{Radix: 9}.Hint(1, []ID{2, 3}), Hint{Kind: HintLimbs, In: []ID{1}, Out: []ID{2, 3}, Params: []int64{9}},
			func(h *Hint) (any, bool) { p, ok := h.Limbs(); return p, ok }, LimbsHint{Radix: 9}},
		{TableHint{First: -3, Column: 1}.Hint(6, 1, 2), Hint{Kind: HintTable, In: []ID{1}, Out: []ID{2}, Params: []int64{-3, 1}, Table: 6},
			func(h *Hint) (any, bool) { p, ok := h.Lookup(); return p, ok }, TableHint{First: -3, Column: 1}},
		{QuotientHint{Num: 8, Radix: 3}.Hint(HintRsqrt, 1, []ID{2}), Hint{Kind: HintRsqrt, In: []ID{1}, Out: []ID{2}, Params: []int64{8, 3}},
			func(h *Hint) (any, bool) { p, ok := h.Quotient(); return p, ok }, QuotientHint{Num: 8, Radix: 3}},
		{attn.Hint(5, 1, -1, []ID{2, 3}, 4, 5, 6, 7, 8),
			Hint{Kind: HintAttn, In: []ID{1, -1}, Out: []ID{2, 3, 4, 5, 6, 7, 8}, Params: []int64{1, 2, 3, -4, 2, 6}, Table: 5},
			func(h *Hint) (any, bool) { p, ok := h.Attn(); return p, ok }, whole},
	} {
		require.Equal(t, c.want, c.hint)
		p, ok := c.read(&c.hint)
		require.True(t, ok)
		require.Equal(t, c.p, p)
		c.hint.Params = append(c.hint.Params, 0)
		_, ok = c.read(&c.hint)
		require.False(t, ok, "%+v", c.hint)
	}
}
