package quant

import (
	"math"
	"math/big"

	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// fineNorm normalises rows that are nearly normalised. x·r has an error of a factor for each row, since r has few digits. With y the rounded
// x·r, and what ε is times r², its rows' mean squares are 1 − δ, and
//
//	(1 − δ)^(-1/2) ≈ f = 1 + δ/2 + 3δ²/8,  result = y·f·γ + β
//
// δ is small where r has digits, and is cut off where it is not: in rows so much smaller than others that the quotient in r has none.
func (q *quantiser) fineNorm(n *ir.Node, v *ir.Value, a *ir.NormAttr, x *rep, r *ir.Value, num int64, t int, eps float64) error {
	most, why := gadget.NormBound(num, t)
	w := q.bounded(n, v.Name+".rough", v.Shape, []ir.ValueID{x.id, r.ID}, &ir.EinsumAttr{Terms: []ir.Term{q.perRow(v)}}, interval.Of(-most, most), why)
	w.Scale = x.scale + r.Scale
	drop := max(0, bitLen64(most)-fineRows)
	y := q.quotient(n, v.Name+".rough.rounded", w, drop)
	f := q.rowFactor(n, v, y, q.epsilonOf(n, v, r, num, t, drop, portable.Clamp(eps)))
	if q.err != nil {
		return q.err
	}
	w = q.sum(n, v.Name+".fine", v.Shape, []ir.ValueID{y.ID, f.ID}, q.perRow(v))
	w.Scale = y.Scale + f.Scale
	if q.err != nil {
		return q.err
	}
	y = q.quotient(n, v.Name+".fine.rounded", w, fineScale)
	return q.weighed(n, v, a, q.cells(v, 1, 0), []ir.ValueID{y.ID}, y.Scale, big.NewInt(max(y.Hi, -y.Lo)), "")
}

// epsilonOf is ε·r² in units of the squares of x·r with so many bits dropped, nil where that is nothing.
func (q *quantiser) epsilonOf(n *ir.Node, v, r *ir.Value, num int64, t, drop int, eps int64) *ir.Value {
	few := min(max(0, bitLen64(eps)-fineEps), 2*drop) // bits of ε without which it is precise enough
	least := quotient(eps, few)
	if least == 0 {
		return nil
	}
	// r² is no more than num/(u + 1), and u no less than ε/2^t. No cell is cut off by that; it gives bounds.
	bits := max(2, bitLen64(num/(eps>>t+1))/2+1)
	r = q.add(n, v.Name+".rsqrt.bounded", r.Shape, []ir.ValueID{r.ID}, ir.OpRescale, &ir.RescaleAttr{Lo: 0, Hi: 1<<bits - 1})
	e := q.sum(n, v.Name+".epsilon", r.Shape, []ir.ValueID{r.ID}, q.cells(r, least, 0, 0))
	if q.err != nil {
		return e
	}
	return q.quotient(n, v.Name+".epsilon.rounded", e, 2*drop-few)
}

// rowFactor is the factor f of rows y, of which ε has a part, or none.
func (q *quantiser) rowFactor(n *ir.Node, v, y, eps *ir.Value) *ir.Value {
	width := v.Shape[len(v.Shape)-1]
	log := portable.Log2Ceil(float64(width))
	whole := portable.Clamp(math.Ldexp(float64(width), 2*y.Scale)) // the sum of squares of a normalised row
	rows := &ir.Value{Shape: v.Shape[:len(v.Shape)-1]}
	squares := q.cells(v, -1, 0, 0)
	squares.Out = squares.Out[:len(rows.Shape)]
	terms, in := []ir.Term{q.cells(rows, whole), squares}, []ir.ValueID{y.ID}
	if eps != nil {
		terms, in = append(terms, q.cells(rows, -1, 1)), append(in, eps.ID)
	}
	if q.err != nil {
		return y
	}
	d := q.sum(n, v.Name+".missing", rows.Shape, in, terms...)
	// δ·2^fineScale = d·2^fineScale/whole = d·coef/2^shift
	up := max(0, fineCoefs-log)
	coef := portable.Clamp(math.Round(math.Ldexp(1/float64(width), up+log)))
	d = q.sum(n, v.Name+".missing.scaled", rows.Shape, []ir.ValueID{d.ID}, q.cells(rows, coef, 0))
	shift := 2*y.Scale - fineScale + up + log
	if q.err == nil && (shift < 0 || shift > gadget.MaxShift) {
		q.fail(n.Errorf("its rows have %d cells of the scale 2^%d, and squares of them no room; normalise shorter rows", width, y.Scale))
	}
	if q.err != nil {
		return d
	}
	const bits = fineScale - fineClose
	d = q.add(n, v.Name+".missing.rounded", rows.Shape, []ir.ValueID{d.ID}, ir.OpRescale, &ir.RescaleAttr{Shift: shift, Lo: -1 << bits, Hi: 1<<bits - 1})
	d.Scale = fineScale
	return q.series(n, v.Name, d, 4, 3)
}

// lowBias adds to the terms of a normalisation, of some scale, what the 16 bits of its bias, the last of them, leave of that.
func (q *quantiser) lowBias(attr *ir.EinsumAttr, in []ir.ValueID, beta *rep, scale int, bound *big.Int) ([]ir.ValueID, int) {
	w := q.f.Value(beta.from)
	up := max(0, beta.scale+lowBits-scale)
	if !q.cal.exacting() || w.Def.Op != ir.OpWeight || bound.BitLen()+up+1 > q.sumBits() {
		return in, scale
	}
	for i := range attr.Terms {
		attr.Terms[i].ICoef <<= up
		attr.Terms[i].Coef = float64(attr.Terms[i].ICoef)
	}
	scale += up
	bound.Lsh(bound, uint(up)+1)
	low := q.leafLow(w, beta)
	rest := attr.Terms[len(attr.Terms)-1].Clone()
	rest.ICoef, rest.In = 1<<(scale-low.scale), []int{len(in)}
	rest.Coef = float64(rest.ICoef)
	attr.Terms = append(attr.Terms, rest)
	return append(in, low.id), scale
}
