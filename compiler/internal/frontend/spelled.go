package frontend

import (
	"fmt"
	"strings"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
)

// spelled are the operators that are lowered as other operators, those of the function that is returned: so what becomes of weights in them
// is what always does.
var spelled = map[string]func(c *call) (*onnx.Function, error){"BatchNormalization": batchNorm}

// spelledOpset is that of the nodes of these functions.
const spelledOpset = 18

// body makes a function of lines "OUTPUT OPERATOR INPUT…", which computes the last output. Its nodes have the name of the call's.
func (c *call) body(inputs []string, lines ...string) (*onnx.Function, error) {
	f := &onnx.Function{Name: c.n.Op, Inputs: inputs, Opsets: []onnx.Opset{{Version: spelledOpset}}}
	for _, line := range lines {
		words := strings.Fields(line)
		n := &onnx.Node{Name: c.n.Name, Op: words[1], Inputs: words[2:], Outputs: words[:1]}
		if !standard(n, c.b.functions) {
			return nil, c.unsupported("the model has a function of its own called %s, of which this operator is made", n.Op)
		}
		f.Nodes, f.Outputs = append(f.Nodes, n), n.Outputs
	}
	return f, nil
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
	case len(c.in) != 5 || c.attrInt("training_mode", 0) != 0 || outputs != 1 || c.attrInt("spatial", 1) != 1:
		return nil, c.unsupported("it measures its inputs; export the model for inference")
	case len(x.shape) < 2:
		return nil, fmt.Errorf("its input has the shape %v", x.shape)
	}
	axes := make([]int64, len(x.shape)-2) // all behind the channels
	for i := range axes {
		axes[i] = int64(i + 1)
	}
	lines := []string{"eps Constant", "axes Constant", "sum Add var eps", "root Sqrt sum", "factor Div scale root", "off Mul mean factor", "bias Sub b off",
		"factors Unsqueeze factor axes", "biases Unsqueeze bias axes", "scaled Mul x factors", "y Add scaled biases"}
	f, err := c.body([]string{"x", "scale", "b", "mean", "var"}, lines...)
	if err != nil {
		return nil, err
	}
	f.Nodes[0].Attrs = []*onnx.Attr{{Name: "value", Type: onnx.AttrTensor, T: &onnx.Tensor{DType: onnx.Float32, F: []float64{c.attrFloat("epsilon", 1e-5)}}}}
	f.Nodes[1].Attrs = []*onnx.Attr{{Name: "value", Type: onnx.AttrTensor, T: &onnx.Tensor{DType: onnx.Int64, Shape: []int{len(axes)}, I: axes}}}
	return f, nil
}
