package compiler

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// What models drawn at random (make fuzz-onnx) brought to light.

func stringAttr(name, v string) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: 3, S: []byte(v)}
}

// Integers are read in rows of other lengths than the input has them in, given as they are, padded in every way, and chosen by indices
// that do not reach as far as the cells do.
func TestDrawnIntegers(t *testing.T) {
	inputs := []*pb.ValueInfoProto{port("k", int64sOf, 2, 2, 3), port("at", int64sOf, 1, 3), port("x", float32s, 3, 3)}
	nodes := []*pb.NodeProto{
		op("Reshape", "k rows", "r"), op("Add", "r three", "y0"),
		op("Pad", "at pads minus", "y1"), op("Pad", "at pads", "y2", stringAttr("mode", "edge")), op("Pad", "at mirrored", "y3", stringAttr("mode", "reflect")),
		op("GatherElements", "x at", "y4"), op("EyeLike", "x", "e", intAttr("k", 1), intAttr("dtype", int64sOf)), op("Add", "e at", "y5"),
		op("OneHot", "which three two", "o", intAttr("axis", 0)), op("Add", "o at", "y6"), op("Flatten", "k", "y7", intAttr("axis", 2)),
		op("Sub", "at three", "u"), op("Mod", "u three", "end"), op("Gather", "row end", "y8"),
		op("OneHot", "end three pair", "hot"), op("ReduceSum", "hot last", "y9", intAttr("keepdims", 0)),
	}
	m := portsModel(inputs, []string{"y0", "y1", "y2", "y3", "y4", "y5", "y6", "y7", "y8", "y9"}, nodes, int64s("rows", 4, 3), indices("three", nil, 3), indices("minus", nil, -2),
		int64s("pads", 0, 2, 0, 1), int64s("mirrored", 0, 2, 0, 2), int64s("which", -1, 5, 1), int64s("two", 2, 7), int64s("row", 4, -1, 9), int64s("pair", 0, 1), int64s("last", 0, 1))
	cfg := Config{Ranges: map[string]Range{"k": {Lo: -3, Hi: 3}, "at": {Lo: -3, Hi: 2}, "x": {Lo: -2, Hi: 2}}, PrivateInputs: []string{"k", "x", "at"}, Public: []string{"three", "minus", "two", "which", "row"}}
	givesExactly(t, m, cfg, func(in [][]float64) [][]float64 {
		k, at, x := in[0], in[1], in[2]
		pick, end, counts := make([]float64, 3), make([]float64, 3), make([]float64, 3)
		for i, v := range at {
			end[i] = []float64{4, -1, 9}[int(v+3)%3]
			counts[int(v+3)%3]++
			pick[i] = x[3*(int(v+3)%3)+i]
		}
		rowsOf := func(bits ...float64) (out []float64) {
			for i, b := range bits {
				out = append(out, b+at[i%3])
			}
			return out
		}
		return [][]float64{
			each2(k, []float64{3}, func(x, y float64) float64 { return x + y }),
			{-2, -2, at[0], at[1], at[2], -2}, {at[0], at[0], at[0], at[1], at[2], at[2]}, {at[2], at[1], at[0], at[1], at[2], at[1], at[0]},
			pick, rowsOf(0, 1, 0, 0, 0, 1, 0, 0, 0), rowsOf(2, 2, 2, 2, 2, 7, 7, 2, 2), k, end, counts,
		}
	})
}

// Integers are reduced exactly: a mean is rounded towards zero.
func TestDrawnReductions(t *testing.T) {
	nodes := []*pb.NodeProto{
		op("Relu", "k", "y0"), op("ReduceMean", "k last", "y1"), op("ReduceL1", "k first", "y2", intAttr("keepdims", 0)), op("ReduceSumSquare", "k last", "y3"),
		op("ReduceProd", "k last", "y4", intAttr("keepdims", 0)),
	}
	m := portsModel([]*pb.ValueInfoProto{port("k", int64sOf, 4, 3)}, []string{"y0", "y1", "y2", "y3", "y4"}, nodes, int64s("last", -1), int64s("first", 0))
	cfg := Config{Ranges: map[string]Range{"k": {Lo: -9, Hi: 8}}, PrivateInputs: []string{"k"}}
	givesExactly(t, m, cfg, func(in [][]float64) [][]float64 {
		k := in[0]
		out := [][]float64{each2(k, []float64{0}, math.Max), {}, {0, 0, 0}, {}, {}}
		for i := range 4 {
			a, b, c := k[3*i], k[3*i+1], k[3*i+2]
			out[1], out[3], out[4] = append(out[1], math.Trunc((a+b+c)/3)), append(out[3], a*a+b*b+c*c), append(out[4], a*b*c)
			for j := range 3 {
				out[2][j] += math.Abs(k[3*i+j])
			}
		}
		return out
	})
}

// The arg-max of a vector is that of its only row, and along an axis of one cell it is 0, whatever the other axes are.
func TestDrawnArgMax(t *testing.T) {
	ctx := context.Background()
	cfg := narrow(Config{Ranges: map[string]Range{"x": {Lo: -2, Hi: 2}}, PrivateInputs: []string{"x"}})
	m := portsModel([]*pb.ValueInfoProto{port("x", float32s, 5)}, []string{"y"}, []*pb.NodeProto{op("Relu", "x", "r"), op("ArgMax", "r", "y", intAttr("keepdims", 0))})
	r, err := Analyse(ctx, write(t, m), cfg)
	require.NoError(t, err)
	in := Input{Elements: []Data{{Values: []float64{-1, 0.5, 1.75, -2, 1}}}, Expected: []Data{{Name: "y", Values: []float64{2}}}}
	report, err := r.Check(ctx, []Input{in})
	require.NoError(t, err)
	require.NoError(t, report.Err())
	require.Zero(t, report.FloatExpected.Error())
	in.Expected[0].Values[0] = 1
	report, err = r.Check(ctx, []Input{in})
	require.NoError(t, err)
	require.Error(t, report.Err())

	one := portsModel([]*pb.ValueInfoProto{port("x", float32s, 1, 4, 3)}, []string{"y"}, []*pb.NodeProto{op("Relu", "x", "r"), op("ArgMax", "r", "y")})
	_, err = Analyse(ctx, write(t, one), cfg)
	var constant *Constant
	require.ErrorAs(t, err, &constant)
	require.NoError(t, constant.Gives([][]float64{make([]float64, 12)}))
}

// A scale and a bias of a normalisation broadcast; matrices of a fused product are transposed with their batches; before opset 13 a
// LogSoftmax is along all axes from its own on.
func TestDrawnComposites(t *testing.T) {
	x := port("x", float32s, 2, 3, 4)
	rows := func(in []float64, width int) (out [][]float64) {
		return slices.Collect(slices.Chunk(in, width))
	}
	t.Run("LayerNormalization", func(t *testing.T) {
		m := portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, []*pb.NodeProto{op("LayerNormalization", "x scale bias", "y", intAttr("axis", 1), floatAttr("epsilon", 0.01))},
			floatsOf("scale", -1.5), floatsOf("bias", 1, 0, -2, 0.5))
		checkComposite(t, m, func(in [][]float64) []float64 {
			bias := slices.Repeat([]float64{1, 0, -2, 0.5}, 6)
			return normalised(12, slices.Repeat([]float64{-1.5}, 24), bias, 1)(in)
		})
	})
	t.Run("FusedMatMul", func(t *testing.T) {
		n := op("FusedMatMul", "x w", "y", intAttr("transBatchA", 1), intAttr("transA", 1), floatAttr("alpha", 0.5))
		n.Domain = "com.microsoft" // x of two rows, three matrices: of each the two columns of four
		m := portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, []*pb.NodeProto{n}, matrix("w", 2, 2))
		w := m.Graph.Initializer[0].FloatData
		checkComposite(t, m, func(in [][]float64) (out []float64) {
			for batch := range 3 {
				for i := range 4 {
					for j := range 2 {
						out = append(out, 0.5*(in[0][4*batch+i]*float64(w[j])+in[0][12+4*batch+i]*float64(w[2+j])))
					}
				}
			}
			return out
		})
	})
	t.Run("LogSoftmax", func(t *testing.T) {
		m := portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, []*pb.NodeProto{op("LogSoftmax", "x", "y")})
		m.OpsetImport[0].Version = 11
		checkComposite(t, m, func(in [][]float64) (out []float64) {
			for _, row := range rows(in[0], 12) {
				sum := 0.0
				for _, v := range row {
					sum += math.Exp(v)
				}
				for _, v := range row {
					out = append(out, v-math.Log(sum))
				}
			}
			return out
		})
	})
	t.Run("Tile", func(t *testing.T) { // of three cells, which were bounded by three times what they are
		m := portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, []*pb.NodeProto{op("Tile", "x times", "r"), op("Relu", "r", "y")}, int64s("times", 1, 3, 1))
		checkComposite(t, m, func(in [][]float64) (out []float64) {
			for row := range 18 {
				for _, v := range in[0][4*(row/9*3+row%3):][:4] {
					out = append(out, math.Max(v, 0))
				}
			}
			return out
		})
	})
	t.Run("Trilu", func(t *testing.T) {
		n := op("Trilu", "x one", "y", intAttr("upper", 0))
		n.Domain = "com.microsoft"
		m := portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, []*pb.NodeProto{n}, indices("one", nil, 1))
		checkComposite(t, m, func(in [][]float64) (out []float64) {
			for i, v := range in[0] {
				if i%4 > i/4%3+1 {
					v = 0
				}
				out = append(out, v)
			}
			return out
		})
	})
}

// Constants that an operator cuts off or compares are those that single precision has, where that differs from what is exact: public ones,
// weights, and what is computed from either.
func TestDecisionsInSinglePrecision(t *testing.T) {
	count := []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 41, 70, 49, 64}
	tenth, third, most := float32(0.1), float32(1)/3, float32(0.7)
	var floors, parts, equal, above, logs []float64
	for _, n := range count {
		floors = append(floors, math.Floor(float64(n*most)))
		parts = append(parts, math.Trunc(float64(n/tenth)))
		equal = append(equal, bit(n*third+third == (n+1)*third))
		above = append(above, bit(n*tenth > n/10))
		logs = append(logs, math.Floor(float64(float32(math.Log(float64(n+1)))*float32(1/math.Ln2))))
	}
	for k, exact := range []func(n float64) float64{
		func(n float64) float64 { return math.Floor(n * float64(most)) }, func(n float64) float64 { return math.Trunc(n / float64(tenth)) },
	} {
		different := 0
		for i, n := range count {
			if exact(float64(n)) != [][]float64{floors, parts}[k][i] {
				different++
			}
		}
		require.Positive(t, different)
	}
	for _, private := range []bool{false, true} {
		nodes := []*pb.NodeProto{
			op("Mul", "n tenth", "m"), op("Mul", "n most", "mm"), op("Floor", "mm", "f0"), op("Div", "n tenth", "q"), op("Reshape", "q square", "q4"), op("Cast", "q4", "p", intAttr("to", 7)), op("Cast", "p", "f1", intAttr("to", 1)),
			op("Mul", "n third", "a"), op("Add", "a third", "b"), op("Add", "n one", "n1"), op("Mul", "n1 third", "c"), op("Equal", "b c", "e"), op("Where", "e one zero", "f2"),
			op("Div", "n ten", "d"), op("Greater", "m d", "g"), op("Cast", "g", "f3", intAttr("to", 1)),
			op("Log", "n1", "l"), op("Mul", "l octaves", "lo"), op("Floor", "lo", "f4"),
			op("Add", "x f0", "y0"), op("Add", "x4 f1", "y1"), op("Add", "x f2", "y2"), op("Add", "x f3", "y3"), op("Add", "x f4", "y4"),
		}
		cfg := Config{Ranges: map[string]Range{"x": {Lo: 0, Hi: 1}, "x4": {Lo: 0, Hi: 1}}, PrivateInputs: []string{"x", "x4"}}
		if !private {
			cfg.Public = []string{"n", "tenth", "third", "most", "one", "zero", "ten", "octaves"}
		}
		m := portsModel([]*pb.ValueInfoProto{port("x", float32s, 16), port("x4", float32s, 4, 4)}, []string{"y0", "y1", "y2", "y3", "y4"}, nodes, floatsOf("n", count...), scalarOf("tenth", tenth),
			scalarOf("third", third), scalarOf("most", most), scalarOf("one", 1), scalarOf("zero", 0), scalarOf("ten", 10), scalarOf("octaves", float32(1/math.Ln2)), int64s("square", 4, 4))
		in := Input{Elements: []Data{{Values: make([]float64, 16)}, {Values: make([]float64, 16)}}}
		for k, want := range [][]float64{floors, parts, equal, above, logs} {
			in.Expected = append(in.Expected, Data{Name: m.Graph.Output[k].Name, Values: want})
		}
		r, err := Analyse(context.Background(), write(t, m), narrow(cfg))
		require.NoError(t, err)
		report, err := r.Check(context.Background(), []Input{in})
		require.NoError(t, err)
		require.Less(t, report.FloatExpected.Error(), 1e-5, "private %t", private)
	}
}

// onnxruntime's operators on quantised tensors are the operators on what those stand for, quantised again; scores that are integers, or
// quantised in coarse steps, are exponentiated exactly.
func TestDrawnQuantised(t *testing.T) {
	const uint8s = 2
	named := func(kind, in, out string, attrs ...*pb.AttributeProto) *pb.NodeProto {
		n := op(kind, in, out, attrs...)
		n.Domain = "com.microsoft"
		return n
	}
	byte8 := func(name string, v ...int32) *pb.TensorProto {
		n := &pb.TensorProto{Name: name, DataType: uint8s, Int32Data: v}
		if len(v) > 1 {
			n.Dims = []int64{int64(len(v)) / 2, 2}
		}
		return n
	}
	nodes := []*pb.NodeProto{
		named("QLinearAdd", "a sa za b sb zb sy zy", "y0"), named("QLinearMul", "a sa za b sb zb sy zy", "y1"),
		named("QLinearConcat", "sy zy a sa za b sb zb", "y2", intAttr("axis", 1)), named("QLinearLeakyRelu", "a sa za sy zy", "y3", floatAttr("alpha", 0.25)),
		named("QGemm", "a sa za w sb zb bias sy zy", "y4", floatAttr("alpha", 0.5)),
		named("QLinearReduceMean", "a sa za sy zy", "y5", intsAttr("axes", 1)),
	}
	scales := map[string]float64{"a": 0.0517, "b": 0.0331, "y": 0.0473}
	inputs := []*pb.ValueInfoProto{port("a", uint8s, 2, 3), port("b", uint8s, 2, 3)}
	m := portsModel(inputs, []string{"y0", "y1", "y2", "y3", "y4", "y5"}, nodes, scalarOf("sa", float32(scales["a"])), scalarOf("sb", float32(scales["b"])), scalarOf("sy", float32(scales["y"])),
		byte8("za", 101), byte8("zb", 7), byte8("zy", 60), byte8("w", 200, 3, 90, 17, 0, 255), &pb.TensorProto{Name: "bias", DataType: int32s, Dims: []int64{2}, Int32Data: []int32{-300, 500}})
	full := Range{Lo: 0, Hi: 255}
	cfg := Config{Ranges: map[string]Range{"a": full, "b": full}, PrivateInputs: []string{"a", "b"}, Public: []string{"w", "bias", "za", "zb", "zy"}}
	q := func(x float64) float64 { return min(255, max(0, math.RoundToEven(x/scales["y"])+60)) }
	in := Input{Elements: []Data{{Values: []float64{0, 255, 100, 101, 140, 33}}, {Values: []float64{250, 7, 0, 81, 160, 9}}}}
	var sum, product, joined, leaky, gemm, mean []float64
	real := [2][]float64{}
	for k, z := range []float64{101, 7} {
		for _, x := range in.Elements[k].Values {
			real[k] = append(real[k], (x-z)*scales[string(rune('a'+k))])
		}
	}
	for i, x := range real[0] {
		sum, product = append(sum, q(x+real[1][i])), append(product, q(x*real[1][i]))
		leaky = append(leaky, q(max(x, 0.25*x)))
	}
	for r := range 2 {
		a, b := real[0][3*r:3*r+3], real[1][3*r:3*r+3]
		for _, x := range slices.Concat(a, b) {
			joined = append(joined, q(x))
		}
		mean = append(mean, q((a[0]+a[1]+a[2])/3))
		for c := range 2 {
			y := []float64{-300, 500}[c] * scales["a"] * scales["b"]
			for k, x := range a {
				y += x * ([]float64{200, 3, 90, 17, 0, 255}[2*k+c] - 7) * scales["b"]
			}
			gemm = append(gemm, q(0.5*y))
		}
	}
	for k, want := range [][]float64{sum, product, joined, leaky, gemm, mean} {
		in.Expected = append(in.Expected, Data{Name: m.Graph.Output[k].Name, Values: want})
	}
	checked := func(m *pb.ModelProto, cfg Config, in Input) {
		cfg.Calibrate = []Input{in}
		r, err := Analyse(context.Background(), write(t, m), cfg)
		require.NoError(t, err)
		report, err := r.Check(context.Background(), []Input{in})
		require.NoError(t, err)
		require.NoError(t, report.Err())
		require.Less(t, report.FloatExpected.Error(), 1e-4)
	}
	checked(m, cfg, in)

	scores := portsModel([]*pb.ValueInfoProto{port("n", int64sOf, 1, 4)}, []string{"y"}, []*pb.NodeProto{op("Cast", "n", "f", intAttr("to", 1)), op("Softmax", "f", "y")})
	in = Input{Elements: []Data{{Values: []float64{3, -2, 4, 0}}}}
	var exps []float64
	total := 0.0
	for _, x := range in.Elements[0].Values {
		exps = append(exps, math.Exp(x))
		total += math.Exp(x)
	}
	for i := range exps {
		exps[i] /= total
	}
	in.Expected = []Data{{Name: "y", Values: exps}}
	checked(scores, Config{Ranges: map[string]Range{"n": {Lo: -9, Hi: 9}}, PrivateInputs: []string{"n"}}, in)
}

// What runtimes read differently, and what is private or never anything but zero, is refused by name.
func TestDrawnRefusals(t *testing.T) {
	x, n := port("x", float32s, 1, 1, 6), port("n", int64sOf, 2, 3)
	bits := port("bits", bools, 2, 3)
	for want, c := range map[string]struct {
		in   *pb.ValueInfoProto
		node *pb.NodeProto
	}{
		`node "MaxPool_y" (MaxPool): auto_pad SAME_UPPER for windows of 1 cells, 3 apart: runtimes do not agree on where those lie that leave cells out; give pads instead`: {x, op("MaxPool", "x", "y",
			stringAttr("auto_pad", "SAME_UPPER"), intsAttr("kernel_shape", 1), intsAttr("strides", 3))},
		`node "ConvTranspose_y" (ConvTranspose): auto_pad SAME_LOWER for windows of 1 cells, 2 apart: runtimes do not agree on cells that no window reaches; give pads and output_padding instead`: {x, op("ConvTranspose", "x w", "y",
			stringAttr("auto_pad", "SAME_LOWER"), intsAttr("strides", 2))},
		`node "And_y" (And): computes with the booleans "never", which are private; make them public: --public never`:     {bits, op("And", "bits never", "y")},
		`node "Concat_y" (Concat): computes with the integers "list", which are private; make them public: --public list`: {n, op("Concat", "n list", "y", intAttr("axis", 0))},
		`node "BitwiseAnd_y" (BitwiseAnd): the operator is not supported`:                                                 {n, op("BitwiseAnd", "n n", "y")},
		`node "Gemm_y" (Gemm): its result is zero for every input, so that there is nothing to prove of it; export the model without it, or choose other outputs, --logits NAME`: {port("z", float32s, 2, 3), op("Gemm", "z m", "y",
			floatAttr("alpha", 0))},
		`node "RMSNormalization_y" (RMSNormalization): normalises over 1 cells, of which nothing but a sign is left; export the model without the node`: {port("z", float32s, 2, 1), op("RMSNormalization", "z s", "y")},
	} {
		m := portsModel([]*pb.ValueInfoProto{c.in}, []string{"y"}, []*pb.NodeProto{c.node}, booleans("never", []int64{3}, 0, 0, 0), indices("list", []int64{1, 3}, 5, 1, 4), matrix("m", 3, 2),
			&pb.TensorProto{Name: "w", DataType: float32s, Dims: []int64{1, 1, 1}, FloatData: []float32{1}}, floatsOf("s", 1))
		m.OpsetImport[0].Version = 23
		cfg := Config{Ranges: map[string]Range{c.in.Name: {Lo: 0, Hi: 9}}, PrivateInputs: []string{c.in.Name}}
		if c.in == bits {
			cfg.Ranges, cfg.Private = nil, []string{"never"}
		}
		_, err := Analyse(context.Background(), write(t, m), narrow(cfg))
		require.ErrorIs(t, err, ErrUnsupported)
		require.ErrorContains(t, err, want)
	}
}

// What a file says of conditions is public where nothing else is made of it: booleans beside computed ones, one number that is scattered into,
// infinite or not. Indices that are joined are those of any part.
func TestConditionsOfFiles(t *testing.T) {
	inf := float32(math.Inf(-1))
	part := func(name string, shape []int64, v ...float32) *pb.TensorProto {
		return &pb.TensorProto{Name: name, DataType: float32s, Dims: shape, FloatData: v}
	}
	m := portsModel([]*pb.ValueInfoProto{port("x", float32s, 2, 4), port("bits", bools, 1, 4)}, []string{"odd", "soft", "rows"}, []*pb.NodeProto{
		op("And", "bits causal", "seen"), op("Expand", "one two", "ones"), op("ScatterElements", "canvas at ones", "chosen", intAttr("axis", 1)), op("Cast", "chosen", "choice", intAttr("to", bools)),
		op("Xor", "seen choice", "either"), op("Where", "either x zero", "odd"),
		op("ScatterND", "far cells zeros", "masks"), op("Add", "x masks", "scores"), op("Softmax", "scores", "soft"),
		op("ArgMax", "x", "best", intAttr("axis", 1)), op("ArgMin", "x", "least", intAttr("axis", 1)), op("Concat", "best least", "both", intAttr("axis", 1)), op("Gather", "table both", "rows"),
	}, booleans("causal", []int64{2, 4}, 1, 0, 1, 1, 0, 1, 1, 0), part("canvas", []int64{2, 4}, 0, 0, 0, 0, 0, 0, 0, 0), indices("at", []int64{2, 1}, 3, 0),
		scalarOf("one", 1), indices("two", []int64{2}, 2, 1), scalarOf("zero", 0), part("far", []int64{2, 4}, inf, inf, inf, inf, inf, inf, inf, inf),
		indices("cells", []int64{4, 2}, 0, 1, 0, 3, 1, 0, 1, 2), part("zeros", []int64{4}, 0, 0, 0, 0), part("table", []int64{4, 1}, 0.5, -2, 3, 1.25))
	in := Input{Elements: []Data{{Values: []float64{0.5, -1, 2, 0.25, 3, 1, -2, 0.75}}, {Values: []float64{1, 1, 0, 1}}}, Expected: []Data{
		{Name: "odd", Values: []float64{0.5, 0, 0, 0, 3, 1, 0, 0}}, // seen: 1 0 0 1, 0 1 0 0; chosen: 0 0 0 1, 1 0 0 0
		{Name: "soft", Values: slices.Concat([]float64{0}, softmaxOf(-1, 0.25)[:1], []float64{0}, softmaxOf(-1, 0.25)[1:], softmaxOf(3, -2)[:1], []float64{0}, softmaxOf(3, -2)[1:], []float64{0})},
		{Name: "rows", Values: []float64{3, -2, 0.5, 3}},
	}}
	cfg := Config{Calibrate: []Input{in}, PrivateInputs: []string{"x"}}
	r, err := Analyse(context.Background(), write(t, m), cfg)
	require.NoError(t, err)
	report, err := r.Check(context.Background(), []Input{in})
	require.NoError(t, err)
	require.NoError(t, report.Err())
	require.Less(t, report.FloatExpected.Error(), 1e-6)

	m.Graph.Node = append(m.Graph.Node, op("Cast", "causal", "number", intAttr("to", float32s)), op("Mul", "x number", "weighed"))
	m.Graph.Output = append(m.Graph.Output, port("weighed", float32s, 2, 4))
	_, err = Analyse(context.Background(), write(t, m), cfg)
	require.ErrorContains(t, err, `node "And_seen" (And): computes with the booleans "causal", which are private; make them public: --public causal`, "they weigh something, too")
}

func softmaxOf(x ...float64) []float64 {
	sum := 0.0
	for i := range x {
		x[i] = math.Exp(x[i])
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
	return x
}
