package compiler

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// ownFunction is one of the model's of opset 18, with one output, y.
func ownFunction(name, overload string, inputs []string, nodes ...*pb.NodeProto) *pb.FunctionProto {
	return &pb.FunctionProto{Domain: "my", Name: name, Overload: overload, Input: inputs, Output: []string{"y"}, Node: nodes, OpsetImport: []*pb.OperatorSetIdProto{{Version: 18}}}
}

// calls is a call of a function.
func calls(name, overload, inputs string) *pb.NodeProto {
	n := op(name, inputs, "y")
	n.Domain, n.Overload = "my", overload
	return n
}

func withFunctions(m *pb.ModelProto, fs ...*pb.FunctionProto) *pb.ModelProto {
	m.Functions, m.OpsetImport = fs, append(m.OpsetImport, &pb.OperatorSetIdProto{Domain: "my", Version: 1})
	return m
}

// Functions of one name are told apart by their overloads, and an input that a call leaves out is absent inside of the function.
func TestFunctionsOfModels(t *testing.T) {
	x, low := []*pb.ValueInfoProto{port("x", float32s, 2, 3)}, scalarOf("low", -0.5)
	overloads := []*pb.FunctionProto{ownFunction("F", "one", []string{"a"}, op("Neg", "a", "y")), ownFunction("F", "two", []string{"a"}, op("Tanh", "a", "y"))}
	cut := &pb.NodeProto{OpType: "Clip", Input: []string{"a", "lo", "hi"}, Output: []string{"y"}}
	standard := ownFunction("Relu", "", []string{"a"}, op("Neg", "a", "y"))
	standard.Domain = "ai.onnx"
	clipped := func(v float64) float64 { return math.Max(v, -0.5) }
	for name, c := range map[string]struct {
		node *pb.NodeProto
		fs   []*pb.FunctionProto
		want func(v float64) float64
	}{
		"overload one":           {calls("F", "one", "x"), overloads, func(v float64) float64 { return -v }},
		"overload two":           {calls("F", "two", "x"), overloads, math.Tanh},
		"input left out":         {calls("C", "", "x low"), []*pb.FunctionProto{ownFunction("C", "", []string{"a", "lo", "hi"}, cut)}, clipped},
		"empty input":            {&pb.NodeProto{OpType: "C", Domain: "my", Input: []string{"x", "", "low"}, Output: []string{"y"}}, []*pb.FunctionProto{ownFunction("C", "", []string{"a", "hi", "lo"}, cut)}, clipped},
		"in the standard's name": {op("Relu", "x", "y"), []*pb.FunctionProto{standard}, func(v float64) float64 { return -v }},
	} {
		t.Run(name, func(t *testing.T) {
			checkComposite(t, withFunctions(portsModel(x, []string{"y"}, []*pb.NodeProto{c.node}, low), c.fs...), func(in [][]float64) (out []float64) {
				for _, v := range in[0] {
					out = append(out, c.want(v))
				}
				return out
			})
		})
	}
	older := ownFunction("S", "", []string{"a"}, op("Softmax", "a", "y", intAttr("axis", 0)))
	older.OpsetImport[0].Version = 11
	for want, m := range map[string]*pb.ModelProto{
		`(my.F): calls the function's overload "three", which the model does not have`:                               withFunctions(portsModel(x, []string{"y"}, []*pb.NodeProto{calls("F", "three", "x")}), overloads...),
		`the model has two functions of this name in the domain "my" with the overload "one"`:                        withFunctions(portsModel(x, []string{"y"}, []*pb.NodeProto{calls("F", "one", "x")}), append(slices.Clone(overloads), overloads[0])...),
		`(my.S): the function is of opset 11 and the model of 18, and its Softmax`:                                   withFunctions(portsModel(x, []string{"y"}, []*pb.NodeProto{calls("S", "", "x")}), older),
		`(Dropout): its output "m" is used, of which no circuit is made; export the model without it`:                portsModel(x, []string{"y"}, []*pb.NodeProto{op("Dropout", "x", "z m"), op("Cast", "m", "y", intAttr("to", 1))}),
		`(MaxPool): its output "y" is used, of which no circuit is made`:                                             portsModel([]*pb.ValueInfoProto{port("x", float32s, 1, 2, 3)}, []string{"y"}, []*pb.NodeProto{op("MaxPool", "x", "z y", intsAttr("kernel_shape", 2))}),
		`(MeanVarianceNormalization): says by across_channels or normalize_variance what it normalises, as bef`:      ofOpset(8, portsModel(x, []string{"y"}, []*pb.NodeProto{op("MeanVarianceNormalization", "x", "y", intAttr("across_channels", 1))})),
		`node "y" (sequence): is a sequence of tensors where a tensor is used or given; give its tensors one by one`: portsModel(x, []string{"y"}, []*pb.NodeProto{op("SequenceConstruct", "x x", "y")}),
		`(Pad): it cuts all 3 cells of axis 1, of which none is left to be repeated`:                                 portsModel(x, []string{"y"}, []*pb.NodeProto{op("Pad", "x p", "y", stringAttr("mode", "edge"))}, int64s("p", 0, -3, 0, 3)),
	} {
		_, err := Analyse(t.Context(), write(t, m), narrow(Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}}, PrivateInputs: []string{"x"}}))
		require.ErrorIs(t, err, ErrUnsupported, want)
		require.ErrorContains(t, err, want)
	}
}

func ofOpset(version int64, m *pb.ModelProto) *pb.ModelProto {
	m.OpsetImport[0].Version = version
	return m
}

// A scale with as many cells as are normalised that lies along another axis is not the scale of every row, here one of rows of two.
func TestScalesAcrossRows(t *testing.T) {
	x := []*pb.ValueInfoProto{port("x", float32s, 2, 2, 2)}
	scale, shift := floatsOf("scale", 1, -2), floatsOf("shift", 0.25, 0.5)
	scale.Dims, shift.Dims = []int64{2, 1}, []int64{2, 1}
	normed := func(centred bool, bias float64) func(in [][]float64) []float64 {
		return func(in [][]float64) (out []float64) {
			for i, v := range in[0] {
				row := in[0][i/2*2 : i/2*2+2]
				mean := 0.0
				if centred {
					mean = (row[0] + row[1]) / 2
				}
				square := (row[0]-mean)*(row[0]-mean)/2 + (row[1]-mean)*(row[1]-mean)/2
				at := i / 2 % 2
				out = append(out, (v-mean)/math.Sqrt(square+0.25)*[]float64{1, -2}[at]+bias*[]float64{0.25, 0.5}[at])
			}
			return out
		}
	}
	checkComposite(t, ofOpset(23, portsModel(x, []string{"y"}, []*pb.NodeProto{op("LayerNormalization", "x scale shift", "y", floatAttr("epsilon", 0.25))}, scale, shift)), normed(true, 1))
	checkComposite(t, ofOpset(23, portsModel(x, []string{"y"}, []*pb.NodeProto{op("RMSNormalization", "x scale", "y", floatAttr("epsilon", 0.25))}, scale)), normed(false, 0))
}

// Attributes that decide what a cell is.
func TestAttributesThatDecide(t *testing.T) {
	x := []*pb.ValueInfoProto{port("x", float32s, 2, 3)}
	far := floatsOf("far", float32(math.Inf(1)), float32(math.Inf(-1)), 1)
	infinite := func(attrs ...*pb.AttributeProto) []*pb.NodeProto {
		return []*pb.NodeProto{op("IsInf", "far", "b", attrs...), op("Cast", "b", "f", intAttr("to", 1)), op("Mul", "x f", "y")}
	}
	columns := func(by ...float64) func(in [][]float64) []float64 {
		return func(in [][]float64) (out []float64) {
			for i, v := range in[0] {
				out = append(out, v*by[i%3])
			}
			return out
		}
	}
	picked := func(at ...int) func(in [][]float64) []float64 { // columns
		return func(in [][]float64) (out []float64) {
			for r := range 2 {
				for _, c := range at {
					out = append(out, in[0][3*r+c])
				}
			}
			return out
		}
	}
	wrapped := []*pb.NodeProto{op("Pad", "x p", "y", stringAttr("mode", "wrap"))}
	for name, c := range map[string]struct {
		nodes     []*pb.NodeProto
		constants []*pb.TensorProto
		want      func(in [][]float64) []float64
	}{
		"infinite":           {infinite(), []*pb.TensorProto{far}, columns(1, 1, 0)},
		"positive infinity":  {infinite(intAttr("detect_negative", 0)), []*pb.TensorProto{far}, columns(1, 0, 0)},
		"negative infinity":  {infinite(intAttr("detect_positive", 0)), []*pb.TensorProto{far}, columns(0, 1, 0)},
		"wrap, cut behind":   {wrapped, []*pb.TensorProto{int64s("p", 0, 1, 0, -1)}, picked(1, 0, 1)},
		"wrap, cut in front": {wrapped, []*pb.TensorProto{int64s("p", 0, -1, 0, 2)}, picked(1, 2, 1, 2)},
		"Shrink of a negative lambd": {[]*pb.NodeProto{op("Shrink", "x", "y", floatAttr("lambd", -1.5), floatAttr("bias", 0.25))}, nil, func(in [][]float64) (out []float64) {
			for _, v := range in[0] {
				if v < 1.5 {
					out = append(out, v+0.25)
				} else {
					out = append(out, v-0.25)
				}
			}
			return out
		}},
	} {
		t.Run(name, func(t *testing.T) {
			checkComposite(t, portsModel(x, []string{"y"}, c.nodes, c.constants...), c.want)
		})
	}
}

// In which order an unsorted TopK gives cells is open; who compares them is told.
func TestUnsortedTopK(t *testing.T) {
	for _, sorted := range []int64{0, 1} {
		m := portsModel([]*pb.ValueInfoProto{port("x", float32s, 2, 3)}, []string{"y"}, []*pb.NodeProto{op("TopK", "x k", "y i", intAttr("sorted", sorted))}, int64s("k", 2))
		r, err := Analyse(t.Context(), write(t, m), narrow(Config{Ranges: map[string]Range{"x": {Lo: -1, Hi: 1}}, PrivateInputs: []string{"x"}}))
		require.NoError(t, err)
		told := slices.ContainsFunc(r.Notes, func(note string) bool {
			return note == `node "TopK_y i" (TopK) leaves open in which order it gives what it finds (its sorted is 0), `+
				`and runtimes have orders of their own: here the first is first`
		})
		require.Equal(t, sorted == 0, told, r.Notes)
	}
}

// Exponentials of what −∞ masks, as state-space models take of sums over a triangle, are zeros there; which booleans of the file mask stays hidden.
func TestExponentialsOfMasked(t *testing.T) {
	x := []*pb.ValueInfoProto{port("x", float32s, 2, 3)}
	bits := booleans("bits", []int64{3}, 1, 0, 1)
	for f, at := range map[string]func(v float64) float64{"Exp": math.Exp, "Sigmoid": func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }} {
		for sides, kept := range map[string]int{"bits low x": 0, "bits x low": 1} {
			t.Run(f+" "+sides, func(t *testing.T) {
				nodes := []*pb.NodeProto{op("Where", sides, "m"), op(f, "m", "y")}
				checkComposite(t, portsModel(x, []string{"y"}, nodes, bits, scalarOf("low", float32(math.Inf(-1)))), func(in [][]float64) (out []float64) {
					for i, v := range in[0] {
						if v = at(v); []int{1, 0, 1}[i%3] != kept {
							v = 0
						}
						out = append(out, v)
					}
					return out
				})
			})
		}
	}
}
