package frontend

import (
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/portable"
)

// Operators that the standard defines by a function of others, whose tables depend on sizes alone.

func init() {
	for op, f := range map[string]spelling{
		"HannWindow": cosineWindow(0.5, 0.5, 0), "HammingWindow": cosineWindow(25.0/46, 21.0/46, 0), "BlackmanWindow": cosineWindow(0.42, 0.5, 0.08),
		"AffineGrid": affineGrid, "CenterCropPad": centerCropPad, "SwiGLU": swiGLU, "CausalConvWithState": causalConv,
	} {
		spelled[op] = f
	}
}

// cosineWindow is a window a0 − a1·cos(φ) + a2·cos(2φ) of so many numbers as its input says, over a turn of φ, or up to the end of one if it is not
// periodic.
func cosineWindow(a0, a1, a2 float64) spelling {
	return func(c *call) (*onnx.Function, error) {
		size, err := c.constInts(0, "size", nil)
		if err != nil {
			return nil, err
		}
		if len(size) != 1 || size[0] < 0 || size[0] > maxTokens {
			return nil, fmt.Errorf("sizes %v", size)
		}
		n := int(size[0])
		if err := c.charge(1, n); err != nil {
			return nil, err
		}
		turn := float64(n)
		if c.attrInt("periodic", 1) == 0 {
			turn--
		}
		t := &onnx.Tensor{DType: onnx.Float32, Shape: []int{n}, F: make([]float64, n)}
		for i := range t.F {
			angle := float64(float64(2*math.Pi/turn) * float64(i))
			t.F[i] = a0 - float64(a1*portable.Cos(angle)) + float64(a2*portable.Cos(float64(2*angle)))
		}
		s := c.speller("size")
		return s.function(s.with(s.add("Cast", s.constant(t)), intOf("to", c.attrInt("output_datatype", int64(onnx.Float32)))))
	}
}

// affineGrid is where the cells of an image of a size lie, turned and moved by theta: the product of theta with each cell's place, between −1 and 1, and 1.
func affineGrid(c *call) (*onnx.Function, error) {
	theta, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	size, err := c.constInts(1, "size", nil)
	if err != nil {
		return nil, err
	}
	axes := len(size) - 2
	if (axes != 2 && axes != 3) || len(theta.shape) != 3 || int64(theta.shape[0]) != size[0] || theta.shape[1] != axes || theta.shape[2] != axes+1 {
		return nil, fmt.Errorf("theta of shape %v, and the size %v", theta.shape, size)
	}
	cells, grid := 1, []int64{size[0]}
	for _, d := range size[2:] {
		if d < 1 || d > maxTokens {
			return nil, fmt.Errorf("the size %v", size)
		}
		grid = append(grid, d)
		if cells *= int(d); cells > maxTokens {
			return nil, c.unsupported("a grid of more than %d cells", maxTokens)
		}
	}
	if err := c.charge(1, axes+1, cells); err != nil {
		return nil, err
	}
	places := &onnx.Tensor{DType: theta.dtype, Shape: []int{axes + 1, cells}, F: make([]float64, (axes+1)*cells)}
	for k := range axes + 1 { // x is along the last axis
		stride := 1
		for _, d := range size[len(size)-k:] {
			stride *= int(d)
		}
		for i := range cells {
			places.F[k*cells+i] = 1
			if k < axes {
				d := int(size[len(size)-1-k])
				places.F[k*cells+i] = gridPlace(i/stride%d, d, c.attrInt("align_corners", 0) != 0)
			}
		}
	}
	s := c.speller("theta", "size")
	y := s.with(s.add("Transpose", s.add("MatMul", "theta", s.constant(places))), intsOf("perm", 0, 2, 1))
	return s.function(s.add("Reshape", y, s.ints(append(grid, int64(axes))...)))
}

// gridPlace is where a cell of an axis of n lies between −1 and 1: these are the middles of the first and the last one, or their edges.
func gridPlace(i, n int, corners bool) float64 {
	switch {
	case !corners:
		return float64(2*i+1)/float64(n) - 1
	case n == 1:
		return 0
	}
	return float64(2*i)/float64(n-1) - 1
}

// centerCropPad cuts axes to a size around their middle, or pads them with zeros.
func centerCropPad(c *call) (*onnx.Function, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	size, err := c.constInts(1, "shape", nil)
	if err != nil {
		return nil, err
	}
	axes := make([]int64, len(size))
	for i := range axes {
		axes[i] = int64(i)
	}
	if a := c.attr("axes"); a != nil {
		axes = a.Ints
	}
	if len(axes) != len(size) || c.attr("axes") == nil && len(size) != len(x.shape) {
		return nil, fmt.Errorf("%d sizes of the axes %v of shape %v", len(size), axes, x.shape)
	}
	s := c.speller("x", "shape")
	y, pads, padded := "x", make([]int64, 2*len(x.shape)), false
	for i, along := range axes {
		a, err := axis(along, len(x.shape))
		if err != nil {
			return nil, err
		}
		if size[i] < 0 || size[i] > maxTokens {
			return nil, fmt.Errorf("sizes %v", size)
		}
		if more := int(size[i]) - x.shape[a]; more > 0 {
			pads[a], pads[len(x.shape)+a], padded = int64(more/2), int64(more-more/2), true
		} else if more < 0 {
			y = s.slice(y, a, -more/2, -more/2+int(size[i]), 1)
		}
	}
	if padded {
		y = s.add("Pad", y, s.ints(pads...))
	}
	return s.function(s.add("Identity", y))
}

// swiGLU is a·σ(αa)·b.
func swiGLU(c *call) (*onnx.Function, error) {
	s := c.speller("a", "b")
	swish := s.with(s.add("Swish", "a"), &onnx.Attr{Name: "alpha", Type: onnx.AttrFloat, F: c.attrFloat("alpha", 1)})
	return s.function(s.add("Mul", swish, "b"))
}

// causalConv is a convolution of every channel by itself over a cell and those before it, which for the first cells are a state, or zeros; and the state
// for what comes next.
func causalConv(c *call) (*onnx.Function, error) {
	if err := c.args(2); err != nil {
		return nil, err
	}
	x, w := c.in[0].shape, c.in[1].shape
	if len(x) != 3 || len(w) != 3 || w[0] != x[1] || w[1] != 1 || w[2] < 1 {
		return nil, fmt.Errorf("an input of shape %v and weights of shape %v", x, w)
	}
	s := c.speller("x", "w", "b", "state")
	before := w[2] - 1
	long, operands := "x", []string{"w"}
	switch {
	case before == 0:
	case c.has(3):
		long = s.with(s.add("Concat", "state", "x"), intOf("axis", 2))
	default:
		long = s.add("Pad", "x", s.ints(0, 0, int64(before), 0, 0, 0))
	}
	if c.has(2) {
		operands = append(operands, "b")
	}
	y := s.with(s.add("Conv", append([]string{long}, operands...)...), intOf("group", int64(x[1])))
	switch activation := c.attrString("activation", "none"); activation {
	case "none":
	case "silu", "swish":
		y = s.add("Mul", y, s.add("Sigmoid", y))
	default:
		return nil, c.unsupported("the activation %q; none, silu and swish are supported", activation)
	}
	outputs := []string{y, s.slice(long, 2, x[2], x[2]+before, 1)}
	return s.function(outputs[:min(len(outputs), max(1, len(c.n.Outputs)))]...)
}
