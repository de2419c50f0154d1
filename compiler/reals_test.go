package compiler

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// realCase is an output of a model of inputs x, of either sign, and p, positive: the nodes that make it of them, and what its cells are of
// the cells of both.
type realCase struct {
	nodes     []*pb.NodeProto
	constants []*pb.TensorProto
	want      func(x, p float64) float64
}

// checkReals compiles all cases as one model, private, and compares it with what cells should be: in relation to an output's largest cell
// no cell may differ by more than a part.
func checkReals(t *testing.T, part float64, x, p []float64, cases map[string]realCase) {
	inputs := []*pb.ValueInfoProto{port("x", float32s, int64(len(x))), port("p", float32s, int64(len(x)))}
	in := Input{Elements: []Data{{Name: "x", Values: x}, {Name: "p", Values: p}}}
	var nodes []*pb.NodeProto
	var constants []*pb.TensorProto
	var outputs []string
	for name, c := range cases {
		nodes, constants, outputs = append(nodes, c.nodes...), append(constants, c.constants...), append(outputs, name)
		var want []float64
		for i := range x {
			want = append(want, c.want(x[i], p[i]))
		}
		in.Expected = append(in.Expected, Data{Name: name, Values: want})
	}
	cfg := Config{PrivateInputs: []string{"all"}, Calibrate: []Input{in}, Tolerance: part, Ranges: map[string]Range{"x": {Lo: -4, Hi: 3.99}, "p": {Lo: 0, Hi: 7.99}}}
	r, err := compileFile(context.Background(), write(t, portsModel(inputs, outputs, nodes, constants...)), narrow(cfg))
	require.NoError(t, err)
	report, err := r.Check(context.Background(), []Input{in})
	require.NoError(t, err)
	require.NoError(t, report.Err())
	require.Len(t, report.Expected.Outputs, len(cases))
}

// Cells that integers of 13 bits behind the point hold, of x and of p.
var realX, realP = func() (x, p []float64) {
	for i := range 24 {
		x = append(x, math.Round(3.9*math.Sin(float64(5*i+1))*256)/256)
		p = append(p, math.Round(7.5*math.Pow(float64(i+1)/24, 3)*4096)/4096)
	}
	return x, p
}()

// Roots, reciprocals and quotients of what has any range, of either sign and with arguments that are far from each other.
func TestRoots(t *testing.T) {
	checkReals(t, 0x1p-10, realX, realP, map[string]realCase{
		"sqrt":       {[]*pb.NodeProto{op("Sqrt", "p", "sqrt")}, nil, func(_, p float64) float64 { return math.Sqrt(p) }},
		"reciprocal": {[]*pb.NodeProto{op("Reciprocal", "p", "reciprocal")}, nil, func(_, p float64) float64 { return 1 / p }},
		"rsqrt":      {[]*pb.NodeProto{op("Sqrt", "p", "root"), op("Reciprocal", "root", "rsqrt")}, nil, func(_, p float64) float64 { return 1 / math.Sqrt(p) }},
		"quotient":   {[]*pb.NodeProto{op("Div", "x p", "quotient")}, nil, func(x, p float64) float64 { return x / p }},
		"signed":     {[]*pb.NodeProto{op("Div", "p x", "signed")}, nil, func(x, p float64) float64 { return p / x }},
		"softer": {[]*pb.NodeProto{op("Mul", "x x", "x2"), op("Add", "x2 third", "more"), op("Div", "x more", "softer")},
			[]*pb.TensorProto{scalarOf("third", 1.0/3)}, func(x, _ float64) float64 { return x / (x*x + 1.0/3) }},
		"length": {[]*pb.NodeProto{op("Unsqueeze", "x last", "column"), op("ReduceL2", "column last", "length", intAttr("keepdims", 0))},
			[]*pb.TensorProto{int64s("last", -1)}, func(x, _ float64) float64 { return math.Abs(x) }},
	})
}

// An argument at a pole counts as the least that is not one, and a proof says that it was clamped.
func TestPolesAreClamped(t *testing.T) {
	for lo, values := range map[float64][]float64{0: {1, 2, 3}, -4: {1, -2, 3}} {
		in := Input{Elements: []Data{{Name: "x", Values: values}}}
		m := portsModel([]*pb.ValueInfoProto{port("x", float32s, 3)}, []string{"y"}, []*pb.NodeProto{op("Div", "one x", "y")}, scalarOf("one", 1))
		r, err := compileFile(context.Background(), write(t, m), narrow(Config{PrivateInputs: []string{"all"}, Calibrate: []Input{in}, Ranges: map[string]Range{"x": {Lo: lo, Hi: 4}}}))
		require.NoError(t, err)
		classes, err := r.Circuit.Classes()
		require.NoError(t, err)
		require.NotEmpty(t, classes, "from %g on", lo)
	}
}

// A quotient of exponentials by their sum is a Softmax, with and without their greatest subtracted, and keeps what masks.
func TestSpelledSoftmax(t *testing.T) {
	x := port("x", float32s, 2, 3, 4)
	masked := &pb.TensorProto{Name: "mask", DataType: float32s, Dims: []int64{4}, FloatData: []float32{0, 0, float32(math.Inf(-1)), 0}}
	for what, nodes := range map[string][]*pb.NodeProto{
		"plain":      {op("Exp", "s", "e"), op("ReduceSum", "e last", "sum"), op("Div", "e sum", "y")},
		"safe":       {op("ReduceMax", "s last", "most"), op("Sub", "s most", "less"), op("Exp", "less", "e"), op("ReduceSum", "e last", "sum"), op("Div", "e sum", "y")},
		"function":   {op("ReduceMax", "s last", "most"), op("Sub", "s most", "less"), op("Exp", "less", "e"), op("ReduceSum", "e last", "sum"), op("Div", "e sum", "y")},
		"reciprocal": {op("Exp", "s", "e"), op("ReduceSum", "e last", "sum"), op("Reciprocal", "sum", "r"), op("Mul", "r e", "y")},
	} {
		t.Run(what, func(t *testing.T) {
			m := portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, append([]*pb.NodeProto{op("Add", "x mask", "s")}, nodes...), masked, int64s("last", -1))
			if what == "function" {
				axes := op("Constant", "", "last", intsAttr("value_ints", -1))
				m.Functions = []*pb.FunctionProto{{Name: "Weights", Domain: "own", Input: []string{"x", "mask"}, Output: []string{"y"}, OpsetImport: m.OpsetImport, Node: append([]*pb.NodeProto{axes}, m.Graph.Node...)}}
				call := op("Weights", "x mask", "y")
				call.Domain = "own"
				m.Graph.Node = []*pb.NodeProto{call}
				m.OpsetImport = append(m.OpsetImport, &pb.OperatorSetIdProto{Domain: "own", Version: 1})
			}
			checkComposite(t, m, func(in [][]float64) (out []float64) {
				for at := 0; at < len(in[0]); at += 4 {
					var e [4]float64
					sum := 0.0
					for i := range e {
						if i != 2 {
							e[i] = math.Exp(in[0][at+i])
							sum += e[i]
						}
					}
					for i := range e {
						out = append(out, e[i]/sum)
					}
				}
				return out
			})
		})
	}
	for what, nodes := range map[string][]*pb.NodeProto{ // of scores that are far from each other
		"logarithm":            {op("Mul", "x ten", "s"), op("Softmax", "s", "e"), op("Log", "e", "y")},
		"logarithm, in parts":  {op("Mul", "x ten", "s"), op("Exp", "s", "e"), op("ReduceSum", "e last", "sum"), op("Div", "e sum", "q"), op("Log", "q", "y")},
		"logarithm of the sum": {op("Mul", "x ten", "s"), op("Exp", "s", "e"), op("ReduceSum", "e last", "sum"), op("Log", "sum", "l"), op("Sub", "s l", "y")},
	} {
		t.Run(what, func(t *testing.T) {
			m := portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, nodes, scalarOf("ten", 10), int64s("last", -1))
			checkComposite(t, m, func(in [][]float64) (out []float64) {
				scores := make([]float64, len(in[0]))
				for i, v := range in[0] {
					scores[i] = 10 * v
				}
				for i, l := range scores {
					out = append(out, l-logSums(scores, 4)[i/4])
				}
				return out
			})
		})
	}
	t.Run("a sum of booleans", func(t *testing.T) { // casts that make other numbers stand between: no Softmax
		m := portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, []*pb.NodeProto{op("Exp", "x", "e"), op("Cast", "e", "b", intAttr("to", 9)), op("Cast", "b", "f", intAttr("to", 1)),
			op("ReduceSum", "f last", "sum"), op("Div", "e sum", "y")}, int64s("last", -1))
		checkComposite(t, m, func(in [][]float64) (out []float64) {
			for _, x := range in[0] {
				out = append(out, math.Exp(x)/4)
			}
			return out
		})
	})
	t.Run("another axis", func(t *testing.T) { // of the sum: no Softmax, and as good
		m := portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, []*pb.NodeProto{op("Exp", "x", "e"), op("ReduceSum", "e axes", "sum"), op("Div", "e sum", "y")}, int64s("axes", 0, 2))
		checkComposite(t, m, func(in [][]float64) (out []float64) {
			sums := make([]float64, 3)
			for i, x := range in[0] {
				sums[i/4%3] += math.Exp(x)
			}
			for i, x := range in[0] {
				out = append(out, math.Exp(x)/sums[i/4%3])
			}
			return out
		})
	})
}

// What cancels is nothing, whatever the input: a normalisation of one cell is its bias.
func TestNormOfOneCell(t *testing.T) {
	x := port("x", float32s, 3, 1)
	m := portsModel([]*pb.ValueInfoProto{x, port("b", float32s, 3, 1)}, []string{"y"}, []*pb.NodeProto{op("ReduceMean", "x last", "mean"), op("Sub", "x mean", "off"),
		op("Mul", "off off", "squares"), op("Add", "squares eps", "some"), op("Sqrt", "some", "root"), op("Div", "off root", "normal"), op("Add", "normal b", "biased"), op("Mul", "biased b", "square"), op("Add", "square x", "y")},
		int64s("last", -1), scalarOf("eps", 1e-5))
	checkComposite(t, m, func(in [][]float64) (out []float64) {
		for i, b := range in[1] {
			out = append(out, in[0][i]+b*b)
		}
		return out
	})
}

// Integers below, above and nearest, an even one where two are: exactly, of inputs, of their sums and products, and of quotients by a
// number.
func TestRoundings(t *testing.T) {
	third := []*pb.TensorProto{scalarOf("three", 3)}
	thirds := func(kind, out string) []*pb.NodeProto {
		n := op(kind, "q"+out, out)
		if kind == "Cast" {
			n.Attribute = []*pb.AttributeProto{intAttr("to", 6)}
		}
		return []*pb.NodeProto{op("Div", "x three", "q"+out), n}
	}
	x := append([]float64(nil), realX...)
	for i := range x[:16] {
		x[i] = float64(i-8) / 2
	}
	p := append([]float64(nil), realP...)
	copy(p, []float64{0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4})
	checkReals(t, 1e-9, x, p, map[string]realCase{
		"floor": {[]*pb.NodeProto{op("Floor", "x", "floor")}, nil, func(x, _ float64) float64 { return math.Floor(x) }},
		"ceil":  {[]*pb.NodeProto{op("Ceil", "x", "ceil")}, nil, func(x, _ float64) float64 { return math.Ceil(x) }},
		"round": {[]*pb.NodeProto{op("Round", "x", "round")}, nil, func(x, _ float64) float64 { return math.RoundToEven(x) }},
		"rp":    {[]*pb.NodeProto{op("Round", "p", "rp")}, nil, func(_, p float64) float64 { return math.RoundToEven(p) }},
		"prod":  {[]*pb.NodeProto{op("Mul", "x p", "xp"), op("Floor", "xp", "prod")}, nil, func(x, p float64) float64 { return math.Floor(x * p) }},
		"sum":   {[]*pb.NodeProto{op("Add", "x p", "xap"), op("Ceil", "xap", "sum")}, nil, func(x, p float64) float64 { return math.Ceil(x + p) }},
		"f3":    {thirds("Floor", "f3"), third, func(x, _ float64) float64 { return math.Floor(x / 3) }},
		"c3":    {thirds("Ceil", "c3"), nil, func(x, _ float64) float64 { return math.Ceil(x / 3) }},
		"trunc": {[]*pb.NodeProto{op("Sub", "x p", "xlp"), op("Cast", "xlp", "whole", intAttr("to", 7)), op("Cast", "whole", "trunc", intAttr("to", 1))}, nil, func(x, p float64) float64 { return math.Trunc(x - p) }},
		"t3":    {append(thirds("Cast", "w3"), op("Cast", "w3", "t3", intAttr("to", 1))), nil, func(x, _ float64) float64 { return math.Trunc(x / 3) }},
		"fmod":  {[]*pb.NodeProto{op("Mod", "x step", "fmod", intAttr("fmod", 1))}, []*pb.TensorProto{scalarOf("step", 0.75)}, func(x, _ float64) float64 { return math.Mod(x, 0.75) }},
		"fmod2": {[]*pb.NodeProto{op("Add", "p step", "py"), op("Neg", "py", "ny"), op("Mod", "x ny", "fmod2", intAttr("fmod", 1))}, nil, func(x, p float64) float64 { return math.Mod(x, p+0.75) }},
		"twice": {[]*pb.NodeProto{op("Floor", "x", "once"), op("Floor", "once", "same"), op("Add", "same once", "twice")}, nil, func(x, _ float64) float64 { return 2 * math.Floor(x) }},
	})
}

// Functions of one number that rise without bound, are none on one side or have a pole: over the range that calibration saw.
func TestFunctionsOfARange(t *testing.T) {
	p := append([]float64(nil), realP...)
	for i := range p {
		p[i] = math.Max(p[i], 0x1p-6)
	}
	f := func(f func(float64) float64) func(x, p float64) float64 {
		return func(_, p float64) float64 { return f(p) }
	}
	power := func(name string, e float32) realCase {
		return realCase{[]*pb.NodeProto{op("Pow", "p e"+name, name)}, []*pb.TensorProto{scalarOf("e"+name, e)}, f(func(p float64) float64 { return math.Pow(p, float64(e)) })}
	}
	checkReals(t, 0x1p-9, realX, p, map[string]realCase{
		"log":   {[]*pb.NodeProto{op("Log", "p", "log")}, nil, f(math.Log)},
		"fall":  {[]*pb.NodeProto{op("Mul", "p minus", "neg"), op("Exp", "neg", "fall")}, []*pb.TensorProto{scalarOf("minus", -3)}, f(func(p float64) float64 { return math.Exp(-3 * p) })},
		"grow":  {[]*pb.NodeProto{op("Exp", "p", "grow")}, nil, f(math.Exp)},
		"p0":    {[]*pb.NodeProto{op("Pow", "p eight", "p1"), op("Add", "p1 p", "p0")}, []*pb.TensorProto{{Name: "eight", DataType: int64sOf, Dims: []int64{1}, Int64Data: []int64{0}}}, f(func(p float64) float64 { return 1 + p })},
		"p1p5":  power("p1p5", 1.5),
		"p12":   power("p12", 1.2157546),
		"m03":   power("m03", -0.3),
		"m2":    power("m2", -2),
		"fifth": {[]*pb.NodeProto{op("Pow", "x five", "fifth")}, []*pb.TensorProto{scalarOf("five", 5)}, func(x, _ float64) float64 { return math.Pow(x, 5) }},
		"both":  {[]*pb.NodeProto{op("Pow", "p x", "both")}, nil, func(x, p float64) float64 { return math.Pow(p, x) }},
		"base":  {[]*pb.NodeProto{op("Pow", "two x", "base")}, []*pb.TensorProto{scalarOf("two", 2)}, func(x, _ float64) float64 { return math.Exp2(x) }},
		"atan":  {[]*pb.NodeProto{op("Atan", "x", "atan")}, nil, func(x, _ float64) float64 { return math.Atan(x) }},
	})
	t.Run("exponents", func(t *testing.T) { // of every column its own
		m := portsModel([]*pb.ValueInfoProto{port("x", float32s, 2, 4)}, []string{"y"}, []*pb.NodeProto{op("Pow", "x e", "y")}, int64s("e", 1, 2, 0, 3))
		checkComposite(t, m, func(in [][]float64) (out []float64) {
			for i, x := range in[0] {
				out = append(out, math.Pow(x, []float64{1, 2, 0, 3}[i%4]))
			}
			return out
		})
	})
}

// Operators of one number that have formulas, and some that are spelled out.
func TestFormulas(t *testing.T) {
	unary := func(kind string, of func(float64) float64) realCase {
		return realCase{[]*pb.NodeProto{op("Mul", "x quarter", "q"+kind), op(kind, "q"+kind, kind)}, nil, func(x, _ float64) float64 { return of(x / 4) }}
	}
	cases := map[string]realCase{
		"Tan": unary("Tan", math.Tan), "Asin": unary("Asin", math.Asin), "Acos": unary("Acos", math.Acos), "Atan": unary("Atan", math.Atan), "Sinh": unary("Sinh", math.Sinh),
		"Cosh": unary("Cosh", math.Cosh), "Asinh": unary("Asinh", math.Asinh), "Atanh": unary("Atanh", math.Atanh),
		"Softsign": unary("Softsign", func(x float64) float64 { return x / (1 + math.Abs(x)) }),
		"Acosh":    {[]*pb.NodeProto{op("Add", "p one", "above"), op("Acosh", "above", "Acosh")}, []*pb.TensorProto{scalarOf("one", 1)}, func(_, p float64) float64 { return math.Acosh(p + 1) }},
		"Thresholded": {[]*pb.NodeProto{op("ThresholdedRelu", "x", "Thresholded", floatAttr("alpha", 0.5))}, nil, func(x, _ float64) float64 {
			if x > 0.5 {
				return x
			}
			return 0
		}},
		"Shrink": {[]*pb.NodeProto{op("Shrink", "x", "Shrink", floatAttr("bias", 0.25), floatAttr("lambd", 1.5))}, nil, func(x, _ float64) float64 {
			switch {
			case x < -1.5:
				return x + 0.25
			case x > 1.5:
				return x - 0.25
			}
			return 0
		}},
	}
	tan := cases["Tan"]
	tan.constants = []*pb.TensorProto{scalarOf("quarter", 0.25)}
	cases["Tan"] = tan
	checkReals(t, 0x1p-9, realX, realP, cases)
}

// Normalisations by what is measured over axes of any kind.
func TestMeasuredNorms(t *testing.T) {
	x := port("x", float32s, 2, 3, 5)
	at := func(i int) (n, c, k int) { return i / 15, i / 5 % 3, i % 5 }
	over := func(in []float64, which func(i, j int) bool, eps float64) (out []float64) {
		for i, v := range in {
			n, mean, variance := 0.0, 0.0, 0.0
			for j, w := range in {
				if which(i, j) {
					n, mean = n+1, mean+w
				}
			}
			mean /= n
			for j, w := range in {
				if which(i, j) {
					variance += (w - mean) * (w - mean) / n
				}
			}
			out = append(out, (v-mean)/math.Sqrt(variance+eps))
		}
		return out
	}
	channel := func(i, j int) bool { _, a, _ := at(i); _, b, _ := at(j); return a == b }
	t.Run("batch", func(t *testing.T) {
		m := portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, []*pb.NodeProto{op("BatchNormalization", "x scale b mean var", "y", intAttr("training_mode", 1), floatAttr("epsilon", 0.01))},
			floatsOf("scale", 1, -2, 0.5), floatsOf("b", 0, 1, 2), floatsOf("mean", 5, 6, 7), floatsOf("var", 1, 2, 3))
		checkComposite(t, m, func(in [][]float64) []float64 {
			out := over(in[0], channel, 0.01)
			for i := range out {
				_, c, _ := at(i)
				out[i] = out[i]*[]float64{1, -2, 0.5}[c] + float64(c)
			}
			return out
		})
	})
	t.Run("running", func(t *testing.T) { // the mean alone is an output
		m := portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, []*pb.NodeProto{op("BatchNormalization", "x scale b mean var", "z y", intAttr("training_mode", 1), floatAttr("momentum", 0.75))},
			floatsOf("scale", 1, -2, 0.5), floatsOf("b", 0, 1, 2), floatsOf("mean", 5, 6, 7), floatsOf("var", 1, 2, 3))
		checkComposite(t, m, func(in [][]float64) []float64 {
			out := []float64{5 * 0.75, 6 * 0.75, 7 * 0.75}
			for i, v := range in[0] {
				_, c, _ := at(i)
				out[c] += v / 10 * 0.25
			}
			return out
		})
	})
	t.Run("mean and variance", func(t *testing.T) {
		checkComposite(t, portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, []*pb.NodeProto{op("MeanVarianceNormalization", "x", "y", intsAttr("axes", 0, 2))}), func(in [][]float64) []float64 {
			return over(in[0], channel, 0)
		})
	})
	for p, size := range map[int64]func(sum, v float64) float64{1: func(sum, v float64) float64 { return sum + math.Abs(v) }, 2: math.Hypot} {
		t.Run("length", func(t *testing.T) {
			checkComposite(t, portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, []*pb.NodeProto{op("LpNormalization", "x", "y", intAttr("p", p), intAttr("axis", -2))}), func(in [][]float64) (out []float64) {
				for i, v := range in[0] {
					n, _, k := at(i)
					sum := 0.0
					for c := range 3 {
						sum = size(sum, in[0][n*15+c*5+k])
					}
					out = append(out, v/sum)
				}
				return out
			})
		})
	}
}

// Norms in spellings that no pattern knows: an unbiased variance with epsilon outside of the root, and cosines of rows.
func TestUnusualNorms(t *testing.T) {
	x, z := port("x", float32s, 4, 6), port("z", float32s, 4, 6)
	last := int64s("last", -1)
	t.Run("unbiased", func(t *testing.T) {
		m := portsModel([]*pb.ValueInfoProto{x}, []string{"y"}, []*pb.NodeProto{op("ReduceMean", "x last", "mean"), op("Sub", "x mean", "off"), op("ReduceSumSquare", "off last", "squares"),
			op("Div", "squares less", "variance"), op("Sqrt", "variance", "deviation"), op("Add", "deviation eps", "some"), op("Div", "off some", "normal"), op("Mul", "normal gain", "y")},
			last, scalarOf("less", 5), scalarOf("eps", 1e-6), floatsOf("gain", 1, 2, 3, -1, -2, 0.5))
		checkComposite(t, m, func(in [][]float64) (out []float64) {
			for at := 0; at < len(in[0]); at += 6 {
				mean, variance := 0.0, 0.0
				for _, v := range in[0][at : at+6] {
					mean += v / 6
				}
				for _, v := range in[0][at : at+6] {
					variance += (v - mean) * (v - mean) / 5
				}
				for i, v := range in[0][at : at+6] {
					out = append(out, (v-mean)/(math.Sqrt(variance)+1e-6)*[]float64{1, 2, 3, -1, -2, 0.5}[i])
				}
			}
			return out
		})
	})
	t.Run("cosines", func(t *testing.T) {
		m := portsModel([]*pb.ValueInfoProto{x, z}, []string{"y"}, []*pb.NodeProto{op("ReduceL2", "x last", "a"), op("ReduceL2", "z last", "b"), op("Mul", "a b", "lengths"),
			op("Mul", "x z", "xz"), op("ReduceSum", "xz last", "dot"), op("Div", "dot lengths", "y")}, last)
		checkComposite(t, m, func(in [][]float64) (out []float64) {
			for at := 0; at < len(in[0]); at += 6 {
				dot, a, b := 0.0, 0.0, 0.0
				for i := at; i < at+6; i++ {
					dot, a, b = dot+in[0][i]*in[1][i], a+in[0][i]*in[0][i], b+in[1][i]*in[1][i]
				}
				out = append(out, dot/math.Sqrt(a*b))
			}
			return out
		})
	})
	t.Run("quotients of sums", func(t *testing.T) { // a pooling by weights of either sign, of which no sum is near 0
		m := portsModel([]*pb.ValueInfoProto{x, z}, []string{"y"}, []*pb.NodeProto{op("Exp", "z", "e"), op("Mul", "e minus", "w"), op("Mul", "x w", "xw"), op("ReduceSum", "xw last", "sum"),
			op("ReduceSum", "w last", "all"), op("Div", "sum all", "y")}, last, scalarOf("minus", -1))
		checkComposite(t, m, func(in [][]float64) (out []float64) {
			for at := 0; at < len(in[0]); at += 6 {
				sum, all := 0.0, 0.0
				for i := at; i < at+6; i++ {
					sum, all = sum+in[0][i]*math.Exp(in[1][i]), all+math.Exp(in[1][i])
				}
				out = append(out, sum/all)
			}
			return out
		})
	})
}
