package frontend

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

func TestSize(t *testing.T) {
	for _, c := range []struct {
		copies int
		shape  []int
		want   int
		ok     bool
	}{
		{3, nil, 3, true}, {2, []int{4, 5}, 40, true}, {1, []int{1 << 15, 0, 1 << 15}, 1 << 30, true}, {0, []int{7}, 0, true},
		{1, []int{math.MaxInt}, math.MaxInt, true}, {2, []int{math.MaxInt}, 0, false}, {1, []int{math.MaxInt, 2, 0}, 0, false},
	} {
		if n, ok := size(c.copies, c.shape...); n != c.want || ok != c.ok {
			t.Errorf("%v: got %d, %v", c, n, ok)
		}
	}
}

// added is the embedding model with y = x + tail, where the given nodes make tail out of the initializers.
func added(nodes []*onnx.Node, inits ...*onnx.Tensor) *onnx.Model {
	m := embedding(onnx.Dim{Value: 1}, onnx.Dim{Value: 4})
	m.Graph.Initializers = append(m.Graph.Initializers, inits...)
	last := &onnx.Node{Name: "b", Op: "Add", Inputs: []string{"x", "tail"}, Outputs: []string{"out"}}
	m.Graph.Nodes = append(append(m.Graph.Nodes[:1:1], nodes...), last)
	return m
}

// TestCellBudget gives operators tensors that look small: extents 0 beside huge ones, and work without a result.
func TestCellBudget(t *testing.T) {
	node := func(op, in, out string) *onnx.Node {
		return &onnx.Node{Name: op, Op: op, Inputs: strings.Fields(in), Outputs: []string{out}}
	}
	named := func(name string, cells ...int64) *onnx.Tensor {
		x := ints([]int{len(cells)}, cells...)
		x.Name = name
		return x
	}
	for want, m := range map[string]*onnx.Model{
		"ConstantOfShape": added([]*onnx.Node{node("ConstantOfShape", "s", "tail")}, named("s", 1<<28, 1<<28, 0)),
		"Expand":          added([]*onnx.Node{node("Expand", "x s", "tail")}, named("s", 1<<25, 1, 1)),
		"IsNaN": added(func() []*onnx.Node {
			ns := []*onnx.Node{node("Expand", "x s", "big")}
			for range 9 {
				ns = append(ns, node("IsNaN", "big", "tail"))
			}
			return ns
		}(), named("s", 1<<20, 1, 1)),
		"Gather": added([]*onnx.Node{node("Expand", "x s", "big"), node("Gather", "big i", "tail")},
			named("s", 1<<20, 1, 1), named("i", append(make([]int64, 1<<10), 1)...)),
		"Concat": added([]*onnx.Node{node("Expand", "x s", "big"), node("Expand", "x s2", "bigger"), node("Concat", "big bigger", "tail")},
			named("s", 1<<18, 1, 1), named("s2", 1<<18+1, 1, 1)),
		"MatMul": added([]*onnx.Node{node("ConstantOfShape", "s", "m"), node("MatMul", "m m", "tail")},
			named("s", 1<<12, 1<<12)),
		"Neg": added(func() []*onnx.Node {
			ns := []*onnx.Node{node("ConstantOfShape", "s", "t0")}
			for i := range 100 {
				ns = append(ns, node("Neg", fmt.Sprintf("t%d", i), fmt.Sprintf("t%d", i+1)))
			}
			return append(ns, node("Identity", "t100", "tail"))
		}(), named("s", 1<<20)),
	} {
		_, err := build(m, Options{})
		var u *Unsupported
		if err == nil || !strings.Contains(err.Error(), want) || want != "ConstantOfShape" && !errors.As(err, &u) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

// TestRealIndices gives every operator that takes indices or extents real ones.
func TestRealIndices(t *testing.T) {
	indices := &onnx.Tensor{Name: "real", DType: onnx.Float32, Shape: []int{2, 2}, F: []float64{1, 0, 1, 0}}
	data := &onnx.Tensor{Name: "data", DType: onnx.Float32, Shape: []int{2, 2}, F: []float64{1, 2, 3, 4}}
	for _, op := range []string{"Gather", "GatherND", "GatherElements", "ScatterND", "Expand", "Tile", "Reshape", "Slice", "Split", "Unsqueeze"} {
		for _, on := range []string{"data", "x"} {
			m := added([]*onnx.Node{{Name: "n", Op: op, Inputs: []string{on, "real", "data"}, Outputs: []string{"tail"}}}, indices, data)
			if _, err := build(m, Options{Public: []string{"real", "data"}}); err == nil {
				t.Errorf("%s of %s takes real indices", op, on)
			}
		}
	}
}

// Positions are what weights meet once each: ids, rows of reals, and the pixels of a picture, whose channels are its second axis.
func TestRows(t *testing.T) {
	for _, c := range []struct {
		kind  onnx.DType
		shape []int
		want  int
	}{
		{onnx.Int64, []int{2, 64}, 64}, {onnx.Float32, []int{64, 384}, 64}, {onnx.Float32, []int{8}, 1}, {onnx.Float32, nil, 1},
		{onnx.Float32, []int{1, 3, 48, 160}, 48 * 160}, {onnx.Float32, []int{1, 80, 3000}, 3000}, {onnx.Float32, []int{1, 64, 32}, 64}, {onnx.Float32, []int{2, 0, 4}, 1},
	} {
		in := &input{ValueInfo: onnx.ValueInfo{DType: c.kind}, shape: c.shape}
		if got := in.rows(); got != c.want {
			t.Errorf("%v of %v: %d rows, want %d", c.kind, c.shape, got, c.want)
		}
	}
}
