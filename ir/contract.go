package ir

import "math"

// Work is the number of multiplications that a term takes computed as it stands: its operands, at least one, for every choice of its
// labels. solved, which may be short or nil, holds an axis per operand, by its place in In, or -1: where the indices on the other axes are
// chosen, there is at most one on this axis at which the cell is 1 and not 0. Of the first such operand only the ones are multiplied with,
// so that the labels of that axis cost nothing. What does not fit is math.MaxInt.
func (t Term) Work(solved []int) int {
	return product(t.Extents, t.found(solved), max(1, len(t.In)))
}

// found marks the labels of the solved axis of the first operand that has one.
func (t Term) found(solved []int) []bool {
	if k := t.Solved(solved); k >= 0 {
		axis := solved[t.In[k]]
		return t.mark(t.Axes[k][axis : axis+1])
	}
	return make([]bool, len(t.Extents))
}

// Solved is the first operand of a term that has a solved axis, by its place in In, -1 if there is none.
func (t Term) Solved(solved []int) int {
	for i, k := range t.In {
		if k < len(solved) && solved[k] >= 0 {
			return i
		}
	}
	return -1
}

func product(extents []int, but []bool, n int) int {
	for l, e := range extents {
		if but[l] {
			continue
		}
		if e > 0 && n > math.MaxInt/e {
			return math.MaxInt
		}
		n *= e
	}
	return n
}

// Pairwise cuts a term into steps of one or two operands where that takes fewer multiplications, and returns the term itself where it
// does not. In[i] of a step is operand In[i] of t while it is less than len(t.In), and the result of step In[i] − len(t.In) otherwise.
// The last step computes t. A summed label that one operand alone has is summed there first; of the operands that are left those two
// are multiplied next whose product takes the fewest multiplications. solved is as for Work, by the operands' places in t.
func (t Term) Pairwise(solved []int) []Term {
	whole := t.Clone()
	for i := range whole.In {
		whole.In[i] = i
	}
	whole.Normalise()
	c := contraction{t: whole, solved: solved}
	for i := range whole.In {
		c.parts = append(c.parts, part{i, whole.Axes[i], whole.InOperand(i)})
	}
	for len(c.parts) > 1 {
		if i := c.lonely(); i >= 0 {
			c.step([]int{i}, false)
			continue
		}
		i, j := c.cheapest()
		c.step([]int{i, j}, len(c.parts) == 2)
	}
	total := 0
	for _, s := range c.steps {
		if w := s.Work(solved); total > math.MaxInt-w {
			total = math.MaxInt
		} else {
			total += w
		}
	}
	if len(c.steps) < 2 || total >= whole.Work(solved) {
		return []Term{whole}
	}
	return c.steps
}

// part is an operand of what is still to be multiplied, or the result of a step.
type part struct {
	id   int
	axes [][]int
	has  []bool // by label
}

type contraction struct {
	t      Term
	solved []int
	parts  []part
	steps  []Term
}

// needed says which labels the result has, or a part other than the given ones.
func (c *contraction) needed(but ...int) []bool {
	n := c.t.InOut()
parts:
	for i, p := range c.parts {
		for _, b := range but {
			if i == b {
				continue parts
			}
		}
		for l, has := range p.has {
			n[l] = n[l] || has
		}
	}
	return n
}

// lonely is a part with a summed label that no other has, -1 if there is none.
func (c *contraction) lonely() int {
	for i, p := range c.parts {
		needed := c.needed(i)
		for l, has := range p.has {
			if has && !needed[l] {
				return i
			}
		}
	}
	return -1
}

// cheapest returns the two parts whose product takes the fewest multiplications, the first of several.
func (c *contraction) cheapest() (int, int) {
	best, x, y := -1, 0, 1
	for i := range c.parts {
		for j := i + 1; j < len(c.parts); j++ {
			if cost := c.product(i, j).Work(c.solved); best < 0 || cost < best {
				best, x, y = cost, i, j
			}
		}
	}
	return x, y
}

// product is the product of parts, without a result yet: labels that none of them has get extent 1.
func (c *contraction) product(ks ...int) Term {
	s := Term{Coef: 1, ICoef: 1, Extents: make([]int, len(c.t.Extents))}
	for l, e := range c.t.Extents {
		s.Extents[l] = 1
		for _, k := range ks {
			if c.parts[k].has[l] {
				s.Extents[l] = e
			}
		}
	}
	for _, k := range ks {
		s.In, s.Axes = append(s.In, c.parts[k].id), append(s.Axes, c.parts[k].axes)
	}
	return s
}

// step multiplies parts and sums the labels that nothing else needs; the last step gives the term's result.
func (c *contraction) step(ks []int, last bool) {
	s := c.product(ks...)
	result := part{id: len(c.t.In) + len(c.steps), has: make([]bool, len(c.t.Extents))}
	needed := c.needed(ks...)
	for l, n := range needed {
		for _, k := range ks {
			result.has[l] = result.has[l] || n && c.parts[k].has[l]
		}
		if result.has[l] {
			result.axes = append(result.axes, []int{l})
		}
	}
	s.Out = result.axes
	if last {
		s.Coef, s.ICoef, s.Out, s.Extents = c.t.Coef, c.t.ICoef, c.t.Out, c.t.Extents // which may have labels that no operand has
	}
	s = s.Clone()
	s.renumber()
	c.steps = append(c.steps, s)
	for i := len(ks) - 1; i >= 0; i-- {
		c.parts = append(c.parts[:ks[i]:ks[i]], c.parts[ks[i]+1:]...)
	}
	c.parts = append(c.parts, result)
}
