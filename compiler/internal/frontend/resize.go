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
		nearest: c.attrString("nearest_mode", "round_prefer_floor"), a: c.attrFloat("cubic_coeff_a", -0.75), inside: c.attrInt("exclude_outside", 0) != 0,
		smooth: c.attrInt("antialias", 0) != 0}
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
	smooth              bool    // where an axis becomes shorter, interpolation is stretched over what a cell stands for
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
	case r.mode != "nearest" && r.mode != "linear" && r.mode != "cubic":
		return fmt.Errorf("unknown mode %q", r.mode)
	case r.mode != "nearest" && (!x.dtype.IsFloat() || len(x.shape) < 2):
		return c.unsupported("mode %s of a tensor of type %s and shape %v; real numbers of two axes or more are supported", r.mode, x.dtype, x.shape)
	case r.mode == "nearest" && r.smooth:
		return c.unsupported("antialias is of modes linear and cubic; export the model without it")
	case r.mode != "cubic" && r.inside && !r.smooth:
		return c.unsupported("exclude_outside is supported in mode cubic, or with antialias, only")
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
	common, err := r.common(shape, list, sizes)
	if err != nil {
		return nil, err
	}
	for i, a := range list {
		k, _ := axis(a, len(shape))
		ax := resized{axis: k, from: shape[k]}
		if common != nil {
			if err := ax.inProportion(r, *common); err != nil {
				return nil, err
			}
		} else if sizes != nil {
			ax.to, ax.sized = extent(sizes[i]), true
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

// extent is a size, which budgets refuse where it is large.
func extent(size int64) int { return int(min(max(size, 0), maxTokens)) }

// common is the axis, as its size asks for it, by whose scale all axes grow where their proportion is kept; nil where it is not.
func (r *resizer) common(shape []int, list, sizes []int64) (*resized, error) {
	policy := r.c.attrString("keep_aspect_ratio_policy", "stretch")
	switch {
	case policy != "stretch" && policy != "not_larger" && policy != "not_smaller":
		return nil, fmt.Errorf("unknown keep_aspect_ratio_policy %q", policy)
	case policy == "stretch" || sizes == nil:
		return nil, nil
	}
	var best *resized
	for i, a := range list {
		k, _ := axis(a, len(shape))
		ax := resized{axis: k, from: shape[k], to: extent(sizes[i])}
		if ax.from < 1 {
			return nil, r.c.unsupported("an axis of extent %d becomes one of %d", ax.from, ax.to)
		}
		if best == nil || ax.to*best.from < best.to*ax.from == (policy == "not_larger") {
			best = &ax
		}
	}
	return best, nil
}

// inProportion makes the axis grow by the scale of another one, to the nearest extent.
func (a *resized) inProportion(r *resizer, by resized) error {
	a.to = (2*by.to*a.from + by.from) / (2 * by.from)
	a.scale, a.sized = float64(by.to)/float64(by.from), a.to*by.from == by.to*a.from
	single := float32(float32(by.to) / float32(by.from))
	if near := float64(float32(single*float32(a.from))) + 0.5; math.Floor(near) != float64(a.to) || !a.sized && r.rule == "align_corners" {
		return r.c.unsupported("axis %d of extent %d by a scale of %g, which runtimes do not agree on; give sizes instead of keep_aspect_ratio_policy", a.axis, a.from, a.scale)
	}
	return nil
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
	if err := r.c.charge(2+r.reach(a), a.from, a.to); err != nil {
		return "", err
	}
	m := &onnx.Tensor{DType: onnx.Float32, Shape: []int{a.from, a.to}, F: make([]float64, a.from*a.to)}
	for i := range a.to {
		first, weights := r.weights(r.coordinate(i, a), a)
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

// stretch is by how much the kernel of an interpolation is narrower than that of neighbouring cells, at most 1; and reach how many cells it
// has on either side of a coordinate.
func (r *resizer) stretch(a resized) float64 {
	if r.smooth {
		return math.Min(a.scale, 1)
	}
	return 1
}

func (r *resizer) reach(a resized) int {
	cells := 1.0
	if r.mode == "cubic" {
		cells = 2
	}
	return int(min(portable.Clamp(math.Ceil(cells/r.stretch(a))), maxTokens))
}

// kernel is the weight of a cell at a distance.
func (r *resizer) kernel(d float64) float64 {
	d = math.Abs(d)
	switch {
	case r.mode == "linear":
		return math.Max(1-d, 0)
	case d <= 1:
		return float64((float64((r.a+2)*d)-(r.a+3))*float64(d*d)) + 1
	case d < 2:
		return float64(r.a * (float64((float64((d-5)*d)+8)*d) - 4))
	}
	return 0
}

// weights are those of cells of an axis from the first one on, of which some may lie outside and are then the outermost one, for a
// coordinate. They sum to 1.
func (r *resizer) weights(x float64, a resized) (first float64, w []float64) {
	s, reach := r.stretch(a), r.reach(a)
	t := x - math.Floor(x)
	first = math.Floor(x) - float64(reach-1)
	if r.mode == "linear" && s == 1 && !r.inside {
		return first, []float64{1 - t, t}
	}
	total := 0.0
	for k := range 2 * reach {
		at := first + float64(k)
		weight := r.kernel(float64((float64(k-reach+1) - t) * s))
		if r.inside && (at < 0 || at >= float64(a.from)) {
			weight = 0
		}
		w, total = append(w, weight), total+weight
	}
	if r.inside || s < 1 {
		for k := range w {
			w[k] /= total
		}
	}
	return first, w
}
