package compiler

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// drawnMasks draws programs on a square of three rows that add, choose and normalise beside numbers that mask, and computes them in single precision. far
// is how far the numbers that mask are.
type drawnMasks struct {
	rng     *rand.Rand
	nodes   []*pb.NodeProto
	tensors []drawnTensor
	emptied bool // a softmax's row of which nothing is left, of which the compiler says that runtimes differ
}

type drawnTensor struct {
	name  string
	cells []float64
	bits  bool
}

func (p *drawnMasks) add(op_, inputs string, bits bool, f func(i int) float64, attrs ...*pb.AttributeProto) {
	v := drawnTensor{name: fmt.Sprintf("t%d", len(p.nodes)), cells: make([]float64, 9), bits: bits}
	for i := range v.cells {
		v.cells[i] = float64(float32(f(i)))
	}
	p.nodes = append(p.nodes, op(op_, inputs, v.name, attrs...))
	p.tensors = append(p.tensors, v)
}

// moved puts a node behind the last one, whose result has another shape than the square.
func (p *drawnMasks) moved(op_, with string, attrs ...*pb.AttributeProto) {
	n := p.nodes[len(p.nodes)-1]
	name := n.Output[0]
	n.Output[0] += " part"
	p.nodes = append(p.nodes, &pb.NodeProto{Name: op_ + name, OpType: op_, Input: []string{n.Output[0], with}, Output: []string{name}, Attribute: attrs})
}

// pick is a tensor, a later one rather than an earlier.
func (p *drawnMasks) pick(bits bool) drawnTensor {
	for {
		k := len(p.tensors) - 1 - int(float64(len(p.tensors))*math.Pow(p.rng.Float64(), 1.6))
		if k >= 0 && p.tensors[k].bits == bits {
			return p.tensors[k]
		}
	}
}

func (p *drawnMasks) step() {
	a, b, c, d := p.pick(false), p.pick(false), p.pick(true), p.pick(true)
	x, y := a.cells, b.cells
	row := func(i int) []float64 { return x[i/3*3 : i/3*3+3] }
	far := func(cells []float64) bool {
		return slices.ContainsFunc(cells, func(v float64) bool { return math.Abs(v) > 1000 })
	}
	last := intAttr("axis", -1)
	logSum := func(i int) float64 {
		top, sum := slices.Max(row(i)), 0.0
		p.emptied = p.emptied || top < -900
		for _, v := range row(i) {
			sum += math.Exp(v - top)
		}
		return math.Log(sum)
	}
	both := a.name + " " + b.name
	switch p.rng.IntN(20) {
	case 0, 1, 2:
		p.add("Add", both, false, func(i int) float64 { return x[i] + y[i] })
	case 3: // not of masks from masks
		if far(x) && far(y) {
			return
		}
		p.add("Sub", both, false, func(i int) float64 { return x[i] - y[i] })
	case 4: // with no number that takes scores to where masks are
		if far(x) || far(y) {
			return
		}
		p.add("Mul", both, false, func(i int) float64 { return x[i] * y[i] })
	case 5, 6, 7, 8: // of two tensors
		if a.name == b.name {
			return
		}
		p.add("Where", c.name+" "+both, false, func(i int) float64 {
			if c.cells[i] != 0 {
				return x[i]
			}
			return y[i]
		})
	case 9, 10: // of which one is no number that hides the other at every cell
		if b.name == "high" || b.name == "low" {
			return
		}
		if p.rng.IntN(2) == 0 {
			p.add("Max", both, false, func(i int) float64 { return math.Max(x[i], y[i]) })
		} else {
			p.add("Min", both, false, func(i int) float64 { return math.Min(x[i], y[i]) })
		}
	case 11, 12:
		p.add("Softmax", a.name, false, func(i int) float64 { return math.Exp(float64(float32(x[i]-slices.Max(row(i)))) - logSum(i)) }, last)
	case 13:
		p.add("LogSoftmax", a.name, false, func(i int) float64 { return float64(float32(x[i]-slices.Max(row(i)))) - logSum(i) }, last)
	case 14:
		p.add("ReduceLogSumExp", a.name+" axes", false, func(i int) float64 { return slices.Max(row(i)) + logSum(i) })
		p.moved("Expand", "square")
	case 15:
		p.add("ReduceMax", a.name+" axes", false, func(i int) float64 { return slices.Max(row(i)) })
		p.moved("Expand", "square")
	case 16:
		p.add("Transpose", a.name, false, func(i int) float64 { return x[i%3*3+i/3] })
	case 17:
		p.add("Concat", both, false, func(i int) float64 { return []float64{row(i)[0], row(i)[1], y[i/3*3]}[i%3] }, last)
		p.moved("Gather", "joined", intAttr("axis", 1))
	case 18:
		if f := []string{"And", "Or"}[p.rng.IntN(2)]; f == "And" {
			p.add(f, c.name+" "+d.name, true, func(i int) float64 { return c.cells[i] * d.cells[i] })
		} else {
			p.add(f, c.name+" "+d.name, true, func(i int) float64 { return math.Max(c.cells[i], d.cells[i]) })
		}
	case 19:
		switch p.rng.IntN(4) {
		case 0:
			p.add("Exp", a.name, false, func(i int) float64 { return math.Exp(x[i]) })
		case 1:
			p.add("Relu", a.name, false, func(i int) float64 { return math.Max(x[i], 0) })
		case 2:
			p.add("Sigmoid", a.name, false, func(i int) float64 { return 1 / (1 + math.Exp(-x[i])) })
		case 3:
			p.add("Not", c.name, true, func(i int) float64 { return 1 - c.cells[i] })
		}
	}
}

// drawMasks is a program with inputs x, of real numbers, and d, of booleans, and what it gives for one of each. It is nil where that is huge.
func drawMasks(seed uint64) (m *pb.ModelProto, in Input) {
	p := &drawnMasks{rng: rand.New(rand.NewPCG(seed, 7))}
	far := []float64{2000, 1e4, 1e5, 1 << 21, 1e9, 1e20, 1e30, math.MaxFloat32}[p.rng.IntN(8)]
	nine := func(f func(i int) float64) (out []float64) {
		for i := range 9 {
			out = append(out, float64(float32(f(i))))
		}
		return out
	}
	all := func(x float64) []float64 { return nine(func(int) float64 { return x }) }
	future := nine(func(i int) float64 {
		if i%3 > i/3 {
			return 1
		}
		return 0
	})
	p.tensors = []drawnTensor{
		{"half", all(0.5), false}, {"zero", all(0), false}, {"W", nine(func(i int) float64 { return math.Sin(float64(i*i + 3)) }), false}, {"bits", future, true},
		{"d", nine(func(i int) float64 { return float64((i/3 + i) % 2) }), true}, {"causal", nine(func(i int) float64 { return -far * future[i] }), false},
		{"low", all(-far), false}, {"high", all(far), false}, {"x", nine(func(i int) float64 { return 2 * math.Sin(float64(7*i*i+11*i+1)) }), false},
	}
	inits := []*pb.TensorProto{booleans("bits", []int64{3, 3}, 0, 1, 1, 0, 0, 1, 0, 0, 0), int64s("axes", -1), int64s("square", 3, 3), int64s("joined", 0, 1, 3)}
	for _, v := range p.tensors {
		if !v.bits && v.name != "x" {
			t := &pb.TensorProto{Name: v.name, DataType: float32s, Dims: []int64{3, 3}}
			for _, x := range v.cells {
				t.FloatData = append(t.FloatData, float32(x))
			}
			inits = append(inits, t)
		}
	}
	given := slices.Clone(p.tensors)
	for range 4 + p.rng.IntN(8) {
		p.step()
	}
	last := p.tensors[len(p.tensors)-1]
	p.add("Where", "bits W "+last.name, false, func(i int) float64 { return future[i]*given[2].cells[i] + (1-future[i])*last.cells[i] })
	y := p.tensors[len(p.tensors)-1]
	p.nodes[len(p.nodes)-1].Output[0] = "y"
	if last.bits || p.emptied || slices.ContainsFunc(y.cells, func(x float64) bool { return !(math.Abs(x) < 50) }) {
		return nil, in
	}
	in = Input{Elements: []Data{{Name: "x", Values: given[8].cells}, {Name: "d", Values: given[4].cells}}, Expected: []Data{{Name: "y", Values: y.cells}}}
	return portsModel([]*pb.ValueInfoProto{port("x", float32s, 3, 3), port("d", bools, 3, 3)}, []string{"y"}, p.nodes, inits...), in
}

// What masks is told by its distance from what else is in a row, and what a number as great leaves of others is what single precision leaves: programs
// of sums, choices and softmaxes beside such numbers give what they give in single precision, or are refused.
func TestDrawnMasks(t *testing.T) {
	compiled := 0
	for seed := range uint64(4000) {
		m, in := drawMasks(seed)
		if m == nil {
			continue
		}
		r, err := Analyse(t.Context(), write(t, m), Config{Ranges: map[string]Range{"x": {Lo: -2, Hi: 2}}, Calibrate: []Input{in}})
		if err != nil {
			require.ErrorIs(t, err, ErrUnsupported, "seed %d", seed)
			continue
		}
		report, err := r.Check(t.Context(), []Input{in})
		require.NoError(t, err)
		var nodes []string
		for _, n := range m.Graph.Node {
			nodes = append(nodes, fmt.Sprint(n.OpType, n.Input, n.Output))
		}
		require.Less(t, report.FloatExpected.Error(), 0x1p-8, "seed %d\n%s", seed, strings.Join(nodes, "\n"))
		compiled++
	}
	require.Greater(t, compiled, 200)
}
