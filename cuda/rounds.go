package cuda

import (
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/poly"
)

// fractions are some of a layer, on the processor.
type fractions struct{ p, q []field.Element }

// padded are n fractions: those that there are, and 0/1.
func (f fractions) padded(n int) fractions {
	out := fractions{make([]field.Element, n), make([]field.Element, n)}
	copy(out.p, f.p)
	for i := copy(out.q, f.q); i < n; i++ {
		out.q[i].SetOne()
	}
	return out
}

// hostRounds are the last rounds of a layer, and those of short ones, on the processor: a launch and what it takes to wait for it are longer. The
// children of neighbouring entries y of the layer are four fractions.
type hostRounds struct {
	fractions
	point  []field.Element
	lambda field.Element
	bound  int // variables
}

// round asks for a round.
func (h *hostRounds) round() (delta, inf field.Element) {
	for x, w := range poly.Eq(h.point[h.bound:]) {
		p, q := h.p[4*x:4*x+4], h.q[4*x:4*x+4]
		none, one := h.summand(p[0], p[1], q[0], q[1]), h.summand(p[2], p[3], q[2], q[3])
		one.Sub(&one, &none)
		square := h.summand(less(p[2], p[0]), less(p[3], p[1]), less(q[2], q[0]), less(q[3], q[1]))
		delta.Add(&delta, one.Mul(&one, &w))
		inf.Add(&inf, square.Mul(&square, &w))
	}
	return delta, inf
}

// summand is p⁰q¹ + p¹q⁰ + λ·q⁰q¹.
func (h *hostRounds) summand(p0, p1, q0, q1 field.Element) field.Element {
	var weighted field.Element
	weighted.Mul(&h.lambda, &q1)
	p1.Add(&p1, &weighted)
	p1.Mul(&p1, &q0)
	p0.Mul(&p0, &q1)
	return *p0.Add(&p0, &p1)
}

// bind fixes a variable.
func (h *hostRounds) bind(rho field.Element) {
	for _, v := range []*[]field.Element{&h.p, &h.q} {
		n := len(*v) / 2
		for i := range n {
			(*v)[i] = between((*v)[4*(i/2)+i%2], (*v)[4*(i/2)+2+i%2], &rho)
		}
		*v = (*v)[:n]
	}
	h.bound++
}

func less(a, b field.Element) field.Element { return *a.Sub(&a, &b) }

// between is (1 − r)·a + r·b.
func between(a, b field.Element, r *field.Element) field.Element {
	b.Sub(&b, &a)
	b.Mul(&b, r)
	return *a.Add(&a, &b)
}
