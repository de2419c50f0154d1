package frontend

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// table fills a [T, 3] tensor.
func table(T int, f func(t, i int) float64) *onnx.Tensor {
	x := &onnx.Tensor{Name: "t", DType: onnx.Float32, Shape: []int{1, T, 3}}
	for t := 0; t < T; t++ {
		for i := 0; i < 3; i++ {
			x.F = append(x.F, float64(float32(f(t, i))))
		}
	}
	return x
}

func TestRotaryTablesArePublic(t *testing.T) {
	theta := []float64{1, 0.1, 0.001}
	cases := map[string]struct {
		x    *onnx.Tensor
		want bool
	}{
		"cos":     {table(64, func(t, i int) float64 { return math.Cos(float64(t) * theta[i]) }), true},
		"sin":     {table(64, func(t, i int) float64 { return math.Sin(float64(t) * theta[i]) }), true},
		"ones":    {table(64, func(t, i int) float64 { return 1 }), false},
		"zeros":   {table(64, func(t, i int) float64 { return 0 }), false},
		"weights": {table(64, func(t, i int) float64 { return math.Sin(float64(t*t + i)) }), false},
		"short":   {table(3, func(t, i int) float64 { return math.Cos(float64(t) * theta[i]) }), false},
		"spoilt": {table(64, func(t, i int) float64 {
			if t == 40 && i == 2 {
				return 0.5
			}
			return math.Cos(float64(t) * theta[i])
		}), false},
	}
	for name, c := range cases {
		if is, err := rotaryTable(c.x); err != nil || is != c.want {
			t.Errorf("%s: want %v", name, c.want)
		}
	}
}

func TestSliceIndices(t *testing.T) {
	for _, c := range []struct {
		start, end, step, n int64
		want                []int
	}{
		{0, 3, 1, 5, []int{0, 1, 2}}, {-2, math.MaxInt64, 1, 5, []int{3, 4}}, {3, math.MinInt64 + 10, -1, 5, []int{3, 2, 1, 0}},
		{0, 5, 2, 5, []int{0, 2, 4}}, {-1, -6, -2, 5, []int{4, 2, 0}}, {7, 9, 1, 5, []int{}}, {0, 5, math.MaxInt64, 5, []int{0}},
		{-1, math.MinInt64, math.MinInt64, 5, []int{4}}, {0, 1, 1, 0, []int{}},
	} {
		if got := sliceIndices(c.start, c.end, c.step, c.n); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

// embedding is ids[1,T] -> table lookups -> sum with position rows.
func embedding(dims ...onnx.Dim) *onnx.Model {
	w := func(name string, shape ...int) *onnx.Tensor {
		return &onnx.Tensor{Name: name, DType: onnx.Float32, Shape: shape, F: make([]float64, ir.Size(shape))}
	}
	return &onnx.Model{Opsets: []onnx.Opset{{Version: 18}}, Graph: &onnx.Graph{Name: "g",
		Inputs:       []onnx.ValueInfo{{Name: "ids", DType: onnx.Int64, HasShape: true, Dims: dims}},
		Outputs:      []onnx.ValueInfo{{Name: "out"}},
		Initializers: []*onnx.Tensor{w("emb", 7, 2), w("pos", 9, 2), ints([]int{}, 0), ints([]int{}, 1)},
		Nodes: []*onnx.Node{
			{Name: "a", Op: "Gather", Inputs: []string{"emb", "ids"}, Outputs: []string{"x"}},
			{Name: "s", Op: "Shape", Inputs: []string{"ids"}, Outputs: []string{"shape"}},
			{Name: "l", Op: "Gather", Inputs: []string{"shape", "one"}, Outputs: []string{"len"}},
			{Name: "r", Op: "Range", Inputs: []string{"zero", "len", "one"}, Outputs: []string{"range"}},
			{Name: "p", Op: "Gather", Inputs: []string{"pos", "range"}, Outputs: []string{"rows"}},
			{Name: "b", Op: "Add", Inputs: []string{"x", "rows"}, Outputs: []string{"out"}},
		}}}
}

func build(m *onnx.Model, opts Options) (*ir.Graph, error) {
	m.Graph.Initializers[2].Name, m.Graph.Initializers[3].Name = "zero", "one"
	return Build(m, opts)
}

func TestSymbolicDimensions(t *testing.T) {
	batch, seq := onnx.Dim{Value: -1, Param: "batch"}, onnx.Dim{Value: -1, Param: "seq"}
	g, err := build(embedding(batch, seq), Options{Dims: map[string]int{"seq": 5}})
	if err != nil {
		t.Fatal(err)
	}
	if T := g.Value(g.In()).Shape[0]; T != 5 || g.Vocab() != 7 {
		t.Errorf("T = %d, vocabulary %d", T, g.Vocab())
	}
	for _, v := range g.Values {
		if v.Def.Op == ir.OpWeight && v.Name == "pos/rows" && !reflect.DeepEqual(v.Shape, []int{5, 2}) {
			t.Errorf("position rows have shape %v", v.Shape)
		}
	}
	for want, opts := range map[string]Options{
		"--dim seq=N":           {},
		"cannot have extent -3": {Dims: map[string]int{"seq": -3}},
		"is outside of axis":    {Dims: map[string]int{"seq": 10}},
		"no initializer":        {Dims: map[string]int{"seq": 5}, Public: []string{"nothing"}},
	} {
		if _, err := build(embedding(batch, seq), opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestClassOverrides(t *testing.T) {
	g, err := build(embedding(onnx.Dim{Value: 1}, onnx.Dim{Value: 4}), Options{Public: []string{"emb"}})
	if err != nil {
		t.Fatal(err)
	}
	class := map[string]ir.Op{}
	for _, v := range g.Values {
		class[v.Name] = v.Def.Op
	}
	if class["emb"] != ir.OpConst || class["pos/rows"] != ir.OpWeight {
		t.Errorf("classes %v", class)
	}
}

// TestMaskWithoutSource gives maskOr a private value of which nobody knows what it was computed from: it is refused, since nothing says
// that it is no weight.
func TestMaskWithoutSource(t *testing.T) {
	m := &onnx.Model{Graph: &onnx.Graph{}}
	s := &scope{nodes: []*onnx.Node{{Name: "soft", Op: "Softmax", Inputs: []string{"sum"}, Outputs: []string{"out"}}}}
	b := &builder{g: &ir.Graph{}, m: m, class: &classes{}}
	c := &call{b: b, s: s, n: &onnx.Node{Name: "add", Op: "Add", Inputs: []string{"scores", "m"}, Outputs: []string{"sum"}}}
	w := &onnx.Tensor{DType: onnx.Float32, Shape: []int{2}, F: []float64{0, -1e4}}
	v := &val{name: "m", shape: w.Shape, dtype: w.DType, private: true, w: w, id: none}
	if got, err := c.maskOr(v); err == nil || !strings.Contains(err.Error(), `node "add"`) || !strings.Contains(err.Error(), "--public m") {
		t.Errorf("it is %+v, %v", got, err)
	}
	v.mark = &mark{name: "M", key: w, private: true}
	if got, err := c.maskOr(v); err != nil || got.c == nil || len(b.masks) != 1 || b.masks[0].leaf != v.mark {
		t.Errorf("with a source it is %+v, %v, and %d patterns are noted", got, err, len(b.masks))
	}
}

// alibi adds distances that are the least float where they mask to two layers' scores, and feeds the tensor to another operator too, if one
// is named.
func alibi(also string) *onnx.Model {
	const least = -math.MaxFloat32
	m := &onnx.Model{Opsets: []onnx.Opset{{Version: 18}}, Graph: &onnx.Graph{Name: "g",
		Inputs:       []onnx.ValueInfo{{Name: "x", DType: onnx.Float32, HasShape: true, Dims: []onnx.Dim{{Value: 3}, {Value: 3}}}},
		Outputs:      []onnx.ValueInfo{{Name: "out"}},
		Initializers: []*onnx.Tensor{{Name: "far", DType: onnx.Float32, Shape: []int{3, 3}, F: []float64{0, least, least, 0, 0.5, least, 0, 0.5, 1}}},
		Nodes: []*onnx.Node{
			{Name: "a", Op: "Add", Inputs: []string{"x", "far"}, Outputs: []string{"scores"}},
			{Name: "s", Op: "Softmax", Inputs: []string{"scores"}, Outputs: []string{"first"}},
			{Name: "b", Op: "Add", Inputs: []string{"far", "first"}, Outputs: []string{"again"}},
			{Name: "t", Op: "Softmax", Inputs: []string{"again"}, Outputs: []string{"out"}},
		}}}
	if also != "" {
		m.Graph.Nodes = append(m.Graph.Nodes, &onnx.Node{Name: "also", Op: also, Inputs: []string{"out", "far"}, Outputs: []string{"end"}})
		m.Graph.Outputs[0].Name = "end"
	}
	return m
}

// TestPartedMask sees a tensor that masks and weighs in two: public where it masks, and zero there as a weight, of which there is one however
// many sums it stands in. Where it is a weight as a whole besides, its mask would tell of that, and it is refused.
func TestPartedMask(t *testing.T) {
	scores := map[string]Range{"x": {Lo: -8, Hi: 8}}
	g, err := Build(alibi(""), Options{Ranges: scores})
	require.NoError(t, err)
	leaves := map[ir.Op][][]float64{}
	for _, v := range g.Values {
		if v.Def.Op == ir.OpWeight || v.Def.Op == ir.OpConst {
			require.Equal(t, []int{3, 3}, v.Shape)
			leaves[v.Def.Op] = append(leaves[v.Def.Op], v.Data)
			require.Equal(t, v.Def.Op == ir.OpWeight, slices.Equal(v.Def.Tensors, []string{"far"}))
		}
	}
	const least = -math.MaxFloat32
	require.Equal(t, [][]float64{{0, 0, 0, 0, 0.5, 0, 0, 0.5, 1}}, leaves[ir.OpWeight])
	require.NotEmpty(t, leaves[ir.OpConst])
	for _, mask := range leaves[ir.OpConst] {
		require.Equal(t, []float64{0, least, least, 0, 0, least, 0, 0, 0}, mask)
	}
	_, err = Build(alibi("MatMul"), Options{Ranges: scores})
	require.ErrorContains(t, err, `the mask is computed from "far", which is a private weight too`)
	_, err = Build(alibi("MatMul"), Options{Ranges: scores, Public: []string{"far"}})
	require.NoError(t, err)
	g, err = Build(alibi(""), Options{Ranges: scores, Private: []string{"far"}})
	require.NoError(t, err, "what is to stay private is not parted")
	for _, v := range g.Values {
		require.NotEqual(t, ir.OpConst, v.Def.Op)
	}
}

// TestEveryHandlerSurvivesNonsense calls every operator with inputs that it does not expect.
func TestEveryHandlerSurvivesNonsense(t *testing.T) {
	ops := map[string]bool{}
	for k := range handlers {
		ops[k] = true
	}
	for k := range folders {
		ops[k] = true
	}
	for key := range ops {
		domain, op := "", key
		if i := strings.LastIndex(key, "."); i >= 0 {
			domain, op = key[:i], key[i+1:]
		}
		for _, in := range [][]string{nil, {"x"}, {"ids"}, {"ids", "x"}, {"x", "x"}, {"x", "emb", "pos"}, {"zero", "emb"}, {"emb", "x"}, {"one", "one", "one"}, {"", "x"}, {"x", "", "x"}} {
			m := embedding(onnx.Dim{Value: 1}, onnx.Dim{Value: 4})
			m.Graph.Nodes[5] = &onnx.Node{Name: "b", Op: op, Domain: domain, Inputs: in, Outputs: []string{"out"}}
			_, _ = build(m, Options{}) // must return
		}
	}
}

// TestEinsumOfSeveral multiplies an activation by one factor after the other where that is cheapest, and leaves a product of which two
// parameters should be multiplied first in one piece.
func TestEinsumOfSeveral(t *testing.T) {
	for T, want := range map[int]int{1: 2, 4096: 1} {
		m := added([]*onnx.Node{{Name: "e", Op: "Einsum", Inputs: []string{"x", "A", "B"}, Outputs: []string{"tail"}, Attrs: []*onnx.Attr{{Name: "equation", S: "btd,de,ef->btf"}}}},
			&onnx.Tensor{Name: "A", DType: onnx.Float32, Shape: []int{2, 64}, F: make([]float64, 128)}, &onnx.Tensor{Name: "B", DType: onnx.Float32, Shape: []int{64, 2}, F: make([]float64, 128)})
		m.Graph.Inputs[0].Dims[1].Value = int64(T)
		g, err := build(m, Options{})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, x := range g.Nodes {
			if x.Origin == "e" && x.Op == ir.OpEinsum {
				n++
			}
		}
		if n != want {
			t.Errorf("%d tokens: %d products, want %d", T, n, want)
		}
	}
}

// Of a sum, rows are emptied by the one mask among its operands; beside another one nobody knows which rows.
func TestSumEmptied(t *testing.T) {
	e := &emptied{}
	scores, masked := &val{}, &val{emptied: e}
	constant := func(cells ...float64) *val { return &val{c: vector(onnx.Float32, cells...)} }
	require.Nil(t, sumEmptied([]*val{scores, scores}))
	require.Same(t, e, sumEmptied([]*val{scores, masked}))
	require.Same(t, e, sumEmptied([]*val{masked, scores, constant(0, -999)}))
	require.Nil(t, sumEmptied([]*val{masked, masked}))
	require.Nil(t, sumEmptied([]*val{masked, constant(0, -1000)}))
	require.Nil(t, sumEmptied([]*val{masked, constant(math.NaN())}))
	require.True(t, onlyInfinite(constant(math.Inf(-1), math.Inf(-1))))
	require.False(t, onlyInfinite(constant(math.Inf(-1), -math.MaxFloat32)))
}
