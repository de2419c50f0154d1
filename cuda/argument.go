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

// list are generators on the device.
type list struct {
	at   device.Pointer
	gens []group.Affine
}

// has says whether a list begins with generators.
func (l *list) has(gens []group.Affine) bool {
	return len(l.gens) >= len(gens) && slices.Equal(l.gens[:len(gens)], gens)
}

// list returns generators on the device, to which they are copied once in a session.
func (s *session) list(gens []group.Affine) (list, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.lists {
		if s.lists[i].has(gens) {
			return list{s.lists[i].at, s.lists[i].gens[:len(gens)]}, nil
		}
	}
	at, err := s.Alloc(int64(len(gens)) * affineBytes)
	if err == nil {
		err = s.Upload(at, device.Bytes(gens))
	}
	l := list{at, slices.Clone(gens)}
	if err == nil {
		s.lists = append(s.lists, l)
	}
	return l, err
}

// baseList is where generators lie, as lay_points reads it.
type baseList struct{ at, n, points uint64 }

// lists are where the first n generators of bases lie.
func (r *run) lists(bases backend.Bases, n int) (lists []baseList) {
	for _, g := range bases {
		count := min(len(g.Points), n-g.At)
		if count <= 0 {
			continue
		}
		l, err := r.session.list(g.Points[:count])
		if err != nil {
			r.fail(err)
		}
		lists = append(lists, baseList{uint64(g.At), uint64(count), uint64(l.at)})
	}
	return lists
}

// lay writes generators out.
func (r *run) lay(s *device.Scratch, lists []baseList, n int) device.Pointer {
	var p pack
	list := put(&p, lists)
	out, base := s.Take(n, affineBytes), p.send(s)
	s.Takes(0, 0, 2*n*affineBytes)
	s.Run("lay_points", blocks(n), device.Dim{threads}, uint64(out), uint64(n), base+list, uint64(len(lists)))
	return out
}

// MSM copies scalars there and sums up. Generators that are one list are used where they lie.
func (r *run) MSM(bases backend.Bases, scalars []field.Element) (sum group.Affine) {
	n := len(scalars)
	r.within(func(s *device.Scratch) {
		lists := r.lists(bases, n)
		if n == 0 || r.Err() != nil {
			return
		}
		var g device.Pointer
		if len(lists) == 1 && lists[0].at == 0 && lists[0].n == uint64(n) {
			g = device.Pointer(lists[0].points)
		} else {
			g = r.lay(s, lists, n)
		}
		if scalars := s.Put(device.Bytes(scalars)); s.Error() == nil {
			sums, err := points.MSM(r.memory, g, scalars, n, n)
			if err != nil {
				r.fail(err)
				return
			}
			sum = sums[0]
		}
	})
	return sum
}

// argument is a backend.Argument. What is left in the end is the processor's.
type argument struct {
	r       *run
	s       *device.Scratch // ends with the run
	base    group.Affine
	u, l, g device.Pointer // folded where they are
	n       int
	host    backend.Argument
}

// Argument copies what it is given, unless it is short.
func (r *run) Argument(mask []field.Element, segments []backend.Segment, form []field.Element, g backend.Bases, U group.Affine) backend.Argument {
	n := len(mask)
	if n != len(form) || n == 0 || n&(n-1) != 0 {
		panic(fmt.Sprintf("cuda: argument over %d, %d entries", n, len(form)))
	}
	a := &argument{r: r, s: &device.Scratch{Work: r.memory}, base: U, n: n}
	if a.ends() {
		segments = slices.Clone(segments)
		for i, seg := range segments {
			if seg.Held != nil {
				segments[i] = backend.Segment{Offset: seg.Offset, Scale: seg.Scale, Vals: r.Values(seg.Held)}
			}
		}
		a.host = r.host.Argument(mask, segments, form, g, U)
		return a
	}
	r.within(func(s *device.Scratch) {
		a.u, a.l, a.g = a.s.Put(device.Bytes(mask)), a.s.Put(device.Bytes(form)), r.lay(a.s, r.lists(g, n), n)
		if err := a.s.Error(); err != nil {
			r.fail(err)
		}
		for _, seg := range segments {
			at, n := device.Pointer(0), len(seg.Vals)
			if seg.Held != nil {
				at, n = r.held(seg.Held), seg.Held.Elements()
			} else {
				at = s.Put(device.Bytes(seg.Vals))
			}
			to := a.u + device.Pointer(seg.Offset*elementBytes)
			combine(s, to, []device.Pointer{to, at}, []field.Element{field.One(), seg.Scale}, n)
		}
	})
	return a
}

// ends says whether what is left is the processor's.
func (a *argument) ends() bool { return a.n <= 1<<a.r.session.of.tail }

// Round sums up both halves: all that is asked for comes down together.
func (a *argument) Round() (l, r group.Affine) {
	if a.host != nil {
		return a.host.Round()
	}
	a.r.within(func(s *device.Scratch) {
		h := a.n / 2
		sums, inner := points.NewSums(a.n, h), newInner(uint64(a.u), uint64(a.l), h)
		said := make([]byte, sums.Bytes()+inner.bytes())
		out := s.Take(len(said), 1)
		sums.Run(s, out, a.g, a.n, h, a.u)
		inner.run(s, out+device.Pointer(sums.Bytes()))
		s.Get(said, out)
		if s.Error() != nil {
			return
		}
		sides, products := sums.Join(said[:sums.Bytes()]), inner.join(said[sums.Bytes():])
		l, r = a.cross(sides[0], &products[0]), a.cross(sides[1], &products[1])
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

// inner asks for ⟨u_lo, l_hi⟩ and ⟨u_hi, l_lo⟩, which are sums of products of a sumcheck with no variable.
type inner struct {
	tasks []productTask
	views []factorView
	runs  []bitRun
	first []uint64
}

func newInner(u, l uint64, h int) *inner {
	half, run := uint64(h*elementBytes), max(1<<10, uint64(h)/fullGrid)
	in := &inner{runs: bitRuns(uint64(h - 1)), tasks: []productTask{{uint64(h), run, 0, 2}, {uint64(h), run, 2, 2}}}
	for _, at := range []uint64{u, l + half, u + half, l} {
		in.views = append(in.views, factorView{values: at, bits: uint64(len(in.runs))})
	}
	in.first = firsts(in.tasks, func(t *productTask) uint64 { return runsOf(t.n, t.run) })
	return in
}

// bytes is how much the device has to say of them.
func (in *inner) bytes() int { return int(in.first[len(in.tasks)]) * elementBytes }

func (in *inner) run(s *device.Scratch, out device.Pointer) {
	var p pack
	tasks, views, runs, starts := put(&p, in.tasks), put(&p, in.views), put(&p, in.runs), put(&p, in.first)
	base := p.send(s)
	s.Takes(2*int(in.tasks[0].n), 0, 4*int(in.tasks[0].n)*elementBytes)
	s.Run("product_sums", grid(in.first), device.Dim{threads}, uint64(out), base+tasks, base+views, base+runs, base+starts, uint64(len(in.tasks)), 0, 1)
}

// join adds up what blocks have.
func (in *inner) join(said []byte) (sums [2]field.Element) {
	parts := make([]field.Element, in.first[len(in.tasks)])
	copy(device.Bytes(parts), said)
	for k := range sums {
		for _, part := range parts[in.first[k]:in.first[k+1]] {
			sums[k].Add(&sums[k], &part)
		}
	}
	return sums
}

// Fold folds vectors and generators where they are.
func (a *argument) Fold(x field.Element) {
	if a.host != nil {
		a.host.Fold(x)
		return
	}
	a.r.within(func(s *device.Scratch) {
		h := a.n / 2
		s.Takes(2*h, 0, 6*h*elementBytes)
		s.Run("fold_halves", blocks(h), device.Dim{threads}, append([]uint64{uint64(a.u), uint64(a.l), uint64(h)}, words(&x)...)...)
		if s.Error() == nil {
			if err := points.Fold(a.r.memory, a.g, a.g+device.Pointer(h*affineBytes), h, &x); err != nil {
				a.r.fail(err)
			}
		}
	})
	if a.n /= 2; a.ends() {
		a.takeOver()
	}
}

// takeOver goes on with what is left.
func (a *argument) takeOver() {
	u, l, g := make([]field.Element, a.n), make([]field.Element, a.n), make([]group.Affine, a.n)
	a.r.within(func(s *device.Scratch) {
		s.Get(device.Bytes(u), a.u)
		s.Get(device.Bytes(l), a.l)
		s.Get(device.Bytes(g), a.g)
	})
	a.host = a.r.host.Argument(u, nil, l, backend.From(g), a.base)
}

// Rest is what is left of u.
func (a *argument) Rest() []field.Element {
	if a.host == nil {
		a.takeOver()
	}
	return a.host.Rest()
}
