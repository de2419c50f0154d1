package frontend

import (
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

// softmaxes puts a Softmax in the place of quotients exp(x)/Σ exp(x) along one axis, of nodes of a graph or of a function. From x something may be
// subtracted that is one number along the axis, its greatest cell: it cancels. What masks scores, −∞ or a number as low, is then known as a
// mask, which neither a table of exponentials nor a greatest cell is. Logarithms of either, and of sums of exponentials, are one operator, too. Nodes that
// outs, what the graph or function gives, do not need are left out.
func (b *builder) softmaxes(initializers []*onnx.Tensor, opsets []onnx.Opset, nodes []*onnx.Node, outs []string) []*onnx.Node {
	s := spelledSoftmax{made: map[string]*onnx.Node{}, lists: map[string]*onnx.Tensor{}, flattens: onnx.Version(opsets) < 13}
	for f := range b.functions {
		if f.domain == "" { // some operator of the standard is not what it is called
			return needed(nodes, outs)
		}
	}
	for _, t := range initializers {
		s.lists[t.Name] = t
	}
	out := slices.Clone(nodes)
	for i, n := range nodes {
		if x, axis, ok := s.quotient(n); ok {
			out[i] = &onnx.Node{Name: n.Name, Op: "Softmax", Inputs: []string{x}, Outputs: n.Outputs, Attrs: []*onnx.Attr{intOf("axis", axis)}}
		}
		if l, ok := s.logarithm(n); ok {
			out[i] = l
		}
		if l, ok := s.shifted(n); ok {
			out[i] = l
		}
		for _, o := range n.Outputs {
			s.made[o] = out[i]
		}
	}
	return needed(s.unmasked(out), outs)
}

// vanish are functions that are 0 where a number masks.
var vanish = map[string]bool{"Exp": true, "Sigmoid": true, "Softplus": true, "Relu": true}

// masks is a number of which the functions in vanish are 0 in every type of floating point.
const masks = -1e4

// unmasked puts f(Where(c, −∞, x)) = Where(c, 0, f(Where(c, 0, x))) in the place of the former: nothing computes with infinity, and the condition may be
// hidden. So do state-space models take exponentials of sums over a triangle, of which those beyond it may be huge.
func (s *spelledSoftmax) unmasked(nodes []*onnx.Node) []*onnx.Node {
	var out []*onnx.Node
	for _, n := range nodes {
		var where *onnx.Node
		if vanish[n.Op] && n.Domain == "" && len(n.Inputs) == 1 {
			where = s.made[n.Inputs[0]]
		}
		if where == nil || where.Domain != "" || where.Op != "Where" || len(where.Inputs) != 3 || s.masking(where.Inputs[1]) == s.masking(where.Inputs[2]) {
			out = append(out, n)
			continue
		}
		side, zero, kept, of := 1, n.Outputs[0]+" zero", n.Outputs[0]+" kept", n.Outputs[0]+" unmasked" // no tensor of a file has a space in its name
		if s.masking(where.Inputs[2]) {
			side = 2
		}
		t := *s.constant(where.Inputs[side])
		t.F = []float64{0}
		chosen, cut := slices.Clone(where.Inputs), slices.Clone(where.Inputs)
		chosen[side], chosen[3-side], cut[side] = zero, of, zero
		out = append(out, &onnx.Node{Name: n.Name, Op: "Constant", Outputs: []string{zero}, Attrs: []*onnx.Attr{{Name: "value", Type: onnx.AttrTensor, T: &t}}},
			&onnx.Node{Name: where.Name, Op: "Where", Inputs: cut, Outputs: []string{kept}},
			&onnx.Node{Name: n.Name, Op: n.Op, Inputs: []string{kept}, Outputs: []string{of}, Attrs: n.Attrs},
			&onnx.Node{Name: where.Name, Op: "Where", Inputs: chosen, Outputs: n.Outputs})
	}
	return out
}

// constant is a tensor of the file, nil if the name is none of one.
func (s *spelledSoftmax) constant(name string) *onnx.Tensor {
	t := s.lists[name]
	if c := s.made[name]; c != nil && c.Op == "Constant" && c.Domain == "" {
		for _, a := range c.Attrs {
			switch {
			case a.Name == "value" && a.T != nil:
				t = a.T
			case a.Name == "value_float" && a.Ref == "":
				t = &onnx.Tensor{DType: onnx.Float32, F: []float64{a.F}}
			}
		}
	}
	return t
}

// masking says that a tensor is one number that masks.
func (s *spelledSoftmax) masking(name string) bool {
	t := s.constant(name)
	return t != nil && t.DType.IsFloat() && len(t.F) == 1 && t.F[0] <= masks
}

// together is a function of the model with its softmaxes, once for all its calls.
func (b *builder) together(f *onnx.Function) *onnx.Function {
	if b.joined[f] == nil {
		whole := *f
		whole.Nodes = b.softmaxes(nil, f.Opsets, f.Nodes, f.Outputs)
		b.joined[f] = &whole
	}
	return b.joined[f]
}

// spelledSoftmax knows what computes tensors, and those of the file.
type spelledSoftmax struct {
	made     map[string]*onnx.Node
	lists    map[string]*onnx.Tensor
	flattens bool // Softmax joins all axes from its own on
}

// by is the node of the standard that computes a tensor, if it is of an operator with so many inputs; what passes its cells on is skipped.
func (s *spelledSoftmax) by(name, op string, inputs int) (*onnx.Node, bool) {
	n := s.made[s.bare(name)]
	return n, n != nil && n.Domain == "" && n.Op == op && len(n.Inputs) >= inputs
}

// same says that two tensors are one, but for what passes cells on.
func (s *spelledSoftmax) same(a, b string) bool { return s.bare(a) == s.bare(b) }

// bare goes back over copies, and over casts to floating-point types. Casts to integers and booleans make other numbers.
func (s *spelledSoftmax) bare(name string) string {
	for n := s.made[name]; n != nil && n.Domain == "" && len(n.Inputs) == 1; n = s.made[name] {
		to := n.Attr("to")
		if n.Op != "Identity" && !(n.Op == "Cast" && to != nil && to.Ref == "" && onnx.DType(to.I).IsFloat()) {
			break
		}
		name = n.Inputs[0]
	}
	return name
}

// quotient matches e/Σe, or e·(1/Σe), and returns what e is the exponential of.
func (s *spelledSoftmax) quotient(n *onnx.Node) (x string, axis int64, ok bool) {
	if n.Domain != "" || len(n.Inputs) != 2 {
		return "", 0, false
	}
	e, sum := n.Inputs[0], n.Inputs[1]
	if n.Op == "Mul" {
		r, is := s.by(sum, "Reciprocal", 1)
		if !is {
			e, sum = sum, e
			r, is = s.by(sum, "Reciprocal", 1)
		}
		if !is {
			return "", 0, false
		}
		sum = r.Inputs[0]
	}
	exp, isExp := s.by(e, "Exp", 1)
	total, isSum := s.by(sum, "ReduceSum", 1)
	if n.Op != "Div" && n.Op != "Mul" || !isExp || !isSum || !s.same(total.Inputs[0], e) {
		return "", 0, false
	}
	if axis, ok = s.along(total); !ok {
		return "", 0, false
	}
	return s.unshifted(exp.Inputs[0], axis), axis, true
}

// unshifted are scores from which nothing is subtracted that a softmax along an axis does not see: their greatest cell.
func (s *spelledSoftmax) unshifted(x string, axis int64) string {
	if d, is := s.by(x, "Sub", 2); is {
		if most, is := s.by(d.Inputs[1], "ReduceMax", 1); is && s.same(most.Inputs[0], d.Inputs[0]) {
			if a, one := s.along(most); one && a == axis {
				return d.Inputs[0]
			}
		}
	}
	return x
}

// shifted is a Softmax or LogSoftmax of scores from which their greatest cell is subtracted, as one of the scores.
func (s *spelledSoftmax) shifted(n *onnx.Node) (*onnx.Node, bool) {
	if n.Domain != "" || n.Op != "Softmax" && n.Op != "LogSoftmax" || len(n.Inputs) != 1 || s.flattens {
		return nil, false
	}
	axis := int64(-1)
	if a := n.Attr("axis"); a != nil {
		if axis = a.I; a.Ref != "" {
			return nil, false
		}
	}
	x := s.unshifted(n.Inputs[0], axis)
	return &onnx.Node{Name: n.Name, Op: n.Op, Inputs: []string{x}, Outputs: n.Outputs, Attrs: n.Attrs}, x != n.Inputs[0]
}

// logarithm is that of a softmax, or of a sum of exponentials, as one operator: of weights and sums that are far below others a logarithm sees
// nothing, and these operators see the distance.
func (s *spelledSoftmax) logarithm(n *onnx.Node) (*onnx.Node, bool) {
	if n.Domain != "" || n.Op != "Log" || len(n.Inputs) != 1 {
		return nil, false
	}
	if soft, ok := s.by(n.Inputs[0], "Softmax", 1); ok && !s.flattens {
		return &onnx.Node{Name: n.Name, Op: "LogSoftmax", Inputs: soft.Inputs, Outputs: n.Outputs, Attrs: soft.Attrs}, true
	}
	total, ok := s.by(n.Inputs[0], "ReduceSum", 1)
	if !ok {
		return nil, false
	}
	exp, ok := s.by(total.Inputs[0], "Exp", 1)
	if !ok {
		return nil, false
	}
	return &onnx.Node{Name: n.Name, Op: "ReduceLogSumExp", Inputs: append([]string{exp.Inputs[0]}, total.Inputs[1:]...), Outputs: n.Outputs, Attrs: total.Attrs}, true
}

// along is the one axis of a reduction that keeps it, the last one where Softmax is of an opset in which it joins those behind.
func (s *spelledSoftmax) along(n *onnx.Node) (int64, bool) {
	axes, keep := []int64(nil), true
	for _, a := range n.Attrs {
		switch a.Name {
		case "axes":
			axes = a.Ints
		case "keepdims":
			keep = a.I != 0
		}
	}
	if len(n.Inputs) > 1 && n.Inputs[1] != "" {
		t := s.lists[n.Inputs[1]]
		if c := s.made[n.Inputs[1]]; c != nil && c.Op == "Constant" && c.Domain == "" {
			for _, a := range c.Attrs {
				switch a.Name {
				case "value":
					t = a.T
				case "value_ints":
					axes = a.Ints
				}
			}
		}
		if t != nil && !t.DType.IsFloat() {
			axes = t.I
		}
	}
	return append(axes, 0)[0], keep && len(axes) == 1 && (axes[0] == -1 || !s.flattens)
}
