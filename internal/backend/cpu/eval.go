package cpu

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// evaluation is one Eval: the cells in runs, each folded with the same weights over the lower axes, the results with high.
type evaluation struct {
	t         *integer.Tensor
	low, high *axisTable
	sums      vec // one per run
}

// axisTable is the product of eq tables over a group of neighbouring axes, restricted to the box: one weight per cell.
type axisTable struct {
	shape []int
	point []field.Element
	vals  vec
	w     weights
	low   bool // used on integers
}

// EvalMany folds the lower axes of all tensors by integer inner products, and what is left by field inner products. Tables are
// shared between evaluations at the same point.
func (b *run) EvalMany(evals []backend.Eval) []field.Element {
	tables := map[string]*axisTable{}
	var order []*axisTable
	intern := func(shape []int, point []field.Element, low bool) *axisTable {
		key := tableKey(shape, point, low)
		if tables[key] == nil {
			tables[key] = &axisTable{shape: shape, point: point, low: low}
			order = append(order, tables[key])
		}
		return tables[key]
	}
	jobs := make([]evaluation, len(evals))
	for i, e := range evals {
		t := ints(e.T)
		shape := inTiles(t.Shape)
		cut, bits := lowAxes(shape)
		if len(e.Point) < bits || size(shape) != t.Len() {
			panic(fmt.Sprintf("cpu: %d cells of shape %v at a point of %d coordinates", t.Len(), t.Shape, len(e.Point)))
		}
		low, high := intern(shape[cut:], e.Point[:bits], true), intern(shape[:cut], e.Point[bits:], false)
		jobs[i] = evaluation{t: t, low: low, high: high}
	}
	b.pool.run(len(order), func(_, i int) { order[i].build() })
	return b.evaluate(jobs)
}

// inTiles is a shape whose lowest axis, if it is long and so many tiles, is two: weights of its indices are products, and need no table.
func inTiles(shape []int) []int {
	last := len(shape) - 1
	if last < 0 || shape[last] <= longAxis || shape[last]%tile != 0 {
		return shape
	}
	return append(slices.Clone(shape[:last]), shape[last]/tile, tile)
}

// longAxis is how many weights a table of a lower group has at the most, if one axis alone has no more.
const longAxis = 16 * tile

// lowAxes returns the first axis of the lower group and the number of its variables: as many axes as make runs of a good length,
// while the table of weights stays small.
func lowAxes(shape []int) (cut, bits int) {
	cells := 1
	for cut = len(shape); cut > 0; cut-- {
		d := shape[cut-1]
		if cells >= tile && cells*d > longAxis {
			break
		}
		cells, bits = cells*d, bits+log2(d)
	}
	return cut, bits
}

// tableKey identifies a table by content.
func tableKey(shape []int, point []field.Element, low bool) string {
	key := fmt.Appendf(nil, "%v%v", shape, low)
	for i := range point {
		for _, limb := range point[i] {
			key = binary.LittleEndian.AppendUint64(key, limb)
		}
	}
	return string(key)
}

// build computes the weights, from the lowest axis up.
func (t *axisTable) build() {
	t.vals = vec{one()}
	from := 0
	for a := len(t.shape) - 1; a >= 0; a-- {
		d := t.shape[a]
		eq := eqTable(t.point[from : from+log2(d)])
		from += log2(d)
		if len(t.vals) == 1 { // the lowest axis, and those of one index below
			t.vals = eq[:d]
			continue
		}
		next := make(vec, d*len(t.vals))
		for i := range d {
			scaleVec(next[i*len(t.vals):(i+1)*len(t.vals)], t.vals, &eq[i])
		}
		t.vals = next
	}
	if t.low {
		t.w = newWeights(t.vals)
	}
}

// evaluate runs the integer parts of all jobs in pieces of similar size, then the rest.
func (b *run) evaluate(jobs []evaluation) []field.Element {
	type piece struct{ job, lo, hi int }
	var pieces []piece
	for i := range jobs {
		j := &jobs[i]
		runs, step := len(j.high.vals), max(1, taskCells/len(j.low.vals))
		j.sums = make(vec, runs)
		for lo := 0; lo < runs; lo += step {
			pieces = append(pieces, piece{i, lo, min(runs, lo+step)})
		}
	}
	b.ending.run(len(pieces), func(_, i int) {
		j := &jobs[pieces[i].job]
		n := len(j.low.vals)
		for r := pieces[i].lo; r < pieces[i].hi; r++ {
			j.sums[r] = dotTensor(j.t, r*n, (r+1)*n, &j.low.w)
		}
	})
	out := make([]field.Element, len(jobs))
	b.chunks(len(jobs), 16, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			out[i] = dot(jobs[i].sums, jobs[i].high.vals)
		}
	})
	return out
}
