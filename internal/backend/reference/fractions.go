package reference

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
)

// tree holds every layer densely: p[j] and q[j] have 2^j entries.
type tree struct {
	p, q [][]field.Element
}

// Fractions fills the leaves, 0/1 where no block has a cell, and adds fractions up pair by pair.
func (*run) Fractions(n int, blocks []backend.Block) backend.FractionTree {
	t := &tree{p: make([][]field.Element, n+1), q: make([][]field.Element, n+1)}
	t.p[n], t.q[n] = make([]field.Element, 1<<n), make([]field.Element, 1<<n)
	for i := range t.q[n] {
		t.q[n][i].SetOne()
	}
	for _, b := range blocks {
		fillBlock(t.p[n], t.q[n], &b)
	}
	for j := n - 1; j >= 0; j-- {
		t.p[j], t.q[j] = addPairs(t.p[j+1], t.q[j+1])
	}
	return t
}

// fillBlock writes the fractions of a block's cells in the box.
func fillBlock(p, q []field.Element, b *backend.Block) {
	var cols [][]int64
	var mult []int64
	if b.Mult != nil {
		mult = cells(b.Mult)
	}
	for _, col := range b.Cols {
		cols = append(cols, cells(col))
	}
	forEachCell(b.Shape, func(cell int, idx []int) {
		leaf := b.Offset + paddedIndex(b.Shape, idx)
		d := b.Beta
		d.Sub(&d, &b.ID)
		for i, col := range cols {
			term := fromInt(col[cell])
			term.Mul(&term, &b.Gamma[i])
			d.Sub(&d, &term)
		}
		q[leaf] = d
		p[leaf].SetOne()
		if b.Mult != nil {
			m := fromInt(mult[cell])
			p[leaf].Neg(&m)
		}
	})
}

// addPairs returns the layer above: p = p⁰q¹ + p¹q⁰, q = q⁰q¹.
func addPairs(p, q []field.Element) (up, uq []field.Element) {
	up, uq = make([]field.Element, len(p)/2), make([]field.Element, len(p)/2)
	for i := range up {
		var a, b field.Element
		a.Mul(&p[2*i], &q[2*i+1])
		b.Mul(&p[2*i+1], &q[2*i])
		up[i].Add(&a, &b)
		uq[i].Mul(&q[2*i], &q[2*i+1])
	}
	return up, uq
}

func (t *tree) Root() (a0, a1, b0, b1 field.Element) {
	return t.p[1][0], t.p[1][1], t.q[1][0], t.q[1][1]
}

func (t *tree) Layer(j int, s []field.Element, lambda field.Element) backend.LayerRounds {
	if j < 1 || j+1 >= len(t.p) || len(s) != j-1 {
		panic(fmt.Sprintf("reference: layer %d of %d at a point of %d coordinates", j, len(t.p)-1, len(s)))
	}
	return newLayer(t.p[j+1], t.q[j+1], s, lambda)
}

// layer is the sumcheck of one layer: the four children arrays over y = (b, x) and the weights of the variables x still free.
type layer struct {
	p0, p1, q0, q1 []field.Element
	lambda         field.Element
	s              []field.Element // the eq point of the free variables x
	first          bool            // the variable b is still free
}

// newLayer starts the layer sumcheck over the children layer p, q.
func newLayer(p, q, s []field.Element, lambda field.Element) backend.LayerRounds {
	half := len(p) / 2
	l := &layer{lambda: lambda, s: s, first: true}
	for _, a := range []*[]field.Element{&l.p0, &l.p1, &l.q0, &l.q1} {
		*a = make([]field.Element, half)
	}
	for y := 0; y < half; y++ {
		l.p0[y], l.p1[y], l.q0[y], l.q1[y] = p[2*y], p[2*y+1], q[2*y], q[2*y+1]
	}
	return l
}

func (l *layer) First() field.Element {
	_, _, inf := l.sums(eqTable(l.s))
	return inf
}

func (l *layer) Round() (delta, inf field.Element) {
	h0, h1, inf := l.sums(eqTable(l.s[1:]))
	delta.Sub(&h1, &h0)
	return delta, inf
}

// sums returns h(0), h(1) and the coefficient of X² of h(X) = Σ_x w[x]·F(X,x).
func (l *layer) sums(w []field.Element) (h0, h1, inf field.Element) {
	for x := range w {
		f0 := l.combine(l.p0[2*x], l.p1[2*x], l.q0[2*x], l.q1[2*x])
		f1 := l.combine(l.p0[2*x+1], l.p1[2*x+1], l.q0[2*x+1], l.q1[2*x+1])
		fi := l.combine(slope(l.p0, x), slope(l.p1, x), slope(l.q0, x), slope(l.q1, x))
		for _, t := range []struct{ sum, f *field.Element }{{&h0, &f0}, {&h1, &f1}, {&inf, &fi}} {
			t.f.Mul(t.f, &w[x])
			t.sum.Add(t.sum, t.f)
		}
	}
	return h0, h1, inf
}

// combine returns p0·q1 + p1·q0 + λ·q0·q1.
func (l *layer) combine(p0, p1, q0, q1 field.Element) field.Element {
	var a, b, c field.Element
	a.Mul(&p0, &q1)
	b.Mul(&p1, &q0)
	c.Mul(&q0, &q1)
	c.Mul(&c, &l.lambda)
	a.Add(&a, &b)
	a.Add(&a, &c)
	return a
}

// slope returns the coefficient of the lowest variable in pair x.
func slope(vals []field.Element, x int) field.Element {
	var d field.Element
	d.Sub(&vals[2*x+1], &vals[2*x])
	return d
}

func (l *layer) Bind(rho field.Element) {
	l.p0, l.p1 = bindLowest(l.p0, rho), bindLowest(l.p1, rho)
	l.q0, l.q1 = bindLowest(l.q0, rho), bindLowest(l.q1, rho)
	if !l.first {
		l.s = l.s[1:]
	}
	l.first = false
}

func (l *layer) Claims() (a0, a1, b0, b1 field.Element) {
	return l.p0[0], l.p1[0], l.q0[0], l.q1[0]
}
