package conformance

import (
	"testing"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
)

// rows draws rows of mixed lengths and sizes: empty, all zero, short, full, at the ends of int32.
func rows(s *Source, width int) []backend.Row {
	var out []backend.Row
	for i, length := range []int{0, width, 1, width - 1, width, width / 2, width} {
		cells := make([]int32, length)
		for j := range cells {
			switch i {
			case 1: // all zero
			case 4:
				cells[j] = []int32{-1 << 31, 1<<31 - 1, -1 << 15, 1<<15 - 1, 1 << 15, -1, 1}[j%7]
			case 6:
				cells[j] = int32(s.Uint32())
			default:
				cells[j] = int32(s.Intn(1<<16) - 1<<15)
			}
		}
		out = append(out, backend.Row{Cells: cells, Blind: s.Element()})
	}
	out[1].Blind = field.Element{} // the commitment of nothing
	return out
}

func commitRows(t *testing.T, s *Source, ref, cand backend.Backend) {
	gens := s.Points(67)
	for _, width := range []int{67, 64, 1, 5} {
		rs := rows(s, width)
		equalPoints(t, "rows", ref.CommitRows(gens[:width], rs), cand.CommitRows(gens[:width], rs))
	}
	equalPoints(t, "no rows", nil, cand.CommitRows(gens, nil))
	again := rows(s, 40) // the same generators again, in case a backend remembers them
	equalPoints(t, "prepared", ref.CommitRows(gens, again), cand.CommitRows(gens, again))
	other := s.Points(67)
	copy(gens, other) // and the same memory with other generators
	equalPoints(t, "replaced", ref.CommitRows(gens, again), cand.CommitRows(gens, again))
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
	for _, width := range []int{1, 5, 64, 1000} {
		rs := rows(s, width)
		coef := s.Edgy(len(rs))
		equal(t, "fold", ref.FoldRows(rs, coef, width), cand.FoldRows(rs, coef, width))
	}
	equal(t, "no rows", make([]field.Element, 9), cand.FoldRows(nil, nil, 9))
	var many []backend.Row
	for len(many) < 300 {
		many = append(many, rows(s, 70)...)
	}
	coef := s.Elements(len(many))
	equal(t, "many", ref.FoldRows(many, coef, 80), cand.FoldRows(many, coef, 80))
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
