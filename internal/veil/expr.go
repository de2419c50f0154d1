package veil

import "github.com/zkllmc/zkllmc/internal/field"

// Wire names a hidden field element: position Pos of segment Seg. Segment 0 holds the pads; the others are committed vectors, and
// Defined is no segment but the expressions that Channel.Define has named.
type Wire struct{ Seg, Pos int }

// Defined is the segment of the wires that stand for expressions.
const Defined = -1

// Term is one summand C·W of an expression.
type Term struct {
	W Wire
	C field.Element
}

// Expr is what the verifier knows of a hidden value: a constant plus a linear form in wires.
type Expr struct {
	Const field.Element
	Terms []Term
}

// Constant is the expression without wires.
func Constant(v field.Element) Expr { return Expr{Const: v} }

// FromWire is the expression of one wire.
func FromWire(w Wire) Expr {
	var one field.Element
	one.SetOne()
	return Expr{Terms: []Term{{W: w, C: one}}}
}

// Scale returns c·e.
func (e Expr) Scale(c field.Element) Expr {
	out := Expr{Terms: make([]Term, len(e.Terms))}
	out.Const.Mul(&e.Const, &c)
	for i, t := range e.Terms {
		out.Terms[i].W = t.W
		out.Terms[i].C.Mul(&t.C, &c)
	}
	return out
}

// Add returns e + f.
func (e Expr) Add(f Expr) Expr {
	out := Expr{Terms: make([]Term, 0, len(e.Terms)+len(f.Terms))}
	out.Const.Add(&e.Const, &f.Const)
	out.Terms = append(append(out.Terms, e.Terms...), f.Terms...)
	return out
}

// Sub returns e − f.
func (e Expr) Sub(f Expr) Expr {
	var minus field.Element
	minus.SetOne()
	minus.Neg(&minus)
	return e.Add(f.Scale(minus))
}

// Accumulator adds up many scaled expressions without copying the sum each time.
type Accumulator struct{ e Expr }

// Add adds c·f.
func (a *Accumulator) Add(c field.Element, f Expr) {
	var v field.Element
	v.Mul(&c, &f.Const)
	a.e.Const.Add(&a.e.Const, &v)
	for _, t := range f.Terms {
		v.Mul(&c, &t.C)
		a.e.Terms = append(a.e.Terms, Term{W: t.W, C: v})
	}
}

// AddConst adds a constant.
func (a *Accumulator) AddConst(c field.Element) { a.e.Const.Add(&a.e.Const, &c) }

// Expr returns the sum.
func (a *Accumulator) Expr() Expr { return a.e }
