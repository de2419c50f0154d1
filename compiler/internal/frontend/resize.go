package frontend

import (
	"fmt"
	"math"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/internal/portable"
)

func init() { spelled["Resize"] = resize }

// resize is a Resize axis by axis: rows that are the nearest are picked, and linear and cubic interpolations are products with a matrix
// that follows from the extents alone. So position embeddings that are resized stay private, and images may be.
func resize(c *call) (*onnx.Function, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	r := &resizer{c: c, mode: c.attrString("mode", "nearest"), rule: c.attrString("coordinate_transformation_mode", "half_pixel"),
		nearest: c.attrString("nearest_mode", "round_prefer_floor"), a: c.attrFloat("cubic_coeff_a", -0.75), inside: c.attrInt("exclude_outside", 0) != 0}
	if err := r.supported(x); err != nil {
		return nil, err
	}
	axes, err := r.axes(x.shape)
	if err != nil {
		return nil, err
	}
	s := c.speller("x")
	y := s.add("Identity", "x")
	for _, a := range axes {
		if y, err = r.along(s, y, len(x.shape), a); err != nil {
			return nil, err
		}
	}
	return s.function(y)
}

// resizer is how one Resize takes its coordinates and cells.
type resizer struct {
	c                   *call
	mode, rule, nearest string
	a                   float64 // the coefficient of cubic interpolation
	inside              bool    // cells outside of the tensor weigh nothing in it
}

// resized is an axis with its extents before and after, and by how much coordinates on it grow.
type resized struct {
	axis, from, to int
	scale          float64
	sized          bool // scale is to/from
}

func (r *resizer) supported(x *val) error {
	c := r.c
	switch {
	case c.opset < 11:
		return c.unsupported("of opset %d, in which runtimes do not agree on coordinates; export the model for opset 11 or later", c.opset)
	case c.attrInt("antialias", 0) != 0:
		return c.unsupported("antialias; export the model without it")
	case c.attrString("keep_aspect_ratio_policy", "stretch") != "stretch":
		return c.unsupported("keep_aspect_ratio_policy %q; only stretch is supported", c.attrString("keep_aspect_ratio_policy", ""))
	case r.mode != "nearest" && r.mode != "linear" && r.mode != "cubic":
		return fmt.Errorf("unknown mode %q", r.mode)
	case r.mode != "nearest" && (!x.dtype.IsFloat() || len(x.shape) < 2):
		return c.unsupported("mode %s of a tensor of type %s and shape %v; real numbers of two axes or more are supported", r.mode, x.dtype, x.shape)
	case r.mode != "cubic" && r.inside:
		return c.unsupported("exclude_outside is supported in mode cubic only")
	}
	switch r.rule {
	case "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric":
	default:
		return c.unsupported("coordinate_transformation_mode %q", r.rule)
	}
	switch r.nearest {
	case "round_prefer_floor", "round_prefer_ceil", "floor", "ceil":
		return nil
	}
	return fmt.Errorf("unknown nearest_mode %q", r.nearest)
}

// axes lists the axes that a Resize changes. An axis of another extent by a scale of which it is not seen what it rounds to is refused.
func (r *resizer) axes(shape []int) (axes []resized, err error) {
	c := r.c
	list := make([]int64, len(shape))
	for i := range list {
		list[i] = int64(i)
	}
	if a := c.attr("axes"); a != nil {
		list = a.Ints
	}
	if _, err := axisSet(list, len(shape)); err != nil {
		return nil, err
	}
	scales, sizes, err := r.extents(len(list))
	if err != nil {
		return nil, err
	}
	for i, a := range list {
		k, _ := axis(a, len(shape))
		ax := resized{axis: k, from: shape[k]}
		if sizes != nil {
			ax.to, ax.sized = int(min(max(sizes[i], 0), maxTokens)), true
			ax.scale = float64(ax.to) / float64(ax.from)
		} else {
			if ax.scale = scales[i]; !(ax.scale > 0 && ax.scale <= maxTokens) {
				return nil, fmt.Errorf("a scale of %g", ax.scale)
			}
			exact := float64(ax.scale * float64(ax.from))
			ax.to = int(min(portable.Clamp(math.Floor(exact)), maxTokens))
			ax.sized = exact == float64(ax.to)
			single := float32(float32(ax.scale) * float32(ax.from))
			if !ax.sized && (r.rule == "align_corners" || math.Floor(float64(single)) != float64(ax.to)) {
				return nil, c.unsupported("axis %d of extent %d by a scale of %g, which runtimes do not agree on; give sizes instead of scales", k, ax.from, ax.scale)
			}
		}
		if ax.from < 1 || ax.to < 1 {
			return nil, c.unsupported("an axis of extent %d becomes one of %d", ax.from, ax.to)
		}
		if ax.from != ax.to || ax.scale != 1 {
			axes = append(axes, ax)
		}
	}
	return axes, nil
}

// extents are the scales or the sizes that the operator is given, one for each of n axes.
func (r *resizer) extents(n int) (scales []float64, sizes []int64, err error) {
	c := r.c
	given := func(i int) bool { return c.has(i) && !empty(c.in[i]) }
	switch {
	case given(2) == given(3):
		return nil, nil, fmt.Errorf("needs scales or sizes, and not both")
	case given(3):
		sizes, err = c.constInts(3, "sizes", nil)
	case c.in[2].private:
		err = c.secret(c.in[2], "scales")
	case c.in[2].c == nil:
		err = c.unsupported("the scales (input %q) must be a constant", c.in[2].name)
	default:
		scales = floats(c.in[2].c)
	}
	if err == nil && len(scales)+len(sizes) != n {
		err = fmt.Errorf("%d scales or sizes for %d axes", len(scales)+len(sizes), n)
	}
	return scales, sizes, err
}

// along resizes one axis of a tensor of a rank.
func (r *resizer) along(s *speller, x string, rank int, a resized) (string, error) {
	if r.mode == "nearest" {
		at := make([]int64, a.to)
		for i := range at {
			k := clamped(r.round(r.coordinate(i, a)), a.from)
			if k != clamped(r.round(float64(r.single(i, a))), a.from) {
				return "", r.c.unsupported("cell %d of axis %d is as near to two cells, up to rounding, and runtimes do not agree on which", i, a.axis)
			}
			at[i] = int64(k)
		}
		return s.with(s.add("Gather", x, s.ints(at...)), intOf("axis", int64(a.axis))), nil
	}
	if err := r.c.charge(1, a.from, a.to); err != nil {
		return "", err
	}
	m := &onnx.Tensor{DType: onnx.Float32, Shape: []int{a.from, a.to}, F: make([]float64, a.from*a.to)}
	for i := range a.to {
		first, weights := r.weights(r.coordinate(i, a), a.from)
		for k, w := range weights {
			m.F[clamped(first+float64(k), a.from)*a.to+i] += w
		}
	}
	last := make([]int64, rank)
	for i := range last {
		last[i] = int64(i)
	}
	last[a.axis], last[rank-1] = int64(rank-1), int64(a.axis)
	moved := s.with(s.add("Transpose", x), intsOf("perm", last...))
	return s.with(s.add("Transpose", s.add("MatMul", moved, s.constant(m))), intsOf("perm", last...)), nil
}

// coordinate is where cell i of a resized axis lies on the axis as it was.
func (r *resizer) coordinate(i int, a resized) float64 {
	at := func(x float64) float64 {
		if a.sized {
			return float64(x*float64(a.from)) / float64(a.to)
		}
		return x / a.scale
	}
	switch r.rule {
	case "align_corners":
		return float64(float64(i)*float64(a.from-1)) / float64(max(a.to-1, 1))
	case "asymmetric":
		return at(float64(i))
	case "pytorch_half_pixel":
		if a.to == 1 {
			return 0
		}
	case "half_pixel_symmetric":
		shift := float64(a.from) / 2
		return shift - float64(shift*(float64(a.to)/float64(a.scale*float64(a.from)))) + at(float64(i)+0.5) - 0.5
	}
	return at(float64(i)+0.5) - 0.5
}

// single is coordinate as runtimes compute it, in single precision.
func (r *resizer) single(i int, a resized) float32 {
	scale := float32(a.scale)
	switch r.rule {
	case "align_corners":
		return float32(float32(i)*float32(a.from-1)) / float32(max(a.to-1, 1))
	case "asymmetric":
		return float32(i) / scale
	case "pytorch_half_pixel":
		if a.to == 1 {
			return 0
		}
	case "half_pixel_symmetric":
		shift := float32(a.from) / 2
		return float32(shift*(1-float32(float32(a.to)/float32(scale*float32(a.from))))) + float32((float32(i)+0.5)/scale) - 0.5
	}
	return float32((float32(i)+0.5)/scale) - 0.5
}

// round is the whole coordinate that is the nearest.
func (r *resizer) round(x float64) float64 {
	switch r.nearest {
	case "floor":
		return math.Floor(x)
	case "ceil":
		return math.Ceil(x)
	case "round_prefer_ceil":
		return math.Floor(x + 0.5)
	}
	return math.Ceil(x - 0.5)
}

// clamped is a coordinate as an index of n cells.
func clamped(x float64, n int) int { return int(min(max(portable.Clamp(x), 0), int64(n-1))) }

// weights are those of cells of an axis of n from the first one on, of which some may lie outside and are then the outermost one, for a
// coordinate.
func (r *resizer) weights(x float64, n int) (first float64, w []float64) {
	first = math.Floor(x)
	t := x - first
	if r.mode == "linear" {
		return first, []float64{1 - t, t}
	}
	near := func(d float64) float64 { return float64((float64((r.a+2)*d)-(r.a+3))*float64(d*d)) + 1 }
	far := func(d float64) float64 { return float64(r.a * (float64((float64((d-5)*d)+8)*d) - 4)) }
	w = []float64{far(t + 1), near(t), near(1 - t), far(2 - t)}
	first--
	if r.inside {
		total := 0.0
		for k := range w {
			if at := first + float64(k); at < 0 || at >= float64(n) {
				w[k] = 0
			}
			total += w[k]
		}
		for k := range w {
			w[k] /= total
		}
	}
	return first, w
}
