package compiler

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zkllmc/zkllmc/internal/circuit"
	"github.com/zkllmc/zkllmc/internal/onnx/pb"
)

// filter makes the weights of a convolution.
func filter(name string, dims ...int64) *pb.TensorProto {
	n := 1
	for _, d := range dims {
		n *= int(d)
	}
	t := matrix(name, n, 1)
	t.Dims = dims
	return t
}

// windowed is a bigramModel of T tokens whose channels come first, [1, 3, T], between x and y, which takes them back.
func windowed(T int64, nodes []*pb.NodeProto, initializers ...*pb.TensorProto) *pb.ModelProto {
	all := append([]*pb.NodeProto{op("Transpose", "x", "xt", intsAttr("perm", 1, 0)), op("Unsqueeze", "xt zero", "c0")}, nodes...)
	all = append(all, op("Squeeze", "c1 zero", "yt"), op("Transpose", "yt", "y", intsAttr("perm", 1, 0)))
	m := bigramModel(all, append(initializers, int64s("zero", 0))...)
	m.Graph.Input[0].Type.GetTensorType().Shape.Dim[0].Value = &pb.TensorShapeProto_Dimension_DimValue{DimValue: T}
	return m
}

// Models with windows are proved, as generations where no window looks ahead: a convolution with padding on the left, dilated or not, one
// with padding on both sides whose end is cut off, maxima over the past. With padding on both sides, a stride or a mean over all positions
// they are functions.
func TestWindows(t *testing.T) {
	for name, c := range map[string]struct {
		T      int64
		nodes  []*pb.NodeProto
		causal bool
		where  []string // equations that the circuit has
	}{
		"causal convolutions": {40, []*pb.NodeProto{
			op("Conv", "c0 w3 b3", "h", intsAttr("pads", 2, 0)), op("Relu", "h", "r"), op("Conv", "r w3", "c1", intsAttr("pads", 4, 0), intsAttr("dilations", 2)),
		}, true, []string{"i - j - k + 2", "i - j - 2k + 4"}},
		"cut off": {40, []*pb.NodeProto{
			op("Conv", "c0 w3 b3", "h", intsAttr("pads", 2, 2)), op("Slice", "h zero end two", "c1"),
		}, true, nil},
		"padded with a Pad": {40, []*pb.NodeProto{op("Pad", "c0 left", "p"), op("Conv", "p w3", "c1")}, true, nil},
		"of each channel":   {40, []*pb.NodeProto{op("Conv", "c0 w1", "c1", intsAttr("pads", 2, 0), intAttr("group", 3))}, true, nil},
		"maxima of the past": {40, []*pb.NodeProto{
			op("Relu", "c0", "r"), op("MaxPool", "r", "c1", intsAttr("kernel_shape", 4), intsAttr("pads", 3, 0)),
		}, true, nil},
		"maxima over a copied edge": {12, []*pb.NodeProto{op("MaxPool", "c0", "c1", intsAttr("kernel_shape", 3), intsAttr("pads", 2, 0))}, true, nil},
		"symmetric":                 {40, []*pb.NodeProto{op("Conv", "c0 w3 b3", "c1", intsAttr("pads", 1, 1))}, false, []string{"i - j - k + 1"}},
		"one cell ahead":            {40, []*pb.NodeProto{op("Pad", "c0 ahead", "p"), op("Conv", "p w3", "c1", intsAttr("pads", 1, 0))}, false, []string{"i - j - k + 1"}},
		"strides and back": {24, []*pb.NodeProto{
			op("Conv", "c0 w3 b3", "h", intsAttr("strides", 2), intsAttr("pads", 1, 0)), op("Relu", "h", "r"),
			op("ConvTranspose", "r w2", "c1", intsAttr("strides", 2)),
		}, false, nil},
		"means": {40, []*pb.NodeProto{
			op("AveragePool", "c0", "a", intsAttr("kernel_shape", 3), intsAttr("pads", 1, 1)), op("GlobalAveragePool", "c0", "g"), op("Add", "a g", "c1"),
		}, false, nil},
		"pictures": {36, []*pb.NodeProto{ // 3 channels of 6·6, halved and repeated
			op("Reshape", "c0 square", "s"), op("Conv", "s w33 b3", "h", intsAttr("pads", 1, 1, 1, 1)), op("MaxPool", "h", "m", intsAttr("kernel_shape", 2, 2), intsAttr("strides", 2, 2)),
			op("ConvTranspose", "m w22", "u", intsAttr("strides", 2, 2)), op("Reshape", "u flat", "c1"),
		}, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := windowed(c.T, c.nodes, filter("w3", 3, 3, 3), filter("w1", 3, 1, 3), filter("w2", 3, 3, 2), filter("w33", 3, 3, 3, 3), filter("w22", 3, 3, 2, 2),
				filter("b3", 3), int64s("left", 0, 0, 2, 0, 0, 0), int64s("ahead", 0, 0, 0, 0, 0, 1), int64s("end", c.T), int64s("two", 2), int64s("square", 1, 3, 6, 6), int64s("flat", 1, 3, 36))
			r := analysed(t, m)
			require.Equal(t, c.causal, r.Circuit.Generation != nil)
			got := map[string]bool{}
			for i := range r.Circuit.Tensors {
				if x := &r.Circuit.Tensors[i]; x.Kind == circuit.Affine {
					offset, strides := x.Equation()
					require.Positive(t, r.Circuit.Evaluations()[i], "%s is never evaluated", x.Name)
					got[circuit.Linear(offset, strides)] = true
				}
			}
			for _, where := range c.where {
				require.True(t, got[where], "%s is not among %v", where, got)
			}
			report, err := r.Check(context.Background(), randomInputs(r, 4))
			require.NoError(t, err)
			require.Equal(t, report.Clear, report.ClearAgree)
			require.NoError(t, r.Prove(context.Background(), randomInputs(r, 1)...))
		})
	}
}
