package commit

import (
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/poly"
)

// Claim says that the MLE of a committed tensor has the value Value at Point.
type Claim struct {
	T     circuit.ID
	Point []field.Element
}

// part is one summand of a claim: Σ_i coefs[i]·⟨row rows[i], E⟩ with the column weights E of cols.
type part struct {
	rows  []int
	coefs []field.Element
	cols  columns
}

// columns is a weight vector over the columns of a row: zero outside the box of axes at offset, and there the product over the
// axes of eq(point, index). Its MLE is cheap: see at.
type columns struct {
	bits   int // of the row
	offset int
	used   int // bits the axes take
	axes   []axis
}

// axis is one axis, or the column part of the straddling axis, lowest first: cells 0..d-1 of 2^len(point).
type axis struct {
	point []field.Element
	d     int
}

// parts splits a claim into at most two parts: full rows and tail rows.
func (l *Layout) parts(shape []int, cl Claim) []part {
	p := &l.places[cl.T]
	if p.packed {
		one := field.FromInt64(1)
		return []part{{rows: []int{p.first}, coefs: []field.Element{one}, cols: columns{
			bits: l.Bits, offset: p.offset, used: p.bits, axes: axesOf(shape, cl.Point, len(shape)),
		}}}
	}
	s := split(shape, l.Bits)
	var full, tail part
	eq := poly.Eq(cl.Point[l.Bits:])
	for i, h := range p.high {
		to := &full
		if p.tail[i] {
			to = &tail
		}
		to.rows = append(to.rows, p.first+i)
		to.coefs = append(to.coefs, eq[h])
	}
	inner := axesOf(shape[s.axis+1:], cl.Point, len(shape)-s.axis-1)
	low := cl.Point[l.Bits-s.low : l.Bits]
	var out []part
	for _, q := range []struct {
		part
		d int
	}{{full, 1 << s.low}, {tail, shape[s.axis] & (1<<s.low - 1)}} {
		if len(q.rows) > 0 {
			q.cols = columns{bits: l.Bits, used: l.Bits, axes: append(append([]axis(nil), inner...), axis{low, q.d})}
			out = append(out, q.part)
		}
	}
	return out
}

// axesOf cuts a point into the segments of the last n axes of a shape, lowest first.
func axesOf(shape []int, point []field.Element, n int) []axis {
	var out []axis
	at := 0
	for a := len(shape) - 1; a >= len(shape)-n; a-- {
		b := circuit.Bits(shape[a])
		out = append(out, axis{point: point[at : at+b], d: shape[a]})
		at += b
	}
	return out
}

// evaluator evaluates the MLEs of column weights at a point of the columns' cube. What it keeps are the sums over axes: the claims of a
// proof are about many tensors of few shapes, at few points that they share.
type evaluator struct {
	point []field.Element
	pairs map[pair]field.Element
}

// pair names the sum over an axis: its point, by where that lies in memory, which nobody changes, its extent, and its lowest column bit.
type pair struct {
	point    *field.Element
	n, d, lo int
}

func newEvaluator(point []field.Element) *evaluator {
	return &evaluator{point: point, pairs: map[pair]field.Element{}}
}

// at evaluates column weights in O(bits): eq(point_hi, offset) · Π_axes Σ_{i<d} eq(axis, i)·eq(point_axis, i).
func (e *evaluator) at(c *columns) field.Element {
	v := poly.EqIndex(e.point[c.used:], uint64(c.offset>>c.used))
	lo := 0
	for _, a := range c.axes {
		w := e.axis(a, lo)
		v.Mul(&v, &w)
		lo += len(a.point)
	}
	return v
}

// axis is Σ_{i<d} eq(axis, i)·eq(point_axis, i) for an axis in the columns' bits from lo on.
func (e *evaluator) axis(a axis, lo int) field.Element {
	if len(a.point) == 0 {
		return poly.ValidPair(nil, nil, a.d)
	}
	k := pair{point: &a.point[0], n: len(a.point), d: a.d, lo: lo}
	v, ok := e.pairs[k]
	if !ok {
		v = poly.ValidPair(a.point, e.point[lo:lo+len(a.point)], a.d)
		e.pairs[k] = v
	}
	return v
}

// key identifies equal column weights.
func (c *columns) key() string {
	b := []byte{byte(c.used), byte(len(c.axes))}
	b = appendInt(b, c.offset)
	for _, a := range c.axes {
		b = appendInt(b, a.d)
		b = append(b, byte(len(a.point)))
		for i := range a.point {
			b = field.Encode(b, &a.point[i])
		}
	}
	return string(b)
}

func appendInt(b []byte, v int) []byte {
	return append(b, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}
