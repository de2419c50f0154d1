package compiler

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// Operators that the standard defines by a function of others are what that says.
func TestDefinedOperators(t *testing.T) {
	x := port("x", float32s, 2, 3)
	cut := func(rows, columns []int) func(in [][]float64) []float64 { // −1: a zero
		return func(in [][]float64) (out []float64) {
			for _, r := range rows {
				for _, c := range columns {
					if r < 0 || c < 0 {
						out = append(out, 0)
					} else {
						out = append(out, in[0][3*r+c])
					}
				}
			}
			return out
		}
	}
	windowed := func(at func(k float64) float64, turn float64) func(in [][]float64) []float64 { // a window times x
		return func(in [][]float64) (out []float64) {
			for i, v := range in[0] {
				out = append(out, v*at(2*math.Pi*float64(i%3)/turn))
			}
			return out
		}
	}
	hann := func(a float64) float64 { return 0.5 - 0.5*math.Cos(a) }
	window := func(name string, attrs ...*pb.AttributeProto) []*pb.NodeProto {
		return []*pb.NodeProto{op(name, "n", "w", attrs...), op("Mul", "x w", "y")}
	}
	three := []*pb.TensorProto{{Name: "n", DataType: 6, Int32Data: []int32{3}}}
	grid := func(corners int64) []*pb.NodeProto {
		return []*pb.NodeProto{op("AffineGrid", "theta size", "y", intAttr("align_corners", corners))}
	}
	gridded := func(xs, ys []float64) func(in [][]float64) []float64 {
		return func(in [][]float64) (out []float64) {
			for _, y := range ys {
				for _, x := range xs {
					for k := range 2 {
						out = append(out, in[0][3*k]*x+in[0][3*k+1]*y+in[0][3*k+2])
					}
				}
			}
			return out
		}
	}
	theta, size := []*pb.ValueInfoProto{port("theta", float32s, 1, 2, 3)}, []*pb.TensorProto{int64s("size", 1, 5, 2, 3)}
	conv := func(attrs ...*pb.AttributeProto) []*pb.NodeProto {
		return []*pb.NodeProto{op("CausalConvWithState", "x w b state", "y", attrs...)}
	}
	for name, c := range map[string]struct {
		inputs    []*pb.ValueInfoProto
		nodes     []*pb.NodeProto
		constants []*pb.TensorProto
		want      func(in [][]float64) []float64
	}{
		"HannWindow":           {[]*pb.ValueInfoProto{x}, window("HannWindow"), three, windowed(hann, 3)},
		"HannWindow symmetric": {[]*pb.ValueInfoProto{x}, window("HannWindow", intAttr("periodic", 0)), three, windowed(hann, 2)},
		"HammingWindow":        {[]*pb.ValueInfoProto{x}, window("HammingWindow"), three, windowed(func(a float64) float64 { return 25.0/46 - 21.0/46*math.Cos(a) }, 3)},
		"BlackmanWindow": {[]*pb.ValueInfoProto{x}, window("BlackmanWindow", intAttr("periodic", 0)), three,
			windowed(func(a float64) float64 { return 0.42 - 0.5*math.Cos(a) + 0.08*math.Cos(2*a) }, 2)},
		"CenterCropPad cuts": {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("CenterCropPad", "x s", "y")}, []*pb.TensorProto{int64s("s", 1, 2)}, cut([]int{0}, []int{0, 1})},
		"CenterCropPad pads": {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("CenterCropPad", "x s", "y")}, []*pb.TensorProto{int64s("s", 3, 6)}, cut([]int{0, 1, -1}, []int{-1, 0, 1, 2, -1, -1})},
		"CenterCropPad both": {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("CenterCropPad", "x s", "y")}, []*pb.TensorProto{int64s("s", 4, 1)}, cut([]int{-1, 0, 1, -1}, []int{1})},
		"CenterCropPad an axis": {[]*pb.ValueInfoProto{x}, []*pb.NodeProto{op("CenterCropPad", "x s", "y", &pb.AttributeProto{Name: "axes", Type: 7, Ints: []int64{-1}})},
			[]*pb.TensorProto{int64s("s", 2)}, cut([]int{0, 1}, []int{0, 1})},
		"AffineGrid":            {theta, grid(0), size, gridded([]float64{-2. / 3, 0, 2. / 3}, []float64{-0.5, 0.5})},
		"AffineGrid corners":    {theta, grid(1), size, gridded([]float64{-1, 0, 1}, []float64{-1, 1})},
		"AffineGrid of one row": {theta, grid(1), []*pb.TensorProto{int64s("size", 1, 5, 1, 3)}, gridded([]float64{-1, 0, 1}, []float64{0})},
		"SwiGLU": {[]*pb.ValueInfoProto{x, port("b", float32s, 2, 3)}, []*pb.NodeProto{op("SwiGLU", "x b", "y", floatAttr("alpha", 1.5))}, nil, func(in [][]float64) (out []float64) {
			for i, v := range in[0] {
				out = append(out, v/(1+math.Exp(-1.5*v))*in[1][i])
			}
			return out
		}},
		"CausalConvWithState": {[]*pb.ValueInfoProto{port("x", float32s, 1, 2, 3), port("state", float32s, 1, 2, 1)}, conv(&pb.AttributeProto{Name: "activation", Type: 3, S: []byte("silu")}),
			[]*pb.TensorProto{{Name: "w", DataType: 1, Dims: []int64{2, 1, 2}, FloatData: []float32{0.5, -1, 2, 0.25}}, floatsOf("b", 0.25, -0.5)}, func(in [][]float64) (out []float64) {
				for c, w := range [][]float64{{0.5, -1, 0.25}, {2, 0.25, -0.5}} {
					before := in[1][c]
					for _, v := range in[0][3*c : 3*c+3] {
						y := w[0]*before + w[1]*v + w[2]
						out, before = append(out, y/(1+math.Exp(-y))), v
					}
				}
				return out
			}},
	} {
		t.Run(name, func(t *testing.T) {
			checkComposite(t, portsModel(c.inputs, []string{"y"}, c.nodes, c.constants...), c.want)
		})
	}
}

// What old operators do by attributes that newer ones do not have is refused where it is another thing, and done where it is not.
func TestOldAttributes(t *testing.T) {
	x := port("x", float32s, 2, 3)
	of := func(nodes []*pb.NodeProto, constants ...*pb.TensorProto) *pb.ModelProto {
		m := portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, nodes, constants...)
		m.OpsetImport[0].Version = 6
		return m
	}
	rows := floatsOf("rows", 1, 2)
	for want, m := range map[string]*pb.ModelProto{
		`(Mul): takes its second operand of shape [2] along the axes of [2 3] from 0 on, as before opset 7`: of([]*pb.NodeProto{op("Mul", "x rows", "y", intAttr("broadcast", 1), intAttr("axis", 0))}, rows),
		`(Pad): has paddings, as in opset 1`: of([]*pb.NodeProto{op("Pad", "x", "y", intsAttr("paddings", 0, 1, 0, 0))}),
	} {
		_, err := Analyse(t.Context(), write(t, m), narrow(Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}}, PrivateInputs: []string{"x"}}))
		require.ErrorIs(t, err, ErrUnsupported, want)
		require.ErrorContains(t, err, want)
	}
	checkComposite(t, of([]*pb.NodeProto{op("Mul", "x columns", "y", intAttr("broadcast", 1), intAttr("axis", 1))}, floatsOf("columns", 1, 2, -0.5)), func(in [][]float64) (out []float64) {
		for i, v := range in[0] {
			out = append(out, v*[]float64{1, 2, -0.5}[i%3])
		}
		return out
	})
}

// What draws at random is refused, a Dropout that drops above all: what runs in training is no model of what is answered.
func TestRandomRefused(t *testing.T) {
	x, flag := port("x", float32s, 2, 3), port("training", bools)
	yes, half := booleans("yes", nil, 1), scalarOf("half", 0.5)
	for want, nodes := range map[string][]*pb.NodeProto{
		`(Dropout): drops cells at random, since its training_mode is true`:              {op("Dropout", "x half yes", "y")},
		`(Dropout): the input "training" says whether it drops cells at random`:          {op("Dropout", "x half training", "y")},
		`(Dropout): drops cells at random, since its training_mode is true; export`:      {op("Dropout", "half half yes", "z"), op("Mul", "x z", "y")},
		`(RandomNormalLike): draws numbers at random`:                                    {op("RandomNormalLike", "x", "z"), op("Add", "x z", "y")},
		`(SoftmaxCrossEntropyLoss): belongs to training; export the model for inference`: {op("SoftmaxCrossEntropyLoss", "x x", "y")},
		`(StringConcat): computes with texts`:                                            {op("StringConcat", "x x", "y")},
	} {
		m := portsModel([]*pb.ValueInfoProto{x, flag}, []string{"y"}, nodes, yes, half)
		_, err := Analyse(t.Context(), write(t, m), narrow(Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}}, PrivateInputs: []string{"x"}}))
		require.ErrorIs(t, err, ErrUnsupported, want)
		require.ErrorContains(t, err, want)
	}
	old := portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, []*pb.NodeProto{op("Dropout", "x", "y")})
	old.OpsetImport[0].Version = 6
	_, err := Analyse(t.Context(), write(t, old), narrow(Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}}, PrivateInputs: []string{"x"}}))
	require.ErrorContains(t, err, "(Dropout): drops cells at random, since its is_test is 0")

	for name, nodes := range map[string][]*pb.NodeProto{
		"of inference": {op("Dropout", "x half no", "y")}, "without a word": {op("Dropout", "x", "y")}, "of none": {op("Dropout", "x none yes", "y")},
	} {
		t.Run(name, func(t *testing.T) {
			m := portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, nodes, yes, half, booleans("no", nil, 0), scalarOf("none", 0))
			checkComposite(t, m, func(in [][]float64) []float64 { return in[0] })
		})
	}
}

// A constant beside which single precision has nothing left of the other operand, at every cell, is refused: exact arithmetic would keep it, and give
// a softmax of scores where runtimes give equal weights. What is great in some cells alone is a mask, and what is small changes nothing.
func TestSwallowed(t *testing.T) {
	x := port("x", float32s, 2, 3)
	add := func(kind, operands string, h *pb.TensorProto) *pb.ModelProto {
		return portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, []*pb.NodeProto{op(kind, operands, "a"), op("Softmax", "a", "y", intAttr("axis", -1))}, h)
	}
	for want, m := range map[string]*pb.ModelProto{
		`(Add): adds 1e+09 to every cell, of which single precision tells steps of 64 apart`: add("Add", "x h", scalarOf("h", 1e9)),
		`(Sub): adds -2e+07 to every cell, of which single precision tells steps of 2 apart`: add("Sub", "x h", scalarOf("h", 2e7)),
		`(Sub): adds 1e+30 to every cell`: add("Sub", "h x", scalarOf("h", 1e30)),
	} {
		_, err := Analyse(t.Context(), write(t, m), narrow(Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}}, PrivateInputs: []string{"x"}}))
		require.ErrorIs(t, err, ErrUnsupported, want)
		require.ErrorContains(t, err, want)
	}
	softmax := func(row []float64) (out []float64) {
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(v)
		}
		for _, v := range row {
			out = append(out, math.Exp(v)/sum)
		}
		return out
	}
	for name, c := range map[string]struct {
		m    *pb.ModelProto
		keys int
	}{"a mask": {add("Add", "x h", floatsOf("h", 0, 0, -1e9)), 2}, "little": {add("Add", "x h", scalarOf("h", 1000)), 3}} {
		t.Run(name, func(t *testing.T) {
			checkComposite(t, c.m, func(in [][]float64) (out []float64) {
				for i := range 2 {
					out = append(append(out, softmax(in[0][3*i:3*i+c.keys])...), make([]float64, 3-c.keys)...)
				}
				return out
			})
		})
	}
}
