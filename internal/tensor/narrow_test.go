package tensor

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
	"github.com/zkllmc/zkllmc/internal/parallel"
)

// product is a term Σ_k s[b,m]·A[b,m,k]·B[b,n,k]·r[n] with scales or without, or with B's lines as columns.
func product(batch, m, k, n int, columns, scales bool) (backend.Term, [][]int) {
	t := backend.Term{Coef: -3, Extents: []int{batch, m, k, n}, Out: [][]int{{0}, {1}, {3}}}
	shapes := [][]int{{batch, m, k}, {batch, n, k}}
	t.Factors = []backend.Operand{{Axes: [][]int{{0}, {1}, {2}}}, {Axes: [][]int{{0}, {3}, {2}}}}
	if columns {
		shapes[1], t.Factors[1].Axes = []int{batch, k, n}, [][]int{{0}, {2}, {3}}
	}
	if scales {
		shapes = append(shapes, []int{batch, m}, []int{n})
		t.Factors = append(t.Factors, backend.Operand{Axes: [][]int{{0}, {1}}}, backend.Operand{Axes: [][]int{{3}}})
	}
	return t, shapes
}

// of is a term of tensors; the second one is fixed, which tells nothing but packs.
func of(t backend.Term, vals []integer.Tensor) []backend.Term {
	t.Factors = slices.Clone(t.Factors)
	for i := range t.Factors {
		t.Factors[i].T, t.Factors[i].Fixed = &vals[i], i == 1
	}
	return []backend.Term{t}
}

// shortened is a tensor in as few bits as its cells take.
func shortened(t integer.Tensor) integer.Tensor {
	t.Shorten()
	return t
}

// each walks through the term's labels one by one: what a product is by definition. Arithmetic wraps, as everywhere in the package.
func each(t *backend.Term, vals []integer.Tensor, out []int64, shape []int) {
	at := func(axes [][]int, shape, idx []int) (p int) {
		for a, labels := range axes {
			p = p*shape[a] + idx[labels[0]]
		}
		return p
	}
	idx := make([]int, len(t.Extents))
	for c := range circuit.Size(t.Extents) {
		for l := len(idx) - 1; l >= 0; l-- {
			idx[l] = c % t.Extents[l]
			c /= t.Extents[l]
		}
		p := t.Coef
		for i, f := range t.Factors {
			p *= vals[i].V[at(f.Axes, vals[i].Shape, idx)]
		}
		out[at(t.Out, shape, idx)] += p
	}
}

// within draws integers of a range, its ends among them often.
func within(rng *rand.Rand, lo, hi int64, shape []int) integer.Tensor {
	t := integer.Tensor{Shape: shape, V: make([]int64, circuit.Size(shape))}
	for i := range t.V {
		switch rng.IntN(4) {
		case 0:
			t.V[i] = lo
		case 1:
			t.V[i] = hi
		default:
			t.V[i] = lo + int64(rng.Uint64N(uint64(hi-lo)+1))
		}
	}
	return t
}

// Products are what they are by definition whatever the ranges of the operands: those that the kernels take, with one to four digits, and
// those just beyond. Each is computed by every kernel, by the kernels' definition and without them, from packed factors and others, whole
// and in two parts; and all of it on the pool that is given.
func TestProducts(t *testing.T) {
	defer func(f func(*products, []int16, int, []int16, int, int), pays bool) { dot, narrowPays = f, pays }(dot, narrowPays)
	all := append(kernels(), kernel{needs: "nothing"})
	ended, end := context.WithCancel(t.Context())
	end()
	stopped := parallel.New(2).Until(ended)
	rng := rand.New(rand.NewPCG(5, 6))
	ranges := [][2]int64{
		{-maxDigit, maxDigit}, {-maxDigit - 1, maxDigit}, {math.MinInt16, math.MaxInt16}, {0, 1 << 15}, {-maxDigit << 8, maxDigit<<8 + 255},
		{-maxDigit<<8 - 1, 0}, {-1 << 23, 1<<23 - 1}, {math.MinInt32, math.MaxInt32}, {0, math.MaxUint32}, {-maxDigit << 24, maxDigit<<24 + 1<<24 - 1},
		{0, (maxDigit + 1) << 24}, {-1 << 61, 1 << 61},
	}
	for i, r := range ranges {
		for _, d := range [][4]int{{1, 1, 40, 9}, {1, 3, 33, 70}, {2, 7, 64, 6}, {1, 70, 8, 5}, {1, 5, 2*maxRun + 1, 4}, {3, 2, 16, 130}} {
			term, shapes := product(d[0], d[1], d[2], d[3], i%2 == 1, i%3 != 0)
			vals := []integer.Tensor{within(rng, r[0], r[1], shapes[0]), within(rng, math.MinInt16, math.MaxInt16, shapes[1])}
			for _, s := range shapes[2:] {
				vals = append(vals, within(rng, -1<<40, 1<<40, s))
			}
			shape := []int{d[0], d[1], d[3]}
			want := make([]int64, circuit.Size(shape))
			each(&term, vals, want, shape)
			for _, k := range all {
				dot, narrowPays = dotPortable, k.run != nil
				if k.run != nil {
					dot = k.dot
				}
				name := fmt.Sprintf("%s: %v, range %v", k.needs, d, r)
				terms := of(term, vals)
				require.Equal(t, want, Part{}.Eval(terms, shape).V, name)
				require.Equal(t, make([]int64, len(want)), Part{Pool: stopped}.Eval(terms, shape).V, "%s, on a pool that begins nothing", name)
				shorter := make([]integer.Tensor, len(vals)) // the second factor always has 16 bits
				for i, v := range vals {
					shorter[i] = shortened(v)
				}
				packs := NewPacks()
				for _, part := range []backend.Range{{Hi: d[1] / 3}, {Lo: d[1] / 3, Hi: d[1]}} {
					rows := part.Hi - part.Lo
					got, of := integer.Tensor{Shape: []int{d[0], rows, d[3]}, V: make([]int64, d[0]*rows*d[3])}, of(term, shorter)
					Part{Box: []backend.Range{{Hi: d[0]}, part, {Hi: d[3]}}, Packs: packs}.Add(got, of)
					for b := range d[0] {
						at := (b*d[1] + part.Lo) * d[3]
						require.Equal(t, want[at:at+rows*d[3]], got.V[b*rows*d[3]:(b+1)*rows*d[3]], name)
					}
				}
				require.Equal(t, want, Part{}.Eval(of(term, shorter), shape).V, "%s, in few bits", name)
			}
			dot, narrowPays = dotPortable, true
			require.Equal(t, want, Part{}.Eval(of(term, vals), shape).V, "the kernels' definition")
		}
	}
}

// The ranges at which another digit is needed.
func TestDigits(t *testing.T) {
	for _, c := range []struct {
		lo, hi int64
		want   int
	}{
		{0, 0, 1}, {-255, 255, 1}, {-256, 0, 2}, {0, 256, 2}, {math.MinInt16, math.MaxInt16, 2}, {0, 1<<16 - 1, 2}, {0, 1 << 16, 3}, {-255 << 8, 0, 2},
		{-255<<8 - 1, 0, 3}, {0, 1<<32 - 1, 4}, {0, 1 << 32, 0}, {-255 << 24, 0, 4}, {-255<<24 - 1, 0, 0}, {math.MinInt64, math.MaxInt64, 0},
	} {
		require.Equal(t, c.want, measured{lo: c.lo, hi: c.hi}.digits(), "%+v", c)
	}
}

// What lies behind the indices that count is not read: it would show.
func TestKnownIndices(t *testing.T) {
	term, shapes := product(1, 6, 40, 9, false, false)
	rng := rand.New(rand.NewPCG(7, 8))
	vals := []integer.Tensor{within(rng, -9, 9, shapes[0]), within(rng, -9, 9, shapes[1])}
	for i := range vals[0].V {
		if i%40 >= 25 {
			vals[0].V[i] = 0
		}
	}
	want := Part{}.Eval(of(term, vals), []int{1, 6, 9})
	for i := range vals[1].V {
		if i%40 >= 25 {
			vals[0].V[i%len(vals[0].V)], vals[1].V[i] = 5, 5
		}
	}
	got := integer.Tensor{Shape: want.Shape, V: make([]int64, len(want.V))}
	terms := of(term, vals)
	for i := range terms[0].Factors {
		terms[0].Factors[i].Known = []int{1, 1 << 30, 25}
	}
	Part{}.Add(got, terms)
	require.Equal(t, want.V, got.V)
}

// BenchmarkProducts compares a product of GPT-2 small's feed-forward at 64 positions, and at one with packed weights, by what computes it:
// times relative to that of integers of 64 bits.
func BenchmarkProducts(b *testing.B) {
	defer func(f func(*products, []int16, int, []int16, int, int), pays bool) { dot, narrowPays = f, pays }(dot, narrowPays)
	rng := rand.New(rand.NewPCG(5, 6))
	for _, rows := range []int{64, 1} {
		term, shapes := product(1, rows, 768, 3072, true, false)
		vals := []integer.Tensor{within(rng, math.MinInt16, math.MaxInt16, shapes[0]), within(rng, math.MinInt16, math.MaxInt16, shapes[1])}
		shape := []int{1, rows, 3072}
		base := 0.0
		for i, k := range append([]kernel{{needs: "64 bits"}}, kernels()...) {
			b.Run(fmt.Sprintf("rows=%d/%s", rows, k.needs), func(b *testing.B) {
				dot, narrowPays = k.dot, i > 0
				part := Part{}
				if rows == 1 && i > 0 {
					vals[1].Shorten()
					part.Packs = NewPacks()
				}
				out := integer.Tensor{Shape: shape, V: make([]int64, circuit.Size(shape))}
				terms := of(term, vals)
				run := func() { part.Add(out, terms) }
				run()
				for b.Loop() {
					run()
				}
				each := b.Elapsed().Seconds() / float64(b.N)
				if i == 0 {
					base = each
				}
				b.ReportMetric(each/base, "of-64-bits")
				b.ReportMetric(float64(rows*768*3072)/each/1e9, "GMAC/s")
			})
		}
	}
}

// What is summed over several labels is summed whatever their order in each factor is: also where the cells of a line are neighbours, from
// the first to the last, and those between them stand in another order (a convolution of two rows and three columns, say).
func TestSumsInAnyOrder(t *testing.T) {
	defer func(pays bool) { narrowPays = pays }(narrowPays)
	rng := rand.New(rand.NewPCG(7, 8))
	orders := [][]int{{2, 3, 4}, {2, 4, 3}, {3, 2, 4}, {3, 4, 2}, {4, 2, 3}, {4, 3, 2}}
	extents := []int{6, 5, 2, 3, 4} // of m, n and the three that are summed over
	factor := func(line int, order []int) (axes [][]int, shape []int) {
		for _, l := range append([]int{line}, order...) {
			axes, shape = append(axes, []int{l}), append(shape, extents[l])
		}
		return axes, shape
	}
	for _, a := range orders {
		for _, b := range orders {
			axesA, shapeA := factor(0, a)
			axesB, shapeB := factor(1, b)
			term := backend.Term{Coef: 1, Extents: extents, Out: [][]int{{0}, {1}}, Factors: []backend.Operand{{Axes: axesA}, {Axes: axesB}}}
			vals := []integer.Tensor{within(rng, math.MinInt16, math.MaxInt16, shapeA), within(rng, math.MinInt16, math.MaxInt16, shapeB)}
			shape := extents[:2]
			want := make([]int64, circuit.Size(shape))
			each(&term, vals, want, shape)
			short := []integer.Tensor{shortened(vals[0]), shortened(vals[1])}
			for _, narrowPays = range []bool{true, false} {
				require.Equal(t, want, Part{}.Eval(of(term, vals), shape).V, "%v %v", a, b)
				require.Equal(t, want, Part{}.Eval(of(term, short), shape).V, "%v %v, 16 bits", a, b)
				require.Equal(t, want, Part{Packs: NewPacks()}.Eval(of(term, short), shape).V, "%v %v, packed", a, b)
			}
		}
	}
}
