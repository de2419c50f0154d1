package cuda

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/cuda/internal/products"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// program is a backend.Program. A tensor of zeros takes memory when it is first written or read.
type program struct {
	*memory
	session *session
	mu      sync.Mutex        // of tensors that runs ask about before anybody has written them
	ripe    []backend.Bounded // nothing is written to them, and they are not kept in less memory yet
	waiting int64             // their bytes
	most    int64             // so many at most, once that is known
	moved   []*tensor         // whose cells are in this process' memory, too; the session's residents guard it
}

// Program begins a witness.
func (s *session) Program() backend.Program {
	p := &program{memory: s.of.memory(context.Background(), s.Err()), session: s}
	p.memory.session = s
	return p
}

// Err is the first error, also of what the session loaded.
func (p *program) Err() error {
	if err := p.memory.Err(); err != nil {
		return err
	}
	return p.session.Err()
}

// Within has nothing to limit.
func (*program) Within(context.Context) {}

// Close gives the memory back. An error is one of the device, which it will have for whoever asks next.
func (p *program) Close() {
	p.session.leave(p)
	_ = p.memory.close()
}

// Zeros takes no memory yet.
func (p *program) Zeros(shape []int, wide bool) backend.Tensor {
	return &tensor{shape: shape, n: cellsOf(shape), size: 8, wide: wide, late: p}
}

// cellsOf is how many cells a shape has.
func cellsOf(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// room gives a tensor memory that has anything in it, unless it has some. It says whether it has not had it before.
func (p *program) room(t *tensor) bool {
	if t.at != 0 || p.Err() != nil {
		return false
	}
	for _, at := range []*device.Pointer{&t.at, &t.high} {
		if at == &t.high && !t.wide {
			continue
		}
		var err error
		if *at, err = p.Alloc(8 * int64(t.n)); err != nil {
			p.fail(err)
			return false
		}
	}
	return true
}

// filled is a tensor with its memory.
func (p *program) filled(held backend.Tensor) *tensor {
	t := held.(*tensor)
	p.hold(t)
	if p.room(t) {
		p.within(func(s *device.Scratch) {
			for _, at := range []device.Pointer{t.at, t.high} {
				if at != 0 {
					s.Takes(0, 0, 8*t.n)
					s.Run("clear_words", blocks(2*t.n), device.Dim{threads}, uint64(at), uint64(2*t.n))
				}
			}
		})
	}
	return t
}

// written is filled for a part that is about to be written.
func (p *program) written(part backend.Part) {
	if part.Box == nil {
		p.room(part.T.(*tensor))
	} else {
		p.filled(part.T)
	}
}

// Words cuts a wide tensor.
func (p *program) Words(held backend.Tensor) (lower, upper backend.Tensor) {
	t := held.(*tensor)
	if !t.wide {
		return t, nil
	}
	p.enter()
	defer p.leave()
	p.filled(t)
	l, u := &tensor{shape: t.shape, n: t.n, size: 8}, &tensor{shape: t.shape, n: t.n, size: 8}
	p.room(l)
	p.room(u)
	p.within(func(s *device.Scratch) {
		s.Takes(0, 0, 32*t.n)
		s.Run("split_words", blocks(t.n), device.Dim{threads}, uint64(l.at), uint64(u.at), uint64(t.at), uint64(t.high), uint64(t.n))
	})
	return l, u
}

// Cells copies a part.
func (p *program) Cells(part backend.Part) *integer.Tensor {
	t := part.T.(*tensor)
	p.enter()
	defer p.leave()
	p.hold(t)
	shape := shapeOf(part)
	n := cellsOf(shape)
	out := &integer.Tensor{Shape: shape}
	if part.Box == nil && t.size < 8 && t.at != 0 {
		var cells []byte
		if t.size == 2 {
			out.Short = make([]int16, n)
			cells = device.Bytes(out.Short)
		} else {
			out.Mid = make([]int32, n)
			cells = device.Bytes(out.Mid)
		}
		p.within(func(s *device.Scratch) { s.Get(cells, t.at) })
		return out
	}
	out.V = make([]int64, n)
	if t.wide {
		out.V = make([]int64, 2*n)
	}
	if t.at != 0 && n > 0 {
		p.within(func(s *device.Scratch) {
			from := t.at
			if part.Box != nil || t.wide {
				from = s.Take(len(out.V), 8)
				box, walks := p.boxes(s, part)
				s.Takes(0, 0, 16*n)
				s.Run("gather", blocks(n), device.Dim{threads}, uint64(from), box, walks, uint64(n))
			}
			s.Get(device.Bytes(out.V), from)
		})
	}
	if t.wide {
		out.V, out.High = out.V[:n:n], out.V[n:]
	}
	return out
}

// Put copies to a part.
func (p *program) Put(part backend.Part, cells *integer.Tensor) {
	t := part.T.(*tensor)
	p.enter()
	defer p.leave()
	p.written(part)
	p.within(func(s *device.Scratch) {
		v := cells.All()
		n := len(v)
		if part.Box == nil && !t.wide {
			if err := p.Upload(t.at, device.Bytes(v)); err != nil {
				p.fail(err)
			}
			return
		}
		if t.wide {
			v = append(append(make([]int64, 0, 2*n), v...), cells.High...)
		}
		box, walks := p.boxes(s, part)
		s.Takes(0, 0, 16*n)
		s.Run("scatter", blocks(n), device.Dim{threads}, box, walks, uint64(s.Put(device.Bytes(v))), uint64(n))
	})
}

// Free gives memory back.
func (p *program) Free(tensors ...backend.Tensor) {
	for _, held := range tensors {
		if held == nil {
			continue
		}
		t := held.(*tensor)
		if t.movable {
			p.session.leave(p, t)
		}
		for _, at := range []*device.Pointer{&t.at, &t.high} {
			if *at != 0 {
				_ = p.memory.Free(*at)
				*at = 0
			}
		}
		t.late = nil
	}
}

// shortCells is what kernels read of a tensor whose cells are to have fewer bytes, and settleRun how many cells a block does.
type shortCells struct{ from, to, size, n uint64 }

const settleRun = 1 << 12

// ripeBytes is how many bytes of cells are kept in fewer together, where there is memory for as many; where there is little, a sixteenth of it.
const ripeBytes = 1 << 28

// Written keeps cells in less memory when there are many of them, or when memory is needed.
func (p *program) Written(tensors ...backend.Bounded) {
	for _, b := range tensors {
		if t := b.T.(*tensor); !t.wide && t.size == 8 && t.n > 0 {
			p.ripe = append(p.ripe, b)
			p.waiting += 8 * int64(t.n)
		}
	}
	if p.waiting >= p.enough() {
		p.Settle()
	}
}

// enough is how many bytes are worth a launch.
func (p *program) enough() int64 {
	if p.most == 0 {
		info, err := p.on.Info()
		if err != nil {
			p.fail(err)
		}
		p.most = max(1, min(ripeBytes, info.Total/16))
	}
	return p.most
}

// Settle keeps cells in 16 bits or 32 where they fit: all are measured before any is written. From then on they may make room.
func (p *program) Settle(tensors ...backend.Bounded) {
	var long []*tensor
	var tasks []shortCells
	var least, most []uint64 // the complements of 0, and of what ranges allow, which a device that computes nothing leaves as they are
	for _, b := range append(p.ripe, tensors...) {
		if t := b.T.(*tensor); !t.wide && !t.movable && t.size == 8 && t.n > 0 && !slices.Contains(long, t) && (t.at != 0 || t.late != nil) {
			p.filled(t)
			long, tasks = append(long, t), append(tasks, shortCells{from: uint64(t.at), n: uint64(t.n)})
			least, most = append(least, math.MaxUint64), append(most, ^uint64(max(b.Hi, ^b.Lo, 0)))
		}
	}
	p.ripe, p.waiting = nil, 0
	if len(long) == 0 {
		return
	}
	measured := p.within(func(s *device.Scratch) {
		at := s.Put(device.Bytes(least))
		settle(s, "measure", tasks, uint64(at))
		s.Get(device.Bytes(most), at)
	})
	if !measured {
		return
	}
	var fits, stay []*tensor
	var shorter []shortCells
	for i, t := range long {
		size := 8
		switch most := ^most[i]; {
		case most <= math.MaxInt16:
			size = 2
		case most <= math.MaxInt32:
			size = 4
		default:
			stay = append(stay, t)
			continue
		}
		to, err := p.Alloc(int64(t.n * size))
		if err != nil { // they stay as they are, unless it is the device that fails
			if !errors.Is(err, device.ErrMemory) {
				p.fail(err)
			}
			break
		}
		fits, shorter = append(fits, t), append(shorter, shortCells{uint64(t.at), uint64(to), uint64(size), uint64(t.n)})
	}
	p.session.settled(p, stay)
	if len(fits) == 0 || !p.within(func(s *device.Scratch) { settle(s, "shorten", shorter) }) {
		return
	}
	for i, t := range fits {
		_ = p.memory.Free(t.at)
		t.at, t.size = device.Pointer(shorter[i].to), int(shorter[i].size)
	}
	p.session.settled(p, fits)
	if err := p.trim(); err != nil {
		p.fail(err)
	}
}

// settle runs a kernel on tensors.
func settle(s *device.Scratch, kernel string, tasks []shortCells, before ...uint64) {
	var k pack
	first := firsts(tasks, func(t *shortCells) uint64 { return runsOf(t.n, settleRun) })
	list, starts := put(&k, tasks), put(&k, first)
	base := k.send(s)
	all := 0
	for i := range tasks {
		all += int(tasks[i].n * (8 + tasks[i].size))
	}
	s.Takes(0, 0, all)
	s.Run(kernel, grid(first), device.Dim{threads}, append(before, base+list, base+starts, uint64(len(tasks)), settleRun)...)
}

// shortProducts is how many products are worth it to keep their factors in 16 bits before, which are multiplied much faster.
const shortProducts = 1 << 20

// waits says whether a factor may be kept in fewer bytes.
func (p *program) waits(terms []backend.Term) bool {
	return slices.ContainsFunc(terms, func(t backend.Term) bool {
		return slices.ContainsFunc(t.Factors, func(f backend.Operand) bool {
			return slices.ContainsFunc(p.ripe, func(b backend.Bounded) bool { return b.T == f.T })
		})
	})
}

// Einsum adds sums of products.
func (p *program) Einsum(to backend.Part, terms []backend.Term) {
	p.enter()
	defer p.leave()
	if p.waits(terms) && backend.Products(terms, to.Box) >= shortProducts {
		p.Settle()
	}
	out := p.filled(to.T)
	for i := range terms {
		for _, f := range terms[i].Factors {
			p.filled(f.T)
		}
		if !products.Fits(&terms[i]) {
			p.fail(fmt.Errorf("cuda: a sum of products of %d factors, or of tensors that are too large", len(terms[i].Factors)))
		}
	}
	if p.Err() != nil {
		return
	}
	held := func(t backend.Tensor) device.Tensor {
		own := t.(*tensor)
		return device.Tensor{At: own.at, Size: own.size}
	}
	var err error
	if out.wide {
		err = products.EinsumWide(p.memory, out.at, out.high, to.Box, terms, held, func(t backend.Tensor) device.Pointer { return t.(*tensor).high })
	} else {
		err = products.Einsum(p.memory, out.at, to.Box, terms, held)
	}
	if err != nil {
		p.fail(err)
	}
}

// Nonzero counts.
func (p *program) Nonzero(part backend.Part) (n, first int) {
	p.enter()
	defer p.leave()
	p.hold(part.T.(*tensor))
	cells := cellsOf(shapeOf(part))
	if part.T.(*tensor).at == 0 {
		return 0, -1
	}
	found := []uint64{0, math.MaxUint64}
	ok := p.within(func(s *device.Scratch) {
		at := s.Put(device.Bytes(found))
		box, walks := p.boxes(s, part)
		s.Takes(0, 0, 8*cells)
		s.Run("find_nonzero", blocks(cells), device.Dim{threads}, uint64(at), box, walks, uint64(cells))
		s.Get(device.Bytes(found), at)
	})
	if !ok || found[0] == 0 {
		return 0, -1
	}
	return int(found[0]), int(found[1])
}
