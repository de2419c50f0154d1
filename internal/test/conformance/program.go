package conformance

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/backend"
	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/integer"
)

// drawn is a sum of terms whose factors are drawn.
type drawn struct {
	shape []int
	box   []backend.Range // of the result; nil: all
	terms []drawnTerm
}

type drawnTerm struct {
	coef    int64
	extents []int
	out     [][]int
	factors [][][]int
}

var (
	byAxis  = [][]int{{0}, {1}}
	byAxes  = [][]int{{0}, {1}, {2}}
	product = [][][]int{{{0}, {2}}, {{1}, {2}}} // of matrices whose lines are summed over
)

func einsums(t *testing.T, s *Source, ref, cand backend.Program) {
	for i, c := range []drawn{
		{[]int{3}, nil, nil},
		{nil, nil, []drawnTerm{{coef: 5}}},
		{[]int{2, 3}, nil, []drawnTerm{{-2, []int{2, 3}, byAxis, nil}}},
		{[]int{4, 5}, nil, []drawnTerm{{1, []int{4, 5, 6}, byAxis, [][][]int{{{0}, {2}}, {{2}, {1}}}}}},
		{[]int{33, 70}, nil, []drawnTerm{{3, []int{33, 70, 40}, byAxis, product}}},
		{[]int{33, 70}, []backend.Range{{Lo: 7, Hi: 20}, {Hi: 70}}, []drawnTerm{{3, []int{33, 70, 40}, byAxis, product}}},
		{[]int{12, 5}, nil, []drawnTerm{
			{1, []int{3, 4, 5, 8}, [][]int{{0, 1}, {2}}, [][][]int{{{1}, {0, 3}}, {{3, 2}}}},
			{-7, []int{12, 5}, byAxis, [][][]int{{{1}, {0}}}},
			{0, []int{12, 5}, byAxis, [][][]int{{{0}, {1}}}},
		}},
		{[]int{2, 9, 3}, nil, []drawnTerm{{1, []int{2, 9, 3, 11}, byAxes, [][][]int{{{0}, {1}, {3}}, {{0}, {3}, {2}}, {{1}}}}}},
		{[]int{1}, nil, []drawnTerm{{1, []int{1, 50}, [][]int{{0}}, [][][]int{{{1}}, {{1}}}}}},
		{[]int{6}, nil, []drawnTerm{{1, []int{6, 7}, [][]int{{0}}, [][][]int{{{0}}, {{0}}, {{0}, {1}}}}}},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			for _, bits := range []int{4, 15, 31, 62} { // the last wrap
				for _, wide := range []bool{false, true} {
					c.compare(t, s, ref, cand, bits, wide)
				}
			}
		})
	}
}

// compare compares results, of factors in 64 bits for the one and in fewer where they fit for the other, that are added to what is there. They
// are computed twice with fixed second factors. All indices count of most factors, and in some all but one.
func (c *drawn) compare(t *testing.T, s *Source, ref, cand backend.Program, bits int, wide bool) {
	var a, b []backend.Term
	for _, d := range c.terms {
		x := backend.Term{Coef: d.coef, Extents: d.extents, Out: d.out}
		y := x
		for i, axes := range d.factors {
			of := make([]int, len(axes))
			for k, labels := range axes {
				of[k] = 1
				for _, l := range labels {
					of[k] *= d.extents[l]
				}
			}
			var known []int
			if s.Intn(3) == 0 {
				known = slices.Clone(of)
				known[0] -= s.Intn(2)
			}
			v := s.tensor(of, bits)
			x.Factors = append(x.Factors, backend.Operand{T: ref.Load(v), Axes: axes, Known: known})
			y.Factors = append(y.Factors, backend.Operand{T: cand.Load(short(v)), Axes: axes, Known: known, Fixed: i == 1})
		}
		a, b = append(a, x), append(b, y)
	}
	x, y := ref.Zeros(c.shape, wide), cand.Zeros(c.shape, wide)
	for range 2 {
		ref.Einsum(backend.Part{T: x, Box: c.box}, a)
		cand.Einsum(backend.Part{T: y, Box: c.box}, b)
		want, got := ref.Cells(backend.Whole(x)), cand.Cells(backend.Whole(y))
		require.Equal(t, want.All(), got.All())
		require.Equal(t, want.High, got.High)
	}
	lower, upper := cand.Words(y)
	require.Equal(t, wide, upper != nil)
	if one, two := ref.Cells(backend.Whole(x)).Words(); wide {
		require.Equal(t, one.V, cand.Cells(backend.Whole(lower)).All())
		require.Equal(t, two.V, cand.Cells(backend.Whole(upper)).All())
	}
	identity := backend.Term{Coef: 1, Extents: c.shape} // a result is a factor like others
	for axis := range c.shape {
		identity.Out = append(identity.Out, []int{axis})
	}
	identity.Factors = []backend.Operand{{T: y, Axes: identity.Out}}
	twice := cand.Zeros(c.shape, wide)
	cand.Einsum(backend.Whole(twice), []backend.Term{identity})
	require.Equal(t, cand.Cells(backend.Whole(y)).All(), cand.Cells(backend.Whole(twice)).All())
}

// hint is a hint of drawn inputs.
type hint struct {
	circuit.Hint
	table [][]int64
	in    []*integer.Tensor
}

// extreme is drawn cells with the ends of a range among them.
func (s *Source) extreme(lo, hi int64, shape ...int) *integer.Tensor {
	t := s.tensor(shape, 62)
	for i := range t.V {
		switch s.Intn(6) {
		case 0:
			t.V[i] = lo
		case 1:
			t.V[i] = hi
		default:
			t.V[i] = lo + int64(uint64(t.V[i])%(uint64(hi-lo)+1))
		}
	}
	return t
}

// Hints of all kinds that the definition has, of drawn and extreme cells, whole and part by part: who does not know a kind computes nothing.
func hints(t *testing.T, s *Source, ref, cand backend.Program) {
	ids := make([]circuit.ID, 8)
	for i := range ids {
		ids[i] = circuit.ID(i)
	}
	wide := s.extreme(math.MinInt64, math.MaxInt64-1, 6, 5)
	wide.V[7] = math.MaxInt64
	wide.High = s.extreme(-1<<60, 1<<60, 6, 5).V
	line, values := make([]int64, 64), make([]int64, 64)
	for i := range line {
		line[i], values[i] = int64(i)-20, s.Int63()>>40
	}
	table := [][]int64{line, values}
	mask := &integer.Tensor{Shape: []int{5}, V: []int64{0, 1, 0, 1, 0}}
	big := func() *integer.Tensor { return s.extreme(-1<<61, 1<<61-1, 6, 5) }
	clamp := circuit.ClampHint{Shift: 9, Lo: -100, Hi: 99, First: 1, Radix: 13}
	long := circuit.ClampHint{Shift: 1, Lo: -100, Hi: 99, First: 1, Radix: 32} // of which one begins at bit 64
	digits := circuit.WideHint{Shift: 20, Lo: -1 << 40, Hi: 1<<40 - 1, Width: 15, Radix: 12}
	attention := circuit.AttnHint{Shift: 3, DBits: 5, Offset: 70, Lo: -300, Radix: 4}
	for name, h := range map[string]hint{
		"rescale":           {circuit.RescaleHint{Shift: 7}.Hint(0, 1), nil, []*integer.Tensor{big()}},
		"rescale by 0":      {circuit.RescaleHint{}.Hint(0, 1), nil, []*integer.Tensor{big()}},
		"rescale, wide":     {circuit.RescaleHint{Shift: 61}.Hint(0, 1), nil, []*integer.Tensor{wide}},
		"clamp":             {clamp.Hint(0, 1, 2, ids[3:7]), nil, []*integer.Tensor{big()}},
		"clamp, wide":       {clamp.Hint(0, 1, 2, ids[3:7]), nil, []*integer.Tensor{wide}},
		"clamp, long limbs": {long.Hint(0, 1, 2, ids[3:6]), nil, []*integer.Tensor{wide}},
		"digits":            {digits.Hint(0, ids[1:4]), nil, []*integer.Tensor{big()}},
		"digits and class":  {digits.Hint(0, ids[1:4], ids[4:7]...), nil, []*integer.Tensor{wide}},
		"limbs":             {circuit.LimbsHint{Radix: 11}.Hint(0, ids[1:4]), nil, []*integer.Tensor{big()}},
		"table":             {circuit.TableHint{First: -20, Column: 1}.Hint(0, 0, 1), table, []*integer.Tensor{s.extreme(-20, 43, 6, 5)}},
		"beyond a table":    {circuit.TableHint{First: -20, Column: 1}.Hint(0, 0, 1), table, []*integer.Tensor{s.extreme(-20, 44, 6, 5)}},
		"rsqrt":             {circuit.QuotientHint{Num: 1 << 61, Radix: 8}.Hint(circuit.HintRsqrt, 0, ids[1:4]), nil, []*integer.Tensor{s.extreme(1, 1<<50, 6, 5)}},
		"recip":             {circuit.QuotientHint{Num: 1 << 40, Radix: 8}.Hint(circuit.HintRecip, 0, ids[1:4]), nil, []*integer.Tensor{s.extreme(-2, 1<<45, 6, 5)}},
		"attention":         {attention.Hint(0, 0, -1, ids[1:3], 3, 4, 5, 6, 7), table, []*integer.Tensor{s.extreme(-2000, 2000, 6, 5), nil}},
		"masked":            {attention.Hint(0, 0, 0, ids[1:3], 3, 4, 5, 6, 7), table, []*integer.Tensor{s.extreme(-2000, 2000, 6, 5), mask}},
		"nothing but masked": {attention.Hint(0, 0, 0, ids[1:3], 3, 4, 5, 6, 7), table,
			[]*integer.Tensor{s.extreme(-9, 9, 6, 5), {Shape: []int{5}, V: []int64{1, 1, 1, 1, 1}}}},
		"none": {circuit.Hint{Kind: 99}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, box := range [][]backend.Range{nil, {{Lo: 1, Hi: 4}, {Hi: 5}}, {{Hi: 1}, {Hi: 5}}, {{Lo: 5, Hi: 6}, {Hi: 5}}} {
				h.compare(t, ref, cand, box)
			}
		})
	}
}

// compare compares all results of the hint of a part of its first input.
func (h *hint) compare(t *testing.T, ref, cand backend.Program, box []backend.Range) {
	run := func(p backend.Program) (known, defined bool, out []*integer.Tensor) {
		asked := &backend.Hint{Kind: h.Kind.String(), Params: h.Params}
		for _, col := range h.table {
			asked.Table = append(asked.Table, p.Load(&integer.Tensor{Shape: []int{len(col)}, V: col}))
		}
		for i, v := range h.in {
			part := backend.Part{}
			if v != nil && v.High != nil {
				part.T = p.Zeros(v.Shape, true)
				p.Put(backend.Whole(part.T), &integer.Tensor{Shape: v.Shape, V: slices.Clone(v.V), High: slices.Clone(v.High)})
			} else if v != nil {
				part.T = p.Load(v)
			}
			if part.Box = box; box != nil && i > 0 {
				part.Box = box[1:]
			}
			asked.In = append(asked.In, part)
		}
		for i := range h.Out {
			shape, cut := []int{6, 5}, box
			if rows := int64(2); h.Kind == circuit.HintAttn && int64(i) < rows {
				if shape = shape[:1]; box != nil {
					cut = box[:1]
				}
			}
			asked.Out = append(asked.Out, backend.Part{T: p.Zeros(shape, false), Box: cut})
		}
		known, defined = p.Hint(asked)
		for _, part := range asked.Out {
			out = append(out, p.Cells(backend.Whole(part.T)))
		}
		return known, defined, out
	}
	wantKnown, wantDefined, want := run(ref)
	known, defined, got := run(cand)
	if !known {
		for _, v := range got {
			require.Equal(t, make([]int64, v.Len()), v.All(), "what is not known is not computed")
		}
		return
	}
	require.Equal(t, wantKnown, known)
	require.Equal(t, wantDefined, defined)
	if defined {
		for i := range want {
			require.Equal(t, want[i].All(), got[i].All(), "result %d", i)
		}
	}
}

// Lines are counted of tables that tell lines by one column, by two, or not densely, some of them twice, by parts of columns of 16 bits and more, one
// lookup at a time and several.
func counts(t *testing.T, s *Source, ref, cand backend.Program) {
	far := s.Ints(50, 40)
	for i, cols := range [][][]int64{
		{{-2, -1, 0, 1, 2, 3}}, {{0, 1, 2, 2, 1}, {7, 7, 7, 7, 7}}, {{0, 0, 1, 1}, {5, 6, 5, 6}, {1 << 40, -9, 0, 3}}, {far}, {far, s.Ints(50, 3)}, {{5}},
	} {
		load := func(p backend.Program) (table []backend.Tensor) {
			for _, c := range cols {
				table = append(table, p.Load(&integer.Tensor{Shape: []int{len(c)}, V: c}))
			}
			return table
		}
		a, b := ref.Counter(load(ref)), cand.Counter(load(cand))
		for _, n := range []int{1, 40, 20_000} {
			for _, wrong := range []int{-1, n / 2} {
				own := make([]*integer.Tensor, len(cols))
				for c := range own {
					own[c] = &integer.Tensor{Shape: []int{n, 2}, V: make([]int64, 2*n)}
				}
				for x := range 2 * n {
					line := s.Intn(len(cols[0]))
					for c := range own {
						own[c].V[x] = cols[c][line]
					}
				}
				if wrong >= 0 {
					k := n % len(cols)
					own[k].V[2*wrong] = []int64{1 << 50, cols[k][len(cols[k])-1] + 1}[n%3%2] // far away, or just behind a column that counts up
				}
				var xs, ys [][]backend.Part
				for _, box := range [][]backend.Range{nil, {{Hi: n}, {Lo: 1, Hi: 2}}, {{Lo: n / 3, Hi: n}, {Hi: 2}}, {{Hi: 1}, {Hi: 1}}} {
					var x, y []backend.Part
					for _, v := range own {
						x, y = append(x, backend.Part{T: ref.Load(v), Box: box}), append(y, backend.Part{T: cand.Load(short(v)), Box: box})
					}
					xs, ys = append(xs, x), append(ys, y)
				}
				for _, of := range [][2]int{{0, 1}, {1, 4}, {3, 4}, {0, 0}} { // alone, and several at a time, of which the last may be the one that is wrong
					lookup, cell := a.Count(xs[of[0]:of[1]])
					gotLookup, gotCell := b.Count(ys[of[0]:of[1]])
					require.Equal(t, []int{lookup, cell}, []int{gotLookup, gotCell}, "table %d, %d cells, parts %v", i, n, of)
				}
			}
		}
		require.Equal(t, ref.Cells(backend.Whole(a.Multiplicities())).All(), cand.Cells(backend.Whole(b.Multiplicities())).All(), "table %d", i)
	}
}

// Parts are read and written where they stand, also of wide tensors; cells that are not zero are found; what is settled has the same cells, in
// the run too; what is freed does not take others along.
func parts(t *testing.T, s *Source, ref, cand backend.Program) {
	for _, shape := range [][]int{{}, {1}, {7}, {3, 5}, {2, 3, 4}} {
		for _, wide := range []bool{false, true} {
			x, y := ref.Zeros(shape, wide), cand.Zeros(shape, wide)
			for range 10 {
				box, of := make([]backend.Range, len(shape)), make([]int, len(shape))
				for a, d := range shape {
					lo := s.Intn(d)
					hi := lo + 1 + s.Intn(d-lo)
					box[a], of[a] = backend.Range{Lo: lo, Hi: hi}, hi-lo
				}
				v := s.tensor(of, 62)
				if wide {
					v.High = s.Ints(v.Len(), 60)
				}
				ref.Put(backend.Part{T: x, Box: box}, v)
				cand.Put(backend.Part{T: y, Box: box}, v)
				for _, box := range [][]backend.Range{nil, box} {
					want, got := ref.Cells(backend.Part{T: x, Box: box}), cand.Cells(backend.Part{T: y, Box: box})
					require.Equal(t, want.Shape, got.Shape)
					require.Equal(t, want.All(), got.All())
					require.Equal(t, want.High, got.High)
					n, first := ref.Nonzero(backend.Part{T: x, Box: box})
					m, at := cand.Nonzero(backend.Part{T: y, Box: box})
					require.Equal(t, []int{n, first}, []int{m, at})
				}
			}
			n, first := cand.Nonzero(backend.Whole(cand.Zeros(shape, wide)))
			require.Equal(t, []int{0, -1}, []int{n, first})
		}
	}
	var settled []backend.Bounded
	var cells [][]int64
	keep := func(t *integer.Tensor, bound int64) {
		settled, cells = append(settled, backend.Bounded{T: cand.Load(t), Lo: -bound, Hi: bound}), append(cells, slices.Clone(t.V))
	}
	for _, bits := range []int{7, 15, 31, 50} {
		keep(s.tensor([]int{90}, bits), 1<<bits)
	}
	for _, edge := range []int64{1 << 15, 1 << 31} { // one cell decides how all are kept
		for _, v := range []int64{-edge, -edge - 1, edge - 1, edge} {
			keep(&integer.Tensor{Shape: []int{3}, V: []int64{1, v, -1}}, 1) // which is a lie
		}
	}
	freed := cand.Load(s.tensor([]int{90}, 9))
	cand.Written(append(settled[:1:1], backend.Bounded{T: freed, Hi: 1 << 9})...)
	cand.Free(freed, nil)
	cand.Settle(settled...)
	for i := range settled {
		require.Equal(t, cells[i], cand.Cells(backend.Whole(settled[i].T)).All())
	}
}
