package circuit

import (
	"math/big"
	"slices"
)

// zkAttn takes the maximum of a row, and sums over it, so that its results know all positions of the row: its last axis is no time axis
// of the maximum, of e and of 1/Σe. Where the scores' last axis is one, the row must not see positions behind its own, and a mask is
// the only way: if every column beyond the row's index is masked, the row depends on what the scores in the columns up to it depend on.
//
// That a masked score has no influence is package attention's argument; whether its constraints are those of this circuit is seen here:
// the division with the mask's offset, the two tables with their shared indicator, and the bounds that keep a masked distance beyond
// the exponentiated ones.

// attentionParts are the tensors and numbers of a HintAttn.
type attentionParts struct {
	s, mask              ID
	limbs                []ID // of M − lo
	dlo, u, e, zu, zd    ID
	shift, dbits, offset int64
	lo                   int64
	table                int
}

func (a *causality) attentionParts(h *Hint) (p attentionParts, ok bool) {
	const fixed = 5 // results behind the limbs of the maximum
	params, read := h.Attn()
	if len(h.In) != 2 || !read || len(h.Out) < fixed+1 || int64(len(h.Out)) != params.Limbs+fixed || h.Table < 0 || h.Table >= len(a.c.Tables) {
		return p, false
	}
	n := len(h.Out) - fixed
	p = attentionParts{
		s: h.In[0], mask: h.In[1], limbs: h.Out[:n], dlo: h.Out[n], u: h.Out[n+1], e: h.Out[n+2], zu: h.Out[n+3], zd: h.Out[n+4],
		shift: params.Shift, dbits: params.DBits, offset: params.Offset, lo: params.Lo, table: h.Table,
	}
	if p.s < 0 || len(a.c.Tensor(p.s).Shape) < 2 || p.shift < 0 || p.shift > 61 || p.dbits < 1 || p.dbits > 61 {
		return p, false
	}
	shape := a.c.Tensor(p.s).Shape
	for _, id := range h.Out {
		want := shape
		if id < p.dlo {
			want = shape[:len(shape)-1]
		}
		if !equalShape(a.c.Tensor(id).Shape, want) {
			return p, false
		}
	}
	return p, true
}

// attention times the results of zkAttn.
func (a *causality) attention(h int) {
	hint := &a.c.Hints[h]
	name := a.c.Tensor(hint.Out[0]).Name
	p, ok := a.attentionParts(hint)
	if !ok {
		a.set(h, lateBecause("tensor %s: it is no zkAttn as package attention makes it", name), nil)
		return
	}
	x := a.at(p.s)
	if x.late {
		a.set(h, x, nil)
		return
	}
	row, col := len(x.axes)-2, len(x.axes)-1
	dist := timing{axes: append([]bool(nil), x.axes...)}
	if x.axes[col] {
		if why := a.masked(p); why != "" {
			a.set(h, lateBecause("tensor %s: %s", name, why), nil)
			return
		}
		dist.axes[row] = true
		for _, id := range []ID{p.e, p.zu, p.zd} {
			a.low[corner{id, row, col}] = true
		}
	}
	weights := timing{axes: append([]bool(nil), dist.axes...)}
	weights.axes[col] = false
	maximum := timing{axes: weights.axes[:col]}
	for _, id := range p.limbs {
		a.time[id] = &maximum
	}
	for _, id := range []ID{p.dlo, p.u} {
		a.time[id] = &dist
	}
	for _, id := range []ID{p.e, p.zu, p.zd} {
		a.time[id] = &weights
	}
	a.attentionConstraints(h, p, name)
}

// masked says why the columns behind a row's index may have influence; "" if they have none.
func (a *causality) masked(p attentionParts) string {
	if p.mask < 0 || a.c.Tensor(p.mask).Kind != Const {
		return "its rows see all positions; there is no constant mask"
	}
	s, m := a.c.Tensor(p.s), a.c.Tensor(p.mask)
	k := len(m.Shape)
	if k < 2 || k > len(s.Shape) || !equalShape(m.Shape, s.Shape[len(s.Shape)-k:]) {
		return "the mask has no row per row of the scores"
	}
	for i, v := range m.Values {
		if v != 0 && v != 1 {
			return "the mask has cells that are neither 0 nor 1"
		}
		if T := m.Shape[k-1]; v == 0 && i%T > i/T%m.Shape[k-2] {
			return "the mask leaves later positions open"
		}
	}
	if !a.farEnough(p) {
		return "a masked distance may be one that is exponentiated"
	}
	return a.attentionStands(p)
}

// farEnough says that u ≥ 1 at a masked position. From the division, with rem ≥ 0 and M ≥ lo,
//
//	2^k·(d_lo + 2^b·u) ≥ 2^k·(lo + offset) − (s + half)
//
// and s + half < 2^k·(⌊(s_max + half)/2^k⌋ + 1), so that d_lo + 2^b·u > lo + offset − ⌊(s_max + half)/2^k⌋ − 1; d_lo < 2^b.
func (a *causality) farEnough(p attentionParts) bool {
	top := new(big.Int).Add(a.proven[p.s].Hi, big.NewInt(int64(1)<<p.shift>>1))
	top.Rsh(top, uint(p.shift))
	least := new(big.Int).Add(big.NewInt(p.lo), big.NewInt(p.offset))
	return least.Sub(least, top).Cmp(big.NewInt(1<<p.dbits)) >= 0
}

// attentionStands says what of zkAttn's constraints is not there; "" if nothing is missing.
func (a *causality) attentionStands(p attentionParts) string {
	exp, high, division := false, false, false
	for _, l := range a.c.Lookups {
		cols := a.c.Tables[l.Table].Cols
		switch {
		case l.Table == p.table && equalIDs(l.Cols, []ID{p.dlo, p.e, p.zu, p.zd}):
			exp = true
			for i, zu := range cols[2] {
				exp = exp && (zu != 0 || cols[1][i] == 0 && cols[3][i] == 0) && cols[0][i] < 1<<p.dbits
			}
		case equalIDs(l.Cols, []ID{p.u, p.zu}):
			high = true
			for i, u := range cols[0] {
				high = high && (u == 0 || cols[1][i] == 0)
			}
		}
	}
	if !exp || !high {
		return "the tables of its exponentials do not make a far distance count nothing"
	}
	for i := range a.c.Tensors {
		division = division || a.isDivision(&a.c.Tensors[i], p) && a.notNegative(ID(i))
	}
	if !division {
		return "its division does not add the mask"
	}
	return ""
}

// isDivision matches s + half − 2^k·offset·mask − 2^k·M + 2^k·d_lo + 2^(k+b)·u, of which a cell is a remainder.
func (a *causality) isDivision(t *Tensor, p attentionParts) bool {
	if t.Kind != Virtual || !equalShape(t.Shape, a.c.Tensor(p.s).Shape) {
		return false
	}
	one := int64(1) << p.shift
	want := map[ID]int64{p.s: 1, p.mask: -one * p.offset, p.dlo: one, p.u: one << p.dbits}
	maximum := false
	for _, term := range t.Def {
		if len(term.Factors) == 0 {
			if term.Coef < 0 || term.Coef != one>>1 {
				return false
			}
			continue
		}
		f := term.Factors[0]
		if len(term.Factors) > 1 || !isSpread(&term, f) {
			return false
		}
		switch coef, ok := want[f.T]; {
		case ok && coef == term.Coef:
			if first := len(t.Shape) - len(f.Axes); term.Out[first][0] != f.Axes[0][0] { // along the last axes
				return false
			}
			delete(want, f.T)
		case !maximum && term.Coef == -one && a.isMaximum(f.T, p) && term.Out[0][0] == f.Axes[0][0]:
			maximum = true
		default:
			return false
		}
	}
	return maximum && len(want) == 0
}

// notNegative says whether a constraint keeps a virtual tensor's cells from being negative: a zero-check, a lookup in a table without
// negative values, or one of what is left of it after taking away limbs that are not negative.
func (a *causality) notNegative(id ID) bool {
	for _, z := range a.c.Zeros {
		if z == id {
			return true
		}
	}
	for _, l := range a.c.Lookups {
		for i, col := range l.Cols {
			if slices.Min(a.c.Tables[l.Table].Cols[i]) >= 0 && (col == id || a.isLowestLimb(col, id)) {
				return true
			}
		}
	}
	return false
}

// isLowestLimb matches v − Σ coef·limb, the limbs looked up and not negative.
func (a *causality) isLowestLimb(id, v ID) bool {
	whole := false
	for _, term := range a.c.Tensor(id).Def {
		if len(term.Factors) != 1 || !isSpread(&term, term.Factors[0]) || len(term.Factors[0].Axes) != len(term.Out) {
			return false
		}
		switch f := a.c.Tensor(term.Factors[0].T); {
		case f.ID == v && term.Coef == 1 && !whole:
			whole = true
		case f.Kind != Witness || f.Lo < 0 || term.Coef > 0:
			return false
		}
	}
	return whole
}

// isSpread says whether a term of one factor has one label per axis, and the factor's axes are consecutive ones of the result.
func isSpread(term *Term, f Factor) bool {
	at := -1
	for i, labels := range term.Out {
		if len(labels) != 1 {
			return false
		}
		if len(f.Axes) > 0 && len(f.Axes[0]) == 1 && labels[0] == f.Axes[0][0] {
			at = i
		}
	}
	if at < 0 || at+len(f.Axes) > len(term.Out) {
		return false
	}
	for i, labels := range f.Axes {
		if len(labels) != 1 || labels[0] != term.Out[at+i][0] {
			return false
		}
	}
	return true
}

// isMaximum matches lo + Σ 2^(wl)·limb_l: all limbs and nothing negative, so that the maximum is at least lo.
func (a *causality) isMaximum(id ID, p attentionParts) bool {
	t := a.c.Tensor(id)
	if t.Kind != Virtual {
		return false
	}
	left := map[ID]bool{}
	for _, l := range p.limbs {
		left[l] = true
	}
	base := false
	for _, term := range t.Def {
		switch {
		case len(term.Factors) == 0 && !base && term.Coef == p.lo:
			base = true
		case len(term.Factors) == 1 && term.Coef > 0 && left[term.Factors[0].T] && isSpread(&term, term.Factors[0]) && a.c.Tensor(term.Factors[0].T).Lo >= 0:
			delete(left, term.Factors[0].T)
		default:
			return false
		}
	}
	return len(left) == 0 && (base || p.lo == 0)
}

// attentionConstraints makes the results late if a constraint about them depends on what their scores do not.
func (a *causality) attentionConstraints(h int, p attentionParts, name string) {
	for _, cols := range a.about[h] {
		shape := a.c.Tensor(cols[0]).Shape
		t := timing{axes: make([]bool, len(shape))}
		for _, id := range cols {
			t = t.with(a.at(id))
		}
		bound := *a.time[p.dlo]
		if len(shape) == len(bound.axes)-1 {
			bound = timing{axes: a.time[p.limbs[0]].axes}
		}
		if t.late || len(bound.axes) != len(shape) || !equalShape(shape, a.c.Tensor(p.s).Shape[:len(shape)]) || !bound.covers(t) {
			a.set(h, lateBecause("tensor %s: %s constrains it and depends on later positions", name, a.c.Tensor(cols[0]).Name), nil)
			return
		}
	}
}

func equalIDs(a, b []ID) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
