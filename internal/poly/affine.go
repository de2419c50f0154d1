package poly

import "github.com/zkllmc/zkllmc/internal/field"

// A linear equation offset + Σ_a strides[a]·x_a = 0 between the indices of a box is a map of indices where one of the strides is ±1:
// a slice, a shift, padding, a window. The MLE of its indicator is evaluated without looking at a cell of the box.
//
// Written in bits the equation is an addition, and the sum over all indices of the box that solve it, weighted with eq(point, ·), is a walk
// of as many steps as the longest axis has bits. Step b chooses bit b of every index; the state is the carry (offset + Σ strides·x) / 2^b
// over the bits chosen so far, which must be an integer, and for every axis whose extent is no power of two, whether its lower bits are
// less than those of the extent. At the end the carry is 0 and every index is less than its extent.

// EvalAffine returns Σ eq(point, x) over the x of the box of the given shape with offset + Σ strides[a]·x_a = 0. Offset and strides are
// below 2^31 in absolute value; the cost is AffineWork multiplications.
func EvalAffine(offset int64, strides []int64, shape []int, point []Element) Element {
	w := newAffineWalk(offset, strides, shape)
	axes := splitPoint(w.size, shape, point)
	state := make([]Element, 1<<len(w.masked)) // per carry from w.lo on, per mask of the axes that are below their extents so far
	state[0] = field.One()
	for b := range w.bits {
		state = w.step(state, b, axes)
	}
	if w.lo > 0 || w.hi < 0 {
		return Element{}
	}
	return state[(-w.lo+1)<<len(w.masked)-1] // carry 0, all below
}

// AffineWork is the number of products that EvalAffine makes: (bits of the longest axis) · (about Σ |strides|) · 2^(axes and axes whose
// extent is no power of two).
func AffineWork(offset int64, strides []int64, shape []int) int64 {
	w := newAffineWalk(offset, strides, shape)
	total := int64(0)
	for b := range w.bits {
		total += (w.hi - w.lo + 1) << len(w.masked) << len(w.active(b))
		w.advance(b)
	}
	return total
}

// affineWalk is the walk at some step: carries lie in [lo, hi].
type affineWalk struct {
	strides []int64
	shape   []int
	bits    int
	size    int   // cells of the box
	masked  []int // the axes whose extent is no power of two
	lo, hi  int64
}

func newAffineWalk(offset int64, strides []int64, shape []int) *affineWalk {
	w := &affineWalk{strides: strides, shape: shape, size: 1, lo: offset, hi: offset}
	for a, d := range shape {
		w.bits = max(w.bits, Log2Ceil(d))
		w.size *= d
		if d&(d-1) != 0 {
			w.masked = append(w.masked, a)
		}
	}
	return w
}

// active lists the axes that have a bit b.
func (w *affineWalk) active(b int) (axes []int) {
	for a, d := range w.shape {
		if b < Log2Ceil(d) {
			axes = append(axes, a)
		}
	}
	return axes
}

// advance bounds the carries after step b.
func (w *affineWalk) advance(b int) {
	for _, a := range w.active(b) {
		w.lo += min(w.strides[a], 0)
		w.hi += max(w.strides[a], 0)
	}
	w.lo, w.hi = (w.lo+1)>>1, w.hi>>1
}

// choice is one way to choose the bits of a step: what it adds to the carry, its weight, and what it does to the masks.
type choice struct {
	sum        int64
	weight     Element
	keep, less int // mask after = mask&keep | less
}

// choices lists those of step b.
func (w *affineWalk) choices(b int, axes [][]Element) []choice {
	active := w.active(b)
	out := make([]choice, 1<<len(active))
	for c := range out {
		ch := choice{weight: field.One(), keep: 1<<len(w.masked) - 1}
		for i, a := range active {
			x := c >> i & 1
			p := axes[a][b]
			if x == 1 {
				ch.sum += w.strides[a]
			} else {
				one := field.One()
				p.Sub(&one, &p)
			}
			ch.weight.Mul(&ch.weight, &p)
			for k, m := range w.masked {
				if d := w.shape[a] >> b & 1; m == a && x != d {
					ch.keep &^= 1 << k
					ch.less |= d << k
				}
			}
		}
		out[c] = ch
	}
	return out
}

// step chooses bit b of all indices.
func (w *affineWalk) step(state []Element, b int, axes [][]Element) []Element {
	lo, masks := w.lo, 1<<len(w.masked)
	choices := w.choices(b, axes)
	w.advance(b)
	if b == w.bits-1 { // of the last carries 0 alone counts, and the others may be many
		w.lo, w.hi = max(w.lo, 0), min(w.hi, 0)
	}
	next := make([]Element, max(0, int(w.hi-w.lo+1))*masks)
	var t Element
	for i := range state {
		if state[i].IsZero() {
			continue
		}
		carry, mask := lo+int64(i/masks), i%masks
		for c := range choices {
			ch := &choices[c]
			if sum := carry + ch.sum; sum&1 == 0 && sum>>1 >= w.lo && sum>>1 <= w.hi {
				at := int(sum>>1-w.lo)*masks + (mask&ch.keep | ch.less)
				t.Mul(&state[i], &ch.weight)
				next[at].Add(&next[at], &t)
			}
		}
	}
	return next
}

// AffineCells writes the indicator itself, row-major: 1 where offset + Σ strides[a]·x_a = 0.
func AffineCells(offset int64, strides []int64, shape []int) []int64 {
	n := 1
	for _, d := range shape {
		n *= d
	}
	out := make([]int64, n)
	if n == 0 {
		return out
	}
	x := make([]int, len(shape))
	sum := offset
	for i := range out {
		if sum == 0 {
			out[i] = 1
		}
		for a := len(shape) - 1; a >= 0; a-- { // the next index
			x[a]++
			sum += strides[a]
			if x[a] < shape[a] {
				break
			}
			sum -= strides[a] * int64(shape[a])
			x[a] = 0
		}
	}
	return out
}

// AffineLower says whether no solution has an index on axis col that is greater than that on axis row, two different axes. For every choice
// of the other indices the one on axis col is solved for, so that it takes as many steps as the box has cells for one index on that axis.
func AffineLower(offset int64, strides []int64, shape []int, row, col int) bool {
	rest := append([]int(nil), shape...)
	rest[col] = 1
	n := 1
	for _, d := range rest {
		n *= d
	}
	for i := range n {
		sum, at, r := offset, i, 0
		for axis := len(rest) - 1; axis >= 0; axis-- {
			x := at % rest[axis]
			at /= rest[axis]
			sum += strides[axis] * int64(x)
			if axis == row {
				r = x
			}
		}
		switch s := strides[col]; {
		case s == 0:
			if sum == 0 && shape[col]-1 > r {
				return false
			}
		case sum%s == 0:
			if c := -(sum / s); c > int64(r) && c < int64(shape[col]) {
				return false
			}
		}
	}
	return true
}
