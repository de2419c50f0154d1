package cpu

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/montgomery"
	"github.com/zkllmc/zkllmc/internal/poly"
)

// slot is one table of the batch: a factor's values over global variables (an instance's variable i is the batch's
// L−N+i). Factors with the same memory and variables, in one instance or in several, share a slot and are bound once.
type slot struct {
	vals  vec    // nil where they are computed as they are read
	from  source // of these
	size  int
	vars  []int  // not yet bound, ascending
	spare [2]vec // buffers of half and a quarter of the size, written in turns: the caller's memory may be shared, is only read
	binds int
}

// product is one instance: the slots of its factors, with repetitions.
type product struct {
	first int // its lowest global variable
	coef  field.Element
	slots []*slot
	sum   *field.Element // Σ over the cube, while the rounds are below first
	eq    *weight        // an eq factor that is none of the slots; may be nil
}

// sumcheck is a batch after `round` challenges.
type sumcheck struct {
	pool
	rounds, degree, round int
	products              []*product
	slots                 []*slot
	scratch               []*sumScratch
}

// sumScratch is the working memory of one worker.
type sumScratch struct {
	free        []vec
	args        []operand
	pairs, cell vec // of what is computed as it is read
}

// Sumcheck finds the distinct tables of the batch.
func (b *run) Sumcheck(instances []backend.Instance, rounds, degree int) backend.Sumcheck {
	s := &sumcheck{pool: b.ending, rounds: rounds, degree: max(1, degree), scratch: make([]*sumScratch, b.threads)}
	found := map[any][]*slot{}
	for i := range instances {
		in := &instances[i]
		p := &product{first: rounds - in.N, coef: in.Coef}
		for k := range in.Factors {
			f := &in.Factors[k]
			if f.Vals.Elements() != 1<<len(f.Vars) {
				panic(fmt.Sprintf("cpu: instance %d factor %d has %d values for %d variables", i, k, f.Vals.Elements(), len(f.Vars)))
			}
			if len(f.Vars) < in.N {
				b.held(f.Vals) // it is not read along
			}
			if p.eq == nil {
				if p.eq = newWeight(f, k, in.N); p.eq != nil {
					continue
				}
			}
			if f.Vals.Elements() < lazySize {
				b.held(f.Vals)
			}
			p.slots = append(p.slots, s.intern(found, f, p.first))
		}
		s.products = append(s.products, p)
	}
	return s
}

// intern returns the slot of a factor, by its vector or by what that is computed from.
func (s *sumcheck) intern(found map[any][]*slot, f *backend.Factor, shift int) *slot {
	vars := make([]int, len(f.Vars))
	for i, v := range f.Vars {
		vars[i] = v + shift
	}
	v := f.Vals.(*vector)
	key := any(v)
	if v.from != nil {
		key = v.from
	}
	same := found[key]
	for _, c := range same {
		if slices.Equal(c.vars, vars) {
			return c
		}
	}
	n := &slot{vals: v.vec, from: v.from, size: v.Elements(), vars: vars}
	found[key] = append(same, n)
	s.slots = append(s.slots, n)
	return n
}

// has tells whether the round's variable is the slot's lowest.
func (t *slot) has(v int) bool { return len(t.vars) > 0 && t.vars[0] == v }

// sumTask is a range of tiles of one product's cube.
type sumTask struct {
	p      *product
	points []int // the points to evaluate at
	views  []view
	lo, hi int // assignments of the variables behind the round's
	out    []field.Element
}

// view is how a slot is read in a round: the values at the remaining variables x, or at (X, x) if it has the round's variable X.
type view struct {
	*slot
	has     bool
	power   int   // how often the slot occurs in the product
	low     []int // index of the low bits of x, one tile of them; nil: x itself
	lowBits int
	free    []int // per bit of x: the bit of the slot's index, or −1
}

// taskCells is how many assignments one task handles: small enough to share the work out, large against its fixed cost.
const taskCells = 8 * tile

// Round evaluates all products; the shares of a product's tasks are added up at the end.
func (s *sumcheck) Round() []field.Element {
	var tasks []*sumTask
	for _, p := range s.products {
		switch {
		case p.eq != nil && p.eq.h == nil:
			tasks = append(tasks, s.split(p, max(p.first, s.round), s.weighted(p))...)
		case p.eq != nil:
		case p.first <= s.round:
			tasks = append(tasks, s.split(p, s.round, s.points(p))...)
		case p.sum == nil:
			p.sum = new(field.Element)
			tasks = append(tasks, s.split(p, -1, []int{0})...)
		}
	}
	s.execute(tasks)
	out := make([]field.Element, s.degree)
	for _, t := range tasks {
		switch {
		case t.p.eq != nil:
			t.p.eq.add(t)
		case t.p.first > s.round:
			*t.p.sum = add(*t.p.sum, t.out[0])
		default:
			s.contribute(out, t)
		}
	}
	for _, p := range s.products {
		if p.eq != nil {
			p.eq.complete()
		}
		switch {
		case p.first > s.round:
			if p.eq != nil {
				p.sum = p.eq.sum()
			}
			s.constant(out, p)
		case p.eq != nil:
			p.eq.contribute(out, &p.coef)
		}
	}
	return out
}

// points are the points needed of a product: 0, 2, …, D, or 0 … d if its own degree d in the round's variable is lower by enough.
func (s *sumcheck) points(p *product) []int {
	d := p.degreeIn(s.round)
	var out []int
	for x := 0; x <= s.degree; x++ {
		if x <= d && d+1 < s.degree || x != 1 && d+1 >= s.degree {
			out = append(out, x)
		}
	}
	return out
}

// degreeIn is the degree of the slots' product in a variable, which is the lowest that is left.
func (p *product) degreeIn(v int) (d int) {
	for _, t := range p.slots {
		if t.has(v) {
			d++
		}
	}
	return d
}

// constant adds a product that does not depend on the round's variable; each later round below its first doubles its sum.
func (s *sumcheck) constant(out []field.Element, p *product) {
	v := mul(p.coef, *p.sum)
	for i := s.round + 1; i < p.first; i++ {
		v.Double(&v)
	}
	for i := range out {
		out[i] = add(out[i], v)
	}
}

// contribute adds a task's values, extrapolated from 0 … d to 2 … D by differences where only those were computed.
func (s *sumcheck) contribute(out []field.Element, t *sumTask) {
	vals := t.out
	if len(t.points) < 2 || t.points[1] == 1 {
		vals = poly.Extrapolate(vals, s.degree+1)
		vals = slices.Delete(vals, 1, 2)
	}
	for i := range out {
		out[i] = add(out[i], mul(t.p.coef, vals[i]))
	}
}

// split makes the tasks of a product for the round's variable v; v = −1 sums over its whole cube.
func (s *sumcheck) split(p *product, v int, points []int) []*sumTask {
	vars := make([]int, 0, s.rounds)
	for x := max(v+1, p.first); x < s.rounds; x++ {
		vars = append(vars, x)
	}
	var views []view
	for _, t := range p.slots {
		if i := slices.IndexFunc(views, func(w view) bool { return w.slot == t }); i >= 0 {
			views[i].power++
			continue
		}
		views = append(views, newView(t, v, vars))
	}
	if p.eq != nil {
		p.eq.inner, p.eq.outer = eqTables(p.eq.point[1:])
	}
	var out []*sumTask
	for lo := 0; lo < 1<<len(vars); lo += taskCells {
		hi := min(1<<len(vars), lo+taskCells)
		out = append(out, &sumTask{p: p, points: points, views: views, lo: lo, hi: hi, out: make([]field.Element, len(points))})
	}
	return out
}

// newView maps the variables that are left to the slot's.
func newView(t *slot, v int, vars []int) view {
	w := view{slot: t, has: t.has(v), power: 1, free: make([]int, len(vars)), lowBits: min(len(vars), log2(tile))}
	own := t.vars
	if w.has {
		own = own[1:]
	}
	for i, x := range vars {
		w.free[i] = slices.Index(own, x)
	}
	if !slices.Equal(own, vars) {
		w.low = make([]int, 1<<w.lowBits)
		for x := range w.low {
			w.low[x] = w.index(x, 0)
		}
	}
	return w
}

// index is the slot's index (without the round's variable) at x, whose lowest bit is bit `from` of the remaining variables.
func (w *view) index(x, from int) (idx int) {
	for ; x != 0; x, from = x>>1, from+1 {
		if x&1 == 1 && w.free[from] >= 0 {
			idx |= 1 << w.free[from]
		}
	}
	return idx
}

// constantLow tells whether the slot has none of a tile's variables.
func (w *view) constantLow() bool {
	return !slices.ContainsFunc(w.free[:w.lowBits], func(i int) bool { return i >= 0 })
}

// fixedCost is what a task or a piece of work costs besides its cells, in cells.
const fixedCost = 32

// worker returns the scratch memory of a worker.
func (s *sumcheck) worker(w int) *sumScratch {
	if s.scratch[w] == nil {
		s.scratch[w] = &sumScratch{pairs: make(vec, lazyStep), cell: make(vec, lazyStep)}
	}
	return s.scratch[w]
}

// execute runs the tasks, small ones in groups.
func (s *sumcheck) execute(tasks []*sumTask) {
	cost := func(i int) int { return tasks[i].hi - tasks[i].lo + fixedCost }
	s.grouped(len(tasks), taskCells+fixedCost, cost, func(w, i int) {
		t := tasks[i]
		for x := t.lo; x < t.hi; x += tile {
			s.worker(w).tile(t, x, min(t.hi, x+tile)-x)
		}
	})
}

// operand is a view's part in a tile: a vector, or a scalar where it is constant across the tile, at the current point.
type operand struct {
	*view
	cur, diff vec
	c, d      field.Element
}

// take returns a vector of n elements for the current tile.
func (s *sumScratch) take(used *int, n int) vec {
	if *used == len(s.free) {
		s.free = append(s.free, make(vec, tile))
	}
	*used++
	return s.free[*used-1][:n]
}

// tile adds the product's sum over n assignments from x on, at every point of the task.
func (s *sumScratch) tile(t *sumTask, x, n int) {
	used := 0
	s.args = s.args[:0]
	for i := range t.views {
		s.args = append(s.args, s.load(&t.views[i], &used, x, n))
	}
	prod := s.take(&used, n)
	at := 0
	for i, point := range t.points {
		for ; at < point; at++ {
			s.step()
		}
		if eq := t.p.eq; eq != nil {
			t.out[i] = add(t.out[i], mul(s.sum(prod, eq.inner[:n]), eq.outer[x/tile]))
			continue
		}
		t.out[i] = add(t.out[i], s.sum(prod, nil))
	}
}

// load reads a view at X = 0 and its slope in X.
func (s *sumScratch) load(w *view, used *int, x, n int) operand {
	o := operand{view: w}
	high := w.index(x>>w.lowBits, w.lowBits)
	if w.constantLow() {
		o.c = w.vals[high]
		if w.has {
			o.c = w.vals[2*high]
			o.d = sub(w.vals[2*high+1], o.c)
		}
		return o
	}
	switch {
	case w.low == nil && !w.has:
		o.cur = s.take(used, n)
		copy(o.cur, s.read(w.slot, x, n))
	case w.low == nil:
		o.cur, o.diff = s.take(used, n), s.take(used, n)
		split(o.cur, o.diff, s.read(w.slot, 2*x, 2*n), nil)
		subVec(o.diff, o.diff, o.cur)
	case !w.has:
		o.cur = s.take(used, n)
		for i, l := range w.low[:n] {
			o.cur[i] = w.vals[high|l]
		}
	default:
		o.cur, o.diff = s.take(used, n), s.take(used, n)
		for i, l := range w.low[:n] {
			o.cur[i], o.diff[i] = w.vals[2*(high|l)], w.vals[2*(high|l)+1]
		}
		subVec(o.diff, o.diff, o.cur)
	}
	return o
}

// read returns values of a slot, which are the worker's until it reads others.
func (s *sumScratch) read(t *slot, from, n int) vec {
	if t.from == nil {
		return t.vals[from : from+n]
	}
	t.from.read(s.pairs[:n], s.cell, from)
	return s.pairs[:n]
}

// step moves all operands to the next point.
func (s *sumScratch) step() {
	for i := range s.args {
		o := &s.args[i]
		switch {
		case !o.has:
		case o.cur == nil:
			o.c = add(o.c, o.d)
		default:
			addVec(o.cur, o.cur, o.diff)
		}
	}
}

// sum returns Σ over the tile of the product of all operands, and of weights if there are any: the last two vectors by an inner product.
func (s *sumScratch) sum(prod, weights vec) field.Element {
	c := one()
	var have, pending vec // the product so far and one more vector that is still to be multiplied
	for i := range s.args {
		o := &s.args[i]
		for range o.power {
			switch {
			case o.cur == nil:
				c = mul(c, o.c)
			case pending == nil && have == nil:
				have = o.cur
			case pending == nil:
				pending = o.cur
			default:
				mulVec(prod, have, pending)
				have, pending = prod, o.cur
			}
		}
	}
	if weights != nil {
		if pending != nil {
			mulVec(prod, have, pending)
			have = prod
		}
		if have == nil {
			return mul(c, weights.Sum())
		}
		return mul(c, dot(have, weights))
	}
	switch {
	case have == nil:
		var n field.Element
		n.SetUint64(uint64(len(prod)))
		return mul(c, n)
	case pending == nil:
		return mul(c, have.Sum())
	}
	return mul(c, dot(have, pending))
}

// bindPiece is a part of a slot to be bound.
type bindPiece struct {
	dst  vec
	src  *slot // as it was
	from int
}

// Bind binds every slot whose lowest variable is the round's.
func (s *sumcheck) Bind(r field.Element) {
	for _, p := range s.products {
		if p.eq != nil && p.first <= s.round {
			p.eq.bind(&r)
		}
	}
	var pieces []bindPiece
	for _, t := range s.slots {
		if !t.has(s.round) {
			continue
		}
		dst, was := t.buffer(), *t
		for lo := 0; lo < len(dst); lo += taskCells {
			hi := min(len(dst), lo+taskCells)
			pieces = append(pieces, bindPiece{dst[lo:hi], &was, 2 * lo})
		}
		t.vals, t.from, t.size, t.vars = dst, nil, len(dst), t.vars[1:]
		t.binds++
	}
	cost := func(i int) int { return len(pieces[i].dst) + fixedCost }
	s.grouped(len(pieces), taskCells+fixedCost, cost, func(w, i int) {
		p := pieces[i]
		for x := 0; x < len(p.dst); x += tile {
			end, own := min(len(p.dst), x+tile), s.worker(w)
			own.bind(p.dst[x:end], own.read(p.src, p.from+2*x, 2*(end-x)), &r)
		}
	})
	s.round++
}

// Finals reads what is left of the slots.
func (s *sumcheck) Finals() [][]field.Element {
	out := make([][]field.Element, len(s.products))
	for i, p := range s.products {
		for _, t := range p.slots {
			out[i] = append(out[i], t.vals[0])
		}
		if p.eq != nil {
			out[i] = slices.Insert(out[i], p.eq.at, p.eq.scale)
		}
	}
	return out
}

// buffer returns where the next bind of the slot writes.
func (t *slot) buffer() vec {
	n := t.size / 2
	if t.binds < 2 {
		t.spare[t.binds] = make(vec, n)
	}
	return t.spare[t.binds%2][:n]
}

// bind sets dst to the values between neighbours of src at r.
func (s *sumScratch) bind(dst, src vec, r *field.Element) {
	if montgomery.Available() {
		montgomery.LerpPairs(scalars, dst, src, r)
		return
	}
	used := 0
	hi := s.take(&used, len(dst))
	split(dst, hi, src, nil)
	lerp(dst, dst, hi, r)
}
