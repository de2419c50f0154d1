// Package reference is the definition of backend.Backend: naive, single-threaded, written to be read next to the interfaces'
// doc comments. Every other backend must return the same bytes; the conformance suite compares them with this one.
package reference

import (
	"fmt"
	"math/big"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// definition has no state: everything is recomputed from the arguments.
type definition struct{}

// New returns the reference backend.
func New() backend.Backend { return definition{} }

// CommitRows commits every row cell by cell.
func (b definition) CommitRows(gens []group.Affine, rows []backend.Row) ([]group.Affine, error) {
	out := make([]group.Affine, len(rows))
	for i, row := range rows {
		cells := columns(row, len(gens))
		scalars := make([]field.Element, len(gens))
		for j, c := range cells {
			if c != int64(int32(c)) {
				return nil, fmt.Errorf("row %d: value %d does not fit 32 bits", i, c)
			}
			scalars[j] = fromInt(c)
		}
		out[i] = b.MSM(gens, scalars)
	}
	return out, nil
}

// columns writes a row out.
func columns(row backend.Row, width int) []int64 {
	out := make([]int64, width)
	for _, box := range row {
		all := box.T.All()
		forEachCell(box.Shape, func(cell int, idx []int) { out[box.Column+paddedIndex(box.Shape, idx)] = all[box.From+cell] })
	}
	return out
}

// MSM adds up one scalar multiple after the other.
func (definition) MSM(points []group.Affine, scalars []field.Element) group.Affine {
	if len(points) != len(scalars) {
		panic(fmt.Sprintf("reference: MSM of %d points and %d scalars", len(points), len(scalars)))
	}
	var sum group.Affine
	for i := range points {
		term := scale(&points[i], &scalars[i])
		sum.Add(&sum, &term)
	}
	return sum
}

// EvalMany binds the variables of every padded tensor one by one.
func (definition) EvalMany(evals []backend.Eval) []field.Element {
	out := make([]field.Element, len(evals))
	for i, e := range evals {
		vals := pad(e.T)
		if len(vals) != 1<<len(e.Point) {
			panic(fmt.Sprintf("reference: a point of %d coordinates for shape %v", len(e.Point), e.T.Shape))
		}
		for _, r := range e.Point {
			vals = bindLowest(vals, r)
		}
		out[i] = vals[0]
	}
	return out
}

// Partial multiplies every cell by its weights and adds it where its variable labels point.
func (definition) Partial(t *integer.Tensor, labels []backend.Weights, bits int) []field.Element {
	shape := make([]int, len(labels))
	for i, l := range labels {
		shape[i] = l.Extent
	}
	out := make([]field.Element, 1<<bits)
	cells := t.All()
	forEachCell(shape, func(cell int, idx []int) {
		term, target := fromInt(cells[cell]), 0
		for i, l := range labels {
			switch {
			case l.Var >= 0:
				target |= idx[i] << l.Var
			case l.Fold != nil:
				term.Mul(&term, &l.Fold[idx[i]])
			}
		}
		out[target].Add(&out[target], &term)
	})
	return out
}

// FoldRows adds up the scaled rows.
func (definition) FoldRows(sums []backend.RowSum, width int) [][]field.Element {
	out := make([][]field.Element, len(sums))
	for k, sum := range sums {
		out[k] = make([]field.Element, width)
		for i, row := range sum.Rows {
			for j, c := range columns(row, width) {
				term := fromInt(c)
				term.Mul(&term, &sum.Coefs[i])
				out[k][j].Add(&out[k][j], &term)
			}
		}
	}
	return out
}

// Combine adds up the scaled vectors.
func (definition) Combine(vecs [][]field.Element, coef []field.Element) []field.Element {
	var out []field.Element
	for i, v := range vecs {
		if out == nil {
			out = make([]field.Element, len(v))
		}
		for j := range out {
			var term field.Element
			out[j].Add(&out[j], term.Mul(&v[j], &coef[i]))
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
	cells := t.All()
	forEachCell(t.Shape, func(cell int, idx []int) { out[paddedIndex(t.Shape, idx)] = fromInt(cells[cell]) })
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
