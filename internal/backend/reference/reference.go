// Package reference is the definition of backend.Backend: naive, single-threaded, written to be read next to the interfaces'
// doc comments. Every other backend must return the same bytes; the conformance suite compares them with this one.
package reference

import (
	"context"
	"fmt"
	"math/big"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// definition has no state, and neither have its sessions: everything is recomputed from the arguments.
type definition struct{}

// New returns the reference backend.
func New() backend.Backend { return definition{} }

func (definition) Open() (backend.Session, error) { return definition{}, nil }

// Load keeps the tensor where it is.
func (definition) Load(t *integer.Tensor) backend.Tensor { return t }

func (definition) Close() error { return nil }

func (definition) Begin(ctx context.Context) backend.Run { return &run{ctx: ctx} }

// run holds its vectors in the caller's memory.
type run struct {
	ctx context.Context
	err error
}

// vector is a backend.Vector.
type vector []field.Element

func (v vector) Elements() int { return len(v) }

// values are those of a vector.
func values(v backend.Vector) []field.Element { return v.(vector) }

// cells are those of a tensor.
func cells(t backend.Tensor) []int64 { return t.(*integer.Tensor).All() }

func (r *run) Err() error {
	r.fail(r.ctx.Err())
	return r.err
}

// fail records an error unless there is one.
func (r *run) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (*run) Close() {}

func (*run) Load(t *integer.Tensor) backend.Tensor { return t }

func (*run) Vector(vals []field.Element) backend.Vector {
	return vector(append([]field.Element(nil), vals...))
}

func (*run) Values(v backend.Vector) []field.Element {
	return append([]field.Element(nil), values(v)...)
}

func (*run) Free(...backend.Vector) {}

// CommitRows commits every row cell by cell.
func (r *run) CommitRows(gens []group.Affine, rows []backend.Row) []group.Affine {
	out := make([]group.Affine, len(rows))
	for i, row := range rows {
		cells := columns(row, len(gens))
		scalars := make([]field.Element, len(gens))
		for j, c := range cells {
			if c != int64(int32(c)) {
				r.fail(fmt.Errorf("row %d: value %d does not fit 32 bits", i, c))
			}
			scalars[j] = fromInt(c)
		}
		out[i] = msm(gens, scalars)
	}
	return out
}

// columns writes a row out.
func columns(row backend.Row, width int) []int64 {
	out := make([]int64, width)
	for _, box := range row {
		all := cells(box.T)
		forEachCell(box.Shape, func(cell int, idx []int) { out[box.Column+paddedIndex(box.Shape, idx)] = all[box.From+cell] })
	}
	return out
}

func (*run) MSM(bases backend.Bases, scalars []field.Element) group.Affine {
	return msm(generators(bases, len(scalars)), scalars)
}

// generators writes bases out, the first n of them.
func generators(bases backend.Bases, n int) []group.Affine {
	out := make([]group.Affine, n)
	for _, g := range bases {
		copy(out[g.At:], g.Points)
	}
	return out
}

// msm adds up one scalar multiple after the other.
func msm(points []group.Affine, scalars []field.Element) group.Affine {
	var sum group.Affine
	for i := range points {
		term := scale(&points[i], &scalars[i])
		sum.Add(&sum, &term)
	}
	return sum
}

// EvalMany binds the variables of every padded tensor one by one.
func (*run) EvalMany(evals []backend.Eval) []field.Element {
	out := make([]field.Element, len(evals))
	for i, e := range evals {
		t := e.T.(*integer.Tensor)
		vals := pad(t)
		if len(vals) != 1<<len(e.Point) {
			panic(fmt.Sprintf("reference: a point of %d coordinates for shape %v", len(e.Point), t.Shape))
		}
		for _, r := range e.Point {
			vals = bindLowest(vals, r)
		}
		out[i] = vals[0]
	}
	return out
}

func (*run) Partials(partials []backend.Partial) []backend.Vector {
	out := make([]backend.Vector, len(partials))
	for i, p := range partials {
		out[i] = partial(p)
	}
	return out
}

// partial multiplies every cell by its weights and adds it where its variable labels point.
func partial(p backend.Partial) vector {
	shape, weights := make([]int, len(p.Labels)), make([][]field.Element, len(p.Labels))
	for i, l := range p.Labels {
		shape[i], weights[i] = l.Extent, eqTable(l.Point)
	}
	out := make(vector, 1<<p.Bits)
	all := cells(p.T)
	forEachCell(shape, func(cell int, idx []int) {
		term, target := fromInt(all[cell]), 0
		for i, l := range p.Labels {
			switch {
			case l.Var >= 0:
				target |= idx[i] << l.Var
			case l.Point != nil:
				term.Mul(&term, &weights[i][idx[i]])
			}
		}
		out[target].Add(&out[target], &term)
	})
	return out
}

// FoldRows adds up the scaled rows.
func (*run) FoldRows(sums []backend.RowSum, width int) []backend.Vector {
	out := make([]backend.Vector, len(sums))
	for k, sum := range sums {
		v := make(vector, width)
		for i, row := range sum.Rows {
			for j, c := range columns(row, width) {
				term := fromInt(c)
				term.Mul(&term, &sum.Coefs[i])
				v[j].Add(&v[j], &term)
			}
		}
		out[k] = v
	}
	return out
}

// Tables adds the weights of every index of a box to where it stands.
func (*run) Tables(tables []backend.Table) []backend.Vector {
	out := make([]backend.Vector, len(tables))
	for k, table := range tables {
		v := make(vector, 1<<table.Bits)
		for _, w := range table.Terms {
			shape, weights := make([]int, len(w.Axes)), make([][]field.Element, len(w.Axes))
			for a, axis := range w.Axes {
				shape[len(shape)-1-a], weights[a] = axis.Extent, eqTable(axis.Point) // the last axis of a shape is the lowest
			}
			forEachCell(shape, func(_ int, idx []int) {
				term, at := w.Scale, 0
				for a := len(w.Axes) - 1; a >= 0; a-- {
					i := idx[len(idx)-1-a]
					at = at<<len(w.Axes[a].Point) | i
					term.Mul(&term, &weights[a][i])
				}
				at += w.Offset
				v[at].Add(&v[at], &term)
			})
		}
		out[k] = v
	}
	return out
}

// Combine adds up the scaled vectors.
func (*run) Combine(vecs []backend.Vector, coefs []field.Element) backend.Vector {
	out := make(vector, vecs[0].Elements())
	for i := range vecs {
		for j, x := range values(vecs[i]) {
			var term field.Element
			out[j].Add(&out[j], term.Mul(&x, &coefs[i]))
		}
	}
	return out
}

// fromInt maps an integer into the field.
func fromInt(v int64) field.Element {
	var e field.Element
	e.SetInt64(v)
	return e
}

// scale returns s·p.
func scale(p *group.Affine, s *field.Element) group.Affine {
	var k big.Int
	var out group.Affine
	out.ScalarMultiplication(p, s.BigInt(&k))
	return out
}

// bindLowest fixes the lowest variable of an MLE to r.
func bindLowest(vals []field.Element, r field.Element) []field.Element {
	out := make([]field.Element, len(vals)/2)
	for i := range out {
		out[i] = between(&vals[2*i], &vals[2*i+1], &r)
	}
	return out
}

// between returns lo + x·(hi−lo), the line through lo at 0 and hi at 1.
func between(lo, hi, x *field.Element) field.Element {
	var d field.Element
	d.Sub(hi, lo)
	d.Mul(&d, x)
	d.Add(&d, lo)
	return d
}

// eqTable returns eq(s, x) for all x, the lowest variable first.
func eqTable(s []field.Element) []field.Element {
	var one field.Element
	one.SetOne()
	out := []field.Element{one}
	for _, r := range s {
		next := make([]field.Element, 2*len(out))
		for i := range out {
			next[i+len(out)].Mul(&out[i], &r)
			next[i].Sub(&out[i], &next[i+len(out)])
		}
		out = next
	}
	return out
}

// pad writes a tensor into the table of its MLE: every axis filled with zeros to a power of two.
func pad(t *integer.Tensor) []field.Element {
	size := 1
	for _, d := range t.Shape {
		size <<= log2(d)
	}
	out := make([]field.Element, size)
	all := t.All()
	forEachCell(t.Shape, func(cell int, idx []int) { out[paddedIndex(t.Shape, idx)] = fromInt(all[cell]) })
	return out
}

// paddedIndex is the row-major index of a cell in the box whose axes are filled to powers of two.
func paddedIndex(shape, idx []int) int {
	p := 0
	for i, d := range shape {
		p = p<<log2(d) | idx[i]
	}
	return p
}

// log2 returns ⌈log2 d⌉.
func log2(d int) int {
	n := 0
	for 1<<n < d {
		n++
	}
	return n
}

// forEachCell visits the cells of a box in row-major order.
func forEachCell(shape []int, visit func(cell int, idx []int)) {
	size := 1
	for _, d := range shape {
		size *= d
	}
	idx := make([]int, len(shape))
	for cell := 0; cell < size; cell++ {
		visit(cell, idx)
		for a := len(shape) - 1; a >= 0; a-- {
			if idx[a]++; idx[a] < shape[a] {
				break
			}
			idx[a] = 0
		}
	}
}
