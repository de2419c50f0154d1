package tensor

import (
	"github.com/zkllmc/zkllmc/internal/int128"
)

// Sums whose results are wide, in 128 bits. They are few, and wanted where a model needs more than what the kernels hold: cell by cell, each
// product added with its carry. Where a factor is wide and the result is not, the kernels' arithmetic wraps at 64 bits and is right.

// at128 is a cell in 128 bits.
func (c cells) at128(i int) int128.Int {
	if c.high != nil {
		return int128.Join(c.v[i], c.high[i])
	}
	return int128.Of(c.at(i))
}

// runWide is run for a wide result: its cells in parallel, and for each the summed loops, the longest innermost.
func (n *nest) runWide() {
	var outer, sum []loop
	count := 1
	for _, l := range n.loops {
		if l.out != 0 {
			outer, count = append(outer, l), count*l.extent
		} else {
			sum = append(sum, l)
		}
	}
	step, work := loop{extent: 1, in: make([]int, len(n.vals))}, 1
	for i, l := range sum {
		work *= l.extent
		if l.extent > step.extent {
			sum[i], step = step, l
		}
	}
	group := max(1, chunk/work)
	n.pool.Run((count+group-1)/group, func(_, task int) {
		r := row{nest: n, sum: sum, step: step, at: make([]int, len(n.vals)), idx: make([]int, len(sum))}
		for c := task * group; c < min((task+1)*group, count); c++ {
			r.start(outer, c)
			r.runWide()
		}
	})
}

// runWide adds the term's value to a cell.
func (r *row) runWide() {
	var acc int128.Int
	clear(r.idx)
	for {
		acc = acc.Plus(r.innermostWide())
		if !r.next() {
			break
		}
	}
	acc = acc.Times(int128.Of(r.coef)).Plus(int128.Join(r.out[r.o], r.high[r.o]))
	r.out[r.o], r.high[r.o] = acc.Split()
}

// innermostWide is the sum of the products that the innermost loop meets.
func (r *row) innermostWide() (acc int128.Int) {
	if len(r.vals) == 2 && r.vals[0].high == nil && r.vals[1].high == nil {
		a, b := r.vals[0].from(r.at[0]), r.vals[1].from(r.at[1])
		sa, sb := r.step.in[0], r.step.in[1]
		for i := range r.step.extent {
			acc = acc.Plus(int128.Product(a.at(i*sa), b.at(i*sb)))
		}
		return acc
	}
	for i := range r.step.extent {
		p := int128.Of(1)
		for j := range r.vals {
			p = p.Times(r.vals[j].at128(r.at[j] + i*r.step.in[j]))
		}
		acc = acc.Plus(p)
	}
	return acc
}
