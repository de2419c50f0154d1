package cuda

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/cuda/internal/points"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

// affineBytes is the size of a point.
const affineBytes = 64

// generators writes bases out, the first n of them.
func generators(bases backend.Bases, n int) []group.Affine {
	if len(bases) == 1 && bases[0].At == 0 && len(bases[0].Points) >= n {
		return bases[0].Points[:n]
	}
	out := make([]group.Affine, n)
	for _, g := range bases {
		copy(out[min(n, g.At):], g.Points)
	}
	return out
}

// MSM copies both there and sums up.
func (r *run) MSM(bases backend.Bases, scalars []field.Element) (sum group.Affine) {
	r.within(func(s *device.Scratch) {
		n := len(scalars)
		if n == 0 {
			return
		}
		g, k := s.Put(device.Bytes(generators(bases, n))), s.Put(device.Bytes(scalars))
		sum = r.msm(s, g, k, n)
	})
	return sum
}

// msm sums up what lies on the device.
func (r *run) msm(s *device.Scratch, g, scalars device.Pointer, n int) (sum group.Affine) {
	if s.Error() != nil {
		return sum
	}
	total, err := points.MSM(r.memory, g, scalars, n)
	if err != nil {
		r.fail(err)
		return sum
	}
	return group.ToAffine(&total)
}

// argument is a backend.Argument.
type argument struct {
	r    *run
	s    *device.Scratch // ends with the run
	base group.Affine
	u, l [2]device.Pointer // of which one is folded to the other
	g    device.Pointer
	n    int
}

// Argument copies what it is given.
func (r *run) Argument(mask []field.Element, segments []backend.Segment, form []field.Element, g backend.Bases, U group.Affine) backend.Argument {
	n := len(mask)
	if n != len(form) || n == 0 || n&(n-1) != 0 {
		panic(fmt.Sprintf("cuda: argument over %d, %d entries", n, len(form)))
	}
	a := &argument{r: r, s: &device.Scratch{Work: r.memory}, base: U, n: n}
	r.within(func(s *device.Scratch) {
		a.u = [2]device.Pointer{a.s.Put(device.Bytes(mask)), a.s.Take(n, elementBytes)}
		a.l = [2]device.Pointer{a.s.Put(device.Bytes(form)), a.s.Take(n, elementBytes)}
		a.g = a.s.Put(device.Bytes(generators(g, n)))
		if err := a.s.Error(); err != nil {
			r.fail(err)
			return
		}
		for _, seg := range segments {
			at, n := device.Pointer(0), len(seg.Vals)
			if seg.Held != nil {
				at, n = r.held(seg.Held), seg.Held.Elements()
			} else {
				at = s.Put(device.Bytes(seg.Vals))
			}
			to := a.u[0] + device.Pointer(seg.Offset*elementBytes)
			combine(s, to, []device.Pointer{to, at}, []field.Element{field.One(), seg.Scale}, n)
		}
	})
	return a
}

// Round sums up both halves.
func (a *argument) Round() (l, r group.Affine) {
	a.r.within(func(s *device.Scratch) {
		h := a.n / 2
		inner := a.inner(s, h)
		elements, g := device.Pointer(h*elementBytes), device.Pointer(h*affineBytes)
		l = a.cross(a.r.msm(s, a.g+g, a.u[0], h), &inner[0])
		r = a.cross(a.r.msm(s, a.g, a.u[0]+elements, h), &inner[1])
	})
	return l, r
}

// cross adds inner·U.
func (a *argument) cross(sum group.Affine, inner *field.Element) group.Affine {
	product := group.Mul(&a.base, inner)
	term := group.ToAffine(&product)
	sum.Add(&sum, &term)
	return sum
}

// inner is ⟨u_lo, l_hi⟩ and ⟨u_hi, l_lo⟩, which are sums of products of a sumcheck with no variable.
func (a *argument) inner(s *device.Scratch, h int) (sums [2]field.Element) {
	half := uint64(h * elementBytes)
	u, l := uint64(a.u[0]), uint64(a.l[0])
	all := bitRuns(uint64(h - 1))
	views := each([]uint64{u, l + half, u + half, l}, func(at uint64) factorView { return factorView{values: at, bits: uint64(len(all))} })
	run := max(1<<10, uint64(h)/fullGrid)
	tasks := []productTask{{uint64(h), run, 0, 2}, {uint64(h), run, 2, 2}}
	first := firsts(tasks, func(t *productTask) uint64 { return of(t.n, t.run) })
	var p pack
	products, factors, runs, starts := put(&p, tasks), put(&p, views), put(&p, all), put(&p, first)
	parts := make([]field.Element, first[2])
	out, base := s.Take(len(parts), elementBytes), p.send(s)
	s.Takes(2*h, 0, 4*h*elementBytes)
	s.Run("product_sums", grid(first), device.Dim{threads}, uint64(out), base+products, base+factors, base+runs, base+starts, 2, 0, 1)
	s.Get(device.Bytes(parts), out)
	for k := range sums {
		for _, part := range parts[first[k]:first[k+1]] {
			sums[k].Add(&sums[k], &part)
		}
	}
	return sums
}

// Fold folds vectors to the other memory, and generators where they are.
func (a *argument) Fold(x field.Element) {
	a.r.within(func(s *device.Scratch) {
		h := a.n / 2
		half := device.Pointer(h * elementBytes)
		one := field.One()
		combine(s, a.u[1], []device.Pointer{a.u[0], a.u[0] + half}, []field.Element{x, one}, h)
		combine(s, a.l[1], []device.Pointer{a.l[0], a.l[0] + half}, []field.Element{one, x}, h)
		if s.Error() == nil {
			if err := points.Fold(a.r.memory, a.g, a.g+device.Pointer(h*affineBytes), h, &x); err != nil {
				a.r.fail(err)
			}
		}
		slices.Reverse(a.u[:])
		slices.Reverse(a.l[:])
	})
	a.n /= 2
}

// Rest copies what is left of u.
func (a *argument) Rest() []field.Element {
	rest := make([]field.Element, a.n)
	a.r.within(func(s *device.Scratch) { s.Get(device.Bytes(rest), a.u[0]) })
	return rest
}
