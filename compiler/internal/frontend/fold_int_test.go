package frontend

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// folded computes one operator on constants.
func folded(op string, attrs []*onnx.Attr, in ...*onnx.Tensor) (*onnx.Tensor, error) {
	b := &builder{g: &ir.Graph{}, left: newPurse(&onnx.Model{Graph: &onnx.Graph{}}, Options{})}
	c := &call{b: b, n: &onnx.Node{Name: "n", Op: op, Attrs: attrs}, s: &scope{vals: map[string]*val{}}}
	for _, t := range in {
		c.in = append(c.in, constant("", t))
	}
	ts, err := c.run(folders[op], in)
	if err != nil {
		return nil, err
	}
	return ts[0], nil
}

// vector is a tensor of one axis, of reals where the type is one of those.
func vector(d onnx.DType, cells ...float64) *onnx.Tensor {
	if d.IsFloat() {
		return &onnx.Tensor{DType: d, Shape: []int{len(cells)}, F: cells}
	}
	t := &onnx.Tensor{DType: d, Shape: []int{len(cells)}}
	for _, x := range cells {
		t.I = append(t.I, int64(x))
	}
	return t
}

func integerVector(d onnx.DType, cells ...int64) *onnx.Tensor {
	return &onnx.Tensor{DType: d, Shape: []int{len(cells)}, I: cells}
}

func to(d onnx.DType) []*onnx.Attr { return []*onnx.Attr{{Name: "to", I: int64(d)}} }

// TestCast has the values that onnxruntime gives: integers wrap around, real numbers are rounded to the nearest, to even where two are
// as near, and lose their fraction on the way to integers.
func TestCast(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		from, to onnx.DType
		in, want []float64
	}{
		{onnx.Int64, onnx.Uint8, []float64{300, -1, 256, 255}, []float64{44, 255, 0, 255}},
		{onnx.Int64, onnx.Int8, []float64{200, 128, 127, -129}, []float64{-56, -128, 127, 127}},
		{onnx.Int32, onnx.Int16, []float64{40000, -32769}, []float64{-25536, 32767}},
		{onnx.Int32, onnx.Uint16, []float64{70000, -1}, []float64{4464, 65535}},
		{onnx.Int64, onnx.Int32, []float64{3e9, -3e9, 1 << 32}, []float64{-1294967296, 1294967296, 0}},
		{onnx.Int64, onnx.Uint32, []float64{-1, 1<<32 + 5}, []float64{4294967295, 5}},
		{onnx.Int64, onnx.Bool, []float64{2, -1, 0, 1 << 40}, []float64{1, 1, 0, 1}},
		{onnx.Uint8, onnx.Int8, []float64{200}, []float64{-56}},
		{onnx.Int8, onnx.Uint64, []float64{-1}, []float64{-1}}, // the bits of 2^64 − 1
		{onnx.Uint64, onnx.Float32, []float64{-1}, []float64{1 << 64}},
		{onnx.Int64, onnx.Float32, []float64{16777217, 16777219, 5}, []float64{16777216, 16777220, 5}},
		{onnx.Int64, onnx.Float16, []float64{2049, 2051, 65519, 65520, -70000}, []float64{2048, 2052, 65504, inf, -inf}},
		{onnx.Int64, onnx.BFloat16, []float64{257, 259, 300}, []float64{256, 260, 300}},
		{onnx.Float32, onnx.Float16, []float64{0x1p-24, 0x1p-25, 0x3p-25, 1 + 0x1p-11, 1 + 0x3p-11, -1e9, 0.1}, []float64{0x1p-24, 0, 0x1p-23, 1, 1 + 0x1p-9, -inf, 0.0999755859375}},
		{onnx.Float32, onnx.BFloat16, []float64{1 + 0x1p-8, 1 + 0x3p-8, math.MaxFloat32, 0.1}, []float64{1, 1 + 0x1p-6, inf, 0.10009765625}},
		{onnx.Float64, onnx.Float32, []float64{0.1, 1e39}, []float64{float64(float32(0.1)), inf}},
		{onnx.Float64, onnx.Float16, []float64{1 + 0x1p-11 + 0x1p-40}, []float64{1}}, // through float32
		{onnx.Float32, onnx.Float64, []float64{0.5}, []float64{0.5}},
		{onnx.Float32, onnx.Int64, []float64{2.9, -2.9, -0.5}, []float64{2, -2, 0}},
		{onnx.Float32, onnx.Int8, []float64{127.9, -128.9}, []float64{127, -128}},
		{onnx.Float32, onnx.Uint8, []float64{-0.9, 255.5}, []float64{0, 255}},
		{onnx.Float32, onnx.Bool, []float64{0.1, 0, math.NaN(), math.Copysign(0, -1)}, []float64{1, 0, 1, 0}},
		{onnx.Bool, onnx.Float16, []float64{1, 0}, []float64{1, 0}},
	} {
		for _, op := range []string{"Cast", "CastLike"} {
			in, attrs := []*onnx.Tensor{vector(c.from, c.in...)}, to(c.to)
			if op == "CastLike" {
				in, attrs = append(in, vector(c.to, 0)), nil
			}
			got, err := folded(op, attrs, in...)
			if want := vector(c.to, c.want...); err != nil || got.DType != c.to || fmt.Sprint(got.I, got.F) != fmt.Sprint(want.I, want.F) {
				t.Errorf("%s of %s %v to %s: %v, %v, want %v", op, c.from, c.in, c.to, got, err, c.want)
			}
		}
	}
}

// TestCastRefused has casts whose result runtimes do not agree on, or to types that the compiler does not know.
func TestCastRefused(t *testing.T) {
	for _, c := range []struct {
		from, to onnx.DType
		x        float64
	}{
		{onnx.Float32, onnx.Int8, 128}, {onnx.Float32, onnx.Uint8, -1}, {onnx.Float32, onnx.Int64, math.NaN()}, {onnx.Float32, onnx.Int64, math.Inf(1)}, {onnx.Float32, onnx.Int32, math.Inf(-1)},
		{onnx.Float64, onnx.Int64, 1 << 63}, {onnx.Float64, onnx.Uint64, 1 << 64}, {onnx.Float32, onnx.Uint64, -1},
		{onnx.Float32, 17, 1}, {onnx.Int64, 23, 1}, {onnx.Float32, onnx.Int4, 8}, {onnx.Float32, 8, 1}, {onnx.Float32, 99, 1},
	} {
		_, err := folded("Cast", to(c.to), vector(c.from, c.x))
		var u *Unsupported
		if !errors.As(err, &u) || u.Node != "n" || u.Op != "Cast" {
			t.Errorf("%g to %s: %v", c.x, c.to, err)
		}
	}
}

// TestIntegers computes integers that leave their type, or that double precision does not hold.
func TestIntegers(t *testing.T) {
	const big = 1<<53 + 1
	i64, i32, i8, u8, u64 := onnx.Int64, onnx.Int32, onnx.Int8, onnx.Uint8, onnx.Uint64
	fmod := []*onnx.Attr{{Name: "fmod", I: 1}}
	for _, c := range []struct {
		op    string
		attrs []*onnx.Attr
		in    []*onnx.Tensor
		want  *onnx.Tensor
	}{
		{"Add", nil, []*onnx.Tensor{integerVector(i8, 100, -100), integerVector(i8, 100, -100)}, integerVector(i8, -56, 56)},
		{"Sub", nil, []*onnx.Tensor{integerVector(u8, 3), integerVector(u8, 5)}, integerVector(u8, 254)},
		{"Mul", nil, []*onnx.Tensor{integerVector(i32, 65536, 65537), integerVector(i32, 65536, 65537)}, integerVector(i32, 0, 131073)},
		{"Sum", nil, []*onnx.Tensor{integerVector(u8, 200), integerVector(u8, 200), integerVector(u8, 200)}, integerVector(u8, 88)},
		{"Add", nil, []*onnx.Tensor{integerVector(i64, math.MaxInt64), integerVector(i64, 1)}, integerVector(i64, math.MinInt64)},
		{"Div", nil, []*onnx.Tensor{integerVector(i64, -7, big), integerVector(i64, 2, 1)}, integerVector(i64, -3, big)},
		{"Div", nil, []*onnx.Tensor{integerVector(u64, -1), integerVector(u64, 2)}, integerVector(u64, math.MaxInt64)},
		{"Mod", nil, []*onnx.Tensor{integerVector(i64, -7, 7, big), integerVector(i64, 3, -3, 10)}, integerVector(i64, 2, -2, big%10)},
		{"Mod", fmod, []*onnx.Tensor{integerVector(i64, -7, 7), integerVector(i64, 3, -3)}, integerVector(i64, -1, 1)},
		{"Min", nil, []*onnx.Tensor{integerVector(i64, big), integerVector(i64, big+1)}, integerVector(i64, big)},
		{"Max", nil, []*onnx.Tensor{integerVector(u64, -1), integerVector(u64, 1)}, integerVector(u64, -1)},
		{"Neg", nil, []*onnx.Tensor{integerVector(i64, big, math.MinInt64)}, integerVector(i64, -big, math.MinInt64)},
		{"Neg", nil, []*onnx.Tensor{integerVector(i8, -128, 5)}, integerVector(i8, -128, -5)},
		{"Abs", nil, []*onnx.Tensor{integerVector(i64, -big)}, integerVector(i64, big)},
		{"Sign", nil, []*onnx.Tensor{integerVector(u64, -1, 0)}, integerVector(u64, 1, 0)},
		{"Clip", nil, []*onnx.Tensor{integerVector(i64, -1, big, 1<<60), {DType: i64, I: []int64{0}}, {DType: i64, I: []int64{big}}}, integerVector(i64, 0, big, big)},
		{"Clip", []*onnx.Attr{{Name: "min", F: -1}, {Name: "max", F: 2}}, []*onnx.Tensor{vector(onnx.Float32, -5, 0, 5)}, vector(onnx.Float32, -1, 0, 2)},
		{"Equal", nil, []*onnx.Tensor{integerVector(i64, math.MaxInt64, 3), integerVector(i64, math.MaxInt64-1, 3)}, integerVector(onnx.Bool, 0, 1)},
		{"Less", nil, []*onnx.Tensor{integerVector(i64, big-1), integerVector(i64, big)}, integerVector(onnx.Bool, 1)},
		{"GreaterOrEqual", nil, []*onnx.Tensor{integerVector(u64, -1), integerVector(u64, 1)}, integerVector(onnx.Bool, 1)},
		{"LessOrEqual", nil, []*onnx.Tensor{vector(onnx.Float32, math.NaN(), 1), vector(onnx.Float32, 1, 1)}, integerVector(onnx.Bool, 0, 1)},
		{"Pow", nil, []*onnx.Tensor{integerVector(i64, 3, 2), integerVector(i64, 2, -1)}, integerVector(i64, 9, 0)},
		{"ReduceSum", nil, []*onnx.Tensor{integerVector(i32, math.MaxInt32, 1)}, integerVector(i32, math.MinInt32)},
		{"ReduceProd", nil, []*onnx.Tensor{integerVector(i32, 65536, 65536)}, integerVector(i32, 0)},
		{"ReduceMean", nil, []*onnx.Tensor{integerVector(i64, 1, 1, 1)}, integerVector(i64, 1)},
		{"ReduceMean", nil, []*onnx.Tensor{integerVector(i64, -2, -2, -3)}, integerVector(i64, -2)},
		{"ReduceMax", nil, []*onnx.Tensor{integerVector(i64, big, big-1)}, integerVector(i64, big)},
		{"ReduceMin", nil, []*onnx.Tensor{integerVector(i64, -big, -big+1)}, integerVector(i64, -big)},
		{"CumSum", nil, []*onnx.Tensor{integerVector(i32, math.MaxInt32, 1, 1), {DType: i64, I: []int64{0}}}, integerVector(i32, math.MaxInt32, math.MinInt32, math.MinInt32+1)},
		{"Cast", to(i64), []*onnx.Tensor{vector(onnx.Float32, math.Inf(-1), -1e30, -2.5)}, integerVector(i64, math.MinInt64, math.MinInt64, -2)},
		{"CumSum", []*onnx.Attr{{Name: "exclusive", I: 1}}, []*onnx.Tensor{integerVector(i64, 5, 6, 7), {DType: i64, I: []int64{-1}}}, integerVector(i64, 0, 5, 11)},
		{"CumSum", []*onnx.Attr{{Name: "reverse", I: 1}}, []*onnx.Tensor{vector(onnx.Float32, 5, 6, 7), {DType: i64, I: []int64{0}}}, vector(onnx.Float32, 18, 13, 7)},
		{"CumSum", []*onnx.Attr{{Name: "reverse", I: 1}, {Name: "exclusive", I: 1}}, []*onnx.Tensor{integerVector(i64, 5, 6, 7), {DType: i64, I: []int64{0}}}, integerVector(i64, 13, 7, 0)},
		{"Range", nil, []*onnx.Tensor{{DType: i64, I: []int64{big - 4}}, {DType: i64, I: []int64{big - 2}}, {DType: i64, I: []int64{1}}}, integerVector(i64, big-4, big-3)},
		{"MatMul", nil, []*onnx.Tensor{{DType: i64, Shape: []int{1, 2}, I: []int64{big, 1}}, {DType: i64, Shape: []int{2, 1}, I: []int64{1, 0}}}, &onnx.Tensor{DType: i64, Shape: []int{1, 1}, I: []int64{big}}},
		{"MatMul", nil, []*onnx.Tensor{{DType: i32, Shape: []int{1, 1}, I: []int64{65536}}, {DType: i32, Shape: []int{1, 1}, I: []int64{32768}}}, &onnx.Tensor{DType: i32, Shape: []int{1, 1}, I: []int64{math.MinInt32}}},
		{"Not", nil, []*onnx.Tensor{integerVector(onnx.Bool, 0, 1)}, integerVector(onnx.Bool, 1, 0)},
		{"Xor", nil, []*onnx.Tensor{integerVector(onnx.Bool, 0, 1), integerVector(onnx.Bool, 1, 1)}, integerVector(onnx.Bool, 1, 0)},
	} {
		got, err := folded(c.op, c.attrs, c.in...)
		if err != nil || got.DType != c.want.DType || fmt.Sprint(got.I, got.F) != fmt.Sprint(c.want.I, c.want.F) {
			t.Errorf("%s of %v: %v, %v, want %v", c.op, c.in, got, err, c.want)
		}
	}
	for name, in := range map[string][]*onnx.Tensor{
		"Pow": {integerVector(i64, 10), integerVector(i64, 20)}, "Div": {integerVector(i64, math.MinInt64), integerVector(i64, -1)},
		"Mod": {integerVector(i8, -128), integerVector(i8, -1)}, "Sqrt": {integerVector(i64, 4)}, "And": {integerVector(i64, 1), integerVector(i64, 1)},
		"Not": {integerVector(i64, 1)},
	} {
		if got, err := folded(name, nil, in...); err == nil {
			t.Errorf("%s gives %v", name, got)
		}
	}
	if _, err := folded("Div", nil, integerVector(i32, 1), integerVector(i32, 0)); err == nil || !strings.Contains(err.Error(), "zero") {
		t.Errorf("got %v", err)
	}
}

// lookup is a model that looks ids up in a table of so many rows after casts, the last of which makes them int64 again.
func lookup(rows int, casts ...*onnx.Node) *onnx.Model {
	m := embedding(onnx.Dim{Value: 1}, onnx.Dim{Value: 4})
	table := m.Graph.Initializers[0]
	table.Shape[0], table.F = rows, nil
	for i := range min(rows*2, 1<<18) { // more rows are refused before anybody looks at the cells
		table.F = append(table.F, float64(i%7))
	}
	g := m.Graph.Nodes[0]
	prev := g.Inputs[1]
	for i, n := range casts {
		n.Name, n.Inputs, n.Outputs = fmt.Sprintf("cast%d", i), append([]string{prev}, n.Inputs...), []string{fmt.Sprintf("ids%d", i)}
		prev = n.Outputs[0]
	}
	g.Inputs[1] = prev
	m.Graph.Nodes = append(casts, m.Graph.Nodes...)
	return m
}

// TestCastIDs keeps token ids while the types on their way hold every id of the vocabulary, and names the cast that does not.
func TestCastIDs(t *testing.T) {
	cast := func(d onnx.DType) *onnx.Node { return &onnx.Node{Op: "Cast", Attrs: to(d)} }
	for d, rows := range map[onnx.DType]int{
		onnx.Uint8: 256, onnx.Int8: 128, onnx.Uint16: 1 << 16, onnx.Int16: 1 << 15, onnx.Float16: 2049, onnx.BFloat16: 257, onnx.Float32: 1<<24 + 1,
	} {
		for _, extra := range []int{0, 1} {
			if rows > 1<<20 && extra == 0 {
				continue
			}
			m := lookup(rows+extra, cast(d), cast(onnx.Int64))
			_, err := build(m, Options{})
			if extra == 0 && err != nil {
				t.Errorf("%s, %d rows: %v", d, rows, err)
			}
			var u *Unsupported
			if extra == 1 && (!errors.As(err, &u) || u.Node != "cast0" || u.Op != "Cast" || !strings.Contains(u.Reason, d.String())) {
				t.Errorf("%s, %d rows: %v", d, rows+extra, err)
			}
		}
	}
	like := &onnx.Tensor{Name: "like", DType: onnx.Uint8, Shape: []int{}, I: []int64{0}}
	for name, c := range map[string]struct {
		casts []*onnx.Node
		want  string // of the error, empty: none
	}{
		"wide after narrow":   {[]*onnx.Node{cast(onnx.Int32), cast(onnx.Uint8), cast(onnx.Uint16), cast(onnx.Int64)}, "cast1"},
		"narrow after narrow": {[]*onnx.Node{cast(onnx.Uint16), cast(onnx.Int8), cast(onnx.Int64)}, "cast1"},
		"wide":                {[]*onnx.Node{cast(onnx.Uint64), cast(onnx.Int32), cast(onnx.Float64), cast(onnx.Int64)}, ""},
		"like":                {[]*onnx.Node{{Op: "CastLike", Inputs: []string{"like"}}, cast(onnx.Int64)}, "cast0"},
		"boolean":             {[]*onnx.Node{cast(onnx.Bool), cast(onnx.Int64)}, "cast0"},
		"unknown":             {[]*onnx.Node{cast(17), cast(onnx.Int64)}, "cast0"},
		"no index":            {[]*onnx.Node{cast(onnx.Uint16)}, "uint16"},
	} {
		m := lookup(300, c.casts...)
		m.Graph.Initializers = append(m.Graph.Initializers, like)
		_, err := build(m, Options{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestCastLikeOfActivations refuses a type that may not hold a real number's whole part: that of the second input.
func TestCastLikeOfActivations(t *testing.T) {
	like := &onnx.Tensor{Name: "like", DType: onnx.Int8, Shape: []int{}, I: []int64{0}}
	m := added([]*onnx.Node{{Name: "n", Op: "CastLike", Inputs: []string{"x", "like"}, Outputs: []string{"tail"}}}, like)
	if _, err := build(m, Options{}); err == nil || !strings.Contains(err.Error(), `"n" (CastLike)`) {
		t.Errorf("got %v", err)
	}
}

// TestCastWeights rounds a weight that is cast to fewer bits, and leaves one that is cast to more alone.
func TestCastWeights(t *testing.T) {
	w := &onnx.Tensor{Name: "w", DType: onnx.Float32, Shape: []int{2}, F: []float64{1 + 0x1p-12, 3}}
	node := func(d onnx.DType) []*onnx.Node {
		return []*onnx.Node{{Name: "n", Op: "Cast", Attrs: to(d), Inputs: []string{"w"}, Outputs: []string{"half"}},
			{Name: "back", Op: "Cast", Attrs: to(onnx.Float32), Inputs: []string{"half"}, Outputs: []string{"tail"}}}
	}
	for d, want := range map[onnx.DType]float64{onnx.Float16: 1, onnx.BFloat16: 1, onnx.Float64: 1 + 0x1p-12} {
		m := added(node(d), w)
		m.Graph.Initializers[0].Shape, m.Graph.Initializers[0].F = []int{5, 2}, make([]float64, 10)
		g, err := build(m, Options{})
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, v := range g.Values {
			found = found || v.Def.Op == ir.OpWeight && len(v.Data) == 2 && v.Data[0] == want
		}
		if !found {
			t.Errorf("%s: no weight [%g 3]", d, want)
		}
	}
}
