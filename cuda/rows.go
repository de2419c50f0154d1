package cuda

import (
	"errors"
	"slices"
	"sync"

	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/cuda/internal/points"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

// laidCells is how many cells of rows are written out at a time, where there is memory for it.
const laidCells = 1 << 26

// laid is how many rows of a width are written out at a time: they take an eighth of the memory that is left.
func (r *run) laid(width int) int {
	return max(1, int(min(laidCells, r.left()/8/4))/width)
}

// boxes are rows whose tensors lie on the device.
func (r *run) boxes(rows []backend.Row) [][]points.Box {
	return mapped(rows, func(row backend.Row) []points.Box {
		return mapped(row, func(b backend.Box) points.Box {
			return points.Box{Tensor: r.cells(b.T), From: b.From, Shape: b.Shape, Column: b.Column}
		})
	})
}

// CommitRows writes rows out, as many as there is room for, and commits to them.
func (r *run) CommitRows(gens []group.Affine, rows []backend.Row) []group.Affine {
	out := make([]group.Affine, len(rows))
	if r.Err() != nil || len(rows) == 0 {
		return out
	}
	t, err := r.session.multiples(gens, rows)
	if err != nil {
		r.fail(err)
		return out
	}
	defer r.session.kept.release(t)
	some := r.laid(len(gens))
	for from := 0; from < len(rows) && r.Err() == nil; {
		part := rows[from:min(len(rows), from+some)]
		sums, err := r.commit(t, part, len(gens))
		switch {
		case err == nil:
			from += copy(out[from:], sums)
		case errors.Is(err, device.ErrMemory) && len(part) > 1:
			some = len(part) / 2
		default:
			r.fail(err)
		}
	}
	return out
}

// commit commits to rows that are written out all at a time.
func (r *run) commit(t *table, rows []backend.Row, width int) ([]group.Affine, error) {
	r.enter()
	defer r.leave()
	boxes := r.boxes(rows)
	if err := r.Err(); err != nil {
		return nil, err
	}
	cells, err := points.Lay(r.memory, boxes, width)
	if err != nil {
		return nil, err
	}
	sums, err := t.Commit(cells, len(rows), width)
	return sums, errors.Join(err, r.memory.Free(cells))
}

// multiples returns the table of generators, for so many rows, made when it is first asked for, or when it has made room. It stays until it is released.
func (s *session) multiples(gens []group.Affine, rows []backend.Row) (*table, error) {
	l, err := s.list(gens)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.kept.find(gens); t != nil {
		return t, nil
	}
	// It may take half of the memory, if what the largest row reads fits the other half well.
	left, bits := s.left(), digits(len(gens), len(rows))
	most := max(left/8, left/2-2*rowBytes(rows))
	for ; bits > 1 && points.TableBytes(len(gens), bits) > most; bits-- {
	}
	made, err := points.NewTable(s.memory, l.at, len(gens), bits)
	for ; errors.Is(err, device.ErrMemory) && bits > 1; bits-- {
		made, err = points.NewTable(s.memory, l.at, len(gens), bits-1)
	}
	if err != nil {
		return nil, err
	}
	t := &table{Table: made, list: l, pins: 1}
	s.kept.add(t)
	return t, s.trim()
}

// rowBytes is what the tensors of a row take that may not be on the device, of the row that takes most.
func rowBytes(rows []backend.Row) (most int64) {
	for _, row := range rows {
		sum := int64(0)
		for _, b := range row {
			if t := b.T.(*tensor); t.movable {
				sum += t.bytes()
			}
		}
		most = max(most, sum)
	}
	return most
}

// tables are those of a session. They may make room while nobody has them, and are made anew.
type tables struct {
	mu   sync.Mutex
	list []*table
}

// table are the multiples of generators.
type table struct {
	*points.Table
	list
	pins int // how many have it
}

// find looks for a table, which stays until it is released.
func (k *tables) find(gens []group.Affine) *table {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, t := range k.list {
		if t.has(gens) {
			t.pins++
			return t
		}
	}
	return nil
}

func (k *tables) add(t *table) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = append(k.list, t)
}

func (k *tables) release(t *table) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t.pins--
}

// drop gives the memory of all tables back that nobody has, to whoever is idle, and says whether there were any.
func (k *tables) drop() (any bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = slices.DeleteFunc(k.list, func(t *table) bool {
		if t.pins > 0 {
			return false
		}
		_ = t.Free() // nothing of the device's
		any = true
		return true
	})
	return any
}

// bytes is what drop would give back.
func (k *tables) bytes() (sum int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, t := range k.list {
		if t.pins == 0 {
			sum += t.Bytes()
		}
	}
	return sum
}

// digits is how many bits the digits of a table have: those with which making it and committing to so many rows, of which half the places are zero, are
// the fewest additions.
func digits(generators, rows int) (best int) {
	cost := func(bits int) int {
		places := (32 + bits - 1) / bits
		return places<<bits + rows*places
	}
	best = 2
	for bits := 3; bits <= 8; bits++ {
		if cost(bits) < cost(best) {
			best = bits
		}
	}
	return best
}

// FoldRows writes rows out, as many as there is room for, and adds them up in parts.
func (r *run) FoldRows(sums []backend.RowSum, width int) []backend.Vector {
	out, at := r.rooms(len(sums), func(int) int { return width })
	r.within(func(s *device.Scratch) {
		var coefs []field.Element
		var rows []backend.Row
		starts := []int{0}
		for _, sum := range sums {
			rows, coefs = append(rows, sum.Rows...), append(coefs, sum.Coefs...)
			starts = append(starts, len(rows))
		}
		f := rowFold{s: s, width: width, coefs: uint64(s.Put(device.Bytes(coefs))), parts: make([][]rowPart, len(sums))}
		some := r.laid(width)
		for from := 0; from < len(rows); from += some {
			f.slices(starts, from, min(len(rows), from+some))
		}
		if f.bytes() > r.left()/8 {
			r.foldByParts(s, &f, rows, starts, some, at)
			return
		}
		f.room(at)
		for from := 0; from < len(rows) && r.Err() == nil; from += some {
			cells, err := points.Lay(r.memory, r.boxes(rows[from:min(len(rows), from+some)]), width)
			if err != nil {
				r.fail(err)
				return
			}
			f.add(cells, from, min(len(rows), from+some))
			_ = r.memory.Free(cells)
			r.let()
		}
		sumParts(s, f.lists)
	})
	return out
}

// foldByParts is FoldRows where there is no memory for the parts of all rows: those of some are added to the sums before the next.
func (r *run) foldByParts(s *device.Scratch, f *rowFold, rows []backend.Row, starts []int, some int, out []device.Pointer) {
	for _, at := range out {
		s.Run("clear_words", blocks(8*f.width), device.Dim{threads}, uint64(at), uint64(8*f.width))
	}
	for from := 0; from < len(rows) && r.Err() == nil; from += some {
		to := min(len(rows), from+some)
		r.within(func(s *device.Scratch) {
			own := rowFold{s: s, width: f.width, coefs: f.coefs, parts: make([][]rowPart, len(out))}
			own.slices(starts, from, to)
			sums := make([]device.Pointer, len(out))
			for k := range sums {
				if len(own.parts[k]) > 0 {
					sums[k] = s.Take(f.width, elementBytes)
				}
			}
			cells, err := points.Lay(r.memory, r.boxes(rows[from:to]), f.width)
			if err != nil {
				r.fail(err)
				return
			}
			for k, at := range sums {
				if at != 0 {
					own.roomOf(k, at)
				}
			}
			own.add(cells, from, to)
			_ = r.memory.Free(cells)
			sumParts(s, own.lists)
			for k, at := range sums {
				if at != 0 {
					combine(s, out[k], []device.Pointer{out[k], at}, []field.Element{field.One(), field.One()}, f.width)
				}
			}
		})
		r.let()
	}
}

// rowFold adds up rows that are written out.
type rowFold struct {
	s     *device.Scratch
	width int
	coefs uint64
	parts [][]rowPart // by sum
	lists []partsTask
}

// rowPart are rows of one sum, which several blocks do for each column: as many vectors as there are of these.
type rowPart struct {
	from, to, blocks int
	out              uint64
}

// slices cuts the rows of sums, which begin at starts, that are between two.
func (f *rowFold) slices(starts []int, from, to int) {
	const each = 64 // rows of a part
	for k := range f.parts {
		lo, hi := max(from, starts[k]), min(to, starts[k+1])
		if lo < hi {
			most := max(1, fullGrid*threads/2/f.width)
			f.parts[k] = append(f.parts[k], rowPart{from: lo, to: hi, blocks: min(most, (hi-lo+each-1)/each)})
		}
	}
}

// room says where parts are to be: in the result, if there is one part, or none.
func (f *rowFold) room(out []device.Pointer) {
	for k := range f.parts {
		f.roomOf(k, out[k])
	}
}

// roomOf is room for one sum.
func (f *rowFold) roomOf(k int, out device.Pointer) {
	n, at := f.blocks(k), uint64(out)
	switch {
	case n == 0:
		f.s.Run("clear_words", blocks(8*f.width), device.Dim{threads}, at, uint64(8*f.width))
	case n > 1:
		own := uint64(f.s.Take(n*f.width, elementBytes))
		f.lists = append(f.lists, partsTask{at, own, uint64(f.width), uint64(n)})
		at = own
	}
	for i := range f.parts[k] {
		p := &f.parts[k][i]
		p.out = at
		at += uint64(p.blocks * f.width * elementBytes)
	}
}

// blocks is how many vectors a sum has in its parts.
func (f *rowFold) blocks(k int) (n int) {
	for _, p := range f.parts[k] {
		n += p.blocks
	}
	return n
}

// bytes is what all parts take.
func (f *rowFold) bytes() (sum int64) {
	for k := range f.parts {
		sum += int64(f.blocks(k)) * int64(f.width) * elementBytes
	}
	return sum
}

// add adds up the rows between two, which are written out from cells on.
func (f *rowFold) add(cells device.Pointer, from, to int) {
	for _, parts := range f.parts {
		for _, p := range parts {
			if p.from >= from && p.to <= to {
				f.s.Takes((p.to-p.from)*f.width/narrow, 0, (p.to-p.from)*f.width*4)
				f.s.Run("fold_rows", device.Dim{blocks(f.width)[0], p.blocks}, device.Dim{threads}, p.out, uint64(cells),
					f.coefs+uint64(from*elementBytes), uint64(p.from-from), uint64(p.to-from), uint64(f.width))
			}
		}
	}
}

// Combine adds up scaled vectors.
func (r *run) Combine(vecs []backend.Vector, coefs []field.Element) backend.Vector {
	out := r.room(vecs[0].Elements())
	r.within(func(s *device.Scratch) { combine(s, out.at, mapped(vecs, r.held), coefs, out.n) })
	return out
}

// combine writes Σ coefs[i]·vecs[i].
func combine(s *device.Scratch, out device.Pointer, vecs []device.Pointer, coefs []field.Element, n int) {
	var p pack
	at, scales := put(&p, vecs), put(&p, coefs)
	base := p.send(s)
	s.Takes(len(vecs)*n, 0, (len(vecs)+1)*n*elementBytes)
	s.Run("combine", blocks(n), device.Dim{threads}, uint64(out), base+at, base+scales, uint64(len(vecs)), uint64(n))
}
