package compiler

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

func floatAttr(name string, v float32) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: 1, F: v}
}

// booleans is a constant of booleans.
func booleans(name string, shape []int64, v ...int32) *pb.TensorProto {
	return &pb.TensorProto{Name: name, DataType: bools, Dims: shape, Int32Data: v}
}

// indices is a constant of integers.
func indices(name string, shape []int64, v ...int64) *pb.TensorProto {
	return &pb.TensorProto{Name: name, DataType: int64sOf, Dims: shape, Int64Data: v}
}

// grouped is attention of four heads of queries, two of keys, over rows that came before, causal and with capped scores.
func grouped() *pb.ModelProto {
	n := op("Attention", "", "y", intAttr("is_causal", 1), floatAttr("softcap", 1.5), floatAttr("scale", 0.75))
	n.Input = []string{"q", "k", "v", "", "pk", "pv"}
	return portsModel([]*pb.ValueInfoProto{
		port("q", float32s, 1, 4, 3, 4), port("k", float32s, 1, 2, 3, 4), port("v", float32s, 1, 2, 3, 2), port("pk", float32s, 1, 2, 2, 4), port("pv", float32s, 1, 2, 2, 2),
	}, []string{"y"}, []*pb.NodeProto{n})
}

// groupQuery is onnxruntime's attention of two heads of queries and one of keys, packed in one input, turned by the angle 1 from position to
// position, in a window of two, with a score for nothing.
func groupQuery() *pb.ModelProto {
	n := op("GroupQueryAttention", "", "y", intAttr("num_heads", 2), intAttr("kv_num_heads", 1), intAttr("do_rotary", 1), intAttr("local_window_size", 2))
	n.Domain, n.Input = "com.microsoft", []string{"x", "", "", "", "", "len", "total", "cos", "sin", "", "", "sink"}
	table := func(name string, f func(float64) float64) *pb.TensorProto {
		t := &pb.TensorProto{Name: name, DataType: float32s, Dims: []int64{4, 1}}
		for p := range 4 {
			t.FloatData = append(t.FloatData, float32(f(float64(p))))
		}
		return t
	}
	return portsModel([]*pb.ValueInfoProto{port("x", float32s, 1, 4, 8)}, []string{"y"}, []*pb.NodeProto{n},
		&pb.TensorProto{Name: "len", DataType: 6, Dims: []int64{1}, Int32Data: []int32{3}}, &pb.TensorProto{Name: "total", DataType: 6, Int32Data: []int32{4}},
		table("cos", math.Cos), table("sin", math.Sin), floatsOf("sink", 0.5, -1))
}

// attend is the definition: what a query row gets of keys and values, of which some are allowed.
func attend(q []float64, k, v [][]float64, scale, limit float64, allowed func(j int) bool) []float64 {
	out, sum := make([]float64, len(v[0])), 0.0
	for j := range k {
		if !allowed(j) {
			continue
		}
		s := 0.0
		for d := range q {
			s += q[d] * k[j][d]
		}
		if s *= scale; limit > 0 {
			s = limit * math.Tanh(s/limit)
		}
		w := math.Exp(s)
		sum += w
		for d := range out {
			out[d] += w * v[j][d]
		}
	}
	for d := range out {
		out[d] /= sum
	}
	return out
}

// headRows are the rows of a width, those of several tensors one after the other for every head.
func headRows(head, heads, width int, tensors ...[]float64) (rows [][]float64) {
	for _, t := range tensors {
		part := len(t) / heads
		for at := head * part; at < (head+1)*part; at += width {
			rows = append(rows, t[at:at+width])
		}
	}
	return rows
}

// Operators that are spelled out as others, or that move cells, give what their definitions say, in the float model and in the integers.
func TestComposites(t *testing.T) {
	f := func(f func(float64) float64) func(in [][]float64) []float64 {
		return func(in [][]float64) (out []float64) {
			for _, x := range in[0] {
				out = append(out, f(x))
			}
			return out
		}
	}
	elu := func(x, alpha, beta float64) float64 { return math.Max(x, 0) + alpha*(math.Exp(math.Min(x, 0)/beta)-1) }
	moved := func(from ...int) func(in [][]float64) []float64 {
		return func(in [][]float64) (out []float64) {
			for _, i := range from {
				if i < len(in[0]) {
					out = append(out, in[0][i])
				} else {
					out = append(out, in[1][i-len(in[0])])
				}
			}
			return out
		}
	}
	x := port("x", float32s, 2, 3, 5)
	for name, c := range map[string]struct {
		inputs    []*pb.ValueInfoProto
		node      *pb.NodeProto
		constants []*pb.TensorProto
		want      func(in [][]float64) []float64
	}{
		"Erf":      {[]*pb.ValueInfoProto{x}, op("Erf", "x", "y"), nil, f(math.Erf)},
		"Sin":      {[]*pb.ValueInfoProto{x}, op("Sin", "x", "y"), nil, f(math.Sin)},
		"Cos":      {[]*pb.ValueInfoProto{x}, op("Cos", "x", "y"), nil, f(math.Cos)},
		"Softplus": {[]*pb.ValueInfoProto{x}, op("Softplus", "x", "y"), nil, f(func(x float64) float64 { return math.Log1p(math.Exp(x)) })},
		"Mish":     {[]*pb.ValueInfoProto{x}, op("Mish", "x", "y"), nil, f(func(x float64) float64 { return x * math.Tanh(math.Log1p(math.Exp(x))) })},
		"Abs":      {[]*pb.ValueInfoProto{x}, op("Abs", "x", "y"), nil, f(math.Abs)},
		"Elu":      {[]*pb.ValueInfoProto{x}, op("Elu", "x", "y", floatAttr("alpha", 2)), nil, f(func(x float64) float64 { return elu(x, 2, 1) })},
		"Celu":     {[]*pb.ValueInfoProto{x}, op("Celu", "x", "y", floatAttr("alpha", 2)), nil, f(func(x float64) float64 { return elu(x, 2, 2) })},
		"Selu":     {[]*pb.ValueInfoProto{x}, op("Selu", "x", "y"), nil, f(func(x float64) float64 { return 1.0507010221481323 * elu(x, 1.6732631921768188, 1) })},
		"ReduceMax": {[]*pb.ValueInfoProto{x}, op("ReduceMax", "x axes", "y", intAttr("keepdims", 0)), []*pb.TensorProto{int64s("axes", 0, -1)}, func(in [][]float64) []float64 {
			out := []float64{-9, -9, -9}
			for i, v := range in[0] {
				out[i/5%3] = math.Max(out[i/5%3], v)
			}
			return out
		}},
		"ReduceMin": {[]*pb.ValueInfoProto{x}, op("ReduceMin", "x axes", "y"), []*pb.TensorProto{int64s("axes", 2)}, func(in [][]float64) []float64 {
			out := []float64{9, 9, 9, 9, 9, 9}
			for i, v := range in[0] {
				out[i/5] = math.Min(out[i/5], v)
			}
			return out
		}},
		"ReduceProd": {[]*pb.ValueInfoProto{x}, op("ReduceProd", "x axes", "y"), []*pb.TensorProto{int64s("axes", 1)}, func(in [][]float64) (out []float64) {
			for i := range 10 {
				out = append(out, in[0][i/5*15+i%5]*in[0][i/5*15+5+i%5]*in[0][i/5*15+10+i%5])
			}
			return out
		}},
		"ReduceL1": {[]*pb.ValueInfoProto{x}, op("ReduceL1", "x axes", "y", intAttr("keepdims", 0)), []*pb.TensorProto{int64s("axes", 2)}, func(in [][]float64) []float64 {
			out := make([]float64, 6)
			for i, v := range in[0] {
				out[i/5] += math.Abs(v)
			}
			return out
		}},
		"ReduceLogSumExp": {[]*pb.ValueInfoProto{x}, op("ReduceLogSumExp", "x axes", "y"), []*pb.TensorProto{int64s("axes", 2)}, func(in [][]float64) []float64 { return logSums(in[0], 5) }},
		"LogSoftmax": {[]*pb.ValueInfoProto{x}, op("LogSoftmax", "x", "y"), nil, func(in [][]float64) (out []float64) {
			for i, v := range in[0] {
				out = append(out, v-logSums(in[0], 5)[i/5])
			}
			return out
		}},
		"FusedMatMul": {[]*pb.ValueInfoProto{port("a", float32s, 3, 2), port("b", float32s, 4, 3)}, &pb.NodeProto{OpType: "FusedMatMul", Domain: "com.microsoft", Name: "f", Input: []string{"a", "b"}, Output: []string{"y"},
			Attribute: []*pb.AttributeProto{intAttr("transA", 1), intAttr("transB", 1), floatAttr("alpha", 0.5)}}, nil, func(in [][]float64) (out []float64) {
			for i := range 2 {
				for j := range 4 {
					s := 0.0
					for k := range 3 {
						s += in[0][2*k+i] * in[1][3*j+k] / 2
					}
					out = append(out, s)
				}
			}
			return out
		}},
		"GroupNormalization": {[]*pb.ValueInfoProto{port("x", float32s, 1, 4, 3)}, op("GroupNormalization", "x scale bias", "y", intAttr("num_groups", 2), floatAttr("epsilon", 0.01)),
			[]*pb.TensorProto{floatsOf("scale", 1.5, -0.5), floatsOf("bias", 0.25, 1)}, normalised(6, []float64{1.5, -0.5}, []float64{0.25, 1}, 6)},
		"InstanceNormalization": {[]*pb.ValueInfoProto{port("x", float32s, 1, 2, 6)}, op("InstanceNormalization", "x scale bias", "y", floatAttr("epsilon", 0.01)),
			[]*pb.TensorProto{floatsOf("scale", 1.5, -0.5), floatsOf("bias", 0.25, 1)}, normalised(6, []float64{1.5, -0.5}, []float64{0.25, 1}, 6)},
		"GatherElements": {[]*pb.ValueInfoProto{port("x", float32s, 2, 3)}, op("GatherElements", "x i", "y", intAttr("axis", 1)),
			[]*pb.TensorProto{indices("i", []int64{2, 2}, 2, 0, -1, 1)}, moved(2, 0, 5, 4)},
		"GatherND": {[]*pb.ValueInfoProto{port("x", float32s, 2, 3)}, op("GatherND", "x i", "y"), []*pb.TensorProto{indices("i", []int64{3, 2}, 1, 2, 0, -1, 1, 0)}, moved(5, 2, 3)},
		"ScatterElements": {[]*pb.ValueInfoProto{port("x", float32s, 2, 3), port("u", float32s, 1, 3)}, op("ScatterElements", "x i u", "y"),
			[]*pb.TensorProto{indices("i", []int64{1, 3}, 1, 0, -1)}, moved(0, 7, 2, 6, 4, 8)},
		"ScatterND": {[]*pb.ValueInfoProto{port("x", float32s, 2, 3), port("u", float32s, 1, 3)}, op("ScatterND", "x i u", "y"),
			[]*pb.TensorProto{indices("i", []int64{1, 1}, 1)}, moved(0, 1, 2, 6, 7, 8)},
		"Attention": {[]*pb.ValueInfoProto{port("q", float32s, 1, 3, 4), port("k", float32s, 1, 5, 4), port("v", float32s, 1, 5, 6)}, op("Attention", "q k v mask", "y", intAttr("q_num_heads", 2), intAttr("kv_num_heads", 2)),
			[]*pb.TensorProto{booleans("mask", []int64{1, 1, 3, 5}, 1, 1, 0, 0, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1)}, func(in [][]float64) []float64 {
				mask, out := []int{1, 1, 0, 0, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1}, make([]float64, 18)
				for i := range 3 {
					for h := range 2 {
						part := func(x []float64, rows, width int) (out [][]float64) {
							for r := range rows {
								out = append(out, x[r*2*width+h*width:r*2*width+h*width+width])
							}
							return out
						}
						y := attend(part(in[0], 3, 2)[i], part(in[1], 5, 2), part(in[2], 5, 3), 1/math.Sqrt2, 0, func(j int) bool { return mask[5*i+j] != 0 })
						copy(out[6*i+3*h:], y)
					}
				}
				return out
			}},
		"RotaryEmbedding": {[]*pb.ValueInfoProto{port("x", float32s, 1, 2, 2, 6)}, op("RotaryEmbedding", "x cos sin at", "y", intAttr("rotary_embedding_dim", 4)), rotary, rotated(func(p int) (int, int) { return p, p + 2 })},
		"interleaved RotaryEmbedding": {[]*pb.ValueInfoProto{port("x", float32s, 1, 2, 2, 6)}, op("RotaryEmbedding", "x cos sin at", "y", intAttr("rotary_embedding_dim", 4), intAttr("interleaved", 1)), rotary,
			rotated(func(p int) (int, int) { return 2 * p, 2*p + 1 })},
	} {
		t.Run(name, func(t *testing.T) {
			checkComposite(t, portsModel(c.inputs, []string{"y"}, []*pb.NodeProto{c.node}, c.constants...), c.want)
		})
	}
	t.Run("ArgMax along the first axis", func(t *testing.T) {
		nodes := []*pb.NodeProto{op("Mul", "x x", "s"), op("ArgMax", "s", "y", intAttr("axis", 0))}
		checkComposite(t, portsModel([]*pb.ValueInfoProto{port("x", float32s, 4, 3)}, []string{"y"}, nodes), func(in [][]float64) []float64 {
			best := make([]float64, 3)
			for i, v := range in[0] {
				if at := 3*int(best[i%3]) + i%3; math.Abs(v) > math.Abs(in[0][at]) {
					best[i%3] = float64(i / 3)
				}
			}
			return best
		})
	})
	t.Run("ArgMax of an input", func(t *testing.T) { // of which no run keeps anything
		checkComposite(t, portsModel([]*pb.ValueInfoProto{port("x", float32s, 1, 3)}, []string{"y"}, []*pb.NodeProto{op("ArgMax", "x", "y", intAttr("axis", 1))}), func(in [][]float64) []float64 {
			return []float64{float64(slices.Index(in[0], slices.Max(in[0])))}
		})
	})
	t.Run("attention to nothing", func(t *testing.T) { // a row of which a mask of booleans leaves nothing is zero
		inputs := []*pb.ValueInfoProto{port("q", float32s, 1, 1, 3, 4), port("k", float32s, 1, 1, 5, 4), port("v", float32s, 1, 1, 5, 3), port("mask", bools, 3, 5)}
		checkComposite(t, portsModel(inputs, []string{"y"}, []*pb.NodeProto{op("Attention", "q k v mask", "y")}), func(in [][]float64) (out []float64) {
			for i := range 3 {
				if i == 1 {
					out = append(out, 0, 0, 0)
					continue
				}
				out = append(out, attend(headRows(0, 1, 4, in[0])[i], headRows(0, 1, 4, in[1]), headRows(0, 1, 3, in[2]), 0.5, 0, func(j int) bool { return in[3][5*i+j] != 0 })...)
			}
			return out
		})
	})
	t.Run("contrib attention", func(t *testing.T) {
		checkComposite(t, groupQuery(), func(in [][]float64) []float64 {
			part := func(from, heads, width int) (out [][][]float64) { // of the packed rows, heads and then rows
				for h := range heads {
					out = append(out, nil)
					for r := range 4 {
						at := 8*r + from + h*width
						out[h] = append(out[h], append([]float64(nil), in[0][at:at+width]...))
					}
				}
				return out
			}
			q, k, v := part(0, 2, 2), part(4, 1, 2), part(6, 1, 2)
			for _, head := range append(slices.Clone(q), k...) {
				for p, row := range head {
					cos, sin := math.Cos(float64(p)), math.Sin(float64(p))
					row[0], row[1] = cos*row[0]-sin*row[1], sin*row[0]+cos*row[1]
				}
			}
			out := make([]float64, 16)
			for h, sink := range []float64{0.5, -1} {
				for i := range 4 {
					nothing, value := []float64{sink * math.Sqrt2 / q[h][i][0], 0}, []float64{0, 0} // a key of which the score is the sink
					y := attend(q[h][i], append(k[0][:4:4], nothing), append(v[0][:4:4], value), 1/math.Sqrt2, 0, func(j int) bool { return j <= i && j > i-2 || j == 4 })
					copy(out[4*i+2*h:], y)
				}
			}
			return out
		})
	})
	t.Run("grouped attention", func(t *testing.T) {
		checkComposite(t, grouped(), func(in [][]float64) (out []float64) {
			for h := range 4 {
				for i := range 3 {
					k, v := headRows(h/2, 2, 4, in[3], in[1]), headRows(h/2, 2, 2, in[4], in[2])
					out = append(out, attend(headRows(h, 4, 4, in[0])[i], k, v, 0.75, 1.5, func(j int) bool { return j <= i+2 })...)
				}
			}
			return out
		})
	})
}

// Embeddings that onnxruntime has fused are the normalised sums of rows of their tables.
func TestEmbedLayerNormalization(t *testing.T) {
	n := op("EmbedLayerNormalization", "ids segments W P S gamma beta", "y", floatAttr("epsilon", 0.01))
	n.Domain, n.Input = "com.microsoft", append(n.Input, "", "at")
	m := portsModel([]*pb.ValueInfoProto{port("ids", 6, 1, 3)}, []string{"y"}, []*pb.NodeProto{n}, matrix("W", 7, 4), matrix("P", 5, 4), matrix("S", 2, 4),
		floatsOf("gamma", 1, 2, -1, 0.5), floatsOf("beta", 0, 1, 0, -1), &pb.TensorProto{Name: "segments", DataType: 6, Dims: []int64{1, 3}, Int32Data: []int32{1, 0, 1}},
		&pb.TensorProto{Name: "at", DataType: 6, Dims: []int64{1, 3}, Int32Data: []int32{4, 0, 2}})
	ids, sums := []int{5, 0, 6}, []float64{}
	for r, id := range ids {
		for c := range 4 {
			row := func(k, i int) float64 { return float64(m.Graph.Initializer[k].FloatData[4*i+c]) }
			sums = append(sums, row(0, id)+row(1, []int{4, 0, 2}[r])+row(2, 1-r%2))
		}
	}
	want := make([]float64, len(sums))
	for r := range ids {
		for c := range 4 {
			want[4*r+c] = normalised(4, []float64{1}, []float64{0}, 12)([][]float64{sums})[4*r+c]*[]float64{1, 2, -1, 0.5}[c] + []float64{0, 1, 0, -1}[c]
		}
	}
	r, err := compileFile(context.Background(), write(t, m), narrow(Config{}))
	require.NoError(t, err)
	report, err := r.Check(context.Background(), []Input{{Elements: Tokens(5, 0, 6).Elements, Expected: []Data{{Name: "y", Values: want}}}})
	require.NoError(t, err)
	require.NoError(t, report.Err())
	require.NotNil(t, report.Expected)
}

// logSums are the logarithms of sums of exponentials of runs of cells.
func logSums(x []float64, width int) []float64 {
	out := make([]float64, len(x)/width)
	for i, v := range x {
		out[i/width] += math.Exp(v)
	}
	for i := range out {
		out[i] = math.Log(out[i])
	}
	return out
}

// Composite operators whose parts do not fit are refused with the node.
func TestCompositesRefused(t *testing.T) {
	q, k, v := port("q", float32s, 1, 2, 3, 4), port("k", float32s, 1, 2, 5, 4), port("v", float32s, 1, 2, 5, 4)
	x, u := port("x", float32s, 2, 3), port("u", float32s, 3, 1)
	rows := port("x", float32s, 1, 4, 8)
	short := groupQuery()
	short.Graph.Initializer[0].Int32Data[0] = 2
	contrib := func(op *pb.NodeProto) *pb.NodeProto {
		op.Domain = "com.microsoft"
		return op
	}
	for want, c := range map[string]struct {
		inputs    []*pb.ValueInfoProto
		node      *pb.NodeProto
		constants []*pb.TensorProto
	}{
		`(Attention): a mask of shape [3 1] for 5 keys`:                                   {[]*pb.ValueInfoProto{q, k, v, port("m", float32s, 3, 1)}, op("Attention", "q k v m", "y"), nil},
		`(com.microsoft.GroupQueryAttention): 4 rows with a cache of 0, of which 4 count`: {[]*pb.ValueInfoProto{rows}, short.Graph.Node[0], short.Graph.Initializer},
		`(com.microsoft.MultiHeadAttention): queries of shape [1 4 8] without keys`:       {[]*pb.ValueInfoProto{rows}, contrib(op("MultiHeadAttention", "x", "y", intAttr("num_heads", 2))), nil},
		`(com.microsoft.Attention): do_rotary, or keys and values in a buffer`:            {[]*pb.ValueInfoProto{rows}, contrib(op("Attention", "x w", "y", intAttr("num_heads", 2), intAttr("do_rotary", 1))), []*pb.TensorProto{matrix("w", 8, 24)}},
		`(com.microsoft.Attention): a mask of shape [3] for 4 rows`:                       {[]*pb.ValueInfoProto{rows}, contrib(op("Attention", "x w b m", "y", intAttr("num_heads", 2))), []*pb.TensorProto{matrix("w", 8, 24), matrix("b", 1, 24), int64s("m", 1, 1, 1)}},
		`(com.microsoft.RotaryEmbedding): rows that are packed, or a scale`:               {[]*pb.ValueInfoProto{rows}, contrib(op("RotaryEmbedding", "x at cos sin", "y", floatAttr("scale", 2))), rotary},
		`(QuantizeLinear): of float32 to int32`:                                           {[]*pb.ValueInfoProto{rows}, op("QuantizeLinear", "x s z", "y"), []*pb.TensorProto{scalarOf("s", 1), {Name: "z", DataType: 6, Int32Data: []int32{0}}}},
		`(QuantizeLinear): scales of shape [3] for axis 1 of shape [1 4 8]`:               {[]*pb.ValueInfoProto{rows}, op("QuantizeLinear", "x s", "y"), []*pb.TensorProto{floatsOf("s", 1, 2, 3)}},
		`(com.microsoft.MatMulNBits): integers of 4 bits in bytes of shape [3] for shape [2 8]`: {[]*pb.ValueInfoProto{rows},
			contrib(op("MatMulNBits", "x b s", "y", intAttr("K", 8), intAttr("N", 2), intAttr("bits", 4), intAttr("block_size", 8))),
			[]*pb.TensorProto{{Name: "b", DataType: 2, Dims: []int64{3}, Int32Data: []int32{1, 2, 3}}, floatsOf("s", 1, 2)}},
		`(RotaryEmbedding): a table of shape [3 2] for 6 cells`:               {[]*pb.ValueInfoProto{port("x", float32s, 1, 2, 2, 6)}, op("RotaryEmbedding", "x cos sin at", "y"), rotary},
		`(ScatterElements): updates of shape [3 1] at indices of shape [1 3]`: {[]*pb.ValueInfoProto{x, u}, op("ScatterElements", "x i u", "y"), []*pb.TensorProto{indices("i", []int64{1, 3}, 1, 0, -1)}},
		`(Pow): of int64 with a real exponent`:                                {[]*pb.ValueInfoProto{x}, op("Pow", "i x", "y"), []*pb.TensorProto{indices("i", []int64{1}, 2)}},
		`(HannWindow): size (input "n") must be integers`:                     {[]*pb.ValueInfoProto{rows}, op("HannWindow", "n", "y"), []*pb.TensorProto{scalarOf("n", 3)}},
		`(AffineGrid): theta of shape [2 3], and the size [1 1 2 2]`:          {[]*pb.ValueInfoProto{x}, op("AffineGrid", "x s", "y"), []*pb.TensorProto{int64s("s", 1, 1, 2, 2)}},
		`(CenterCropPad): 1 sizes of the axes [0] of shape [2 3]`:             {[]*pb.ValueInfoProto{x}, op("CenterCropPad", "x s", "y"), []*pb.TensorProto{int64s("s", 1)}},
		`(CausalConvWithState): an input of shape [2 3]`:                      {[]*pb.ValueInfoProto{x, u}, op("CausalConvWithState", "x u", "y"), nil},
		`(ScatterND): updates of shape [3 1] do not fit`:                      {[]*pb.ValueInfoProto{x, u}, op("ScatterND", "x i u", "y"), []*pb.TensorProto{indices("i", []int64{1, 1}, 1)}},
	} {
		cfg := Config{Ranges: map[string]Range{}}
		for _, p := range c.inputs {
			cfg.Ranges[p.Name] = Range{Lo: -1, Hi: 1}
		}
		_, err := Analyse(context.Background(), write(t, portsModel(c.inputs, []string{"y"}, []*pb.NodeProto{c.node}, c.constants...)), narrow(cfg))
		require.ErrorIs(t, err, ErrUnsupported)
		require.ErrorContains(t, err, want)
	}
}

// rotary are tables of angles for pairs of four cells, and the positions of two rows.
var rotary = []*pb.TensorProto{
	{Name: "cos", DataType: float32s, Dims: []int64{3, 2}, FloatData: []float32{1, 1, 0.5, 0.75, -0.25, 0.125}},
	{Name: "sin", DataType: float32s, Dims: []int64{3, 2}, FloatData: []float32{0, 0.25, 0.5, -0.5, 1, -1}},
	indices("at", []int64{1, 2}, 2, 1),
}

// rotated turns pairs of cells, which pair says of a pair's number.
func rotated(pair func(p int) (int, int)) func(in [][]float64) []float64 {
	return func(in [][]float64) []float64 {
		out := append([]float64(nil), in[0]...)
		for row := range 4 {
			for p := range 2 {
				i, j := pair(p)
				at := 2*int(rotary[2].Int64Data[row%2]) + p
				cos, sin := float64(rotary[0].FloatData[at]), float64(rotary[1].FloatData[at])
				x, y := in[0][6*row+i], in[0][6*row+j]
				out[6*row+i], out[6*row+j] = cos*x-sin*y, sin*x+cos*y
			}
		}
		return out
	}
}

// normalised normalises runs of cells, and scales and shifts each by what belongs to it.
func normalised(width int, scale, bias []float64, each int) func(in [][]float64) []float64 {
	return func(in [][]float64) (out []float64) {
		for at := 0; at < len(in[0]); at += width {
			mean, variance := 0.0, 0.0
			for _, v := range in[0][at : at+width] {
				mean += v / float64(width)
			}
			for _, v := range in[0][at : at+width] {
				variance += (v - mean) * (v - mean) / float64(width)
			}
			for i, v := range in[0][at : at+width] {
				k := (at + i) / each
				out = append(out, (v-mean)/math.Sqrt(variance+0.01)*scale[k]+bias[k])
			}
		}
		return out
	}
}

// checkComposite compares a model with a definition, on pseudo-random private inputs in [-2, 2].
func checkComposite(t *testing.T, m *pb.ModelProto, want func(in [][]float64) []float64, public ...string) {
	ctx, cfg := context.Background(), Config{Ranges: map[string]Range{}, PrivateInputs: []string{"all"}, Public: public}
	in, cells := Input{}, [][]float64{}
	for k, p := range m.Graph.Input {
		if p.Type.GetTensorType().ElemType != bools {
			cfg.Ranges[p.Name] = Range{Lo: -2, Hi: 2}
		}
		n := 1
		for _, d := range p.Type.GetTensorType().Shape.Dim {
			n *= int(d.GetDimValue())
		}
		values := make([]float64, n)
		for i := range values {
			if values[i] = 2 * math.Sin(float64(7*i*i+11*i+13*k+1)); p.Type.GetTensorType().ElemType == bools {
				values[i] = float64((i/5 + i%5) % 3 % 2) // of rows of five
				if i/5 == 1 {
					values[i] = 0
				}
			}
		}
		cells, in.Elements = append(cells, values), append(in.Elements, Data{Name: p.Name, Values: values})
	}
	in.Expected = []Data{{Name: "y", Values: want(cells)}}
	cfg.Calibrate = []Input{in}
	r, err := compileFile(ctx, write(t, m), narrow(cfg))
	require.NoError(t, err)
	report, err := r.Check(ctx, []Input{in})
	require.NoError(t, err)
	require.NoError(t, report.Err())
	require.NotNil(t, report.Expected)
}
