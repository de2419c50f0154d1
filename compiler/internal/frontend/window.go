package frontend

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/compiler/internal/onnx"
	"github.com/zkllmc/zkllmc/ir"
)

// Windows: convolutions and poolings. The index of x that tap k of window o looks at is linear, s·o + d·k − p, so that windows are gathered
// by a map of indices, and what lies outside of x is zero. A convolution is the product of the gathered windows with the weights, an
// average their sum, a maximum a tree of maxima over the taps, one axis after the other.

func init() {
	register(handlers, map[string]handler{
		"Conv": conv, "ConvTranspose": convTranspose, "AveragePool": averagePool, "GlobalAveragePool": globalAverage,
		"MaxPool": maxPool, "GlobalMaxPool": globalMax, "Pad": pad,
	})
}

// window says how windows run over one axis: tap k of window o is the index in with in·input = step·o + dilation·k − before, of an axis of
// the given extent. input is 1, but for transposed convolutions, of which step is.
type window struct {
	extent, out, taps             int
	input, step, dilation, before int
	after                         int // padding behind the axis
}

// equation is the map of indices with the axes in, o, k.
func (w window) equation(first int) *ir.AffineAttr {
	return &ir.AffineAttr{Offset: int64(w.before - w.dilation*first), Strides: []int64{int64(w.input), int64(-w.step), int64(-w.dilation)}}
}

// at is the index that tap k of window o looks at, and whether the axis has it.
func (w window) at(o, k int) (int, bool) {
	x := w.step*o + w.dilation*k - w.before
	return x, x >= 0 && x < w.extent
}

// inside says that no window looks beyond the axis.
func (w window) inside() bool {
	_, first := w.at(0, 0)
	_, last := w.at(w.out-1, w.taps-1)
	return first && last
}

// split says that windows are the parts of the axis, one after the other, so that no map is needed.
func (w window) split() bool {
	return w.input == 1 && w.before == 0 && w.out*w.taps == w.extent && (w.taps == 1 || w.dilation == 1) && (w.out == 1 || w.step == w.taps)
}

// maxWindow bounds what a window's attributes may be, far below the bound of a map's strides.
const maxWindow = 1 << 24

// padded is a tensor with zeros around it.
type padded struct {
	of            *val
	before, after []int
}

// unpadded is x without zeros that a Pad has put around its axes behind batch and channels, and how many they are. A convolution that reads
// them as its own padding looks at x itself, so that causality sees how far.
func (c *call) unpadded(x *val) (of *val, before, after []int) {
	none := make([]int, len(x.shape))
	if a := c.attrString("auto_pad", "NOTSET"); x.padded == nil || a != "NOTSET" && a != "" && a != "VALID" {
		return x, none[2:], none[2:]
	}
	p := x.padded
	for a := range x.shape {
		if p.before[a] < 0 || p.after[a] < 0 || a < 2 && (p.before[a] > 0 || p.after[a] > 0) {
			return x, none[2:], none[2:]
		}
	}
	return p.of, p.before[2:], p.after[2:]
}

// perAxis reads an attribute with n integers of at least least, all def where it is absent.
func (c *call) perAxis(name string, n, def, least int) ([]int, error) {
	out := make([]int, n)
	a := c.attr(name)
	for i := range out {
		if out[i] = def; a == nil {
			continue
		}
		if len(a.Ints) != n {
			return nil, fmt.Errorf("%s %v of %d axes", name, a.Ints, n)
		}
		if a.Ints[i] < int64(least) || a.Ints[i] > maxWindow {
			return nil, c.unsupported("%s %v; numbers from %d to 2^24 are supported", name, a.Ints, least)
		}
		out[i] = int(a.Ints[i])
	}
	return out, nil
}

// windows reads how windows of the given taps run over the given axes, with more padding than the node says.
func (c *call) windows(extents, taps, before, after []int) ([]window, error) {
	n := len(extents)
	strides, err := c.perAxis("strides", n, 1, 1)
	if err != nil {
		return nil, err
	}
	dilations, err := c.perAxis("dilations", n, 1, 1)
	if err != nil {
		return nil, err
	}
	pads, err := c.perAxis("pads", 2*n, 0, 0)
	if err != nil {
		return nil, err
	}
	auto := c.attrString("auto_pad", "NOTSET")
	ws := make([]window, n)
	for a, d := range extents {
		w := window{extent: d, taps: taps[a], input: 1, step: strides[a], dilation: dilations[a]}
		if w.taps < 1 || w.taps > maxWindow || w.dilation*(w.taps-1) > maxWindow {
			return nil, c.unsupported("windows of %d cells, %d apart; up to 2^24 are supported", w.taps, w.dilation)
		}
		reach := w.dilation*(w.taps-1) + 1
		switch auto {
		case "", "NOTSET":
			w.before, w.after = pads[a], pads[n+a]
		case "VALID":
		case "SAME_UPPER", "SAME_LOWER":
			total := max(0, ((d+w.step-1)/w.step-1)*w.step+reach-d)
			if w.before, w.after = total/2, total-total/2; auto == "SAME_LOWER" {
				w.before, w.after = w.after, w.before
			}
		default:
			return nil, fmt.Errorf("unknown auto_pad %q", auto)
		}
		w.before, w.after = w.before+before[a], w.after+after[a]
		room := d + w.before + w.after - reach
		if room < 0 {
			return nil, fmt.Errorf("windows of %d cells do not fit an axis of %d with padding %d and %d", reach, d, w.before, w.after)
		}
		if w.out = room/w.step + 1; c.attrInt("ceil_mode", 0) != 0 && room%w.step != 0 && w.out*w.step < d+w.before {
			w.out++ // a last window that reaches beyond the padding, if it begins before it
		}
		ws[a] = w
	}
	return ws, nil
}

// mapped adds a map of indices to a term, for taps from first on; labels are those of in, o and k.
func (c *call) mapped(t *ir.Term, w window, first int, in, o, k int) {
	shape := []int{t.Extents[in], t.Extents[o], t.Extents[k]}
	v := c.add(ir.OpAffine, c.b.unique("window"), shape, nil, w.equation(first))
	t.In, t.Axes = append(t.In, int(v.ID)), append(t.Axes, [][]int{{in}, {o}, {k}})
}

// gather returns the windows of x over its last axes, as a value whose axes o and k, for every window, stand where the axis stood; split
// says that they are one axis still, which has the labels of both.
func (c *call) gather(x *val, ws []window) (y *val, split bool, err error) {
	id, err := c.use(x)
	if err != nil {
		return nil, false, err
	}
	split = true
	for _, w := range ws {
		split = split && w.split()
	}
	if split {
		return x, true, nil
	}
	t := ir.Term{Coef: 1, In: []int{int(id)}, Axes: [][][]int{nil}}
	label := func(extent int) int {
		t.Extents = append(t.Extents, extent)
		return len(t.Extents) - 1
	}
	var shape []int
	lead := len(x.shape) - len(ws)
	for _, d := range x.shape[:lead] {
		l := []int{label(d)}
		t.Axes[0], t.Out, shape = append(t.Axes[0], l), append(t.Out, l), append(shape, d)
	}
	for _, w := range ws {
		o, k := label(w.out), label(w.taps)
		t.Out, shape = append(t.Out, []int{o}, []int{k}), append(shape, w.out, w.taps)
		if w.split() {
			t.Axes[0] = append(t.Axes[0], []int{o, k})
			continue
		}
		in := label(w.extent)
		t.Axes[0] = append(t.Axes[0], []int{in})
		c.mapped(&t, w, 0, in, o, k)
	}
	return c.einsum(shape, t), false, checkCells(shape)
}

func conv(c *call) ([]*val, error) {
	x, w, err := c.convArgs()
	if err != nil {
		return nil, err
	}
	x, before, after := c.unpadded(x)
	ws, err := c.windows(x.shape[2:], w.shape[2:], before, after)
	if err != nil {
		return nil, err
	}
	groups := int(c.attrInt("group", 1))
	if groups < 1 || groups > w.shape[0] || w.shape[0]%groups != 0 || w.shape[1]*groups != x.shape[1] {
		return nil, fmt.Errorf("weights of shape %v do not fit %d channels in %d groups", w.shape, x.shape[1], groups)
	}
	return one(c.convolve(x, w, ws, []int{groups, w.shape[0] / groups, w.shape[1]}, [][]int{{0, 1}, {2}}))
}

// convTranspose gathers, for every cell of the result, the cells of x whose windows cover it.
func convTranspose(c *call) ([]*val, error) {
	x, w, err := c.convArgs()
	if err != nil {
		return nil, err
	}
	groups := int(c.attrInt("group", 1))
	if groups < 1 || groups > w.shape[0] || w.shape[0]%groups != 0 || w.shape[0] != x.shape[1] {
		return nil, fmt.Errorf("weights of shape %v do not fit %d channels in %d groups", w.shape, x.shape[1], groups)
	}
	ws, err := c.transposed(x.shape[2:], w.shape[2:])
	if err != nil {
		return nil, err
	}
	return one(c.convolve(x, w, ws, []int{groups, w.shape[1], w.shape[0] / groups}, [][]int{{0, 2}, {1}}))
}

// convArgs are the first two inputs of a convolution: x, [batch, channels, axes…], and the weights.
func (c *call) convArgs() (x, w *val, err error) {
	if err := c.args(2); err != nil {
		return nil, nil, err
	}
	x, w = c.in[0], c.in[1]
	if len(x.shape) < 3 || len(x.shape) > 5 {
		return nil, nil, c.unsupported("its input has shape %v; 1 to 3 axes behind batch and channels are supported", x.shape)
	}
	if len(w.shape) != len(x.shape) {
		return nil, nil, fmt.Errorf("weights of shape %v for an input of shape %v", w.shape, x.shape)
	}
	if a := c.attr("kernel_shape"); a != nil {
		for i, k := range a.Ints {
			if len(a.Ints) != len(w.shape)-2 || int64(w.shape[i+2]) != k {
				return nil, nil, fmt.Errorf("kernel_shape %v for weights of shape %v", a.Ints, w.shape)
			}
		}
	}
	return x, w, nil
}

// transposed reads the windows of a transposed convolution.
func (c *call) transposed(extents, taps []int) ([]window, error) {
	ws, err := c.windows(extents, slices.Repeat([]int{1}, len(taps)), make([]int, len(taps)), make([]int, len(taps)))
	if err != nil {
		return nil, err
	}
	n := len(taps)
	extra, err := c.perAxis("output_padding", n, 0, 0)
	if err != nil {
		return nil, err
	}
	shape := c.attr("output_shape")
	auto := c.attrString("auto_pad", "NOTSET")
	pads, err := c.perAxis("pads", 2*n, 0, 0)
	if err != nil {
		return nil, err
	}
	for a := range ws {
		w := &ws[a]
		step, lo := w.step, 0
		full := step*(w.extent-1) + extra[a] + w.dilation*(taps[a]-1) + 1
		w.taps, w.input, w.step = taps[a], step, 1
		switch {
		case shape != nil && len(shape.Ints) != n:
			return nil, fmt.Errorf("output_shape %v for %d axes", shape.Ints, n)
		case shape != nil:
			w.out = int(min(shape.Ints[a], maxWindow+1)) // which is refused
		case auto == "SAME_UPPER" || auto == "SAME_LOWER":
			w.out = w.extent * step
		case auto == "VALID":
			w.out = full
		default:
			lo, w.out = pads[a], full-pads[a]-pads[n+a]
		}
		if shape != nil || auto == "SAME_UPPER" || auto == "SAME_LOWER" {
			total := max(0, full-w.out)
			if lo = total / 2; auto != "SAME_UPPER" {
				lo = total - total/2
			}
		}
		w.dilation, w.before = -w.dilation, -lo // o = step·in + dilation·k − lo, read from o
		if w.out < 1 || w.out > maxWindow || full > maxWindow {
			return nil, c.unsupported("its result has %d cells on axis %d; 1 to 2^24 are supported", w.out, a+2)
		}
	}
	return ws, nil
}

// convolve multiplies the windows of x with weights and adds a bias, input 2. labels 0, 1 and 2 are the groups, the channels of the result
// in a group, those of x in a group, of the given extents; lead are the labels of the weights' first axes.
func (c *call) convolve(x, w *val, ws []window, extents []int, lead [][]int) (*val, error) {
	u, split, err := c.gather(x, ws)
	if err != nil {
		return nil, err
	}
	uid, err := c.use(u)
	if err != nil {
		return nil, err
	}
	wid, err := c.use(w)
	if err != nil {
		return nil, err
	}
	const batch = 3
	t := ir.Term{Coef: 1, Extents: append(extents, x.shape[0]), In: []int{int(uid), int(wid)}, Out: [][]int{{batch}, {0, 1}}}
	t.Axes = [][][]int{{{batch}, {0, 2}}, lead}
	shape := []int{x.shape[0], extents[0] * extents[1]}
	for _, a := range ws {
		o, k := len(t.Extents), len(t.Extents)+1
		t.Extents = append(t.Extents, a.out, a.taps)
		t.Out, shape = append(t.Out, []int{o}), append(shape, a.out)
		t.Axes[1] = append(t.Axes[1], []int{k})
		if split {
			t.Axes[0] = append(t.Axes[0], []int{o, k})
		} else {
			t.Axes[0] = append(t.Axes[0], []int{o}, []int{k})
		}
	}
	terms := []ir.Term{t}
	if c.has(2) {
		b := c.in[2]
		if len(b.shape) != 1 || b.shape[0] != shape[1] {
			return nil, fmt.Errorf("a bias of shape %v for %d channels", b.shape, shape[1])
		}
		bid, err := c.use(b)
		if err != nil {
			return nil, err
		}
		out, ext := ir.IdentityAxes(shape)
		terms = append(terms, ir.Term{Coef: 1, Extents: ext, In: []int{int(bid)}, Axes: [][][]int{{out[1]}}, Out: out})
	}
	return c.einsum(shape, terms...), checkCells(shape)
}

// poolArgs reads input and windows of a pooling.
func (c *call) poolArgs() (x *val, ws []window, err error) {
	if x, err = c.arg(0); err != nil {
		return nil, nil, err
	}
	if len(x.shape) < 3 || len(x.shape) > 5 {
		return nil, nil, c.unsupported("its input has shape %v; 1 to 3 axes behind batch and channels are supported", x.shape)
	}
	taps, err := c.perAxis("kernel_shape", len(x.shape)-2, 0, 1)
	if err != nil {
		return nil, nil, err
	}
	ws, err = c.windows(x.shape[2:], taps, make([]int, len(taps)), make([]int, len(taps)))
	return x, ws, err
}

// averagePool sums the windows and divides by the number of their cells, with those in the padding if count_include_pad says so.
func averagePool(c *call) ([]*val, error) {
	x, ws, err := c.poolArgs()
	if err != nil {
		return nil, err
	}
	return one(c.average(x, ws, c.attrInt("count_include_pad", 0) != 0))
}

func globalAverage(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	return one(c.average(x, everything(x.shape), false))
}

// everything is one window over all cells of the axes behind batch and channels.
func everything(shape []int) (ws []window) {
	for _, d := range shape[min(2, len(shape)):] {
		ws = append(ws, window{extent: d, out: 1, taps: d, input: 1, step: 1, dilation: 1})
	}
	return ws
}

func (c *call) average(x *val, ws []window, padded bool) (*val, error) {
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	lead := len(x.shape) - len(ws)
	shape := append([]int{}, x.shape[:lead]...)
	t := ir.Term{Coef: 1, In: []int{int(id)}, Axes: [][][]int{nil}}
	for l, d := range shape {
		t.Extents, t.Out, t.Axes[0] = append(t.Extents, d), append(t.Out, []int{l}), append(t.Axes[0], []int{l})
	}
	share, uneven, outs := []float64{1}, [][]int(nil), []int(nil) // over the axes on which windows count differently many cells
	for _, w := range ws {
		o, k := len(t.Extents), len(t.Extents)+1
		t.Extents, t.Out, shape = append(t.Extents, w.out, w.taps), append(t.Out, []int{o}), append(shape, w.out)
		if w.split() {
			t.Axes[0] = append(t.Axes[0], []int{o, k})
		} else {
			t.Extents = append(t.Extents, w.extent)
			t.Axes[0] = append(t.Axes[0], []int{k + 1})
			c.mapped(&t, w, 0, k+1, o, k)
		}
		s, err := c.shares(w, padded)
		if err != nil {
			return nil, err
		}
		if slices.Min(s) == slices.Max(s) {
			t.Coef = float64(t.Coef * s[0])
			continue
		}
		if share, err = c.outer(share, s); err != nil {
			return nil, err
		}
		uneven, outs = append(uneven, []int{o}), append(outs, w.out)
	}
	if uneven != nil {
		t.In, t.Axes = append(t.In, int(c.public(c.n.Name+".share", outs, share))), append(t.Axes, uneven)
	}
	return c.einsum(shape, t), checkCells(shape)
}

// outer is the products of the cells of two vectors.
func (c *call) outer(a, b []float64) ([]float64, error) {
	if err := c.charge(1, len(a), len(b)); err != nil {
		return nil, err
	}
	out := make([]float64, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			out = append(out, float64(x*y))
		}
	}
	return out, nil
}

// shares is 1 over the number of cells that each window counts: fewer where it lies over an edge and padding does not count.
func (c *call) shares(w window, padded bool) ([]float64, error) {
	if err := c.charge(1, w.out); err != nil {
		return nil, err
	}
	if err := c.work(w.out, w.taps); err != nil {
		return nil, err
	}
	out := make([]float64, w.out)
	for i := range out {
		n := 0
		for k := range w.taps {
			at, inside := w.at(i, k)
			if inside || padded && at >= -w.before && at < w.extent+w.after {
				n++
			}
		}
		if n == 0 {
			return nil, c.unsupported("window %d lies wholly in the padding and has no average", i)
		}
		out[i] = 1 / float64(n)
	}
	return out, nil
}

// maxPool takes the maximum along one axis after the other. The second result, the indices, is not computed.
func maxPool(c *call) ([]*val, error) {
	x, ws, err := c.poolArgs()
	if err != nil {
		return nil, err
	}
	return one(c.maxima(x, ws))
}

func globalMax(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	return one(c.maxima(x, everything(x.shape)))
}

func (c *call) maxima(x *val, ws []window) (*val, error) {
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	a, unary := c.b.g.Value(id).Def.Attr.(*ir.UnaryAttr)
	positive := unary && (a.Fn == "relu" || a.Fn == "sigmoid" || a.Fn == "exp") // then a zero in the padding changes nothing
	for i, w := range ws {
		if err := c.checkSeen(w); err != nil {
			return nil, err
		}
		if x, err = c.maxAlong(x, len(x.shape)-len(ws)+i, w, positive); err != nil {
			return nil, err
		}
	}
	y := *x
	return &y, nil
}

// checkSeen refuses windows that see nothing but padding: their maximum is minus infinity.
func (c *call) checkSeen(w window) error {
	if w.inside() {
		return nil
	}
	if err := c.work(w.out, w.taps); err != nil {
		return err
	}
	for o := range w.out {
		if _, ok := w.nearest(o, 0); !ok {
			return c.unsupported("window %d lies wholly in the padding and has no maximum", o)
		}
	}
	return nil
}

// maxAlong takes the maximum of the windows along an axis: of two halves of every window, which may overlap, then of two halves of what is
// left, and so on.
func (c *call) maxAlong(x *val, axis int, w window, positive bool) (*val, error) {
	if w.taps == 1 && w.split() {
		return x, nil
	}
	half := (w.taps + 1) / 2
	a, err := c.taps(x, axis, w, 0, half, positive)
	if err != nil || w.taps == 1 {
		return a, err
	}
	b, err := c.taps(x, axis, w, w.taps-half, half, positive)
	if err != nil {
		return nil, err
	}
	y := c.larger(a, b)
	for n := half; n > 1; n = half {
		half = (n + 1) / 2
		if a, err = c.selectAxis(y, axis+1, steps(0, 1, int64(half))); err != nil {
			return nil, err
		}
		if b, err = c.selectAxis(y, axis+1, steps(int64(n-half), 1, int64(half))); err != nil {
			return nil, err
		}
		y = c.larger(a, b)
	}
	return c.reshapeTo(y, append(append([]int{}, y.shape[:axis+1]...), y.shape[axis+2:]...))
}

func (c *call) larger(a, b *val) *val {
	v := c.add(ir.OpMax, "", a.shape, []ir.ValueID{a.id, b.id}, nil)
	return &val{shape: v.Shape, dtype: onnx.Float32, id: v.ID}
}

// taps gathers n taps of every window from one on, as an axis behind the windows; of one tap there is no such axis. What lies outside of x
// is zero where zeros change nothing, and the nearest tap of the window that lies inside otherwise.
func (c *call) taps(x *val, axis int, w window, first, n int, positive bool) (*val, error) {
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	axes, ext := ir.IdentityAxes(x.shape)
	t := ir.Term{Coef: 1, Extents: ext, In: []int{int(id)}, Axes: [][][]int{axes}}
	in, o, k := len(t.Extents), len(t.Extents)+1, len(t.Extents)+2
	t.Extents = append(t.Extents, w.extent, w.out, n)
	t.Axes[0] = append([][]int{}, axes...)
	t.Axes[0][axis] = []int{in}
	used := make([]bool, len(ext)) // IdentityAxes has given the axis a label that nothing has any more
	for a, labels := range axes {
		for _, l := range labels {
			used[l] = a != axis
		}
	}
	for l := range used {
		if !used[l] {
			t.Extents[l] = 1
		}
	}
	shape := append(append([]int{}, x.shape[:axis]...), w.out)
	t.Out = append(append([][]int{}, axes[:axis]...), []int{o})
	if w.taps > 1 {
		t.Out, shape = append(t.Out, []int{k}), append(shape, n)
	}
	t.Out, shape = append(t.Out, axes[axis+1:]...), append(shape, x.shape[axis+1:]...)
	if positive || w.inside() {
		c.mapped(&t, w, first, in, o, k)
		return c.einsum(shape, t), checkCells(shape)
	}
	if err := c.charge(1, w.extent, w.out, n); err != nil {
		return nil, err
	}
	cells := make([]float64, w.extent*w.out*n)
	for i := range w.out {
		for j := range n {
			at, _ := w.nearest(i, first+j) // there is one: checkSeen
			cells[(at*w.out+i)*n+j] = 1
		}
	}
	t.In = append(t.In, int(c.public(c.n.Name+".window", []int{w.extent, w.out, n}, cells)))
	t.Axes = append(t.Axes, [][]int{{in}, {o}, {k}})
	return c.einsum(shape, t), checkCells(shape)
}

// nearest is the index that tap k of window o looks at, or the nearest other tap that looks at one.
func (w window) nearest(o, k int) (int, bool) {
	for far := 0; far < w.taps; far++ {
		for _, other := range [2]int{k - far, k + far} {
			if at, ok := w.at(o, other); ok && other >= 0 && other < w.taps {
				return at, true
			}
		}
	}
	return 0, false
}

// pad adds cells before and behind axes: a number, or cells of the tensor; fewer than none cut.
func pad(c *call) ([]*val, error) {
	x, err := c.arg(0)
	if err != nil {
		return nil, err
	}
	before, after, err := c.padding(x.shape)
	if err != nil {
		return nil, err
	}
	mode := c.attrString("mode", "constant")
	if mode == "constant" {
		return one(c.padWith(x, before, after))
	}
	for a, d := range x.shape {
		if before[a] == 0 && after[a] == 0 {
			continue
		}
		idx, err := c.span(-before[a], before[a]+d+after[a])
		if err != nil {
			return nil, err
		}
		for i := range idx {
			if idx[i], err = reflected(mode, idx[i], d); err != nil {
				return nil, err
			}
		}
		if x, err = c.selectAxis(x, a, idx); err != nil {
			return nil, err
		}
	}
	y := *x
	return []*val{&y}, nil
}

// reflected is the index of the cell that stands at index i, perhaps outside of an axis of extent d.
func reflected(mode string, i, d int) (int, error) {
	switch period := 2 * (d - 1); {
	case mode == "edge":
		return max(0, min(i, d-1)), nil
	case mode == "wrap":
		return (i%d + d) % d, nil
	case mode == "reflect" && d == 1:
		return 0, nil
	case mode == "reflect":
		i = (i%period + period) % period
		return min(i, period-i), nil
	}
	return 0, fmt.Errorf("unknown mode %q", mode)
}

// padding reads how many cells stand before and behind every axis.
func (c *call) padding(shape []int) (before, after []int, err error) {
	pads, _, err := c.intsAttrOr("pads", 1)
	if err != nil {
		return nil, nil, err
	}
	rank := len(shape)
	axes := make([]int64, rank)
	for i := range axes {
		axes[i] = int64(i)
	}
	if axes, err = c.constInts(3, "axes", axes); err != nil {
		return nil, nil, err
	}
	if _, err := axisSet(axes, rank); err != nil {
		return nil, nil, err
	}
	if len(pads) != 2*len(axes) {
		return nil, nil, fmt.Errorf("pads %v for %d axes", pads, len(axes))
	}
	before, after = make([]int, rank), make([]int, rank)
	for i, p := range axes {
		a, _ := axis(p, rank)
		for _, n := range []int64{pads[i], pads[len(axes)+i]} {
			if n > maxWindow || n < -maxWindow {
				return nil, nil, c.unsupported("pads %v; up to 2^24 cells are supported", pads)
			}
		}
		before[a], after[a] = int(pads[i]), int(pads[len(axes)+i])
		if shape[a]+before[a]+after[a] < 1 {
			return nil, nil, c.unsupported("its result has no cells on axis %d", a)
		}
	}
	return before, after, nil
}

// padWith pads with a number.
func (c *call) padWith(x *val, before, after []int) (*val, error) {
	value := c.attrFloat("value", 0)
	if c.has(2) {
		v := c.in[2]
		if v.c == nil || v.c.Len() != 1 {
			return nil, c.unsupported("the cells that are added must be a constant scalar")
		}
		c.b.commit(v)
		value = floats(v.c)[0]
	}
	id, err := c.use(x)
	if err != nil {
		return nil, err
	}
	t := ir.Term{Coef: 1, In: []int{int(id)}, Axes: [][][]int{nil}}
	inside := ir.Term{Coef: -value}
	var shape []int
	for a, d := range x.shape {
		n := d + before[a] + after[a]
		o := len(t.Extents)
		t.Extents, t.Out, shape = append(t.Extents, n), append(t.Out, []int{o}), append(shape, n)
		if n == d && before[a] == 0 {
			t.Axes[0] = append(t.Axes[0], []int{o})
			continue
		}
		t.Extents = append(t.Extents, d)
		t.Axes[0] = append(t.Axes[0], []int{o + 1})
		v := c.add(ir.OpAffine, c.b.unique("pad"), []int{d, n}, nil, &ir.AffineAttr{Offset: int64(before[a]), Strides: []int64{1, -1}})
		t.In, t.Axes = append(t.In, int(v.ID)), append(t.Axes, [][]int{{o + 1}, {o}})
	}
	if value == 0 {
		y := c.einsum(shape, t)
		y.padded = &padded{x, before, after}
		return y, checkCells(shape)
	}
	inside.Out, inside.Extents = ir.IdentityAxes(shape)
	for a, d := range x.shape {
		if err := c.charge(1, shape[a]); err != nil {
			return nil, err
		}
		if shape[a] == d && before[a] == 0 || shape[a] == 1 {
			continue
		}
		cells := make([]float64, shape[a])
		for i := range cells {
			if i >= before[a] && i < before[a]+d {
				cells[i] = 1
			}
		}
		inside.In = append(inside.In, int(c.public(c.n.Name+".inside", []int{shape[a]}, cells)))
		inside.Axes = append(inside.Axes, [][]int{inside.Out[a]})
	}
	everywhere := product(shape, value)
	return c.einsum(shape, t, everywhere, inside), checkCells(shape)
}
