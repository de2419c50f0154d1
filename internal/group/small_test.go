package group

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/parallel"
)

// commitRowsNaive is the definition of CommitRows: double and add.
func commitRowsNaive(points []Affine, rows [][]int32) []Affine {
	out := make([]Affine, len(rows))
	for i, row := range rows {
		sum := neutral()
		for j, v := range row {
			sum.AddAssign(mulBig(&points[j], big.NewInt(int64(v))))
		}
		out[i] = ToAffine(&sum)
	}
	return out
}

// mulBig returns v·p by double and add.
func mulBig(p *Affine, v *big.Int) *Jac {
	base, sum := fromAffine(p), neutral()
	if v.Sign() < 0 {
		base.Neg(&base)
	}
	abs := new(big.Int).Abs(v)
	for i := abs.BitLen() - 1; i >= 0; i-- {
		sum.DoubleAssign()
		if abs.Bit(i) == 1 {
			sum.AddAssign(&base)
		}
	}
	return &sum
}

func randomScalar(r *rand.Rand) field.Element {
	var b [48]byte
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return field.Uniform(b[:])
}

func randomScalars(r *rand.Rand, n int) []field.Element {
	out := make([]field.Element, n)
	for i := range out {
		out[i] = randomScalar(r)
	}
	return out
}

func compareRows(t *testing.T, points []Affine, rows [][]int32, r *rand.Rand) {
	t.Helper()
	got := CommitRows(parallel.New(1+r.IntN(3)), points, rows)
	want := commitRowsNaive(points, rows)
	for i := range want {
		if !got[i].Equal(&want[i]) {
			t.Fatalf("row %d of %d differs", i, len(rows))
		}
	}
}

func TestCommitRows(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	points := Row(64)
	ranges := []int64{1, 9, 144, 145, 1 << 15, 1 << 20, math.MaxInt32}
	for _, n := range []int{0, 1, 2, 3, 17, 130} {
		for _, bound := range ranges {
			rows := make([][]int32, n)
			for i := range rows {
				rows[i] = make([]int32, r.IntN(len(points)+1))
				for j := range rows[i] {
					if r.IntN(3) > 0 {
						rows[i][j] = int32(r.Int64N(2*bound+1) - bound)
					}
				}
			}
			compareRows(t, points, rows, r)
		}
	}
}

func BenchmarkCommitRows(b *testing.B) {
	r, one := rand.New(rand.NewPCG(1, 2)), parallel.New(1)
	for _, width := range []int{1 << 10, 1 << 13, 1 << 16} {
		points := Row(width)
		for _, n := range []int{1, 16, 80} {
			for name, value := range map[string]func() float64{
				"8 bits":  func() float64 { return float64(r.IntN(1<<8) - 1<<7) },
				"16 bits": func() float64 { return float64(r.IntN(1<<16) - 1<<15) },
				"normal":  func() float64 { return 3000 * r.NormFloat64() },
			} {
				rows := make([][]int32, n)
				for i := range rows {
					rows[i] = make([]int32, width)
					for j := range rows[i] {
						rows[i][j] = int32(value())
					}
				}
				b.Run(fmt.Sprintf("width=%d/rows=%d/%s", width, n, name), func(b *testing.B) {
					for b.Loop() {
						CommitRows(one, points, rows)
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*width), "ns/value")
				})
			}
		}
	}
}

// edges are coefficients at the ends of numbers of bits.
var edges = []int32{
	0, 1, -1, 2, 3, -4, 15, 16, -16, 17, 255, -255, 256, -256, 257,
	1<<15 - 1, 1 << 15, -1 << 15, 1<<16 - 1, 1 << 16, -1 << 16, math.MaxInt32, math.MinInt32,
}

// TestCommitRowsManyRows has more rows than a task takes at a time, of all lengths, with nothing at all in some.
func TestCommitRowsManyRows(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	points := Row(8)
	rows := make([][]int32, 3000)
	for i := range rows {
		rows[i] = make([]int32, i%(len(points)+1))
		for j := range rows[i] {
			if i%100 < 90 {
				rows[i][j] = edges[r.IntN(1+i%len(edges))]
			}
		}
	}
	compareRows(t, points, rows, r)
}

// TestCommitRowsCut cuts coefficients at first into parts of every width that is possible, with one worker for all of them.
func TestCommitRowsCut(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	points, s := awkwardPoints(40), &bucketed{piles: piles{adder: newAdder(nil, nil, nil)}}
	for all := 1; all <= 32; all *= 2 {
		rows := make([][]int32, 9)
		for i := range rows {
			rows[i] = make([]int32, len(points)-i)
			for j := range rows[i] {
				for v := edges[r.IntN(len(edges))]; ; v /= 2 {
					if max(int64(v), -int64(v))>>all == 0 {
						rows[i][j] = v
						break
					}
				}
			}
		}
		want := commitRowsNaive(points, rows)
		for w := 1; w <= min(all, mostBits); w *= 2 {
			got := make([]Jac, len(rows))
			s.commit(got, points, rows, all, w)
			for i := range got {
				if a := ToAffine(&got[i]); !a.Equal(&want[i]) {
					t.Errorf("%d bits in parts of %d: row %d", all, w, i)
				}
			}
		}
	}
}

// TestWidths: a long row of 16 bits is added up by value at first, a short one by halves of its values; no coefficient is cut off.
func TestWidths(t *testing.T) {
	full := func(n int, v int32) []int32 {
		row := make([]int32, n)
		for i := range row {
			row[i] = v
		}
		return row
	}
	for _, c := range []struct {
		row        []int32
		all, first int
	}{
		{nil, 1, 1}, {[]int32{0, 0}, 1, 1}, {[]int32{-1, 1}, 1, 1}, {[]int32{2}, 2, 2}, {[]int32{-3}, 2, 2},
		{full(300, 255), 8, 8}, {full(300, -256), 16, 8},
		{full(1<<16, 1000), 16, 16}, {full(1<<16, math.MinInt16), 16, 16}, {full(1024, math.MinInt16), 16, 8}, {full(1<<16, math.MinInt32), 32, 16},
		{full(1024, math.MaxInt32), 32, 8},
	} {
		if all, first := widths([][]int32{c.row}); all != c.all || first != c.first {
			t.Errorf("%d cells of %v: %d bits in parts of %d, want %d and %d", len(c.row), c.row[:min(1, len(c.row))], all, first, c.all, c.first)
		}
	}
}

// TestBlind adds multiples of H, also to what they cancel, and to nothing.
func TestBlind(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	h := H()
	points, blinds := append(Row(5)[:5:5], Affine{}, h), randomScalars(r, 7)
	blinds[1].SetZero()
	blinds[6].SetInt64(-1)
	for threads := range 4 {
		got := Blind(parallel.New(threads), points, blinds)
		for i := range points {
			want := Mul(&h, &blinds[i])
			want.AddMixed(&points[i])
			if a := ToAffine(&want); !got[i].Equal(&a) {
				t.Fatalf("point %d is blinded to another one", i)
			}
		}
		if !got[6].IsInfinity() || got[1] != points[1] {
			t.Fatal("H − H is not 0, or 0·H not nothing")
		}
	}
	if Blind(nil, nil, nil) != nil {
		t.Fatal("no points")
	}
}

// TestCommitRowsDegenerate has bases that are equal, opposite or neutral: every exceptional case of the addition.
func TestCommitRowsDegenerate(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	points := make([]Affine, 99)
	g := H()
	for i := range points {
		switch i % 3 {
		case 0:
			points[i] = g
		case 1:
			points[i].Neg(&g)
		}
	}
	rows := make([][]int32, 50)
	for i := range rows {
		rows[i] = make([]int32, len(points))
		for j := range rows[i] {
			rows[i][j] = int32(r.IntN(41) - 20)
		}
	}
	compareRows(t, points, rows, r)
}

// TestAdder mixes operations that kernels perform with those that no chord does, in queues from few to more than one batch: doublings, opposite
// points, the neutral element on either side, added and subtracted, results written over their operands.
func TestAdder(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	points := slices.Concat(Row(64)[:40], make([]Affine, 2))
	for _, n := range []int{1, 7, 8, 63, 64, 71, 72, 200, batchOps, batchOps + 100} {
		acc, other, want, minus := make([]Affine, n), make([]Affine, n), make([]Affine, n), make([]bool, n)
		for i := range acc {
			acc[i], other[i], minus[i] = points[r.IntN(len(points))], Row(128)[i%128], r.IntN(2) == 0
			if r.IntN(4) == 0 { // often the same as the first one, or neutral
				other[i] = points[r.IntN(len(points))]
			}
			term := other[i]
			if minus[i] {
				term.Neg(&term)
			}
			want[i].Add(&acc[i], &term)
		}
		q := newAdder(acc, acc, other)
		for i := range acc {
			if minus[i] {
				q.add(int32(i), int32(i), ^int32(i))
			} else {
				q.add(int32(i), int32(i), int32(i))
			}
		}
		q.flush()
		for i := range want {
			if !want[i].Equal(&acc[i]) {
				t.Fatalf("operation %d of %d", i, n)
			}
		}
	}
}
