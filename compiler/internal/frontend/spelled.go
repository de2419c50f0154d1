package frontend

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// spelled are the operators that are lowered as other operators, those of the function that is returned: so what becomes of weights in them
// is what always does.
var spelled = map[string]spelling{"BatchNormalization": batchNorm}

// spelling says of which operators a call is made. Operators that constants are folded by as a whole have it as their handler; all others
// stand in spelled, and are folded part by part.
type spelling func(c *call) (*onnx.Function, error)

// handle lowers a call that depends on an input.
func (f spelling) handle(c *call) ([]*val, error) {
	body, err := f(c)
	if err != nil {
		return nil, err
	}
	return c.inline(body)
}

// spelledOpset is that of the nodes of these functions.
const spelledOpset = 18

// speller makes a function node by node: its methods return the names of what they compute.
type speller struct {
	f         *onnx.Function
	name      string // of the call's node
	used      string // an operator for which the model has a function of its own
	functions map[functionName]*onnx.Function
}

func (c *call) speller(inputs ...string) *speller {
	f := &onnx.Function{Name: c.n.Op, Inputs: inputs, Opsets: []onnx.Opset{{Version: spelledOpset}}}
	return &speller{f: f, name: c.n.Name, functions: c.b.functions}
}

// add adds a node.
func (s *speller) add(op string, inputs ...string) string { return s.of("", op, inputs) }

// own adds a node of an operator of the compiler.
func (s *speller) own(op string, inputs ...string) string { return s.of(ownDomain, op, inputs) }

func (s *speller) of(domain, op string, inputs []string) string {
	out := fmt.Sprintf("%s %d", op, len(s.f.Nodes)) // no name of an input has a space
	if s.functions[functionName{domain: domain, name: op}] != nil {
		s.used = op
	}
	s.f.Nodes = append(s.f.Nodes, &onnx.Node{Name: s.name, Domain: domain, Op: op, Inputs: inputs, Outputs: []string{out}})
	return out
}

// spelledName is what of adds to the name of a weight.
var spelledName = regexp.MustCompile(`(^|/)[A-Za-z0-9]+ [0-9]+(/|$)`)

// called is a tensor's name for people: without those of nodes that an operator is spelled by, which the file does not have, or, if nothing else is
// left, that of the operator's node.
func (v *val) called() string {
	name := v.name
	for spelledName.MatchString(name) {
		name = spelledName.ReplaceAllString(name, "$1")
	}
	if name = strings.TrimSuffix(name, "/"); name == "" {
		return v.by
	}
	return name
}

// with gives the node that was added last attributes.
func (s *speller) with(out string, attrs ...*onnx.Attr) string {
	n := s.f.Nodes[len(s.f.Nodes)-1]
	n.Attrs = append(n.Attrs, attrs...)
	return out
}

// ownDomain is that of operators of the compiler alone.
const ownDomain = "zkllmc"

func init() { folders[ownDomain+".Constant"] = foldConstant }

// constant adds a constant that the file does not have: what it becomes gives nothing away.
func (s *speller) constant(t *onnx.Tensor) string {
	return s.with(s.own("Constant"), &onnx.Attr{Name: "value", Type: onnx.AttrTensor, T: t})
}

// ints adds a list of integers.
func (s *speller) ints(v ...int64) string {
	return s.constant(&onnx.Tensor{DType: onnx.Int64, Shape: []int{len(v)}, I: v})
}

// floats adds a scalar.
func (s *speller) floats(v float64) string {
	return s.constant(&onnx.Tensor{DType: onnx.Float32, F: []float64{v}})
}

// slice takes every step-th index of an axis, from one on up to another.
func (s *speller) slice(x string, axis, from, to, step int) string {
	return s.add("Slice", x, s.ints(int64(from)), s.ints(int64(to)), s.ints(int64(axis)), s.ints(int64(step)))
}

// function is what was added, with these outputs.
func (s *speller) function(outputs ...string) (*onnx.Function, error) {
	if s.used != "" {
		return nil, ir.Refuse(s.name, s.f.Name, "the model has a function of its own called %s, of which this operator is made", s.used)
	}
	s.f.Outputs = outputs
	return s.f, nil
}

// shape adds a shape.
func (s *speller) shape(dims []int) string {
	v := make([]int64, len(dims))
	for i, d := range dims {
		v[i] = int64(d)
	}
	return s.ints(v...)
}

// behindChannels adds the axes that stand behind the channels of a rank, as Unsqueeze gives them to a list of numbers for each.
func (s *speller) behindChannels(rank int) string {
	axes := make([]int64, rank-2)
	for i := range axes {
		axes[i] = int64(i + 1)
	}
	return s.ints(axes...)
}

func intOf(name string, v int64) *onnx.Attr { return &onnx.Attr{Name: name, Type: onnx.AttrInt, I: v} }

func stringOf(name, v string) *onnx.Attr { return &onnx.Attr{Name: name, Type: onnx.AttrString, S: v} }

func intsOf(name string, v ...int64) *onnx.Attr {
	return &onnx.Attr{Name: name, Type: onnx.AttrInts, Ints: v}
}

// batchNorm is what a batch normalisation does to one input: a factor and a bias for each channel, made of what training measured.
func batchNorm(c *call) (*onnx.Function, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	outputs := 0
	for _, o := range c.n.Outputs {
		if o != "" {
			outputs++
		}
	}
	switch {
	case len(x.shape) < 2 || len(c.in) != 5:
		return nil, fmt.Errorf("%d inputs, the first of shape %v", len(c.in), x.shape)
	case c.opset >= 14 && c.attrInt("training_mode", 0) != 0:
		return c.batchNormOfBatch(x.shape)
	case outputs != 1 || c.attrInt("spatial", 1) != 1:
		return nil, c.unsupported("of opset %d with %d outputs, it is one that trains or that normalises every position by itself; export the model for inference, or for opset 14 or later", c.opset, outputs)
	}
	s := c.speller("x", "scale", "b", "mean", "var")
	factor := s.add("Div", "scale", s.add("Sqrt", s.add("Add", "var", s.floats(c.attrFloat("epsilon", 1e-5)))))
	bias := s.add("Sub", "b", s.add("Mul", "mean", factor))
	behind := s.behindChannels(len(x.shape))
	return s.function(s.add("Add", s.add("Mul", "x", s.add("Unsqueeze", factor, behind)), s.add("Unsqueeze", bias, behind)))
}

// batchNormOfBatch is a batch normalisation by what it measures of its input: mean and variance of every channel, which it also mixes with
// those that it is given.
func (c *call) batchNormOfBatch(shape []int) (*onnx.Function, error) {
	s := c.speller("x", "scale", "b", "mean", "var")
	axes := []int64{0}
	for i := 2; i < len(shape); i++ {
		axes = append(axes, int64(i))
	}
	over, behind, channels := s.ints(axes...), s.behindChannels(len(shape)), s.ints(int64(shape[1]))
	mean := s.add("ReduceMean", "x", over)
	off := s.add("Sub", "x", mean)
	variance := s.add("ReduceMean", s.add("Mul", off, off), over)
	y := s.add("Div", off, s.add("Sqrt", s.add("Add", variance, s.floats(c.attrFloat("epsilon", 1e-5)))))
	outputs := []string{s.add("Add", s.add("Mul", y, s.add("Unsqueeze", "scale", behind)), s.add("Unsqueeze", "b", behind))}
	momentum := c.attrFloat("momentum", 0.9)
	for _, k := range [][2]string{{"mean", mean}, {"var", variance}} {
		mixed := s.add("Add", s.add("Mul", k[0], s.floats(momentum)), s.add("Mul", s.add("Reshape", k[1], channels), s.floats(1-momentum)))
		outputs = append(outputs, mixed)
	}
	return s.function(outputs[:min(len(outputs), len(c.n.Outputs))]...)
}
