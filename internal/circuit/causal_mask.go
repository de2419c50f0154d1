package circuit

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/poly"
)

// Where a tensor is zero: a mask that leaves later positions out of a sum, and what is computed from it.

// corner names the claim that a tensor is zero wherever its index on axis col exceeds that on axis row.
type corner struct {
	t        ID
	row, col int
}

// lower says whether a tensor is zero wherever its index on one axis exceeds that on another: constants by their values, virtual
// tensors if a factor of each term is, e, z_u and z_d of a masked zkAttn (recorded by attention), and what an elementwise hint that
// makes zero of zero makes of such a tensor.
func (a *causality) lower(k corner, depth int) bool {
	if is, ok := a.low[k]; ok {
		return is
	}
	t := a.c.Tensor(k.t)
	is := false
	switch {
	case depth > maxLowerDepth:
		return false
	case t.Kind == Const:
		if a.cells += len(t.Values); a.cells <= maxCellsSeen {
			is = lowerCells(t.Values, t.Shape, k.row, k.col)
		}
	case t.Kind == Affine:
		is = a.lowerEquation(t, k)
	case t.Kind == Virtual:
		is = true
		for i := range t.Def {
			is = is && a.lowerTerm(&t.Def[i], k, depth+1)
		}
	case t.Kind == Witness:
		is = a.by[k.t] >= 0 && a.keepsZero(&a.c.Hints[a.by[k.t]], k, depth+1)
	}
	a.low[k] = is
	return is
}

// keepsZero says whether a hint's result is zero where its first input is, and that input is lower in the corner. Parameters are checked:
// see checkHints.
func (a *causality) keepsZero(h *Hint, k corner, depth int) bool {
	zero := false
	switch h.Kind {
	case HintRescale:
		zero = true
	case HintClamp:
		p, _ := h.Clamp()
		zero = k.t == h.Out[0] && p.Lo <= 0 && p.Hi >= 0
	case HintWide:
		p, _ := h.Wide()
		zero = slices.Contains(h.Out[:p.Digits], k.t) && p.Lo <= 0 && p.Hi >= 0
	case HintTable:
		p, _ := h.Lookup()
		col := a.c.Tables[h.Table].Cols[p.Column]
		zero = p.First <= 0 && p.First > -int64(len(col)) && col[-p.First] == 0
	}
	return zero && equalShape(a.c.Tensor(h.In[0]).Shape, a.c.Tensor(k.t).Shape) && a.lower(corner{h.In[0], k.row, k.col}, depth)
}

func (a *causality) lowerTerm(term *Term, k corner, depth int) bool {
	rows, cols := term.Out[k.row], term.Out[k.col]
	if len(rows) != 1 || len(cols) != 1 || len(term.Factors) > maxFactors {
		return false
	}
	for _, f := range term.Factors {
		whole := wholeAxes(f.Axes)
		row, ok := whole[rows[0]]
		col, also := whole[cols[0]]
		if ok && also && a.lower(corner{f.T, row, col}, depth) {
			return true
		}
	}
	return false
}

// lowerCells says whether all cells with an index on axis col beyond that on axis row are zero.
func lowerCells(values []int64, shape []int, row, col int) bool {
	stride := func(axis int) int { return Size(shape[axis+1:]) }
	for i, v := range values {
		if v != 0 && i/stride(col)%shape[col] > i/stride(row)%shape[row] {
			return false
		}
	}
	return true
}

// lowerEquation is lowerCells for the solutions of an equation.
func (a *causality) lowerEquation(t *Tensor, k corner) bool {
	if a.cells += Size(t.Shape) / t.Shape[k.col]; a.cells > maxCellsSeen {
		return false
	}
	offset, strides := t.Equation()
	return poly.AffineLower(offset, strides, t.Shape, k.row, k.col)
}
