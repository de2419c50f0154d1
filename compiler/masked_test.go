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

// Masked scores are written into others, of which a softmax is made; and −∞ is written into scores, or opened by zeros that are written into it, where an
// input says.
func TestMasksThatAreWritten(t *testing.T) {
	inf := float32(math.Inf(-1))
	x := []*pb.ValueInfoProto{port("x", float32s, 3, 3)}
	last := intAttr("axis", -1)
	all := func(name string, v float32, shape ...int64) *pb.TensorProto {
		p := &pb.TensorProto{Name: name, DataType: float32s, Dims: shape}
		for range shape[0] * shape[1] {
			p.FloatData = append(p.FloatData, v)
		}
		return p
	}
	constants := []*pb.TensorProto{booleans("bits", []int64{3, 3}, 0, 1, 1, 0, 0, 1, 0, 0, 0), booleans("edge", []int64{2, 3}, 0, 1, 0, 1, 0, 0), causalMask(inf), all("closed", inf, 3, 3), all("none", inf, 2, 3),
		all("one", inf, 3, 1), all("open", 0, 3, 2), all("sink", 0.5, 3, 1), int64s("from", 0), int64s("two", 2), int64s("axis", 0), indices("rows", []int64{2, 1}, 2, 0), indices("back", []int64{2, 1}, 0, 1),
		int64s("axes", -1), int64s("k", 2), int64s("pairs", 3, 2), scalarOf("little", 0.05)}
	hidden := func(in []float64, cells string) (out []float64) { // cells that are not
		for i := range in {
			if out = append(out, in[i]); cells[i] == '-' {
				out[i] = -1e9
			}
		}
		return out
	}
	rows := func(cells []float64) (out []float64) {
		for i := range 3 {
			out = append(out, softmaxOf(slices.Clone(cells[3*i:3*i+3])...)...)
		}
		return out
	}
	order := func(row []float64) (at []int) {
		at = []int{0, 1, 2}
		slices.SortStableFunc(at, func(a, b int) int { return cmp.Compare(row[b], row[a]) })
		return at
	}
	masked, cut := op("Where", "bits closed x", "s"), op("Slice", "s from two axis", "u") // rows 0 and 1 of the masked scores
	for name, c := range map[string]struct {
		nodes []*pb.NodeProto
		want  func(in [][]float64) []float64
	}{
		"rows": {[]*pb.NodeProto{masked, cut, op("ScatterND", "x rows u", "w"), op("Softmax", "w", "y", last)}, func(in [][]float64) []float64 {
			v := in[0]
			return rows(hidden([]float64{v[3], v[4], v[5], v[3], v[4], v[5], v[0], v[1], v[2]}, "xx-xxxx--"))
		}},
		"rows, twice": {[]*pb.NodeProto{masked, cut, op("ScatterND", "x rows u", "w"), op("Gather", "w rows", "g"), op("Squeeze", "g", "h", intsAttr("axes", 1)), op("Where", "edge none h", "e"),
			op("ScatterND", "w back e", "v"), op("Softmax", "v", "y", last)}, func(in [][]float64) []float64 {
			v := in[0] // w is rows 1, 1, 0; h is its rows 2 and 0, which are written to rows 0 and 1
			return rows(hidden([]float64{v[0], v[1], v[2], v[3], v[4], v[5], v[0], v[1], v[2]}, "x---x-x--"))
		}},
		"into what is closed": {[]*pb.NodeProto{op("Slice", "x from two axis", "u"), op("ScatterND", "closed rows u", "w"), op("Add", "w sink", "a"), op("Concat", "a sink", "c", last), op("Softmax", "c", "p", last),
			op("ReduceSum", "p axes", "q"), op("Mul", "x q", "y")}, func(in [][]float64) []float64 { return in[0] }},
		"opened where an input says": {[]*pb.NodeProto{op("TopK", "x k", "v i", last), op("ConstantOfShape", "pairs", "zeros"), op("ScatterElements", "closed i zeros", "m", last), op("Add", "x m", "s"), op("Softmax", "s", "y", last)}, func(in [][]float64) (out []float64) {
			for i := range 3 {
				row := slices.Clone(in[0][3*i : 3*i+3])
				row[order(row)[2]] = -1e9
				out = append(out, softmaxOf(row...)...)
			}
			return out
		}},
		"closed where an input says": {[]*pb.NodeProto{op("ArgMax", "x", "i", intAttr("axis", -1)), op("ScatterElements", "x i one", "s", last), op("ReduceMax", "s axes", "m"), op("Softmax", "s", "p", last),
			op("Mul", "m little", "l"), op("Add", "p l", "y")}, func(in [][]float64) (out []float64) {
			for i := range 3 {
				row := slices.Clone(in[0][3*i : 3*i+3])
				at := order(row)
				second := row[at[1]]
				row[at[0]] = -1e9
				for _, p := range softmaxOf(row...) {
					out = append(out, p+0.05*second)
				}
			}
			return out
		}},
		"joined, added and joined": {[]*pb.NodeProto{op("Concat", "causal open", "m", last), op("Concat", "x x", "l", last), op("Slice", "l from five axes", "xs"), op("Add", "xs m", "s"), op("Concat", "s sink", "c", last),
			op("Softmax", "c", "p", last), op("Slice", "p from three axes", "y")}, func(in [][]float64) (out []float64) {
			for i := range 3 {
				v := in[0][3*i : 3*i+3]
				row := append(hidden(v, []string{"x--", "xx-", "xxx"}[i]), v[0], v[1], 0.5)
				out = append(out, softmaxOf(row...)[:3]...)
			}
			return out
		}},
		"ordered": {[]*pb.NodeProto{op("Where", "bits closed x", "s"), op("TopK", "s k", "v i", last), op("Cast", "i", "f", intAttr("to", float32s)), op("ReduceSum", "f axes", "n"), op("Add", "x n", "y")}, func(in [][]float64) (out []float64) {
			for i := range 3 {
				at := order(hidden(in[0][3*i:3*i+3], []string{"x--", "xx-", "xxx"}[i]))
				for _, v := range in[0][3*i : 3*i+3] {
					out = append(out, v+float64(at[0]+at[1]))
				}
			}
			return out
		}},
	} {
		t.Run(name, func(t *testing.T) {
			m := portsModel(x, []string{"y"}, c.nodes, append(constants, int64s("five", 5), int64s("three", 3))...)
			m.OpsetImport[0].Version = 12
			if name == "closed where an input says" || name == "into what is closed" || name == "ordered" {
				m.OpsetImport[0].Version = 18
			}
			checkComposite(t, m, c.want)
		})
	}
}

// A number hides a score where it is far below what else is in the row, and not by what it is: numbers that are all as low are weighed by what they
// differ. The least of floats changes nothing in a maximum. Of constants logarithms of sums are those of their types.
func TestMasksByDistance(t *testing.T) {
	nine := func(name string, cells ...float32) *pb.TensorProto {
		return &pb.TensorProto{Name: name, DataType: float32s, Dims: []int64{3, 3}, FloatData: cells}
	}
	x, d := port("x", float32s, 3, 3), port("d", bools, 3, 3)
	both, last := []*pb.ValueInfoProto{x, d}, intAttr("axis", -1)
	constants := []*pb.TensorProto{causalMask(-math.MaxFloat32), nine("near", -999, -1001, -999.5, -1999, -2000, -1999, -1e4, -1e9, -1e4), scalarOf("a", -1999), scalarOf("b", -2000),
		scalarOf("high", 2000), scalarOf("low", -math.MaxFloat32), int64s("axes", -1), nine("far", 0, -1e20, -1e20, 0, 0, -1e20, 0, 0, 0)}
	softmax := func(scores ...float64) func() []float64 {
		return func() (out []float64) {
			for i := range 3 {
				out = append(out, softmaxOf(slices.Clone(scores[3*i:3*i+3])...)...)
			}
			return out
		}
	}
	by := func(scores func(x, d float64, i int) float64) func(in [][]float64) []float64 {
		return func(in [][]float64) (out []float64) {
			for i := range in[0] {
				bit := 0.0
				if len(in) > 1 {
					bit = in[1][i]
				}
				out = append(out, scores(in[0][i], bit, i))
			}
			return softmax(out...)()
		}
	}
	future := func(x, hidden float64, i int) float64 {
		if i%3 > i/3 {
			return hidden
		}
		return x
	}
	for name, c := range map[string]struct {
		inputs []*pb.ValueInfoProto
		nodes  []*pb.NodeProto
		want   func(in [][]float64) []float64
	}{
		"chosen": {both, []*pb.NodeProto{op("Where", "d a b", "m"), op("Add", "m x", "s"), op("Softmax", "s", "y", last)},
			by(func(x, d float64, _ int) float64 { return x + d })},
		"chosen beside scores as low": {both, []*pb.NodeProto{op("Add", "x b", "l"), op("Where", "d l b", "s"), op("Softmax", "s", "y", last)},
			by(func(x, d float64, _ int) float64 { return x * d })},
		"chosen beside what is high": {both, []*pb.NodeProto{op("Where", "d high b", "l"), op("Concat", "l x", "s", last), op("Softmax", "s", "p", last), op("ReduceMax", "p axes", "m"), op("Add", "m x", "y")},
			func(in [][]float64) (out []float64) {
				for i := range 3 {
					high := 0.0
					for _, bit := range in[1][3*i : 3*i+3] {
						high += bit
					}
					most := slices.Max(softmaxOf(slices.Clone(in[0][3*i : 3*i+3])...))
					if high > 0 {
						most = 1 / high
					}
					for _, v := range in[0][3*i : 3*i+3] {
						out = append(out, most+v)
					}
				}
				return out
			}},
		"constants as low": {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("Add", "x near", "s"), op("Softmax", "s", "y", last)}, by(func(x, _ float64, i int) float64 {
			return x + []float64{0, -2, -.5, 0, -1, 0, 0, -1e6, 0}[i]
		})},
		"guarded": {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("Add", "x causal", "m"), op("Max", "m low", "g"), op("Max", "low g", "s"), op("Softmax", "s", "y", last)},
			by(func(x, _ float64, i int) float64 { return future(x, -1e9, i) })},
		"logarithms of constants": {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("ReduceLogSumExp", "far axes", "l"), op("Add", "x l", "y")}, func(in [][]float64) (out []float64) {
			for i, v := range in[0] {
				out = append(out, v+math.Log(float64(i/3+1)))
			}
			return out
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var public []string
			if name == "constants as low" { // else they are a weight, that masks nothing
				public = []string{"near"}
			}
			checkComposite(t, portsModel(c.inputs, []string{"y"}, c.nodes, constants...), c.want, public...)
		})
	}
	for want, nodes := range map[string][]*pb.NodeProto{
		`node "Add_back" (Add): adds 1e+30 to every cell, of which single precision tells steps of 7.56e+22 apart`: {op("Add", "x causal", "m"), op("Add", "m under", "u"), op("Add", "u over", "back")},
		`(Softmax): a constant adds 1e+06 to scores of row 0 that it does not mask`:                                {op("Add", "x lifted", "back")},
	} {
		m := portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, append(nodes, op("Softmax", "back", "y", last)), append(constants, scalarOf("under", -1e30), scalarOf("over", 1e30),
			nine("lifted", 1e6, 1e6, 0, 1e6, 1e6, 0, 1e6, 1e6, 0))...)
		_, err := Analyse(t.Context(), write(t, m), narrow(Config{Ranges: map[string]Range{"x": {Lo: -2, Hi: 2}}, Public: []string{"lifted"}}))
		require.ErrorIs(t, err, ErrUnsupported, want)
		require.ErrorContains(t, err, want)
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
