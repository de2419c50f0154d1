package compiler

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// Recurrent networks of a constant number of positions give what ONNX says, of private weights and with all inputs that there are; what is not
// supported is refused by name.
func TestRecurrent(t *testing.T) {
	const T, B, I, H = 3, 2, 2, 3
	var inits []*pb.TensorProto
	cells := func(name string, salt int, dims ...int64) []float64 {
		p, v := &pb.TensorProto{Name: name, DataType: float32s, Dims: dims}, []float64{}
		n := int64(1)
		for _, d := range dims {
			n *= d
		}
		for i := range n {
			x := float32(math.Sin(float64(7*i*i+int64(11*salt)) + 0.5))
			p.FloatData, v = append(p.FloatData, x), append(v, float64(x))
		}
		inits = append(inits, p)
		return v
	}
	var nodes []*pb.NodeProto
	var outputs []string
	in := Input{Elements: []Data{{Values: cells("unused", 3, T, B, I)}}}
	inits = nil
	want := func(name string, v []float64) {
		outputs = append(outputs, name)
		in.Expected = append(in.Expected, Data{Name: name, Values: v})
	}
	net := func(kind, names, outs string, r recurrentOracle, attrs ...*pb.AttributeProto) {
		r.x, r.T, r.B, r.I, r.H = in.Elements[0].Values, T, B, I, H
		rows := int64(r.gates() * H)
		D := int64(r.dirs())
		n := len(nodes)
		id := func(s string) string { return s + string(rune('0'+n)) }
		r.w, r.r = cells(id("w"), n, D, rows, I), cells(id("r"), n+1, D, rows, H)
		node := op(kind, "", outs, append(attrs, intAttr("hidden_size", H))...)
		node.Input = []string{"x", id("w"), id("r")}
		for _, s := range names {
			switch s {
			case 'b':
				r.b = cells(id("b"), n+2, D, 2*rows)
			case 'h':
				r.h = cells(id("h"), n+3, D, B, H)
			case 'c':
				r.c = cells(id("c"), n+4, D, B, H)
			case 'p':
				r.p = cells(id("p"), n+5, D, 3*H)
			default:
				node.Input = append(node.Input, "")
				continue
			}
			node.Input = append(node.Input, id(string(s)))
		}
		nodes = append(nodes, node)
		for i, v := range r.all() {
			if i < len(node.Output) {
				want(node.Output[i], v)
			}
		}
	}
	net("RNN", "b", "rnn rnn_h", recurrentOracle{kind: "RNN", reverse: true}, stringAttr("direction", "reverse"))
	net("GRU", "b-h", "gru gru_h", recurrentOracle{kind: "GRU", both: true}, stringAttr("direction", "bidirectional"))
	net("GRU", "b", "gru1", recurrentOracle{kind: "GRU", before: true}, intAttr("linear_before_reset", 1))
	net("LSTM", "b-hcp", "lstm lstm_h lstm_c", recurrentOracle{kind: "LSTM", both: true}, stringAttr("direction", "bidirectional"))
	net("LSTM", "", "plain", recurrentOracle{kind: "LSTM"})
	m := portsModel([]*pb.ValueInfoProto{port("x", float32s, T, B, I)}, outputs, nodes, inits...)
	r, err := Analyse(context.Background(), write(t, m), Config{Calibrate: []Input{in}})
	require.NoError(t, err)
	report, err := r.Check(context.Background(), []Input{in})
	require.NoError(t, err)
	require.NoError(t, report.Err())
	require.Less(t, report.FloatExpected.Error(), 1e-6)

	for want, change := range map[string]*pb.AttributeProto{
		`node "LSTM_plain" (LSTM): clip and input_forget are not supported`: floatAttr("clip", 1),
		`node "LSTM_plain" (LSTM): the activation Affine is not supported`:  {Name: "activations", Type: 8, Strings: [][]byte{[]byte("Affine"), []byte("Tanh"), []byte("Tanh")}},
	} {
		last := nodes[len(nodes)-1]
		kept := last.Attribute
		last.Attribute = append(append([]*pb.AttributeProto{}, kept...), change)
		_, err = Analyse(context.Background(), write(t, m), Config{Calibrate: []Input{in}})
		require.ErrorIs(t, err, ErrUnsupported)
		require.ErrorContains(t, err, want)
		last.Attribute = kept
	}
	lengths := indices("lengths", []int64{B}, T, T-1)
	lengths.DataType, lengths.Int32Data, lengths.Int64Data = int32s, []int32{T, T - 1}, nil
	nodes[len(nodes)-1].Input = append(nodes[len(nodes)-1].Input, "", "lengths")
	m.Graph.Initializer = append(m.Graph.Initializer, lengths)
	_, err = Analyse(context.Background(), write(t, m), Config{Calibrate: []Input{in}})
	require.ErrorContains(t, err, `node "LSTM_plain" (LSTM): its sequences have lengths [3 2] of 3; only whole ones are supported, cut the others off`)
}

// recurrentOracle is the definition of the operators, loop by loop.
type recurrentOracle struct {
	kind                  string
	reverse, both, before bool
	T, B, I, H            int
	x, w, r, b, h, c, p   []float64
}

func (o *recurrentOracle) gates() int { return map[string]int{"RNN": 1, "GRU": 3, "LSTM": 4}[o.kind] }

func (o *recurrentOracle) dirs() int {
	if o.both {
		return 2
	}
	return 1
}

// all are Y, Y_h and Y_c.
func (o *recurrentOracle) all() [][]float64 {
	D := o.dirs()
	y, yh, yc := make([]float64, o.T*D*o.B*o.H), make([]float64, D*o.B*o.H), make([]float64, D*o.B*o.H)
	for d := range D {
		for n := range o.B {
			h, c := make([]float64, o.H), make([]float64, o.H)
			if o.h != nil {
				copy(h, o.h[(d*o.B+n)*o.H:])
			}
			if o.c != nil {
				copy(c, o.c[(d*o.B+n)*o.H:])
			}
			for s := range o.T {
				t := s
				if o.reverse || d == 1 {
					t = o.T - 1 - s
				}
				h, c = o.step(d, o.x[(t*o.B+n)*o.I:(t*o.B+n+1)*o.I], h, c)
				copy(y[((t*D+d)*o.B+n)*o.H:], h)
			}
			copy(yh[(d*o.B+n)*o.H:], h)
			copy(yc[(d*o.B+n)*o.H:], c)
		}
	}
	if o.kind != "LSTM" {
		return [][]float64{y, yh}
	}
	return [][]float64{y, yh, yc}
}

func (o *recurrentOracle) step(d int, x, h, c []float64) (nextH, nextC []float64) {
	G, H := o.gates(), o.H
	bias := func(i int) float64 {
		if o.b == nil {
			return 0
		}
		return o.b[d*2*G*H+i]
	}
	input := func(g, k int) float64 {
		sum := bias(g*H + k)
		for i, v := range x {
			sum += float64(v * o.w[(d*G*H+g*H+k)*o.I+i])
		}
		return sum
	}
	state := func(g, k int, of []float64) float64 {
		sum := bias(G*H + g*H + k)
		for i, v := range of {
			sum += float64(v * o.r[(d*G*H+g*H+k)*H+i])
		}
		return sum
	}
	peek := func(g, k int, of []float64) float64 {
		if o.p == nil {
			return 0
		}
		return of[k] * o.p[d*3*H+g*H+k]
	}
	sigmoid := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	nextH, nextC = make([]float64, H), make([]float64, H)
	reset := make([]float64, H)
	for k := range H {
		reset[k] = h[k]
		if o.kind == "GRU" {
			reset[k] *= sigmoid(input(1, k) + state(1, k, h))
		}
	}
	for k := range H {
		switch o.kind {
		case "RNN":
			nextH[k] = math.Tanh(input(0, k) + state(0, k, h))
		case "GRU":
			z, of := sigmoid(input(0, k)+state(0, k, h)), state(2, k, reset)
			if o.before {
				of = sigmoid(input(1, k)+state(1, k, h)) * state(2, k, h)
			}
			nextH[k] = (1-z)*math.Tanh(input(2, k)+of) + z*h[k]
		default:
			i, f := sigmoid(input(0, k)+state(0, k, h)+peek(0, k, c)), sigmoid(input(2, k)+state(2, k, h)+peek(2, k, c))
			nextC[k] = f*c[k] + i*math.Tanh(input(3, k)+state(3, k, h))
			nextH[k] = sigmoid(input(1, k)+state(1, k, h)+peek(1, k, nextC)) * math.Tanh(nextC[k])
		}
	}
	return nextH, nextC
}

// SpaceToDepth puts the cells of a block behind the channels, or each channel's behind it, which DepthToSpace of the same mode undoes.
func TestSpaceToDepthModes(t *testing.T) {
	for mode, want := range map[string][]float64{"DCR": {0, 4, 1, 5, 2, 6, 3, 7}, "CRD": {0, 1, 2, 3, 4, 5, 6, 7}} {
		m := portsModel([]*pb.ValueInfoProto{port("x", float32s, 1, 2, 2, 2)}, []string{"y", "z"}, []*pb.NodeProto{
			op("SpaceToDepth", "x", "s", intAttr("blocksize", 2), stringAttr("mode", mode)), op("DepthToSpace", "s", "back", intAttr("blocksize", 2), stringAttr("mode", mode)),
			op("Tanh", "s", "y"), op("Tanh", "back", "z")})
		x, tanhs := []float64{0, 1, 2, 3, 4, 5, 6, 7}, func(v []float64) (out []float64) {
			for _, x := range v {
				out = append(out, math.Tanh(x/8))
			}
			return out
		}
		in := Input{Elements: []Data{{}}, Expected: []Data{{Name: "y", Values: tanhs(want)}, {Name: "z", Values: tanhs(x)}}}
		for _, v := range x {
			in.Elements[0].Values = append(in.Elements[0].Values, v/8)
		}
		r, err := Analyse(context.Background(), write(t, m), Config{Calibrate: []Input{in}, PrivateInputs: []string{"x"}})
		require.NoError(t, err)
		report, err := r.Check(context.Background(), []Input{in})
		require.NoError(t, err)
		require.NoError(t, report.Err(), mode)
	}
}
