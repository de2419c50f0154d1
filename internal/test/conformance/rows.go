package conformance

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// rows draws rows of mixed lengths and sizes: empty, all zero, short, full, at the ends of int32; and rows of several boxes, with gaps
// between them and within, in which later boxes count.
func rows(s *Source, width int) []backend.Row {
	var out []backend.Row
	for i, length := range []int{0, width, 1, width - 1, width, width / 2, width} {
		cells := make([]int64, length)
		for j := range cells {
			switch i {
			case 1: // all zero
			case 4:
				cells[j] = []int64{-1 << 31, 1<<31 - 1, -1 << 15, 1<<15 - 1, 1 << 15, -1, 1}[j%7]
			case 6:
				cells[j] = int64(int32(s.Uint32()))
			default:
				cells[j] = int64(s.Intn(1<<16) - 1<<15)
			}
		}
		if length == 0 {
			out = append(out, nil)
			continue
		}
		out = append(out, backend.Row{{T: &integer.Tensor{V: cells}, Shape: []int{length}}})
	}
	if width < 40 {
		return out
	}
	t := s.tensor([]int{4, 3, 5}, 15)
	narrow := short(s.tensor([]int{100}, 15))
	return append(out,
		backend.Row{{T: t, From: 15, Shape: []int{3, 5}, Column: 8}},
		backend.Row{{T: t, Shape: []int{2, 3, 5}, Column: 0}},
		backend.Row{
			{T: narrow, From: 31, Shape: []int{9}, Column: 20}, {T: t, From: 59, Shape: []int{1}, Column: 3},
			{T: narrow, Shape: []int{2, 1, 3}, Column: 24},
		},
	)
}

// loaded are rows of tensors that a run holds.
func loaded(r backend.Run, rows []backend.Row) []backend.Row {
	out := make([]backend.Row, len(rows))
	for i, row := range rows {
		out[i] = slices.Clone(row)
		for k := range out[i] {
			out[i][k].T = r.Load(out[i][k].T.(*integer.Tensor))
		}
	}
	return out
}

// committed are the commitments of rows that fit.
func committed(t *testing.T, be backend.Run, gens []group.Affine, rows []backend.Row) []group.Affine {
	t.Helper()
	points := be.CommitRows(gens, loaded(be, rows))
	require.NoError(t, be.Err())
	return points
}

func commitRows(t *testing.T, s *Source, ref, cand backend.Run) {
	gens := s.Points(67)
	for _, width := range []int{67, 64, 1, 5} {
		rs := rows(s, width)
		equalPoints(t, "rows", committed(t, ref, gens[:width], rs), committed(t, cand, gens[:width], rs))
	}
	equalPoints(t, "no rows", nil, committed(t, cand, gens, nil))
	again := rows(s, 40) // the same generators again, in case a backend remembers them
	equalPoints(t, "prepared", committed(t, ref, gens, again), committed(t, cand, gens, again))
	other := s.Points(67)
	copy(gens, other) // and the same memory with other generators
	equalPoints(t, "replaced", committed(t, ref, gens, again), committed(t, cand, gens, again))
}

func msm(t *testing.T, s *Source, ref, cand backend.Run) {
	for _, n := range []int{0, 1, 2, 3, 33, 130, 1000} {
		points, scalars := s.Points(n), s.Edgy(n)
		if n > 30 {
			points[7], points[8] = points[9], group.Affine{}
			points[10].Neg(&points[9])
			scalars[7], scalars[10] = scalars[9], scalars[9]
		}
		equalPoints(t, "msm", []group.Affine{ref.MSM(backend.From(points), scalars)}, []group.Affine{cand.MSM(backend.From(points), scalars)})
		zero := make([]field.Element, n)
		equalPoints(t, "zero", []group.Affine{{}}, []group.Affine{cand.MSM(backend.From(points), zero)})
		if n > 2 { // lists with a gap between them, the second of which is longer than the scalars are
			bases := backend.Bases{{At: 1, Points: points[:n/3]}, {At: n/3 + 2, Points: points}}
			equalPoints(t, "lists", []group.Affine{ref.MSM(bases, scalars)}, []group.Affine{cand.MSM(bases, scalars)})
			longer := backend.From(points)
			equalPoints(t, "longer", []group.Affine{ref.MSM(longer, scalars[:n/2])}, []group.Affine{cand.MSM(longer, scalars[:n/2])})
		}
	}
}

func foldRows(t *testing.T, s *Source, ref, cand backend.Run) {
	compare := func(sums []backend.RowSum, width int) {
		fold := func(r backend.Run) []backend.Vector {
			own := slices.Clone(sums)
			for i := range own {
				own[i].Rows = loaded(r, own[i].Rows)
			}
			return r.FoldRows(own, width)
		}
		equalVectors(t, "fold", ref, cand, fold(ref), fold(cand))
	}
	for _, width := range []int{1, 5, 64, 1000} {
		rs := rows(s, width)
		compare([]backend.RowSum{{Rows: rs, Coefs: s.Edgy(len(rs))}, {}, {Rows: rs[2:4], Coefs: s.Edgy(2)}}, width)
	}
	compare([]backend.RowSum{{}}, 9)
	compare(nil, 9)
	var many []backend.Row
	for len(many) < 300 {
		many = append(many, rows(s, 70)...)
	}
	compare([]backend.RowSum{{Rows: many, Coefs: s.Elements(len(many))}}, 80)
}

func combine(t *testing.T, s *Source, ref, cand backend.Run) {
	for _, width := range []int{1, 5, 64, 1000} {
		var a, b []backend.Vector
		for range 7 {
			vals := s.Edgy(width)
			a, b = append(a, ref.Vector(vals)), append(b, cand.Vector(vals))
			equal(t, "vector", vals, cand.Values(b[len(b)-1]))
		}
		coef := s.Edgy(len(a))
		x, y := ref.Combine(a, coef), cand.Combine(b, coef)
		cand.Free(append(b, nil)...)
		equalVectors(t, "combination", ref, cand, []backend.Vector{x}, []backend.Vector{y})
	}
}

// equalVectors compares vectors that two runs hold.
func equalVectors(t *testing.T, what string, ref, cand backend.Run, want, got []backend.Vector) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, want[i].Elements(), got[i].Elements())
		equal(t, what, ref.Values(want[i]), cand.Values(got[i]))
	}
}

// tables draws sums of weights: of one axis and of many, cut off and whole, with gaps between boxes and boxes upon each other, and nothing.
func tables(t *testing.T, s *Source, ref, cand backend.Run) {
	axes := func(extents ...int) (out []backend.Axis) {
		for _, d := range extents {
			out = append(out, backend.Axis{Point: s.Edgy(log2(d)), Extent: d})
		}
		return out
	}
	one := small(1)
	all := []backend.Table{
		{Bits: 0}, {Bits: 3},
		{Bits: 0, Terms: []backend.Weights{{Scale: s.Element()}}},
		{Bits: 2, Terms: []backend.Weights{{Offset: 3, Scale: s.Element()}}},
		{Bits: 4, Terms: []backend.Weights{{Scale: one, Axes: axes(16)}}},
		{Bits: 13, Terms: []backend.Weights{{Scale: one, Axes: axes(1 << 13)}}},
		{Bits: 13, Terms: []backend.Weights{{Scale: s.Element(), Axes: axes(5000)}}},
		{Bits: 14, Terms: []backend.Weights{{Offset: 1 << 13, Scale: s.Element(), Axes: axes(5000)}}},
		{Bits: 8, Terms: []backend.Weights{{Scale: s.Element(), Axes: axes(3, 1, 5, 4)}, {Offset: 32, Scale: s.Element(), Axes: axes(1, 7, 3)}}},
		{Bits: 7, Terms: []backend.Weights{
			{Scale: one, Axes: axes(128)}, {Offset: 64, Scale: s.Element(), Axes: axes(4, 16)}, {Scale: one, Axes: axes(128)},
		}},
	}
	equalVectors(t, "table", ref, cand, ref.Tables(all), cand.Tables(all))
	equalVectors(t, "none", ref, cand, nil, cand.Tables(nil))

	table := []backend.Table{{Bits: 5, Terms: []backend.Weights{{Offset: 8, Scale: s.Element(), Axes: axes(3, 2)}}}}
	w, v := &table[0].Terms[0], make([]field.Element, 32)
	for i := range 3 {
		for j := range 2 {
			v[8+i+4*j] = mul(w.Scale, mul(eqAt(w.Axes[0].Point, i), eqAt(w.Axes[1].Point, j)))
		}
	}
	equal(t, "written out", v, ref.Values(ref.Tables(table)[0]))
}

// eqAt is eq(point, i).
func eqAt(point []field.Element, i int) field.Element {
	out := small(1)
	for b := range point {
		if i>>b&1 == 1 {
			out = mul(out, point[b])
		} else {
			out = mul(out, sub(small(1), point[b]))
		}
	}
	return out
}
