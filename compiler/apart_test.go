package compiler

import (
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
