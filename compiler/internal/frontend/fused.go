package frontend

import (
	"fmt"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

// What onnxruntime's optimiser makes of several operators, taken apart again.

func init() {
	for op, f := range map[string]spelling{"FusedGemm": fusedGemm, "FusedConv": fusedConv, "EmbedLayerNormalization": embedNorm} {
		spelled["com.microsoft."+op] = f
	}
}

// activations are the functions that a product may end in, with the attributes that their parameters are.
var activations = map[string][]string{"Relu": nil, "Tanh": nil, "Sigmoid": nil, "LeakyRelu": {"alpha"}, "HardSigmoid": {"alpha", "beta"}}

// activated ends in an activation with parameters, if there is one.
func (s *speller) activated(c *call, y, activation string, params []float64) (*onnx.Function, error) {
	if activation == "" {
		return s.function(y)
	}
	names, ok := activations[activation]
	if !ok || len(params) > 0 && len(params) != len(names) {
		return nil, c.unsupported("the activation %q with %d parameters; export the model without this fusion", activation, len(params))
	}
	y = s.add(activation, y)
	for i, x := range params {
		s.with(y, &onnx.Attr{Name: names[i], Type: onnx.AttrFloat, F: x})
	}
	return s.function(y)
}

// without are the node's attributes but for some.
func (c *call) without(names ...string) (left []*onnx.Attr) {
	drop := map[string]bool{}
	for _, n := range names {
		drop[n] = true
	}
	for _, a := range c.attrs() {
		if !drop[a.Name] {
			left = append(left, a)
		}
	}
	return left
}

func fusedGemm(c *call) (*onnx.Function, error) {
	if err := c.args(2); err != nil {
		return nil, err
	}
	s := c.speller("a", "b", "c")
	operands := []string{"a", "b"}
	if c.has(2) {
		operands = append(operands, "c")
	}
	var params []float64
	for _, name := range []string{"activation_alpha", "activation_beta"} {
		if a := c.attr(name); a != nil {
			params = append(params, a.F)
		}
	}
	y := s.with(s.add("Gemm", operands...), c.without("activation", "activation_alpha", "activation_beta", "activation_gamma")...)
	return s.activated(c, y, c.attrString("activation", ""), params)
}

// fusedConv is a convolution to which a tensor may be added before the activation.
func fusedConv(c *call) (*onnx.Function, error) {
	if err := c.args(2); err != nil {
		return nil, err
	}
	s := c.speller("x", "w", "b", "z")
	operands := []string{"x", "w"}
	if c.has(2) {
		operands = append(operands, "b")
	}
	var params []float64
	if a := c.attr("activation_params"); a != nil {
		params = a.Floats
	}
	y := s.with(s.add("Conv", operands...), c.without("activation", "activation_params")...)
	if c.has(3) {
		y = s.add("Add", y, "z")
	}
	return s.activated(c, y, c.attrString("activation", ""), params)
}

// embedNorm normalises the sum of embeddings of words, positions and segments. Its second result, where there is a mask, is how many words
// of each text count; its third is the sum.
func embedNorm(c *call) (*onnx.Function, error) {
	for _, i := range []int{0, 2, 3, 5, 6} {
		if _, err := c.arg(i); err != nil {
			return nil, err
		}
	}
	ids := c.in[0].shape
	if len(ids) != 2 || len(c.in[3].shape) != 2 || c.in[3].shape[0] < ids[1] || c.has(1) && !c.has(4) {
		return nil, fmt.Errorf("ids of shape %v and positions of shape %v", ids, c.in[3].shape)
	}
	s := c.speller("ids", "segments", "words", "places", "kinds", "gamma", "beta", "mask", "positions")
	places := s.slice("places", 0, 0, ids[1], 1)
	if c.has(8) {
		places = s.add("Gather", "places", "positions")
	}
	sum := s.add("Add", s.add("Gather", "words", "ids"), places)
	if c.has(1) {
		sum = s.add("Add", sum, s.add("Gather", "kinds", "segments"))
	}
	y := s.with(s.add("LayerNormalization", sum, "gamma", "beta"), intOf("axis", -1), &onnx.Attr{Name: "epsilon", Type: onnx.AttrFloat, F: c.attrFloat("epsilon", 1e-12)})
	if !c.has(7) {
		if len(c.n.Outputs) > 1 && c.n.Outputs[1] != "" && len(c.s.usersOf(c.n.Outputs[1])) > 0 {
			return nil, c.unsupported("how many words count, without a mask that says it")
		}
		return s.function(y, y, sum)
	}
	return s.function(y, s.with(s.add("ReduceSum", "mask", s.ints(1)), intOf("keepdims", 0)), sum)
}
