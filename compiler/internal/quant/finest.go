package quant

import (
	"math"

	"github.com/zkllmc/zkllmc/internal/interval"
	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/ir"
	"github.com/zkllmc/zkllmc/ir/plan"
	"github.com/zkllmc/zkllmc/runtime/gadget"
)

// What an exacting program does otherwise, see Calibration.exacting: softmaxes, the roots of normalisations, maxima, real factors and
// constants are usually as precise as 16 bits are, and here as some 27. All of it is made of operations that other programs use, too.

const (
	fineRange   = 20.0 // exponentials reach at least down to exp(−fineRange)
	fineExps    = 29   // bits of exponentials
	fineScale   = 28   // the scale of factors near 1, and of what they differ from 1 by
	fineInverse = 58   // log2 of the numerator of the inverse of the sum of a row
	fineInputs  = 30   // of public inputs of real numbers
	fineCoefs   = 26   // bits of real factors
	fineConsts  = 28   // of constants
	finePieces  = 30   // of arguments of functions in linear pieces
	fineRows    = 29   // of cells of normalised rows
	fineEps     = 22   // of ε, in relation to squares
	fineRoot    = 26   // significant ones of corrected inverse roots
	fineGuard   = 12   // by which an argument of a function is finer than its table
	fineClose   = 6    // log2 of how much more 1 is than corrections of those
)

// Arguments for bounds that intervals do not give.
const (
	restWhy     = "x + half − 2^s·⌊(x + half)/2^s⌋ is a remainder, and half of 2^s is taken from it"
	sumWhy      = "e = 2^EBits where a row's maximum is attained, its factor is at least a half, and no cell is negative"
	largerWhy   = "s is 1 where a − b is positive and else 0, so that this is a or b, the larger one"
	positiveWhy = "s is 1 where x is positive and else 0"
)

// fixedWidths are chosen by no calibration: they are those of all programs but exacting ones, which have their own. Where an exacting program
// takes other operations, the code asks Calibration.exacting.
type fixedWidths struct {
	coefs, inputs, consts, maxima int     // bits of factors that nothing absorbs, of public inputs of real numbers, of constants, of maxima
	pieces                        int     // and, at most, of arguments of functions in linear pieces
	exps                          int     // of exponentials,
	reach                         float64 // which reach at least down to exp(−reach)
}

var (
	usualWidths = fixedWidths{coefs: coefBits, inputs: ActBits, consts: ConstBits, maxima: TableBits, pieces: mostPieceBits, exps: expBits, reach: expRange}
	exactWidths = fixedWidths{coefs: fineCoefs, inputs: fineInputs, consts: fineConsts, maxima: maxBits - 1, pieces: finePieces, exps: fineExps, reach: fineRange}
)

// fixed are those of a program.
func (q *quantiser) fixed() *fixedWidths {
	if q.cal.exacting() {
		return &exactWidths
	}
	return &usualWidths
}

// inputBits is how many bits an input of real numbers has: one that is private, and looked up, no more than usual.
func (q *quantiser) inputBits(p *ir.Port) int {
	if p.Reveal == plan.Nothing {
		return usualWidths.inputs
	}
	return q.fixed().inputs
}

// resultBits is how many bits the results of some functions in linear pieces have.
func (q *quantiser) resultBits(arguments int) int {
	if q.cal.exacting() {
		return mostPieceBits + resultBits
	}
	return arguments + resultBits
}

// fineSoftmax corrects exponentials of scores of which ZkAttn drops the low bits. With x = 2^s·σ + ρ and r = unit·ρ/2^s, which is less than
// 2^-8,
//
//	f = 1 + r + r²/2 ≈ exp(r),  w = e·f,  softmax ≈ w·⌊2^fineInverse / Σ w⌋
//
// so that the maximum and masks are ZkAttn's: what is masked or far below has e = 0. A softmax in this form is a value like all others.
func (q *quantiser) fineSoftmax(n *ir.Node, v *ir.Value, x *rep, e *ir.Value, a *ir.ZkAttnAttr) error {
	w := e
	if a.Shift > 0 {
		f := q.restFactor(n, v, x, a)
		w = q.sum(n, v.Name+".product", v.Shape, []ir.ValueID{e.ID, f.ID}, q.cells(v, 1, 0, 1))
		w = q.add(n, v.Name+".fine", v.Shape, []ir.ValueID{w.ID}, ir.OpRescale, &ir.RescaleAttr{Shift: fineScale, Lo: 0, Hi: 1<<(fineExps+1) - 1})
		w.Scale = fineExps
	}
	rows := q.cells(v, 1, 0)
	rows.Out = rows.Out[:len(v.Shape)-1]
	if q.err != nil {
		return q.err
	}
	bounds := interval.Of(1<<(fineExps-1), int64(rowOf(v))*w.Hi)
	total := q.bounded(n, v.Name+".sum", v.Shape[:len(v.Shape)-1], []ir.ValueID{w.ID}, &ir.EinsumAttr{Terms: []ir.Term{rows}}, bounds, sumWhy)
	total.Scale = fineExps
	inv := q.add(n, v.Name+".inverse", total.Shape, []ir.ValueID{total.ID}, ir.OpReciprocal, &ir.ReciprocalAttr{Num: 1 << fineInverse})
	inv.Scale = fineInverse - fineExps
	p := q.sum(n, v.Name+".weights", v.Shape, []ir.ValueID{w.ID, inv.ID}, q.perRow(v))
	p.Scale = fineInverse
	q.set(v.ID, &rep{id: p.ID, scale: fineInverse, mult: 1, raw: true})
	return q.err
}

// restFactor is 1 + r + r²/2, r being what a score's dropped bits stand for.
func (q *quantiser) restFactor(n *ir.Node, v *ir.Value, x *rep, a *ir.ZkAttnAttr) *ir.Value {
	high := q.quotient(n, v.Name+".high", q.o.Value(x.id), a.Shift)
	attr := &ir.EinsumAttr{Terms: []ir.Term{q.cells(v, 1, 0), q.cells(v, -1<<a.Shift, 1)}}
	rest := q.bounded(n, v.Name+".rest", v.Shape, []ir.ValueID{x.id, high.ID}, attr, interval.Of(-1<<(a.Shift-1), 1<<(a.Shift-1)-1), restWhy)
	rest.Scale = x.scale
	s := a.Shift
	if s > fineScale {
		rest, s = q.quotient(n, v.Name+".rest.high", rest, s-fineScale), fineScale
	}
	// r·2^fineScale = ρ·unit·2^(fineScale−s) = ρ·coef/2^drop
	drop := max(0, min(fineCoefs-portable.Log2Ceil(a.Unit)-fineScale+s, 60-s))
	coef := portable.Clamp(math.Round(math.Ldexp(a.Unit, fineScale-s+drop)))
	r := q.quotient(n, v.Name+".rest.rounded", q.sum(n, v.Name+".rest.scaled", v.Shape, []ir.ValueID{rest.ID}, q.cells(v, coef, 0)), drop)
	r.Scale = fineScale
	return q.series(n, v.Name, r, 8, 4)
}

// coarser is the argument of a function in an exacting program, of no finer scale than the given one where a finer one and a factor leave more
// bits to drop at once than one can.
func (q *quantiser) coarser(n *ir.Node, x *rep, scale int) *rep {
	if !q.cal.exacting() || x.scale-scale+fineGuard+fineCoefs <= gadget.MaxShift {
		return x
	}
	w := q.quotient(n, q.o.Value(x.id).Name+".coarser", q.o.Value(x.id), x.scale-scale)
	return &rep{id: w.ID, scale: scale, mult: x.mult, raw: x.raw, from: x.from}
}

// series is 1 + (one·x + two·x²)/8.
func (q *quantiser) series(n *ir.Node, name string, x *ir.Value, one, two int64) *ir.Value {
	whole := int64(1) << (2*fineScale + 3)
	f := q.sum(n, name+".series", x.Shape, []ir.ValueID{x.ID}, q.cells(x, whole), q.cells(x, one<<fineScale, 0), q.cells(x, two, 0, 0))
	f.Scale = 2*fineScale + 3
	return q.quotient(n, name+".factor", f, fineScale+3)
}

// quotient commits the nearest integer to a value's cells over 2^shift, in as many bits as there may be.
func (q *quantiser) quotient(n *ir.Node, name string, x *ir.Value, shift int) *ir.Value {
	lo, hi := quotients(x, shift)
	bits := max(2, 1+bitLen64(max(hi, -(lo+1))))
	w := q.add(n, name, x.Shape, []ir.ValueID{x.ID}, ir.OpRescale, &ir.RescaleAttr{Shift: shift, Lo: -1 << (bits - 1), Hi: 1<<(bits-1) - 1})
	w.Scale = x.Scale - shift
	return w
}

// cells is a term that multiplies operands cell by cell, times a coefficient; without operands the coefficient in every cell.
func (q *quantiser) cells(v *ir.Value, coef int64, in ...int) ir.Term {
	axes, extents := ir.IdentityAxes(v.Shape)
	t := ir.Term{ICoef: coef, Coef: float64(coef), Extents: extents, In: append([]int{}, in...), Axes: [][][]int{}, Out: axes}
	for range in {
		t.Axes = append(t.Axes, axes)
	}
	return t
}

// perRow is a term that multiplies two operands, the second having one cell for each row of v.
func (q *quantiser) perRow(v *ir.Value) ir.Term {
	t := q.cells(v, 1, 0, 1)
	t.Axes[1] = t.Axes[1][:len(v.Shape)-1]
	return t
}

// sum adds a sum of terms.
func (q *quantiser) sum(n *ir.Node, name string, shape []int, in []ir.ValueID, terms ...ir.Term) *ir.Value {
	return q.add(n, name, shape, in, ir.OpEinsum, &ir.EinsumAttr{Terms: terms})
}

// bounded adds a sum of terms with bounds that an argument gives.
func (q *quantiser) bounded(n *ir.Node, name string, shape []int, in []ir.ValueID, attr *ir.EinsumAttr, bounds interval.Interval, why string) *ir.Value {
	w := q.o.Derive(n, ir.OpEinsum, name, shape, in, attr)
	w.SetBounds(bounds)
	q.why[w.ID] = why
	q.follow(n, w)
	return w
}
