package group

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"sync"
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
	got := NewSmallBases(points).CommitRows(parallel.New(1+r.IntN(3)), rows)
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
	for _, width := range []int{1024, 2048} {
		bases := NewSmallBases(Row(width))
		for _, n := range []int{1, 4, 16, 64, 256, 1024, 2048, 4096} {
			for _, bound := range []int64{1 << 7, 1 << 15} {
				rows := make([][]int32, n)
				for i := range rows {
					rows[i] = make([]int32, width)
					for j := range rows[i] {
						rows[i][j] = int32(r.Int64N(2*bound) - bound)
					}
				}
				b.Run(fmt.Sprintf("width=%d/rows=%d/bound=%d", width, n, bound), func(b *testing.B) {
					bases.CommitRows(one, rows[:1])
					for b.Loop() {
						bases.CommitRows(one, rows)
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*width), "ns/value")
				})
			}
		}
	}
}

// manyRows is enough for triple tables even where half of the values are zero or missing.
const manyRows = tripleCost

// TestCommitRowsManyRows reaches the triple tables, several blocks of rows, and the edges of the digits.
func TestCommitRowsManyRows(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	points := Row(8)
	edges := []int32{0, 1, -1, 8, -8, 9, -9, 144, 145, -145, 2456, 2457, 1 << 15, -1 << 15, 41760, 41761, math.MaxInt32, math.MinInt32}
	for _, n := range []int{manyRows, blockRows + 5} {
		rows := make([][]int32, n)
		for i := range rows {
			rows[i] = make([]int32, i%(len(points)+1))
			for j := range rows[i] {
				if n == manyRows {
					rows[i][j] = edges[r.IntN(len(edges))]
				} else {
					rows[i][j] = int32(r.IntN(3) - 1)
				}
			}
		}
		compareRows(t, points, rows, r)
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
	for _, n := range []int{3, manyRows} {
		points := make([]Affine, 9)
		g := H()
		for i := range points {
			switch i % 3 {
			case 0:
				points[i] = g
			case 1:
				points[i].Neg(&g)
			}
		}
		rows := make([][]int32, n)
		for i := range rows {
			rows[i] = make([]int32, len(points))
			for j := range rows[i] {
				rows[i][j] = int32(r.IntN(41) - 20)
			}
		}
		compareRows(t, points, rows, r)
	}
}

func TestDigits(t *testing.T) {
	for _, v := range []int32{0, 1, 8, 9, -8, -9, 144, 145, 2456, 2457, 32767, -32768, 41760, 41761, math.MaxInt32, math.MinInt32} {
		var off [maxDigits]int32
		addDigits(&off, v, 1)
		k := digitsFor(uint32(max(int64(v), -int64(v))))
		sum, power := int64(0), int64(1)
		for i, d := range off {
			if d < -half || d > half || i >= k && d != 0 {
				t.Fatalf("%d: digits %v, expected %d of them", v, off, k)
			}
			sum += int64(d) * power
			power *= base
		}
		if sum != int64(v) {
			t.Fatalf("%d: digits %v", v, off)
		}
	}
}

// TestCommitRowsShared uses one set of bases from many goroutines.
func TestCommitRowsShared(t *testing.T) {
	bases := NewSmallBases(Row(32))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			row := make([]int32, 4*(i+1))
			for j := range row {
				row[j] = int32(r.IntN(1<<16) - 1<<15)
			}
			got := bases.CommitRows(parallel.New(2), [][]int32{row})
			want := commitRowsNaive(bases.points, [][]int32{row})
			if !got[0].Equal(&want[0]) {
				t.Error("wrong commitment")
			}
		})
	}
	wg.Wait()
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
				q.subtract(int32(i), int32(i), int32(i))
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
