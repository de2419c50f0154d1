package cpu

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/poly"
)

// weight is the factor eq(point, ·) of a product, of all the instance's variables. It is left out of the rounds: with the line
// l(X) = (1−s)(1−X) + sX of the round's own coordinate s a product is scale·l(X)·h(X), where h sums the other factors, with the weights of
// the coordinates behind, and is of a degree less. After the first round h is known at 1 from the one before: l(0)h(0) + l(1)h(1) is what
// that was at its challenge. Weights of a tile are a table that stays in the cache, times one element.
type weight struct {
	at           int            // which of the instance's factors it is
	point        vec            // coordinates that are left, the round's first
	inverse      vec            // of these, 0 of 0
	scale        field.Element  // eq at the challenges so far
	known        *field.Element // l(0)h(0) + l(1)h(1) of the round
	degree       int            // of h
	sums         vec            // h at the points where it is computed
	h            vec            // at 0, 1, …; nil before it is computed
	inner, outer vec            // weights of the variables behind the round's: of one tile, and of tiles
}

// newWeight is what a factor is of an instance with n variables; nil if it is no eq of all of them.
func newWeight(f *backend.Factor, at, n int) *weight {
	eq, ok := f.Vals.(*vector).from.(*eqProduct)
	if !ok || len(f.Vars) != n {
		return nil
	}
	w := &weight{at: at, point: eq.point, scale: one()}
	w.inverse = field.BatchInvert(eq.point)
	return w
}

// weighted are the points at which h is computed in a product's coming round.
func (s *sumcheck) weighted(p *product) []int {
	w, points := p.eq, []int{0}
	w.degree = p.degreeIn(max(p.first, s.round))
	for x := 1; x <= w.degree; x++ {
		if x > 1 || w.known == nil || w.point[0].IsZero() {
			points = append(points, x)
		}
	}
	w.sums = make(vec, len(points))
	return points
}

// add adds what a task computed.
func (w *weight) add(t *sumTask) { addVec(w.sums, w.sums, t.out) }

// line are l(0) and l(1).
func (w *weight) line() (l0, l1 field.Element) { return sub(one(), w.point[0]), w.point[0] }

// complete works out h(1), if it was not computed.
func (w *weight) complete() {
	if w.h != nil {
		return
	}
	if w.h = w.sums; len(w.h) <= w.degree {
		l0, _ := w.line()
		w.h = slices.Insert(w.h, 1, mul(sub(*w.known, mul(l0, w.h[0])), w.inverse[0]))
	}
}

// sum is the product's sum over the cube.
func (w *weight) sum() *field.Element {
	h := poly.Extrapolate(w.h, 2)
	l0, l1 := w.line()
	v := mul(w.scale, add(mul(l0, h[0]), mul(l1, h[1])))
	return &v
}

// contribute adds the values at 0, 2, … of a round.
func (w *weight) contribute(out []field.Element, coef *field.Element) {
	h, c := poly.Extrapolate(w.h, len(out)+1), mul(*coef, w.scale)
	l, l1 := w.line()
	step := sub(l1, l)
	for x := range h[:len(out)+1] {
		switch v := mul(c, mul(l, h[x])); x {
		case 0:
			out[0] = add(out[0], v)
		case 1:
		default:
			out[x-1] = add(out[x-1], v)
		}
		l = add(l, step)
	}
}

// bind fixes the round's variable.
func (w *weight) bind(r *field.Element) {
	known := dot(poly.LagrangeAt(len(w.h)-1, *r), w.h)
	l0, l1 := w.line()
	w.scale = mul(w.scale, add(l0, mul(*r, sub(l1, l0))))
	w.point, w.inverse, w.known, w.h = w.point[1:], w.inverse[1:], &known, nil
}
