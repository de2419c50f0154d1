package compiler

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	pb "github.com/zkllmc/zkllmc/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/ir/plan"
	"github.com/zkllmc/zkllmc/runtime/statement/function"
)

// givesExactly compares the outputs of a model with what wanted says of drawn inputs, exactly, and proves one.
func givesExactly(t *testing.T, m *pb.ModelProto, cfg Config, wanted func(in [][]float64) [][]float64) *Result {
	ctx := context.Background()
	r, err := compileFile(ctx, write(t, m), narrow(cfg))
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(11, 30))
	draw := func() (in [][]float64) {
		for _, p := range r.program.Float.Inputs {
			x := make([]float64, len(r.samples[0].Elements[len(in)]))
			for i := range x {
				x[i] = p.Lo + float64(rng.Int64N(int64(p.Hi-p.Lo)+1))
				if p.Kind == plan.Reals {
					x[i] += float64(rng.IntN(4)) / 4
					x[i] = min(x[i], p.Hi)
				}
			}
			in = append(in, x)
		}
		return in
	}
	for range 30 {
		in := draw()
		claim, err := r.claim(ctx, in)
		require.NoError(t, err)
		k := 0
		for i, want := range wanted(in) {
			for !r.Circuit.Ports[k].Out {
				k++
			}
			var got []float64
			for _, x := range claim.Statement.(*function.Statement).Ports[k] {
				got = append(got, function.Number(&r.Circuit.Ports[k], x))
			}
			require.Equal(t, want, got, "output %d (%s) of %v", i, r.Circuit.Ports[k].Name, in)
			k++
		}
	}
	lieAboutPorts(t, r)
	return r
}

const int32s = 6

// each2 applies a function to the cells of two tensors.
func each2(x, y []float64, f func(x, y float64) float64) []float64 {
	out := make([]float64, len(x))
	for i := range x {
		out[i] = f(x[i], y[i%len(y)])
	}
	return out
}

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Comparisons of integers, of more bits than a table has too, and of real numbers that inputs hold exactly; what is cast to booleans, chosen
// by them, and summed up along an axis, with all the digits of each.
func TestIntegersAreExact(t *testing.T) {
	inputs := []*pb.ValueInfoProto{port("k", int64sOf, 2, 3), port("n", int64sOf, 1, 3), port("x", float32s, 2, 3), port("y", float32s, 3)}
	nodes := []*pb.NodeProto{
		op("Mul", "k k", "kk"), op("Mul", "kk far", "kf"), op("Add", "kf k", "m"),
		op("Equal", "m n", "b0"), op("Greater", "m n", "b1"), op("GreaterOrEqual", "m n", "b2"), op("Less", "m n", "b3"), op("LessOrEqual", "m n", "b4"),
		op("Equal", "x y", "b5"), op("Greater", "x y", "b6"), op("GreaterOrEqual", "x y", "b7"), op("Less", "x y", "b8"), op("LessOrEqual", "x y", "b9"),
		op("Less", "m huge", "b10"), op("Cast", "k", "b11", intAttr("to", 9)), op("Sign", "m", "s"), op("Where", "b1 m most", "w"), op("Where", "b2 k n", "w1"), op("Gather", "six w1", "w2"), op("Where", "b11 x y", "v"),
		op("CumSum", "m axis", "c0", intAttr("exclusive", 1)), op("CumSum", "m axis", "c1", intAttr("reverse", 1)), op("Mul", "c0 n", "p"), op("CumSum", "x first", "c2"), op("Max", "m p", "larger"),
	}
	outputs := []string{"b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9", "b10", "b11", "s", "w", "w2", "v", "c0", "c1", "p", "c2", "larger"}
	m := portsModel(inputs, outputs, nodes, int64s("far", -9000), int64s("huge", 1<<62, 2, -1<<63), int64s("axis", -1), int64s("first", 0), int64s("most", 1<<31-1), int64s("six", 0, 1, 2, 3, -3, -2))
	cfg := Config{Ranges: map[string]Range{"k": {Lo: -3, Hi: 3}, "n": {Lo: -2, Hi: 3}, "x": {Lo: -2, Hi: 2}, "y": {Lo: -2, Hi: 2}}, PrivateInputs: []string{"k", "x"}, Public: []string{"huge", "six"}}
	r := givesExactly(t, m, cfg, func(in [][]float64) [][]float64 {
		m, n, x, y := each2(in[0], in[0], func(k, _ float64) float64 { return k - 9000*k*k }), in[1], in[2], in[3]
		var out [][]float64
		for _, v := range [][2][]float64{{m, n}, {x, y}} {
			for _, f := range []func(x, y float64) bool{
				func(x, y float64) bool { return x == y }, func(x, y float64) bool { return x > y }, func(x, y float64) bool { return x >= y },
				func(x, y float64) bool { return x < y }, func(x, y float64) bool { return x <= y },
			} {
				out = append(out, each2(v[0], v[1], func(x, y float64) float64 { return bit(f(x, y)) }))
			}
		}
		c0, c1, c2 := make([]float64, 6), make([]float64, 6), make([]float64, 6)
		for i := range c0 {
			for k := range m {
				if k/3 == i/3 && k < i {
					c0[i] += m[k]
				}
				if k/3 == i/3 && k >= i {
					c1[i] += m[k]
				}
				if k%3 == i%3 && k <= i {
					c2[i] += x[k]
				}
			}
		}
		below := each2(m, []float64{1 << 62, 2, -1 << 63}, func(x, y float64) float64 { return bit(x < y) })
		choose := each2(m, n, func(x, y float64) float64 {
			if x > y {
				return x
			}
			return 1<<31 - 1
		})
		six := each2(m, n, func(x, y float64) float64 { return y })
		for i := range six {
			if m[i] >= n[i%3] {
				six[i] = in[0][i]
			}
			six[i] = []float64{0, 1, 2, 3, -3, -2}[(int(six[i])+6)%6]
		}
		chosen := each2(x, y, func(x, _ float64) float64 { return x })
		for i := range chosen {
			if in[0][i] == 0 {
				chosen[i] = y[i%3]
			}
		}
		p := each2(c0, n, func(x, y float64) float64 { return x * y })
		sign := each2(m, n, func(x, _ float64) float64 { return bit(x > 0) - bit(x < 0) })
		return append(out, below, each2(in[0], n, func(x, _ float64) float64 { return bit(x != 0) }), sign, choose, six, chosen, c0, c1,
			p, c2, each2(m, p, math.Max))
	})
	require.Len(t, r.Notes, 1)
	require.Contains(t, r.Notes[0], `node "Equal_b5" (Equal) compares real numbers as the circuit holds them`)
}

// Integers that the compiler would round or not bound are refused.
func TestIntegersThatAreRefused(t *testing.T) {
	n := []*pb.ValueInfoProto{port("n", int64sOf, 2, 3)}
	for want, nodes := range map[string][]*pb.NodeProto{
		`node "Less_y" (Less): computes with the integers "list", which are private; make them public: --public list`: {op("Less", "n list", "y")},
		`node "CumSum_y" (CumSum): its integers may be anything in`:                                                   {op("Mul", "n thousand", "u"), op("Mul", "u thousand", "v"), op("CumSum", "v axis", "y")},
		`node "LogSoftmax_y" (LogSoftmax): `:                                                                          {op("LogSoftmax", "n", "y")}, // and not Softplus, which it is made of
	} {
		_, err := Analyse(context.Background(), write(t, portsModel(n, []string{"y"}, nodes, int64s("list", 5, 1, 4), int64s("thousand", 1000), int64s("axis", 1))), Config{Ranges: map[string]Range{"n": {Lo: 0, Hi: 1000}}})
		require.ErrorIs(t, err, ErrUnsupported)
		require.ErrorContains(t, err, want)
	}
}

// Integers that are computed choose cells, of axes of a few and of many, from the beginning and from the end; ids are numbers too, and index
// tables of different sizes.
func TestIntegersChoose(t *testing.T) {
	inputs := []*pb.ValueInfoProto{port("k", int64sOf, 2, 3), port("ids", int32s, 2, 2)}
	nodes := []*pb.NodeProto{
		op("Mul", "k k", "kk"), op("Mul", "kk seven", "kf"), op("Sub", "kf k", "m"), op("Sub", "m hundred", "back"),
		op("OneHot", "k four values", "h0"), op("OneHot", "m four values", "h1", intAttr("axis", 0)), op("OneHot", "k eight values", "h2", intAttr("axis", -2)),
		op("Gather", "row m", "g0"), op("Gather", "row back", "g1"), op("Gather", "columns k", "g2", intAttr("axis", 1)),
		op("Gather", "row ids", "i0"), op("Gather", "short ids", "i1"), op("Add", "ids i1", "i2"), op("Gather", "row i2", "i3"), op("Equal", "ids i1", "i4"),
	}
	row := make([]int64, 100)
	for i := range row {
		row[i] = int64(i*i%97 - 40)
	}
	at := func(x float64) float64 { return float64(row[(int(x)+100)%100]) }
	short := []float64{5, 0, 2}
	columns := &pb.TensorProto{Name: "columns", DataType: 7, Dims: []int64{2, 5}, Int64Data: []int64{1, 2, 3, 4, 5, -1, -2, -3, -4, -5}}
	one := func(name string, v int64) *pb.TensorProto {
		return &pb.TensorProto{Name: name, DataType: 7, Int64Data: []int64{v}}
	}
	m := portsModel(inputs, []string{"h0", "h1", "h2", "g0", "g1", "g2", "i0", "i3", "i4"}, nodes, int64s("row", row...), columns, int64s("short", 5, 0, 2),
		one("seven", 7), one("hundred", 97), one("four", 4), one("eight", 8), int64s("values", -3, 2))
	r := givesExactly(t, m, Config{Ranges: map[string]Range{"k": {Lo: -3, Hi: 3}}, PrivateInputs: []string{all}, Public: []string{"row", "columns", "short", "values"}}, func(in [][]float64) [][]float64 {
		k, ids := in[0], in[1]
		f := each2(k, k, func(k, _ float64) float64 { return 7*k*k - k })
		h0, h1, h2, g2 := make([]float64, 24), make([]float64, 24), make([]float64, 48), make([]float64, 12)
		hot := func(x float64, n, i int) float64 {
			if int(x) == i || int(x) == i-n {
				return 2
			}
			return -3
		}
		for c := range 6 {
			for i := range 4 {
				h0[4*c+i], h1[6*i+c] = hot(k[c], 4, i), hot(f[c], 4, i)
			}
			for i := range 8 {
				h2[24*(c/3)+3*i+c%3] = hot(k[c], 8, i)
			}
			for r := range 2 {
				g2[6*r+c] = float64(columns.Int64Data[5*r+(int(k[c])+5)%5])
			}
		}
		g0, i1 := each2(f, f, func(x, _ float64) float64 { return at(x) }), each2(ids, ids, func(x, _ float64) float64 { return short[int(x)] })
		return [][]float64{h0, h1, h2, g0, each2(f, f, func(x, _ float64) float64 { return at(x - 97) }), g2, each2(ids, ids, func(x, _ float64) float64 { return at(x) }),
			each2(ids, i1, func(x, y float64) float64 { return at(x + y) }), each2(ids, i1, func(x, y float64) float64 { return bit(x == y) })}
	})
	require.Equal(t, 3, r.Circuit.Ports[1].Vocab(), "the shorter table's rows")
	wrong := portsModel(inputs, []string{"g0"}, nodes[:9:9], int64s("row", row...), one("seven", 7), one("hundred", 97))
	_, err := Analyse(context.Background(), write(t, wrong), Config{Ranges: map[string]Range{"k": {Lo: -4, Hi: 3}}, Public: []string{"row"}, PrivateInputs: []string{all}})
	require.ErrorContains(t, err, `node "Gather_g0" (Gather): an index, computed from an input, may be anything in [-3, 116], and the axis has 100`)
}

// Positions that are counted behind padding are those of a language model, whose circuit is causal; counted from the end, they are not.
func TestComputedPositions(t *testing.T) {
	for _, reverse := range []int64{0, 1} {
		nodes := []*pb.NodeProto{
			op("Equal", "ids pad", "e"), op("Not", "e", "n"), op("Cast", "n", "c", intAttr("to", 6)), op("CumSum", "c axis", "s", intAttr("reverse", reverse)),
			op("Mul", "s c", "p"), op("Gather", "pos p", "q"), op("Add", "x q", "xq"), op("GatherElements", "types p", "type"), op("Gather", "pos type", "z"), op("Add", "xq z", "y"),
		}
		r := analysed(t, bigramModel(nodes, matrix("pos", 5, 3), &pb.TensorProto{Name: "pad", DataType: 7, Int64Data: []int64{2}}, int64s("axis", 0), int64s("types", 1, 1, 1, 1, 1))) // as many exports have a row of zeros
		require.Equal(t, reverse == 1, r.Circuit.Generation == nil)
		if reverse == 0 {
			require.False(t, readsAhead(t, r))
		}
		report, err := r.Check(context.Background(), randomInputs(r, 8))
		require.NoError(t, err)
		require.Less(t, report.MaxError, report.MaxLogit/256)
	}
}

// Division, remainders, powers and extrema of integers, of more bits than a table has too.
func TestIntegerArithmetic(t *testing.T) {
	inputs := []*pb.ValueInfoProto{port("k", int64sOf, 2, 3), port("n", int64sOf, 3), port("z", int64sOf, 3)}
	nodes := []*pb.NodeProto{
		op("Mul", "k far", "kf"), op("Mul", "kf n", "m"),
		op("Div", "m n", "d0"), op("Div", "m five", "d1"), op("Div", "k z", "d2"), op("Mod", "m z", "r0"), op("Mod", "k minus", "r1"), op("Mod", "m z", "r2", intAttr("fmod", 1)),
		op("Mod", "minus k1", "r3"), op("Pow", "k three", "p0"), op("Pow", "k n", "p1"), op("Pow", "k list", "p2"), op("Pow", "two n", "p3"),
		op("Min", "m k", "e0"), op("Max", "k one", "e1"), op("Abs", "m", "e2"), op("Clip", "m minus one", "e3"), op("Max", "m k one", "e4"),
		op("Add", "n n", "k1"), op("ReduceMax", "m", "e5", intAttr("keepdims", 0)),
	}
	// Operands stand before their use.
	nodes[18], nodes[8] = nodes[8], nodes[18]
	one := func(name string, v int64) *pb.TensorProto {
		return &pb.TensorProto{Name: name, DataType: 7, Int64Data: []int64{v}}
	}
	outputs := []string{"d0", "d1", "d2", "r0", "r1", "r2", "r3", "p0", "p1", "p2", "p3", "e0", "e1", "e2", "e3", "e4", "e5"}
	m := portsModel(inputs, outputs, nodes, one("far", 9001), one("five", -5), one("minus", -3), one("three", 3), one("two", 2), one("one", 1), int64s("list", 0, 1, 4))
	cfg := Config{Ranges: map[string]Range{"k": {Lo: -4, Hi: 4}, "n": {Lo: 1, Hi: 3}, "z": {Lo: -5, Hi: -2}}, PrivateInputs: []string{all}, Public: []string{"list"}}
	r := givesExactly(t, m, cfg, func(in [][]float64) [][]float64 {
		k, n, z := in[0], in[1], in[2]
		m := each2(k, n, func(k, n float64) float64 { return 9001 * k * n })
		quotient := func(x, y float64) float64 { return float64(int64(x) / int64(y)) }
		rest := func(x, y float64) float64 { return float64(int64(x) % int64(y)) }
		floor := func(x, y float64) float64 { return float64((int64(x)%int64(y) + int64(y)) % int64(y)) }
		by := func(x []float64, y float64, f func(x, y float64) float64) []float64 { return each2(x, []float64{y}, f) }
		k1 := each2(n, n, func(x, _ float64) float64 { return 2 * x })
		return [][]float64{each2(m, n, quotient), by(m, -5, quotient), each2(k, z, quotient), each2(m, z, floor), by(k, -3, floor), each2(m, z, rest),
			each2(k1, k1, func(y, _ float64) float64 { return floor(-3, y) }), by(k, 3, math.Pow), each2(k, n, math.Pow), each2(k, []float64{0, 1, 4}, math.Pow),
			each2(n, n, func(e, _ float64) float64 { return math.Pow(2, e) }), each2(m, k, func(x, y float64) float64 { return min(x, y) }), by(k, 1, func(x, y float64) float64 { return max(x, y) }),
			by(m, 0, func(x, _ float64) float64 { return math.Abs(x) }), by(m, 0, func(x, _ float64) float64 { return min(max(x, -3), 1) }),
			each2(m, k, func(x, y float64) float64 { return max(x, y, 1) }), {slices.Max(m)}}
	})
	require.Empty(t, r.Notes)
}

// Orders of integers and of real numbers, with ties, and what is moved by their indices.
func TestOrders(t *testing.T) {
	inputs := []*pb.ValueInfoProto{port("k", int64sOf, 2, 4), port("x", float32s, 2, 4)}
	top := func(in, out string, attrs ...*pb.AttributeProto) *pb.NodeProto {
		n := op("TopK", in, out+"v "+out+"i", attrs...)
		return n
	}
	nodes := []*pb.NodeProto{
		top("k two", "a"), top("k two", "b", intAttr("largest", 0), intAttr("axis", 0)), top("x three", "c", intAttr("axis", 1)),
		op("ArgMax", "k", "m0", intAttr("axis", 1), intAttr("select_last_index", 1)), op("ArgMin", "k", "m1", intAttr("axis", -1), intAttr("keepdims", 0)),
		op("ArgMin", "x", "m2", intAttr("axis", 0), intAttr("select_last_index", 1)), op("ArgMax", "x", "m3", intAttr("axis", 1)), op("Add", "m3 m0", "m4"),
		op("GatherElements", "k ci", "g", intAttr("axis", 1)), op("Mul", "k zero", "z"), op("ScatterElements", "z ai av", "s", intAttr("axis", 1)),
		op("ScatterElements", "k ci ci", "s2", intAttr("axis", 1), &pb.AttributeProto{Name: "reduction", Type: 3, S: []byte("add")}),
	}
	m := portsModel(inputs, []string{"av", "ai", "bv", "bi", "cv", "m0", "m1", "m2", "m4", "g", "s", "s2"}, nodes, int64s("two", 2), int64s("three", 3), int64s("zero", 0))
	r := givesExactly(t, m, Config{Ranges: map[string]Range{"k": {Lo: -2, Hi: 2}, "x": {Lo: -2, Hi: 2}}, PrivateInputs: []string{all}}, func(in [][]float64) [][]float64 {
		k, x := in[0], in[1]
		row := func(v []float64, r int) []float64 { return v[4*r : 4*r+4] }
		order := func(v []float64, before func(a, b float64) bool, last bool) []int { // the indices of v in order
			at := []int{0, 1, 2, 3}[:len(v)]
			slices.SortFunc(at, func(i, j int) int {
				switch {
				case before(v[i], v[j]):
					return -1
				case before(v[j], v[i]):
					return 1
				case last:
					return j - i
				}
				return i - j
			})
			return at
		}
		above, below := func(a, b float64) bool { return a > b }, func(a, b float64) bool { return a < b }
		var av, ai, cv, m0, m1, m4, g []float64
		bv, bi, m2 := make([]float64, 8), make([]float64, 8), make([]float64, 4)
		s, s2 := make([]float64, 8), slices.Clone(k)
		for r := range 2 {
			for _, i := range order(row(k, r), above, false)[:2] {
				av, ai, s[4*r+i] = append(av, row(k, r)[i]), append(ai, float64(i)), row(k, r)[i]
			}
			for _, i := range order(row(x, r), above, false)[:3] {
				cv, g, s2[4*r+i] = append(cv, row(x, r)[i]), append(g, row(k, r)[i]), k[4*r+i]+float64(i)
			}
			m0 = append(m0, float64(order(row(k, r), above, true)[0]))
			m1 = append(m1, float64(order(row(k, r), below, false)[0]))
			m4 = append(m4, float64(order(row(x, r), above, false)[0])+m0[r])
		}
		for c := range 4 {
			for r, i := range order([]float64{k[c], k[4+c]}, below, false) {
				bv[4*r+c], bi[4*r+c] = k[4*i+c], float64(i)
			}
			m2[c] = float64(order([]float64{x[c], x[4+c]}, below, true)[0])
		}
		return [][]float64{av, ai, bv, bi, cv, m0, m1, m2, m4, g, s, s2}
	})
	require.Len(t, r.Notes, 2)
}

// Orders of real numbers of which a condition puts some at −∞, behind all others and before each other by their indices; fewer may be left
// than are asked for.
func TestMaskedOrders(t *testing.T) {
	inputs := []*pb.ValueInfoProto{port("x", float32s, 2, 4), port("bits", int64sOf, 2, 4)}
	nodes := []*pb.NodeProto{
		op("Cast", "bits", "c", intAttr("to", 9)), op("Where", "c hide x", "w"), op("TopK", "w three", "wv a"),
		op("TopK", "w two", "uv b", intAttr("largest", 0), intAttr("axis", 0)), op("Where", "c x hide", "w2"), op("TopK", "w2 three", "w2v d"),
	}
	m := portsModel(inputs, []string{"a", "b", "d"}, nodes, int64s("two", 2), int64s("three", 3), &pb.TensorProto{Name: "hide", DataType: 1, FloatData: []float32{float32(math.Inf(-1))}})
	cfg := Config{Ranges: map[string]Range{"x": {Lo: -2, Hi: 2}, "bits": {Lo: 0, Hi: 1}}, PrivateInputs: []string{all}}
	givesExactly(t, m, cfg, func(in [][]float64) [][]float64 {
		first := func(v []float64, sign float64, k int) (at []float64) { // the indices of the k greatest
			order := []int{0, 1, 2, 3}[:len(v)]
			slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(sign*v[j], sign*v[i]) })
			for _, i := range order[:k] {
				at = append(at, float64(i))
			}
			return at
		}
		hidden := func(bit float64) []float64 {
			return each2(in[0], in[1], func(x, b float64) float64 {
				if b == bit {
					return math.Inf(-1)
				}
				return x
			})
		}
		w, w2, b := hidden(1), hidden(0), make([]float64, 8)
		for c := range 4 {
			for r, i := range first([]float64{w[c], w[4+c]}, -1, 2) {
				b[4*r+c] = i
			}
		}
		return [][]float64{append(first(w[:4], 1, 3), first(w[4:], 1, 3)...), b, append(first(w2[:4], 1, 3), first(w2[4:], 1, 3)...)}
	})
	// Who takes the values has to see −∞.
	_, err := Analyse(t.Context(), write(t, portsModel(inputs, []string{"wv"}, nodes[:3], m.Graph.Initializer...)), cfg)
	require.ErrorContains(t, err, "which only a softmax makes nothing of")
}

// GatherND by computed indices: the last position of each text that is no padding.
func TestLastPositions(t *testing.T) {
	inputs := []*pb.ValueInfoProto{port("mask", int64sOf, 2, 3), port("x", int64sOf, 2, 3, 2)}
	nodes := []*pb.NodeProto{
		op("ReduceSum", "mask last", "s", intAttr("keepdims", 0)), op("Sub", "s one", "end"), op("Unsqueeze", "end last", "e"), op("Range", "from two by", "r"), op("Unsqueeze", "r last", "batch"),
		op("Concat", "batch e", "at", intAttr("axis", 1)), op("GatherND", "x at", "y"), op("Concat", "e e", "both", intAttr("axis", -1)), op("GatherND", "square both", "z"),
	}
	scalar := func(name string, v int64) *pb.TensorProto {
		return &pb.TensorProto{Name: name, DataType: 7, Int64Data: []int64{v}}
	}
	m := portsModel(inputs, []string{"y", "z"}, nodes, int64s("last", -1), int64s("one", 1), scalar("from", 0), scalar("two", 2), scalar("by", 1), &pb.TensorProto{Name: "square", DataType: 7, Dims: []int64{3, 3}, Int64Data: []int64{1, 2, 3, 4, 5, 6, 7, 8, 9}})
	givesExactly(t, m, Config{Ranges: map[string]Range{"mask": {Lo: 0, Hi: 1}, "x": {Lo: -9, Hi: 9}}, PrivateInputs: []string{all}, Public: []string{"square"}}, func(in [][]float64) [][]float64 {
		var y, z []float64
		for b := range 2 {
			end := (int(in[0][3*b]+in[0][3*b+1]+in[0][3*b+2]) - 1 + 3) % 3
			y, z = append(y, in[1][6*b+2*end:6*b+2*end+2]...), append(z, float64(4*end+1))
		}
		return [][]float64{y, z}
	})
}

// Inputs of narrow types are integers within them; one of real numbers that is cast to integers takes whole ones.
func TestNarrowInputs(t *testing.T) {
	const uint8s, int8s = 2, 3
	inputs := []*pb.ValueInfoProto{port("i", int8s, 2), port("u", uint8s, 2), port("f", float32s, 2), port("g", float32s, 2), port("x", float32s, 2)}
	nodes := []*pb.NodeProto{
		op("Add", "i i", "a"), op("Max", "i ten", "b"), op("Cast", "u", "v", intAttr("to", 7)), op("Sub", "v w", "c"),
		op("Cast", "f", "w0", intAttr("to", 6)), op("Cast", "w0", "w", intAttr("to", 7)), op("Gather", "row w", "d"), op("Cast", "g", "e", intAttr("to", 7)), op("Mod", "e three", "h"),
		op("Add", "x half", "x1"), op("Cast", "x1", "x2", intAttr("to", 7)), op("Equal", "x2 three", "o"), op("Less", "x2 e", "q"), op("OneHot", "g four pair", "hot"),
		op("Add", "v zero", "v0"), op("Cast", "v0", "v8", intAttr("to", int8s)), op("Sub", "u hundred", "us"), op("Mul", "u fifty", "um"),
	}
	nodes[3], nodes[5] = nodes[5], nodes[3] // w before c, which takes f for a number before it is seen to index row
	nodes[3], nodes[4] = nodes[4], nodes[3]
	nodes = append([]*pb.NodeProto{op("Identity", "row0", "row")}, nodes...)
	one := func(name string, elements int32, v int32) *pb.TensorProto {
		return &pb.TensorProto{Name: name, DataType: elements, Int32Data: []int32{v}}
	}
	m := portsModel(inputs, []string{"a", "b", "c", "d", "h", "o", "q", "hot", "v8", "us", "um"}, nodes, one("ten", int8s, 10), &pb.TensorProto{Name: "three", DataType: 7, Int64Data: []int64{3}}, int64s("row0", 9, -8, 7), scalarOf("half", 0.5), scalarOf("four", 4), int64s("pair", 0, 1), one("hundred", uint8s, 100), one("fifty", uint8s, 50), int64s("zero", 0))
	ranges := map[string]Range{"i": {Lo: -100, Hi: 100}, "u": {Lo: 0, Hi: 255}, "g": {Lo: -4.5, Hi: 4.5}, "x": {Lo: -4, Hi: 4}}
	cfg := Config{Ranges: ranges, PrivateInputs: []string{all}, Public: []string{"row0", "pair"}}
	r := givesExactly(t, m, cfg, func(in [][]float64) [][]float64 {
		i, u, f, g := in[0], in[1], in[2], in[3]
		x := each2(in[4], in[4], func(x, _ float64) float64 { return math.Trunc(x + 0.5) })
		row := []float64{9, -8, 7}
		hot := make([]float64, 8)
		for k, x := range g {
			if x < 4 {
				hot[4*k+(int(x)+4)%4] = 1
			}
		}
		return [][]float64{each2(i, i, func(x, _ float64) float64 { return float64(int8(2 * int(x))) }), each2(i, i, func(x, _ float64) float64 { return max(x, 10) }),
			each2(u, f, func(x, y float64) float64 { return x - y }), {row[int(f[0])], row[int(f[1])]}, each2(g, g, func(x, _ float64) float64 { return float64((int(x) + 6) % 3) }),
			each2(x, x, func(x, _ float64) float64 { return bit(x == 3) }), each2(x, g, func(x, y float64) float64 { return bit(x < y) }), hot, each2(u, u, func(x, _ float64) float64 { return float64(int8(int(x))) }), each2(u, u, func(x, _ float64) float64 { return float64(uint8(int(x) - 100)) }), each2(u, u, func(x, _ float64) float64 { return float64(uint8(int(x) * 50)) })}
	})
	require.Equal(t, []string{`the input "f" of real numbers is cast to integers: it takes whole numbers`, `the input "g" of real numbers is cast to integers: it takes whole numbers`}, r.Notes[:2])
	ranges["i"] = Range{Lo: 0, Hi: 200}
	_, err := Analyse(context.Background(), write(t, m), cfg)
	require.ErrorContains(t, err, `"i" (input): its range [0, 200] is beyond int8`)
}

// What is added up where computed indices say wraps around as the type does.
func TestScatteredIntegersWrap(t *testing.T) {
	inputs := []*pb.ValueInfoProto{port("u", 2, 3), port("k", int64sOf, 3)}
	scatter := op("ScatterElements", "u kk u", "y", intAttr("axis", 0), &pb.AttributeProto{Name: "reduction", Type: 3, S: []byte("add")})
	m := portsModel(inputs, []string{"y"}, []*pb.NodeProto{op("Mod", "k three", "kk"), scatter}, &pb.TensorProto{Name: "three", DataType: 7, Int64Data: []int64{3}})
	givesExactly(t, m, Config{Ranges: map[string]Range{"u": {Lo: 0, Hi: 255}, "k": {Lo: 0, Hi: 8}}, PrivateInputs: []string{all}}, func(in [][]float64) [][]float64 {
		y := slices.Clone(in[0])
		for j, k := range in[1] {
			y[int(k)%3] += in[0][j]
		}
		for i, v := range y {
			y[i] = float64(uint8(int(v)))
		}
		return [][]float64{y}
	})
}

// A model that counts its positions is compiled for several lengths at once: what they may be differs, how a row is chosen does not.
func TestComputedPositionsAtLengths(t *testing.T) {
	m := bigramModel([]*pb.NodeProto{
		op("Equal", "ids pad", "e"), op("Not", "e", "n"), op("Cast", "n", "c", intAttr("to", 6)), op("CumSum", "c axis", "s"),
		op("Mul", "s c", "p"), op("Gather", "pos p", "q"), op("Add", "x q", "y"),
	}, matrix("pos", 20, 3), &pb.TensorProto{Name: "pad", DataType: 7, Int64Data: []int64{2}}, int64s("axis", 0))
	m.Graph.Input[0].Type.GetTensorType().Shape.Dim[0].Value = &pb.TensorShapeProto_Dimension_DimParam{DimParam: "length"}
	r, err := compileFile(context.Background(), write(t, m), narrow(Config{Lengths: []int{3, 7, 18}}))
	require.NoError(t, err)
	report, err := r.Check(context.Background(), nil) // and compares the lengths
	require.NoError(t, err)
	require.NoError(t, report.Err())
}

// Scalars and axes of one cell are integers like others.
func TestScalarsAreIntegers(t *testing.T) {
	inputs := []*pb.ValueInfoProto{port("k", int64sOf), port("v", int64sOf, 4), port("w", int64sOf, 1)}
	nodes := []*pb.NodeProto{
		op("Add", "k k", "kk"), op("Equal", "k v", "e"), op("Gather", "v kk", "g"), op("OneHot", "kk four pair", "h"), op("ArgMax", "v", "a", intAttr("keepdims", 0), intAttr("select_last_index", 1)),
		op("Mul", "a k", "ak"), op("CumSum", "w last", "c0"), op("Add", "c0 c0", "c"), op("ArgMin", "w", "b0"), op("Sub", "b0 w", "b"), op("TopK", "w one", "tw ti"), op("Mul", "tw three", "tv"), op("GatherElements", "v ti", "ge"), op("Mod", "v three", "r"), op("Div", "k three", "d"),
		op("Max", "k w", "m"), op("Pow", "w k", "p"), op("Sub", "v k", "vk"), op("Greater", "vk k", "gt"), op("Where", "gt v k", "x"),
	}
	one := func(name string, v int64) *pb.TensorProto {
		return &pb.TensorProto{Name: name, DataType: 7, Int64Data: []int64{v}}
	}
	m := portsModel(inputs, []string{"e", "g", "h", "ak", "c", "b", "tv", "ge", "r", "d", "m", "p", "x"}, nodes, one("four", 4), int64s("pair", 0, 1), one("last", -1), int64s("one", 1), one("three", 3))
	givesExactly(t, m, Config{Ranges: map[string]Range{"k": {Lo: 0, Hi: 1}, "v": {Lo: -2, Hi: 2}, "w": {Lo: -3, Hi: 3}}, PrivateInputs: []string{all}, Public: []string{"pair"}}, func(in [][]float64) [][]float64 {
		k, v, w := in[0], in[1], in[2]
		e := each2(v, k, func(x, y float64) float64 { return bit(x == y) })
		hot := make([]float64, 4)
		hot[int(2*k[0])] = 1
		last := 0
		for i := range v {
			if v[i] >= v[last] {
				last = i
			}
		}
		x := each2(v, k, func(x, k float64) float64 {
			if x-k > k {
				return x
			}
			return k
		})
		return [][]float64{e, {v[int(2*k[0])]}, hot, {float64(last) * k[0]}, {2 * w[0]}, {-w[0]}, {3 * w[0]}, {v[0]}, each2(v, v, func(x, _ float64) float64 { return float64((int(x) + 3) % 3) }), {0},
			{max(k[0], w[0])}, {math.Pow(w[0], k[0])}, x}
	})
}

// Outputs that turn out to be one are refused as those that are one in the file.
func TestOutputsThatAreOne(t *testing.T) {
	m := portsModel([]*pb.ValueInfoProto{port("w", int64sOf, 1)}, []string{"c", "v"}, []*pb.NodeProto{op("CumSum", "w first", "c"), op("ReduceSum", "w first", "v")}, int64s("first", 0))
	_, err := Analyse(context.Background(), write(t, m), Config{Ranges: map[string]Range{"w": {Lo: 0, Hi: 3}}, PrivateInputs: []string{all}})
	require.ErrorIs(t, err, ErrUnsupported)
	require.ErrorContains(t, err, `"v" (output): tells of the same cells as the output "c"`)
}

// A remainder of real numbers is right where the divisor fits without a rest, too, which a rounded quotient misses.
func TestRemainderOfReals(t *testing.T) {
	inputs := []*pb.ValueInfoProto{port("x", float32s, 6), port("y", float32s, 6)}
	m := portsModel(inputs, []string{"r"}, []*pb.NodeProto{op("Mod", "x y", "r", intAttr("fmod", 1))})
	samples := []Input{{Elements: []Data{{Values: []float64{6, -6, 5.5, 7, -7.25, 1}}, {Values: []float64{3, 1.5, -0.5, 3.5, 2, 3}}}}}
	r, err := compileFile(context.Background(), write(t, m), Config{Calibrate: samples, PrivateInputs: []string{all}})
	require.NoError(t, err)
	in, err := r.claim(context.Background(), [][]float64{samples[0].Elements[0].Values, samples[0].Elements[1].Values})
	require.NoError(t, err)
	p := len(r.Circuit.Ports) - 1
	for i, want := range []float64{0, 0, 0, 0, -1.25, 1} {
		require.InDelta(t, want, function.Number(&r.Circuit.Ports[p], in.Statement.(*function.Statement).Ports[p][i]), 1e-3, "%d", i)
	}
	require.NoError(t, r.Prove(context.Background()))
}
