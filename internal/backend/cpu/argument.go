package cpu

import (
	"fmt"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

// argument is the folded state of the final argument.
type argument struct {
	*run
	u, l vec
	g    []group.Affine
	base group.Affine
}

// Argument copies its inputs; the caller's slices stay as they are.
func (r *run) Argument(
	mask []field.Element, segments []backend.Segment, form []field.Element, g backend.Bases, U group.Affine,
) backend.Argument {
	n := len(mask)
	if n != len(form) || n == 0 || n&(n-1) != 0 {
		panic(fmt.Sprintf("cpu: argument over %d, %d entries", n, len(form)))
	}
	a := &argument{run: r, u: append(vec(nil), mask...), l: append(vec(nil), form...), g: generators(g, n), base: U}
	for _, s := range segments {
		vals := vec(s.Vals)
		if s.Held != nil {
			vals = r.held(s.Held)
		}
		r.chunks(len(vals), tile, func(_, lo, hi int) {
			part, to := make(vec, hi-lo), a.u[s.Offset+lo:s.Offset+hi]
			scaleVec(part, vals[lo:hi], &s.Scale)
			addVec(to, to, part)
		})
	}
	return a
}

// generators writes bases out, the first n of them.
func generators(bases backend.Bases, n int) []group.Affine {
	out := make([]group.Affine, n)
	for _, g := range bases {
		copy(out[g.At:], g.Points)
	}
	return out
}

// Round computes both sides at the same time, each on half of the threads: the last rounds are too small to share out.
func (a *argument) Round() (l, r group.Affine) {
	h := len(a.u) / 2
	sides := [2]group.Affine{}
	a.pool.run(2, func(_, i int) {
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
	sum := group.MSMOn(a.Pool.Share(2), points, scalars)
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
	group.FoldPoints(a.Pool, a.g[:h], a.g[h:], &x)
	a.u, a.l, a.g = a.u[:h], a.l[:h], a.g[:h]
}

func (a *argument) Rest() []field.Element { return a.u }
