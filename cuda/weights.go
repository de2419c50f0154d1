package cuda

import (
	"github.com/zkllmc/zkllmc/cuda/internal/device"
	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
)

// eqTable, and what blocks of its kernel do, as weights.cuh has them.
type eqTable struct{ point, bits, ones, out uint64 }

const eqRun = 256

// eqs are tables of eq(point, ·), each of which is computed once however often it is asked for.
type eqs struct {
	points  []field.Element
	tables  []eqTable
	entries uint64
	index   map[eqKey]uint64
}

// eqKey tells points by where they are.
type eqKey struct {
	first *field.Element
	n     int
}

// entry says from which entry on the table of a point stands.
func (q *eqs) entry(point []field.Element) uint64 {
	if len(point) == 0 {
		return q.ones(0)
	}
	return q.add(eqKey{&point[0], len(point)}, point, 0)
}

// ones says where 2^bits ones stand.
func (q *eqs) ones(bits int) uint64 { return q.add(eqKey{nil, bits}, make([]field.Element, bits), 1) }

func (q *eqs) add(key eqKey, point []field.Element, ones uint64) uint64 {
	at, ok := q.index[key]
	if !ok {
		if at = q.entries; q.index == nil {
			q.index = map[eqKey]uint64{}
		}
		q.index[key] = at
		q.tables = append(q.tables, eqTable{uint64(len(q.points)), uint64(len(point)), ones, at})
		q.points = append(q.points, point...)
		q.entries += 1 << len(point)
	}
	return at
}

// write computes all tables.
func (q *eqs) write(s *device.Scratch) (at uint64) {
	var p pack
	first := firsts(q.tables, func(t *eqTable) uint64 { return runsOf(1<<t.bits, eqRun) })
	points, tables, starts := put(&p, q.points), put(&p, q.tables), put(&p, first)
	at = uint64(s.Take(int(q.entries), elementBytes))
	if len(q.tables) > 0 {
		base := p.send(s)
		s.Takes(int(q.entries), 0, int(q.entries)*elementBytes)
		s.Run("eq_tables", grid(first), device.Dim{threads}, at, base+points, base+tables, base+starts, uint64(len(q.tables)))
	}
	return at
}

// What the kernel weights reads.
type (
	halves     struct{ low, high, lowBits, bits, extent uint64 }
	weightTerm struct{ offset, bits, firstAxis, axes uint64 }
	weightList struct{ out, start, end, from, to uint64 }
)

// tabulation is what Tables tells the kernel.
type tabulation struct {
	eqs
	terms  []weightTerm
	scales []field.Element
	axes   []halves
	lists  []weightList
	listed []uint64
}

// Tables writes weights out: now, or later where there is little memory.
func (r *run) Tables(tables []backend.Table) []backend.Vector {
	length := func(i int) int { return 1 << tables[i].Bits }
	if r.postpone(len(tables), length) {
		return r.later(len(tables), func(i int) vector { return vector{n: length(i), table: &tables[i]} })
	}
	out, at := r.rooms(len(tables), length)
	r.within(func(s *device.Scratch) { tabulate(s, tables, at) })
	return out
}

// tabulate writes weights to where they are to be. Every entry is computed by itself, from tables of the halves of the axes' points.
func tabulate(s *device.Scratch, tables []backend.Table, at []device.Pointer) {
	var t tabulation
	for i := range tables {
		t.table(&tables[i], at[i])
	}
	if len(t.lists) == 0 {
		return
	}
	halves := t.write(s)
	var p pack
	lists, listed, terms, scales, axes := put(&p, t.lists), put(&p, t.listed), put(&p, t.terms), put(&p, t.scales), put(&p, t.axes)
	base := p.send(s)
	s.Takes(3*t.written(), 0, t.written()*elementBytes)
	s.Run("weights", device.Dim{len(t.lists)}, device.Dim{threads}, base+lists, base+listed, base+terms, base+scales, base+axes, halves)
}

// written is how many entries terms write.
func (t *tabulation) written() (n int) {
	for i := range t.terms {
		n += 1 << t.terms[i].bits
	}
	return n
}

// table lists the terms of every run of a table's entries.
func (t *tabulation) table(table *backend.Table, out device.Pointer) {
	size := 1 << table.Bits
	run := max(eqRun, size/fullGrid)
	lists := make([][]uint64, (size+run-1)/run)
	for i := range table.Terms {
		w := &table.Terms[i]
		bits := 0
		for _, a := range w.Axes {
			bits += len(a.Point)
		}
		for k := w.Offset / run; k < len(lists) && k*run < w.Offset+1<<bits; k++ {
			lists[k] = append(lists[k], uint64(len(t.terms)))
		}
		t.terms, t.scales = append(t.terms, weightTerm{uint64(w.Offset), uint64(bits), uint64(len(t.axes)), uint64(len(w.Axes))}), append(t.scales, w.Scale)
		for _, a := range w.Axes {
			low := (len(a.Point) + 1) / 2
			h := halves{t.entry(a.Point[:low]), 0, uint64(low), uint64(len(a.Point)), uint64(a.Extent)}
			if low < len(a.Point) {
				h.high = t.entry(a.Point[low:])
			}
			t.axes = append(t.axes, h)
		}
	}
	for k, list := range lists {
		from := uint64(len(t.listed))
		t.listed = append(t.listed, list...)
		t.lists = append(t.lists, weightList{uint64(out), uint64(k * run), uint64(min(size, (k+1)*run)), from, uint64(len(t.listed))})
	}
}
