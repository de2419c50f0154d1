package ir

// The functions of this file are the algebra of Einsum terms: every linear rewriting of the compiler is a composition of terms.
// They take and return terms by value and share no slices with their arguments.

// Clone returns a deep copy.
func (t Term) Clone() Term {
	c := t
	c.Extents = append([]int(nil), t.Extents...)
	c.In = append([]int(nil), t.In...)
	c.Axes = make([][][]int, len(t.Axes))
	for i, axes := range t.Axes {
		c.Axes[i] = cloneAxes(axes)
	}
	c.Out = cloneAxes(t.Out)
	return c
}

func cloneAxes(axes [][]int) [][]int {
	out := make([][]int, len(axes))
	for i, a := range axes {
		out[i] = append([]int(nil), a...)
	}
	return out
}

// InOut reports for every label whether the result has it.
func (t Term) InOut() []bool { return t.mark(t.Out) }

// InOperand reports for every label whether operand i has it.
func (t Term) InOperand(i int) []bool { return t.mark(t.Axes[i]) }

func (t Term) mark(axes [][]int) []bool {
	m := make([]bool, len(t.Extents))
	for _, a := range axes {
		for _, l := range a {
			m[l] = true
		}
	}
	return m
}

// AxisExtent is the product of the extents of the labels of one axis.
func (t Term) AxisExtent(axis []int) int {
	n := 1
	for _, l := range axis {
		n *= t.Extents[l]
	}
	return n
}

// Split replaces a label by two, the less significant of extent lo, wherever it occurs. lo must divide the label's extent. The
// label keeps its number for the more significant half; the number of the other half is returned.
func (t *Term) Split(label, lo int) int {
	t.Extents[label] /= lo
	t.Extents = append(t.Extents, lo)
	fresh := len(t.Extents) - 1
	each := func(axes [][]int) {
		for i, a := range axes {
			for j, l := range a {
				if l == label {
					axes[i] = append(append(append([]int(nil), a[:j+1]...), fresh), a[j+1:]...)
					break
				}
			}
		}
	}
	for _, axes := range t.Axes {
		each(axes)
	}
	each(t.Out)
	return fresh
}

// Compose replaces operand k of a term by the term that computes it: Σ outer·(Σ inner) as one term. It fails (false) where the
// two terms cut an axis of the common tensor at places that no common factorisation has, like an axis of 6 as 2·3 and as 3·2.
func Compose(outer Term, k int, inner Term) (Term, bool) {
	o, in := outer.Clone(), inner.Clone()
	if len(o.Axes[k]) != len(in.Out) {
		return Term{}, false
	}
	for a := range in.Out {
		if !align(&o, &in, k, a) {
			return Term{}, false
		}
	}
	to := make([]int, len(in.Extents)) // labels of inner as labels of the result
	for i := range to {
		to[i] = -1
	}
	for a := range in.Out {
		for j, l := range in.Out[a] {
			if to[l] >= 0 {
				return Term{}, false // the inner result has the label twice (a diagonal)
			}
			to[l] = o.Axes[k][a][j]
		}
	}
	for l, e := range in.Extents {
		if to[l] < 0 {
			to[l] = len(o.Extents)
			o.Extents = append(o.Extents, e)
		}
	}
	for _, axes := range in.Axes {
		for _, a := range axes {
			for j := range a {
				a[j] = to[a[j]]
			}
		}
	}
	r := Term{Coef: float64(o.Coef * in.Coef), ICoef: o.ICoef * in.ICoef, Extents: o.Extents, Out: o.Out}
	r.In = append(append(append([]int{}, o.In[:k]...), in.In...), o.In[k+1:]...)
	r.Axes = append(append(append([][][]int{}, o.Axes[:k]...), in.Axes...), o.Axes[k+1:]...)
	r.Normalise()
	return r, true
}

// align refines axis a of operand k of o and axis a of the result of in until both list labels of the same extents.
func align(o, in *Term, k, a int) bool {
	for p := 1; ; p++ {
		x, y := o.Axes[k][a], in.Out[a]
		// Extents of 1 at the end of one list only are harmless: Normalise has removed them.
		if p > len(x) && p > len(y) {
			return true
		}
		if p > len(x) || p > len(y) {
			return false
		}
		lx, ly := x[len(x)-p], y[len(y)-p]
		ex, ey := o.Extents[lx], in.Extents[ly]
		switch {
		case ex == ey:
		case ex > ey && ex%ey == 0:
			o.Split(lx, ey)
		case ey > ex && ey%ex == 0:
			in.Split(ly, ex)
		default:
			return false
		}
	}
}

// Normalise brings a term into its canonical form: no labels of extent 1, no labels without a use (a summed one multiplies the
// coefficient), adjacent labels that always occur together merged into one, labels numbered by their first occurrence in the
// result and then in the operands.
func (t *Term) Normalise() {
	t.dropTrivial()
	for t.merge() {
	}
	t.renumber()
}

func (t *Term) dropTrivial() {
	drop := func(axes [][]int) {
		for i, a := range axes {
			kept := a[:0:0]
			for _, l := range a {
				if t.Extents[l] != 1 {
					kept = append(kept, l)
				}
			}
			axes[i] = kept
		}
	}
	for _, axes := range t.Axes {
		drop(axes)
	}
	drop(t.Out)
	used := t.mark(t.Out)
	for i := range t.Axes {
		for l, ok := range t.InOperand(i) {
			used[l] = used[l] || ok
		}
	}
	for l, ok := range used {
		if !ok {
			t.Coef = float64(t.Coef * float64(t.Extents[l]))
			t.ICoef *= int64(t.Extents[l])
			t.Extents[l] = 1
		}
	}
}

// merge joins one pair of labels that always occur side by side, and says whether there was one.
func (t *Term) merge() bool {
	next := make([]int, len(t.Extents)) // the label that follows, -1: none or different ones, -2: not seen
	prev := make([]int, len(t.Extents))
	for i := range next {
		next[i], prev[i] = -2, -2
	}
	note := func(m []int, l, other int) {
		if m[l] == -2 {
			m[l] = other
		} else if m[l] != other {
			m[l] = -1
		}
	}
	each := func(axes [][]int) {
		for _, a := range axes {
			for j, l := range a {
				n, p := -1, -1
				if j+1 < len(a) {
					n = a[j+1]
				}
				if j > 0 {
					p = a[j-1]
				}
				note(next, l, n)
				note(prev, l, p)
			}
		}
	}
	for _, axes := range t.Axes {
		each(axes)
	}
	each(t.Out)
	for l, n := range next {
		if n >= 0 && prev[n] == l {
			t.Extents[l] *= t.Extents[n]
			t.remove(n)
			return true
		}
	}
	return false
}

func (t *Term) remove(label int) {
	each := func(axes [][]int) {
		for i, a := range axes {
			for j, l := range a {
				if l == label {
					axes[i] = append(append([]int(nil), a[:j]...), a[j+1:]...)
					break
				}
			}
		}
	}
	for _, axes := range t.Axes {
		each(axes)
	}
	each(t.Out)
	t.Extents[label] = 1
}

func (t *Term) renumber() {
	to := make([]int, len(t.Extents))
	for i := range to {
		to[i] = -1
	}
	var ext []int
	each := func(axes [][]int) {
		for _, a := range axes {
			for j, l := range a {
				if to[l] < 0 {
					to[l] = len(ext)
					ext = append(ext, t.Extents[l])
				}
				a[j] = to[l]
			}
		}
	}
	each(t.Out)
	for _, axes := range t.Axes {
		each(axes)
	}
	t.Extents = ext
}

// IdentityAxes returns one fresh label per axis of extent > 1 of a shape, numbered from 0, and the labels' extents.
func IdentityAxes(shape []int) (axes [][]int, extents []int) {
	axes = make([][]int, len(shape))
	for i, d := range shape {
		axes[i] = []int{}
		if d != 1 {
			axes[i] = append(axes[i], len(extents))
			extents = append(extents, d)
		}
	}
	return axes, extents
}

// Free returns the terms of an Einsum node with In naming values instead of inputs of the node: In[i] is a ValueID. Terms are
// rewritten in this form, because composing them changes the node's inputs.
func Free(n *Node) []Term {
	e := n.Attr.(*EinsumAttr)
	out := make([]Term, len(e.Terms))
	for i, t := range e.Terms {
		out[i] = t.Clone()
		for j, k := range t.In {
			out[i].In[j] = int(n.In[k])
		}
	}
	return out
}

// Bind is the inverse of Free: it collects the values that the terms name, in order of first use.
func Bind(terms []Term) ([]ValueID, *EinsumAttr) {
	var in []ValueID
	e := &EinsumAttr{}
	for _, t := range terms {
		c := t.Clone()
		for j, id := range c.In {
			k := 0
			for k < len(in) && in[k] != ValueID(id) {
				k++
			}
			if k == len(in) {
				in = append(in, ValueID(id))
			}
			c.In[j] = k
		}
		e.Terms = append(e.Terms, c)
	}
	return in, e
}

// Reshape returns the term that views a value of one shape in another one of as many cells, keeping the row-major order. It
// fails where the shapes have no common factorisation, like [2,3] and [3,2].
func Reshape(id int, from, to []int) (Term, bool) {
	t := Term{Coef: 1, ICoef: 1, In: []int{id}, Axes: [][][]int{make([][]int, len(from))}, Out: make([][]int, len(to))}
	if Size(from) != Size(to) || Size(to) == 0 {
		return Term{}, false
	}
	i, j := len(from)-1, len(to)-1
	x, y := 1, 1 // what is left of the current axes
	for i >= 0 || j >= 0 || x > 1 || y > 1 {
		for x == 1 && i >= 0 {
			x, i = from[i], i-1
		}
		for y == 1 && j >= 0 {
			y, j = to[j], j-1
		}
		if x == 1 && y == 1 {
			break
		}
		m := min(x, y)
		if max(x, y)%m != 0 {
			return Term{}, false
		}
		l := len(t.Extents)
		t.Extents = append(t.Extents, m)
		t.Axes[0][i+1] = append([]int{l}, t.Axes[0][i+1]...)
		t.Out[j+1] = append([]int{l}, t.Out[j+1]...)
		x, y = x/m, y/m
	}
	t.Normalise()
	return t, true
}
