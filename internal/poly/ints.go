package poly

import (
	"github.com/zkllmc/zkllmc/internal/field"
)

// innerBits bounds the table of the innermost variables: one table of this size is shared by all pieces of the tensor.
const innerBits = 11

// EvalInts returns the MLE of an integer tensor at a point. vals is row-major without padding; |vals[i]| < 2^63. The number of
// values is the product of the shape, the length of the point the sum of the axes' variables; anything else is a
// programming error and panics.
func EvalInts(vals []int64, shape []int, point []Element) Element {
	axes := splitPoint(len(vals), shape, point)
	if len(vals) == 0 {
		return Element{}
	}
	p := newPieces(shape, axes)
	parts := make([]Element, (len(p.weight)+p.batch-1)/p.batch)
	eval := func(b int) { parts[b] = p.sum(vals, b*p.batch, min((b+1)*p.batch, len(p.weight))) }
	if len(vals) < 1<<13 {
		for b := range parts {
			eval(b)
		}
	} else {
		all.Run(len(parts), func(_, b int) { eval(b) })
	}
	var sum Element
	for i := range parts {
		sum.Add(&sum, &parts[i])
	}
	return sum
}

// splitPoint cuts the point into the axes' parts and checks the sizes.
func splitPoint(n int, shape []int, point []Element) [][]Element {
	axes := make([][]Element, len(shape))
	size, at := 1, 0
	for i := len(shape) - 1; i >= 0; i-- {
		k := Log2Ceil(shape[i])
		if at+k > len(point) {
			panic("poly: point too short for the shape")
		}
		axes[i] = point[at : at+k]
		at += k
		size *= shape[i]
	}
	if at != len(point) || size != n {
		panic("poly: shape, point and values do not match")
	}
	return axes
}

// pieces cuts a tensor into runs of equal inner weights: run r covers the cells start(r), …, of length at most len(inner), and
// contributes weight[r]·⟨cells, inner⟩.
type pieces struct {
	inner  []Element
	weight []Element
	row    int // cells between two starts of the last axis' chunks
	per    int // runs per row
	batch  int // runs that one task takes
}

func newPieces(shape []int, axes [][]Element) *pieces {
	p := &pieces{inner: []Element{field.One()}, row: 1, per: 1}
	k := len(shape)
	for k > 0 && p.row*shape[k-1] <= 1<<innerBits {
		k--
		p.inner = outer(Eq(axes[k])[:shape[k]], p.inner)
		p.row *= shape[k]
	}
	p.weight = []Element{field.One()}
	if k > 0 && len(p.inner) <= 1<<(innerBits-5) {
		// The next axis is long and what lies below it short: cut it into runs of a power of two.
		k--
		cut := Log2Ceil(1<<innerBits/p.row+1) - 1
		p.inner = outer(Eq(axes[k][:cut]), p.inner)
		p.per = (shape[k] + 1<<cut - 1) >> cut
		p.weight = Eq(axes[k][cut:])[:p.per]
		p.row *= shape[k]
	}
	for k--; k >= 0; k-- {
		p.weight = outer(Eq(axes[k])[:shape[k]], p.weight)
	}
	p.batch = max(1, 1<<13/len(p.inner))
	return p
}

// outer returns the table of a[i]·b[j], j lowest.
func outer(a, b []Element) []Element {
	if len(b) == 1 && b[0].IsOne() {
		return a
	}
	out := make([]Element, 0, len(a)*len(b))
	for i := range a {
		run := field.Vector(out[len(out) : len(out)+len(b)])
		run.ScalarMul(b, &a[i])
		out = out[:len(out)+len(b)]
	}
	return out
}

// sum returns Σ_{lo≤r<hi} weight[r]·⟨run r, inner⟩.
func (p *pieces) sum(vals []int64, lo, hi int) Element {
	var sum, t Element
	for r := lo; r < hi; r++ {
		start := r/p.per*p.row + r%p.per*len(p.inner)
		end := min(start+len(p.inner), (r/p.per+1)*p.row)
		t = field.DotInt64(vals[start:end], p.inner[:end-start])
		t.Mul(&t, &p.weight[r])
		sum.Add(&sum, &t)
	}
	return sum
}
