package frontend

import (
	"fmt"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Functions that a model brings, and their calls.

// functionName tells functions apart: several of one name are told apart by their overload.
type functionName struct{ domain, name, overload string }

func calledBy(n *onnx.Node) functionName { return functionName{n.Domain, n.Op, n.Overload} }

// functions maps the model's functions by name.
func functions(m *onnx.Model) (map[functionName]*onnx.Function, error) {
	fs := map[functionName]*onnx.Function{}
	for _, f := range m.Functions {
		key := functionName{f.Domain, f.Name, f.Overload}
		if fs[key] != nil {
			return nil, ir.Refuse(f.Name, "function", "the model has two functions of this name in the domain %q with the overload %q; give each its own name", f.Domain, f.Overload)
		}
		fs[key] = f
	}
	return fs, nil
}

// function returns the model-local function that the node calls, if it does.
func (c *call) function() *onnx.Function { return c.b.functions[calledBy(c.n)] }

// standard says whether a node is an operator of ONNX itself, and not a function of the model that is called so.
func standard(n *onnx.Node, functions map[functionName]*onnx.Function) bool {
	return n.Domain == "" && functions[calledBy(n)] == nil
}

// redefined are the operators of which opsets changed what a node means, from which version on. Others only got more types, attributes or inputs.
var redefined = map[string][]int64{"Softmax": {13}, "LogSoftmax": {13}, "Hardmax": {13}, "Resize": {11}, "BatchNormalization": {7, 14},
	"GroupNormalization": {21}, "Dropout": {7}, "Add": {7}, "Sub": {7}, "Mul": {7}, "Div": {7}, "Pow": {7}, "Gemm": {7}, "PRelu": {7}, "And": {7}, "Or": {7},
	"Xor": {7}, "Equal": {7}, "Greater": {7}, "Less": {7}}

// callable refuses a function that is written in another opset than the model, where it uses an operator that is not the same in both: runtimes do not
// agree on whose counts, and the standard has neither.
func (c *call) callable(f *onnx.Function) error {
	if own, model := onnx.Version(f.Opsets), onnx.Version(c.b.m.Opsets); own != model {
		return c.agreed(f.Nodes, own, model)
	}
	return nil
}

// agreed is callable of the function's nodes, and of those of their graphs.
func (c *call) agreed(nodes []*onnx.Node, own, model int64) error {
	for _, n := range nodes {
		for _, v := range redefined[n.Op] {
			if standard(n, c.b.functions) && (own < v) != (model < v) {
				return c.unsupported("the function is of opset %d and the model of %d, and its %s (node %q) is another operator from opset %d on; export both with one opset", own, model, n.Op, n.Name, v)
			}
		}
		for _, a := range n.Attrs {
			if a.G == nil {
				continue
			}
			if err := c.agreed(a.G.Nodes, own, model); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxInline bounds how deep functions may call each other.
const maxInline = 32

func (c *call) inline(f *onnx.Function) ([]*val, error) {
	if c.b.depth++; c.b.depth > maxInline {
		return nil, c.unsupported("functions call each other more than %d deep", maxInline)
	}
	defer func() { c.b.depth-- }()
	s := &scope{vals: map[string]*val{}, nodes: f.Nodes, outs: f.Outputs, caller: c}
	for i, name := range f.Inputs { // one that is left out is absent inside, too
		s.vals[name] = nil
		if i < len(c.in) {
			s.vals[name] = c.in[i]
		}
	}
	attrs := append([]*onnx.Attr(nil), c.attrs()...)
	attrs = append(attrs, f.Defaults...)
	if err := c.b.nodes(s, f.Nodes, f.Outputs, f.Opsets, attrs); err != nil {
		return nil, err
	}
	return c.results(s, f.Outputs)
}

func (c *call) results(s *scope, names []string) ([]*val, error) {
	var outs []*val
	for _, name := range names {
		v := s.get(name)
		if v == nil {
			return nil, fmt.Errorf("output %q of the subgraph does not exist", name)
		}
		outs = append(outs, v)
	}
	return outs, nil
}
