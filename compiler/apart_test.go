package compiler

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/ir"
)

// Moves by constant indices are made by tables over the axes along which something moves: a row that is written into matrices, cells that each row takes of
// itself by its own indices, blocks, and what is not reached.
func TestMovesApart(t *testing.T) {
	shape := func(dims ...int64) []int64 { return dims }
	indices := func(dims []int64, at func(p []int) int) *pb.TensorProto {
		n := 1
		for _, d := range dims {
			n *= int(d)
		}
		v := make([]int64, n)
		for i := range v {
			p, rest := make([]int, len(dims)), i
			for a := len(dims) - 1; a >= 0; a-- {
				p[a], rest = rest%int(dims[a]), rest/int(dims[a])
			}
			v[i] = int64(at(p))
		}
		ts := int64s("i", v...)
		ts.Dims = dims
		return ts
	}
	x, rows := port("x", float32s, 3, 20, 20), port("u", float32s, 3, 1, 20)
	for name, c := range map[string]struct {
		inputs  []*pb.ValueInfoProto
		node    *pb.NodeProto
		indices *pb.TensorProto
		most    int // cells of public tables
		want    func(in [][]float64) []float64
	}{
		"a row": {[]*pb.ValueInfoProto{x, rows}, op("ScatterElements", "x i u", "y", intAttr("axis", 1)), indices(shape(3, 1, 20), func([]int) int { return 7 }), 40, func(in [][]float64) []float64 {
			for b := range 3 {
				copy(in[0][400*b+140:400*b+160], in[1][20*b:])
			}
			return in[0]
		}},
		"a row of one matrix": {[]*pb.ValueInfoProto{x, port("u", float32s, 1, 1, 20)}, op("ScatterElements", "x i u", "y", intAttr("axis", -2)), indices(shape(1, 1, 20), func([]int) int { return 19 }), 120, func(in [][]float64) []float64 {
			copy(in[0][380:400], in[1])
			return in[0]
		}},
		"part of a row": {[]*pb.ValueInfoProto{x, port("u", float32s, 3, 1, 5)}, op("ScatterElements", "x i u", "y", intAttr("axis", 1)), indices(shape(3, 1, 5), func([]int) int { return 2 }), 2400, func(in [][]float64) []float64 {
			for b := range 3 {
				copy(in[0][400*b+40:400*b+45], in[1][5*b:5*b+5])
			}
			return in[0]
		}},
		"each row its own": {[]*pb.ValueInfoProto{x}, op("GatherElements", "x i", "y", intAttr("axis", 2)), indices(shape(3, 20, 24), func(p []int) int { return (p[2] + 3*p[1]) % 20 }), 20 * 20 * 24, func(in [][]float64) (out []float64) {
			for r := range 60 {
				for k := range 24 {
					out = append(out, in[0][20*r+(k+3*(r%20))%20])
				}
			}
			return out
		}},
		"fewer rows": {[]*pb.ValueInfoProto{x}, op("GatherElements", "x i", "y", intAttr("axis", 2)), indices(shape(2, 20, 20), func(p []int) int { return 19 - p[2] }), 2400, func(in [][]float64) (out []float64) {
			for r := range 40 {
				for k := range 20 {
					out = append(out, in[0][20*r+19-k])
				}
			}
			return out
		}},
		"blocks": {[]*pb.ValueInfoProto{x, port("u", float32s, 1, 20, 20)}, op("ScatterND", "x i u", "y"), indices(shape(1, 1), func([]int) int { return 1 }), 40, func(in [][]float64) []float64 {
			copy(in[0][400:800], in[1])
			return in[0]
		}},
		"blocks, the last counts": {[]*pb.ValueInfoProto{x, port("u", float32s, 2, 20, 20)}, op("ScatterND", "x i u", "y"), indices(shape(2, 1), func([]int) int { return 2 }), 40, func(in [][]float64) []float64 {
			copy(in[0][800:], in[1][400:])
			return in[0]
		}},
	} {
		t.Run(name, func(t *testing.T) {
			m := portsModel(c.inputs, []string{"y"}, []*pb.NodeProto{c.node}, c.indices)
			checkComposite(t, m, c.want)
			cfg := Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}, "u": {Lo: -1, Hi: 1}}, PrivateInputs: []string{"all"}}
			if len(c.inputs) == 1 {
				delete(cfg.Ranges, "u")
			}
			r, err := Analyse(t.Context(), write(t, m), narrow(cfg))
			require.NoError(t, err)
			cells := 0
			for _, v := range r.float.Values {
				if v.Def.Op == ir.OpConst {
					cells += ir.Size(v.Shape)
				}
			}
			require.LessOrEqual(t, cells, c.most)
		})
	}
}

// A matrix whose rows are written one after the other, each computed of those above it, as gated delta rules (Qwen3-Next's) invert triangular ones. What picks
// a cell among n may be a sum of n cells, by what a circuit knows of constants; so many picks in a row are committed between them.
func TestRowsOneAfterTheOther(t *testing.T) {
	const n = 32
	var nodes []*pb.NodeProto
	constants := []*pb.TensorProto{int64s("zero", 0), int64s("axes", 0), int64s("one", 1), int64s("two", 2)}
	last := "x"
	for i := 1; i < n; i++ {
		name := func(s string) string { return fmt.Sprintf("%s%d", s, i) }
		at := int64s(name("i"), slices.Repeat([]int64{int64(i)}, n)...)
		at.Dims = []int64{1, n}
		columns := int64s(name("j"), numbers(i)...)
		columns.Dims = []int64{1, int64(i)}
		constants = append(constants, columns, int64s(name("k"), int64(i)), int64s(name("k+"), int64(i+1)), at)
		nodes = append(nodes, op("Slice", last+" "+name("k")+" "+name("k+")+" axes", name("row")),
			op("Slice", last+" zero "+name("k")+" axes", name("above")),
			op("Slice", name("above")+" zero "+name("k")+" one", name("square")),
			op("Slice", name("row")+" zero "+name("k")+" one", name("part")),
			op("Unsqueeze", name("part")+" two", name("column")),
			op("Mul", name("column")+" "+name("square"), name("product")),
			op("ReduceSum", name("product")+" one", name("sum"), intAttr("keepdims", 0)),
			op("Add", name("part")+" "+name("sum"), name("new")),
			op("ScatterElements", name("row")+" "+name("j")+" "+name("new"), name("u"), intAttr("axis", 1)),
			op("ScatterElements", last+" "+name("i")+" "+name("u"), name("t"), intAttr("axis", 0)))
		last = name("t")
	}
	m := portsModel([]*pb.ValueInfoProto{port("x", float32s, n, n)}, []string{"y"}, append([]*pb.NodeProto{op("Mul", "v small", "x")}, append(nodes, op("Identity", last, "y"))...), append(constants, scalarOf("small", 0.0625))...)
	m.Graph.Input[0].Name = "v"
	checkComposite(t, m, func(in [][]float64) []float64 {
		rows := make([]float64, n*n)
		for i := range rows {
			rows[i] = in[0][i] / 16
		}
		for i := 1; i < n; i++ {
			u := slices.Clone(rows[n*i : n*i+n])
			for k := range i {
				for j := range i {
					u[j] += rows[n*i+k] * rows[n*k+j]
				}
			}
			copy(rows[n*i:], u)
		}
		return rows
	})
}

// numbers counts from 0 on.
func numbers(n int) (out []int64) {
	for i := range n {
		out = append(out, int64(i))
	}
	return out
}
