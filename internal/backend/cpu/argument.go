package cpu

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

// argument is the folded state of the final argument.
type argument struct {
	*processor
	u, l vec
	g    []group.Affine
	base group.Affine
}

// Argument copies its inputs; the caller's slices stay as they are.
func (b *processor) Argument(u, l []field.Element, g []group.Affine, U group.Affine) backend.Argument {
	n := len(u)
	if n != len(l) || n != len(g) || n == 0 || n&(n-1) != 0 {
		panic(fmt.Sprintf("cpu: argument over %d, %d, %d entries", n, len(l), len(g)))
	}
	return &argument{processor: b, u: append(vec(nil), u...), l: append(vec(nil), l...), g: append([]group.Affine(nil), g...), base: U}
}

// Round computes both sides at the same time, each on half of the threads: the last rounds are too small to share out.
func (a *argument) Round() (l, r group.Affine) {
	h := len(a.u) / 2
	sides := [2]group.Affine{}
	a.run(2, func(_, i int) {
		if i == 0 {
			sides[0] = a.cross(a.u[:h], a.g[h:], a.l[h:])
		} else {
			sides[1] = a.cross(a.u[h:], a.g[:h], a.l[:h])
		}
	})
	return sides[0], sides[1]
}

// cross returns ⟨u, g⟩ + ⟨u, form⟩·U. The base joins as one more term.
func (a *argument) cross(u vec, g []group.Affine, form vec) group.Affine {
	points := append(append(make([]group.Affine, 0, len(g)+1), g...), a.base)
	scalars := append(append(make(vec, 0, len(u)+1), u...), dot(u, form))
	sum := group.MSMThreads(points, scalars, (a.threads+1)/2)
	return group.ToAffine(&sum)
}

func (a *argument) Fold(x field.Element) {
	h := len(a.u) / 2
	a.chunks(h, taskCells, func(_, lo, hi int) {
		u, l := a.u[lo:hi], a.l[h+lo:h+hi]
		scaleVec(u, u, &x)
		addVec(u, u, a.u[h+lo:h+hi])
		scaleVec(l, l, &x)
		addVec(a.l[lo:hi], a.l[lo:hi], l)
	})
	group.FoldPoints(a.g[:h], a.g[h:], &x, a.threads)
	a.u, a.l, a.g = a.u[:h], a.l[:h], a.g[:h]
}

func (a *argument) Rest() []field.Element { return a.u }
