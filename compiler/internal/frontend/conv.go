package frontend

import (
	"fmt"
	"slices"

	"github.com/zkllmc/zkllmc/ir"
)

// Convolutions: products of gathered windows with the weights.

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
			total := full - w.out
			if total < 0 && shape == nil {
				return nil, c.unsupported("auto_pad %s for windows of %d cells, %d apart: runtimes do not agree on cells that no window reaches; give pads and output_padding instead", auto, w.dilation*(taps[a]-1)+1, step)
			}
			total = max(0, total)
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
