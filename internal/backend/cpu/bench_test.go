package cpu_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/backend/cpu"
	"github.com/zkllmc/zkllmc/internal/field"
	"github.com/zkllmc/zkllmc/internal/group"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/test/conformance"
)

// mulTime measures a field multiplication, the unit that costs are compared in.
func mulTime() float64 {
	x := conformance.NewSource(9).Element()
	y := x
	const n = 1 << 16
	start := time.Now()
	for range n {
		y.Mul(&y, &x)
	}
	return float64(time.Since(start).Nanoseconds()) / n
}

// perThreads runs a benchmark with one goroutine and with all; it reports ns per item and the ratio to a field multiplication.
func perThreads(b *testing.B, items int, run func(b *testing.B, be backend.Run)) {
	for _, n := range []int{1, runtime.GOMAXPROCS(0)} {
		b.Run(fmt.Sprintf("threads=%d", n), func(b *testing.B) {
			be := conformance.Fresh(b, cpu.New(cpu.Threads(n)))
			b.ResetTimer()
			run(b, be)
			ns := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / float64(items)
			b.ReportMetric(ns, "ns/item")
			b.ReportMetric(ns/mulTime(), "mul/item")
		})
	}
}

// runTree plays all layers with given challenges.
func runTree(tree backend.FractionTree, n int, challenges []field.Element) {
	tree.Root()
	var s []field.Element
	for j := 1; j < n; j++ {
		rounds := tree.Layer(j, s, challenges[n])
		rounds.First()
		rounds.Bind(challenges[0])
		for i := 1; i < j; i++ {
			rounds.Round()
			rounds.Bind(challenges[i])
		}
		rounds.Claims()
		s = challenges[:j]
	}
}

func BenchmarkFractions(b *testing.B) {
	type bench struct {
		name  string
		shape []int
		cols  int
	}
	for _, n := range []int{16, 20} {
		s := conformance.NewSource(2)
		cases := []bench{{"full", []int{1 << n}, 1}, {"half", []int{1 << (n - 1)}, 1}, {"pairs", []int{1 << n}, 2}}
		for _, row := range []int{192, 160, 40, 20, 3} { // what follows every row is padding
			bits := 0
			for 1<<bits < row {
				bits++
			}
			cases = append(cases, bench{fmt.Sprintf("rows of %d", row), []int{1 << (n - bits), row}, 1})
		}
		cases = append(cases, bench{"pairs in rows of 40", []int{1 << (n - 6), 40}, 2})
		for _, c := range cases {
			blocks := []backend.Block{s.Block(0, c.shape, c.cols, 15, false)}
			cells := blocks[0].Cols[0].Len()
			challenges := s.Elements(n + 1)
			b.Run(fmt.Sprintf("%s/n=%d", c.name, n), func(b *testing.B) {
				perThreads(b, cells, func(b *testing.B, be backend.Run) {
					blocks := conformance.Loaded(be, blocks)
					for b.Loop() {
						runTree(be.Fractions(n, blocks), n, challenges)
					}
				})
			})
		}
	}
}

func BenchmarkFractionsBuild(b *testing.B) {
	const n = 20
	blocks := []backend.Block{conformance.NewSource(2).Block(0, []int{1 << n}, 1, 15, false)}
	perThreads(b, 1<<n, func(b *testing.B, be backend.Run) {
		for b.Loop() {
			be.Fractions(n, blocks)
		}
	})
}

func benchSumcheck(b *testing.B, in []backend.Instance, rounds, degree, items int) {
	challenges := conformance.NewSource(4).Elements(rounds)
	perThreads(b, items, func(b *testing.B, be backend.Run) {
		held := conformance.Held(be, in)
		for b.Loop() { // the backend reads the values only
			s := be.Sumcheck(held, rounds, degree)
			for _, r := range challenges {
				s.Round()
				s.Bind(r)
			}
		}
	})
}

func BenchmarkSumcheck(b *testing.B) {
	s := conformance.NewSource(3)
	vars := func(n int) []int {
		out := make([]int, n)
		for i := range out {
			out[i] = i
		}
		return out
	}
	const n = 18
	all := vars(n)
	b.Run("one/2 factors", func(b *testing.B) {
		benchSumcheck(b, []backend.Instance{{N: n, Coef: s.Element(), Factors: []backend.Factor{s.Factor(all...), s.Factor(all...)}}}, n, 2, 1<<n)
	})
	b.Run("one/3 factors", func(b *testing.B) {
		in := backend.Instance{N: n, Coef: s.Element(), Factors: []backend.Factor{s.Factor(all...), s.Factor(all...), s.Factor(all[9:]...)}}
		benchSumcheck(b, []backend.Instance{in}, n, 3, 1<<n)
	})
	b.Run("many/2 factors of 2^8", func(b *testing.B) {
		var in []backend.Instance
		for range 1000 {
			in = append(in, backend.Instance{N: 8, Coef: s.Element(), Factors: []backend.Factor{s.Factor(vars(8)...), s.Factor(vars(8)...)}})
		}
		benchSumcheck(b, in, 12, 2, 1000<<8)
	})
}

func tensor(s *conformance.Source, bits int, shape ...int) *integer.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return &integer.Tensor{Shape: shape, V: s.Ints(n, bits)}
}

func BenchmarkEvalMany(b *testing.B) {
	s := conformance.NewSource(5)
	var evals []backend.Eval
	for range 16 {
		evals = append(evals, backend.Eval{T: tensor(s, 15, 64, 768), Point: s.Elements(16)})
	}
	perThreads(b, 16*64*768, func(b *testing.B, be backend.Run) {
		for b.Loop() {
			be.EvalMany(evals)
		}
	})
}

func BenchmarkPartial(b *testing.B) {
	s := conformance.NewSource(6)
	t := tensor(s, 15, 768, 1024)
	for _, c := range []struct {
		name   string
		labels []backend.Label
	}{
		{"last folded", []backend.Label{{Extent: 768, Var: 0}, {Extent: 1024, Var: -1, Point: s.Elements(10)}}},
		{"first folded", []backend.Label{{Extent: 768, Var: -1, Point: s.Elements(10)}, {Extent: 1024, Var: 0}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			perThreads(b, 768*1024, func(b *testing.B, be backend.Run) {
				for b.Loop() {
					be.Partials([]backend.Partial{{T: t, Labels: c.labels, Bits: 10}})
				}
			})
		})
	}
}

// rowsOf draws rows of 16-bit cells.
func rowsOf(s *conformance.Source, n, width int) []backend.Row {
	out := make([]backend.Row, n)
	for i := range out {
		out[i] = backend.Row{{T: tensor(s, 15, width), Shape: []int{width}}}
	}
	return out
}

func BenchmarkFoldRows(b *testing.B) {
	s := conformance.NewSource(7)
	rows, coef := rowsOf(s, 512, 2048), s.Elements(512)
	perThreads(b, 512*2048, func(b *testing.B, be backend.Run) {
		for b.Loop() {
			be.FoldRows([]backend.RowSum{{Rows: rows, Coefs: coef}}, 2048)
		}
	})
}

func BenchmarkCommitRows(b *testing.B) {
	s := conformance.NewSource(8)
	rows, gens := rowsOf(s, 32, 1024), group.Row(1024)
	perThreads(b, 32*1024, func(b *testing.B, be backend.Run) {
		for b.Loop() {
			be.CommitRows(gens, rows)
		}
	})
}

func BenchmarkMSM(b *testing.B) {
	s := conformance.NewSource(10)
	const n = 1 << 12
	points, scalars := group.Row(n), s.Elements(n)
	perThreads(b, n, func(b *testing.B, be backend.Run) {
		for b.Loop() {
			be.MSM(backend.From(points), scalars)
		}
	})
}

// BenchmarkArgument folds 4096 entries to 16, with full challenges and with such of the form a + bλ, a and b of 64 bits.
func BenchmarkArgument(b *testing.B) {
	s := conformance.NewSource(11)
	const n = 1 << 12
	u, l, g := s.Elements(n), s.Elements(n), group.Row(n)
	for _, c := range []struct {
		name string
		x    field.Element
	}{{"full", s.Element()}, {"short", field.FromInt64(s.Int63())}} {
		b.Run(c.name, func(b *testing.B) {
			perThreads(b, n, func(b *testing.B, be backend.Run) {
				for b.Loop() {
					a := be.Argument(u, nil, l, backend.From(g), group.U())
					for k := n; k > 16; k /= 2 {
						a.Round()
						a.Fold(c.x)
					}
				}
			})
		})
	}
}
