// Package tensor computes the integer tensors of a witness: sums of einsum terms over int64, in parallel. It knows terms and
// boxes of integers, nothing of circuits or proofs.
//
// Arithmetic wraps at 64 bits. The bounds of a circuit keep every result below 2^62, so that a wrap inside a sum cancels. Results that are
// wide are computed in 128 bits, see wide.go.
package tensor

import (
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/parallel"
)

// chunk is the number of cells that one task handles where cells are independent.
const chunk = 1 << 14

// Part says which part of a sum of terms is computed, and how. The zero value is all of it.
type Part struct {
	Box   []backend.Range // the cells of the result; nil: all
	Packs *Packs          // keeps fixed factors as they are multiplied; nil: none
	Pool  *parallel.Pool  // on which it is computed; nil: all processors
}

// Eval returns the sum of terms of tensors of package integer, as a tensor of the given shape.
func (p Part) Eval(terms []backend.Term, shape []int) integer.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	out := integer.Tensor{Shape: append([]int(nil), shape...), V: make([]int64, n)}
	p.Add(out, terms)
	return out
}

// Add adds the part of the terms to out, which is of the part's shape and has 64 bits a cell, or is wide.
func (p Part) Add(out integer.Tensor, terms []backend.Term) {
	for i := range terms {
		t := &terms[i]
		if t.Coef == 0 {
			continue
		}
		vals := make([]cells, len(t.Factors))
		for j, f := range t.Factors {
			x := f.T.(*integer.Tensor)
			vals[j] = cells{x.V, x.Short, x.Mid, x.High}
		}
		switch n := p.newNest(t, vals, out); {
		case n == nil:
		case n.high != nil:
			n.runWide()
		default:
			n.reduce()
			if !n.contract() {
				n.run()
			}
		}
	}
}

// loop is one label of a term: its extent and the strides that it has in the result and in each factor, 0 where absent.
type loop struct {
	extent int
	out    int
	in     []int
}

// nest is a term as nested loops.
type nest struct {
	term  *backend.Term
	packs *Packs
	pool  *parallel.Pool
	coef  int64
	loops []loop
	vals  []cells // from the first cell that the loops meet
	out   []int64
	high  []int64 // of a wide result, else nil
	hoist int     // a factor with few nonzero cells, -1 for none: the innermost loop should not run over it
}

// cells are those of a factor, of 64 bits, or of 16 or 32, or wide.
type cells struct {
	v     []int64
	short []int16
	mid   []int32
	high  []int64
}

func (c cells) from(i int) cells {
	if c.high != nil {
		return cells{v: c.v[i:], high: c.high[i:]}
	}
	if c.v != nil {
		return cells{v: c.v[i:]}
	}
	if c.mid != nil {
		return cells{mid: c.mid[i:]}
	}
	return cells{short: c.short[i:]}
}

func (c cells) at(i int) int64 {
	if c.v != nil {
		return c.v[i]
	}
	if c.mid != nil {
		return int64(c.mid[i])
	}
	return int64(c.short[i])
}

// wide are the cells in 64 bits.
func (c cells) wide() []int64 {
	t := integer.Tensor{V: c.v, Short: c.short, Mid: c.mid}
	return t.All()
}

// newNest returns nil if there is nothing to be computed.
func (p Part) newNest(t *backend.Term, vals []cells, out integer.Tensor) *nest {
	n := &nest{term: t, packs: p.Packs, pool: p.Pool, coef: t.Coef, vals: vals, out: out.V, high: out.High, hoist: -1}
	ranges := t.Ranges(p.Box)
	if ranges == nil && p.Box != nil {
		return nil
	}
	n.loops = make([]loop, len(t.Extents))
	in := make([]int, len(t.Extents)*len(vals))
	for l, r := range ranges {
		if r.Hi <= r.Lo {
			return nil
		}
		n.loops[l] = loop{extent: r.Hi - r.Lo, in: in[l*len(vals) : (l+1)*len(vals)]}
	}
	strides(t.Out, p.extents(t), func(l, s int) { n.loops[l].out = s })
	for j, f := range t.Factors {
		strides(f.Axes, t.Extents, func(l, s int) { n.loops[l].in[j] = s; n.vals[j] = n.vals[j].from(s * ranges[l].Lo) })
	}
	n.merge()
	return n
}

// extents are those of the labels of a part of the result: an axis that is cut is one label.
func (p Part) extents(t *backend.Term) []int {
	if p.Box == nil {
		return t.Extents
	}
	e := slices.Clone(t.Extents)
	for a, cut := range p.Box {
		if len(t.Out[a]) == 1 {
			e[t.Out[a][0]] = cut.Hi - cut.Lo
		}
	}
	return e
}

// strides calls set with the row-major stride of every label of a list of axes.
func strides(axes [][]int, extents []int, set func(label, stride int)) {
	s := 1
	for a := len(axes) - 1; a >= 0; a-- {
		for i := len(axes[a]) - 1; i >= 0; i-- {
			l := axes[a][i]
			set(l, s)
			s *= extents[l]
		}
	}
}

// merge drops loops of one iteration and joins loops that walk through every operand as one.
func (n *nest) merge() {
	kept := n.loops[:0]
	for _, l := range n.loops {
		if l.extent > 1 {
			kept = append(kept, l)
		}
	}
	n.loops = kept
	for n.join() {
	}
}

// join merges one pair of loops that walk through every operand as one, and says whether there was one.
func (n *nest) join() bool {
	for i, outer := range n.loops {
		for j, inner := range n.loops {
			if i != j && outer.continues(inner) {
				n.loops[j].extent *= outer.extent
				n.loops = append(n.loops[:i], n.loops[i+1:]...)
				return true
			}
		}
	}
	return false
}

// continues says whether a step of outer equals a full run of inner in every operand.
func (outer loop) continues(inner loop) bool {
	if outer.out != inner.out*inner.extent {
		return false
	}
	for j := range outer.in {
		if outer.in[j] != inner.in[j]*inner.extent {
			return false
		}
	}
	return true
}

// reduce sums factors up before they are multiplied, over loops that no other operand walks along: the sum of a row that is spread over the
// row's cells is computed once a row, not once a cell.
func (n *nest) reduce() {
	for j := range n.vals {
		var own, rest []loop
		for _, l := range n.loops {
			switch {
			case l.only(j):
				own = append(own, l)
			case l.in[j] != 0:
				rest = append(rest, l)
			}
		}
		if len(own) > 0 && len(own)+len(rest) < len(n.loops) {
			n.sumUp(j, own, rest)
		}
	}
	n.merge()
}

// only says whether the loop is summed, and walks along factor j alone.
func (l loop) only(j int) bool {
	if l.out != 0 || l.in[j] == 0 {
		return false
	}
	for k, s := range l.in {
		if k != j && s != 0 {
			return false
		}
	}
	return true
}

// sumUp puts the sums over its own loops in the place of factor j.
func (n *nest) sumUp(j int, own, rest []loop) {
	sums := nest{pool: n.pool, coef: 1, vals: []cells{n.vals[j]}, hoist: -1}
	stride := 1
	for _, l := range slices.Backward(rest) {
		sums.loops = append(sums.loops, loop{extent: l.extent, out: stride, in: []int{l.in[j]}})
		stride *= l.extent
	}
	for _, l := range own {
		sums.loops = append(sums.loops, loop{extent: l.extent, in: []int{l.in[j]}})
	}
	sums.out = make([]int64, stride)
	sums.merge()
	sums.run()
	n.vals[j] = cells{v: sums.out}
	n.loops = slices.DeleteFunc(n.loops, func(l loop) bool { return l.only(j) })
	stride = 1
	for i, l := range slices.Backward(n.loops) {
		if l.in[j] != 0 {
			n.loops[i].in[j] = stride
			stride *= l.extent
		}
	}
}

// inner chooses the innermost loop: unit strides first, then length; never one that runs over the sparse factor if another is left.
func (n *nest) inner() int {
	best, bestScore := -1, -1
	for i, l := range n.loops {
		score := min(l.extent, 1<<20)
		if l.out <= 1 {
			score += 1 << 21
		}
		for _, s := range l.in {
			if s <= 1 {
				score += 1 << 21
			}
		}
		if n.hoist >= 0 && l.in[n.hoist] == 0 {
			score += 1 << 25
		}
		if score > bestScore {
			best, bestScore = i, score
		}
	}
	return best
}

// run executes the loops: those of the result in parallel, then the summed ones, then the innermost.
func (n *nest) run() {
	in := n.inner()
	if in < 0 {
		n.out[0] += n.product()
		return
	}
	inner := n.loops[in]
	var outer, sum []loop
	cells := 1
	for i, l := range n.loops {
		switch {
		case i == in:
		case l.out != 0:
			outer = append(outer, l)
			cells *= l.extent
		default:
			sum = append(sum, l)
		}
	}
	width := inner.extent
	if inner.out != 0 && width > chunk {
		width = chunk
	}
	parts := (inner.extent + width - 1) / width
	work := width
	for _, l := range sum {
		work *= l.extent
	}
	group := max(1, chunk/work)
	tasks := cells * parts
	n.pool.Run((tasks+group-1)/group, func(_, task int) {
		r := row{nest: n, sum: sum, step: inner, at: make([]int, len(n.vals)), idx: make([]int, len(sum))}
		for i := task * group; i < min((task+1)*group, tasks); i++ {
			r.start(outer, i/parts)
			r.skip(inner, i%parts*width)
			r.step.extent = min(width, inner.extent-i%parts*width)
			r.run()
		}
	})
}

// product is the term's value where it has no loops.
func (n *nest) product() int64 {
	p := n.coef
	for _, v := range n.vals {
		p *= v.at(0)
	}
	return p
}

// row is the inner part of a nest: all summed loops and the innermost one, from a position in every operand.
type row struct {
	*nest
	sum  []loop
	step loop
	o    int
	at   []int
	idx  []int
	line [][]int64 // of factors of 16 bits or 32: the cells that the innermost loop meets
}

// start moves to cell number c of the outer loops.
func (r *row) start(outer []loop, c int) {
	r.o = 0
	clear(r.at)
	for k := len(outer) - 1; k >= 0; k-- {
		r.skip(outer[k], c%outer[k].extent)
		c /= outer[k].extent
	}
}

func (r *row) skip(l loop, steps int) {
	r.o += l.out * steps
	for j, s := range l.in {
		r.at[j] += s * steps
	}
}

// run walks the summed loops and ends where it began.
func (r *row) run() {
	clear(r.idx)
	for {
		r.innermost()
		if !r.next() {
			return
		}
	}
}

// next goes on to the next indices of the summed loops; false, and back at the first, behind the last ones.
func (r *row) next() bool {
	for k := len(r.sum) - 1; k >= 0; k-- {
		if r.idx[k]++; r.idx[k] < r.sum[k].extent {
			r.skip(r.sum[k], 1)
			return true
		}
		r.skip(r.sum[k], 1-r.sum[k].extent)
		r.idx[k] = 0
	}
	return false
}

// innermost runs the innermost loop. Factors that do not move in it are one coefficient, and a zero coefficient ends it.
func (r *row) innermost() {
	c := r.coef
	var moving [8]int
	k := 0
	for j, s := range r.step.in {
		if s == 0 {
			c *= r.vals[j].at(r.at[j])
		} else if k < len(moving) {
			moving[k] = j
			k++
		}
	}
	if c == 0 {
		return
	}
	switch {
	case len(r.step.in) > len(moving):
		r.many(r.coef)
	case k == 0:
		r.fill(c)
	case k == 1:
		r.one(c, moving[0])
	case k == 2:
		r.two(c, moving[0], moving[1])
	default:
		r.general(c, moving[:k])
	}
}

// operand returns a factor from where the innermost loop begins, and its stride there.
func (r *row) operand(j int) (v []int64, stride int) {
	from, stride := r.vals[j].from(r.at[j]), r.step.in[j]
	if from.v != nil {
		return from.v, stride
	}
	if r.line == nil {
		r.line = make([][]int64, len(r.vals))
	}
	if len(r.line[j]) < r.step.extent {
		r.line[j] = make([]int64, r.step.extent)
	}
	line := r.line[j][:r.step.extent]
	if from.mid != nil {
		widen(line, from.mid, stride)
	} else {
		widen(line, from.short, stride)
	}
	return line, 1
}

// widen writes cells at a distance side by side.
func widen[T int16 | int32](line []int64, v []T, stride int) {
	if stride == 1 {
		for i, x := range v[:len(line)] {
			line[i] = int64(x)
		}
		return
	}
	for i := range line {
		line[i] = int64(v[i*stride])
	}
}

func (r *row) fill(c int64) {
	if r.step.out == 0 {
		r.out[r.o] += c * int64(r.step.extent)
		return
	}
	for i, o := 0, r.o; i < r.step.extent; i++ {
		r.out[o] += c
		o += r.step.out
	}
}

func (r *row) one(c int64, j int) {
	switch from := r.vals[j].from(r.at[j]); {
	case from.v != nil:
		oneOf(r, c, from.v, r.step.in[j])
	case from.mid != nil:
		oneOf(r, c, from.mid, r.step.in[j])
	default:
		oneOf(r, c, from.short, r.step.in[j])
	}
}

func oneOf[T int16 | int32 | int64](r *row, c int64, a []T, sa int) {
	n, so := r.step.extent, r.step.out
	switch {
	case so == 0:
		acc := int64(0)
		for i, p := 0, 0; i < n; i++ {
			acc += int64(a[p])
			p += sa
		}
		r.out[r.o] += c * acc
	case so == 1 && sa == 1:
		o := r.out[r.o : r.o+n]
		for i, v := range a[:n] {
			o[i] += c * int64(v)
		}
	default:
		for i, p, o := 0, 0, r.o; i < n; i++ {
			r.out[o] += c * int64(a[p])
			p, o = p+sa, o+so
		}
	}
}

func (r *row) two(c int64, j, k int) {
	n, so := r.step.extent, r.step.out
	a, sa := r.operand(j)
	b, sb := r.operand(k)
	switch {
	case so == 0:
		acc := int64(0)
		for i, p, q := 0, 0, 0; i < n; i++ {
			acc += a[p] * b[q]
			p, q = p+sa, q+sb
		}
		r.out[r.o] += c * acc
	case so == 1 && sa == 1 && sb == 1:
		o, b := r.out[r.o:r.o+n], b[:n]
		for i, v := range a[:n] {
			o[i] += c * v * b[i]
		}
	default:
		for i, p, q, o := 0, 0, 0, r.o; i < n; i++ {
			r.out[o] += c * a[p] * b[q]
			p, q, o = p+sa, q+sb, o+so
		}
	}
}

// general is the innermost loop for any number of moving factors.
func (r *row) general(c int64, moving []int) {
	for i, o := 0, r.o; i < r.step.extent; i++ {
		p := c
		for _, j := range moving {
			p *= r.vals[j].at(r.at[j] + i*r.step.in[j])
		}
		r.out[o] += p
		o += r.step.out
	}
}

// many is general for terms with more factors than line keeps on its stack.
func (r *row) many(c int64) {
	all := make([]int, len(r.step.in))
	for j := range all {
		all[j] = j
	}
	r.general(c, all)
}
