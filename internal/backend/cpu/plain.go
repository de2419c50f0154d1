package cpu

import "github.com/zkllmc/zkllmc/internal/field"

// plainLayer is the sumcheck of a layer without division, for points with a coordinate 0 or 1, where layer would divide by zero. A
// challenge is one of them with probability 2^-124, so nothing is lost with a slow way there.
//
// The four arrays p⁰, G = p¹ + λq¹, q⁰, q¹ stand over y, first (b, x) and then the free variables of x, without the eq weight, which is
// multiplied in at every round: the summand is F = p⁰q¹ + Gq⁰.
type plainLayer struct {
	v      [4]vec // in the order of arrP, arrG, arrQ0, arrQ1
	lambda field.Element
	s      []field.Element // of the variables of x that are free
	first  bool            // b is free
}

// newPlainLayer writes the layer below layer j of a tree out in its natural order. What is not stored is 0/1.
func newPlainLayer(t *tree, j int, s []field.Element, lambda field.Element) *plainLayer {
	bits := j + 1
	l := &plainLayer{lambda: lambda, s: s, first: true}
	for a := range l.v {
		l.v[a] = make(vec, 1<<(bits-1))
	}
	fill(l.v[arrQ0], one())
	fill(l.v[arrQ1], one())
	below := &t.levels[bits]
	for i, part := range below.tiles {
		p, q, onlyOnes := t.tile(0, bits, i)
		for b := range 2 {
			for k := range q[0][b] {
				at := 2*below.x(part.lo+k) + b
				l.v[arrQ0][at], l.v[arrQ1][at] = q[0][b][k], q[1][b][k]
				if onlyOnes {
					l.v[arrP][at], l.v[arrG][at] = one(), one()
				} else {
					l.v[arrP][at], l.v[arrG][at] = p[0][b][k], p[1][b][k]
				}
			}
		}
	}
	if below.chunks != nil {
		l.constant(t, below.bits, t.bottom()-bits)
	}
	scaled := make(vec, 1<<(bits-1))
	scaleVec(scaled, l.v[arrQ1], &lambda)
	addVec(l.v[arrG], l.v[arrG], scaled)
	return l
}

// constant writes constant chunks out, of 2^bits entries x some layers above the leaves.
func (l *plainLayer) constant(t *tree, bits, layers int) {
	for _, part := range t.supports.constant.tiles {
		p, q := t.constantTile(0, part, layers)
		for k := range p {
			first := t.supports.constant.chunks[part.lo+k] << (bits + 1)
			for at := first; at < first+2<<bits; at++ {
				l.v[arrP][at], l.v[arrG][at], l.v[arrQ0][at], l.v[arrQ1][at] = p[k], p[k], q[k], q[k]
			}
		}
	}
}

// halves splits the arrays along their lowest variable.
func (l *plainLayer) halves() (lo, hi [4]vec) {
	var none field.Element
	for a, v := range l.v {
		lo[a], hi[a] = make(vec, len(v)/2), make(vec, len(v)/2)
		split(lo[a], hi[a], v, &none)
	}
	return lo, hi
}

// weighted is Σ w·(p⁰q¹ + Gq⁰).
func weighted(w vec, v *[4]vec) field.Element {
	t := make(vec, len(w))
	mulVec(t, v[arrP], w)
	sum := dot(t, v[arrQ1])
	mulVec(t, v[arrG], w)
	return add(sum, dot(t, v[arrQ0]))
}

// differences replaces hi by hi − lo.
func differences(lo, hi *[4]vec) {
	for a := range hi {
		subVec(hi[a], hi[a], lo[a])
	}
}

func (l *plainLayer) First() field.Element {
	lo, hi := l.halves()
	differences(&lo, &hi)
	return weighted(eqTable(l.s), &hi)
}

func (l *plainLayer) Round() (delta, inf field.Element) {
	w := eqTable(l.s[1:])
	lo, hi := l.halves()
	delta = sub(weighted(w, &hi), weighted(w, &lo))
	differences(&lo, &hi)
	return delta, weighted(w, &hi)
}

func (l *plainLayer) Bind(rho field.Element) {
	lo, hi := l.halves()
	for a := range l.v {
		lerp(l.v[a][:len(lo[a])], lo[a], hi[a], &rho)
		l.v[a] = l.v[a][:len(lo[a])]
	}
	if !l.first {
		l.s = l.s[1:]
	}
	l.first = false
}

func (l *plainLayer) Claims() (a0, a1, b0, b1 field.Element) {
	b1 = l.v[arrQ1][0]
	return l.v[arrP][0], sub(l.v[arrG][0], mul(l.lambda, b1)), l.v[arrQ0][0], b1
}
