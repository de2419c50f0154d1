package circuit

import (
	"fmt"
	"math/big"
	"math/bits"
	"slices"
	"strings"

	"github.com/zkllmc/zkllmc/internal/interval"
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
	params, _ := h.Attn()
	if len(h.In) != 2 || len(h.Out) < fixed+1 || int64(len(h.Out)) != params.Limbs+fixed || len(a.c.Tables[h.Table].Cols) != 4 {
		return p, false
	}
	n := len(h.Out) - fixed
	p = attentionParts{
		s: h.In[0], mask: h.In[1], limbs: h.Out[:n], dlo: h.Out[n], u: h.Out[n+1], e: h.Out[n+2], zu: h.Out[n+3], zd: h.Out[n+4],
		shift: params.Shift, dbits: params.DBits, offset: params.Offset, lo: params.Lo, table: h.Table,
	}
	if len(a.c.Tensor(p.s).Shape) < 2 || p.dbits < 1 || p.shift+p.dbits > 61 || p.offset < 0 || p.shift+int64(bits.Len64(uint64(p.offset))) > 61 {
		return p, false
	}
	shape := a.c.Tensor(p.s).Shape
	for i, id := range h.Out {
		want := shape
		if i < n {
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
	for _, id := range hint.Out {
		if a.by[id] != h {
			a.set(h, lateBecause("tensor %s: several hints say how it comes about", a.c.Tensor(id).Name), nil)
			return
		}
	}
	x := a.time[p.s]
	if x.late {
		a.set(h, x, nil)
		return
	}
	if m := p.mask; m >= 0 && (a.time[m].late || slices.Contains(a.time[m].axes, true)) {
		a.set(h, lateBecause("tensor %s: its mask depends on the tokens", name), nil)
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
	for _, id := range p.limbs {
		a.time[id] = timing{axes: weights.axes[:col]}
	}
	for _, id := range []ID{p.dlo, p.u} {
		a.time[id] = dist
	}
	for _, id := range []ID{p.e, p.zu, p.zd} {
		a.time[id] = weights
	}
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
	least := new(big.Int).Add(big.NewInt(p.lo), big.NewInt(p.offset))
	return least.Sub(least, a.proven[p.s].Quotients(int(p.shift)).Hi).Cmp(big.NewInt(1<<p.dbits)) >= 0
}

// attentionStands says what of zkAttn's constraints is not there; "" if nothing is missing. They tie masked positions to the row's maximum,
// as all positions, and are excused from what constraints may know.
func (a *causality) attentionStands(p attentionParts) string {
	exp, high := -1, -1
	for _, at := range a.looked[p.dlo] {
		if l := a.c.Lookups[at.lookup]; l.Table == p.table && equalIDs(l.Cols, []ID{p.dlo, p.e, p.zu, p.zd}) && farCountsNothing(a.c.Tables[l.Table].Cols, p.dbits) {
			exp = at.lookup
		}
	}
	for _, at := range a.looked[p.u] {
		if l := a.c.Lookups[at.lookup]; equalIDs(l.Cols, []ID{p.u, p.zu}) && indicatesZero(a.c.Tables[l.Table].Cols) {
			high = at.lookup
		}
	}
	if exp < 0 || high < 0 {
		return "the tables of its exponentials do not make a far distance count nothing"
	}
	attained := false
	for _, id := range a.uses[p.zd] {
		attained = attained || a.isAttained(a.c.Tensor(id), p) && a.within(id, -1)
	}
	if !attained {
		return "nothing says that its maximum is attained"
	}
	division := ID(-1)
	for _, id := range a.uses[p.dlo] {
		if a.isDivision(a.c.Tensor(id), p) && a.within(id, p.shift) {
			division = id
		}
	}
	if division < 0 {
		return "its division does not add the mask"
	}
	a.claims[division] = true
	a.excused[exp], a.excused[high] = true, true
	return ""
}

// farCountsNothing says of (d, e, z_u, z_d) that d < 2^dbits, and e = z_d = 0 where z_u = 0.
func farCountsNothing(cols [][]int64, dbits int64) bool {
	for i, zu := range cols[2] {
		if cols[0][i] >= 1<<dbits || zu == 0 && (cols[1][i] != 0 || cols[3][i] != 0) {
			return false
		}
	}
	return true
}

// indicatesZero says of (u, z_u) that z_u = 0 where u ≠ 0.
func indicatesZero(cols [][]int64) bool {
	for i, u := range cols[0] {
		if u != 0 && cols[1][i] != 0 {
			return false
		}
	}
	return true
}

// isAttained matches Σ z_d − 1, the sum over the last axis.
func (a *causality) isAttained(t *Tensor, p attentionParts) bool {
	name := func(id ID) string {
		if id == p.zd {
			return "zd"
		}
		return "other"
	}
	if len(t.Def) != 2 {
		return false
	}
	var out, in []string
	for i := range t.Shape {
		out = append(out, fmt.Sprint(i))
	}
	in = append(append(in, out...), fmt.Sprint(len(out)))
	row := "[" + strings.Join(out, " ") + "]"
	return termForm(&t.Def[0], name) == "1·zd["+strings.Join(in, " ")+"]→"+row && termForm(&t.Def[1], name) == "-1→"+row
}

// isDivision matches s + half − 2^k·offset·mask − 2^k·M + 2^k·d_lo + 2^(k+b)·u, of which a cell is a remainder.
func (a *causality) isDivision(t *Tensor, p attentionParts) bool {
	if t.Kind != Virtual || !equalShape(t.Shape, a.c.Tensor(p.s).Shape) {
		return false
	}
	one := int64(1) << p.shift
	want := map[ID]int64{p.s: 1, p.mask: -one * p.offset, p.dlo: one, p.u: one << p.dbits}
	maximum, half := false, false
	for _, term := range t.Def {
		if len(term.Factors) == 0 {
			if half || term.Coef != one>>1 {
				return false
			}
			half = true
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

// within says whether a constraint keeps a virtual tensor's cells in [0, 2^n), or only from being negative if n < 0: a zero-check, a lookup
// in a table of such values, or one of what is left of it after taking away limbs.
func (a *causality) within(id ID, n int64) bool {
	if slices.Contains(a.c.Zeros, id) {
		return true
	}
	limit := new(big.Int).Lsh(big.NewInt(1), uint(max(n, 0)))
	fits := func(v interval.Interval) bool { return v.Lo.Sign() >= 0 && (n < 0 || v.Hi.Cmp(limit) < 0) }
	for _, at := range a.looked[id] {
		if fits(a.ranges[at.table][at.col]) {
			return true
		}
	}
	for _, low := range a.rest[id] {
		limbs, ok := a.limbsOf(low, id)
		for _, at := range a.looked[low] {
			r := a.ranges[at.table][at.col]
			if ok && fits(interval.Interval{Lo: r.Lo, Hi: new(big.Int).Add(r.Hi, limbs)}) {
				return true
			}
		}
	}
	return false
}

// limbsOf matches v − Σ coef·limb, the limbs looked up and not negative, and bounds the sum.
func (a *causality) limbsOf(id, v ID) (top *big.Int, ok bool) {
	top = new(big.Int)
	for i, term := range a.c.Tensor(id).Def {
		if len(term.Factors) != 1 || !isSpread(&term, term.Factors[0]) || len(term.Factors[0].Axes) != len(term.Out) {
			return nil, false
		}
		f := a.c.Tensor(term.Factors[0].T)
		if i == 0 {
			if f.ID != v || term.Coef != 1 {
				return nil, false
			}
			continue
		}
		if f.Kind != Witness || f.Lo < 0 || term.Coef > 0 {
			return nil, false
		}
		top.Sub(top, new(big.Int).Mul(big.NewInt(term.Coef), big.NewInt(f.Hi)))
	}
	return top, true
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

// isMaximum matches lo + Σ 2^(wl)·limb_l, cell by cell: all limbs and nothing negative, so that the maximum is at least lo, and each row
// has its own. Of a tensor of more axes the limbs might be spread along the columns instead, and tell one row what another one must not
// know.
func (a *causality) isMaximum(id ID, p attentionParts) bool {
	t := a.c.Tensor(id)
	if t.Kind != Virtual || !equalShape(t.Shape, a.c.Tensor(p.limbs[0]).Shape) {
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
