package cuda

import (
	"math/bits"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
)

// What the kernel partials reads, as partial.cuh has it.
type (
	keptLabel   struct{ from, bits, extent, stride uint64 }
	foldedLabel struct{ extent, stride, weights uint64 }
	partialTask struct {
		cells                                                                              device.Tensor
		out                                                                                uint64
		bits, firstKept, kept, firstFolded, folded, outer /* indices */, run, outs, across uint64
	}
	partsTask struct{ out, from, n, count uint64 }
)

// partsRun is how many entries a block of sum_parts does.
const partsRun = 256

// log2 is ⌈log2 d⌉.
func log2(d int) int { return bits.Len(uint(max(d, 1) - 1)) }

// Partials evaluates MLEs at some of their variables: now, or later where there is little memory.
func (r *run) Partials(partials []backend.Partial) []backend.Vector {
	length := func(i int) int { return 1 << partials[i].Bits }
	if r.postpone(len(partials), length) {
		return r.later(len(partials), func(i int) vector { return vector{n: length(i), partial: &partials[i]} })
	}
	out, at := r.rooms(len(partials), length)
	r.within(func(s *device.Scratch) { r.fold(s, partials, at) })
	return out
}

// EvalMany folds all labels, which are the tensors' axes.
func (r *run) EvalMany(evals []backend.Eval) []field.Element {
	values := make([]field.Element, len(evals))
	r.within(func(s *device.Scratch) {
		if len(evals) == 0 {
			return
		}
		at := s.Take(len(evals), elementBytes)
		partials, out := make([]backend.Partial, len(evals)), make([]device.Pointer, len(evals))
		for i, e := range evals {
			shape, bits := e.T.(*tensor).shape, 0
			labels := make([]backend.Label, len(shape))
			for a := len(shape) - 1; a >= 0; a-- {
				n := log2(shape[a])
				labels[a] = backend.Label{Extent: shape[a], Var: -1, Point: e.Point[bits : bits+n : bits+n]}
				bits += n
			}
			partials[i], out[i] = backend.Partial{T: e.T, Labels: labels}, at+device.Pointer(i*elementBytes)
		}
		r.fold(s, partials, out)
		s.Get(device.Bytes(values), at)
	})
	return values
}

// folding is what Partials tells the kernel.
type folding struct {
	eqs
	tasks  []partialTask
	kept   []keptLabel
	folded []foldedLabel
	parts  []partsTask
}

// fold computes partial evaluations to where they are to be.
func (r *run) fold(s *device.Scratch, partials []backend.Partial, out []device.Pointer) {
	for len(partials) > 0 {
		n := r.together(partials)
		r.foldSome(s, partials[:n], out[:n])
		partials, out = partials[n:], out[n:]
		if len(partials) > 0 {
			r.let()
		}
	}
}

// together is how many of the first partial evaluations are computed in one launch: as many as there is memory for the tensors of, half of what is left.
func (r *run) together(partials []backend.Partial) int {
	most, sum := int64(-1), int64(0)
	for i := range partials {
		t := partials[i].T.(*tensor)
		if !t.movable {
			continue
		}
		if most < 0 {
			most = r.left() / 2
		}
		if sum += t.bytes(); sum > most && i > 0 {
			return i
		}
	}
	return len(partials)
}

// foldSome is fold in one launch.
func (r *run) foldSome(s *device.Scratch, partials []backend.Partial, out []device.Pointer) {
	var f folding
	for i := range partials {
		f.task(&partials[i], r.cells(partials[i].T), out[i])
	}
	weights := f.write(s)
	for i := range f.folded {
		f.folded[i].weights = weights + f.folded[i].weights*elementBytes
	}
	first := firsts(f.tasks, func(t *partialTask) uint64 { return runsOf(1<<t.bits, t.outs) * runsOf(t.outer, t.run) })
	f.split(s)
	var p pack
	tasks, kept, folded, starts := put(&p, f.tasks), put(&p, f.kept), put(&p, f.folded), put(&p, first)
	base := p.send(s)
	all := 0
	for i := range partials {
		all += partials[i].T.Len()
	}
	s.Takes(all/narrow, 0, 4*all)
	s.Run("partials", grid(first), device.Dim{threads}, base+tasks, base+kept, base+folded, base+starts, uint64(len(f.tasks)))
	sumParts(s, f.parts)
}

// split gives tasks that are done in parts room for them.
func (f *folding) split(s *device.Scratch) {
	for i := range f.tasks {
		t := &f.tasks[i]
		if n := runsOf(t.outer, t.run); n > 1 {
			own := uint64(s.Take(int(n)<<t.bits, elementBytes))
			f.parts = append(f.parts, partsTask{t.out, own, 1 << t.bits, n})
			t.out = own
		}
	}
}

// sumParts adds up vectors that lie one behind the other.
func sumParts(s *device.Scratch, lists []partsTask) {
	if len(lists) == 0 {
		return
	}
	var p pack
	first := firsts(lists, func(t *partsTask) uint64 { return runsOf(t.n, partsRun) })
	tasks, starts := put(&p, lists), put(&p, first)
	base := p.send(s)
	all := 0
	for i := range lists {
		all += int(lists[i].n * (lists[i].count + 1))
	}
	s.Takes(0, 0, all*elementBytes)
	s.Run("sum_parts", grid(first), device.Dim{threads}, base+tasks, base+starts, uint64(len(lists)))
}

// task lists the labels of a partial evaluation, and decides how blocks do it.
func (f *folding) task(p *backend.Partial, cells device.Tensor, out device.Pointer) {
	t := partialTask{
		cells: cells, out: uint64(out), bits: uint64(p.Bits), firstKept: uint64(len(f.kept)), firstFolded: uint64(len(f.folded)),
	}
	var folded []foldedLabel
	stride := uint64(1)
	for i := len(p.Labels) - 1; i >= 0; i-- {
		l := &p.Labels[i]
		switch n := log2(l.Extent); {
		case l.Var >= 0:
			f.kept = append(f.kept, keptLabel{uint64(l.Var), uint64(n), uint64(l.Extent), stride})
		case l.Extent == 1 && l.Point == nil: // nothing to sum up
		case l.Point == nil:
			folded = append(folded, foldedLabel{uint64(l.Extent), stride, f.ones(n)})
		default:
			folded = append(folded, foldedLabel{uint64(l.Extent), stride, f.entry(l.Point)})
		}
		stride *= uint64(l.Extent)
	}
	if len(folded) == 0 {
		folded = []foldedLabel{{1, 0, f.ones(0)}}
	}
	inner := innermost(folded)
	folded[0], folded[inner] = folded[inner], folded[0]
	f.folded = append(f.folded, folded...)
	t.kept, t.folded, t.outer = uint64(len(f.kept))-t.firstKept, uint64(len(folded)), 1
	for _, l := range folded[1:] {
		t.outer *= l.extent
	}
	t.share(&folded[0])
	f.tasks = append(f.tasks, t)
}

// innermost is the folded label that is summed up without reducing: the longest, or one whose cells are neighbours, if it is long enough.
func innermost(folded []foldedLabel) (best int) {
	const enough = 32
	for i, l := range folded {
		if l.stride == 1 && l.extent >= enough {
			return i
		}
		if l.extent > folded[best].extent {
			best = i
		}
	}
	return best
}

// share decides how many threads have an entry together, and how many outer indices a block does: all, unless there are few blocks with much to do.
func (t *partialTask) share(inner *foldedLabel) {
	const each = 4 // cells, for a thread to be worth it
	t.outs = min(uint64(threads), 1<<t.bits)
	if inner.stride == 1 && inner.extent > each {
		t.across = 1
		t.outs = min(t.outs, uint64(threads/min(threads, 1<<log2(int(inner.extent+each-1)/each))))
	}
	const cells = 64 // for a thread of a part
	groups, parts := runsOf(1<<t.bits, t.outs), uint64(threads)/t.outs
	t.run = max(1, runsOf(t.outer, max(1, fullGrid/2/groups)), runsOf(cells*parts, inner.extent))
}
