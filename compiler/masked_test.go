package compiler

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
	"github.com/zkllmc/zkllmc/ir"
)

// causalMask lets three positions see those before them.
func causalMask(low float32) *pb.TensorProto {
	return &pb.TensorProto{Name: "causal", DataType: float32s, Dims: []int64{3, 3}, FloatData: []float32{0, low, low, 0, 0, low, 0, 0, 0}}
}

// Masks come to a softmax by more ways than a sum: scores are joined to others when they are masked already, a mask is repeated before it is added, the
// greatest score is subtracted first, and logarithms of sums of exponentials see masks, too.
func TestMasksOnTheWay(t *testing.T) {
	low := float32(-math.MaxFloat32)
	causal := causalMask(low)
	bits := booleans("bits", []int64{3, 3}, 0, 1, 1, 0, 0, 1, 0, 0, 0)
	sink := &pb.TensorProto{Name: "sink", DataType: float32s, Dims: []int64{3, 1}, FloatData: []float32{0.5, -1, 0.25}}
	x, d := port("x", float32s, 3, 3), port("d", float32s, 1, 3)
	last := intAttr("axis", -1)
	sum := func(row []float64) (s float64) {
		for _, v := range row {
			s += math.Exp(v)
		}
		return s
	}
	constants := []*pb.TensorProto{causal, bits, sink, scalarOf("low", low), int64s("from", 0), int64s("to", 3), int64s("axes", -1), int64s("two", 2, 3, 3)}
	masked := op("Add", "x causal", "s")
	drop := func(scores string) []*pb.NodeProto {
		return []*pb.NodeProto{op("Softmax", scores, "p", last), op("Slice", "p from to axes", "y")}
	}
	sinks := func(in [][]float64) (out []float64) {
		for i := range 3 {
			row := in[0][3*i : 3*i+i+1]
			total := sum(row) + math.Exp([]float64{0.5, -1, 0.25}[i])
			for j := range 3 {
				if j <= i {
					out = append(out, math.Exp(row[j])/total)
				} else {
					out = append(out, 0)
				}
			}
		}
		return out
	}
	for name, c := range map[string]struct {
		inputs []*pb.ValueInfoProto
		nodes  []*pb.NodeProto
		want   func(in [][]float64) []float64
	}{
		"sinks": {[]*pb.ValueInfoProto{x}, append([]*pb.NodeProto{masked, op("Concat", "s sink", "c", last)}, drop("c")...), sinks},
		"sinks, the greatest subtracted": {[]*pb.ValueInfoProto{x}, append([]*pb.NodeProto{masked, op("Concat", "s sink", "c", last), op("ReduceMax", "c axes", "m"), op("Sub", "c m", "l")},
			drop("l")...), sinks},
		"repeated": {[]*pb.ValueInfoProto{port("x", float32s, 2, 3, 3), d}, []*pb.NodeProto{op("Where", "bits low d", "m"), op("Expand", "m two", "r"), op("Add", "x r", "s"), op("Softmax", "s", "y", last)},
			func(in [][]float64) (out []float64) {
				for k := range 6 {
					i := k % 3
					var row []float64
					for j := range i + 1 {
						row = append(row, in[0][3*k+j]+in[1][j])
					}
					total := sum(row)
					for j := range 3 {
						if j <= i {
							out = append(out, math.Exp(row[j])/total)
						} else {
							out = append(out, 0)
						}
					}
				}
				return out
			}},
		"logarithms": {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{masked, op("ReduceLogSumExp", "s axes", "y")}, func(in [][]float64) (out []float64) {
			for i := range 3 {
				out = append(out, math.Log(sum(in[0][3*i:3*i+i+1])))
			}
			return out
		}},
		"logarithms of columns": {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{masked, op("ReduceLogSumExp", "s from", "y")}, func(in [][]float64) (out []float64) {
			for j := range 3 {
				var column []float64
				for i := j; i < 3; i++ {
					column = append(column, in[0][3*i+j])
				}
				out = append(out, math.Log(sum(column)))
			}
			return out
		}},
	} {
		t.Run(name, func(t *testing.T) {
			checkComposite(t, portsModel(c.inputs, []string{"y"}, c.nodes, constants...), c.want)
		})
	}
}

// A sparse attention's indexer takes the best of masked scores, of rows with fewer than it takes, too, and writes booleans where it points.
func TestBestOfMasked(t *testing.T) {
	low := float32(-math.MaxFloat32)
	causal := causalMask(low)
	yes, no := booleans("yes", []int64{3, 3}, 1, 1, 1, 1, 1, 1, 1, 1, 1), booleans("no", []int64{3, 3}, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	x := []*pb.ValueInfoProto{port("x", float32s, 3, 3)}
	best := func(in []float64) (at [3][2]int) { // the two best of what is not masked; of equal ones, as all that is masked is, the first
		for i := range 3 {
			score := func(j int) float64 {
				if j > i {
					return float64(low)
				}
				return in[3*i+j]
			}
			order := []int{0, 1, 2}
			slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(score(b), score(a)) })
			at[i] = [2]int{order[0], order[1]}
		}
		return at
	}
	chosen := []*pb.NodeProto{op("Add", "x causal", "s"), op("TopK", "s k", "v i")}
	constants := []*pb.TensorProto{causal, yes, no, int64s("k", 2), booleans("off", []int64{3, 2}, 0, 0, 0, 0, 0, 0), booleans("on", []int64{3, 2}, 1, 1, 1, 1, 1, 1)}
	written := func(base float64) func(in [][]float64) []float64 {
		return func(in [][]float64) []float64 {
			out := slices.Repeat([]float64{base}, 9)
			for i, at := range best(in[0]) {
				for _, j := range at {
					out[3*i+j] = 1 - base
				}
			}
			return out
		}
	}
	bits := intAttr("to", 1)
	for name, c := range map[string]struct {
		nodes []*pb.NodeProto
		want  func(in [][]float64) []float64
	}{
		"indices": {append(slices.Clone(chosen), op("Cast", "i", "y", bits)), func(in [][]float64) (out []float64) {
			for _, at := range best(in[0]) {
				out = append(out, float64(at[0]), float64(at[1]))
			}
			return out
		}},
		"taken away": {append(slices.Clone(chosen), op("ScatterElements", "yes i off", "b", intAttr("axis", -1)), op("Cast", "b", "y", bits)), written(1)},
		"written":    {append(slices.Clone(chosen), op("ScatterElements", "no i on", "b", intAttr("axis", -1)), op("Cast", "b", "y", bits)), written(0)},
	} {
		t.Run(name, func(t *testing.T) { checkComposite(t, portsModel(x, []string{"y"}, c.nodes, constants...), c.want) })
	}
	m := portsModel(x, []string{"y"}, append(slices.Clone(chosen), op("ScatterElements", "no i mixed", "b", intAttr("axis", -1)), op("Cast", "b", "y", bits)), append(constants, booleans("mixed", []int64{3, 2}, 1, 0, 1, 0, 1, 0))...)
	_, err := Analyse(t.Context(), write(t, m), narrow(Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}}, PrivateInputs: []string{"x"}}))
	require.ErrorContains(t, err, "(ScatterElements): writes booleans where indices that depend on an input say; of these, one constant is supported")
}

// Of a private tensor that is added in front of an order, cells that are not beyond all scores are numbers, and stay hidden.
func TestNumbersBeforeAnOrder(t *testing.T) {
	x := []*pb.ValueInfoProto{port("x", float32s, 3, 3)}
	m := portsModel(x, []string{"y"}, []*pb.NodeProto{op("Add", "x causal", "s"), op("TopK", "s k", "v i"), op("Cast", "i", "y", intAttr("to", 1))}, causalMask(-2000), int64s("k", 2))
	r, err := Analyse(t.Context(), write(t, m), narrow(Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}}, PrivateInputs: []string{"x"}}))
	require.NoError(t, err)
	hidden := slices.ContainsFunc(r.float.Values, func(v *ir.Value) bool { return v.Def.Op == ir.OpWeight && ir.Size(v.Shape) == 9 })
	require.True(t, hidden)
}
