package conformance

import (
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
		backend.Row{{T: narrow, From: 31, Shape: []int{9}, Column: 20}, {T: t, From: 59, Shape: []int{1}, Column: 3}, {T: narrow, Shape: []int{2, 1, 3}, Column: 24}},
	)
}

// committed are the commitments of rows that fit.
func committed(t *testing.T, be backend.Backend, gens []group.Affine, rows []backend.Row) []group.Affine {
	t.Helper()
	points, err := be.CommitRows(gens, rows)
	require.NoError(t, err)
	return points
}

func commitRows(t *testing.T, s *Source, ref, cand backend.Backend) {
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
	for _, x := range []int64{1 << 31, -1<<31 - 1, 1 << 62} {
		large := []backend.Row{nil, {{T: &integer.Tensor{V: []int64{1, x}}, Shape: []int{2}}}}
		for _, be := range []backend.Backend{ref, cand} {
			_, err := be.CommitRows(gens, large)
			require.ErrorContains(t, err, "row 1: value", "%d", x)
		}
	}
}

func msm(t *testing.T, s *Source, ref, cand backend.Backend) {
	for _, n := range []int{0, 1, 2, 3, 33, 130, 1000} {
		points, scalars := s.Points(n), s.Edgy(n)
		if n > 30 {
			points[7], points[8] = points[9], group.Affine{}
			points[10].Neg(&points[9])
			scalars[7], scalars[10] = scalars[9], scalars[9]
		}
		equalPoints(t, "msm", []group.Affine{ref.MSM(points, scalars)}, []group.Affine{cand.MSM(points, scalars)})
		zero := make([]field.Element, n)
		equalPoints(t, "zero", []group.Affine{{}}, []group.Affine{cand.MSM(points, zero)})
	}
}

func foldRows(t *testing.T, s *Source, ref, cand backend.Backend) {
	compare := func(sums []backend.RowSum, width int) {
		want, got := ref.FoldRows(sums, width), cand.FoldRows(sums, width)
		require.Len(t, got, len(want))
		for i := range want {
			equal(t, "fold", want[i], got[i])
		}
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

func combine(t *testing.T, s *Source, ref, cand backend.Backend) {
	for _, width := range []int{1, 5, 64, 1000} {
		var vecs [][]field.Element
		for range 7 {
			vecs = append(vecs, s.Edgy(width))
		}
		coef := s.Edgy(len(vecs))
		equal(t, "combination", ref.Combine(vecs, coef), cand.Combine(vecs, coef))
	}
	equal(t, "no vectors", nil, cand.Combine(nil, nil))
}
