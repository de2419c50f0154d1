package lookup

import (
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/poly"
	"github.com/zkllmc/zkllmc/internal/veil"
)

// Points visits the evaluations that Check needs, each tensor once, in an order that depends on the circuit only. The caller
// binds all of them, in one committed vector, before it draws another challenge. A tensor's point is the low end of the leaf
// point, as long as the tensor has variables: tensors of one padded size share one slice.
func (l *Leaves) Points(visit func(t circuit.ID, point []field.Element)) {
	seen := make([]bool, len(l.plan.circuit.Tensors))
	for i := range l.plan.Blocks {
		b := &l.plan.Blocks[i]
		for _, id := range l.plan.hidden(b) {
			if !seen[id] {
				seen[id] = true
				visit(id, l.low(b.Bits))
			}
		}
	}
}

// Column is the point at which the columns of a shape are evaluated.
func (l *Leaves) Column(shape []int) []field.Element { return l.low(circuit.ShapeBits(shape)) }

// low is the point within a block of 2^bits leaves.
func (l *Leaves) low(bits int) []field.Element { return l.Point[:bits:bits] }

// Check ties the claims on the leaves to the evaluations of the columns, by two linear checks:
//
//	p̃(r) =     Σ_b eq(r_hi, offset_b)·valid_b(r_lo)                       − Σ_T eq(r_hi, offset_T)·m_T(r_lo)
//	q̃(r) = 1 + Σ_b eq(r_hi, offset_b)·((β−1)·valid_b(r_lo) − f_b(r_lo))   + the same over tables
//
// where f = id·valid + Σ_i γ^i·col_i, r_lo are the block's variables and r_hi the others. eval yields what Points asked for.
func (l *Leaves) Check(ch *veil.Channel, eval func(t circuit.ID, point []field.Element) veil.Expr) {
	var p, q veil.Accumulator
	var one, v field.Element
	one.SetOne()
	q.AddConst(one)
	for i := range l.plan.Blocks {
		b := &l.plan.Blocks[i]
		low := l.low(b.Bits)
		weight := poly.EqIndex(l.Point[b.Bits:], b.Offset>>b.Bits)
		valid := validBox(b.Shape, low)
		valid.Mul(&valid, &weight)
		id := tableID(b.Table)
		v.Sub(&l.Beta, &one) // (β−1−id)·weight·valid
		v.Sub(&v, &id)
		q.AddConst(*v.Mul(&v, &valid))
		weight.Neg(&weight)
		if b.Lookup < 0 {
			p.Add(weight, eval(l.plan.circuit.Tables[b.Table].Mult, low))
			f := l.plan.tableAt(b.Table, low, l.Gamma)
			q.AddConst(*f.Mul(&f, &weight))
			continue
		}
		p.AddConst(valid)
		cols := l.plan.circuit.Lookups[b.Lookup].Cols
		gammas := powers(l.Gamma, len(cols))
		for k, id := range cols {
			q.Add(*v.Mul(&weight, &gammas[k]), eval(id, low))
		}
	}
	ch.Zero(StageLeafP, l.P.Sub(p.Expr()))
	ch.Zero(StageLeafQ, l.Q.Sub(q.Expr()))
}

// validBox is the MLE of a box's indicator. The last axis has the lowest variables.
func validBox(shape []int, point []field.Element) field.Element {
	var out field.Element
	out.SetOne()
	lo := 0
	for a := len(shape) - 1; a >= 0; a-- {
		hi := lo + circuit.Bits(shape[a])
		v := poly.Valid(point[lo:hi], shape[a])
		out.Mul(&out, &v)
		lo = hi
	}
	return out
}
