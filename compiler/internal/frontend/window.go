package frontend

import (
	"fmt"

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
			total := ((d+w.step-1)/w.step-1)*w.step + reach - d
			if total < 0 && (c.n.Op == "MaxPool" || c.n.Op == "AveragePool") {
				return nil, c.unsupported("auto_pad %s for windows of %d cells, %d apart: runtimes do not agree on where those lie that leave cells out; give pads instead", auto, reach, w.step)
			}
			total = max(0, total)
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
