package reference

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

// argument is the folded state of the final argument.
type argument struct {
	u, l []field.Element
	g    []group.Affine
	base group.Affine
}

// Argument copies its inputs; the caller's slices stay as they are.
func (*run) Argument(
	mask []field.Element, segments []backend.Segment, form []field.Element, g backend.Bases, U group.Affine,
) backend.Argument {
	n := len(mask)
	if n != len(form) || n == 0 || n&(n-1) != 0 {
		panic(fmt.Sprintf("reference: argument over %d, %d entries", n, len(form)))
	}
	u := append([]field.Element(nil), mask...)
	for _, s := range segments {
		vals := s.Vals
		if s.Held != nil {
			vals = values(s.Held)
		}
		for i := range vals {
			var term field.Element
			u[s.Offset+i].Add(&u[s.Offset+i], term.Mul(&s.Scale, &vals[i]))
		}
	}
	return &argument{u: u, l: append([]field.Element(nil), form...), g: generators(g, n), base: U}
}

func (a *argument) Round() (l, r group.Affine) {
	h := len(a.u) / 2
	return a.cross(a.u[:h], a.g[h:], a.l[h:]), a.cross(a.u[h:], a.g[:h], a.l[:h])
}

// cross returns ⟨u, g⟩ + ⟨u, form⟩·U.
func (a *argument) cross(u []field.Element, g []group.Affine, form []field.Element) group.Affine {
	var inner field.Element
	for i := range u {
		var t field.Element
		t.Mul(&u[i], &form[i])
		inner.Add(&inner, &t)
	}
	sum := msm(g, u)
	term := scale(&a.base, &inner)
	sum.Add(&sum, &term)
	return sum
}

func (a *argument) Fold(x field.Element) {
	h := len(a.u) / 2
	for i := 0; i < h; i++ {
		a.u[i].Mul(&a.u[i], &x)
		a.u[i].Add(&a.u[i], &a.u[h+i])
		a.l[h+i].Mul(&a.l[h+i], &x)
		a.l[i].Add(&a.l[i], &a.l[h+i])
		hi := scale(&a.g[h+i], &x)
		a.g[i].Add(&a.g[i], &hi)
	}
	a.u, a.l, a.g = a.u[:h], a.l[:h], a.g[:h]
}

func (a *argument) Rest() []field.Element { return a.u }
